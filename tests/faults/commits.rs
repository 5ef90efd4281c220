//! A COMMIT that was carried out, and whose answer never came.

use serde_json::json;

use crate::{
    house::{House, hosting},
    proxy::Loss,
};

/// In the transaction of an intent.
const INTENT: &str = "INSERT INTO provisor.attempts";
/// In that of an answer.
const ANSWER: &str = "UPDATE provisor.attempts";
/// In that of what came of an email.
const EMAIL: &str = "UPDATE provisor.email_outbox";

/// Loses this answer on the way of an order, which must then end as if nothing had been.
async fn lost(statement: &str, loss: Loss) -> House {
    let house = House::new().await;
    // A lost answer is noticed by the deadline of the call at the latest: 15 s.
    let daemon = house.daemon(&[("QUEUE__LEASE", "40s"), ("QUEUE__SHUTDOWN_GRACE", "41s")]);
    house.world.proxy.lose_commit_after(statement, loss);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.assert_exactly_once().await;
    assert_eq!(house.world.proxy.losses(), 1, "an answer was lost");
    assert_eq!(house.posts("SHOP-1").len(), 1, "sent once");
    assert_eq!(house.count_events("SHOP-1", "accepted").await, 1);
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 0);
    assert_eq!(house.count_emails("SHOP-1", "order_completed").await, 1);
    assert_eq!(house.copies_too_many().await, 0);
    daemon.stop().await;
    house
}

/// The outcomes of the attempts, in their order.
async fn outcomes(house: &House) -> Vec<String> {
    sqlx::query_scalar("SELECT coalesce(outcome, '-') FROM provisor.attempts ORDER BY started_at")
        .fetch_all(&house.world.pool)
        .await
        .expect("attempts can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_whose_commit_is_uncertain_is_not_sent() {
    let house = lost(INTENT, Loss::Closed).await;
    assert_eq!(outcomes(&house).await, ["not_sent", "accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_whose_commit_is_never_answered_is_not_sent() {
    let house = lost(INTENT, Loss::Silent).await;
    assert_eq!(outcomes(&house).await, ["not_sent", "accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_commit_is_uncertain_enters_once() {
    let house = lost(ANSWER, Loss::Closed).await;
    assert_eq!(outcomes(&house).await, ["accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_commit_is_never_answered_enters_once() {
    let house = lost(ANSWER, Loss::Silent).await;
    assert_eq!(outcomes(&house).await, ["accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_whose_commit_is_uncertain_is_sent_once() {
    lost(EMAIL, Loss::Closed).await;
}

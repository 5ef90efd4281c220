//! What a shop may still say about an order: cancel it, wish for renewal, tell a customer's new details.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};

use crate::documents;
use crate::house::{eventually, in_time};
use crate::intake::refusal;
use crate::world::World;

async fn cancel(world: &World, reference: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT provisor.cancel_order($1)")
        .bind(reference)
        .fetch_one(&world.pool)
        .await
}

async fn set_auto_renew(world: &World, domain: &str, wished: bool) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT provisor.set_auto_renew($1, $2)")
        .bind(domain)
        .bind(wished)
        .execute(&world.pool)
        .await
        .map(drop)
}

async fn update_customer(world: &World, details: &Value) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT provisor.update_customer($1)")
        .bind(details)
        .execute(&world.pool)
        .await
        .map(drop)
}

#[tokio::test]
async fn what_was_not_sent_is_cancelled_for_good() {
    let world = World::new().await;
    world.submit(&documents::named("transfer", "X")).await.expect("a good document");
    let mut listener =
        sqlx::postgres::PgListener::connect_with(&world.pool).await.expect("a listener");
    listener.listen("provisor_order_status").await.expect("listening");
    world.run("UPDATE provisor.order_lines SET status = 'held', reason = 'dearer'").await;
    assert_eq!(cancel(&world, "X").await.expect("known"), "cancelled");
    assert_eq!(cancel(&world, "X").await.expect("known"), "cancelled");
    let state =
        "SELECT concat_ws(' ', o.status, o.episode, o.finished_at IS NOT NULL, l.status, l.reason,
                     (SELECT count(*) FROM provisor.transfer_secrets),
                     (SELECT string_agg(e.event, ',' ORDER BY e.id) FROM provisor.events AS e))
                 FROM provisor.orders AS o JOIN provisor.order_lines AS l ON l.order_id = o.id";
    assert_eq!(
        world.value::<String>(state).await,
        "cancelled 1 t cancelled 0 submitted,cancelled,cancelled"
    );
    let heard = in_time("the shop is notified", listener.recv()).await;
    assert_eq!(heard.expect("a notification").payload(), "X");
}

#[tokio::test]
async fn what_was_sent_is_too_late_and_stays_as_it_is() {
    let world = World::new().await;
    for (n, change) in [
        "l.status = 'placing'",
        "l.status = 'in_doubt'",
        "l.status = 'provisioning'",
        "l.status = 'completed'",
        "sent = true",
    ]
    .iter()
    .enumerate()
    {
        let reference = format!("L-{n}");
        world.submit(&documents::example(&reference)).await.expect("a good document");
        let change = change.replace("l.", "");
        world
            .run(&format!(
                "UPDATE provisor.order_lines SET {change} WHERE line = 1 AND order_id =
                 (SELECT id FROM provisor.orders WHERE reference = '{reference}')"
            ))
            .await;
        let all = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM (
                       SELECT l::text FROM provisor.order_lines AS l UNION ALL SELECT o::text FROM provisor.orders AS o
                       UNION ALL SELECT e::text FROM provisor.events AS e) AS t";
        let before = world.value::<String>(all).await;
        assert_eq!(cancel(&world, &reference).await.expect("known"), "too_late", "{change}");
        assert_eq!(world.value::<String>(all).await, before, "{change}");
    }
    world
        .run(
            "UPDATE provisor.orders SET status = 'failed';
             UPDATE provisor.order_lines SET status = 'failed', sent = false",
        )
        .await;
    assert_eq!(cancel(&world, "L-0").await.expect("known"), "too_late", "an ended order");
}

#[tokio::test]
async fn a_line_that_failed_unsent_does_not_keep_the_rest_from_being_cancelled() {
    let world = World::new().await;
    world.submit(&documents::example("F")).await.expect("a good document");
    world.run("UPDATE provisor.order_lines SET status = 'failed', reason = 'no such TLD' WHERE line = 0").await;
    assert_eq!(cancel(&world, "F").await.expect("known"), "cancelled");
    let lines = "SELECT string_agg(status, ',' ORDER BY line) FROM provisor.order_lines";
    assert_eq!(world.value::<String>(lines).await, "failed,cancelled");
}

#[tokio::test]
async fn of_an_intent_and_a_cancellation_one_loses() {
    let world = World::new().await;
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        for cancel_first in [true, false] {
            let reference = format!("I-{}-{cancel_first}", isolation.replace(' ', "_"));
            let id = world.submit(&documents::example(&reference)).await.expect("a good document");
            let intent = format!(
                "UPDATE provisor.order_lines SET status = 'placing', sent = true
                 WHERE order_id = {id} AND line = 0 AND status = 'pending'"
            );
            let cancellation = format!("SELECT provisor.cancel_order('{reference}')");
            let (first, second) =
                if cancel_first { (&cancellation, &intent) } else { (&intent, &cancellation) };
            let mut one = world.connection().await;
            let mut transaction = one.begin().await.expect("a transaction");
            sqlx::query(AssertSqlSafe(first.clone()))
                .execute(&mut *transaction)
                .await
                .expect("the first");
            let mut other = world.connection().await;
            sqlx::query(AssertSqlSafe(format!(
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {isolation}"
            )))
            .execute(&mut other)
            .await
            .expect("a level");
            let (second, ()) = tokio::join!(
                sqlx::query(AssertSqlSafe(second.clone())).execute(&mut other),
                async {
                    let waiting = "SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                                   WHERE NOT l.granted AND a.datname = current_database())";
                    eventually("the second waits", async || world.value(waiting).await).await;
                    transaction.commit().await.expect("a commit");
                }
            );
            let state: String = sqlx::query_scalar(
                "SELECT status || ' ' || sent FROM provisor.order_lines WHERE order_id = $1 AND line = 0",
            )
            .bind(id)
            .fetch_one(&world.pool)
            .await
            .expect("a line");
            let expected = if cancel_first { "cancelled false" } else { "placing true" };
            assert_eq!(state, expected, "{isolation}, cancelled first: {cancel_first}");
            if let Err(error) = second {
                let code = error
                    .as_database_error()
                    .expect("by the database")
                    .code()
                    .map(std::borrow::Cow::into_owned);
                assert_eq!(code.as_deref(), Some("40001"), "{isolation}");
                assert_ne!(isolation, "READ COMMITTED");
            }
        }
    }
}

#[tokio::test]
async fn what_is_unknown_is_named() {
    let world = World::new().await;
    let unknown = |what: &str| ("P0002".to_owned(), format!("{what} is unknown"));
    assert_eq!(refusal(cancel(&world, "NO-1").await), unknown("order NO-1"));
    assert_eq!(
        refusal(set_auto_renew(&world, "no.example", true).await),
        unknown("domain no.example")
    );
    let details = json!({"reference": "C-0", "email": "bob@example.com"});
    assert_eq!(refusal(update_customer(&world, &details).await), unknown("customer C-0"));
    for (call, what) in [
        ("cancel_order(NULL)", "reference: is required"),
        ("set_auto_renew(NULL, true)", "domain: is required"),
        ("set_auto_renew('example.nl', NULL)", "auto_renew: is required"),
        ("update_customer(NULL)", "customer: must be an object"),
    ] {
        let result = sqlx::query(AssertSqlSafe(format!("SELECT provisor.{call}")))
            .execute(&world.pool)
            .await;
        assert_eq!(refusal(result), ("22023".to_owned(), what.to_owned()));
    }
}

#[tokio::test]
async fn a_wish_is_taken_from_the_submission_on_and_wakes_the_domain() {
    let world = World::new().await;
    world.submit(&documents::example("A")).await.expect("a good document");
    let wished = "SELECT auto_renew_wished FROM provisor.domain_status WHERE domain = 'example.nl'";
    assert!(world.value::<bool>(wished).await, "the order's own wish");
    set_auto_renew(&world, "EXAMPLE.nl", false).await.expect("known");
    assert!(!world.value::<bool>(wished).await);
    let wake = "SELECT concat_ws(' ', w.lane, w.kicks, w.due_at <= clock_timestamp()) FROM provisor.wakes AS w
                JOIN provisor.domains AS d ON w.id = d.id * 16 + 4";
    assert_eq!(world.value::<String>(wake).await, "4 1 t");
    set_auto_renew(&world, "example.nl", true).await.expect("known");
    assert_eq!(world.value::<String>(wake).await, "4 2 t");
    // Once normalised it is known by both names.
    world.run("UPDATE provisor.domains SET domain = 'xn--example.nl'").await;
    set_auto_renew(&world, "example.nl", true).await.expect("known as it was asked for");
    set_auto_renew(&world, "xn--example.nl", true).await.expect("known as an A-label");
}

#[tokio::test]
async fn a_name_stays_with_its_customer_until_its_line_bought_nothing() {
    let world = World::new().await;
    let order = |reference: &str, customer: &str, auto_renew: bool| {
        let mut document = documents::example(reference);
        document["customer"]["reference"] = json!(customer);
        document["lines"][0]["auto_renew"] = json!(auto_renew);
        document
    };
    world.submit(&order("1", "C-1", true)).await.expect("a good document");
    world.submit(&order("2", "C-2", false)).await.expect("a good document");
    let owner = "SELECT customer_reference || ' ' || auto_renew_wished FROM provisor.domain_status";
    assert_eq!(world.value::<String>(owner).await, "C-1 true", "the second waits for the first");
    assert_eq!(cancel(&world, "1").await.expect("known"), "cancelled");
    assert_eq!(world.value::<String>(owner).await, "C-2 false", "the next in line");
    assert_eq!(cancel(&world, "2").await.expect("known"), "cancelled");
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.domain_status").await, 0);
    assert_eq!(refusal(set_auto_renew(&world, "example.nl", true).await).0, "P0002");
    world.submit(&order("3", "C-3", true)).await.expect("a good document");
    assert_eq!(world.value::<String>(owner).await, "C-3 true");
    world
        .run("UPDATE provisor.order_lines SET status = 'completed' WHERE status = 'pending'")
        .await;
    world.submit(&order("4", "C-4", false)).await.expect("a good document");
    assert_eq!(world.value::<String>(owner).await, "C-3 true", "it is the other's by now");
}

#[tokio::test]
async fn an_update_changes_the_wish_and_gives_it_back_when_cancelled() {
    let world = World::new().await;
    world.submit(&documents::example("U-1")).await.expect("a good document");
    let update = |reference: &str| {
        json!({"reference": reference,
               "customer": {"first_name": "Bob", "last_name": "Brown", "email": "bob@example.com"},
               "lines": [{"kind": "domain_update", "domain": "Example.nl", "auto_renew": false}]})
    };
    let wished = "SELECT auto_renew_wished FROM provisor.domain_status";
    world.submit(&update("U-2")).await.expect("a good document");
    assert!(!world.value::<bool>(wished).await);
    assert_eq!(cancel(&world, "U-2").await.expect("known"), "cancelled");
    assert!(world.value::<bool>(wished).await, "as before");
    world.submit(&update("U-3")).await.expect("a good document");
    set_auto_renew(&world, "example.nl", false).await.expect("known");
    assert_eq!(cancel(&world, "U-3").await.expect("known"), "cancelled");
    assert!(!world.value::<bool>(wished).await, "wished since, and not by the update");
}

#[tokio::test]
async fn a_customers_details_are_changed_key_by_key() {
    let world = World::new().await;
    world.submit(&documents::example("K")).await.expect("a good document");
    let known =
        "SELECT concat_ws('|', first_name, email, phone, city, locale) FROM provisor.customers";
    let new =
        json!({"reference": "C-77", "email": "new@example.com", "phone": null, "locale": null});
    update_customer(&world, &new).await.expect("known");
    assert_eq!(world.value::<String>(known).await, "Bob|new@example.com|Testcity|en");
    for (details, what) in [
        (json!({"reference": "C-77", "email": null}), "email: is required"),
        (json!({"email": "bob@example.com"}), "reference: is required"),
        (json!({"reference": "C-77", "vat": "x"}), "vat: is not a known key"),
        (
            json!({"reference": "C-77", "email": "bob"}),
            "email: must be an email address of at most 254 characters",
        ),
        (json!([]), "customer: must be an object"),
        (
            json!({"reference": "C-77", "city": "x".repeat(600_000)}),
            "customer: must not be larger than 256 KiB",
        ),
    ] {
        assert_eq!(
            refusal(update_customer(&world, &details).await),
            ("22023".to_owned(), what.to_owned())
        );
    }
    assert_eq!(world.value::<String>(known).await, "Bob|new@example.com|Testcity|en");
}

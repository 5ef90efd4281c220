//! A wish that is carried out again: before the last safe moment of the name's ending, whatever delays it.

use serde_json::json;

use super::in_days;
use crate::house::{House, eventually};

const NAME: &str = "/api/hosting/v1/domain-names/example.nl";

/// A name that has not been as its customer wished for long, of which the audit has had the wish carried out again, while
/// nobody was there to do it.
async fn poked(shown: bool) -> House {
    let house = House::new().await;
    house.domain("example.nl", 30, shown).await;
    house.world.run(&format!("UPDATE provisor.domains SET auto_renew_wished = {}", !shown)).await;
    let run = house.audited().await;
    assert_eq!(run["changed"], json!(1), "{run}");
    house
}

async fn told(house: &House) -> i64 {
    let told =
        "SELECT count(*) FROM provisor.email_outbox WHERE context ->> 'about' = 'auto_renew_late'";
    house.world.value(told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_was_delayed_past_the_last_safe_moment_is_a_persons() {
    let house = poked(true).await;
    // Its day has come nearer.
    house.seems(&json!({ "domain": "example.nl", "expires_at": in_days(2) }));
    let daemon = house.quick_daemon();
    eventually("the operator is told", async || told(&house).await == 1).await;
    eventually("it rests", async || {
        let rests = "SELECT bool_and(due_at = 'infinity') FROM provisor.wakes WHERE id % 16 = 4";
        house.world.value::<bool>(rests).await
    })
    .await;
    assert!(house.requests("PATCH", NAME).is_empty());
    // Nor does the next audit try it; and it tells of it by its finding.
    let run = house.audited().await;
    assert_eq!(run["changed"], json!(0), "{run}");
    assert!(house.open().await.contains(&(
        "auto_renew_mismatch".to_owned(),
        "critical".to_owned(),
        "example.nl".to_owned()
    )));
    assert_eq!(told(&house).await, 1);

    // What the customer says now is carried out: it is for LJPc to say whether it still can.
    house.world.run("SELECT provisor.set_auto_renew('example.nl', false)").await;
    eventually("it is set", async || house.requests("PATCH", NAME).len() == 1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_own_wish_is_carried_out_late_though_the_audit_has_seen_it_too() {
    let house = House::new().await;
    house.domain("example.nl", 30, false).await;
    house.world.run("SELECT provisor.set_auto_renew('example.nl', true)").await;
    let run = house.audited().await;
    assert_eq!(run["changed"], json!(1), "{run}");
    house.seems(&json!({ "domain": "example.nl", "expires_at": in_days(2) }));
    let daemon = house.quick_daemon();
    eventually("it is set", async || house.requests("PATCH", NAME).len() == 1).await;
    assert_eq!(told(&house).await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_waits_while_the_expiry_is_not_shown() {
    let house = poked(false).await;
    house.seems(&json!({ "domain": "example.nl", "expires_at": null }));
    house.world.run("UPDATE provisor.domains SET expires_at = NULL").await;
    let looks = house.requests("GET", NAME).len();
    let daemon = house.quick_daemon();
    eventually("it is looked at", async || house.requests("GET", NAME).len() > looks + 1).await;
    assert!(house.requests("PATCH", NAME).is_empty());
    house.seems(&json!({ "domain": "example.nl", "expires_at": in_days(30) }));
    eventually("it is set", async || house.requests("PATCH", NAME).len() == 1).await;
    daemon.stop().await;
}

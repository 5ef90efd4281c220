//! `set_auto_renew`: the customer's wish, carried out as soon as the name is there.

use serde_json::json;

use super::{UPDATE, register};
use crate::house::{House, eventually};

const PATCH: &str = "/api/hosting/v1/domain-names/example.nl";

impl House {
    async fn wish(&self, auto_renew: bool) {
        self.world
            .run(&format!("SELECT provisor.set_auto_renew('example.nl', {auto_renew})"))
            .await;
    }

    async fn renews(&self) -> Option<bool> {
        self.world
            .value("SELECT auto_renew_seen FROM provisor.domain_status WHERE domain = 'example.nl'")
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_for_a_name_that_is_there_is_carried_out_at_once() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    // It was born renewing, and nobody had a wish.
    assert!(house.requests("PATCH", PATCH).is_empty());
    for wished in [false, true, true] {
        let before = house.requests("PATCH", PATCH).len();
        let changes = usize::from(house.renews().await != Some(wished));
        house.wish(wished).await;
        eventually("it is as wished", async || house.renews().await == Some(wished)).await;
        eventually("it is told", async || {
            let events = house.events("SHOP-1").await;
            events.iter().filter(|event| *event == "auto_renew_seen").count()
                == events.iter().filter(|event| *event == "auto_renew_wished").count()
        })
        .await;
        assert_eq!(house.requests("PATCH", PATCH).len(), before + changes, "{wished}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_before_the_name_is_there_waits_for_it() {
    let house = House::new().await;
    house
        .order_names("SHOP-1", json!([register("example.nl", json!({ "auto_renew": true }))]))
        .await;
    house.wish(false).await;
    let daemon = house.quick_daemon();
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.renews().await, Some(false), "the latest wish counts");
    assert_eq!(house.requests("PATCH", PATCH).len(), 1);
    daemon.stop().await;
}

/// The customer says it again because it is not so: what LJPc shows first comes out of a stored row.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_row_that_shows_the_wish_is_not_believed_once() {
    let house = House::new().await;
    let daemon = house.daemon(&[("LJPC__EVIDENCE_INTERVAL", "3s")]);
    let name = register("example.nl", json!({ "auto_renew": true }));
    house.order_names("SHOP-1", json!([name])).await;
    house.until_order("SHOP-1", "completed").await;
    let looks = || house.requests("GET", PATCH).len();
    let before = looks();
    house.wish(true).await;
    eventually("it was read", async || looks() > before).await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active", "auto_renew": false }));
    eventually("it is changed", async || house.requests("PATCH", PATCH).len() == 1).await;
    eventually("it is told", async || {
        house.events("SHOP-1").await.contains(&"auto_renew_seen".to_owned())
    })
    .await;
    assert_eq!(house.renews().await, Some(true));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_read_back() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    house.fault(&json!({ "endpoint": UPDATE, "fault": "process_then_drop" }));
    house.wish(false).await;
    eventually("it is as wished", async || house.renews().await == Some(false)).await;
    assert_eq!(house.requests("PATCH", PATCH).len(), 1, "it shows, so it is not sent again");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_to_the_operator() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    house.fault(&json!({ "endpoint": UPDATE, "fault": "status", "status": 422,
                         "message": "This TLD can't be switched" }));
    house.wish(false).await;
    eventually("it is told", async || {
        house.events("SHOP-1").await.contains(&"auto_renew_refused".to_owned())
    })
    .await;
    let owed: i64 = house
        .world
        .value("SELECT count(*) FROM provisor.email_outbox WHERE context ->> 'about' = 'auto_renew_refused'")
        .await;
    assert_eq!(owed, 1);
    daemon.stop().await;
}

/// What a restored database has forgotten may be a younger wish.
#[tokio::test(flavor = "multi_thread")]
async fn no_wish_is_carried_out_on_a_restored_database_before_somebody_has_looked() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    house.world.run("UPDATE provisor.timeline SET ledger = 0").await;
    house.wish(false).await;
    eventually("the operator is told", async || {
        let told =
            "SELECT count(*) FROM provisor.email_outbox WHERE context ->> 'about' = 'failover'";
        house.world.value::<i64>(told).await == 1
    })
    .await;
    assert!(house.requests("PATCH", PATCH).is_empty());
    house.done(&["queue", "resume", "--by", "test", "--yes"]).await;
    // The customer's latest wish is looked at again within half a minute; another one is, at once.
    house.wish(false).await;
    eventually("it is as wished", async || house.renews().await == Some(false)).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_none_of_ours_upstream_is_left_alone() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    // Transferred away since.
    house.put_domain(&json!({ "domain": "example.nl", "foreign": true }));
    house.wish(false).await;
    eventually("it is told", async || {
        house.events("SHOP-1").await.contains(&"auto_renew_unknown".to_owned())
    })
    .await;
    assert!(house.requests("PATCH", PATCH).is_empty());
    daemon.stop().await;
}

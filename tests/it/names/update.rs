//! `domain_update`: read, compare, change what differs, read back.

use serde_json::{Value, json};

use super::{UPDATE, register, update};
use crate::house::{House, eventually};

/// A name of ours, renewed by itself and locked, on LJPc's own name servers.
fn ours(domain: &str) -> Value {
    json!({ "domain": domain, "status": "active", "auto_renew": true, "transfer_lock": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn where_anything_differs_all_that_is_wished_is_sent() {
    let house = House::new().await;
    house.put_domain(&ours("example.nl"));
    let daemon = house.quick_daemon();
    let wishes = json!({
        "auto_renew": false, "transfer_lock": true,
        // In another order and case, they are the same.
        "nameservers": ["NS3.ljpc.network", "ns1.ljpc.network", "ns2.ljpc.network"],
    });
    house.order_names("SHOP-1", json!([update("example.nl", wishes)])).await;
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("update_what_differs", house.story("SHOP-1", 0).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_so_already_needs_no_request() {
    let house = House::new().await;
    house.put_domain(&ours("example.nl"));
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([update("EXAMPLE.nl", json!({ "auto_renew": true }))])).await;
    house.until_order("SHOP-1", "completed").await;
    assert!(house.requests("PATCH", "/").is_empty());
    assert_eq!(house.line("SHOP-1", 0).await.domain.as_deref(), Some("example.nl"));
    daemon.stop().await;
}

/// LJPc answers out of a stored row while its own system is away: the first reading shows what is so no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_row_is_not_believed_once() {
    let house = House::new().await;
    house.put_domain(&ours("example.nl"));
    let daemon = house.daemon(&[("LJPC__EVIDENCE_INTERVAL", "3s")]);
    house.order_names("SHOP-1", json!([update("example.nl", json!({ "auto_renew": true }))])).await;
    eventually("it was read", async || house.line("SHOP-1", 0).await.why().contains("once more"))
        .await;
    let mut truth = ours("example.nl");
    truth["auto_renew"] = json!(false);
    house.put_domain(&truth);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.requests("PATCH", "/").len(), 1);
    assert_eq!(house.line("SHOP-1", 0).await.why(), "");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_changes_to_apply_is_success() {
    let house = House::new().await;
    house.put_domain(&ours("example.nl"));
    // Somebody else changes it between the reading and the request.
    house.fault(&json!({ "endpoint": UPDATE, "fault": "status", "status": 422, "process": true,
                         "message": "No changes to apply" }));
    let daemon = house.quick_daemon();
    house
        .order_names("SHOP-1", json!([update("example.nl", json!({ "auto_renew": false }))]))
        .await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.why(), "");
    assert_eq!(house.requests("PATCH", "/").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_not_changed() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "foreign.nl", "status": "active", "foreign": true }));
    house.put_domain(&ours("example.nl"));
    let daemon = house.quick_daemon();
    for (name, wishes, reason) in [
        ("foreign.nl", json!({ "auto_renew": false }), "foreign.nl is not a name of this account"),
        ("nobodys.nl", json!({ "auto_renew": false }), "nobodys.nl is not a name of this account"),
        (
            "example.nl",
            json!({ "contact_handle": "BB0001-EX" }),
            "LJPc refused the change of the name: Contact handle does not belong to you",
        ),
    ] {
        let reference = format!("SHOP-{name}");
        house.order_names(&reference, json!([update(name, wishes)])).await;
        house.until_order(&reference, "failed").await;
        assert_eq!(house.line(&reference, 0).await.why(), reason);
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_may_be_given_another_owner() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    // Its registration makes the contact that the other name is given.
    house.order_names("SHOP-1", json!([register("one.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    house.put_domain(&ours("example.nl"));
    let after = house.now_in_journal();
    let wish = json!({ "contact_handle": "sandbox-0001", "transfer_lock": false });
    house.order_names("SHOP-2", json!([update("example.nl", wish)])).await;
    house.until_order("SHOP-2", "completed").await;
    insta::assert_snapshot!("update_owner", house.story("SHOP-2", after).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_the_wish_for_renewal_too() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let name = register("example.nl", json!({ "auto_renew": true }));
    house.order_names("SHOP-1", json!([name])).await;
    house.until_order("SHOP-1", "completed").await;
    house
        .order_names("SHOP-2", json!([update("example.nl", json!({ "auto_renew": false }))]))
        .await;
    house.until_order("SHOP-2", "completed").await;
    let wished: Vec<(Option<bool>, Option<bool>)> =
        sqlx::query_as("SELECT auto_renew_wished, auto_renew_seen FROM provisor.domain_status")
            .fetch_all(&house.world.pool)
            .await
            .unwrap();
    assert_eq!(wished, [(Some(false), Some(false))]);
    daemon.stop().await;
}

//! `domain_transfer`: begun, awaited for days, arranged; or failed, and believed only when that lasts.

use std::time::Duration;

use provisor::{clock, sandbox::Stage};
use serde_json::json;

use super::{a_record, transfer};
use crate::house::{Daemon, House};

/// A house where nothing comes by itself.
async fn patient_house() -> House {
    House::with(|options| options.delay = Duration::from_hours(1)).await
}

/// A daemon that looks at a transfer only when it is poked.
fn idle_daemon(house: &House) -> Daemon {
    house.daemon(&[
        ("POLL__INITIAL_INTERVAL", "1h"),
        ("POLL__MAX_INTERVAL", "1h"),
        ("POLL__TRANSFER_MAX_INTERVAL", "1h"),
        ("LJPC__EVIDENCE_INTERVAL", "200ms"),
    ])
}

/// Puts the name there, and waits until that has been looked at.
async fn show(house: &House, line_id: i64, domain: serde_json::Value) {
    house.put_domain(&domain);
    house.look_again(line_id, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_awaited_for_days_and_then_arranged() {
    let house = patient_house().await;
    let daemon = idle_daemon(&house);
    let wishes = json!({
        "nameservers": ["ns1.example.com", "ns2.example.com"], "auto_renew": false,
        "dns": [a_record("@", "192.0.2.10")],
    });
    house.order_names("SHOP-1", json!([transfer("example.nl", wishes)])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    let line = house.line("SHOP-1", 0).await.id;
    house.look_again(line, 2).await;
    assert_eq!(house.cancel("SHOP-1").await, "too_late");
    // "May be a comma-joined status": neither of these says that it is here.
    for status in ["pending_transfer,inactive", "active, pending_transfer", "ok", "pending_owner"] {
        show(&house, line, json!({ "domain": "example.nl", "status": status })).await;
        assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning", "{status}");
    }
    let expires_at = (clock::now() + chrono::TimeDelta::days(365)).to_rfc3339();
    let arrived = json!({ "domain": "example.nl", "status": "Active,clientTransferProhibited",
                          "expires_at": expires_at });
    show(&house, line, arrived).await;
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("transfer_direct", house.story("SHOP-1", 0).await);
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_with_a_wrong_code_fails_for_its_customer() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let wrong = transfer("example.nl", json!({ "auth_code": "wrong" }));
    house.order_names("SHOP-1", json!([wrong])).await;
    house.until_order("SHOP-1", "failed").await;
    insta::assert_snapshot!("transfer_rejected", house.story("SHOP-1", 0).await);
    // A new order with the right code is another transfer, and no second purchase.
    house.order_names("SHOP-2", json!([transfer("example.nl", json!({}))])).await;
    house.until_order("SHOP-2", "completed").await;
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_believed_when_it_lasts() {
    let house = patient_house().await;
    let daemon = idle_daemon(&house);
    house.order_names("SHOP-1", json!([transfer("example.nl", json!({}))])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    let line = house.line("SHOP-1", 0).await.id;
    for status in ["transfer_failed", "transfer_rejected", "inactive,transfer_cancelled"] {
        show(&house, line, json!({ "domain": "example.nl", "status": status })).await;
        house.until_reason("SHOP-1", 0, "it is looked at again before that is believed").await;
        // It was a stored row of theirs.
        show(&house, line, json!({ "domain": "example.nl", "status": "pending_transfer" })).await;
        let seen = house.line("SHOP-1", 0).await;
        assert_eq!((seen.status.as_str(), seen.why()), ("provisioning", ""), "{status}");
    }
    show(&house, line, json!({ "domain": "example.nl", "status": "transfer_server_failed" })).await;
    // However often it is read within `poll.failed_recheck`.
    house.look_again(line, 3).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    let passed = "failed_seen_at = failed_seen_at - interval '15 minutes'";
    house.world.run(&format!("UPDATE provisor.order_lines SET {passed} WHERE id = {line}")).await;
    house.look_again(line, 1).await;
    let seen = house.line("SHOP-1", 0).await;
    assert_eq!(seen.status, "failed");
    assert_eq!(seen.why(), "the transfer failed: LJPc says transfer_server_failed");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_not_shown_for_a_while_is_asked_for_again() {
    let house = House::new().await;
    house.fault(
        &json!({ "endpoint": "GET /api/hosting/v1/domain-names/{domain}", "fault": "status",
                         "status": 404, "message": "Domain not found", "times": 3 }),
    );
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([transfer("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.sandbox.state().summary().transfers, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_here_already_is_not_ordered_again() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "ours.nl", "status": "active" }));
    let daemon = house.quick_daemon();
    for route in ["direct", "order"] {
        house.order_names(route, json!([transfer("ours.nl", json!({ "route": route }))])).await;
        house.until_order(route, "failed").await;
        assert_eq!(
            house.line(route, 0).await.why(),
            "ours.nl is a name of this account already: LJPc says active"
        );
    }
    assert!(house.requests("POST", "/").is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_takes_long_is_told_once_and_polled_on() {
    let house = patient_house().await;
    let daemon = house.daemon(&[
        ("POLL__TRANSFER_MAX_INTERVAL", "200ms"),
        ("POLL__MAX_INTERVAL", "200ms"),
        ("POLL__PROGRESS_AFTER", "1s"),
        ("POLL__OVERDUE_AFTER", "1s"),
    ]);
    house.order_names("SHOP-1", json!([transfer("example.nl", json!({}))])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    let line = house.line("SHOP-1", 0).await.id;
    crate::house::eventually("it is told", async || {
        house.count_events("SHOP-1", "overdue").await == 1
    })
    .await;
    house.look_again(line, 3).await;
    assert_eq!(house.count_events("SHOP-1", "overdue").await, 1);
    assert_eq!(house.count_emails("SHOP-1", "order_delayed").await, 1);
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    show(&house, line, json!({ "domain": "example.nl", "status": "active" })).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_by_an_order_is_polled_as_one_and_then_arranged() {
    let house = patient_house().await;
    let daemon =
        house.daemon(&[("POLL__FAILED_RECHECK", "1ms"), ("POLL__TRANSFER_MAX_INTERVAL", "500ms")]);
    let wishes =
        json!({ "route": "order", "auto_renew": false, "contact_handle": "sandbox-account" });
    house.order_names("SHOP-1", json!([transfer("example.co.uk", wishes)])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("transfer_by_order", house.story("SHOP-1", 0).await);
    let after = house.now_in_journal();
    house.order_names("SHOP-2", json!([transfer("example.nl", json!({ "route": "order" }))])).await;
    house.until_line("SHOP-2", 0, "provisioning").await;
    house.drive("SHOP-2/0", Stage::Failed);
    house.until_order("SHOP-2", "failed").await;
    insta::assert_snapshot!("transfer_by_order_failed", house.story("SHOP-2", after).await);
    daemon.stop().await;
}

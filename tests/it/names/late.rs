//! Purchases of names in doubt, and the truth that comes late: by an answer, by a person, or by a second look.

use provisor::order::ledger::Outcome;
use serde_json::{Value, json};

use super::{REGISTER, TRANSFER, register, transfer};
use crate::{
    doubt::{answer_late, declare_absent},
    house::House,
};

const DETAIL: &str = "GET /api/hosting/v1/domain-names/{domain}";

/// The references under which a name was asked for, in their order.
fn references(house: &House) -> Vec<Value> {
    let posts = house.requests("POST", "/api/hosting/v1/domain-names");
    posts
        .iter()
        .map(|post| {
            let body: Value = serde_json::from_str(post.body.as_str()).expect("a JSON body");
            body["external_reference"].clone()
        })
        .collect()
}

/// Registers a name under a fault, until a person is asked.
async fn doubt(house: &House, endpoint: &str, fault: &str, line: Value) {
    house.fault(&json!({ "endpoint": endpoint, "fault": fault }));
    house.order_names("SHOP-1", json!([line])).await;
    house.until_order("SHOP-1", "attention").await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
}

/// Shows no name, for as long as the fault stays.
fn hide_names(house: &House) {
    house.fault(&json!({ "endpoint": DETAIL, "fault": "status", "status": 404, "times": 1_000_000,
                         "message": "Domain not found" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_acceptance_is_followed_and_a_late_refusal_ends_the_line() {
    for (outcome, end) in [(Outcome::Accepted, "completed"), (Outcome::Rejected, "failed")] {
        let house = House::new().await;
        hide_names(&house);
        let daemon = house.quick_daemon();
        let fault = if outcome == Outcome::Accepted { "process_then_drop" } else { "drop" };
        doubt(&house, REGISTER, fault, register("example.nl", json!({}))).await;
        answer_late(&house, "SHOP-1/0", (outcome, None)).await;
        house.no_more_faults();
        house.until_order("SHOP-1", end).await;
        assert_eq!(house.count_events("SHOP-1", "late_answer").await, 1, "{end}");
        assert_eq!(references(&house), ["SHOP-1/0"], "{end}");
        house.assert_bought_once();
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_says_is_absent_is_bought_again_under_a_new_tag() {
    for (endpoint, line) in [
        (REGISTER, register("example.nl", json!({}))),
        (TRANSFER, transfer("example.nl", json!({}))),
    ] {
        let house = House::new().await;
        let daemon = house.quick_daemon();
        doubt(&house, endpoint, "drop", line).await;
        declare_absent(&house, "SHOP-1").await;
        house.until_order("SHOP-1", "completed").await;
        assert_eq!(references(&house), ["SHOP-1/0", "SHOP-1/0#2"], "{endpoint}");
        house.assert_bought_once();
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_wrong_about_an_absence_buys_nothing_twice() {
    for (endpoint, line) in [
        (REGISTER, register("example.nl", json!({}))),
        (TRANSFER, transfer("example.nl", json!({}))),
    ] {
        let house = House::new().await;
        hide_names(&house);
        let daemon = house.quick_daemon();
        doubt(&house, endpoint, "process_then_drop", line).await;
        house.no_more_faults();
        // The name is shown from now on; whoever looks first, the line by itself or after the person's word, finds it.
        if house.line_status("SHOP-1", 0).await == "in_doubt" {
            let id = house.line("SHOP-1", 0).await.id;
            house
                .world
                .run(&format!(
                    "UPDATE provisor.effects SET state = 'absent', live = false
                     WHERE line_id = {id} AND state = 'in_doubt';
                     UPDATE provisor.order_lines SET status = 'pending', reason = NULL, in_doubt_at = NULL
                     WHERE id = {id} AND status = 'in_doubt'"
                ))
                .await;
            house.poke(id).await;
        }
        house.until_order("SHOP-1", "completed").await;
        assert_eq!(references(&house), ["SHOP-1/0"], "{endpoint}");
        house.assert_bought_once();
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_doubt_keeps_every_other_order_away_from_it() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    doubt(&house, REGISTER, "drop", register("example.nl", json!({}))).await;
    for (reference, line) in [
        ("REGISTER", register("example.nl", json!({}))),
        ("TRANSFER", transfer("example.nl", json!({}))),
        ("ORDER", register("example.nl", json!({ "route": "order" }))),
    ] {
        house.order_names(reference, json!([line])).await;
        let why = "waits: example.nl is being registered or transferred by line SHOP-1/0";
        house.until_reason(reference, 0, why).await;
        let seen = house.line(reference, 0).await;
        assert_eq!((seen.status.as_str(), seen.sent), ("pending", false), "{reference}");
    }
    assert_eq!(references(&house).len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_a_name_in_doubt_is_a_persons_to_resolve() {
    for (of, line) in [
        ("REGISTER", register("example.nl", json!({ "route": "order" }))),
        ("TRANSFER", transfer("example.nl", json!({ "route": "order" }))),
    ] {
        let house = House::new().await;
        let daemon = house.quick_daemon();
        doubt(&house, "POST /api/v1/orders", "process_then_drop", line).await;
        let id = house.line("SHOP-1", 0).await.id;
        house.look_again(id, 2).await;
        assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt", "{of}");
        assert_eq!((house.posts("SHOP-1").len(), house.bought("SHOP-1/0")), (1, 1), "{of}");
        let order = house.upstream_orders("SHOP-1/0")[0].0;
        answer_late(&house, "SHOP-1/0", (Outcome::Accepted, Some(order))).await;
        house.until_order("SHOP-1", "completed").await;
        assert_eq!(house.line("SHOP-1", 0).await.upstream_order_id, Some(order), "{of}");
        daemon.stop().await;
    }
}

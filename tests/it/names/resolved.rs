//! Names in doubt, and what a person says of them.

use serde_json::{Value, json};

use super::{CONTACTS, REGISTER, TRANSFER, register, transfer};
use crate::house::House;

/// An order of this line that is in doubt, and of which a person has been told.
async fn doubt(house: &House, endpoint: &str, fault: &str, line: Value) {
    house.fault(&json!({ "endpoint": endpoint, "fault": fault }));
    house.order_names("SHOP-1", json!([line])).await;
    house.until_order("SHOP-1", "attention").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_bought_by_an_order_is_adopted_by_its_number() {
    for line in [
        register("example.nl", json!({ "route": "order" })),
        transfer("example.nl", json!({ "route": "order" })),
    ] {
        let house = House::new().await;
        let daemon = house.quick_daemon();
        doubt(&house, "POST /api/v1/orders", "process_then_drop", line).await;
        let id = house.upstream_orders("SHOP-1/0")[0].0.to_string();
        house.say_in_vain("resolve", "SHOP-1", &["--site", "1"], &["brings no site"]).await;
        // It is in the account: who says that it is not is not believed.
        let words = ["example.nl is in this account", "--force"];
        house.say_in_vain("resolve", "SHOP-1", &["--absent"], &words).await;
        house.say_well("resolve", "SHOP-1", &["--upstream-order", &id]).await;
        house.until_order("SHOP-1", "completed").await;
        house.assert_bought_once();
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_bought_directly_has_no_order_and_is_bought_again_when_it_is_absent() {
    for (endpoint, line) in [
        (REGISTER, register("example.nl", json!({}))),
        (TRANSFER, transfer("example.nl", json!({}))),
    ] {
        let house = House::new().await;
        let daemon = house.quick_daemon();
        doubt(&house, endpoint, "drop", line).await;
        let words = ["is bought without an LJPc order", "--absent", "--abandon"];
        house.say_in_vain("resolve", "SHOP-1", &["--upstream-order", "110"], &words).await;
        house.say_well("resolve", "SHOP-1", &["--absent", "--placement", "1"]).await;
        house.until_order("SHOP-1", "completed").await;
        house.assert_bought_once();
        let posts = house.requests("POST", "/api/hosting/v1/domain-names");
        assert_eq!(posts.len(), 2, "{endpoint}");
        assert!(posts[1].body.as_str().contains("SHOP-1/0#2"), "{endpoint}");
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_given_up_leaves_its_name_and_no_secret() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    doubt(&house, TRANSFER, "drop", transfer("example.nl", json!({ "auto_renew": true }))).await;
    house.order_names("SHOP-2", json!([transfer("example.nl", json!({}))])).await;
    house.until_reason("SHOP-2", 0, "waits: example.nl is being").await;
    house.say_well("resolve", "SHOP-1", &["--abandon"]).await;
    let left: i64 = house
        .world
        .value(
            "SELECT count(*) FROM provisor.transfer_secrets s JOIN provisor.order_lines l ON l.id = s.line_id
             JOIN provisor.orders o ON o.id = l.order_id WHERE o.reference = 'SHOP-1'",
        )
        .await;
    assert_eq!(left, 0);
    house.until_order("SHOP-2", "completed").await;
    let whose: String = house
        .world
        .value(
            "SELECT o.reference FROM provisor.domains d JOIN provisor.order_lines l ON l.id = d.line_id
             JOIN provisor.orders o ON o.id = l.order_id WHERE d.domain = 'example.nl'",
        )
        .await;
    assert_eq!(whose, "SHOP-2");
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_on_which_the_worker_failed_is_looked_for_again() {
    let house = House::new().await;
    house.fault(
        &json!({ "endpoint": "GET /api/hosting/v1/domain-names/{domain}", "fault": "status",
                         "status": 404, "times": 1_000_000, "message": "Domain not found" }),
    );
    let daemon = house.quick_daemon();
    doubt(&house, REGISTER, "process_then_drop", register("example.nl", json!({}))).await;
    daemon.stop().await;
    let id = house.line("SHOP-1", 0).await.id;
    house.world.run(&format!("UPDATE provisor.order_lines SET panics = 3 WHERE id = {id}")).await;
    house.no_more_faults();
    let daemon = house.quick_daemon();
    house.look_again(id, 1).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt", "no further try by itself");
    house.say_well("retry", "SHOP-1", &[]).await;
    house.until_order("SHOP-1", "completed").await;
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_a_contact_goes_on_when_a_person_has_looked() {
    let house = House::new().await;
    let drop_next = |times: u32| {
        house.fault(&json!({ "endpoint": CONTACTS, "fault": "drop", "times": times }));
    };
    drop_next(3);
    let daemon =
        house.daemon(&[("LJPC__IN_DOUBT_GRACE", "1ms"), ("LJPC__EVIDENCE_INTERVAL", "200ms")]);
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_line("SHOP-1", 0, "held").await;
    let why = "no WHOIS contact came of 3 requests; look at LJPc's list";
    assert_eq!(house.line("SHOP-1", 0).await.why(), why);
    // As many as before are asked for, and no more.
    drop_next(3);
    house.say_well("retry", "SHOP-1", &[]).await;
    crate::house::eventually("it is held again", async || {
        house.told_operator("SHOP-1", "held").await == 2
    })
    .await;
    let asked = || house.requests("POST", "/api/hosting/v1/contacts").len();
    assert_eq!(asked(), 6);
    house.say_well("retry", "SHOP-1", &[]).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(asked(), 7);
    house.assert_bought_once();
    daemon.stop().await;
}

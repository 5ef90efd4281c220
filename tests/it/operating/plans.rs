//! `order plan`: what an order would do, and that it does none of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Paper, bob};
use crate::{binary::provisor, house::House};

#[expect(clippy::needless_pass_by_value, reason = "it is called with json!(…)")]
fn document(lines: Value) -> Paper {
    let bob: Value = serde_json::from_str(&std::fs::read_to_string(bob().path()).unwrap()).unwrap();
    Paper::new(&json!({ "reference": "SHOP-1", "customer": bob, "lines": lines }).to_string())
}

/// An order of every kind, with all that waits for something.
fn everything() -> Paper {
    let a = |content: &str| json!({ "type": "A", "name": "@", "content": content, "ttl": 3600 });
    document(json!([
        { "kind": "hosting", "package": "hosting_5gb", "domain": "example.nl", "billing_period": "monthly",
          "max_cost": "5.50" },
        { "kind": "domain_register", "domain": "example.nl", "years": 2.0, "auto_renew": false,
          "dns": [a("192.0.2.10")], "max_cost": "10" },
        { "kind": "domain_transfer", "domain": "other.nl", "auth_code": "x7!Kq-04", "transfer_lock": true },
        { "kind": "domain_update", "domain": "ours.nl", "auto_renew": false },
        { "kind": "dns", "domain": "ours.nl", "records": [a("192.0.2.11")] },
        { "kind": "hosting_own", "domain": "example.com", "space_id": 7 },
        { "kind": "domain_register", "domain": "dear.nl", "max_cost": "0.10" },
        { "kind": "domain_register", "domain": "example.invalid" },
        { "kind": "hosting", "package": "hosting_5gb", "domain": "dear.nl", "billing_period": "monthly" },
    ]))
}

/// What the database holds.
async fn counted(house: &House) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in
        ["orders", "customers", "contacts", "effects", "events", "email_outbox", "wakes", "domains"]
    {
        counts.push(house.world.value(&format!("SELECT count(*) FROM provisor.{table}")).await);
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_all_and_does_nothing() {
    let house = House::new().await;
    house.put_name("ours.nl");
    let (before, file) = (counted(&house).await, everything());
    let args = ["order", "plan", file.path()];
    let told = house.done(&args).await;
    let again = house.done(&args).await;
    assert_eq!((&told.stdout, &told.stderr), (&again.stdout, &again.stderr));
    let data = house.done(&[&args[..], &["--json"]].concat()).await.json();
    let mut seen = String::new();
    writeln!(seen, "{}\n{data:#}", told.stdout).unwrap();
    insta::assert_snapshot!("plan_of_everything", seen);
    assert!(!seen.contains("x7!Kq"), "the auth code is masked");
    assert_eq!((house.sent(), counted(&house).await), (vec![], before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planned_is_what_is_sent() {
    let house = House::new().await;
    let a = json!({ "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600 });
    let file = document(json!([
        { "kind": "domain_register", "domain": "example.nl", "auto_renew": false, "dns": [a] },
        { "kind": "hosting_own", "domain": "example.com", "space_id": 7 },
    ]));
    let plan = house.done(&["order", "plan", file.path(), "--json"]).await.json();
    let mut planned: Vec<String> = plan["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["method"].as_str().unwrap(), it["path"].as_str().unwrap()))
        .collect();
    let daemon = house.operators_daemon();
    house.done(&["order", "submit", file.path()]).await;
    house.until_order("SHOP-1", "completed").await;
    let mut sent = house.sent_paths();
    // The lines are independent of each other.
    planned.sort();
    sent.sort();
    assert_eq!(planned, sent);
    let again = house.done(&["order", "plan", file.path()]).await;
    assert!(again.stdout.contains("An order SHOP-1 is there already"), "{again:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_contact_is_taken_and_stays_whose_it_is() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let plan = |reference: &'static str, customer: &'static str| {
        let mut bob: Value =
            serde_json::from_str(&std::fs::read_to_string(bob().path()).unwrap()).unwrap();
        bob["reference"] = customer.into();
        let lines = json!([{ "kind": "domain_register", "domain": format!("{}.nl", reference.to_lowercase()) }]);
        Paper::new(&json!({ "reference": reference, "customer": bob, "lines": lines }).to_string())
    };
    house.done(&["order", "submit", plan("ONE", "C-77").path()]).await;
    house.until_order("ONE", "completed").await;
    for (customer, requests) in [("C-77", 1), ("C-78", 2)] {
        let file = plan("TWO", customer);
        let data = house.done(&["order", "plan", file.path(), "--json"]).await.json();
        assert_eq!(data["requests"].as_array().unwrap().len(), requests, "{customer}: {data:#}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_told_at_once() {
    let house = House::new().await;
    let file = document(
        json!([{ "kind": "hosting", "domain": "x" }, { "kind": "dns", "domain": "example.nl" }]),
    );
    let ended = house
        .refused(
            &["order", "plan", file.path()],
            1,
            &["lines[0].domain: must be", "lines[1].records: is required"],
        )
        .await;
    assert_eq!(ended.stdout, "");
    let ended = provisor(&["order", "plan", file.path(), "--json"], &house.operator()).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.json()["faults"].as_array().map(Vec::len), Some(2), "{ended:?}");
    assert!(house.sandbox.state().journal(0).is_empty(), "nothing is even asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_guessed() {
    let house = House::new().await;
    let price = "GET /api/hosting/v1/domain-names/price";
    house.fault(&json!({ "endpoint": price, "fault": "status", "status": 503, "times": 10 }));
    let file = document(json!([{ "kind": "domain_register", "domain": "example.nl" }]));
    let ended = house.refused(&["order", "plan", file.path()], 1, &["gave no usable answer"]).await;
    assert_eq!(ended.stdout, "");
}

//! `provisor order show`, run as an operator runs it.

use std::process::{Command, Output};

use provisor::order::ledger::Outcome;
use serde_json::{Value, json};

use crate::{
    doubt::{answer_late, declare_absent},
    house::{House, eventually, hosting},
};

/// Runs the program against a house's database.
async fn provisor(house: &House, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisor"));
    command.args(arguments).env_clear().env("DATABASE_URL", house.world.url());
    tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic")
        .expect("the program can be run")
}

/// What `order show` prints for an order, without what differs from run to run.
pub(crate) async fn show(house: &House, reference: &str) -> String {
    let output = provisor(house, &["order", "show", reference]).await;
    assert!(output.status.success(), "{output:?}");
    redact(&String::from_utf8(output.stdout).expect("UTF-8"))
}

/// What `order show --json` prints.
async fn show_json(house: &House, reference: &str) -> Value {
    let output = provisor(house, &["order", "show", reference, "--json"]).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Patterns of what differs, `0` for a digit and `x` for one of sixteen; and what stands for them.
const VOLATILE: [(&str, &str); 4] = [
    ("0000-00-00 00:00:00Z", "[the time, in UTC]"),
    ("0000-00-00T00:00:00Z", "[then]"),
    ("0000-00-00", "[a day]"),
    ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "[uuid]"),
];

/// Takes out times, uuids and numbers of seconds. The ids of the sandbox are the same each time.
pub(crate) fn redact(text: &str) -> String {
    let fits = |rest: &str, pattern: &str| {
        rest.len() >= pattern.len()
            && rest.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                b'x' => byte.is_ascii_hexdigit(),
                _ => byte == wanted,
            })
    };
    let is_seconds = |behind: &str| {
        behind.strip_prefix(" s").is_some_and(|more| !more.starts_with(char::is_alphabetic))
    };
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Some((pattern, stand_in)) = VOLATILE.iter().find(|(it, _)| fits(rest, it)) {
            redacted.push_str(stand_in);
            rest = &rest[pattern.len()..];
        } else if digits > 0 && is_seconds(&rest[digits..]) && redacted.ends_with([' ', '(']) {
            redacted.push_str("[n]");
            rest = &rest[digits..];
        } else {
            redacted.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    redacted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_order_is_shown() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let forward = json!({ "kind": "hosting", "package": "hosting_forward", "domain": "bücher.example",
                          "target_url": "https://example.com/" });
    house.submit("SHOP-1001", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1001", "completed").await;
    house.until_emailed().await;
    insta::assert_snapshot!("order_show_completed", show(&house, "SHOP-1001").await);
    // Two lines end in any order; what is shown of the second is in the JSON as well.
    house.submit("SHOP-1002", json!([hosting("example.com"), forward])).await;
    house.until_order("SHOP-1002", "completed").await;
    let report = show_json(&house, "SHOP-1002").await;
    assert_eq!(report["lines"][1]["domain"], "xn--bcher-kva.example");
    assert_eq!(report["lines"][1]["status"], "completed");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_order_is_shown() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "status", "status": 422,
                         "message": "Order line 1: domain is not a valid domain name" }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1001", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1001", "failed").await;
    house.until_emailed().await;
    insta::assert_snapshot!("order_show_failed", show(&house, "SHOP-1001").await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_is_shown_with_what_waits_for_it() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let mut dear = hosting("example.nl");
    dear["max_cost"] = json!("4.00");
    house.submit("SHOP-1001", json!([dear])).await;
    house.until_order("SHOP-1001", "attention").await;
    house.until_emailed().await;
    insta::assert_snapshot!("order_show_held", show(&house, "SHOP-1001").await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_doubt_is_shown_with_what_their_support_asks_for() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "status", "status": 500 }));
    let daemon = house.daemon(&[]);
    house.until_listed().await;
    house.submit("SHOP-1001", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1001", "attention").await;
    house.until_emailed().await;
    house.until_looked("SHOP-1001/0", "the sites", 1).await;
    insta::assert_snapshot!("order_show_in_doubt", show(&house, "SHOP-1001").await);
    let report = show_json(&house, "SHOP-1001").await;
    assert_eq!(report["lines"][0]["placements"][0]["attempts"][0]["http_status"], 500);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_not_delivered_is_shown_with_what_to_ask() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "fail" }));
    let daemon = house.daemon(&[("POLL__FAILED_RECHECK", "1ms")]);
    house.submit("SHOP-1001", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1001", "failed").await;
    house.until_emailed().await;
    insta::assert_snapshot!("order_show_undelivered", show(&house, "SHOP-1001").await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_bought_twice_says_so_where_a_person_looks() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "process_then_drop" }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1001", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1001", "attention").await;
    declare_absent(&house, "SHOP-1001").await;
    house.until_order("SHOP-1001", "completed").await;
    answer_late(&house, "SHOP-1001/0", (Outcome::Accepted, Some(110))).await;
    let shown = show(&house, "SHOP-1001").await;
    let advice = shown.lines().last().expect("it says what to do");
    assert!(
        advice.contains("line 0: BOUGHT TWICE: an answer came late for LJPc order 110"),
        "{shown}"
    );
    assert!(advice.contains("all orders of SHOP-1001/0 and SHOP-1001/0#2"), "{shown}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_has_looked_at_is_shown_and_json_can_be_read_in_every_state() {
    let house = House::new().await;
    house.submit("SHOP-1001", json!([hosting("example.nl"), hosting("example.com")])).await;
    insta::assert_snapshot!("order_show_accepted", show(&house, "SHOP-1001").await);
    assert_eq!(show_json(&house, "SHOP-1001").await["status"], "accepted");
    assert_eq!(house.cancel("SHOP-1001").await, "cancelled");
    insta::assert_snapshot!("order_show_cancelled", show(&house, "SHOP-1001").await);
    let report = show_json(&house, "SHOP-1001").await;
    assert_eq!(report["lines"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["reference"], "SHOP-1001");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_under_way_is_shown_with_its_next_look() {
    let house = House::with(|options| options.delay = std::time::Duration::from_hours(1)).await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1001", json!([hosting("example.nl")])).await;
    eventually("it is polled", async || house.requests("GET", "/api/v1/orders/").len() > 1).await;
    let report = show_json(&house, "SHOP-1001").await;
    let line = &report["lines"][0];
    assert_eq!(
        (line["status"].as_str(), line["simple_status"].as_str()),
        (Some("provisioning"), Some("pending"))
    );
    assert!(line["next_at"].is_string(), "{line}");
    let shown = show(&house, "SHOP-1001").await;
    assert!(shown.contains("polled "), "{shown}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_there_is_an_error_of_one_line() {
    let house = House::new().await;
    let output = provisor(&house, &["order", "show", "SHOP-404"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(error, "provisor: there is no order SHOP-404\n");
}

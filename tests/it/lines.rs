//! Lines on their way, beside the sandbox: what is ordered, what is held, what waits for what, what can be cancelled.

use std::time::Duration;

use provisor::sandbox::Stage;
use serde_json::{Value, json};

use crate::house::{House, eventually, hosting};

/// The 5 GB package's id in the sandbox's catalogue, which is the one of LJPc's samples.
const FIVE_GB: &str = "afe29fe6-1d1b-4b8c-9a55-0c4a2f7d1e01";
/// The forwarding package's.
const FORWARD: &str = "31f7c2a8-6e0d-4b59-a7c3-8d1f5e2b4c06";
/// A product that is a domain.
const DOMAIN_NL: &str = "d05a9c4f-8b12-4f63-9e07-b3a1c8d6e208";

#[tokio::test(flavor = "multi_thread")]
async fn a_hosting_order_goes_from_sql_to_delivered() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    assert_eq!(house.sandbox.state().summary().most_per_tag, 1);
    assert_eq!(house.sandbox.state().mails().len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_one_upstream_order_of_one_line_that_bears_its_tag() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let lines = json!([
        { "kind": "hosting", "package": "hosting_5gb", "domain": "monthly.example", "billing_period": "monthly" },
        { "kind": "hosting", "package": "hosting_100gb", "domain": "YEARLY.example", "billing_period": "yearly",
          "max_cost": "359.91" },
        { "kind": "hosting", "package": "hosting_forward", "domain": "forward.example",
          "target_url": "https://example.com/shop?from=old" },
        { "kind": "hosting", "package": "hosting_dns", "domain": "dns.example" },
        { "kind": "hosting", "package": "hosting_dns", "domain": "dns-yearly.example", "billing_period": "yearly" },
        { "kind": "hosting", "product_uuid": FIVE_GB, "domain": "uuid.example", "billing_period": "yearly" },
        { "kind": "hosting_own", "space_id": 7, "domain": "own.example" },
        { "kind": "hosting", "package": "hosting_1gb", "domain": "bücher.example", "billing_period": "monthly" },
    ]);
    let count = lines.as_array().map_or(0, Vec::len);
    house.submit("SHOP-1", lines).await;
    house.until_order("SHOP-1", "completed").await;

    let mut bodies: Vec<Value> = house
        .posts("SHOP-1")
        .iter()
        .map(|post| serde_json::from_str(post.body.as_str()).expect("a JSON body"))
        .collect();
    bodies.sort_by_key(|body| body["summary"].to_string());
    let bodies = serde_json::to_string_pretty(&bodies).expect("plain JSON");
    insta::assert_snapshot!("orders_that_were_placed", bodies);

    let summary = house.sandbox.state().summary();
    assert_eq!((summary.orders, summary.untagged, summary.most_per_tag), (count, 0, 1));
    let mut seen = Vec::new();
    for line in (0..).take(count) {
        let line = house.line("SHOP-1", line).await;
        assert!(line.site_id.is_some() && line.upstream_order_id.is_some(), "{line:?}");
        assert_eq!((line.status.as_str(), line.why()), ("completed", ""));
        let (domain, cost) = (line.domain.unwrap_or_default(), line.cost.unwrap_or_default());
        seen.push(format!("{domain} {cost}"));
    }
    insta::assert_snapshot!("domains_and_costs_of_lines", seen.join("\n"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_must_decide_is_held_and_what_can_not_be_fails() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let five = |extra: Value| with(hosting("example.nl"), extra);
    let table = [
        (
            "held",
            five(json!({ "max_cost": "4.48" })),
            "costs 4.49 EUR monthly, more than max_cost 4.48 EUR",
        ),
        (
            "held",
            five(json!({ "package": "hosting_7gb" })),
            "LJPc's catalogue has no product hosting_7gb",
        ),
        (
            "held",
            product(FIVE_GB.replace("afe", "bfe").as_str()),
            "LJPc's catalogue has no product bfe29fe6",
        ),
        ("held", product(DOMAIN_NL), "is no hosting package"),
        ("failed", product(FORWARD), "target_url is required for hosting_forward"),
        (
            "failed",
            five(json!({ "billing_period": null })),
            "billing_period is required for hosting_5gb",
        ),
        ("failed", five(json!({ "package": "hosting_dns" })), "hosting_dns can't be paid monthly"),
        ("failed", hosting("xn--a.example"), "is not a domain name"),
    ];
    for (n, (_, line, _)) in table.iter().enumerate() {
        house.submit(&format!("SHOP-{n}"), json!([line])).await;
    }
    for (n, (status, line, reason)) in table.iter().enumerate() {
        let reference = format!("SHOP-{n}");
        house.until_line(&reference, 0, status).await;
        let seen = house.line(&reference, 0).await;
        assert!(seen.why().contains(reason), "{line}: {}", seen.why());
        assert!(!seen.sent, "{line}");
        let held = *status == "held";
        let (order, explained) = house.order(&reference).await;
        assert_eq!(order, if held { "attention" } else { "failed" }, "{line}");
        assert!(explained.is_some_and(|text| text.ends_with(seen.why())), "{line}");
        house.look_again(seen.id, 1).await;
        assert_eq!(house.told_operator(&reference, "held").await, usize::from(held), "{line}");
        assert_eq!(
            house.count_emails(&reference, "order_failed").await,
            usize::from(!held),
            "{line}"
        );
        let withdrawn = if held { "cancelled" } else { "too_late" };
        assert_eq!(house.cancel(&reference).await, withdrawn, "{line}");
    }
    assert!(house.requests("POST", "/").is_empty(), "nothing was sent");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_is_just_max_cost_fits() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    house
        .submit("SHOP-1", json!([with(hosting("example.nl"), json!({ "max_cost": "4.49" }))]))
        .await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.cost.as_deref(), Some("4.49"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosting_waits_for_the_registration_of_its_name_in_whatever_spelling() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    for (reference, registered, hosted) in [
        ("ASCII-1", "example.nl", "EXAMPLE.nl"),
        ("IDN-1", "xn--bcher-kva.nl", "bücher.nl"),
        ("IDN-2", "BÜCHER.com", "bücher.com"),
    ] {
        // Dearer than it may be, so that it stays where it is.
        let register = json!({ "kind": "domain_register", "domain": registered, "contact_handle": "BB0001-EX",
                               "max_cost": "0.01" });
        house.submit(reference, json!([register, hosting(hosted), hosting("other.example")])).await;
        house.until_line(reference, 0, "held").await;
        house.until_line(reference, 2, "completed").await;
        house
            .until_reason(reference, 1, "waits for line 0 (domain_register) to have its name")
            .await;
        house.until_order(reference, "attention").await;
        let (_, reason) = house.order(reference).await;
        assert!(
            reason.is_some_and(|reason| reason.starts_with("line 0 (domain_register) is held:"))
        );
        assert_eq!(house.line_status(reference, 1).await, "pending", "{reference}");
        assert_eq!(house.bought(&format!("{reference}/1")), 0, "{reference}");
        assert_eq!(house.told_operator(reference, "held").await, 1, "{reference}");
        // The name of the line that goes on is free for the next order.
        house.until_emailed().await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_end_at_once_do_not_leave_their_order_stuck() {
    let house = House::new().await;
    // Two processes: the two lines' records meet in the database, not in one group commit.
    let daemons = [house.daemon(&[]), house.daemon(&[])];
    for n in 0..25 {
        let (one, two) = (hosting(&format!("a{n}.example")), hosting(&format!("b{n}.example")));
        house.submit(&format!("SHOP-{n}"), json!([one, two])).await;
    }
    for n in 0..25 {
        let reference = format!("SHOP-{n}");
        house.until_order(&reference, "completed").await;
        assert_eq!(house.count_events(&reference, "order_completed").await, 1, "{reference}");
        assert_eq!(house.count_emails(&reference, "order_completed").await, 1, "{reference}");
    }
    house.until_emailed().await;
    let summary = house.sandbox.state().summary();
    assert_eq!((summary.orders, summary.most_per_tag), (50, 1));
    assert_eq!(house.sandbox.state().mails().len(), 25);
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_refused_is_partial_and_all_refused_is_failed() {
    let house = House::new().await;
    let refuse = json!({ "endpoint": "POST /api/v1/orders", "fault": "status", "status": 422, "times": 10,
                         "message": "domain is banned", "match": { "domain": "banned" } });
    house.fault(&refuse);
    let daemon = house.daemon(&[]);
    house.submit("SOME-1", json!([hosting("good.example"), hosting("banned-1.example")])).await;
    house.submit("NONE-1", json!([hosting("banned-2.example"), hosting("banned-3.example")])).await;
    house.until_order("SOME-1", "partial").await;
    house.until_order("NONE-1", "failed").await;
    let refused = "is failed: LJPc refused the order: domain is banned";
    assert_eq!(house.order("SOME-1").await.1, Some(format!("line 1 (hosting) {refused}")));
    assert_eq!(house.order("NONE-1").await.1, Some(format!("line 0 (hosting) {refused}")));
    house.until_emailed().await;
    for (reference, template) in [("SOME-1", "order_partial"), ("NONE-1", "order_failed")] {
        let sent = |status: &str| (template.to_owned(), None, status.to_owned());
        assert!(house.emails(reference).await.contains(&sent("sent")), "{reference}");
        assert_eq!(house.emails(reference).await.len(), 2, "{reference}: it, and the receipt");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_order_of_hosting_for_a_name_waits_until_the_first_has_its_site() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let daemon = house.daemon(&[]);
    house.submit("FIRST", json!([hosting("example.nl")])).await;
    house.until_line("FIRST", 0, "provisioning").await;
    house.submit("SECOND", json!([hosting("example.nl")])).await;
    house.until_reason("SECOND", 0, "hosting for its name is being placed by another line").await;
    let second = house.line("SECOND", 0).await;
    assert_eq!((second.status.as_str(), second.sent), ("pending", false));
    house.look_again(second.id, 2).await;
    assert!(house.posts("SECOND").is_empty());
    house.drive("FIRST/0", Stage::Completed);
    house.until_order("FIRST", "completed").await;
    house.until_line("SECOND", 0, "provisioning").await;
    house.drive("SECOND/0", Stage::Completed);
    house.until_order("SECOND", "completed").await;
    assert_eq!((house.posts("FIRST").len(), house.posts("SECOND").len()), (1, 1));
    assert_ne!(house.line("FIRST", 0).await.site_id, house.line("SECOND", 0).await.site_id);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_been_sent_can_be_cancelled_and_stays_unsent() {
    let house = House::new().await;
    house.submit("PENDING-1", json!([hosting("pending.example")])).await;
    assert_eq!(house.cancel("PENDING-1").await, "cancelled");
    let daemon = house.daemon(&[]);
    house
        .submit(
            "HELD-1",
            json!([with(hosting("held.example"), json!({ "package": "hosting_7gb" }))]),
        )
        .await;
    house.until_line("HELD-1", 0, "held").await;
    assert_eq!(house.cancel("HELD-1").await, "cancelled");
    for reference in ["PENDING-1", "HELD-1"] {
        let line = house.line(reference, 0).await;
        house.look_again(line.id, 1).await;
        assert_eq!(house.order(reference).await, ("cancelled".to_owned(), None), "{reference}");
        assert_eq!(house.line_status(reference, 0).await, "cancelled", "{reference}");
        assert_eq!(house.cancel(reference).await, "cancelled", "{reference}");
    }
    assert!(house.requests("POST", "/").is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_while_the_line_is_being_prepared_wins() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "GET /api/v1/products", "fault": "slow", "delay_ms": 700 }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the catalogue is being read", async || {
        !house.requests("GET", "/api/v1/products").is_empty()
    })
    .await;
    assert_eq!(house.cancel("SHOP-1").await, "cancelled");
    let line = house.line("SHOP-1", 0).await;
    eventually("the run has ended", async || !house.runs(line.id).await.1).await;
    house.look_again(line.id, 1).await;
    assert!(house.posts("SHOP-1").is_empty());
    assert_eq!(house.line_status("SHOP-1", 0).await, "cancelled");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_while_the_request_is_under_way_is_too_late() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "slow", "delay_ms": 700 }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the order is being sent", async || !house.posts("SHOP-1").is_empty()).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "placing");
    assert_eq!(house.cancel("SHOP-1").await, "too_late");
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.cancel("SHOP-1").await, "too_late");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cancellation_and_a_placement_exactly_one_wins() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let races = (0..50_u64).map(|n| {
        let house = &house;
        async move {
            let reference = format!("RACE-{n}");
            house.submit(&reference, json!([hosting(&format!("race-{n}.example"))])).await;
            // Spread over the time that a placement takes.
            tokio::time::sleep(Duration::from_millis(n * 2)).await;
            (house.cancel(&reference).await, reference)
        }
    });
    for (answer, reference) in futures_util::future::join_all(races).await {
        if answer == "too_late" {
            house.until_order(&reference, "completed").await;
            assert_eq!(house.posts(&reference).len(), 1, "{reference}");
        } else {
            assert_eq!(answer, "cancelled", "{reference}");
            let line = house.line(&reference, 0).await;
            eventually("the run has ended", async || !house.runs(line.id).await.1).await;
            house.look_again(line.id, 1).await;
            assert!(house.posts(&reference).is_empty(), "{reference}");
            assert_eq!(house.line_status(&reference, 0).await, "cancelled", "{reference}");
        }
    }
    daemon.stop().await;
}

/// A line by a product's id, without a billing period.
fn product(uuid: &str) -> Value {
    json!({ "kind": "hosting", "product_uuid": uuid, "domain": "example.nl" })
}

/// An object with keys of another laid over its own; a null takes one away.
fn with(mut line: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { panic!("an object is laid over") };
    for (key, value) in extra {
        line[key] = value;
    }
    line
}

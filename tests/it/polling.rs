//! What a poll means (contract, section 2, "Poll"), and whom a long wait is told.

use std::time::Duration;

use provisor::sandbox::Stage;
use serde_json::{Value, json};

use crate::{
    commands::closed_port,
    house::{House, eventually, hosting},
};

/// What polls ask for.
const GET: &str = "GET /api/v1/orders/{id}";

/// A house whose sandbox delivers nothing before it is driven.
async fn slow_house() -> House {
    House::with(|options| options.delay = Duration::from_hours(1)).await
}

/// The upstream's words for an order as its timeline has them.
async fn words(house: &House, reference: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT detail ->> 'simple_status' FROM provisor.order_events
         WHERE reference = $1 AND event = 'upstream_status' ORDER BY id",
    )
    .bind(reference)
    .fetch_all(&house.world.pool)
    .await
    .expect("events can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_polled_from_pending_over_processing_to_its_site() {
    let house = slow_house().await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    for (stage, count) in [(Stage::Pending, 1), (Stage::Processing, 2), (Stage::Completed, 3)] {
        if stage != Stage::Pending {
            house.drive("SHOP-1/0", stage);
        }
        eventually(&format!("{count} words were seen"), async || {
            words(&house, "SHOP-1").await.len() == count
        })
        .await;
    }
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(words(&house, "SHOP-1").await, ["pending", "processing", "completed"]);
    let line = house.line("SHOP-1", 0).await;
    let delivered = &house.sandbox.state().orders()[0].deliveries[0];
    assert_eq!(line.site_id, delivered.site_id.map(|site| site.0));
    assert_eq!(line.reason, None);
    let site: (String, Option<String>) = sqlx::query_as(
        "SELECT domain, customer_reference FROM provisor.site_status WHERE site_id = $1",
    )
    .bind(line.site_id)
    .fetch_one(&house.world.pool)
    .await
    .expect("the site is noted");
    assert_eq!(site, ("example.nl".to_owned(), Some("C-77".to_owned())));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_show_nothing_new_write_nothing_and_stop_with_the_line() {
    let house = slow_house().await;
    let daemon = house.daemon(&[("POLL__MAX_INTERVAL", "100ms")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("it is polled", async || !words(&house, "SHOP-1").await.is_empty()).await;
    let events = house.events("SHOP-1").await;
    let before = house.requests("GET", "/api/v1/orders/").len();
    eventually("it is polled on", async || {
        house.requests("GET", "/api/v1/orders/").len() > before + 3
    })
    .await;
    assert_eq!(house.events("SHOP-1").await, events);
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    let polls = house.requests("GET", "/api/v1/orders/").len();
    let line = house.line("SHOP-1", 0).await;
    house.look_again(line.id, 2).await;
    assert_eq!(house.requests("GET", "/api/v1/orders/").len(), polls);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_that_is_repaired_in_time_is_completed() {
    let house = slow_house().await;
    let daemon = house.daemon(&[("POLL__FAILED_RECHECK", "1h")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.drive("SHOP-1/0", Stage::Failed);
    house.until_reason("SHOP-1", 0, "it is looked at again in case it is repaired").await;
    assert_eq!(house.order("SHOP-1").await.0, "in_progress");
    // Long before the recheck ends: it is not only looked at then.
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.reason, None);
    assert_eq!(house.count_emails("SHOP-1", "order_failed").await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_that_stays_so_fails_the_line_after_the_recheck() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "fail" }));
    let daemon = house.daemon(&[("POLL__FAILED_RECHECK", "1s")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "failed").await;
    assert_eq!(house.line("SHOP-1", 0).await.why(), "LJPc reports that the delivery failed");
    let polls = house.requests("GET", "/api/v1/orders/");
    let (first, last) = (polls[0].at, polls[polls.len() - 1].at);
    assert!((last - first).num_milliseconds() >= 990, "{}", last - first);
    assert!(polls.len() > 2, "it was looked at again meanwhile");
    assert_eq!(house.count_emails("SHOP-1", "order_failed").await, 1);
    // A failed delivery frees the name: the shop's next order for it is not in its way.
    house.submit("SHOP-2", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-2", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_not_named_is_waited_for_and_then_done_without() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "no_site_id" }));
    let daemon = house.daemon(&[("POLL__SITE_ID_WAIT", "1s")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_reason("SHOP-1", 0, "its site is waited for").await;
    house.until_order("SHOP-1", "completed").await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!(line.why(), "LJPc reports it as completed, but named no site");
    assert_eq!(line.site_id, None);
    assert_eq!(house.count_emails("SHOP-1", "order_completed").await, 1);
    // It is no longer waited for, so the name is free.
    house.submit("SHOP-2", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-2", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_named_late_is_taken_as_soon_as_it_is_there() {
    let house = slow_house().await;
    let daemon = house.daemon(&[("POLL__SITE_ID_WAIT", "1h")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.drive_with_site("SHOP-1/0", None);
    house.until_reason("SHOP-1", 0, "its site is waited for").await;
    house.drive_with_site("SHOP-1/0", Some(4711));
    house.until_order("SHOP-1", "completed").await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.site_id, line.reason), (Some(4711), None));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_another_line_has_brought_already_ends_the_line_all_the_same() {
    let house = slow_house().await;
    let daemon = house.daemon(&[]);
    for (reference, domain) in [("SHOP-1", "one.example"), ("SHOP-2", "two.example")] {
        house.submit(reference, json!([hosting(domain)])).await;
        house.until_line(reference, 0, "provisioning").await;
        house.drive_with_site(&format!("{reference}/0"), Some(4711));
        house.until_order(reference, "completed").await;
        let line = house.line(reference, 0).await;
        assert_eq!((line.site_id, line.reason), (Some(4711), None), "{reference}");
        assert_eq!(house.count_emails(reference, "order_completed").await, 1, "{reference}");
    }
    let sites: Vec<(String, Option<i64>)> =
        sqlx::query_as("SELECT tag, site_id FROM provisor.effects ORDER BY tag")
            .fetch_all(&house.world.pool)
            .await
            .expect("the ledger can be read");
    assert_eq!(sites, [("SHOP-1/0".to_owned(), Some(4711)), ("SHOP-2/0".to_owned(), None)]);
    let of: String =
        house.world.value("SELECT domain FROM provisor.site_status WHERE site_id = 4711").await;
    assert_eq!(of, "one.example", "it is the first one's");
    // Neither name is waited for any longer.
    house.submit("SHOP-3", json!([hosting("two.example")])).await;
    house.until_line("SHOP-3", 0, "provisioning").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_can_not_be_read_is_asked_for_again_and_fails_nobody() {
    let house = House::new().await;
    let faults = [
        json!({ "fault": "status", "status": 404, "message": "Order not found" }),
        json!({ "fault": "foreign_403" }),
        json!({ "fault": "html", "status": 404 }),
        json!({ "fault": "html", "status": 403 }),
        json!({ "fault": "status", "status": 500 }),
        json!({ "fault": "html", "status": 503 }),
        json!({ "fault": "drop" }),
        json!({ "fault": "process_then_drop" }),
        json!({ "fault": "garbage" }),
        json!({ "fault": "truncate" }),
        json!({ "fault": "big_body" }),
        json!({ "fault": "redirect" }),
        json!({ "fault": "rate_limit", "retry_after": "1" }),
        json!({ "fault": "slow", "delay_ms": 30_000 }),
    ];
    let daemon = house.daemon(&[("LJPC__TIMEOUT", "700ms")]);
    for (n, fault) in faults.iter().enumerate() {
        let (reference, mut fault) = (format!("GET-{n}"), fault.clone());
        fault["endpoint"] = json!(GET);
        fault["times"] = json!(2);
        fault["match"] = json!({ "reference": format!("{reference}/") });
        house.fault(&fault);
        house.submit(&reference, json!([hosting(&format!("get-{n}.example"))])).await;
    }
    for (n, fault) in faults.iter().enumerate() {
        let reference = format!("GET-{n}");
        house.until_order(&reference, "completed").await;
        let line = house.line(&reference, 0).await;
        assert_eq!((line.reason, line.site_id.is_some()), (None, true), "{fault}");
        assert_eq!(house.posts(&reference).len(), 1, "{fault}");
        assert_eq!(house.count_events(&reference, "failed").await, 0, "{fault}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_poll_is_told_where_the_answer_was_clear() {
    let house = House::new().await;
    let fault = json!({ "endpoint": GET, "fault": "status", "status": 404, "message": "Order not found",
                        "times": 1000 });
    house.fault(&fault);
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house
        .until_reason("SHOP-1", 0, "LJPc answers 404 when asked for the order; it is asked again")
        .await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    house.no_more_faults();
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_during_a_poll_stops_the_polls_and_fails_nobody() {
    let house = slow_house().await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.fault(&json!({ "endpoint": "*", "fault": "unauthorized", "times": 10_000 }));
    eventually("the circuit is open", async || {
        let open: i64 =
            house.world.value("SELECT count(*) FROM provisor.circuits WHERE endpoint = ''").await;
        open == 1
    })
    .await;
    house.drive("SHOP-1/0", Stage::Completed);
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    house.no_more_faults();
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.count_events("SHOP-1", "failed").await, 0);
    daemon.stop().await;
}

/// The emails of an order that is overdue, beside its receipt.
async fn assert_told_of_the_delay_once(house: &House, reference: &str) {
    eventually("both sides are told", async || {
        house.told_operator(reference, "overdue").await == 1
            && house.count_emails(reference, "order_delayed").await == 1
    })
    .await;
    let polls = house.requests("GET", "/api/v1/orders/").len();
    eventually("it is polled on", async || {
        house.requests("GET", "/api/v1/orders/").len() > polls + 3
    })
    .await;
    assert_eq!(house.count_events(reference, "overdue").await, 1);
    assert_eq!(house.emails(reference).await.len(), 3, "no more than those and the receipt");
    assert_eq!(house.line_status(reference, 0).await, "provisioning", "no clock fails it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_is_told_once_to_the_operator_and_to_the_customer() {
    let house = slow_house().await;
    let daemon = house.daemon(&[("POLL__OVERDUE_AFTER", "500ms"), ("POLL__MAX_INTERVAL", "100ms")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    assert_told_of_the_delay_once(&house, "SHOP-1").await;
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_is_told_also_while_the_upstream_gives_no_answer() {
    let house = slow_house().await;
    house.fault(&json!({ "endpoint": GET, "fault": "status", "status": 500, "times": 10_000 }));
    let daemon = house.daemon(&[("POLL__OVERDUE_AFTER", "500ms"), ("POLL__MAX_INTERVAL", "100ms")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    assert_told_of_the_delay_once(&house, "SHOP-1").await;
    daemon.stop().await;
}

/// The emails of an order that waits long without being placed, beside its receipt. The line goes on waiting.
async fn assert_told_once_unplaced(house: &House, reference: &str) {
    eventually("both sides are told", async || {
        house.told_operator(reference, "overdue").await == 1
            && house.count_emails(reference, "order_delayed").await == 1
    })
    .await;
    let line = house.line(reference, 0).await;
    assert_eq!((line.status.as_str(), line.sent), ("pending", false), "no clock fails it");
    assert_eq!(house.count_events(reference, "overdue").await, 1);
    assert_eq!(house.emails(reference).await.len(), 3, "no more than those and the receipt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_can_not_even_be_placed_is_told_of_once() {
    let house = House::new().await;
    let (_kept, closed) = closed_port();
    let url = format!("http://{closed}");
    let daemon = house.daemon(&[("LJPC__BASE_URL", &url), ("POLL__OVERDUE_AFTER", "500ms")]);
    // The one fails at reading the catalogue, the other at connecting for the order itself.
    house.submit("GET-1", json!([hosting("get.example")])).await;
    let own = json!([{ "kind": "hosting_own", "space_id": 7, "domain": "post.example" }]);
    house.submit("POST-1", own).await;
    for reference in ["GET-1", "POST-1"] {
        assert_told_once_unplaced(&house, reference).await;
        let line = house.line(reference, 0).await;
        house.look_again(line.id, 2).await;
        assert_told_once_unplaced(&house, reference).await;
        assert!(line.why().starts_with("LJPc can't be asked ("), "{reference}: {}", line.why());
    }
    house.until_emailed().await;
    assert_eq!(house.cancel("GET-1").await, "cancelled", "told or not");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_waits_for_a_good_key_is_told_of_once() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "*", "fault": "unauthorized", "times": 100_000 }));
    let daemon = house.daemon(&[("POLL__OVERDUE_AFTER", "3s")]);
    house.submit("FIRST-1", json!([hosting("first.example")])).await;
    eventually("the circuit is open", async || {
        house.world.value::<i64>("SELECT count(*) FROM provisor.circuits").await == 1
    })
    .await;
    // One that comes while it is shut is not even tried.
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    for reference in ["FIRST-1", "SHOP-1"] {
        assert_told_once_unplaced(&house, reference).await;
    }
    house.until_reason("SHOP-1", 0, "waits until LJPc accepts the API key").await;
    assert!(house.posts("SHOP-1").is_empty());
    house.no_more_faults();
    for reference in ["FIRST-1", "SHOP-1"] {
        house.until_order(reference, "completed").await;
        assert_eq!(house.told_operator(reference, "overdue").await, 1, "{reference}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_polls_wait_for_a_good_key_is_told_of_once() {
    let house = slow_house().await;
    let daemon = house.daemon(&[("POLL__OVERDUE_AFTER", "3s")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.fault(&json!({ "endpoint": "*", "fault": "unauthorized", "times": 100_000 }));
    let open = "SELECT count(*) FROM provisor.circuits WHERE endpoint = ''";
    eventually("the circuit is open", async || house.world.value::<i64>(open).await == 1).await;
    let polls = house.requests("GET", "/api/v1/orders/").len();
    eventually("both sides are told", async || {
        house.told_operator("SHOP-1", "overdue").await == 1
            && house.count_emails("SHOP-1", "order_delayed").await == 1
    })
    .await;
    let line = house.line("SHOP-1", 0).await;
    house.look_again(line.id, 2).await;
    assert_eq!(house.count_events("SHOP-1", "overdue").await, 1);
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    assert_eq!(house.requests("GET", "/api/v1/orders/").len(), polls, "nothing is asked for it");
    house.no_more_faults();
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_once_when_a_line_is_done_and_another_still_open() {
    let house = slow_house().await;
    let daemon = house.daemon(&[("POLL__PROGRESS_AFTER", "1s")]);
    let lines: Value = json!([hosting("a.example"), hosting("b.example"), hosting("c.example")]);
    house.submit("SHOP-1", lines).await;
    house.submit("WHOLE-1", json!([hosting("d.example"), hosting("e.example")])).await;
    for tag in ["SHOP-1/0", "SHOP-1/1", "SHOP-1/2", "WHOLE-1/0", "WHOLE-1/1"] {
        eventually("it is placed", async || house.bought(tag) == 1).await;
    }
    for tag in ["WHOLE-1/0", "WHOLE-1/1", "SHOP-1/0"] {
        house.drive(tag, Stage::Completed);
    }
    house.until_order("WHOLE-1", "completed").await;
    eventually("progress is told", async || {
        house.count_emails("SHOP-1", "order_progress").await == 1
    })
    .await;
    house.drive("SHOP-1/1", Stage::Completed);
    house.until_line("SHOP-1", 1, "completed").await;
    house.drive("SHOP-1/2", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    let templates = |emails: Vec<(String, Option<String>, String)>| -> Vec<String> {
        emails.into_iter().map(|(template, ..)| template).collect()
    };
    let told = ["order_received", "order_progress", "order_completed"];
    assert_eq!(templates(house.emails("SHOP-1").await), told);
    daemon.stop().await;
}

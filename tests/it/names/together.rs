//! What waits for what, within an order and between orders of one name.

use std::time::Duration;

use provisor::sandbox::Stage;
use serde_json::json;

use super::{REGISTER, a_record, customer, dns, register, transfer, update};
use crate::{
    house::{House, eventually, hosting},
    intake::refusal,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_its_hosting_and_its_zone_follow_each_other() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    // A package without a panel leaves the zone to the API. The order of the lines means nothing.
    let lines = json!([
        dns("example.nl", &json!([a_record("@", "192.0.2.10")])),
        { "kind": "hosting", "package": "hosting_dns", "domain": "example.nl" },
        update("example.nl", json!({ "transfer_lock": false })),
        register("example.nl", json!({ "auto_renew": false })),
    ]);
    house.order_names("SHOP-1", lines).await;
    house.until_order("SHOP-1", "completed").await;
    let journal = super::story::requests(&house.sandbox.state().journal(0));
    let writes: Vec<&str> = journal
        .iter()
        .filter(|request| !request.starts_with("GET "))
        .map(|request| request.split(" {").next().unwrap_or_default())
        .collect();
    assert_eq!(
        writes[..3],
        [
            "POST /api/hosting/v1/contacts",
            "POST /api/hosting/v1/domain-names",
            "PATCH /api/hosting/v1/domain-names/example.nl"
        ]
    );
    assert_eq!(writes.last(), Some(&"PUT /api/hosting/v1/dns/zones/example.nl/records"));
    let patches = house.requests("PATCH", "/");
    let bodies: Vec<&str> = patches.iter().map(|patch| patch.body.as_str()).collect();
    assert_eq!(bodies, [r#"{"auto_renew":false}"#, r#"{"transfer_lock":false}"#]);
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosting_goes_on_as_soon_as_the_name_is_there() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let daemon = house.quick_daemon();
    let name = register("example.nl", json!({ "dns": [a_record("www", "192.0.2.10")] }));
    house.order_names("SHOP-1", json!([name, hosting("example.nl")])).await;
    // The registration's own records wait for the hosting, which waits for the registration: steps, not lines.
    house.until_line("SHOP-1", 1, "provisioning").await;
    house.until_reason("SHOP-1", 0, "its DNS waits for line 1 (hosting) to end").await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    assert!(house.requests("PUT", "/").is_empty());
    house.drive("SHOP-1/1", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zone_is_written_also_if_the_hosting_failed() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "fail", "times": 2 }));
    let daemon = house.daemon(&[("POLL__FAILED_RECHECK", "1ms")]);
    let records = json!([a_record("@", "192.0.2.10")]);
    house
        .order_names(
            "OWN",
            json!([register("own.nl", json!({ "dns": records })), hosting("own.nl")]),
        )
        .await;
    house
        .order_names(
            "LINE",
            json!([register("line.nl", json!({})), hosting("line.nl"), dns("line.nl", &records)]),
        )
        .await;
    for (reference, name) in [("OWN", "own.nl"), ("LINE", "line.nl")] {
        house.until_order(reference, "partial").await;
        assert_eq!(house.line_status(reference, 0).await, "completed");
        assert_eq!(house.line_status(reference, 1).await, "failed");
        assert_eq!(house.sandbox.state().zone(name).map(|zone| zone.len()), Some(1), "{name}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_registration_fails_what_needs_it_and_nothing_else() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let lines = json!([
        register("taken.nl", json!({})),
        hosting("taken.nl"),
        dns("taken.nl", &json!([a_record("@", "192.0.2.10")])),
        update("taken.nl", json!({ "auto_renew": false })),
        hosting("other.nl"),
    ]);
    house.order_names("SHOP-1", lines).await;
    house.until_order("SHOP-1", "partial").await;
    for line in 1..=3 {
        let seen = house.line("SHOP-1", line).await;
        assert_eq!(seen.status, "failed");
        assert!(
            seen.why().starts_with("line 0 (domain_register), which it needs, is failed"),
            "{seen:?}"
        );
        assert!(!seen.sent);
    }
    insta::assert_snapshot!("registration_failed", house.outcome("SHOP-1").await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_held_registration_waits_for_a_person() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let lines = json!([
        register("premium.nl", json!({})),
        hosting("premium.nl"),
        dns("premium.nl", &json!([])),
        update("premium.nl", json!({ "auto_renew": false })),
        hosting("other.nl"),
    ]);
    house.order_names("SHOP-1", lines).await;
    house.until_order("SHOP-1", "attention").await;
    for (line, what) in [(1, "to have its name"), (3, "to have its name arranged")] {
        let why = format!("waits for line 0 (domain_register) {what}");
        house.until_reason("SHOP-1", line, &why).await;
    }
    for line in 1..=3 {
        assert_eq!(house.line_status("SHOP-1", line).await, "pending");
    }
    assert_eq!(house.line_status("SHOP-1", 4).await, "completed");
    assert_eq!(house.told_operator("SHOP-1", "held").await, 1);
    assert_eq!(house.posts("SHOP-1").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_registration_in_doubt_waits_and_goes_on_with_the_truth() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": REGISTER, "fault": "drop" }));
    let daemon = house.quick_daemon();
    house
        .order_names("SHOP-1", json!([register("example.nl", json!({})), hosting("example.nl")]))
        .await;
    house.until_order("SHOP-1", "attention").await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    assert_eq!(house.line_status("SHOP-1", 1).await, "pending");
    // It has come about after all.
    house.put_domain(
        &json!({ "domain": "example.nl", "status": "active", "contact_handle": "sandbox-0001" }),
    );
    house.look_again(house.line("SHOP-1", 0).await.id, 1).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.requests("POST", "/api/hosting/v1/domain-names").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosting_does_not_wait_for_a_transfer_and_all_else_does() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let daemon = house.quick_daemon();
    let lines = json!([
        transfer("example.nl", json!({})),
        { "kind": "hosting", "package": "hosting_dns", "domain": "example.nl" },
        dns("example.nl", &json!([a_record("@", "192.0.2.10")])),
        update("example.nl", json!({ "auto_renew": false })),
    ]);
    house.order_names("SHOP-1", lines).await;
    house.until_line("SHOP-1", 1, "provisioning").await;
    house.drive("SHOP-1/1", Stage::Completed);
    house.until_line("SHOP-1", 1, "completed").await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.until_reason("SHOP-1", 2, "waits for line 0 (domain_transfer) to be completed").await;
    house
        .until_reason("SHOP-1", 3, "waits for line 0 (domain_transfer) to have its name arranged")
        .await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active" }));
    house.look_again(house.line("SHOP-1", 0).await.id, 1).await;
    house.until_order("SHOP-1", "completed").await;
    assert!(!house.sandbox.state().domains()[0].auto_renew);
    assert_eq!(house.sandbox.state().zone("example.nl").map(|zone| zone.len()), Some(1));
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transfer_fails_its_updates_and_not_its_hosting() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let lines = json!([
        transfer("example.nl", json!({ "auth_code": "wrong" })),
        hosting("example.nl"),
        update("example.nl", json!({ "auto_renew": false })),
    ]);
    house.order_names("SHOP-1", lines).await;
    house.until_order("SHOP-1", "partial").await;
    assert_eq!(house.line_status("SHOP-1", 1).await, "completed");
    assert!(
        house.line("SHOP-1", 2).await.why().starts_with("line 0 (domain_transfer), which it needs")
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_order_of_a_name_waits_and_then_finds_it_taken() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": REGISTER, "fault": "slow", "delay_ms": 1500 }));
    let daemons = [house.quick_daemon(), house.quick_daemon()];
    house.order_names("FIRST", json!([register("example.nl", json!({}))])).await;
    house.order_of("SECOND", &customer("C-78"), json!([register("example.nl", json!({}))])).await;
    house
        .until_reason(
            "SECOND",
            0,
            "waits: example.nl is being registered or transferred by line FIRST/0",
        )
        .await;
    assert_eq!(house.line_status("SECOND", 0).await, "pending");
    house.until_order("FIRST", "completed").await;
    house.until_order("SECOND", "failed").await;
    assert_eq!(
        house.line("SECOND", 0).await.why(),
        "example.nl can't be registered: LJPc says taken"
    );
    let summary = house.sandbox.state().summary();
    assert_eq!((summary.registrations, summary.contacts), (1, 1));
    house.assert_bought_once();
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_order_goes_on_when_the_first_is_withdrawn_or_fails() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    // Held, so that it can be cancelled; its wish for renewal goes with it.
    let dear = register("example.nl", json!({ "max_cost": "1.00", "auto_renew": true }));
    house.order_names("FIRST", json!([dear])).await;
    house.until_line("FIRST", 0, "held").await;
    let second = register("example.nl", json!({ "auto_renew": false }));
    house.order_of("SECOND", &customer("C-78"), json!([second])).await;
    house.until_reason("SECOND", 0, "by line FIRST/0").await;
    assert_eq!(house.cancel("FIRST").await, "cancelled");
    house.until_order("SECOND", "completed").await;
    assert!(!house.sandbox.state().domains()[0].auto_renew, "the second one's wish");
    let owner: Option<String> =
        house.world.value("SELECT customer_reference FROM provisor.domain_status").await;
    assert_eq!(owner.as_deref(), Some("C-78"));
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_of_one_name_buy_it_once() {
    let house = House::new().await;
    let daemons = [house.quick_daemon(), house.quick_daemon()];
    for n in 0..12 {
        let name = if n % 2 == 0 { "bücher.nl" } else { "xn--bcher-kva.nl" };
        let line = match n % 3 {
            0 => register(name, json!({})),
            1 => register(name, json!({ "route": "order" })),
            _ => transfer(name, json!({})),
        };
        house.order_of(&format!("SHOP-{n}"), &customer(&format!("C-{n}")), json!([line])).await;
    }
    let ended =
        "SELECT count(*) FROM provisor.order_status WHERE status IN ('completed', 'failed')";
    eventually("all have ended", async || house.world.value::<i64>(ended).await == 12).await;
    house.assert_bought_once();
    let completed = "SELECT count(*) FROM provisor.order_status WHERE status = 'completed'";
    assert_eq!(house.world.value::<i64>(completed).await, 1);
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_withdrawn_until_something_has_been_sent() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    house.order_names("EARLY", json!([register("early.nl", json!({})), hosting("early.nl")])).await;
    assert_eq!(house.cancel("EARLY").await, "cancelled");
    let daemon = house.quick_daemon();
    house.fault(&json!({ "endpoint": REGISTER, "fault": "rate_limit", "retry_after": "3600" }));
    house.order_names("CONTACT", json!([register("contact.nl", json!({}))])).await;
    house.until_reason("CONTACT", 0, "LJPc asks for fewer requests").await;
    // A contact was made for it: that is something sent, though it costs nothing.
    assert_eq!(house.cancel("CONTACT").await, "too_late");
    house.order_names("LATE", json!([transfer("late.nl", json!({})), hosting("late.nl")])).await;
    house.until_line("LATE", 0, "provisioning").await;
    assert_eq!(house.cancel("LATE").await, "too_late");
    let summary = house.sandbox.state().summary();
    assert_eq!((summary.registrations, summary.transfers), (0, 1));
    assert_eq!(house.line_status("EARLY", 0).await, "cancelled");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wish_of_a_registration_waits_for_it_and_that_of_a_stranger_is_refused() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    // An update of another order comes afterwards, and counts.
    house
        .order_names("SHOP-2", json!([update("example.nl", json!({ "auto_renew": false }))]))
        .await;
    house.until_order("SHOP-2", "completed").await;
    assert!(!house.sandbox.state().domains()[0].auto_renew);
    let unknown = sqlx::query("SELECT provisor.set_auto_renew('nobodys.nl', true)");
    let (code, message) = refusal(unknown.execute(&house.world.pool).await);
    assert_eq!((code.as_str(), message.as_str()), ("P0002", "domain nobodys.nl is unknown"));
    daemon.stop().await;
}

//! `dns`: the complete set of a zone's records, with what it replaces kept.

use serde_json::{Value, json};

use super::{a_record, dns, register, with};
use crate::house::{House, hosting};

/// A record without a priority.
fn record(kind: &str, name: &str, content: &str) -> Value {
    json!({ "type": kind, "name": name, "content": content, "ttl": 86_400 })
}

/// An MX record.
fn mx(content: &str) -> Value {
    json!({ "type": "MX", "name": "@", "content": content, "ttl": 3600, "prio": 10 })
}

/// What the ledger says that a line's records have replaced.
async fn replaced(house: &House, reference: &str) -> Value {
    sqlx::query_scalar(
        "SELECT e.before FROM provisor.effects e JOIN provisor.order_lines l ON l.id = e.line_id
         JOIN provisor.orders o ON o.id = l.order_id
         WHERE o.reference = $1 AND e.step = 'replace_records'",
    )
    .bind(reference)
    .fetch_one(&house.world.pool)
    .await
    .expect("it has replaced something")
}

/// The detail of an order's event.
async fn detail(house: &House, reference: &str, event: &str) -> Value {
    sqlx::query_scalar(
        "SELECT detail FROM provisor.order_events WHERE reference = $1 AND event = $2",
    )
    .bind(reference)
    .bind(event)
    .fetch_one(&house.world.pool)
    .await
    .expect("the event is there")
}

/// The contents of a zone upstream.
fn zone(house: &House, domain: &str) -> Vec<String> {
    let records = house.sandbox.state().zone(domain).unwrap_or_default();
    records.iter().map(|record| format!("{} {}", record.kind, record.content)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_made_replaced_and_cleared_and_what_was_is_kept() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active" }));
    let daemon = house.quick_daemon();
    let first = json!([a_record("@", "192.0.2.10"), mx("mail.example.nl")]);
    house.order_names("MAKE", json!([dns("example.nl", &first)])).await;
    house.until_order("MAKE", "completed").await;
    insta::assert_snapshot!("dns_new_zone", house.story("MAKE", 0).await);
    assert_eq!(replaced(&house, "MAKE").await, json!([]), "there was no zone");
    assert_eq!(detail(&house, "MAKE", "dns_written").await, json!({ "synced": true }));

    house.put_domain(
        &json!({ "domain": "example.nl", "nameservers": ["ns1.example.com", "ns2.example.com"] }),
    );
    let after = house.now_in_journal();
    let second = json!([a_record("@", "192.0.2.11"), a_record("www", "192.0.2.11")]);
    house.order_names("REPLACE", json!([dns("example.nl", &second)])).await;
    house.until_order("REPLACE", "completed").await;
    insta::assert_snapshot!("dns_replaced", house.story("REPLACE", after).await);
    let before = replaced(&house, "REPLACE").await;
    assert_eq!(before[1]["content"], "mail.example.nl", "{before}");
    assert_eq!(before.as_array().map(Vec::len), Some(2), "{before}");
    assert_eq!(detail(&house, "REPLACE", "dns_written").await, json!({ "synced": false }));

    let after = house.now_in_journal();
    house.order_names("CLEAR", json!([dns("example.nl", &json!([]))])).await;
    house.until_order("CLEAR", "completed").await;
    insta::assert_snapshot!("dns_cleared", house.story("CLEAR", after).await);
    assert_eq!(replaced(&house, "CLEAR").await.as_array().map(Vec::len), Some(2));
    assert!(zone(&house, "example.nl").is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_as_wished_in_whatever_spelling_is_not_written() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active" }));
    let daemon = house.quick_daemon();
    let written = json!([a_record("www", "192.0.2.10"), mx("mail.example.nl")]);
    house.order_names("SHOP-1", json!([dns("example.nl", &written)])).await;
    house.until_order("SHOP-1", "completed").await;
    let respelt = json!([mx("MAIL.example.nl."), a_record("WWW", "192.0.2.10")]);
    house.order_names("SHOP-2", json!([dns("example.nl", &respelt)])).await;
    house.until_order("SHOP-2", "completed").await;
    assert_eq!(house.requests("PUT", "/").len(), 1);
    // A zone that was never made is as empty as one that was cleared.
    house.put_domain(&json!({ "domain": "example.com", "status": "active" }));
    house.order_names("SHOP-3", json!([dns("example.com", &json!([]))])).await;
    house.until_order("SHOP-3", "completed").await;
    assert_eq!(house.requests("PUT", "/").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_managed_type_reaches_the_zone() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active" }));
    let daemon = house.quick_daemon();
    let records = json!([
        record("A", "@", "192.0.2.10"),
        record("AAAA", "@", "2001:db8::10"),
        record("CNAME", "www", "example.nl"),
        mx("mail.example.nl"),
        record("TXT", "@", "v=spf1 include:example.com -all; \"quoted\" \\ back"),
        with(record("SRV", "_sip._tcp", "5 5060 sip.example.nl"), json!({ "prio": 0, "ttl": 60 })),
        record("CAA", "@", "0 issue \"example.com\""),
    ]);
    house.order_names("SHOP-1", json!([dns("example.nl", &records)])).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.why(), "");
    insta::assert_snapshot!("dns_every_type", zone(&house, "example.nl").join("\n"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_wrong_fail_with_their_index() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active" }));
    let daemon = house.quick_daemon();
    let good = a_record("@", "192.0.2.10");
    for (n, (records, sent, reason)) in [
        (
            json!([good, a_record("@", "192.0.2.256")]),
            0,
            "records[1].content: must be an IPv4 address",
        ),
        (
            json!([record("AAAA", "@", "192.0.2.1")]),
            0,
            "records[0].content: must be an IPv6 address",
        ),
        (
            json!([a_record("www", "192.0.2.10"), record("CNAME", "WWW", "example.nl")]),
            0,
            "records[1].name: must not have other records beside its CNAME (RFC 1034, 3.6.2)",
        ),
        (
            json!([
                good,
                record("CNAME", "www", "example.nl"),
                record("CAA", "@", "nonsense without end")
            ]),
            1,
            "LJPc refused the DNS records: records.2: ",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let reference = format!("SHOP-{n}");
        let before = house.requests("PUT", "/").len();
        house.order_names(&reference, json!([dns("example.nl", &records)])).await;
        house.until_order(&reference, "failed").await;
        let seen = house.line(&reference, 0).await;
        assert!(seen.why().starts_with(reason), "{records}: {}", seen.why());
        assert_eq!(house.requests("PUT", "/").len() - before, sent, "{records}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_of_the_panel_fails_a_line_that_is_for_it_alone() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "example.nl", "status": "active" }));
    let daemon = house.quick_daemon();
    let lines =
        json!([dns("example.nl", &json!([a_record("@", "192.0.2.10")])), hosting("example.nl")]);
    house.order_names("SHOP-1", lines).await;
    house.until_order("SHOP-1", "partial").await;
    insta::assert_snapshot!("dns_of_the_panel", house.story("SHOP-1", 0).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_of_the_panel_completes_a_registration_with_a_reason() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let name = register("example.nl", json!({ "dns": [a_record("@", "192.0.2.10")] }));
    house.order_names("SHOP-1", json!([name, hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("register_with_dns_of_the_panel", house.story("SHOP-1", 0).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_not_ours_is_refused() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let records = json!([a_record("@", "192.0.2.10")]);
    house.order_names("SHOP-1", json!([dns("nobodys.nl", &records)])).await;
    house.until_order("SHOP-1", "failed").await;
    let why = house.line("SHOP-1", 0).await.reason.unwrap_or_default();
    assert!(why.starts_with("LJPc refused the DNS records: "), "{why}");
    daemon.stop().await;
}

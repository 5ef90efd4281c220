//! What is made of every kind of answer, and of none: nothing is bought twice, and what is unknown is found out where it
//! can be (contract, section 2, "How an answer to an irreversible request is read").

use serde_json::{Value, json};

use super::{
    CONTACTS, REGISTER, TRANSFER, UPDATE, ZONE, a_record, customer, dns, register, transfer,
    update, with,
};
use crate::{
    house::{House, eventually},
    order_show::show,
};

/// What a fault means for the request that it strikes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Truth {
    /// Carried out, and the answer does not say so.
    Done,
    /// Not carried out, and the answer does not say so.
    Undone,
    /// Provably not carried out, and welcome later.
    Later,
    /// Refused for good.
    Refused,
}

/// Faults by name. Each strikes once.
fn faults() -> Vec<(&'static str, Value, Truth)> {
    use Truth::{Done, Later, Refused, Undone};
    let status = |status: u16| json!({ "fault": "status", "status": status, "message": "no" });
    let processed = |fault: Value| with(fault, json!({ "process": true }));
    let bare = |fault: Value| with(fault, json!({ "enveloped": false }));
    vec![
        ("cut", json!({ "fault": "process_then_drop" }), Done),
        ("garbage", json!({ "fault": "garbage" }), Done),
        ("truncated", json!({ "fault": "truncate" }), Done),
        ("big", json!({ "fault": "big_body" }), Done),
        ("slow", json!({ "fault": "slow", "delay_ms": 3000 }), Done),
        ("broken-late", processed(status(500)), Done),
        ("proxy-late", processed(json!({ "fault": "html" })), Done),
        ("teapot-late", processed(status(418)), Done),
        ("unlike-late", processed(bare(status(422))), Done),
        ("drop", json!({ "fault": "drop" }), Undone),
        ("broken", status(500), Undone),
        ("proxy", json!({ "fault": "html" }), Undone),
        ("moved", json!({ "fault": "redirect" }), Undone),
        ("teapot", status(418), Undone),
        ("unlike", bare(status(422)), Undone),
        ("empty", status(201), Undone),
        ("busy", json!({ "fault": "rate_limit", "retry_after": "1" }), Later),
        ("busy-bare", bare(json!({ "fault": "rate_limit", "retry_after": "1" })), Later),
        ("no-400", status(400), Refused),
        ("no-404", status(404), Refused),
        ("no-409", status(409), Refused),
        ("no-422", status(422), Refused),
    ]
}

/// How often a method was asked of a path that begins so, for whatever has this text in its path or body.
fn sent(house: &House, method: &str, path: &str, text: &str) -> usize {
    let requests = house.requests(method, path);
    requests
        .iter()
        .filter(|entry| {
            entry.path.contains(&format!("/{text}"))
                || entry.body.as_str().contains(&format!("\"{text}"))
        })
        .count()
}

/// Strikes the request of each name with its fault, and submits an order for it.
async fn strike(house: &House, endpoint: &str, line: impl Fn(&str) -> Value) {
    for (name, fault, _) in faults() {
        let domain = format!("{name}.nl");
        // Exactly this name: "drop.nl" is in no other one.
        let aimed = json!({ "endpoint": endpoint, "match": { "domain": domain } });
        house.fault(&with(fault, aimed));
        house.order_names(name, json!([line(&domain)])).await;
    }
}

/// What costs money: found by its evidence, or left to a person; never sent again.
async fn compare_purchases(house: &House, method: &str, path: &str, noun: &str) {
    for (name, fault, truth) in faults() {
        let (order, line, times) = match truth {
            Truth::Done => ("completed", "completed", 1),
            Truth::Undone => ("attention", "in_doubt", 1),
            Truth::Later => ("completed", "completed", 2),
            Truth::Refused => ("failed", "failed", 1),
        };
        house.until_order(name, order).await;
        let seen = house.line(name, 0).await;
        assert_eq!(seen.status, line, "{fault}");
        match truth {
            Truth::Done | Truth::Later => assert_eq!(seen.why(), "", "{fault}"),
            Truth::Undone => {
                let why = format!("the {noun} was sent, but its outcome is unknown: ");
                assert!(seen.why().starts_with(&why), "{fault}: {}", seen.why());
                house.look_again(seen.id, 2).await;
                assert_eq!(house.told_operator(name, "in_doubt").await, 1, "{fault}");
            }
            Truth::Refused => {
                assert_eq!(seen.why(), format!("LJPc refused the {noun}: no"), "{fault}");
            }
        }
        let found = usize::from(truth == Truth::Done);
        assert_eq!(house.count_events(name, "found_upstream").await, found, "{fault}");
        assert_eq!(sent(house, method, path, &format!("{name}.nl")), times, "{fault}");
    }
    house.assert_bought_once();
}

fn count(truths: &[Truth]) -> usize {
    faults().iter().filter(|(_, _, truth)| truths.contains(truth)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_sent_again_only_if_it_provably_had_no_effect() {
    let house = House::new().await;
    strike(&house, REGISTER, |domain| register(domain, json!({}))).await;
    let daemon = house.quick_daemon();
    compare_purchases(&house, "POST", "/api/hosting/v1/domain-names", "registration").await;
    let registrations = house.sandbox.state().summary().registrations;
    assert_eq!(registrations, count(&[Truth::Done, Truth::Later]));
    // Once it has come about after all, the line finds it by itself.
    house.put_domain(
        &json!({ "domain": "drop.nl", "status": "active", "contact_handle": "sandbox-0001" }),
    );
    house.until_order("drop", "completed").await;
    // A name that bears another's handle is not ours, however it came there.
    house.put_domain(
        &json!({ "domain": "broken.nl", "status": "active", "contact_handle": "BB0001-EX" }),
    );
    let line = house.line("broken", 0).await;
    house.look_again(line.id, 2).await;
    assert_eq!(house.line_status("broken", 0).await, "in_doubt");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_in_doubt_is_shown_with_where_to_look() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": REGISTER, "fault": "drop" }));
    let daemon = house.daemon(&[]);
    house.order_names("SHOP-1001", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1001", "attention").await;
    house.until_emailed().await;
    house.until_looked("SHOP-1001/0", "the name", 1).await;
    insta::assert_snapshot!("order_show_registration_in_doubt", show(&house, "SHOP-1001").await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_sent_again_only_if_it_provably_had_no_effect() {
    let house = House::new().await;
    strike(&house, TRANSFER, |domain| transfer(domain, json!({}))).await;
    let daemon = house.quick_daemon();
    compare_purchases(&house, "POST", "/api/hosting/v1/domain-names/", "transfer").await;
    let transfers = house.sandbox.state().summary().transfers;
    assert_eq!(transfers, count(&[Truth::Done, Truth::Later]));
    // One that is found under way is polled like any other.
    house.put_domain(&json!({ "domain": "drop.nl", "status": "pending_transfer", "contact_handle": "sandbox-0001" }));
    house.until_line("drop", 0, "provisioning").await;
    house.put_domain(&json!({ "domain": "drop.nl", "status": "active" }));
    house.until_order("drop", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_looked_for_before_another_one_is_made() {
    let house = House::new().await;
    for (name, fault, _) in faults() {
        let email = format!("{name}@example.com");
        let aimed = json!({ "endpoint": CONTACTS, "match": { "recipient": email } });
        house.fault(&with(fault, aimed));
        let customer = with(customer(name), json!({ "email": email }));
        let line = register(&format!("{name}.nl"), json!({}));
        house.order_of(name, &customer, json!([line])).await;
    }
    let daemon = house.quick_daemon();
    for (name, fault, truth) in faults() {
        let (order, times) = match truth {
            Truth::Done => ("completed", 1),
            Truth::Undone | Truth::Later => ("completed", 2),
            Truth::Refused => ("failed", 1),
        };
        house.until_order(name, order).await;
        let why = house.line(name, 0).await.reason;
        let refused = "LJPc refused the WHOIS contact: no".to_owned();
        assert_eq!(why, (truth == Truth::Refused).then_some(refused), "{fault}");
        let posts =
            sent(&house, "POST", "/api/hosting/v1/contacts", &format!("{name}@example.com"));
        assert_eq!(posts, times, "{fault}");
    }
    let summary = house.sandbox.state().summary();
    let made = count(&[Truth::Done, Truth::Undone, Truth::Later]);
    assert_eq!((summary.contacts, summary.registrations), (made, made));
    house.assert_bought_once();
    daemon.stop().await;
}

/// What sets a value: read back, and set again where it is not so.
async fn compare_settings(house: &House, method: &str, path: &str, refused: (&str, &str)) {
    for (name, fault, truth) in faults() {
        let (order, times) = match truth {
            Truth::Done => ("completed", 1),
            Truth::Undone | Truth::Later => ("completed", 2),
            Truth::Refused => (refused.0, 1),
        };
        house.until_order(name, order).await;
        let why = house.line(name, 0).await.reason;
        assert_eq!(why, (truth == Truth::Refused).then(|| refused.1.to_owned()), "{fault}");
        assert_eq!(sent(house, method, path, &format!("{name}.nl")), times, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_read_back_and_sent_again_where_it_is_not_so() {
    let house = House::new().await;
    for (name, ..) in faults() {
        house.put_domain(
            &json!({ "domain": format!("{name}.nl"), "status": "active", "auto_renew": true }),
        );
    }
    strike(&house, UPDATE, |domain| update(domain, json!({ "auto_renew": false }))).await;
    let daemon = house.quick_daemon();
    let refused = ("failed", "LJPc refused the change of the name: no");
    compare_settings(&house, "PATCH", "/api/hosting/v1/domain-names/", refused).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wishes_of_a_registration_are_read_back_and_make_nobody_doubt_it() {
    let house = House::new().await;
    strike(&house, UPDATE, |domain| register(domain, json!({ "auto_renew": false }))).await;
    let daemon = house.quick_daemon();
    let refused = ("completed", "LJPc refused the change of the name: no");
    compare_settings(&house, "PATCH", "/api/hosting/v1/domain-names/", refused).await;
    for (name, ..) in faults() {
        assert_eq!(house.count_events(name, "in_doubt").await, 0, "{name}");
    }
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_back_and_sent_again_where_they_are_not_so() {
    let house = House::new().await;
    for (name, ..) in faults() {
        house.put_domain(&json!({ "domain": format!("{name}.nl"), "status": "active" }));
    }
    let records = json!([a_record("@", "192.0.2.10")]);
    strike(&house, ZONE, |domain| dns(domain, &records)).await;
    let daemon = house.quick_daemon();
    let refused = ("failed", "LJPc refused the DNS records: no");
    compare_settings(&house, "PUT", "/api/hosting/v1/dns/zones/", refused).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_registration_are_read_back_and_make_nobody_doubt_it() {
    let house = House::new().await;
    let wish = json!({ "dns": [a_record("@", "192.0.2.10")] });
    strike(&house, ZONE, |domain| register(domain, wish.clone())).await;
    let daemon = house.quick_daemon();
    let refused = ("completed", "LJPc refused the DNS records: no");
    compare_settings(&house, "PUT", "/api/hosting/v1/dns/zones/", refused).await;
    house.assert_bought_once();
    daemon.stop().await;
}

/// Each endpoint that changes something, with an order's line that needs it.
fn doors() -> [(&'static str, &'static str, Value); 5] {
    [
        (CONTACTS, "contact", register("contact.nl", json!({}))),
        (REGISTER, "register", register("register.nl", json!({}))),
        (TRANSFER, "transfer", transfer("transfer.nl", json!({}))),
        (UPDATE, "update", register("update.nl", json!({ "auto_renew": false }))),
        (ZONE, "zone", register("zone.nl", json!({ "dns": [a_record("@", "192.0.2.10")] }))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_and_a_missing_permission_fail_nobody() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    for (n, fault) in [
        json!({ "fault": "unauthorized" }),
        json!({ "fault": "unauthorized", "enveloped": false }),
        json!({ "fault": "status", "status": 403, "message": "Permission denied" }),
        json!({ "fault": "status", "status": 403, "enveloped": false }),
    ]
    .into_iter()
    .enumerate()
    {
        for (endpoint, name, mut line) in doors() {
            let (reference, domain) = (format!("{name}-{n}"), format!("{name}-{n}.nl"));
            house.fault(&with(fault.clone(), json!({ "endpoint": endpoint })));
            line["domain"] = json!(domain);
            // A customer of its own, so that each needs a contact.
            house.order_of(&reference, &customer(&reference), json!([line])).await;
            house.until_order(&reference, "completed").await;
            assert_eq!(house.line(&reference, 0).await.why(), "", "{endpoint}: {fault}");
            assert_eq!(house.count_events(&reference, "in_doubt").await, 0, "{endpoint}: {fault}");
        }
    }
    let struck =
        house.sandbox.state().journal(0).iter().filter(|entry| entry.fault.is_some()).count();
    assert_eq!(struck, 20);
    house.assert_bought_once();
    let summary = house.sandbox.state().summary();
    assert_eq!((summary.registrations, summary.transfers, summary.contacts), (16, 4, 20));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_the_document_shows_is_one() {
    let house = House::new().await;
    house.put_domain(&json!({ "domain": "update.nl", "status": "active", "auto_renew": true }));
    let daemon = house.quick_daemon();
    for (endpoint, name, line) in [
        (REGISTER, "register", register("register.nl", json!({}))),
        (TRANSFER, "transfer", transfer("transfer.nl", json!({}))),
        (UPDATE, "update", update("update.nl", json!({ "auto_renew": false }))),
    ] {
        house.fault(&json!({ "endpoint": endpoint, "fault": "foreign_403" }));
        house.order_names(name, json!([line])).await;
        house.until_order(name, "failed").await;
        let why = house.line(name, 0).await.reason.unwrap_or_default();
        assert!(why.ends_with(": Contact handle does not belong to you"), "{why}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ljpc_out_of_reach_is_waited_for() {
    let house = House::new().await;
    // Nobody listens there: not sent, and no doubt.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let away = format!("http://{}", closed.local_addr().unwrap());
    let daemon = house.daemon(&[("LJPC__BASE_URL", &away)]);
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_reason("SHOP-1", 0, "LJPc can't be asked").await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "pending");
    daemon.stop().await;
    let daemon = house.quick_daemon();
    house.poke(house.line("SHOP-1", 0).await.id).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_while_it_registers_is_followed_by_one_that_looks() {
    for (endpoint, name, line) in [
        (REGISTER, "register", register("example.nl", json!({}))),
        (TRANSFER, "transfer", transfer("example.nl", json!({}))),
        (CONTACTS, "contact", register("example.nl", json!({}))),
        (UPDATE, "update", register("example.nl", json!({ "auto_renew": false }))),
        (ZONE, "zone", register("example.nl", json!({ "dns": [a_record("@", "192.0.2.10")] }))),
    ] {
        let house = House::new().await;
        house.fault(&json!({ "endpoint": endpoint, "fault": "slow", "delay_ms": 60_000 }));
        let dying = house.daemon(&[("QUEUE__LEASE", "3s"), ("LJPC__TIMEOUT", "2s")]);
        house.order_names("SHOP-1", json!([line])).await;
        eventually(&format!("{name} is being sent"), async || {
            house.sandbox.state().journal(0).iter().any(|entry| entry.fault.is_some())
        })
        .await;
        dying.kill();
        let daemon = house.quick_daemon();
        house.until_order("SHOP-1", "completed").await;
        house.assert_bought_once();
        let summary = house.sandbox.state().summary();
        assert_eq!((summary.registrations + summary.transfers, summary.contacts), (1, 1), "{name}");
        let set = house.requests("PATCH", "/").len() + house.requests("PUT", "/").len();
        assert_eq!(set, usize::from(["update", "zone"].contains(&name)), "{name} is read back");
        daemon.stop().await;
    }
}

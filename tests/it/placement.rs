//! How an answer to an irreversible request is read (contract, section 2), each row of it over a real connection.

use std::time::Duration;

use provisor::{
    clock,
    sandbox::{Entry, Stage},
};
use serde_json::{Value, json};

use crate::{
    commands::closed_port,
    house::{House, eventually, hosting},
};

/// Where orders are placed.
const POST: &str = "POST /api/v1/orders";

/// A line that needs no catalogue: its first request upstream is the order itself.
fn own(domain: &str) -> Value {
    json!({ "kind": "hosting_own", "space_id": 7, "domain": domain })
}

/// A fault that strikes the orders of this reference, `times` times.
fn fault_for(reference: &str, times: u32, mut fault: Value) -> Value {
    fault["endpoint"] = json!(POST);
    fault["times"] = json!(times);
    fault["match"] = json!({ "reference": format!("{reference}/") });
    fault
}

/// An order for each fault, all under way together.
async fn submit_each(house: &House, prefix: &str, faults: &[Value]) -> Vec<String> {
    let mut references = Vec::new();
    for (n, fault) in faults.iter().enumerate() {
        let reference = format!("{prefix}-{n}");
        house.fault(&fault_for(&reference, 1000, fault.clone()));
        let domain = format!("{}-{n}.example", prefix.to_lowercase());
        house.submit(&reference, json!([own(&domain)])).await;
        references.push(reference);
    }
    references
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_nothing_certain_is_doubt_and_is_never_sent_again() {
    let house = House::new().await;
    // Each with whether the sandbox carried the order out.
    let faults = [
        (json!({ "fault": "drop" }), 0),
        (json!({ "fault": "process_then_drop" }), 1),
        (json!({ "fault": "status", "status": 500 }), 0),
        (json!({ "fault": "status", "status": 500, "process": true }), 1),
        (json!({ "fault": "html", "status": 502 }), 0),
        (json!({ "fault": "html", "status": 503, "process": true }), 1),
        (json!({ "fault": "html", "status": 422 }), 0),
        (json!({ "fault": "status", "status": 404, "enveloped": false }), 0),
        (json!({ "fault": "status", "status": 418, "message": "I am a teapot" }), 0),
        (json!({ "fault": "redirect" }), 0),
        (json!({ "fault": "redirect", "status": 307, "process": true }), 1),
        (json!({ "fault": "garbage" }), 1),
        (json!({ "fault": "truncate" }), 1),
        (json!({ "fault": "big_body" }), 1),
        (json!({ "fault": "status", "status": 204, "process": true }), 1),
        (json!({ "fault": "status", "status": 200, "process": true }), 1),
        (json!({ "fault": "status", "status": 201, "enveloped": false, "process": true }), 1),
        (json!({ "fault": "slow", "delay_ms": 30_000 }), 1),
    ];
    let specs: Vec<Value> = faults.iter().map(|(spec, _)| spec.clone()).collect();
    // After the first few each is a trial of the endpoint, and these come ever less often.
    let often = ("LJPC__CIRCUIT_PROBE_INTERVAL", "10ms");
    let daemon = house.daemon(&[("LJPC__TIMEOUT", "1500ms"), often]);
    let references = submit_each(&house, "DOUBT", &specs).await;
    for (reference, (spec, carried_out)) in references.iter().zip(&faults) {
        house.until_line(reference, 0, "in_doubt").await;
        house.until_order(reference, "attention").await;
        let line = house.line(reference, 0).await;
        let why = line.why();
        assert!(
            why.starts_with("the order was sent, but its outcome is unknown: "),
            "{spec}: {why}"
        );
        assert!(line.sent, "{spec}");
        let (_, reason) = house.order(reference).await;
        assert_eq!(reason, Some(format!("line 0 (hosting_own) is in doubt: {why}")), "{spec}");
        assert_eq!(house.bought(&format!("{reference}/0")), *carried_out, "{spec}");
    }
    daemon.stop().await;
    // Another process finds them, and whatever makes it look again, nothing is sent.
    let daemon = house.daemon(&[]);
    for (reference, (spec, carried_out)) in references.iter().zip(&faults) {
        let line = house.line(reference, 0).await;
        house.look_again(line.id, 2).await;
        assert_eq!(house.posts(reference).len(), 1, "{spec}");
        assert_eq!(house.line_status(reference, 0).await, "in_doubt", "{spec}");
        assert_eq!(house.bought(&format!("{reference}/0")), *carried_out, "{spec}");
        eventually("the operator is told", async || {
            house.told_operator(reference, "in_doubt").await == 1
        })
        .await;
        assert_eq!(house.cancel(reference).await, "too_late", "{spec}");
    }
    assert!(house.requests("GET", "/redirected").is_empty(), "no redirect is followed");
    assert!(house.requests("POST", "/redirected").is_empty(), "no redirect is followed");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubt_calls_for_a_person_only_past_its_grace() {
    let house = House::new().await;
    house.fault(&fault_for("SHOP-1", 1, json!({ "fault": "drop" })));
    let daemon = house.daemon(&[("LJPC__IN_DOUBT_GRACE", "1h")]);
    house.submit("SHOP-1", json!([own("example.nl")])).await;
    house.until_line("SHOP-1", 0, "in_doubt").await;
    let line = house.line("SHOP-1", 0).await;
    house.look_again(line.id, 1).await;
    assert_eq!(house.order("SHOP-1").await, ("in_progress".to_owned(), None));
    assert_eq!(house.told_operator("SHOP-1", "in_doubt").await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_the_line_for_good_with_the_upstreams_words() {
    let house = House::new().await;
    let faults: Vec<Value> = [400, 404, 409, 422]
        .iter()
        .map(|status| json!({ "fault": "status", "status": status, "message": "no such space" }))
        .chain([json!({ "fault": "foreign_403" })])
        .collect();
    let daemon = house.daemon(&[]);
    let references = submit_each(&house, "NO", &faults).await;
    for (reference, fault) in references.iter().zip(&faults) {
        house.until_order(reference, "failed").await;
        let line = house.line(reference, 0).await;
        let foreign = "You can only create orders for yourself";
        let message = fault["message"].as_str().unwrap_or(foreign);
        let reason = format!("LJPc refused the order: {message}");
        assert_eq!((line.status.as_str(), line.why()), ("failed", reason.as_str()), "{fault}");
        let (_, told) = house.order(reference).await;
        assert_eq!(told, Some(format!("line 0 (hosting_own) is failed: {reason}")), "{fault}");
        house.look_again(line.id, 1).await;
        assert_eq!(house.count_emails(reference, "order_failed").await, 1, "{fault}");
        assert_eq!(house.cancel(reference).await, "too_late", "{fault}");
    }
    house.until_emailed().await;
    for reference in &references {
        assert_eq!(house.posts(reference).len(), 1, "{reference}");
        assert_eq!(house.line_status(reference, 0).await, "failed", "{reference}");
    }
    assert_eq!(house.sandbox.state().summary().orders, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_out_as_told_in_either_form() {
    let house = House::new().await;
    let at = (clock::now() + chrono::TimeDelta::seconds(3)).format("%a, %d %b %Y %H:%M:%S GMT");
    let faults = [
        json!({ "fault": "rate_limit", "retry_after": "2" }),
        json!({ "fault": "rate_limit", "retry_after": at.to_string() }),
        json!({ "fault": "html", "status": 429, "retry_after": "1" }),
    ];
    let daemon = house.daemon(&[]);
    for (n, fault) in faults.iter().enumerate() {
        let reference = format!("SLOWLY-{n}");
        house.fault(&fault_for(&reference, 1, fault.clone()));
        house.submit(&reference, json!([own(&format!("slowly-{n}.example"))])).await;
    }
    for (n, seconds_min) in [2, 1, 1].into_iter().enumerate() {
        let reference = format!("SLOWLY-{n}");
        house.until_order(&reference, "completed").await;
        assert_eq!(house.count_events(&reference, "placing").await, 2, "{reference}");
        assert_eq!(house.count_events(&reference, "pending").await, 1, "{reference}");
        let posts = house.posts(&reference);
        assert_eq!(posts.len(), 2, "{reference}");
        let waited = posts[1].at - posts[0].at;
        assert!(waited.num_seconds() >= seconds_min, "{reference}: {waited}");
        assert_eq!(tag_of(&posts[0]), tag_of(&posts[1]), "{reference}: it had no effect");
        assert_eq!(house.bought(&format!("{reference}/0")), 1, "{reference}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_fails_nobody_and_a_trial_finds_it_granted() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let daemon = house.daemon(&[]);
    house.submit("EARLIER-1", json!([hosting("earlier.example")])).await;
    house.until_line("EARLIER-1", 0, "provisioning").await;

    let fault =
        json!({ "fault": "status", "status": 403, "message": "Permission orders.create missing" });
    for reference in ["SHOP-1", "SHOP-2"] {
        house.fault(&fault_for(reference, 1000, fault.clone()));
        house
            .submit(reference, json!([own(&format!("{}.example", reference.to_lowercase()))]))
            .await;
    }
    for reference in ["SHOP-1", "SHOP-2"] {
        house.until_reason(reference, 0, "LJPc answers HTTP 403 to the API key").await;
    }
    assert_eq!(circuits(&house).await, [POST]);
    // What needs the other endpoints goes on.
    house.drive("EARLIER-1/0", Stage::Completed);
    house.until_order("EARLIER-1", "completed").await;
    // Trials are one at a time and apart, not one for each order that waits.
    let posts = house.requests("POST", "/api/v1/orders");
    let (first, last) = (posts[1].at, posts[posts.len() - 1].at);
    let trials = i64::try_from(posts.len() - 2).expect("a few");
    assert!(trials <= 3 + (last - first).num_milliseconds() / 500, "{trials} in {}", last - first);
    for reference in ["SHOP-1", "SHOP-2"] {
        let line = house.line(reference, 0).await;
        assert_eq!((line.status.as_str(), house.bought(&format!("{reference}/0"))), ("pending", 0));
    }

    house.no_more_faults();
    for reference in ["SHOP-1", "SHOP-2"] {
        let tag = format!("{reference}/0");
        house.until_line(reference, 0, "provisioning").await;
        assert!(house.posts(reference).iter().all(|post| tag_of(post) == tag), "{reference}");
        assert_eq!(house.bought(&tag), 1, "{reference}");
    }
    assert!(circuits(&house).await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_shuts_the_upstream_until_a_safe_get_finds_it_good() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    house.until_listed().await;
    let before = house.sandbox.state().journal(0).len();
    house.fault(&json!({ "endpoint": "*", "fault": "unauthorized", "times": 10_000 }));
    house.submit("SHOP-1", json!([own("one.example")])).await;
    house.until_reason("SHOP-1", 0, "LJPc answers HTTP 401 to the API key").await;
    assert_eq!(circuits(&house).await, [""]);
    // One that comes while it is shut is not even tried.
    house.submit("SHOP-2", json!([own("two.example")])).await;
    eventually("the upstream is tried by safe GETs", async || {
        house.requests("GET", "/").len() >= 3
    })
    .await;
    assert!(house.posts("SHOP-2").is_empty());
    assert_eq!(house.posts("SHOP-1").len(), 1);
    for reference in ["SHOP-1", "SHOP-2"] {
        assert_eq!(house.line_status(reference, 0).await, "pending");
        assert_eq!(house.emails(reference).await.len(), 1, "no email but the one of its receipt");
    }

    house.no_more_faults();
    for reference in ["SHOP-1", "SHOP-2"] {
        house.until_order(reference, "completed").await;
        assert_eq!(house.bought(&format!("{reference}/0")), 1);
    }
    let all = house.sandbox.state().journal(0).split_off(before);
    let reopened =
        all.iter().position(|entry| answer(entry) == Some(200)).expect("a GET succeeded");
    let placed = all.iter().position(|entry| answer(entry) == Some(201)).expect("placed");
    assert_eq!(all[reopened].method, "GET");
    assert!(reopened < placed, "the circuit is closed by a safe GET, not by an order");
    assert!(circuits(&house).await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_listening_leaves_the_line_unsent_and_cancellable() {
    let house = House::new().await;
    let (_kept, closed) = closed_port();
    let daemon = house.daemon(&[("LJPC__BASE_URL", &format!("http://{closed}"))]);
    // The one fails at reading the catalogue, the other at connecting for the order itself.
    house.submit("GET-1", json!([hosting("get.example")])).await;
    house.submit("POST-1", json!([own("post.example")])).await;
    for reference in ["GET-1", "POST-1"] {
        let line = house.line(reference, 0).await;
        house.look_again(line.id, 2).await;
        let line = house.line(reference, 0).await;
        assert_eq!((line.status.as_str(), line.sent), ("pending", false), "{reference}");
        assert_eq!(house.order(reference).await.0, "accepted", "{reference}");
        assert_eq!(house.cancel(reference).await, "cancelled", "{reference}");
        assert_eq!(house.cancel(reference).await, "cancelled", "repeated, the same: {reference}");
        house.look_again(line.id, 1).await;
        assert_eq!(house.line_status(reference, 0).await, "cancelled", "{reference}");
    }
    let intents: i64 = house.world.value("SELECT count(*) FROM provisor.attempts").await;
    assert_eq!(intents, 0, "what can't connect needs no intent");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_comes_back_is_used_again() {
    let house = House::new().await;
    // A port that is nobody's yet; the daemon tries it until the sandbox listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let listen = port.expect("a free port");
    let daemon = house.daemon(&[("LJPC__BASE_URL", &format!("http://{listen}"))]);
    house.submit("SHOP-1", json!([own("example.nl")])).await;
    let line = house.line("SHOP-1", 0).await;
    house.look_again(line.id, 1).await;
    let later = House::with(|options| options.listen = listen).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(later.bought("SHOP-1/0"), 1);
    daemon.stop().await;
}

/// The endpoints whose circuits are open; empty for the whole upstream.
async fn circuits(house: &House) -> Vec<String> {
    sqlx::query_scalar("SELECT endpoint FROM provisor.circuits ORDER BY endpoint")
        .fetch_all(&house.world.pool)
        .await
        .expect("circuits can be read")
}

/// By which an order was to be recognised.
fn tag_of(post: &Entry) -> String {
    let body: Value = serde_json::from_str(post.body.as_str()).expect("a JSON body");
    body["meta"]["external_reference"].as_str().expect("a tag").to_owned()
}

fn answer(entry: &Entry) -> Option<u16> {
    entry.answer.as_ref().map(|answered| answered.status)
}

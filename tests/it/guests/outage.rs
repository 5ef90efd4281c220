//! Circuits that outages open: after so many failures in a row of all processes, closed by one leased safe GET.

use std::time::Duration;

use provisor::{
    jobs::guest::{OUTAGE_FAILURES, Why},
    upstream::{Scope, UpstreamError},
};
use serde_json::json;

use super::{GET, Neighbours, Process, rate_limited, told};
use crate::{
    binary::provisor,
    house::{House, eventually, hosting},
};

/// Where orders are placed.
const POST: &str = "POST /api/v1/orders";

/// A failure of each kind, in turn.
fn failure(n: i32) -> Result<(), UpstreamError> {
    let detail = "reset by peer".to_owned();
    Err(match n % 3 {
        0 => UpstreamError::NotSent { detail },
        1 => UpstreamError::InDoubt { detail, status: None, jti: None },
        _ => UpstreamError::Unavailable { detail, status: Some(503), jti: None },
    })
}

fn refused(scope: Scope, status: u16) -> Result<(), UpstreamError> {
    Err(UpstreamError::Unauthorized { scope, status, message: "No".to_owned(), jti: None })
}

fn outage() -> Vec<(String, String)> {
    vec![(String::new(), "outage".to_owned())]
}

impl Neighbours {
    /// So many failures, by both in turn.
    async fn fail(&self, times: i32) {
        for n in 0..times {
            let process: &Process = if n % 2 == 0 { &self.one } else { &self.two };
            process.learns(if n % 2 == 0 { GET } else { POST }, failure(n)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_failures_in_a_row_open_the_circuit_and_not_one_less() {
    let both = Neighbours::new().await;
    both.fail(OUTAGE_FAILURES - 1).await;
    assert!(both.circuits().await.is_empty());
    both.one.may_ask(GET).await.expect("it is no outage yet");
    both.fail(1).await;
    assert_eq!(both.circuits().await, outage());
    let not_now = both.one.may_ask(GET).await.expect_err("nothing is asked");
    assert_eq!(not_now.why, Why::Outage);
    // The other one hears of it at its next look.
    both.two.guest.look().await.expect("a look");
    assert_eq!(both.two.may_ask(POST).await.expect_err("nothing is asked").why, Why::Outage);
    assert_eq!(both.told().await, 0, "it may pass by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_that_fail_alone_shut_their_endpoint_alone() {
    let both = Neighbours::new().await;
    for n in 0..OUTAGE_FAILURES {
        assert!(both.circuits().await.is_empty(), "{n}");
        let process: &Process = if n % 2 == 0 { &both.one } else { &both.two };
        process.learns(POST, failure(1)).await;
        // All else is answered.
        process.learns(GET, Ok(())).await;
    }
    assert_eq!(both.circuits().await, [(POST.to_owned(), "outage".to_owned())]);
    assert_eq!(both.told().await, 1, "these were purchases, and each is in doubt");
    both.one.guest.look().await.expect("a look");
    assert_eq!(both.one.may_ask(POST).await.expect_err("it is left alone").why, Why::Outage);
    both.one.may_ask(GET).await.expect("all else goes on");
    // One waiting purchase is its trial.
    both.trial_is_due().await;
    both.look().await;
    both.one.may_ask(POST).await.expect("a trial");
    both.two.may_ask(POST).await.expect_err("one alone");
    both.one.learns(POST, Ok(())).await;
    assert!(both.circuits().await.is_empty());
    both.two.guest.look().await.expect("a look");
    both.two.learns(POST, failure(1)).await;
    assert!(both.circuits().await.is_empty(), "the row begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_any_kind_to_anybody_ends_the_row() {
    let answers = [
        Ok(()),
        Err(UpstreamError::Rejected { status: 422, message: "No".to_owned(), jti: None }),
        rate_limited(Duration::from_secs(1)),
        refused(Scope::Endpoint, 403),
    ];
    let both = Neighbours::new().await;
    for answer in answers {
        for _ in 0..OUTAGE_FAILURES - 1 {
            both.one.learns(GET, failure(0)).await;
        }
        // The other process has seen no failure of its own: it hears of them by its look.
        both.two.guest.look().await.expect("a look");
        both.two.learns("GET /api/v1/orders/{id}", answer.clone()).await;
        assert_eq!(both.state().await.failures, 0, "{answer:?}");
    }
    // Failures that are long past are no row either.
    both.fail(OUTAGE_FAILURES - 1).await;
    both.house
        .world
        .run("UPDATE provisor.upstream_budgets SET failed_at = failed_at - interval '2 min'")
        .await;
    both.fail(OUTAGE_FAILURES - 1).await;
    assert_eq!(both.state().await.failures, OUTAGE_FAILURES - 1);
    let open: Vec<String> =
        both.circuits().await.into_iter().map(|(endpoint, _)| endpoint).collect();
    assert_eq!(open, ["GET /api/v1/orders/{id}"], "the one that a 403 has opened, and no other");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_processes_tries_and_the_operator_is_told_of_what_lasts_once() {
    let both = Neighbours::new().await;
    let away = json!({ "endpoint": "*", "fault": "status", "status": 503, "times": 10_000 });
    both.house.fault(&away);
    both.fail(OUTAGE_FAILURES).await;
    both.look().await;
    assert_eq!((both.trials(), both.told().await), (0, 0), "before its time nobody tries");
    for trials in 1..=3 {
        both.trial_is_due().await;
        both.look().await;
        assert_eq!((both.trials(), both.told().await), (trials, 1));
        assert_eq!(both.circuits().await, outage());
    }

    both.house.no_more_faults();
    both.trial_is_due().await;
    both.look().await;
    assert_eq!((both.trials(), both.told().await), (4, 1));
    assert!(both.circuits().await.is_empty());
    // Who waited begins slowly.
    assert_eq!(both.state().await.failures, 0);
    let pace = both.pace().await;
    assert!((50..=400).contains(&pace), "{pace}");
    both.after(30).await;
    assert!(both.pace().await >= 550);
    both.look().await;
    for process in [&both.one, &both.two] {
        process.may_ask(POST).await.expect("it is open again");
    }

    // Another outage is another story.
    both.house.fault(&away);
    both.fail(OUTAGE_FAILURES).await;
    both.trial_is_due().await;
    both.look().await;
    assert_eq!((both.trials(), both.told().await), (5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_finds_the_key_refused_tells_that_too() {
    let both = Neighbours::new().await;
    both.fail(OUTAGE_FAILURES).await;
    both.house.fault(&json!({ "endpoint": "*", "fault": "unauthorized", "times": 10_000 }));
    for _ in 0..2 {
        both.trial_is_due().await;
        both.look().await;
        assert_eq!(both.circuits().await, [(String::new(), "key".to_owned())]);
        assert_eq!(both.told().await, 1);
    }
    assert_eq!(both.one.may_ask(GET).await.expect_err("nothing is asked").why, Why::Key);
    // An outage that follows adds nothing.
    both.house.no_more_faults();
    both.house.fault(&json!({ "endpoint": "*", "fault": "drop", "times": 10_000 }));
    both.trial_is_due().await;
    both.look().await;
    assert_eq!((both.circuits().await.len(), both.told().await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_leaves_all_other_endpoints_open() {
    let both = Neighbours::new().await;
    both.one.learns(POST, refused(Scope::Endpoint, 403)).await;
    both.look().await;
    for process in [&both.one, &both.two] {
        process.may_ask(GET).await.expect("another endpoint");
        assert_eq!(process.may_ask(POST).await.expect_err("this one").why, Why::Key);
    }
    assert_eq!((both.trials(), both.told().await), (0, 1), "no GET can vouch for it");
    // One waiting request at a time is its trial.
    both.trial_is_due().await;
    both.look().await;
    let (one, two) = tokio::join!(both.one.may_ask(POST), both.two.may_ask(POST));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    let tried = if one.is_ok() { &both.one } else { &both.two };
    tried.learns(POST, Ok(())).await;
    assert!(both.circuits().await.is_empty());
    assert_eq!(both.pace().await, 1000, "one endpoint is no upstream");
}

impl Neighbours {
    /// How long until the next trial of the one open circuit, in hours of its interval, as `queue stats` says it.
    async fn next_trial(&self) -> i64 {
        let changes = [("LJPC__CIRCUIT_PROBE_INTERVAL", "1h")];
        let stats =
            provisor(&["queue", "stats", "--json"], &self.house.environment(&changes)).await;
        let seconds = stats.json()["circuits"][0]["next_trial_seconds"].as_i64();
        // A minute less for a busy machine.
        (seconds.unwrap_or_else(|| panic!("{stats:?}")) + 60) / 3600
    }

    /// As if the circuit had been open for so long, and the next trial due.
    async fn has_been_open(&self, hours: i64) {
        self.house
            .world
            .run(&format!(
                "UPDATE provisor.circuits
                 SET opened_at = clock_timestamp() - interval '{hours} h', probe_at = clock_timestamp()"
            ))
            .await;
        self.look().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stays_shut_is_tried_less_and_less_often() {
    let both = Neighbours::new().await;
    let interval = provisor::db::guests::Trials { interval: Duration::from_secs(5) };
    let (db, provider) = (&both.db, "ljpc");
    let open = async || {
        let cause = provisor::db::guests::Cause::Outage;
        let opened = db.open_circuit(provider, POST, cause, "no answer", interval).await;
        opened.expect("it opens").probe_in.as_millis()
    };
    let near = |found: u128, expected: u128| {
        assert!((expected - 500..=expected + 2000).contains(&found), "{found} for {expected}");
    };
    near(open().await, 5_000);
    // Each trial is as far away as the circuit has been open, up to 64 intervals.
    for (open_for, expected) in
        [(1, 5_000), (10, 10_000), (20, 20_000), (200, 200_000), (2_000, 320_000)]
    {
        let past = format!("clock_timestamp() - interval '{open_for} s'");
        both.house
            .world
            .run(&format!("UPDATE provisor.circuits SET opened_at = {past}, probe_at = {past}"))
            .await;
        assert!(db.take_trial(provider, POST, interval).await.expect("asked"), "{open_for}");
        assert!(!db.take_trial(provider, POST, interval).await.expect("asked"), "{open_for}");
        let listed = db.open_circuits(interval).await.expect("listed");
        near(listed[0].probe_in.as_millis(), expected);
        near(open().await, expected);
    }
    // The whole upstream's trials cost nothing, and come as often as ever.
    both.house.world.run("UPDATE provisor.circuits SET endpoint = ''").await;
    let past = "probe_at = clock_timestamp()";
    both.house.world.run(&format!("UPDATE provisor.circuits SET {past}")).await;
    assert!(db.take_trial(provider, "", interval).await.expect("asked"));
    let listed = db.open_circuits(interval).await.expect("listed");
    near(listed[0].probe_in.as_millis() + 500, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_or_a_person_lets_an_endpoint_be_tried_soon_again() {
    let both = Neighbours::new().await;
    for reset in ["an answer", "resume"] {
        both.one.learns(POST, refused(Scope::Endpoint, 403)).await;
        both.look().await;
        assert_eq!(both.next_trial().await, 1, "{reset}");
        let why = both.two.may_ask(POST).await.expect_err("it is shut");
        assert_eq!(why.after, super::PROBE_INTERVAL, "a line looks whether it is open by then");
        if reset == "an answer" {
            both.has_been_open(1).await;
            both.one.may_ask(POST).await.expect("a trial");
            both.one.learns(POST, Ok(())).await;
        } else {
            let resumed = provisor(&["queue", "resume"], &both.house.environment(&[])).await;
            assert_eq!(resumed.code, Some(0), "{resumed:?}");
            both.look().await;
        }
        assert!(both.circuits().await.is_empty(), "{reset}");
        both.two.guest.look().await.expect("a look");
        both.two.may_ask(POST).await.expect("it is open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_keeps_no_circuit_from_its_trial() {
    let both = Neighbours::new().await;
    both.fail(OUTAGE_FAILURES).await;
    both.one.learns(POST, refused(Scope::Endpoint, 403)).await;
    let days = "opened_at = opened_at + interval '9 days', probe_at = probe_at + interval '9 days'";
    both.house.world.run(&format!("UPDATE provisor.circuits SET {days}")).await;
    both.look().await;
    assert_eq!(both.trials(), 1, "by one of them");
    assert_eq!(both.circuits().await, [(POST.to_owned(), "key".to_owned())], "LJPc is there");
    both.look().await;
    let (one, two) = tokio::join!(both.one.may_ask(POST), both.two.may_ask(POST));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_keeps_lines_waiting_costs_them_nothing_and_asks_little() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "*", "fault": "status", "status": 503, "times": 100_000 }));
    let daemon = house.daemon(&[]);
    let references: Vec<String> = (0..6).map(|n| format!("SHOP-{n}")).collect();
    for reference in &references {
        let domain = format!("{}.example", reference.to_lowercase());
        house.submit(reference, json!([hosting(&domain)])).await;
    }
    eventually("the circuit is open", async || {
        let open: i64 = house
            .world
            .value("SELECT count(*) FROM provisor.circuits WHERE cause = 'outage'")
            .await;
        open == 1
    })
    .await;
    eventually("a trial has failed", async || told(&house).await == 1).await;
    let line = house.line("SHOP-0", 0).await;
    let tries = format!("SELECT tries FROM provisor.wakes WHERE id = {} * 16 + 1", line.id);
    let before: i32 = house.world.value(&tries).await;
    let asked = house.requests("GET", "/api/v1/").len();
    house.look_again(line.id, 2).await;
    assert_eq!(house.requests("GET", "/api/v1/").len(), asked, "nothing is asked but trials");
    assert_eq!(house.world.value::<i32>(&tries).await, before, "a wait is no attempt");
    for reference in &references {
        house.until_reason(reference, 0, "LJPc can't be asked (").await;
        assert_eq!(house.line_status(reference, 0).await, "pending");
    }
    house.no_more_faults();
    for (n, reference) in references.iter().enumerate() {
        house.until_order(reference, "completed").await;
        assert_eq!(house.bought(&format!("SHOP-{n}/0")), 1);
    }
    assert_eq!(told(&house).await, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_puts_few_purchases_in_doubt() {
    let house = House::new().await;
    // One at a time, so that none is under way when the circuit opens.
    house.fault(&json!({ "endpoint": "*", "fault": "drop", "times": 100_000 }));
    let daemon = house.daemon(&[("LJPC__MAX_IN_FLIGHT", "1")]);
    for n in 0..12 {
        let line =
            json!({ "kind": "hosting_own", "space_id": 7, "domain": format!("n{n}.example") });
        house.submit(&format!("SHOP-{n}"), json!([line])).await;
    }
    eventually("a trial has failed", async || told(&house).await == 1).await;
    let posts = house.requests("POST", "/api/v1/orders").len();
    let most = usize::try_from(OUTAGE_FAILURES).expect("a few");
    assert!((1..=most).contains(&posts), "{posts} of 12 were sent");
    let sent = "SELECT count(*) FROM provisor.order_lines WHERE status = 'in_doubt'";
    assert_eq!(house.world.value::<i64>(sent).await, i64::try_from(posts).expect("a few"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_waited_for_the_upstream_does_not_come_all_at_once() {
    let house = House::new().await;
    let shut = "INSERT INTO provisor.circuits (provider, cause, reason, probe_at)
                VALUES ('ljpc', 'outage', 'HTTP 503', clock_timestamp() + interval '1 s')";
    house.world.run(shut).await;
    for n in 0..40 {
        let line =
            json!({ "kind": "hosting_own", "space_id": 7, "domain": format!("n{n}.example") });
        house.submit(&format!("SHOP-{n}"), json!([line])).await;
    }
    let daemon = house.daemon(&[("LJPC__REQUESTS_PER_SECOND", "100")]);
    eventually("enough is placed", async || house.requests("POST", "/api/v1/orders").len() > 12)
        .await;
    let trial = house.requests("GET", "/api/hosting/v1/tlds")[0].at;
    let posts = house.requests("POST", "/api/v1/orders");
    assert!(posts.iter().all(|post| post.at >= trial), "none comes before the trial");
    // From 5 a second on, and 1.7 more each second: 6 in the first one, where all 40 could come.
    let first = posts.iter().filter(|post| (post.at - trial).num_milliseconds() < 1000).count();
    assert!(first <= 15, "{first} in the first second");
    assert_eq!(told(&house).await, 0, "what has passed by its first trial is no news");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_closes_every_circuit_says_which_and_asks_nothing() {
    let both = Neighbours::new().await;
    both.one.learns(POST, refused(Scope::Endpoint, 403)).await;
    both.fail(OUTAGE_FAILURES).await;
    let env = both.house.environment(&[]);
    let stats = provisor(&["queue", "stats", "--json"], &env).await;
    assert_eq!(stats.code, Some(0), "{stats:?}");
    assert_eq!(stats.json()["circuits"].as_array().map(Vec::len), Some(2), "{stats:?}");
    assert_eq!(stats.json()["upstreams"][0]["failures_in_a_row"], OUTAGE_FAILURES);

    let resumed = provisor(&["queue", "resume", "--json"], &env).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let closed = resumed.json()["circuits_closed"].clone();
    let expected = json!([
        { "provider": "ljpc", "endpoint": "", "cause": "outage", "reason": "HTTP 503" },
        { "provider": "ljpc", "endpoint": POST, "cause": "key", "reason": "HTTP 403" },
    ]);
    let reasons: Vec<_> = closed.as_array().into_iter().flatten().map(|c| &c["endpoint"]).collect();
    assert_eq!(reasons, ["", POST], "{closed}");
    assert_eq!(closed[1], expected[1]);
    assert_eq!((&closed[0]["cause"], both.state().await.failures), (&json!("outage"), 0));
    assert!(both.circuits().await.is_empty());
    let pace = both.pace().await;
    assert!((50..=600).contains(&pace), "slowly, as after a trial: {pace}");
    both.look().await;
    for process in [&both.one, &both.two] {
        process.may_ask(POST).await.expect("it may be tried");
    }
    assert!(both.house.requests("GET", "/").is_empty(), "nothing was asked");

    let again = provisor(&["queue", "resume"], &env).await;
    assert!(again.stdout.contains("No circuit was open."), "{again:?}");
    let stats = provisor(&["queue", "stats"], &env).await;
    assert!(stats.stdout.contains("requests a minute, of 60000"), "{stats:?}");
}

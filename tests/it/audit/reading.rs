//! What is old, odd, or refused is not taken for more than it is.

use chrono::TimeDelta;
use provisor::{
    audit::{RunKind, Stage},
    clock::Deadline,
    db::operators::pauses::Deed,
    jobs::audit::{Begun, LooksMax, Stepped},
};
use serde_json::json;

use super::{begin, in_days, run, steps};
use crate::{
    doubt::database,
    emails_owed::mails_to,
    house::{House, eventually, hosting},
};

const LISTING: &str = "GET /api/hosting/v1/domain-names";
const DETAIL: &str = "GET /api/hosting/v1/domain-names/{domain}";
const PRICES: &str = "GET /api/hosting/v1/domain-names/price";

impl House {
    /// The reminders that were owed: template, and whether they say that the name renews by itself.
    async fn reminded(&self) -> Vec<(String, bool)> {
        sqlx::query_as(
            "SELECT template, (context ->> 'auto_renew')::boolean FROM provisor.email_outbox
             WHERE template IN ('domain_expiring', 'domain_expired') ORDER BY id",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("emails can be read")
    }

    async fn is_open(&self, kind: &str) -> bool {
        self.open().await.iter().any(|(open, ..)| open == kind)
    }
}

fn told(told: &[(&str, bool)]) -> Vec<(String, bool)> {
    told.iter().map(|(template, auto_renew)| ((*template).to_owned(), *auto_renew)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_his_name_has_expired_by_what_was_known_before_an_outage() {
    let house = House::new().await;
    house.domain("expired.nl", -4, false).await;
    house.domain("expiring.nl", 20, false).await;
    let fault = json!({ "endpoint": LISTING, "fault": "status", "status": 503, "times": 100 });
    house.fault(&fault);
    let ended = house.audit(&["run", "--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        house.reminded().await,
        told(&[("domain_expiring", false)]),
        "before it, he is told"
    );
    assert!(house.is_open("reminder_missing").await, "and the operator of whom nobody told");
    house.no_more_faults();
    house.audited().await;
    assert_eq!(
        house.reminded().await,
        told(&[("domain_expiring", false), ("domain_expired", false)])
    );
    assert!(!house.is_open("reminder_missing").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_has_moved_oddly_is_not_reminded_of() {
    let house = House::new().await;
    for (name, days) in [("far.nl", 300), ("near.nl", 20), ("sooner.nl", 300)] {
        house.domain(name, days, false).await;
    }
    house.seems(&json!({ "domain": "sooner.nl", "expires_at": in_days(25) }));
    // Both seem to have expired.
    for name in ["far.nl", "near.nl"] {
        house.seems(&json!({ "domain": name, "expires_at": in_days(-4) }));
    }
    house.audited().await;
    assert!(house.is_open("expiry_moved").await);
    // One is reminded of the date that is believed, one of the sooner date, and one of nothing.
    assert_eq!(
        house.reminded().await,
        told(&[("domain_expiring", false), ("domain_expiring", false)])
    );
    let reminded: Vec<(String, i32)> = sqlx::query_as(
        "SELECT domain, expires_on - current_date FROM provisor.reminders WHERE outcome = 'owed' ORDER BY domain",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    let names: Vec<&str> = reminded.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["near.nl", "sooner.nl"]);
    assert!(
        (19..=21).contains(&reminded[0].1) && (24..=26).contains(&reminded[1].1),
        "{reminded:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_follows_the_wish_that_is_being_carried_out_until_it_seems_to_be_in_vain() {
    let house = House::new().await;
    house.domain("example.nl", 50, false).await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = true").await;
    let db = database(&house);
    for (day, renews) in [(0, true), (21, false)] {
        let (auditor, _ends) = house.auditor(&db, TimeDelta::days(day));
        run(&auditor, RunKind::Asked).await;
        let expected = ("domain_expiring".to_owned(), renews);
        assert_eq!(house.reminded().await.last(), Some(&expected), "{day}");
    }
    // A dry run tells what it has read, though it keeps nothing of it.
    house.domain("another.nl", 300, false).await;
    house.seems(&json!({ "domain": "another.nl", "expires_at": in_days(5) }));
    house.world.run("UPDATE provisor.domains SET expiry_believed = NULL").await;
    let dry = house.audit(&["run", "--dry-run", "--json"]).await.json();
    assert_eq!(dry["reminded"], json!(1), "{dry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_his_name_renews_by_a_wish_that_nobody_carries_out() {
    let house = House::new().await;
    for name in ["refused.nl", "reported.nl", "kept.nl"] {
        house.domain(name, 20, false).await;
    }
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = true").await;
    for told in ["auto_renew_refused_at", "auto_renew_kept_since"] {
        let name = if told == "auto_renew_refused_at" { "refused.nl" } else { "kept.nl" };
        house
            .world
            .run(&format!("UPDATE provisor.domains SET {told} = now() WHERE domain = '{name}'"))
            .await;
    }
    // It was set while the audit went on: the listing was read before.
    house.seems(&json!({ "domain": "kept.nl", "auto_renew": true }));
    let db = database(&house);
    let report = [("AUDIT__APPLY_AUTO_RENEW", "false")];
    let (auditor, _ends) = house.auditor_with(&report, &db, TimeDelta::zero());
    run(&auditor, RunKind::Asked).await;
    let renews: Vec<(String, bool)> = sqlx::query_as(
        "SELECT context ->> 'domain', (context ->> 'auto_renew')::boolean FROM provisor.email_outbox
         WHERE template = 'domain_expiring' ORDER BY 1",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    assert_eq!(renews, told(&[("kept.nl", true), ("refused.nl", false), ("reported.nl", false)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_to_go_and_is_gone_is_told_of_once_and_not_looked_for_for_ever() {
    let house = House::new().await;
    house.domain("example.nl", -4, false).await;
    house.domain("another.nl", 300, true).await;
    house
        .world
        .run("UPDATE provisor.domains SET auto_renew_wished = false WHERE domain = 'example.nl'")
        .await;
    house.seems(&json!({ "domain": "example.nl", "foreign": true }));
    let path = "/api/hosting/v1/domain-names/example.nl";
    for _ in 0..3 {
        house.audited().await;
        assert_eq!(house.reminded().await, told(&[("domain_expired", false)]));
        assert_eq!(house.open().await, [], "it is as was wished");
        assert_eq!(house.requests("GET", path).len(), 1, "there is nothing more to learn");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moved_his_name_away_before_its_time_was_over_is_told_nothing() {
    let house = House::new().await;
    house.domain("moved.nl", -4, false).await;
    house
        .world
        .run(
            "UPDATE provisor.domains
             SET auto_renew_wished = false, missing_runs = 3, missing_since = now() - interval '20 days'",
        )
        .await;
    house.seems(&json!({ "domain": "moved.nl", "foreign": true }));
    for _ in 0..2 {
        house.audited().await;
        assert_eq!(house.reminded().await, [], "it is alive, with somebody else");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_still_shows_a_name_has_not_found_it_gone() {
    let house = House::new().await;
    house.domain("late.nl", -2, false).await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = false").await;
    house.audited().await;
    assert!(house.is_open("domain_expired").await);
    house.world.run("UPDATE provisor.domains SET looked_at = seen_at").await;
    house.seems(&json!({ "domain": "late.nl", "foreign": true }));
    for _ in 0..2 {
        house.audited().await;
        assert_eq!(house.open().await, [], "what was open of it is closed");
    }
    assert_eq!(house.requests("GET", "/api/hosting/v1/domain-names/late.nl").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_is_known_to_have_is_neither_changed_nor_reminded_of() {
    let house = House::new().await;
    house.domain("ours.nl", 300, true).await;
    for (name, days, renews) in
        [("soon.nl", 5, true), ("off.nl", 20, false), ("gone.nl", -2, false)]
    {
        house.seems(&json!({ "domain": name, "status": "active", "auto_renew": renews,
                             "expires_at": in_days(days) }));
    }
    house.hosts(&json!({ "id": 4000, "domain": "soon.nl" }));
    let daemon = house.daemon(&[]);
    for _ in 0..2 {
        house.audited().await;
    }
    let unknown = house.open().await.iter().filter(|(kind, ..)| kind.ends_with("_unknown")).count();
    assert_eq!((unknown, house.open().await.len()), (4, 4));
    assert_eq!(house.reminded().await, []);
    for method in ["PATCH", "POST", "PUT", "DELETE"] {
        assert!(house.requests(method, "/").is_empty(), "{method}");
    }
    assert!(
        house.requests("GET", "/api/hosting/v1/domain-names/soon.nl").is_empty(),
        "not even a look"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_comes_late_skips_what_has_passed_and_the_proof_lasts_for_three_years() {
    let house = House::new().await;
    house.domain("example.nl", 5, true).await;
    house.audited().await;
    let proof = async || -> Vec<(i32, String)> {
        sqlx::query_as("SELECT threshold, outcome FROM provisor.reminders ORDER BY threshold DESC")
            .fetch_all(&house.world.pool)
            .await
            .unwrap()
    };
    let expected = [(60, "skipped"), (30, "skipped"), (7, "owed")];
    let expected = expected.map(|(threshold, outcome)| (threshold, outcome.to_owned()));
    assert_eq!(proof().await, expected);
    house.world.run("UPDATE provisor.findings SET closed_at = now()").await;
    let findings = "SELECT count(*) FROM provisor.findings";
    let found: i64 = house.world.value(findings).await;
    assert!(found > 0);
    let db = database(&house);
    let now = db.time().await.unwrap();
    db.forget_old_audits(now + TimeDelta::days(3 * 365 - 1)).await.unwrap();
    assert_eq!(proof().await, expected);
    assert_eq!(house.world.value::<i64>(findings).await, found);
    db.forget_old_audits(now + TimeDelta::days(4 * 365)).await.unwrap();
    assert_eq!(proof().await, []);
    assert_eq!(house.world.value::<i64>(findings).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_threshold_is_a_finding_of_its_own() {
    let house = House::new().await;
    for (name, days) in [("a.nl", 61), ("b.nl", 59), ("c.nl", 29), ("d.nl", 6)] {
        house.domain(name, days, false).await;
    }
    house.audited().await;
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT subject, substring(fingerprint FROM '[0-9]+$') || ' ' || severity FROM provisor.findings
         WHERE kind = 'domain_expiring' ORDER BY 1",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    let expected = [("b.nl", "60 warning"), ("c.nl", "30 warning"), ("d.nl", "7 critical")];
    assert_eq!(found, expected.map(|(name, what)| (name.to_owned(), what.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_takes_a_quarter_of_the_budget_at_the_most() {
    let house = House::new().await;
    for n in 0..10 {
        house.domain(&format!("example-{n}.nl"), 300, true).await;
        // Each wants a look.
        house.seems(&json!({ "domain": format!("example-{n}.nl"), "foreign": true }));
    }
    let db = database(&house);
    let slow = [("LJPC__REQUESTS_PER_SECOND", "20")];
    let (auditor, _ends) = house.auditor_with(&slow, &db, TimeDelta::zero());
    let began = std::time::Instant::now();
    let ended = run(&auditor, RunKind::Asked).await;
    assert!(ended.figures.looks >= 10, "{:?}", ended.figures);
    // Two listings and ten looks are twelve requests: eleven pauses of a fifth of a second.
    assert!(began.elapsed() >= std::time::Duration::from_millis(2_200), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_said_of_old_readings_does_not_count_for_new_ones() {
    let house = House::new().await;
    let db = database(&house);
    let (auditor, _ends) = house.auditor(&db, TimeDelta::zero());
    let now = auditor.now().await.unwrap();
    let deed = Some(Deed { by: "alice", why: None });
    let Begun::Run(begun) = auditor.begin(RunKind::Asked, now, deed).await.unwrap() else {
        panic!("somebody is at it")
    };
    assert!(begun.row.past_brake);
    let old = "UPDATE provisor.audit_runs SET lease_until = now() - interval '61 minutes'";
    house.world.run(old).await;
    let anew = begin(&auditor, RunKind::Asked, now).await.expect("it is free");
    assert_eq!((anew.row.id, anew.row.past_brake), (begun.row.id, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_time_of_the_day_is_no_question() {
    let house = House::new().await;
    house.domain("example.nl", 300, true).await;
    // LJPc's listing and its detail need not agree to the second.
    house
        .world
        .run(
            "UPDATE provisor.domains
             SET expiry_believed = date_trunc('day', expires_at, 'Europe/Amsterdam') + interval '12 hours'",
        )
        .await;
    house.audited().await;
    assert!(house.requests("GET", "/api/hosting/v1/domain-names/example.nl").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_left_for_long_begins_anew_and_what_was_seen_since_is_kept() {
    let house = House::new().await;
    house.domain("example.nl", 300, true).await;
    let db = database(&house);
    let (auditor, _ends) = house.auditor(&db, TimeDelta::zero());
    let now = auditor.now().await.unwrap();
    let begun = begin(&auditor, RunKind::Asked, now).await.expect("nobody else is at it");
    let (left, _) = steps(&auditor, begun, 3).await.expect("it is its own");
    assert!(left.stage > Stage::Domains);
    for (ago, stage) in [("59 minutes", left.stage), ("61 minutes", Stage::Domains)] {
        let old = format!("UPDATE provisor.audit_runs SET lease_until = now() - interval '{ago}'");
        house.world.run(&old).await;
        let taken = begin(&auditor, RunKind::Asked, now).await.expect("it is free");
        assert_eq!(taken.stage, stage, "{ago}");
    }
    let readings: i64 = house.world.value("SELECT count(*) FROM provisor.audit_readings").await;
    assert_eq!(readings, 0);

    let taken = begin(&auditor, RunKind::Asked, now).await.expect("it is its own");
    let mut taken = taken;
    while taken.stage < Stage::Weigh {
        (taken, _) = steps(&auditor, taken, 1).await.expect("it is its own");
    }
    let learnt = "UPDATE provisor.domains SET status = 'news', seen_at = clock_timestamp()";
    house.world.run(learnt).await;
    let (_, ended) = steps(&auditor, taken, 100).await.expect("it is its own");
    assert!(ended);
    let status: String = house.world.value("SELECT status FROM provisor.domains").await;
    assert_eq!(status, "news", "it was read before that");
    house.audited().await;
    let status: String = house.world.value("SELECT status FROM provisor.domains").await;
    assert_eq!(status, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_makes_so_many_looks_and_the_next_one_goes_on_there() {
    let house = House::new().await;
    let db = database(&house);
    for n in 0..5 {
        let name = format!("example-{n}.nl");
        house.domain(&name, 300, true).await;
        house.site(3000 + n, &name).await;
    }
    house.world.run("UPDATE provisor.domains SET transfer_lock_wished = false").await;
    let looks = LooksMax { needed: 2, routine: 3 };
    for (run_of_it, expected) in [(0, "2 3"), (1, "4 5"), (2, "5 5"), (3, "5 5")] {
        let (auditor, _ends) = house.auditor(&db, TimeDelta::zero());
        let ended = run(&auditor.looking_at_most(looks), RunKind::Asked).await;
        let looked: String = house
            .world
            .value(
                "SELECT (SELECT count(looked_at) FROM provisor.domains) || ' '
                        || (SELECT count(looked_at) FROM provisor.sites)",
            )
            .await;
        assert_eq!(looked, expected, "{run_of_it}");
        // The third run begins with the last one, and the fourth from the front.
        assert_eq!(ended.figures.problems.is_empty(), run_of_it == 2, "{run_of_it}: {ended:?}");
        assert!(ended.figures.complete, "what it left, the next one does");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_that_the_upstream_cant_answer_for_hides_no_other() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let names = ["a.nl", "poison.nl", "z.nl"];
    for (n, name) in names.iter().enumerate() {
        let line = json!({ "kind": "domain_register", "domain": name, "contact_handle": "sandbox-account" });
        if n == 0 {
            house.seems(&json!({ "domain": "another.nl", "foreign": true }));
        }
        let reference = format!("SHOP-{n}");
        house.submit(&reference, json!([line])).await;
        house.until_order(&reference, "completed").await;
    }
    daemon.stop().await;
    for endpoint in [PRICES, DETAIL] {
        house.fault(&json!({ "endpoint": endpoint, "fault": "garbage", "times": 1000,
                             "match": { "domain": "poison.nl" } }));
    }
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = true").await;
    let ended = house.audited().await;
    assert_eq!(ended["given_up"], json!(false), "{ended}");
    let priced: String = house
        .world
        .value(
            "SELECT string_agg(l.domain, ' ' ORDER BY l.domain) FROM provisor.line_prices p
             JOIN provisor.order_lines l ON l.id = p.line_id",
        )
        .await;
    assert_eq!(priced, "a.nl z.nl");
    let looked: String = house
        .world
        .value("SELECT string_agg(domain, ' ' ORDER BY domain) FROM provisor.domains WHERE looked_at IS NOT NULL")
        .await;
    assert_eq!(looked, "a.nl z.nl", "who gave no answer has not had his turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_may_not_be_asked_is_waited_for_but_not_for_ever() {
    let house = House::new().await;
    house.domain("expiring.nl", 20, false).await;
    let db = database(&house);
    // It is not tried while the test lasts.
    let patient = [("LJPC__CIRCUIT_PROBE_INTERVAL", "1m")];
    let (auditor, _ends) = house.auditor_with(&patient, &db, TimeDelta::zero());
    let now = auditor.now().await.unwrap();
    house
        .world
        .run(
            "INSERT INTO provisor.circuits (provider, endpoint, reason, cause, probe_at)
             VALUES ('ljpc', '', 'a test', 'key', now() + interval '9 minutes')",
        )
        .await;
    eventually("the circuit is seen", async || {
        let look = begin(&auditor, RunKind::Scheduled, now).await.expect("it is its own");
        let deadline = Deadline::after(std::time::Duration::from_mins(1));
        let stepped = auditor.step(look, deadline).await;
        matches!(stepped, Ok(Stepped::Later(run, _)) if run.figures.failures == 0)
    })
    .await;
    // An hour later everything that needs it is given up, and customers are reminded all the same.
    house
        .world
        .run(
            "UPDATE provisor.audit_runs
             SET figures = jsonb_set(figures, '{waiting_since}', to_jsonb(now() - interval '61 minutes'))",
        )
        .await;
    let taken = begin(&auditor, RunKind::Scheduled, now).await.expect("it is its own");
    let (ended, is_ended) = steps(&auditor, taken, 100).await.expect("it is its own");
    assert!(is_ended);
    assert!(ended.figures.given_up && !ended.figures.complete, "{:?}", ended.figures);
    assert_eq!(house.reminded().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_is_refused_is_told_once_though_each_audit_tries_it() {
    let house = House::new().await;
    house.domain("example.nl", 300, false).await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = true").await;
    house.fault(&json!({ "endpoint": "PATCH /api/hosting/v1/domain-names/{domain}", "fault": "status", "status": 422,
                         "times": 100, "message": "not now" }));
    let daemon = house.daemon(&[]);
    for tries in 1..=2 {
        house.audited().await;
        eventually("it is tried", async || house.requests("PATCH", "/api/hosting").len() == tries)
            .await;
    }
    house.until_emailed().await;
    daemon.stop().await;
    let mails = mails_to(&house, "ops@example.com");
    assert_eq!(mails.len(), 1, "{mails:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_wish_for_the_lock_counts_and_a_new_registration_forgets_the_old_expiry() {
    let house = House::new().await;
    house.seems(&json!({ "domain": "another.nl", "foreign": true }));
    let daemon = house.daemon(&[]);
    let register = json!({ "kind": "domain_register", "domain": "example.nl",
                           "contact_handle": "sandbox-account", "transfer_lock": true });
    let unlock = json!({ "kind": "domain_update", "domain": "example.nl", "transfer_lock": false });
    for (reference, line) in [("SHOP-1", register), ("SHOP-2", unlock)] {
        house.submit(reference, json!([line])).await;
        house.until_order(reference, "completed").await;
    }
    daemon.stop().await;
    house.audited().await;
    assert!(!house.is_open("transfer_lock_mismatch").await, "{:?}", house.open().await);
    house.seems(&json!({ "domain": "example.nl", "transfer_lock": true }));
    house.audited().await;
    assert!(house.is_open("transfer_lock_mismatch").await);

    let known =
        "SELECT expiry_believed IS NOT NULL FROM provisor.domains WHERE domain = 'example.nl'";
    assert!(house.world.value::<bool>(known).await);
    // Another line has brought it.
    house
        .world
        .run("UPDATE provisor.domains SET line_id = (SELECT max(id) FROM provisor.order_lines) WHERE domain = 'example.nl'")
        .await;
    assert!(!house.world.value::<bool>(known).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_may_be_a_customers_is_not_called_unknown_and_what_is_given_back_is_not_missed()
{
    let house = House::new().await;
    house.domain("example.nl", 20, false).await;
    house.site(3000, "example.nl").await;
    house.hosts(&json!({ "id": 4000, "domain": "awaited.nl" }));
    house.submit("SHOP-1", json!([hosting("awaited.nl")])).await;
    house
        .world
        .run("UPDATE provisor.order_lines SET status = 'provisioning', domain = 'awaited.nl'")
        .await;
    house.audited().await;
    assert!(!house.is_open("site_unknown").await, "{:?}", house.open().await);
    house.world.run("UPDATE provisor.order_lines SET status = 'completed'").await;
    house.audited().await;
    assert!(house.is_open("site_unknown").await);

    house.seems(&json!({ "domain": "example.nl", "foreign": true }));
    house.hosts(&json!({ "id": 3000, "gone": true }));
    house.audited().await;
    assert!(house.is_open("domain_missing").await && house.is_open("site_missing").await);
    let refused = house.audit(&["disown", "example.nl", "unknown.nl"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("unknown.nl"), "{refused:?}");
    let ended = house.audit(&["disown", "3000", "--json"]).await;
    assert_eq!(ended.json(), json!({ "disowned": ["3000"] }));
    let told: Vec<(String, serde_json::Value)> =
        sqlx::query_as("SELECT event, detail - 'by' FROM provisor.operator_events ORDER BY at")
            .fetch_all(&house.world.pool)
            .await
            .unwrap();
    assert_eq!(
        told,
        [
            ("disowned".to_owned(), json!({ "domain": "example.nl" })),
            ("disowned".to_owned(), json!({ "site_id": "3000" })),
        ]
    );
    house.audited().await;
    assert!(!house.is_open("domain_missing").await && !house.is_open("site_missing").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_no_more_closes_though_nothing_comes_by_it() {
    let house = House::new().await;
    house.domain("example.nl", 20, false).await;
    house.audited().await;
    house.world.run("UPDATE provisor.email_outbox SET status = 'failed', settled_at = now()").await;
    house.audited().await;
    assert!(house.is_open("reminder_missing").await);
    house.seems(&json!({ "domain": "example.nl", "expires_at": in_days(385) }));
    house.audited().await;
    assert!(!house.is_open("reminder_missing").await, "it was renewed");
    // A price of a line that is not there any more.
    house
        .world
        .run(
            "INSERT INTO provisor.findings (fingerprint, kind, severity, subject, detail, first_seen, last_seen, worse_at)
             VALUES ('x', 'price_changed', 'info', 'SHOP-9/0', 'dear', now(), now(), now())",
        )
        .await;
    house.audited().await;
    assert!(!house.is_open("price_changed").await);
}

//! Who runs it when: once for any number of processes, made up for once, and gone on with by whoever comes next.

use chrono::TimeDelta;
use provisor::audit::{RunKind, Stage};
use serde_json::json;

use super::{begin, steps};

use crate::{
    binary::{Process, get},
    doubt::database,
    emails_owed::mails_to,
    house::{House, eventually},
};

impl House {
    /// The audits that have ended, of the schedule and asked for.
    async fn ended(&self) -> (i64, i64) {
        sqlx::query_as(
            "SELECT count(*) FILTER (WHERE kind = 'scheduled'), count(*) FILTER (WHERE kind = 'asked')
             FROM provisor.audit_runs WHERE ended_at IS NOT NULL",
        )
        .fetch_one(&self.world.pool)
        .await
        .expect("audits can be read")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_was_missed_is_made_up_for_once_by_one_of_many_and_told_once() {
    let house = House::new().await;
    house.domain("example.nl", 20, true).await;
    // Everything was down for three days.
    house.world.run("UPDATE provisor.audit_schedule SET since = now() - interval '3 days'").await;
    let daemons = [house.daemon(&[]), house.daemon(&[]), house.daemon(&[])];
    eventually("an audit has ended", async || house.ended().await.0 > 0).await;
    house.until_emailed().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(house.ended().await, (1, 0));
    for daemon in daemons {
        daemon.stop().await;
    }
    let mails = mails_to(&house, "ops@example.com");
    let subjects: Vec<_> = mails.iter().filter_map(|mail| mail.subject.as_deref()).collect();
    assert_eq!(subjects, ["Provisor audit: 0 critical, 0 warning, 1 info"]);
    // It is not made up for again.
    let daemon = house.daemon(&[]);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    daemon.stop().await;
    assert_eq!(house.ended().await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_has_begun_another_goes_on_with() {
    let house = House::new().await;
    for n in 0..150 {
        house.seems(&json!({ "domain": format!("example-{n}.nl") }));
    }
    // Slow enough to be cut off in the midst of the listing.
    let slow = [("LJPC__REQUESTS_PER_SECOND", "1"), ("QUEUE__LEASE", "6s")];
    let mut command = Process::start(&["audit", "run"], &house.environment(&slow));
    eventually("a page is read", async || {
        let read: i64 = house.world.value("SELECT count(*) FROM provisor.audit_readings").await;
        read > 0
    })
    .await;
    command.signal("KILL").await;
    let _ = command.ended().await;
    let first_page = || {
        let listed = house.requests("GET", "/api/hosting/v1/domain-names");
        listed.into_iter().filter(|entry| entry.query.contains("page=1&")).count()
    };
    let before = first_page();
    let daemon = house.daemon(&[]);
    eventually("the audit has ended", async || house.ended().await == (0, 1)).await;
    daemon.stop().await;
    assert_eq!(house.open().await.len(), 150);
    assert_eq!(first_page(), before, "it went on with the second page");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_while_another_is_at_it_waits_and_then_has_an_audit_of_his_own() {
    let house = House::new().await;
    house.domain("example.nl", 20, true).await;
    let (one, two) = tokio::join!(house.audit(&["run", "--json"]), house.audit(&["run", "--json"]));
    assert_eq!((one.code, two.code), (Some(0), Some(0)), "{one:?} {two:?}");
    assert_eq!(house.ended().await, (0, 2));
    let opened = [one, two].map(|ended| ended.json()["opened"].as_i64().expect("a number"));
    assert_eq!(opened.iter().sum::<i64>(), 1, "it was opened once");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_figures_are_scraped() {
    let house = House::new().await;
    house.domain("example.nl", -2, true).await;
    house.audited().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    let health = daemon.until_ready().await;
    let (_, metrics) = get(health, "/metrics").await;
    let expired = "provisor_audit_findings{kind=\"domain_expired\",severity=\"critical\"} 1";
    assert!(metrics.contains(expired), "{metrics}");
    let last = "provisor_audit_last_success_timestamp_seconds 0";
    assert!(!metrics.lines().any(|line| line == last), "{metrics}");
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_changes_is_begun_anew_and_one_that_keeps_changing_is_what_all_readings_show()
 {
    let house = House::new().await;
    let names = async |from: usize, to: usize| {
        for n in from..to {
            house.seems(&json!({ "domain": format!("example-{n}.nl") }));
        }
    };
    names(0, 150).await;
    house.domain("gone.nl", 300, true).await;
    house.seems(&json!({ "domain": "gone.nl", "foreign": true }));
    let db = database(&house);
    // However often it changes, what all readings have shown together is as much as there is.
    for changes in [1, 4] {
        let (auditor, _ends) = house.auditor(&db, TimeDelta::zero());
        let now = auditor.now().await.unwrap();
        let mut run = begin(&auditor, RunKind::Asked, now).await.expect("nobody else is at it");
        for change in 0..changes {
            // Between the first page and the second one a name comes.
            (run, _) = steps(&auditor, run, 1).await.expect("it is its own");
            let name = format!("new-{changes}-{change}.nl");
            house.seems(&json!({ "domain": name }));
            (run, _) = steps(&auditor, run, 1).await.expect("it is its own");
        }
        assert_eq!(run.stage == Stage::Domains, changes == 1, "{:?}", run.figures);
        let (run, ended) = steps(&auditor, run, 10_000).await.expect("it is its own");
        assert!(ended);
        assert!(run.figures.domains_complete);
        assert_eq!(run.figures.problems.len(), 0, "{:?}", run.figures);
        let missing =
            house.open().await.iter().filter(|(kind, ..)| kind == "domain_missing").count();
        assert_eq!(missing, 1, "what was found stays as it is");
        let unknown =
            house.open().await.iter().filter(|(kind, ..)| kind == "domain_unknown").count();
        assert!(unknown >= 151, "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_how_far_it_is_and_a_script_does_not() {
    let house = House::new().await;
    for n in 0..150 {
        house.seems(&json!({ "domain": format!("example-{n}.nl") }));
    }
    let typed = format!("{} audit run", env!("CARGO_BIN_EXE_provisor"));
    // `script` gives it a terminal.
    let shown = tokio::process::Command::new("script")
        .args(["-qec", &typed, "/dev/null"])
        .env_clear()
        .envs(house.environment(&[]))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("PROVISOR_CONFIG_DIR", "/nonexistent")
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .expect("script is there");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("] listing the domains"), "{shown}");
    let silent = house.audit(&["run"]).await;
    assert_eq!(silent.code, Some(0), "{silent:?}");
    assert!(!silent.stderr.contains("listing"), "{silent:?}");
}

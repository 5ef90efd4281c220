//! What would change too much at once is rather a fault of what was read.

use chrono::TimeDelta;
use provisor::{audit::RunKind, jobs::audit::LooksMax};
use serde_json::json;

use super::run;
use crate::{
    binary::provisor,
    doubt::database,
    house::{House, eventually},
};

async fn many(house: &House, names: usize) {
    for n in 0..names {
        house.domain(&format!("example-{n}.nl"), 300, true).await;
    }
}

/// Takes names away from the account.
fn take_away(house: &House, names: std::ops::Range<usize>) {
    for n in names {
        house.seems(&json!({ "domain": format!("example-{n}.nl"), "foreign": true }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_that_are_missing_at_once_are_not_believed_before_a_person_says_so() {
    let house = House::new().await;
    many(&house, 20).await;
    take_away(&house, 0..11);
    for _ in 0..2 {
        let ended = house.audit(&["run", "--json"]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("provisor audit run --past-brake"), "{ended:?}");
        assert_eq!(ended.json()["braked"], json!(true));
        assert_eq!(house.open().await, [], "nothing is written");
    }
    let told: i64 = house
        .world
        .value(
            "SELECT count(*) FROM provisor.email_outbox WHERE context ->> 'about' = 'audit_braked'",
        )
        .await;
    assert_eq!(told, 2, "once for each audit");
    let past_brake = ["run", "--past-brake", "--json", "--by", "alice", "--why", "LJPc says so"];
    let dry = house.audit(&[&past_brake[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert_eq!(house.deeds().await, <[String; 0]>::default(), "a dry run is no deed");
    let ended = house.audit(&past_brake).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(house.deeds().await, ["audit_past_brake alice LJPc says so"]);
    assert_eq!(house.open().await.len(), 11);
    // What is known to be missing brakes no more.
    house.audited().await;
    assert_eq!(house.open().await.len(), 11);
    take_away(&house, 11..20);
    house.audited().await;
    assert_eq!(house.open().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_are_carried_out_but_not_too_many_at_once() {
    let house = House::new().await;
    many(&house, 30).await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = false").await;
    let _daemon = house.daemon(&[]);
    let ended = house.audit(&["run"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(house.requests("PATCH", "/api/hosting").is_empty());
    // Ten at once are believed.
    house
        .world
        .run("UPDATE provisor.domains SET auto_renew_wished = true WHERE domain > 'example-19'")
        .await;
    let off = "SELECT count(*) FROM provisor.domains WHERE NOT auto_renew_wished";
    let wished: i64 = house.world.value(off).await;
    assert!(wished > 10, "{wished}");
    house
        .world
        .run("UPDATE provisor.domains SET auto_renew_wished = NULL WHERE domain > 'example-17'")
        .await;
    let wished: i64 = house.world.value(off).await;
    assert!((1..=10).contains(&wished), "{wished}");
    house.audited().await;
    eventually("they are set", async || {
        let seen = "SELECT count(*) FROM provisor.domains WHERE NOT auto_renew_seen";
        house.world.value::<i64>(seen).await == wished
    })
    .await;
    assert_eq!(house.requests("PATCH", "/api/hosting").len(), usize::try_from(wished).unwrap());
    house.audited().await;
    assert_eq!(house.open().await, [], "what is wished is so");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_reports_only_has_nothing_changed() {
    let house = House::new().await;
    many(&house, 1).await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = false").await;
    let report = [("AUDIT__APPLY_AUTO_RENEW", "false")];
    let _daemon = house.daemon(&report);
    let ended = provisor(&["audit", "run", "--json"], &house.environment(&report)).await;
    assert_eq!((ended.code, &ended.json()["changed"]), (Some(0), &json!(0)), "{ended:?}");
    let open: Vec<String> = house.open().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(open, ["auto_renew_mismatch"]);
    // Too late to change it safely.
    house.world.run("DELETE FROM provisor.findings").await;
    house.seems(&json!({ "domain": "example-0.nl", "expires_at": super::in_days(2) }));
    let run = house.audited().await;
    assert_eq!(run["changed"], json!(0));
    let severities: Vec<_> =
        house.open().await.into_iter().map(|(kind, severity, _)| (kind, severity)).collect();
    assert!(
        severities.contains(&("auto_renew_mismatch".to_owned(), "critical".to_owned())),
        "{severities:?}"
    );
    assert!(house.requests("PATCH", "/api/hosting").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_listing_is_weighed_though_not_all_of_it_can_be_looked_at() {
    let house = House::new().await;
    many(&house, 20).await;
    take_away(&house, 0..15);
    let db = database(&house);
    let (auditor, _ends) = house.auditor(&db, TimeDelta::zero());
    // So few that what they confirm would never brake.
    let auditor = auditor.looking_at_most(LooksMax { needed: 2, routine: 0 });
    let ended = run(&auditor, RunKind::Asked).await;
    assert!(ended.figures.braked, "{:?}", ended.figures);
    assert_eq!((ended.figures.assets, ended.figures.missing), (20, 15));
    assert_eq!(house.open().await, [], "nothing of them is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brake_holds_back_what_it_is_for_and_the_rest_is_judged() {
    let house = House::new().await;
    many(&house, 20).await;
    house.domain("expired.nl", -2, false).await;
    house.domain("soon.nl", 6, false).await;
    take_away(&house, 0..11);
    let ended = house.audit(&["run", "--json"]).await;
    assert_eq!((ended.code, &ended.json()["braked"]), (Some(1), &json!(true)), "{ended:?}");
    let open: Vec<_> =
        house.open().await.into_iter().map(|(kind, _, subject)| (kind, subject)).collect();
    let expected = [("domain_expired", "expired.nl"), ("domain_expiring", "soon.nl")];
    assert_eq!(open, expected.map(|(kind, subject)| (kind.to_owned(), subject.to_owned())));
    let reminded: Vec<String> = sqlx::query_scalar(
        "SELECT domain FROM provisor.reminders WHERE outcome = 'owed' ORDER BY domain",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    assert_eq!(reminded, ["expired.nl", "soon.nl"], "by what this run has read");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_refused_weighs_nothing_in_later_brakes() {
    let house = House::new().await;
    many(&house, 30).await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = false").await;
    let refused =
        "UPDATE provisor.domains SET auto_renew_refused_at = now() WHERE domain <= 'example-28.nl'";
    house.world.run(refused).await;
    let ended = house.audited().await;
    let few: i64 = house
        .world
        .value("SELECT count(*) FROM provisor.domains WHERE auto_renew_refused_at IS NULL")
        .await;
    assert!((1..=10).contains(&few), "{few}");
    assert_eq!(ended["changed"], json!(few));
    // A wish that is said again is another one.
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = false").await;
    let ended = house.audit(&["run", "--json"]).await;
    assert_eq!(ended.json()["braked"], json!(true), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_brake_customers_are_told_what_is_seen() {
    let house = House::new().await;
    for n in 0..20 {
        house.domain(&format!("example-{n}.nl"), 6, true).await;
    }
    // For long they were as wished; now the account shows them all otherwise.
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = true").await;
    house
        .world
        .run("UPDATE provisor.domains SET auto_renew_kept_since = now() - interval '90 days'")
        .await;
    for n in 0..20 {
        house.seems(&json!({ "domain": format!("example-{n}.nl"), "auto_renew": false }));
    }
    let ended = house.audit(&["run", "--json"]).await;
    assert_eq!(ended.json()["braked"], json!(true), "{ended:?}");
    let told: Vec<bool> = sqlx::query_scalar(
        "SELECT DISTINCT (context ->> 'auto_renew')::boolean FROM provisor.email_outbox
         WHERE template = 'domain_expiring'",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    assert_eq!(told, [false], "nobody is told that his name renews by itself");
}

//! Reminders over a year, by a clock that a test moves: none twice, none missing, whatever is cut off or run twice.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Duration, NaiveDate, TimeDelta};
use provisor::{
    audit::{RunKind, Stage},
    clock,
};
use serde_json::json;

use super::{begin, run, steps};
use crate::{doubt::database, emails_owed::mails_to, house::House};

/// More than the steps of a run in this file.
const STEPS: usize = 25;

impl House {
    /// The reminders that were owed: the name, the day of its expiry, the threshold.
    async fn owed(&self) -> Vec<(String, NaiveDate, i32)> {
        sqlx::query_as(
            "SELECT domain, expires_on, threshold FROM provisor.reminders WHERE outcome = 'owed'
             ORDER BY domain, expires_on, threshold DESC",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("reminders can be read")
    }

    /// The emails about expiries: which, and about which name.
    async fn notices(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT template, context ->> 'domain' FROM provisor.email_outbox WHERE template LIKE 'domain_%' ORDER BY 2, id",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("emails can be read")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_year_each_threshold_is_told_once_though_two_processes_are_killed_all_the_time() {
    let house = House::new().await;
    let names: Vec<(String, i64)> =
        (0..12).map(|n| (format!("example-{n}.nl"), 20 + 30 * n)).collect();
    for (name, days) in &names {
        house.domain(name, *days, false).await;
    }
    let db = database(&house);
    // Every second day one of two processes begins, is cut off after a few steps, and the other goes on.
    let (mut kills, mut longest) = (0_usize, Stage::Domains);
    for day in (0..400).step_by(2) {
        let ahead = TimeDelta::days(day);
        let (one, _one) = house.auditor(&db, ahead);
        let (two, _two) = house.auditor(&db, ahead);
        let now = one.now().await.unwrap();
        let begun = begin(&one, RunKind::Asked, now).await.expect("nobody else is at it");
        // From the first step to the last one: a run takes fewer.
        let cut_off = usize::try_from(day).unwrap() / 2 % STEPS;
        let (left, ended) = steps(&one, begun, cut_off).await.expect("it is its own");
        longest = longest.max(left.stage);
        if !ended {
            kills += 1;
            // Its lease runs out, as that of a process that was killed.
            house.world.run("UPDATE provisor.audit_runs SET lease_until = clock_timestamp()").await;
            let taken = begin(&two, RunKind::Asked, now).await.expect("it is free");
            let (_, ended) = steps(&two, taken, 10_000).await.expect("it is its own");
            assert!(ended);
            // Should the first one wake up, it has nothing to say any more.
            assert!(steps(&one, left, 1).await.is_none());
        }
    }
    assert!(kills > 100, "{kills}");
    assert_eq!(longest, Stage::Finish, "it was cut off at the end, too");
    let mut told: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (name, _, threshold) in house.owed().await {
        told.entry(name).or_default().push(threshold);
    }
    for (name, days) in &names {
        // Who comes late tells the latest alone.
        let expected: &[i32] = match days {
            ..=29 => &[30, 7, -3],
            30.. => &[60, 30, 7, -3],
        };
        assert_eq!(told[name], expected, "{name}, {days} days");
    }
    let notices = house.notices().await;
    let unique: BTreeSet<&(String, String)> = notices.iter().collect();
    assert_eq!(notices.len(), names.len() * 4 - 1);
    // Three before and one after the expiry, of two templates.
    assert_eq!(unique.len(), names.len() * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_renews_is_told_of_each_of_its_years() {
    let house = House::new().await;
    let db = database(&house);
    house.domain("example.nl", 100, true).await;
    for day in 0..500_i64 {
        if day == 99 {
            house.seems(&json!({ "domain": "example.nl", "expires_at": super::in_days(465) }));
        }
        if day % 7 == 0 || day == 99 {
            let (auditor, _ends) = house.auditor(&db, TimeDelta::days(day));
            run(&auditor, RunKind::Asked).await;
        }
    }
    let owed = house.owed().await;
    let thresholds: Vec<i32> = owed.iter().map(|(.., threshold)| *threshold).collect();
    assert_eq!(thresholds, [60, 30, 7, 60, 30, 7, -3], "{owed:?}");
    let years: BTreeSet<NaiveDate> = owed.iter().map(|(_, on, _)| *on).collect();
    assert_eq!(years.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_read_them_in_their_language_and_the_proof_has_no_word_of_it() {
    let house = House::new().await;
    let seen = |auto_renew: bool| json!({ "status": "active", "expires_at": super::in_days(20), "auto_renew": auto_renew });
    for (name, n, auto_renew) in [("example.nl", 1, true), ("example.com", 2, false)] {
        house.seems(
            &json!({ "domain": name, "auto_renew": auto_renew, "expires_at": super::in_days(20) }),
        );
        house.own("domain", name, super::owner(n), seen(auto_renew)).await;
    }
    house.audited().await;
    let daemon = house.daemon(&[]);
    house.until_emailed().await;
    daemon.stop().await;
    let of = |address: &str| {
        let mails = mails_to(&house, address);
        assert_eq!(mails.len(), 1, "{address}");
        mails[0].subject.clone().expect("it has a subject")
    };
    assert!(of("bob1@example.com").contains("automatisch"), "{}", of("bob1@example.com"));
    assert_eq!(of("bob2@example.com"), "Your domain name example.com expires in 20 days");
    let proof = house.audit(&["reminders", "example.nl", "--json"]).await.json();
    let owed = &proof.as_array().unwrap().iter().find(|row| row["outcome"] == "owed").unwrap();
    assert_eq!(
        (&owed["threshold"], &owed["email_status"]),
        (&json!(30), &json!("sent")),
        "{proof}"
    );
    assert!(!proof.to_string().contains("bob1"), "{proof}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_that_reaches_nobody_is_found() {
    let house = House::new().await;
    house.domain("example.nl", 20, false).await;
    house.audited().await;
    house
        .world
        .run("UPDATE provisor.email_outbox SET status = 'failed', settled_at = now() WHERE template = 'domain_expiring'")
        .await;
    house.audited().await;
    let missing = ("reminder_missing".to_owned(), "warning".to_owned(), "example.nl".to_owned());
    assert!(house.open().await.contains(&missing), "{:?}", house.open().await);
    house.world.run("UPDATE provisor.email_outbox SET status = 'sent'").await;
    house.audited().await;
    assert!(!house.open().await.contains(&missing));
    assert_eq!(house.owed().await.len(), 1, "it is not owed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_those_of_the_audits_time_zone() {
    let house = House::new().await;
    // Half past midnight in Amsterdam: the day before in UTC.
    let on = (clock::now() + Duration::days(40)).date_naive();
    let at = format!("{on}T00:30:00+02:00");
    house.seems(&json!({ "domain": "example.nl", "expires_at": at }));
    let seen = json!({ "status": "active", "expires_at": at, "auto_renew": true });
    house.own("domain", "example.nl", super::owner(1), seen).await;
    house.audited().await;
    let zone: Vec<NaiveDate> = house.owed().await.into_iter().map(|(_, on, _)| on).collect();
    let amsterdam: NaiveDate = house
        .world
        .value(&format!("SELECT ('{at}'::timestamptz AT TIME ZONE 'Europe/Amsterdam')::date"))
        .await;
    assert_eq!(zone, [amsterdam]);
}

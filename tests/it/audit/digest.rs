//! The operators' digest: first what is new, or graver, since the last one.

use chrono::TimeDelta;
use provisor::audit::RunKind;
use serde_json::json;

use super::run;
use crate::{doubt::database, emails_owed::mails_to, house::House};

/// The digest that was sent last.
async fn last(house: &House) -> String {
    let daemon = house.daemon(&[]);
    house.until_emailed().await;
    daemon.stop().await;
    let mails = mails_to(house, "ops@example.com");
    std::fs::read_to_string(&mails.last().expect("a digest").path).expect("it is kept")
}

/// Where it tells of a name.
fn place(digest: &str, name: &str) -> usize {
    digest.find(name).unwrap_or_else(|| panic!("{name}: {digest}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_puts_first_what_is_new_since_the_last_one() {
    let house = House::new().await;
    let db = database(&house);
    house.domain("old.nl", -2, true).await;
    let (auditor, _ends) = house.auditor(&db, TimeDelta::zero());
    run(&auditor, RunKind::Scheduled).await;
    last(&house).await;
    house.domain("new.nl", 20, true).await;
    // Somebody has looked in between: what he has found is new to who reads the digest.
    run(&auditor, RunKind::Asked).await;
    run(&auditor, RunKind::Scheduled).await;
    let digest = last(&house).await;
    assert!(place(&digest, "new.nl  NEW") < place(&digest, "old.nl"), "{digest}");
    assert!(!digest.contains("old.nl  NEW"), "{digest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_become_graver_comes_first_again() {
    let house = House::new().await;
    let db = database(&house);
    house.domain("expired.nl", -2, true).await;
    house.domain("gone.nl", 300, true).await;
    house.seems(&json!({ "domain": "gone.nl", "foreign": true }));
    // Missing is critical after three audits over two days.
    for (day, first) in [(0, "expired.nl"), (1, "expired.nl"), (3, "gone.nl")] {
        let (auditor, _ends) = house.auditor(&db, TimeDelta::days(day));
        run(&auditor, RunKind::Scheduled).await;
        let digest = last(&house).await;
        let second = if first == "gone.nl" { "expired.nl" } else { "gone.nl" };
        assert!(place(&digest, first) < place(&digest, second), "day {day}: {digest}");
        assert_eq!(digest.contains("gone.nl  NEW"), day != 1, "day {day}: {digest}");
    }
}

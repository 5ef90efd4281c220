//! What would change too much at once is rather a fault of what was read.

use serde_json::json;

use crate::{
    binary::provisor,
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
    let ended = house.audit(&["run", "--past-brake", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
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

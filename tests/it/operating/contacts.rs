//! WHOIS contacts: made and changed by operators, and by no shop.

use serde_json::json;

use super::bob;
use crate::{documents, house::House, intake::refusal};

const CREATE: &[&str] = &[
    "ljpc",
    "contacts",
    "create",
    "--name",
    "Bob Brown",
    "--address",
    "Teststreet 1",
    "--postal-code",
    "1234AB",
    "--city",
    "Testcity",
    "--country",
    "NL",
    "--email",
    "bob@example.com",
    "--phone",
    "+31612345678",
    "--yes",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_made_once_and_changed_where_it_differs() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let made = house.done(CREATE).await;
    assert!(made.stderr.contains("can't be taken back"), "{made:?}");
    let handle: String = house.world.value("SELECT contact_handle FROM provisor.line_status").await;
    let again = house.done(CREATE).await;
    assert!(again.stdout.contains("was there already"), "{again:?}");
    assert_eq!(house.sent_paths(), ["POST /api/hosting/v1/contacts"]);

    let update = [
        "ljpc",
        "contacts",
        "update",
        &handle,
        "--email",
        "new@example.com",
        "--city",
        "testcity",
        "--yes",
    ];
    let changed = house.done(&update).await;
    assert!(
        changed.stderr.contains(&format!("EVERY domain that bears the WHOIS contact {handle}"))
    );
    let sent = house.sent();
    assert_eq!(sent[1].0, format!("PATCH /api/hosting/v1/contacts/{handle}"));
    assert_eq!(sent[1].1["email"], "new@example.com");
    let seen = house.sandbox.state().contacts();
    let seen = seen.iter().find(|contact| contact.handle == handle).expect("it is there");
    assert_eq!(seen.email.as_deref(), Some("new@example.com"));
    let again = house.done(&update).await;
    assert_eq!(again.stdout, "Nothing to do: it is so already.\n");
    assert_eq!((house.sent().len(), house.orders().await), (2, 2));
    for personal in
        ["Bob", "Brown", "Teststreet", "1234AB", "bob@example.com", "new@example.com", "612345678"]
    {
        assert!(!house.told().await.contains(personal), "{personal}");
    }
    house.until_emailed().await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_says_which_names_it_reaches() {
    let house = House::new().await;
    let (daemon, bob) = (house.operators_daemon(), bob());
    for name in ["one.nl", "two.nl"] {
        house.done(&["ljpc", "domains", "register", name, "--customer", bob.path(), "--yes"]).await;
    }
    let update = [
        "ljpc",
        "contacts",
        "update",
        "sandbox-0001",
        "--city",
        "Otherville",
        "--yes",
        "--no-wait",
    ];
    let ended = house.done(&update).await;
    assert!(ended.stderr.contains("knows of: one.nl, two.nl)"), "{ended:?}");
    house
        .world
        .run(
            "INSERT INTO provisor.domains (domain, contact_handle_seen)
             SELECT 'n' || n || '.nl', 'h-9' FROM generate_series(1, 25) AS n",
        )
        .await;
    let ended =
        house.refused(&["ljpc", "contacts", "update", "h-9", "--city", "X", "--yes"], 1, &[]).await;
    assert!(!ended.stderr.contains("EVERY"), "it is no contact of ours: {ended:?}");
    let db = crate::doubt::database(&house);
    let (names, in_all) = db.names_of_contact("h-9").await.expect("it is read");
    assert_eq!((names.len(), in_all), (20, 25));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_not_ours_or_not_complete_is_refused() {
    let house = House::new().await;
    for (args, words) in [
        (
            &["update", "nobody", "--city", "Testcity"][..],
            "nobody is not a WHOIS contact of this account",
        ),
        (&["update", "sandbox-account"], "lines[0]: must have at least one field"),
        (
            &["update", "sandbox-account", "--country", "Holland"],
            "lines[0].country: must be a country code",
        ),
        (&["create", "--name", "Bob Brown"], "lines[0].address: is required"),
    ] {
        let all = [&["ljpc", "contacts"], args, &["--yes"]].concat();
        house.refused(&all, 1, &[words]).await;
    }
    assert_eq!((house.sent(), house.orders().await), (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_about_a_contact_is_settled_by_looking() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    house.fault(
        &json!({ "endpoint": "POST /api/hosting/v1/contacts", "fault": "process_then_drop", "times": 1 }),
    );
    house.fault(&json!({ "endpoint": "PATCH /api/hosting/v1/contacts/{handle}", "fault": "process_then_drop", "times": 1 }));
    house.done(CREATE).await;
    let handle: String = house.world.value("SELECT contact_handle FROM provisor.line_status").await;
    let update = ["ljpc", "contacts", "update", &handle, "--email", "new@example.com", "--yes"];
    house.done(&update).await;
    assert_eq!(house.sent().len(), 2, "neither is sent again: {:?}", house.sent_paths());
    daemon.stop().await;
}

#[tokio::test]
async fn a_shop_can_submit_none_of_it() {
    let house = House::new().await;
    let world = &house.world;
    for kind in ["contact_create", "contact_update"] {
        let mut document = documents::example("S-1");
        document["lines"] =
            json!([{ "kind": kind, "contact_handle": "h-1", "email": "new@example.com" }]);
        let refused = refusal(world.submit(&document).await);
        assert_eq!(refused.0, "22023");
        assert!(refused.1.starts_with("lines[0].kind: must be one of hosting"), "{refused:?}");
    }
    // Nor can an operator's order hold what a shop's does.
    let document = documents::example("S-1");
    let submitted: Result<i64, _> =
        sqlx::query_scalar("SELECT provisor.submit_operator_order($1::text::jsonb)")
            .bind(document.to_string())
            .fetch_one(&world.pool)
            .await;
    let refused = refusal(submitted);
    assert_eq!(refused.0, "22023");
    assert!(refused.1.starts_with("lines: must be an array of one line"), "{refused:?}");
    let mut shop = world.acting_as("provisor_storefront").await;
    let submitted =
        sqlx::query("SELECT provisor.submit_operator_order('{}')").execute(&mut shop).await;
    assert_eq!(refusal(submitted).0, "42501");
    let mut worker = world.acting_as("provisor_worker").await;
    for document in ["null", "[]", "{}", "{\"lines\": [1]}", "{\"lines\": [{\"kind\": \"dns\"}]}"] {
        let submitted = sqlx::query("SELECT provisor.submit_operator_order($1::text::jsonb)")
            .bind(document)
            .execute(&mut worker)
            .await;
        assert_eq!(refusal(submitted).0, "22023", "{document}");
    }
}

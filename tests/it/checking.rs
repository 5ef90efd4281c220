//! `provisor check`, from outside: each part that is broken, and by which words it is told.

use serde_json::{Value, json};

use crate::{
    binary::{Environment, provisor},
    commands::closed_port,
    house::House,
    world::World,
};

/// A line without the id by which an upstream's support finds an answer: each answer has another.
fn without_id(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" (their support finds it by ") else {
        return line.to_owned();
    };
    format!("{before}{}", rest.split_once(')').expect("it ends").1)
}

/// What `check` has found: what, whether it is well, and more of it. Both forms must tell the same.
async fn checked(env: &Environment) -> (Option<i32>, Vec<(String, bool, String)>) {
    let (text, data) = (provisor(&["check"], env).await, provisor(&["check", "--json"], env).await);
    assert_eq!(text.code, data.code, "{text:?} {data:?}");
    let findings: Vec<Value> = data.json().as_array().expect("a list").clone();
    let findings: Vec<(String, bool, String)> = findings
        .iter()
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
            let detail = without_id(&text("detail"));
            (text("what"), finding["ok"].as_bool().expect("a truth"), detail)
        })
        .collect();
    assert_eq!(text.stdout.lines().count(), findings.len(), "{text:?}");
    for (line, (what, ok, detail)) in text.stdout.lines().zip(&findings) {
        let line = without_id(line);
        assert!(line.starts_with(if *ok { "ok" } else { "FAIL" }), "{line}");
        assert!(line.contains(what) && line.ends_with(detail), "{line}");
    }
    assert_eq!(text.stderr, "");
    (data.code, findings)
}

#[tokio::test]
async fn check_is_content_with_what_is_well() {
    let house = House::new().await;
    let leanstack = format!("http://{}", house.sandbox.leanstack_addr());
    let env = house.environment(&[
        ("LEANSTACK__ENABLED", "true"),
        ("LEANSTACK__BASE_URL", &leanstack),
        ("LEANSTACK__ACCESS_TOKEN", "sandbox-token"),
    ]);
    let (code, findings) = checked(&env).await;
    let subjects: Vec<&str> = findings.iter().map(|(what, ..)| what.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "configuration",
            "database",
            "rights",
            "schema",
            "purchases",
            "LJPc",
            "Leanstack",
            "email templates",
            "mail server"
        ]
    );
    assert!(findings.iter().all(|(_, ok, _)| *ok), "{findings:?}");
    assert_eq!(code, Some(0));
    let state = house.sandbox.state();
    assert!(state.orders().is_empty() && state.mails().is_empty(), "it buys and sends nothing");
}

#[tokio::test]
async fn check_notes_what_waits_and_is_content() {
    let house = House::new().await;
    let env = house.environment(&[]);
    let paused =
        provisor(&["queue", "pause", "--lane=place", "--by=bob", "--why=a look"], &env).await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    house
        .world
        .run(
            "INSERT INTO provisor.circuits (provider, endpoint, cause, reason, probe_at)
             VALUES ('ljpc', 'POST /api/v1/orders', 'outage', 'HTTP 500', now() - interval '1 hour')",
        )
        .await;
    house.world.migrated_by_a_newer_release("0.0.1").await;
    let (code, findings) = checked(&env).await;
    assert_eq!(code, Some(0), "{findings:?}");
    let detail = |wanted: &str| {
        let found = findings.iter().find(|(what, ..)| what == wanted).expect("it is looked at");
        found.2.clone()
    };
    for part in
        ["lane place, by bob", ": a look", "circuit open: ljpc, POST /api/v1/orders: HTTP 500"]
    {
        assert!(detail("purchases").contains(part), "{part}: {findings:?}");
    }
    assert!(detail("schema").contains("a newer one has migrated it (migration 9999)"));
}

/// What is broken, and which of the rows say so, by which words.
type Broken<'a> = (&'a str, Environment, &'a [(&'a str, &'a str)]);

/// The screens of `check` for each, with what differs from run to run named, after a look that they fail by what is broken
/// and by nothing else.
async fn screens(house: &House, cases: &[Broken<'_>], names: &[(String, &str)]) -> String {
    let mut screens = Vec::new();
    let newest: i64 =
        house.world.value("SELECT max(version) FROM provisor.schema_migrations").await;
    let known = [
        (house.sandbox.ljpc_addr().to_string(), "LJPC"),
        (house.sandbox.leanstack_addr().to_string(), "LEANSTACK"),
        (house.sandbox.smtp_addr().to_string(), "SMTP"),
        (house.world.name.clone(), "DATABASE"),
        (house.world.value::<String>("SELECT current_setting('server_version')").await, "VERSION"),
        (house.world.value::<String>("SELECT current_user || ' may do'").await, "USER may do"),
        (
            format!("at migration {}, this binary needs {newest}", newest - 1),
            "at an older migration",
        ),
        (format!("this is {}", env!("CARGO_PKG_VERSION")), "this is OURS"),
    ];
    for (title, env, expected) in cases {
        let (code, findings) = checked(env).await;
        let is_wrong = findings.iter().any(|(what, ok, _)| what == "configuration" && !ok);
        assert_eq!(code, Some(if is_wrong { 2 } else { 1 }), "{title}: {findings:?}");
        let said = provisor(&["check"], env).await.stdout;
        let said: String = said.lines().map(without_id).collect::<Vec<_>>().join("\n");
        let said =
            names.iter().chain(&known).fold(said, |it, (value, name)| it.replace(value, name));
        // Where in its own source the server says it.
        let mut parts = said.split(" at line ");
        let first = parts.next().unwrap_or_default().to_owned();
        let said = parts.fold(first, |said, rest| {
            said + rest.trim_start_matches(|it: char| it.is_ascii_digit())
        });
        screens.push(format!("{title}\n{said}\n"));
        let broken: Vec<_> = findings.iter().filter(|(_, ok, _)| !ok).collect();
        assert_eq!(broken.len(), expected.len(), "{title}: {findings:?}");
        for ((what, _, detail), (expected, why)) in broken.iter().zip(*expected) {
            assert!(what == expected && detail.contains(why), "{title}: {findings:?}");
            assert!(!detail.contains("marker"), "{findings:?}");
        }
    }
    screens.join("\n")
}

#[tokio::test]
async fn check_names_each_broken_thing_and_why() {
    let house = House::new().await;
    let (_kept, closed) = closed_port();
    let (closed_http, closed_smtp) = (format!("http://{closed}"), format!("smtp://{closed}"));
    let ljpc_by_tls = format!("https://{}", house.sandbox.ljpc_addr());
    let smtp = house.sandbox.smtp_addr();
    let (smtp_by_tls, smtp_by_starttls) =
        (format!("smtps://{smtp}"), format!("smtp://{smtp}?tls=required"));
    let smtp_with_login = format!("smtp://bob:marker-of-the-password@{smtp}");
    let leanstack = format!("http://{}", house.sandbox.leanstack_addr());
    let advised = [
        ("LEANSTACK__ENABLED", "true"),
        ("LEANSTACK__BASE_URL", leanstack.as_str()),
        ("LEANSTACK__ACCESS_TOKEN", "marker-of-the-token"),
    ];
    let env = |changes: &[(&str, &str)]| house.environment(changes);
    let cases: [Broken<'_>; 13] = [
        ("a wrong key", env(&[("LJPC__API_KEY", "marker-of-the-key")]), &[("LJPc", "401")]),
        ("nobody there", env(&[("LJPC__BASE_URL", &closed_http)]), &[("LJPc", "can't be reached")]),
        ("no TLS there", env(&[("LJPC__BASE_URL", &ljpc_by_tls)]), &[("LJPc", "can't be reached")]),
        ("a wrong token", env(&advised), &[("Leanstack", "leanstack.access_token")]),
        (
            "no Leanstack",
            env(&[advised[0], (advised[1].0, &closed_http), advised[2]]),
            &[("Leanstack", "can't be reached")],
        ),
        (
            "no mail server",
            env(&[("EMAIL__SMTP_URL", &closed_smtp)]),
            &[("mail server", "refused")],
        ),
        ("mail without TLS", env(&[("EMAIL__SMTP_URL", &smtp_by_tls)]), &[("mail server", "")]),
        (
            "mail without STARTTLS",
            env(&[("EMAIL__SMTP_URL", &smtp_by_starttls)]),
            &[("mail server", "")],
        ),
        (
            "mail without a login",
            env(&[("EMAIL__SMTP_URL", &smtp_with_login)]),
            &[("mail server", "")],
        ),
        (
            "no templates",
            env(&[("EMAIL__TEMPLATES_DIR", "/nonexistent")]),
            &[("email templates", "/nonexistent")],
        ),
        (
            "values that are none",
            env(&[("LJPC__TIMEOUT", "forever"), ("EMAIL__FROM", "")]),
            &[
                ("configuration", "email.from (not set): "),
                ("configuration", "ljpc.timeout (environment PROVISOR_LJPC__TIMEOUT): "),
                ("LJPc", "not looked at"),
                ("mail server", "not looked at"),
            ],
        ),
        (
            "a value beside the parts",
            env(&[("QUEUE__CONCURRENCY", "0")]),
            &[("configuration", "queue.concurrency (environment PROVISOR_QUEUE__CONCURRENCY): ")],
        ),
        (
            "a key that is none",
            env(&[("LJPC__BASE_URI", "http://marker.example.nl")]),
            &[
                ("configuration", "ljpc.base_uri (environment PROVISOR_LJPC__BASE_URI): "),
                ("database", "not looked at"),
                ("rights", "not looked at"),
                ("schema", "not looked at"),
                ("purchases", "not looked at"),
                ("LJPc", "not looked at"),
                ("email templates", "not looked at"),
                ("mail server", "not looked at"),
            ],
        ),
    ];
    let names = [(closed.to_string(), "ADDRESS")];
    insta::assert_snapshot!("check_of_broken_things", screens(&house, &cases, &names).await);
}

#[tokio::test]
async fn check_tells_another_server_and_a_missing_permission_from_an_outage() {
    let house = House::new().await;
    let env = house.environment(&[]);
    let mut told = Vec::new();
    for (title, fault, why) in [
        ("a key without the permission", json!({ "fault": "status", "status": 403 }), "403"),
        ("a web server", json!({ "fault": "html", "status": 200 }), "ljpc.base_url"),
        ("an outage", json!({ "fault": "status", "status": 500 }), "no usable answer"),
        ("too many requests", json!({ "fault": "status", "status": 429 }), "asks to wait"),
    ] {
        let mut fault = fault;
        // As often as it is asked.
        (fault["endpoint"], fault["times"]) = (json!("*"), json!(3));
        house.sandbox.state().add_fault(&fault).expect("a fault");
        told.push(screens(&house, &[(title, env.clone(), &[("LJPc", why)])], &[]).await);
        assert_eq!(house.sandbox.state().clear_faults(), 0, "each look asks once");
    }
    insta::assert_snapshot!("check_of_other_answers", told.join("\n"));
}

#[tokio::test]
async fn check_names_what_is_broken_of_the_database() {
    let house = House::new().await;
    let (empty, older, newer, failed_over, restored) = (
        World::empty().await,
        World::new().await,
        World::new().await,
        World::new().await,
        World::new().await,
    );
    older
        .run(
            "DELETE FROM provisor.schema_migrations
             WHERE version = (SELECT max(version) FROM provisor.schema_migrations)",
        )
        .await;
    newer.migrated_by_a_newer_release("99.0.0").await;
    failed_over.run("UPDATE provisor.timeline SET confirmed = 'FFFFFFFF'").await;
    restored.run("UPDATE provisor.timeline SET ledger = 0").await;
    let stranger = format!("it_{}", uuid::Uuid::new_v4().simple());
    house.world.run(&format!("CREATE ROLE {stranger} LOGIN")).await;
    let missing = house.world.url().replace(&house.world.name, "provisor_it_missing");
    let (_kept, closed) = closed_port();
    let at = |url: &str| house.environment(&[("DATABASE__URL", url)]);
    let away = |why| {
        [
            ("database", why),
            ("rights", "not looked at"),
            ("schema", "not looked at"),
            ("purchases", "not looked at"),
        ]
    };
    let (absent, refused) = (away("does not exist"), away("refused"));
    let unserved = |why| [("schema", why), ("purchases", "not looked at")];
    let (bare, old, new) = (
        unserved("run `provisor migrate`"),
        unserved("run `provisor migrate`"),
        unserved("99.0.0"),
    );
    let url = format!("postgres://x:marker-of-the-password@{closed}/x");
    let cases: [Broken<'_>; 8] = [
        ("no such database", at(&missing), &absent),
        ("no server", at(&url), &refused),
        ("no schema", at(&empty.url()), &bare),
        ("a schema too old", at(&older.url()), &old),
        ("a schema too new", at(&newer.url()), &new),
        ("a failover", at(&failed_over.url()), &[("purchases", "provisor queue resume")]),
        ("a dump", at(&restored.url()), &[("purchases", "restored from a backup")]),
        (
            "a user without rights",
            at(&house.world.url_as(&stranger)),
            &[
                ("rights", "GRANT provisor_worker TO"),
                ("schema", "permission denied"),
                ("purchases", "not looked at"),
            ],
        ),
    ];
    let names = [(closed.to_string(), "ADDRESS"), (stranger.clone(), "STRANGER")];
    insta::assert_snapshot!("check_of_broken_databases", screens(&house, &cases, &names).await);
    house.world.run(&format!("DROP ROLE {stranger}")).await;
}

//! Submission: which documents are taken, that they are taken once, and what is kept of them.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::error::ErrorKind;
use sqlx::postgres::PgListener;
use sqlx::{Connection, Row};

use crate::documents;
use crate::house::{eventually, in_time};
use crate::world::World;

/// The SQLSTATE and the message that a statement was refused with.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, sqlx::Error>) -> (String, String) {
    let error = result.expect_err("this is refused");
    let error = error.as_database_error().expect("by the database");
    (error.code().expect("with an SQLSTATE").into_owned(), error.message().to_owned())
}

async fn faults(world: &World, document: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as("SELECT path, message FROM provisor.validate_order($1::text::jsonb)")
        .bind(document)
        .fetch_all(&world.pool)
        .await
}

async fn insert_into_view(world: &World, document: &Value) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("INSERT INTO provisor.order_intake (payload) VALUES ($1) RETURNING order_id")
        .bind(document)
        .fetch_one(&world.pool)
        .await
}

#[tokio::test]
async fn every_malformed_document_is_refused_with_its_first_error() {
    let world = World::new().await;
    let cases = documents::malformed();
    assert!(cases.len() >= 100, "the table holds {} documents", cases.len());
    for case in cases {
        let expected = (case.sqlstate, format!("{}: {}", case.path, case.message));
        assert_eq!(refusal(world.submit(&case.document).await), expected, "{}", case.name);
        assert_eq!(
            refusal(insert_into_view(&world, &case.document).await),
            expected,
            "{}",
            case.name
        );
        let found = faults(&world, &case.document.to_string()).await.expect("never raises");
        assert_eq!(found.first(), Some(&(case.path, case.message)), "{}", case.name);
    }
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.orders").await, 0);
}

#[tokio::test]
async fn every_kind_of_order_is_taken_with_its_lines_wakes_and_email() {
    let world = World::new().await;
    for (name, document) in documents::good() {
        assert_eq!(
            faults(&world, &document.to_string()).await.expect("never raises"),
            [],
            "{name}"
        );
        let id = world.submit(&document).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = document["lines"].as_array().expect("lines").len();
        let stored: (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM provisor.order_lines WHERE order_id = $1 AND status = 'pending'),
                    (SELECT count(*) FROM provisor.wakes WHERE lane = 0 AND id IN
                         (SELECT l.id * 16 + 1 FROM provisor.order_lines AS l WHERE l.order_id = $1)),
                    (SELECT count(*) FROM provisor.wakes WHERE lane = 3 AND id IN
                         (SELECT e.id * 16 + 2 FROM provisor.email_outbox AS e
                          WHERE e.dedupe_key = 'order_received:' || $1))",
        )
        .bind(id)
        .fetch_one(&world.pool)
        .await
        .expect("counts");
        let lines = i64::try_from(lines).expect("a small number");
        assert_eq!(stored, (lines, lines, 1), "{name}");
        assert_eq!(insert_into_view(&world, &document).await.expect("the same"), id, "{name}");
    }
}

/// As the daemon that started last is set. While none lives, it is left to the one that starts.
#[tokio::test]
async fn an_email_that_is_disabled_is_settled_with_the_submission_while_a_daemon_lives() {
    let world = World::new().await;
    let mut orders = 0;
    let mut received = async || {
        orders += 1;
        let document = documents::example(&format!("SHOP-{orders}"));
        let id = world.submit(&document).await.expect("it is good");
        sqlx::query_as::<_, (String, bool, i64, i64)>(
            "SELECT m.status, m.settled_at IS NOT NULL,
                    (SELECT count(*) FROM provisor.wakes WHERE id = m.id * 16 + 2),
                    (SELECT count(*) FROM provisor.order_events e
                     WHERE e.order_id = m.order_id AND e.event = 'email_disabled')
             FROM provisor.email_outbox m WHERE m.order_id = $1",
        )
        .bind(id)
        .fetch_one(&world.pool)
        .await
        .expect("it is owed")
    };
    let (queued, disabled) =
        (("queued".to_owned(), false, 1, 0), ("disabled".to_owned(), true, 0, 1));
    world.run("INSERT INTO provisor.processes (owner) VALUES (gen_random_uuid())").await;
    assert_eq!(received().await, queued);
    world.run("INSERT INTO provisor.disabled_emails VALUES ('order_received')").await;
    assert_eq!(received().await, disabled);
    world.run("UPDATE provisor.processes SET heartbeat_at = now() - interval '2 minutes'").await;
    assert_eq!(received().await, queued);
}

#[tokio::test]
async fn a_line_is_kept_as_the_worker_reads_it() {
    let world = World::new().await;
    let document = r#"{"reference": "R", "customer": {"first_name": "Bob", "last_name": "Brown",
        "email": "bob@example.com"}, "lines": [
        {"kind": "hosting_own", "domain": "EXAMPLE.nl", "space_id": 7.0, "foo": null},
        {"kind": "dns", "domain": "BÜCHER.example", "records": [
            {"type": "MX", "name": "@", "content": "mx.example.nl", "ttl": 3.6e3, "prio": 1.00},
            {"type": "A", "name": "@", "content": "192.0.2.1", "ttl": 300, "prio": null}]}]}"#;
    world.submit_text(document).await.expect("a good document");
    let kept: Vec<(String, String)> =
        sqlx::query_as("SELECT domain, wish::text FROM provisor.order_lines ORDER BY line")
            .fetch_all(&world.pool)
            .await
            .expect("lines");
    assert_eq!(kept[0].0, "example.nl");
    assert_eq!(kept[0].1, r#"{"kind": "hosting_own", "domain": "EXAMPLE.nl", "space_id": 7}"#);
    // Only ASCII is put into lower case: what the rest becomes is for IDNA, not for the database's locale.
    assert_eq!(kept[1].0, "bÜcher.example");
    let wish: Value = serde_json::from_str(&kept[1].1).expect("JSON");
    assert_eq!(wish["records"][0]["ttl"].as_u64(), Some(3600));
    assert_eq!(wish["records"][0]["prio"].as_u64(), Some(1));
    assert_eq!(wish["records"][1].get("prio"), None);
}

#[tokio::test]
async fn the_same_content_is_the_same_order() {
    let world = World::new().await;
    let customer =
        r#""customer": {"first_name": "Bob", "last_name": "Brown", "email": "bob@example.com"}"#;
    let write = |space: &str, more: &str| {
        format!(
            r#"{{"reference": "R", {customer}{more}, "lines": [
               {{"kind": "hosting_own", "domain": "example.nl", "space_id": {space}}}]}}"#
        )
    };
    let first = world.submit_text(&write("1", "")).await.expect("a good document");
    let other_order = format!(
        r#"{{"lines": [{{"space_id": 1, "domain": "example.nl", "kind": "hosting_own"}}], {customer}, "reference": "R"}}"#
    );
    for same in [
        write("1.0", ""),
        write("1", r#", "foo": null"#),
        write("1, \"foo\": null", ""),
        other_order,
    ] {
        assert_eq!(world.submit_text(&same).await.expect("the same content"), first, "{same}");
    }
    let taken =
        ("23505".to_owned(), "order R was already submitted with different content".to_owned());
    assert_eq!(refusal(world.submit_text(&write("2", "")).await), taken);
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.events").await, 1);
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.customers").await, 1);
}

#[tokio::test]
async fn another_auth_code_is_another_content() {
    let world = World::new().await;
    let mut document = documents::named("transfer", "T");
    let id = world.submit(&document).await.expect("a good document");
    assert_eq!(world.submit(&document).await.expect("the same"), id);
    document["lines"][0]["auth_code"] = json!("another");
    assert_eq!(refusal(world.submit(&document).await).0, "23505");
}

#[tokio::test]
async fn an_auth_code_stands_in_transfer_secrets_alone() {
    let world = World::new().await;
    let code = "K9$unmistakable'\\\"code";
    let mut document = documents::named("transfer", "T");
    document["lines"][0]["auth_code"] = json!(code);
    world.submit(&document).await.expect("a good document");
    let columns = sqlx::query(
        "SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns AS c
         JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&world.pool)
    .await
    .expect("columns");
    assert!(columns.len() > 100, "only {} columns were looked at", columns.len());
    let mut holders = Vec::new();
    for column in columns {
        let (schema, table, name): (String, String, String) =
            (column.get(0), column.get(1), column.get(2));
        // As text, and as JSON writes it.
        let sql = format!(
            r#"SELECT EXISTS (SELECT FROM "{schema}"."{table}" WHERE strpos("{name}"::text, 'K9$unmistakable') > 0)"#
        );
        if world.value::<bool>(&sql).await {
            holders.push(format!("{table}.{name}"));
        }
    }
    assert_eq!(holders, ["transfer_secrets.auth_code"]);
    assert_eq!(
        world.value::<String>("SELECT auth_code FROM provisor.transfer_secrets").await,
        code
    );
}

#[tokio::test]
async fn simultaneous_submissions_of_one_order_are_one_order() {
    let world = World::new().await;
    for with_customer_reference in [true, false] {
        let mut document = documents::example(&format!("S-{with_customer_reference}"));
        if !with_customer_reference {
            document["customer"]["reference"] = Value::Null;
        }
        let ids = futures_util::future::join_all((0..20).map(|_| world.submit(&document))).await;
        let mut ids: Vec<i64> =
            ids.into_iter().map(|id| id.expect("no submission fails")).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.order_lines").await, 4);
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.customers").await, 2);
}

#[tokio::test]
async fn a_submission_waits_for_an_uncommitted_one_of_the_same_reference() {
    let world = World::new().await;
    let document = documents::example("W");
    let mut shop = world.connection().await;
    let mut transaction = shop.begin().await.expect("a transaction");
    let first: i64 = sqlx::query_scalar("SELECT provisor.submit_order($1)")
        .bind(&document)
        .fetch_one(&mut *transaction)
        .await
        .expect("a good document");
    let (second, ()) = tokio::join!(world.submit(&document), async {
        // Committed only once the other is seen to wait.
        let waiting =
            "SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                       WHERE NOT l.granted AND a.datname = current_database())";
        eventually("the second submission waits", async || world.value(waiting).await).await;
        transaction.commit().await.expect("a commit");
    });
    assert_eq!(second.expect("the same order"), first);
}

#[tokio::test]
async fn nothing_is_seen_before_the_commit_and_nothing_remains_after_a_rollback() {
    let world = World::new().await;
    let all = "SELECT (SELECT count(*) FROM provisor.orders) + (SELECT count(*) FROM provisor.order_lines)
                    + (SELECT count(*) FROM provisor.wakes) + (SELECT count(*) FROM provisor.customers)
                    + (SELECT count(*) FROM provisor.events) + (SELECT count(*) FROM provisor.email_outbox)
                    + (SELECT count(*) FROM provisor.domains) + (SELECT count(*) FROM provisor.transfer_secrets)";
    let mut shop = world.connection().await;
    for commit in [false, true] {
        let mut transaction = shop.begin().await.expect("a transaction");
        sqlx::query("SELECT provisor.submit_order($1)")
            .bind(documents::named("transfer", "V"))
            .execute(&mut *transaction)
            .await
            .expect("a good document");
        assert_eq!(world.value::<i64>(all).await, 0, "before the end");
        if commit {
            transaction.commit().await.expect("a commit");
        } else {
            transaction.rollback().await.expect("a rollback");
        }
    }
    assert_eq!(world.value::<i64>(all).await, 9, "after the commit");
}

#[tokio::test]
async fn a_wake_is_due_from_the_commit_on() {
    let world = World::new().await;
    let mut shop = world.connection().await;
    let mut transaction = shop.begin().await.expect("a transaction");
    sqlx::query("SELECT provisor.submit_order($1)")
        .bind(documents::example("D"))
        .execute(&mut *transaction)
        .await
        .expect("a good document");
    sqlx::query("CREATE TEMPORARY TABLE before AS SELECT clock_timestamp() AS at")
        .execute(&mut *transaction)
        .await
        .expect("a timestamp");
    transaction.commit().await.expect("a commit");
    let later: bool = sqlx::query_scalar(
        "SELECT bool_and(w.due_at > b.at) AND count(*) = 3 FROM provisor.wakes AS w, before AS b",
    )
    .fetch_one(&mut shop)
    .await
    .expect("wakes");
    assert!(later, "a slow shop would commit below the workers' watermark");
}

#[tokio::test]
async fn the_workers_are_notified_but_not_for_every_order() {
    let world = World::new().await;
    let mut listener = PgListener::connect_with(&world.pool).await.expect("a listener");
    listener.listen("provisor_wake").await.expect("listening");
    let next = async |listener: &mut PgListener| {
        let heard = in_time("a notification comes", listener.recv()).await;
        heard.expect("a notification").payload().to_owned()
    };
    world.submit(&documents::example("N")).await.expect("a good document");
    assert_eq!(next(&mut listener).await, "");
    // A clock that was set back by an hour does not silence the bell.
    world
        .run("SELECT setval('provisor.notified_ms', (extract(epoch FROM now()) * 1000)::bigint + 3600000)")
        .await;
    world.run("SELECT provisor.poke(17)").await;
    assert_eq!(next(&mut listener).await, "");
    let begun = Instant::now();
    world
        .run(
            "DO $$ BEGIN
                 FOR i IN 1..2000 LOOP
                     PERFORM provisor.notify_workers();
                     COMMIT;
                 END LOOP;
             END $$",
        )
        .await;
    let allowed = begun.elapsed().as_millis() / 2 + 1;
    assert!(allowed < 1000, "they took too long to tell anything");
    world.run("SELECT pg_notify('provisor_wake', 'end')").await;
    let mut heard = 0;
    while next(&mut listener).await != "end" {
        heard += 1;
    }
    assert!((1..=allowed).contains(&heard), "{heard} notifications, where {allowed} are allowed");
}

#[tokio::test]
async fn too_large_a_document_is_refused_at_once() {
    let world = World::new().await;
    let refused = vec![("order".to_owned(), "must not be larger than 256 KiB".to_owned())];
    let large = |octets: usize| {
        let mut document = documents::example("L");
        document["customer"]["address"] = json!("x".repeat(octets));
        document.to_string()
    };
    let records =
        r#"{"type": "A", "name": "@", "content": "192.0.2.1", "ttl": 300},"#.repeat(16_000);
    let many = format!(r#"{{"lines": [{{"kind": "dns", "records": [{records}1]}}]}}"#);
    let longest_numbers = format!(r#"{{"lines": [{}1]}}"#, "1e131071,".repeat(100_000));
    for document in [large(263_000), large(1_000_000), large(20_000_000), many, longest_numbers] {
        let begun = Instant::now();
        assert_eq!(faults(&world, &document).await.expect("never raises"), refused);
        // Most of this is the client's and the parser's; the rule itself takes no time that grows with the document.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // A stored document is compressed: its size there says nothing.
    world.run("CREATE TABLE public.staged (payload jsonb)").await;
    sqlx::query("INSERT INTO public.staged VALUES ($1::text::jsonb)")
        .bind(large(300_000))
        .execute(&world.pool)
        .await
        .expect("stored");
    let found: Vec<(String, String)> =
        sqlx::query_as("SELECT v.* FROM public.staged, provisor.validate_order(payload) AS v")
            .fetch_all(&world.pool)
            .await
            .expect("never raises");
    assert_eq!(found, refused);
    let at_the_limit = faults(&world, &large(255_000)).await.expect("never raises");
    assert_eq!(at_the_limit[0].0, "customer.address");
}

#[tokio::test]
async fn whatever_is_monstrous_is_judged_and_not_raised() {
    let world = World::new().await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let with = |lines: &str| {
        format!(
            r#"{{"reference": "M", "customer": {{"first_name": "Bob", "last_name": "Brown",
                "email": "bob@example.com"}}, "lines": {lines}}}"#
        )
    };
    let empty_lines = format!("[{}{{}}]", "{},".repeat(49));
    let line = |years: &str| {
        format!(
            r#"[{{"kind": "domain_register", "domain": "example.nl", "contact_handle": "H", "years": {years}}}]"#
        )
    };
    let bad_records = format!(
        "[{}1]",
        format!(r#"{{"kind": "dns", "domain": "a.nl", "records": [{}1]}},"#, "{},".repeat(499))
            .repeat(49)
    );
    let numbers = "1e131071,".repeat(20_000);
    let monsters = [
        with(&nested(900)),
        with(&nested(3_000)),
        with(&empty_lines),
        with(&bad_records),
        with(&line("1e400")),
        with(&line("1e-400")),
        with(&line("-0.5")),
        with(&line(&format!("1.{}", "0".repeat(16_000)))),
        with(&line(&format!("[{numbers}1]"))),
        with(&format!("[{numbers}1]")),
        with(&format!(r#"[{{"kind": {}}}]"#, nested(15))),
        with(r#"[{"kind": 1e131071}]"#),
        with(r#"[{"kind": "\ud83d\ude00\ufffe"}]"#),
        format!(r#"{{"{}": 1}}"#, "😀".repeat(1_000)),
        format!(
            "{{{}\"z\": 1}}",
            (0..20_000).map(|n| format!(r#""k{n}": 1,"#)).collect::<Vec<_>>().concat()
        ),
    ];
    for document in &monsters {
        let begun = Instant::now();
        let start: String = document.chars().take(200).collect();
        let found =
            faults(&world, document).await.unwrap_or_else(|error| panic!("{start}: {error}"));
        assert!((1..=100).contains(&found.len()), "{start}: {} faults", found.len());
        assert!(found.iter().all(|(path, what)| path.len() + what.len() < 1_000), "{start}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{start}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_is_no_json_or_null_is_refused() {
    let world = World::new().await;
    assert_eq!(refusal(world.submit_text("{").await).0, "22P02");
    let null = sqlx::query("SELECT provisor.submit_order(NULL)").execute(&world.pool).await;
    let expected = ("22023".to_owned(), "order: must be an object".to_owned());
    assert_eq!(refusal(null), expected);
    let null = sqlx::query("INSERT INTO provisor.order_intake (order_id) VALUES (5)");
    assert_eq!(refusal(null.execute(&world.pool).await), expected);
}

#[tokio::test]
async fn a_newer_order_replaces_a_customers_details() {
    let world = World::new().await;
    let mut document = documents::example("C-1");
    let first = world.submit(&document).await.expect("a good document");
    document["reference"] = json!("C-2");
    document["customer"]["email"] = json!("new@example.com");
    document["customer"]["postal_code"] = json!("2345BC");
    world.submit(&document).await.expect("a good document");
    let known = "SELECT email || ' ' || postal_code FROM provisor.customers";
    assert_eq!(world.value::<String>(known).await, "new@example.com 2345BC");
    // The repetition of an older order is no newer order.
    assert_eq!(world.submit(&documents::example("C-1")).await.expect("the same"), first);
    assert_eq!(world.value::<String>(known).await, "new@example.com 2345BC");
}

/// Any JSON, with the document's own keys among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[^\u{0}]{0,20}".prop_map(Value::from),
        prop::sample::select(
            &["domain_register", "hosting", "dns", "order", "MX", "example.nl", "+31612345678"][..]
        )
        .prop_map(Value::from),
    ];
    let key = prop_oneof![
        4 => prop::sample::select(
            &["reference", "customer", "lines", "kind", "domain", "nameservers", "dns", "records", "type", "prio", "years",
              "package", "email", "auth_code", "max_cost", "route", "space_id"][..]
        )
        .prop_map(str::to_owned),
        1 => "[^\u{0}]{0,8}",
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The contract's example in which a few places hold something else.
fn nearly_good() -> impl Strategy<Value = Value> {
    let places = &[
        "/reference",
        "/customer",
        "/customer/email",
        "/customer/phone",
        "/customer/city",
        "/lines",
        "/lines/0",
        "/lines/0/kind",
        "/lines/0/domain",
        "/lines/0/years",
        "/lines/0/auto_renew",
        "/lines/1",
        "/lines/1/package",
        "/lines/1/max_cost",
        "/lines/1/billing_period",
    ][..];
    prop::collection::vec((prop::sample::select(places), any_json()), 1..4).prop_map(|changes| {
        let mut document = documents::example("P");
        for (place, value) in changes {
            if let Some(at) = document.pointer_mut(place) {
                *at = value;
            }
        }
        document
    })
}

#[test]
fn no_document_makes_validation_raise_and_submission_agrees_with_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::new());
    let config =
        ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(document in prop_oneof![any_json(), nearly_good()])| {
        runtime.block_on(async {
            let found = faults(&world, &document.to_string()).await.expect("never raises");
            match world.submit(&document).await {
                Ok(_) => assert_eq!(found, []),
                Err(error) => {
                    let error = error.as_database_error().expect("by the database");
                    if error.kind() == ErrorKind::UniqueViolation {
                        assert_eq!(found, []);
                    } else {
                        let (path, what) = found.first().expect("a fault");
                        assert_eq!(error.message(), format!("{path}: {what}"));
                    }
                }
            }
        });
    });
    // The runtime must outlive the world, whose connections belong to it.
    runtime.block_on(async { drop(world) });
}

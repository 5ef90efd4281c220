//! `customer export` and `forget`: personal data goes wherever it stands, and what was bought stays.

use serde_json::{Value, json};

use crate::{
    house::{House, hosting},
    names::register,
};

/// Words that stand in nothing but this person's details.
const MARKS: [&str; 8] = [
    "Zaphodiana",
    "Quuxington",
    "Marvellous Marks BV",
    "zaphodiana@example.com",
    "+31687654321",
    "Markedstraat 42",
    "9876ZZ",
    "Markedstad",
];

fn document(reference: &str, lines: &Value) -> Value {
    let [first_name, last_name, organization, email, phone, address, postal_code, city] = MARKS;
    json!({
        "reference": reference, "lines": lines,
        "customer": { "reference": "C-42", "first_name": first_name, "last_name": last_name,
                      "organization": organization, "email": email, "phone": phone, "address": address,
                      "postal_code": postal_code, "city": city, "country": "NL", "locale": "nl" },
    })
}

impl House {
    /// In which tables a text stands.
    async fn tables_with(&self, text: &str) -> Vec<String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT c.oid::regclass::text FROM pg_class c
             WHERE c.relnamespace = 'provisor'::regnamespace AND c.relkind = 'r' ORDER BY 1",
        )
        .fetch_all(&self.world.pool)
        .await
        .unwrap();
        let mut found = Vec::new();
        for table in tables {
            let count = format!("SELECT count(*) FROM {table} AS t WHERE strpos(t::text, $1) > 0");
            let hits: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
                .bind(text)
                .fetch_one(&self.world.pool)
                .await
                .unwrap();
            if hits > 0 {
                found.push(table);
            }
        }
        found
    }

    /// What must stay: the orders' lines, with what they cost.
    async fn accounts(&self) -> Vec<(String, String, Option<String>, Option<i64>)> {
        sqlx::query_as(
            "SELECT reference || '/' || line, status, cost::text, upstream_order_id FROM provisor.line_status ORDER BY 1",
        )
        .fetch_all(&self.world.pool)
        .await
        .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_exported_whole_and_then_forgotten_but_for_what_was_bought() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let lines = json!([hosting("one.example"), register("one.nl", json!({ "auto_renew": false }))]);
    let order = document("SHOP-1", &lines);
    let id = house.world.submit(&order).await.expect("a good order");
    house.submit("OTHER-1", json!([hosting("two.example")])).await;
    for reference in ["SHOP-1", "OTHER-1"] {
        house.until_order(reference, "completed").await;
    }
    house.until_emailed().await;
    // What a mail server says may name him.
    house
        .world
        .run(&format!(
            "UPDATE provisor.email_outbox SET last_error = 'no mailbox zaphodiana@example.com' WHERE order_id = {id}"
        ))
        .await;
    for mark in MARKS {
        assert!(!house.tables_with(mark).await.is_empty(), "{mark} is kept while he is a customer");
    }
    let known = house.done(&["customer", "export", "Zaphodiana@example.com"]).await.json();
    let told = known.to_string();
    for mark in MARKS {
        assert!(told.contains(mark), "{mark}: {told}");
    }
    assert_eq!(known[0]["orders"][0]["reference"], "SHOP-1");
    assert_eq!(known[0]["domains"][0]["domain"], "one.nl");
    assert_eq!(known[0]["emails"].as_array().map(Vec::len), Some(2));
    assert_eq!(known.as_array().map(Vec::len), Some(1), "nobody else");
    let bought = house.accounts().await;
    let (others, their_handles) = (
        house.tables_with("bob@example.com").await,
        house.world.value::<i64>("SELECT count(*) FROM provisor.contacts").await,
    );

    let forget = [
        "customer",
        "forget",
        "zaphodiana@example.com",
        "--by",
        "alice",
        "--why",
        "he asked",
        "--yes",
    ];
    let ended = house.done(&forget).await;
    assert!(ended.stdout.starts_with("Forgotten: 1 customers. Of their 1 orders"), "{ended:?}");
    for mark in MARKS {
        assert_eq!(house.tables_with(mark).await, <[String; 0]>::default(), "{mark}");
    }
    assert_eq!(house.accounts().await, bought, "what was bought, and what it cost, stays");
    assert_eq!(house.tables_with("bob@example.com").await, others, "nobody else is forgotten");
    assert_eq!(
        house.world.value::<i64>("SELECT count(*) FROM provisor.contacts").await,
        their_handles
    );
    house.done(&["order", "show", "SHOP-1"]).await;
    house.refused(&["customer", "export", "zaphodiana@example.com"], 1, &["nobody is known"]).await;
    let deed: (String, Value) = sqlx::query_as(
        "SELECT event, detail - 'customers' FROM provisor.operator_events ORDER BY at DESC LIMIT 1",
    )
    .fetch_one(&house.world.pool)
    .await
    .unwrap();
    assert_eq!(
        deed,
        ("customer_forgotten".to_owned(), json!({ "by": "alice", "why": "he asked" }))
    );
    assert_stays_forgotten(&house, &order, id, &forget).await;
    daemon.stop().await;
}

async fn assert_stays_forgotten(house: &House, order: &Value, id: i64, forget: &[&str]) {
    // The shop may repeat the order: it is known by what it was, and not taken for another one.
    assert_eq!(house.world.submit(order).await.expect("the same"), id);
    let mut other = order.clone();
    other["customer"]["city"] = json!("Elsewhere");
    let refused = house.world.submit(&other).await.expect_err("another one");
    assert!(refused.to_string().contains("already submitted with different content"), "{refused}");
    for mark in MARKS {
        assert_eq!(house.tables_with(mark).await, <[String; 0]>::default(), "{mark}");
    }
    let again = house.done(forget).await;
    assert_eq!(again.stdout, "Nobody is known by this address (any more).\n");

    // His domain is still looked after, and nobody is written to.
    house
        .world
        .run("UPDATE provisor.domains SET expires_at = now() + interval '5 days', expiry_believed = NULL")
        .await;
    let emails = "SELECT count(*) FROM provisor.email_outbox WHERE template LIKE 'domain_%'";
    house.done(&["audit", "run"]).await;
    assert_eq!(house.world.value::<i64>(emails).await, 0);
    // A customer who comes back is one again.
    house.world.submit(&document("SHOP-2", &json!([hosting("three.example")]))).await.unwrap();
    assert!(!house.tables_with(MARKS[0]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_forgotten_while_his_order_is_under_way() {
    let house = House::new().await;
    house.world.submit(&document("SHOP-1", &json!([hosting("one.example")]))).await.unwrap();
    let forget = ["customer", "forget", "zaphodiana@example.com", "--yes"];
    house
        .refused(&forget, 1, &["nothing is forgotten: SHOP-1 is not ended yet", "order cancel"])
        .await;
    let told = house.refused(&[&forget[..], &["--json"]].concat(), 1, &[]).await.json();
    assert_eq!(told["under_way"], json!(["SHOP-1"]));
    assert!(!house.tables_with(MARKS[0]).await.is_empty());
    house.done(&["order", "cancel", "SHOP-1"]).await;
    house.done(&forget).await;
    for mark in MARKS {
        assert_eq!(house.tables_with(mark).await, <[String; 0]>::default(), "{mark}");
    }
    house
        .refused(&["customer", "forget", "no address", "--yes"], 2, &["is no email address"])
        .await;
    house.refused(&["customer", "forget", "bob@example.com"], 2, &["give --yes"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_named_in_a_whois_contact_alone_is_forgotten_there() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let [first_name, last_name, _, email, phone, address, postal_code, city] = MARKS;
    let name = format!("{first_name} {last_name}");
    house
        .done(&[
            "ljpc",
            "contacts",
            "create",
            "--name",
            &name,
            "--email",
            email,
            "--phone",
            phone,
            "--address",
            address,
            "--postal-code",
            postal_code,
            "--city",
            city,
            "--country",
            "NL",
            "--yes",
        ])
        .await;
    let tables = house.tables_with(email).await;
    assert!(tables.iter().any(|table| table.ends_with("order_lines")), "{tables:?}");
    let known = house.done(&["customer", "export", email]).await.json();
    assert_eq!((known.as_array().map(Vec::len), &known[0]["customer"]), (Some(1), &Value::Null));
    let told = known.to_string();
    for mark in [&name, email, phone, address, postal_code, city] {
        assert!(told.contains(mark), "{mark}: {told}");
    }
    let ended = house.done(&["customer", "forget", email, "--yes"]).await;
    assert!(ended.stdout.starts_with("Forgotten: 0 customers. Of their 1 orders"), "{ended:?}");
    for mark in [first_name, email, phone, address, postal_code, city] {
        assert_eq!(house.tables_with(mark).await, <[String; 0]>::default(), "{mark}");
    }
    daemon.stop().await;
}

//! `email list`, `preview` and `resend`, and `config show`.

use std::collections::BTreeSet;

use provisor::sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::house::{House, eventually, hosting};

/// The ids of the emails that are listed with these options.
async fn listed(house: &House, options: &[&str]) -> Vec<Value> {
    let args = [&["email", "list", "--json"], options].concat();
    let rows = house.done(&args).await.json();
    rows.as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_listed_and_sent_again_once_under_its_message_id() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    for (reference, domain) in [("SHOP-1", "one.example"), ("SHOP-2", "two.example")] {
        house.submit(reference, json!([hosting(domain)])).await;
        house.until_order(reference, "completed").await;
    }
    house.until_emailed().await;
    let completed = listed(&house, &["--template", "order_completed"]).await;
    let about: Vec<&Value> = completed.iter().map(|row| &row["about"]).collect();
    assert_eq!(about, ["SHOP-2", "SHOP-1"], "the newest first");
    assert!(listed(&house, &["--status", "failed"]).await.is_empty());
    assert_eq!(listed(&house, &["--order", "SHOP-1", "--status", "sent"]).await, completed[1..]);
    assert_eq!(listed(&house, &["--limit", "1"]).await.len(), 1);
    let table = house.done(&["email", "list"]).await.stdout;
    assert!(table.contains("order_completed") && !table.contains('@'), "no address: {table}");

    let id = completed[1]["id"].to_string();
    let again = ["email", "resend", &id, "--by", "alice", "--why", "he lost it"];
    let told = house.done(&again).await.stdout;
    assert!(told.contains("is owed again; it was sent"), "{told}");
    let message_id = completed[1]["message_id"].as_str().expect("an id").to_owned();
    let came = || {
        let mails = house.sandbox.state().mails();
        let is_it = |id: &Option<String>| id.as_ref().is_some_and(|id| id.contains(&message_id));
        mails.iter().filter(|mail| is_it(&mail.message_id)).count()
    };
    eventually("it has come twice", async || came() == 2).await;
    let noted = house.details("SHOP-1", "email_resend").await;
    let expected = json!({ "template": "order_completed", "by": "alice", "why": "he lost it" });
    assert_eq!(noted, [expected]);
    daemon.stop().await;

    // While it is owed, saying it again changes nothing.
    let first = house.done(&["email", "resend", &id, "--json"]).await.json();
    assert_eq!((&first["was"], &first["changed"]), (&json!("sent"), &json!(true)));
    let second = house.done(&["email", "resend", &id, "--json"]).await.json();
    assert_eq!((&second["was"], &second["changed"]), (&json!("queued"), &json!(false)));
    house.refused(&["email", "resend", "999999"], 1, &["there is no email 999999"]).await;
    assert_eq!(came(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_previewed_in_each_language_without_a_database() {
    let house = House::new().await;
    let english = house.done(&["email", "preview", "order_completed"]).await.stdout;
    let dutch = house.done(&["email", "preview", "order_completed", "--locale", "nl"]).await.stdout;
    assert!(english.starts_with("Subject: ") && dutch.starts_with("Subject: "), "{english}");
    assert_ne!(english, dutch);
    let html = house.done(&["email", "preview", "order_completed", "--html"]).await.stdout;
    assert!(html.contains("<html"), "{html}");
    let whole = house.done(&["email", "preview", "ops_attention", "--json"]).await.json();
    let keys: BTreeSet<&str> =
        whole.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = ["examples", "html", "locale", "subject", "template", "text"];
    assert_eq!(keys, BTreeSet::from(expected));
    house
        .refused(
            &["email", "preview", "order_completed", "--example", "99"],
            1,
            &["examples: --example 1 to"],
        )
        .await;
    house.refused(&["email", "preview", "order_lots"], 2, &["order_completed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_shown_with_its_sources_and_without_secrets() {
    let house = House::new().await;
    let shown = house.done(&["config", "show", "--json"]).await.json();
    let row = |key: &str| {
        let rows = shown.as_array().expect("a list");
        rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key}: {shown}"))
    };
    assert_eq!(row("queue.listen")["value"], "true", "{}", row("queue.listen"));
    let table = house.done(&["config", "show"]).await.stdout;
    for (key, source) in [("ljpc.api_key", "PROVISOR_LJPC__API_KEY"), ("queue.listen", "default")] {
        let line = table.lines().find(|line| line.contains(key)).expect("the key is shown");
        assert!(line.contains(source), "{line}");
    }
    let key = SandboxOptions::default().api_key;
    assert!(!table.contains(&key) && !shown.to_string().contains(&key), "a secret is shown");
}

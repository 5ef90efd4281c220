//! Hostile names: what becomes of each upstream, if it gets there at all.

use serde_json::{Value, json};

use crate::house::{House, hosting};

/// Names that become another, or none: as the shop writes them, and as LJPc is asked for them.
const NAMES: &[(&str, Option<&str>)] = &[
    ("B\u{fc}cher.example", Some("xn--bcher-kva.example")),
    ("\u{ff26}ull.example", Some("full.example")),
    // Cyrillic letters that look like Latin ones are other letters, and are asked for as such.
    ("\u{430}pple.example", Some("xn--pple-43d.example")),
    // What has no shape goes: both spellings are one name.
    ("exam\u{200b}ple2.nl", Some("example2.nl")),
    ("so\u{ad}ft.example", Some("soft.example")),
    ("\u{1f600}.example", Some("xn--e28h.example")),
    // Marks that turn the direction of writing, and labels that mix directions.
    ("exa\u{202e}mple.nl", None),
    ("a\u{5d0}.example", None),
    ("\u{5d0}1b.example", None),
    // What is no letter of any name.
    ("<script>.example", None),
    ("exa'mple.nl", None),
    ("a\"b.example", None),
    ("$(id).example", None),
    ("a%00b.example", None),
    ("a\\b.example", None),
    ("a;b.example", None),
    // What only looks encoded, and what only looks like a name.
    ("xn--a.example", None),
    ("-a.example", None),
    ("ab--c.example", None),
    ("192.0.2.1", None),
    ("a.123", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_is_asked_for_as_what_it_is_or_not_at_all() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    for (n, (name, _)) in NAMES.iter().enumerate() {
        house.submit(&format!("NAME-{n}"), json!([hosting(name)])).await;
    }
    for (n, (name, asked_for)) in NAMES.iter().enumerate() {
        let reference = format!("NAME-{n}");
        let status = if asked_for.is_some() { "completed" } else { "failed" };
        house.until_order(&reference, status).await;
        let asked: Vec<String> = house
            .posts(&reference)
            .iter()
            .map(|entry| {
                let body: Value = serde_json::from_str(entry.body.as_str()).expect("JSON");
                body["order_lines"][0]["cart_item"]["domain"].as_str().expect("a name").to_owned()
            })
            .collect();
        let expected: Vec<String> = asked_for.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(asked, expected, "{name:?}");
    }
    daemon.stop().await;
}

//! What the intake refuses, and what only the mail's own rules refuse.

use serde_json::json;

use super::customer;
use crate::{
    house::{House, hosting},
    world::World,
};

/// Keys of free text, by their place in the document.
const FREE_TEXT: [&str; 6] =
    ["first_name", "last_name", "organization", "address", "postal_code", "city"];

/// Control characters: all of C0 but NUL, DEL, and all of C1.
fn controls() -> impl Iterator<Item = char> {
    ('\u{1}'..='\u{1f}').chain('\u{7f}'..='\u{9f}')
}

#[tokio::test]
async fn control_characters_are_refused_where_people_are_named() {
    let world = World::new().await;
    for control in controls() {
        let mut document = json!({ "reference": "SHOP-1", "customer": customer(), "lines": [hosting("example.nl")] });
        for key in FREE_TEXT {
            document["customer"][key] = json!(format!("a{control}b"));
        }
        let faults: Vec<String> = sqlx::query_scalar(
            "SELECT path FROM provisor.validate_order($1::text::jsonb) ORDER BY path",
        )
        .bind(document.to_string())
        .fetch_all(&world.pool)
        .await
        .expect("it never raises");
        let mut expected: Vec<String> =
            FREE_TEXT.iter().map(|key| format!("customer.{key}")).collect();
        expected.sort_unstable();
        assert_eq!(faults, expected, "{control:?}");
    }
}

#[tokio::test]
async fn what_json_allows_and_nobody_should_send_is_refused_whole() {
    let world = World::new().await;
    let order = |name: &str, more: &str| {
        format!(
            r#"{{"reference": "SHOP-1", "customer": {{"first_name": {name}, "last_name": "Brown",
                "email": "bob@example.com"}}, "lines": [{{"kind": "hosting", "package": "hosting_5gb",
                "domain": "example.nl"}}]{more}}}"#
        )
    };
    for (what, document) in [
        ("NUL", order(r#""a\u0000b""#, "")),
        ("half a surrogate pair", order(r#""\ud83d""#, "")),
        ("endless", order(&format!("\"{}\"", "a".repeat(300_000)), "")),
        ("a huge number", order("1e308", "")),
        ("a number for a name", order("7", "")),
        ("an unknown key", order("\"Bob\"", r#", "__proto__": {"admin": true}"#)),
        ("deep", order("\"Bob\"", &format!(r#", "x": {}{}"#, "[".repeat(3000), "]".repeat(3000)))),
        (
            "deeper",
            order("\"Bob\"", &format!(r#", "x": {}{}"#, "[".repeat(100_000), "]".repeat(100_000))),
        ),
    ] {
        assert!(world.submit_text(&document).await.is_err(), "{what} was taken");
    }
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.orders").await, 0);
    assert!(world.submit_text(&order("\"Bob\"", "")).await.is_ok(), "the rest of it is sound");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_mail_can_go_to_harms_no_order_and_reaches_nobody() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    // Each is an address by the intake's rule, which looks at its shape alone.
    let addresses = [
        "bob,eve@example.com",
        "<bob@example.com",
        "bob>eve@example.com",
        "\"bob\"@example.com",
        "bob\u{202e}@example.com",
        "bob@exa\u{202e}mple.com",
        "bob@example.com;eve",
        "bob@192.0.2.1",
        "bob\\@example.com",
        "RCPT%0d%0aTO:eve@example.com>",
    ];
    for (n, address) in addresses.iter().enumerate() {
        let mut customer = customer();
        customer["email"] = json!(address);
        let lines = json!([hosting(&format!("mail-{n}.example"))]);
        let document =
            json!({ "reference": format!("MAIL-{n}"), "customer": customer, "lines": lines });
        house.world.submit(&document).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    }
    for n in 0..addresses.len() {
        house.until_order(&format!("MAIL-{n}"), "completed").await;
    }
    house.until_emailed().await;
    for mail in house.sandbox.state().mails() {
        for recipient in &mail.recipients {
            assert!(
                recipient == "ops@example.com"
                    || recipient.starts_with("bob") && !recipient.contains("eve"),
                "{recipient}"
            );
            assert!(
                !recipient.contains(['<', '>', ',', '"', '\\', '\u{202e}', ';']),
                "{recipient}"
            );
        }
    }
    daemon.stop().await;
}

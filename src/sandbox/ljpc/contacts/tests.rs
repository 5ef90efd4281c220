//! Contacts as a client sees them.

use serde_json::{Value, json};

use crate::sandbox::tests::{Seen, sandbox};

const CONTACTS: &str = "/api/hosting/v1/contacts";

fn bob() -> Value {
    json!({"name": "Bob Brown", "address": "Teststreet 1", "postal_code": "1234AB",
        "city": "Testcity", "country": "NL", "email": "bob@example.com", "voice": "+31612345678"})
}

fn refusal(seen: &Seen) -> (u16, String) {
    (seen.status(), seen.json()["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_written_in_one_case_is_read_in_the_other() {
    let sandbox = sandbox().await;
    let made = sandbox.post(CONTACTS, &bob()).await;
    assert_eq!(
        (made.status(), made.json()["data"].clone()),
        (201, json!({"handle": "sandbox-0001"}))
    );
    let shown = sandbox.get(&format!("{CONTACTS}/sandbox-0001")).await.json()["data"].clone();
    assert_eq!(
        shown,
        json!({"brand": "default", "name": "Bob Brown", "addressLine": ["Teststreet 1"],
            "postalCode": "1234AB", "city": "Testcity", "country": "NL",
            "email": "bob@example.com", "voice": "+31.612345678", "organization": null,
            "handle": "sandbox-0001"})
    );
}

#[tokio::test]
async fn each_post_makes_a_contact_and_they_come_in_pages() {
    let sandbox = sandbox().await;
    for _ in 0..3 {
        assert_eq!(sandbox.post(CONTACTS, &bob()).await.status(), 201);
    }
    let page = sandbox.get(&format!("{CONTACTS}?page=2&per_page=2")).await.json()["data"].clone();
    assert_eq!(page["contacts"][0]["handle"], "sandbox-0003");
    assert_eq!(page["contacts"].as_array().unwrap().len(), 1);
    assert_eq!([&page["total"], &page["page"], &page["per_page"]], [3, 2, 2]);
    assert_eq!(sandbox.state().summary().contacts, 3);
    assert_eq!(sandbox.state().contacts().len(), 3);
}

#[tokio::test]
async fn the_fields_are_checked() {
    let sandbox = sandbox().await;
    for (field, value, message) in [
        ("name", json!(null), "The name field is required."),
        ("address", json!(""), "The address field is required."),
        ("country", json!(null), "The country field is required."),
        ("country", json!("NLD"), "The country field must be 2 characters."),
        ("email", json!("bob"), "The email field must be a valid email address."),
        ("email", json!("a@b@example.com"), "The email field must be a valid email address."),
        ("voice", json!("0612345678"), "The voice field format is invalid."),
        ("postal_code", json!(1234), "The postal code field must be a string."),
    ] {
        let mut body = bob();
        body[field] = value;
        assert_eq!(refusal(&sandbox.post(CONTACTS, &body).await), (422, message.to_owned()));
    }
    assert_eq!(sandbox.state().contacts().len(), 0);
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_name() {
    let sandbox = sandbox().await;
    sandbox.post(CONTACTS, &bob()).await;
    let path = format!("{CONTACTS}/sandbox-0001");
    let changed = sandbox.call("PATCH", &path, &json!({"email": "new@example.com"})).await;
    assert_eq!((changed.status(), changed.json()["data"].clone()), (200, json!({"success": true})));
    let shown = sandbox.get(&path).await.json()["data"].clone();
    assert_eq!((&shown["email"], &shown["city"]), (&json!("new@example.com"), &json!("Testcity")));
    let slip = sandbox.call("PATCH", &path, &json!({"country": "N"})).await;
    assert_eq!(refusal(&slip), (422, "The country field must be 2 characters.".to_owned()));
    // Ownership goes before validation.
    let foreign = sandbox.call("PATCH", &format!("{CONTACTS}/x"), &json!({"country": "N"})).await;
    assert_eq!(refusal(&foreign), (404, "Contact not found".to_owned()));
    let foreign = sandbox.get(&format!("{CONTACTS}/x")).await;
    assert_eq!(refusal(&foreign), (404, "Contact not found".to_owned()));
}

#[tokio::test]
async fn a_fault_finds_its_contact_by_the_email() {
    let sandbox = sandbox().await;
    sandbox.fault(&json!({"endpoint": "POST /api/hosting/v1/contacts",
        "fault": "process_then_drop", "match": {"recipient": "bob@"}}));
    let mut eve = bob();
    eve["email"] = json!("eve@example.com");
    assert_eq!(sandbox.post(CONTACTS, &eve).await.status(), 201);
    assert_eq!(sandbox.post(CONTACTS, &bob()).await.bytes, b"");
    assert_eq!(sandbox.state().contacts().len(), 2, "it was made all the same");
}

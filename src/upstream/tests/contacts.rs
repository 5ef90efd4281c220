//! WHOIS contacts: listed, shown, created, changed; and their personal data shown nowhere.

use super::*;
use crate::upstream::ljpc::{Contact, CreateContact, CreatedContact, UpdateContact, Updated};

fn creation() -> CreateContact {
    CreateContact {
        name: "Owned Contact".to_owned(),
        organization: None,
        address: "Teststreet 1".to_owned(),
        postal_code: Some("1234AB".to_owned()),
        city: Some("Testcity".to_owned()),
        country: "NL".to_owned(),
        email: Some("owned@example.com".to_owned()),
        voice: Some("+31612345678".to_owned()),
    }
}

fn change_of_email(handle: &str) -> UpdateContact {
    UpdateContact {
        handle: handle.to_owned(),
        name: None,
        organization: None,
        address: None,
        postal_code: None,
        city: None,
        country: None,
        email: Some("new@example.com".to_owned()),
        voice: None,
    }
}

async fn created(status: &str, body: &str) -> (Result<CreatedContact, UpstreamError>, String) {
    exchange(status, body, async |ljpc| {
        change(ljpc, creation().prepare(), async |connected, prepared, deadline| {
            ljpc.create_contact(connected, prepared, deadline).await
        })
        .await
    })
    .await
}

async fn updated(
    handle: &str,
    status: &str,
    body: &str,
) -> (Result<Updated, UpstreamError>, String) {
    let prepared = change_of_email(handle).prepare().unwrap();
    exchange(status, body, async |ljpc| {
        change(ljpc, prepared, async |connected, prepared, deadline| {
            ljpc.update_contact(connected, prepared, deadline).await
        })
        .await
    })
    .await
}

async fn shown(handle: &str, status: &str, body: &str) -> (Result<Contact, UpstreamError>, String) {
    exchange(status, body, async |ljpc| ljpc.contact(handle).await).await
}

#[tokio::test]
async fn contact_is_created_as_documented() {
    let (result, request) = created("201 Created", &fixture("post_contacts_201")).await;
    insta::assert_snapshot!("create_contact", request);
    let body: serde_json::Value =
        serde_json::from_str(request.split_once('\n').unwrap().1).unwrap();
    let sample: serde_json::Value =
        serde_json::from_str(&fixture("post_contacts_request")).unwrap();
    assert_eq!(body, sample);
    let created = result.unwrap();
    assert_eq!((created.handle.as_str(), created.http_status), ("sandbox-owned-0002", 201));
    assert_eq!(created.jti.as_deref(), Some("0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90"));
}

#[tokio::test]
async fn contact_without_a_handle_is_doubt() {
    let sample = fixture("post_contacts_201");
    for handle in
        ["\"\"", "\" \"", "null", "7", "[]", "\"a\\u0000b\"", &format!("{:?}", "x".repeat(256))]
    {
        let body = sample.replace("\"sandbox-owned-0002\"", handle);
        assert_in_doubt(&created("201 Created", &body).await.0, handle);
    }
    for body in ["", "{}", "<html>", &sample[..60]] {
        assert_in_doubt(&created("201 Created", body).await.0, body);
    }
    let (result, _) = created("422 X", &fixture("post_contacts_422")).await;
    let message = "The country field must be 2 characters.";
    assert!(
        matches!(&result, Err(UpstreamError::Rejected { message: m, .. }) if m == message),
        "{result:?}"
    );
}

#[tokio::test]
async fn personal_data_that_upstream_quotes_is_masked() {
    let body = r#"{"success": false, "jti": "j",
        "message": "Owned Contact, Teststreet 1, 1234AB Testcity, NL, owned@example.com, +31612345678: no"}"#;
    for status in ["422 X", "500 X"] {
        let error = created(status, body).await.0.unwrap_err();
        let masked = "[secret], [secret], [secret] [secret], NL, [secret], [secret]: no";
        assert!(error.to_string().contains(masked), "{error}");
    }
    let error = updated("h", "422 X", &body.replace("owned@", "new@")).await.0.unwrap_err();
    assert!(error.to_string().contains("NL, [secret], +31612345678"), "{error}");
}

#[tokio::test]
async fn longer_data_is_masked_before_its_parts_and_the_shortest_not_at_all() {
    let mut contact = creation();
    contact.name = "Test".to_owned();
    contact.postal_code = Some("12".to_owned());
    let body = r#"{"success": false, "message": "Testcity, Test, error 12"}"#;
    let (result, _) = exchange("422 X", body, async |ljpc| {
        change(ljpc, contact.prepare(), async |connected, prepared, deadline| {
            ljpc.create_contact(connected, prepared, deadline).await
        })
        .await
    })
    .await;
    let error = result.unwrap_err();
    assert!(error.to_string().ends_with(": [secret], [secret], error 12"), "{error}");
}

#[test]
fn personal_data_is_not_in_debug() {
    let (creation, change) = (creation(), change_of_email("apitest-owned-0001"));
    let shown = format!("{creation:?} {:?} {change:?} {:?}", creation.prepare(), change.prepare());
    assert!(shown.contains("apitest-owned-0001"), "{shown}");
    for personal in ["Owned", "Teststreet", "1234AB", "Testcity", "@example.com", "3161"] {
        assert!(!shown.contains(personal), "{shown}");
    }
}

#[tokio::test]
async fn contact_is_changed_as_documented() {
    let (result, request) =
        updated("apitest-owned-0001", "200 OK", &fixture("patch_contacts_handle_200")).await;
    insta::assert_snapshot!(request, @r#"
    PATCH /api/hosting/v1/contacts/apitest-owned-0001 HTTP/1.1
    {"email":"new@example.com"}
    "#);
    assert_eq!(result.unwrap().http_status, 200);

    let (result, request) = updated("a/b ?", "404 X", &fixture("get_contacts_handle_404")).await;
    assert!(request.starts_with("PATCH /api/hosting/v1/contacts/a%2Fb%20%3F HTTP/1.1\n"));
    assert!(matches!(result, Err(UpstreamError::Rejected { status: 404, .. })), "{result:?}");

    let sample = fixture("patch_contacts_handle_200");
    let last = sample.rfind("true").unwrap();
    for done in ["false", "null", "\"true\"", "1"] {
        let body = format!("{}{done}{}", &sample[..last], &sample[last + 4..]);
        assert_in_doubt(&updated("h", "200 OK", &body).await.0, &body);
    }
    for handle in ["", ".", ".."] {
        assert!(change_of_email(handle).prepare().is_err());
    }
}

#[tokio::test]
async fn contact_is_shown_as_documented() {
    let sample = fixture("get_contacts_handle_200");
    let (result, request) = shown("apitest-owned-0001", "200 OK", &sample).await;
    assert_eq!(request, "GET /api/hosting/v1/contacts/apitest-owned-0001 HTTP/1.1");
    let contact = result.unwrap();
    assert_eq!(contact.address_line, ["Teststreet 1"]);
    assert_eq!(contact.postal_code.as_deref(), Some("1234AB"));
    assert_eq!(contact.voice.as_deref(), Some("+31.612345678"));
    assert_eq!(contact.organization.as_deref(), Some("LJPc"));
    assert_eq!(format!("{contact:?}"), r#"Contact { handle: "apitest-owned-0001", .. }"#);

    let bare = r#"{"success": true, "data": {"handle": "apitest-owned-0001", "addressLine": null, "name": 5}}"#;
    let contact = shown("apitest-owned-0001", "200 OK", bare).await.0.unwrap();
    assert!(contact.address_line.is_empty() && contact.name.is_none());

    let other = sample.replace("apitest-owned-0001", "apitest-owned-0002");
    for body in [&other, &sample.replace("\"handle\"", "\"id\""), "<html>"] {
        let (result, _) = shown("apitest-owned-0001", "200 OK", body).await;
        assert_unavailable(&result, body);
        assert!(!format!("{result:?}").contains("owned@example.com"));
    }
    let (missing, _) =
        shown("apitest-owned-0001", "404 X", &fixture("get_contacts_handle_404")).await;
    assert!(matches!(missing, Err(UpstreamError::Rejected { status: 404, .. })), "{missing:?}");
}

#[tokio::test]
async fn handle_that_no_path_can_hold_is_not_asked_for() {
    let server = Server::start([]).await;
    let (client, _) = client(&server.url(), PATIENCE);
    for handle in ["", ".", ".."] {
        let result = client.contact(handle).await;
        assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn contacts_are_listed_to_the_end() {
    let sample = fixture("get_contacts_200");
    let (page, request) = exchange("200 OK", &sample, async |ljpc| ljpc.contacts(2).await).await;
    assert_eq!(request, "GET /api/hosting/v1/contacts?page=2&per_page=100 HTTP/1.1");
    assert_eq!(page.unwrap()[0].city.as_deref(), Some("Testcity"));
    let (all, request) = exchange("200 OK", &sample, async |ljpc| ljpc.all_contacts().await).await;
    assert_eq!(request, "GET /api/hosting/v1/contacts?page=1&per_page=100 HTTP/1.1");
    assert_eq!(all.unwrap().len(), 1);
    let body = sample.replace("\"apitest-owned-0001\"", "null");
    let (page, _) = exchange("200 OK", &body, async |ljpc| ljpc.contacts(1).await).await;
    assert_unavailable(&page, "a contact that can't be read would be taken for absent");
}

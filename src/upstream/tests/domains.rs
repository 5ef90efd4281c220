//! Domains: listed, shown, registered, transferred, changed.

use super::*;
use crate::upstream::{
    Scope,
    ljpc::{
        Domain, DomainDetail, RegisterDomain, Registered, TransferDomain, TransferStarted,
        UpdateDomain, Updated,
    },
};

/// Every sign that breaks naive quoting.
const CODE: &str = r#"x7!Kq-04"a\'<&%{é}"#;

fn registration() -> RegisterDomain {
    RegisterDomain {
        domain: name("example.nl"),
        contact_handle: "apitest-owned-0001".to_owned(),
        years: Some(1),
        nameservers: vec![],
        external_reference: tag(),
    }
}

fn transfer() -> TransferDomain {
    TransferDomain {
        domain: name("bücher.example"),
        auth_code: Secret::new(CODE.to_owned()),
        contact_handle: "apitest-owned-0001".to_owned(),
        nameservers: vec![],
        external_reference: tag(),
    }
}

fn update() -> UpdateDomain {
    UpdateDomain {
        domain: name("example.nl"),
        nameservers: None,
        auto_renew: None,
        transfer_lock: None,
        whois_contact_handle: None,
    }
}

async fn registered(status: &str, body: &str) -> (Result<Registered, UpstreamError>, String) {
    exchange(status, body, async |ljpc| {
        let domain = name("example.nl");
        change(ljpc, registration().prepare(), async |connected, prepared, deadline| {
            ljpc.register_domain(connected, prepared, &domain, deadline).await
        })
        .await
    })
    .await
}

async fn transferred(
    transfer: &TransferDomain,
    status: &str,
    body: &str,
) -> (Result<TransferStarted, UpstreamError>, String) {
    exchange(status, body, async |ljpc| {
        change(ljpc, transfer.prepare(), async |connected, prepared, deadline| {
            ljpc.transfer_domain(connected, prepared, &transfer.domain, deadline).await
        })
        .await
    })
    .await
}

async fn updated(
    update: &UpdateDomain,
    status: &str,
    body: &str,
) -> (Result<Updated, UpstreamError>, String) {
    exchange(status, body, async |ljpc| {
        change(ljpc, update.prepare(), async |connected, prepared, deadline| {
            ljpc.update_domain(connected, prepared, &update.domain, deadline).await
        })
        .await
    })
    .await
}

async fn shown(status: &str, body: &str) -> (Result<DomainDetail, UpstreamError>, String) {
    let asked = name("example.nl");
    exchange(status, body, async |ljpc| ljpc.domain(&asked).await).await
}

#[tokio::test]
async fn registration_is_sent_and_read_as_documented() {
    let (result, request) = registered("201 Created", &fixture("post_domain_names_201")).await;
    insta::assert_snapshot!(request, @r#"
    POST /api/hosting/v1/domain-names HTTP/1.1
    {"domain":"example.nl","contact_handle":"apitest-owned-0001","years":1,"external_reference":"SHOP-1001/1"}
    "#);
    let registered = result.unwrap();
    assert_eq!(registered.domain, name("example.nl"));
    assert_eq!((registered.upstream_status.as_str(), registered.http_status), ("active", 201));
    assert_eq!(registered.message.as_deref(), Some("Domain registered successfully"));
    assert_eq!(registered.jti.as_deref(), Some("0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90"));
}

#[test]
fn registration_bears_what_is_wished() {
    let mut wished = registration();
    wished.domain = name("BÜCHER.example");
    wished.years = None;
    wished.nameservers = vec!["ns1.example.com".to_owned(), "ns2.example.com".to_owned()];
    let body = String::from_utf8(wished.prepare().body().to_vec()).unwrap();
    insta::assert_snapshot!("register_with_all", body);
}

#[tokio::test]
async fn registration_that_is_refused() {
    let (result, _) = registered("422 X", &fixture("post_domain_names_422")).await;
    let error = result.unwrap_err();
    assert!(error.is_existing_domain() && !error.is_no_change(), "{error:?}");
    let (result, _) = registered("403 X", &fixture("post_domain_names_403")).await;
    let error = result.unwrap_err();
    assert!(matches!(error, UpstreamError::Rejected { status: 403, .. }), "{error:?}");
    assert!(!error.is_existing_domain());
    // The same words beside another status, and other words beside this one, are something else.
    for (status, body) in [
        ("409 X", fixture("post_domain_names_422")),
        ("422 X", fixture("post_domain_names_422").replace("exists", "exists, or so")),
    ] {
        let error = registered(status, &body).await.0.unwrap_err();
        assert!(matches!(error, UpstreamError::Rejected { .. }) && !error.is_existing_domain());
    }
    let (result, _) = registered("403 X", ERROR).await;
    let scope = Scope::Endpoint;
    assert!(matches!(result, Err(UpstreamError::Unauthorized { scope: s, .. }) if s == scope));
}

#[tokio::test]
async fn registration_without_what_is_promised_is_doubt() {
    let sample = fixture("post_domain_names_201");
    for (from, to) in [
        ("example.nl", "example.com"),
        ("example.nl", ""),
        (r#""domain": "example.nl","#, ""),
        (r#""domain": "example.nl""#, r#""domain": ["example.nl"]"#),
        (r#""status": "active","#, ""),
        (r#""status": "active""#, r#""status": null"#),
        (r#""status": "active""#, r#""status": 1"#),
        (r#""status": "active""#, r#""status": " ""#),
        (r#""success": true"#, r#""success": "true""#),
    ] {
        let body = sample.replace(from, to);
        assert_ne!(body, sample, "the case changes nothing");
        assert_in_doubt(&registered("201 Created", &body).await.0, to);
    }
    for (status, body) in [
        ("204 No Content", ""),
        ("201 Created", "<html>"),
        ("201 Created", &sample[..sample.len() / 2]),
        ("500 X", ERROR),
        ("422 X", "<html>"),
        ("404 X", ""),
    ] {
        assert_in_doubt(&registered(status, body).await.0, body);
    }
}

#[tokio::test]
async fn registration_is_known_under_another_spelling() {
    let body = fixture("post_domain_names_201")
        .replace("example.nl", "EXAMPLE.NL")
        .replace("active", "pending_create,\\u202e locked")
        .replace(r#""Domain registered successfully""#, "[7]");
    let registered = registered("200 OK", &body).await.0.unwrap();
    assert_eq!(registered.domain.as_str(), "example.nl");
    assert_eq!(registered.upstream_status, "pending_create, locked");
    assert_eq!((registered.message, registered.http_status), (None, 200));
}

#[tokio::test]
async fn transfer_is_sent_and_read_as_documented() {
    let sample = fixture("post_domain_names_domain_transfer_202");
    let body = sample.replace("example.nl", "bücher.example");
    let (result, request) = transferred(&transfer(), "202 Accepted", &body).await;
    insta::assert_snapshot!(request, @r#"
    POST /api/hosting/v1/domain-names/xn--bcher-kva.example/transfer HTTP/1.1
    {"auth_code":"x7!Kq-04\"a\\'<&%{é}","contact_handle":"apitest-owned-0001","external_reference":"SHOP-1001/1"}
    "#);
    let started = result.unwrap();
    assert_eq!(started.domain, name("bücher.example"));
    assert_eq!((started.upstream_status.as_str(), started.http_status), ("pending_transfer", 202));
    assert_eq!(started.message.as_deref(), Some("Domain transfer initiated successfully"));
    assert_eq!(started.jti.as_deref(), Some("0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90"));

    // Another domain, and no status, are no transfer of ours.
    for body in [sample, body.replace("pending_transfer", "")] {
        assert_in_doubt(&transferred(&transfer(), "202 X", &body).await.0, &body);
    }
}

#[tokio::test]
async fn auth_code_is_shown_nowhere() {
    let escaped = serde_json::to_string(CODE).unwrap();
    let quoted = escaped.trim_matches('"');
    for status in ["422 X", "500 X", "401 X"] {
        let body = format!(r#"{{"success": false, "jti": "j", "message": "{quoted} is wrong"}}"#);
        let error = transferred(&transfer(), status, &body).await.0.unwrap_err();
        assert!(error.to_string().contains("[secret] is wrong"), "{error}");
        assert!(!format!("{error:?}").contains("x7!Kq"), "{error:?}");
    }
    // Not even by an answer that is good.
    let body = fixture("post_domain_names_domain_transfer_202")
        .replace("example.nl", "bücher.example")
        .replace("successfully", quoted)
        .replace("pending_transfer", quoted);
    let started = transferred(&transfer(), "202 X", &body).await.0.unwrap();
    assert_eq!(started.upstream_status, "[secret]");
    assert!(!format!("{started:?} {:?} {:?}", transfer(), transfer().prepare()).contains("x7!Kq"));
}

#[tokio::test]
async fn update_sends_what_changes_and_nothing_else() {
    let auto_renew = UpdateDomain { auto_renew: Some(false), ..update() };
    let (result, request) =
        updated(&auto_renew, "200 OK", &fixture("patch_domain_names_domain_200")).await;
    insta::assert_snapshot!(request, @r#"
    PATCH /api/hosting/v1/domain-names/example.nl HTTP/1.1
    {"auto_renew":false}
    "#);
    let result = result.unwrap();
    assert_eq!(result.message.as_deref(), Some("Domain updated successfully"));
    assert_eq!((result.http_status, result.jti.is_some()), (200, true));

    let all = UpdateDomain {
        domain: name("example.nl"),
        nameservers: Some(vec!["ns1.example.com".to_owned(), "ns2.example.com".to_owned()]),
        auto_renew: Some(true),
        transfer_lock: Some(false),
        whois_contact_handle: Some("apitest-owned-0001".to_owned()),
    };
    let body = String::from_utf8(all.prepare().body().to_vec()).unwrap();
    insta::assert_snapshot!("update_all", body);
    assert_eq!(update().prepare().body(), b"{}");
}

#[tokio::test]
async fn update_that_changes_nothing_is_refused_and_known() {
    let body =
        fixture("post_domain_names_422").replace("Domain already exists", "No changes to apply");
    let error = updated(&update(), "422 X", &body).await.0.unwrap_err();
    assert!(error.is_no_change() && !error.is_existing_domain(), "{error:?}");
    let error = updated(&update(), "404 X", &body).await.0.unwrap_err();
    assert!(matches!(error, UpstreamError::Rejected { .. }) && !error.is_no_change(), "{error:?}");
    assert_in_doubt(&updated(&update(), "500 X", &body).await.0, "no refusal");
}

#[tokio::test]
async fn update_must_name_its_domain() {
    let sample = fixture("patch_domain_names_domain_200");
    for body in [
        sample.replace("example.nl", "www.example.nl"),
        sample.replace(r#""domain": "example.nl","#, ""),
        sample.replace(r#""data""#, r#""date""#),
        "[]".to_owned(),
    ] {
        assert_in_doubt(&updated(&update(), "200 OK", &body).await.0, &body);
    }
}

#[tokio::test]
async fn domain_is_shown_as_documented() {
    let (result, request) = shown("200 OK", &fixture("get_domain_names_domain_200")).await;
    assert_eq!(request, "GET /api/hosting/v1/domain-names/example.nl HTTP/1.1");
    let domain = result.unwrap();
    assert_eq!((domain.domain.as_str(), domain.status.as_str()), ("example.nl", "active"));
    assert_eq!(domain.expires_at.unwrap().to_rfc3339(), "2027-07-02T14:37:57+00:00");
    assert_eq!(domain.nameservers, ["ns1.ljpc.network", "ns2.ljpc.network", "ns3.ljpc.network"]);
    assert_eq!((domain.auto_renew, domain.transfer_lock), (Some(true), Some(true)));
    assert_eq!(domain.contact_handle.as_deref(), Some("apitest-owned-0001"));
}

#[tokio::test]
async fn domain_may_be_stranger_than_its_sample() {
    let bare = r#"{"success": true, "data": {"domain": "EXAMPLE.nl", "status": "active,transfer_failed",
        "expires_at": "2027-07-02", "nameservers": null, "auto_renew": "yes"}}"#;
    let domain = shown("200 OK", bare).await.0.unwrap();
    assert_eq!(domain.status, "active,transfer_failed");
    assert_eq!((domain.expires_at, domain.auto_renew, domain.contact_handle), (None, None, None));
    assert!(domain.nameservers.is_empty());
    let sample = fixture("get_domain_names_domain_200");
    for body in [
        sample.replace(r#""domain": "example.nl""#, r#""domain": "example.com""#),
        sample.replace(r#""status": "active","#, ""),
        sample.replace(r#""active""#, "null"),
        sample[..200].to_owned(),
        "<html>".to_owned(),
    ] {
        assert_ne!(body, sample, "the case changes nothing");
        assert_unavailable(&shown("200 OK", &body).await.0, &body);
    }
    let gone = shown("404 X", ERROR).await.0;
    assert!(matches!(gone, Err(UpstreamError::Rejected { status: 404, .. })), "{gone:?}");
    assert_unavailable(&shown("404 X", "<html>").await.0, "a proxy's page proves no absence");
}

#[tokio::test]
async fn domains_are_listed_page_by_page() {
    let (page, request) =
        exchange("200 OK", &fixture("get_domain_names_200"), async |ljpc| ljpc.domains(3).await)
            .await;
    assert_eq!(request, "GET /api/hosting/v1/domain-names?page=3&per_page=100 HTTP/1.1");
    let page: Vec<Domain> = page.unwrap();
    assert_eq!((page.len(), page[0].domain.as_str()), (1, "example.nl"));
    assert_eq!((page[0].status.as_deref(), page[0].auto_renew), (Some("active"), Some(true)));

    let first = fixture("get_domain_names_200");
    let second = first.replace("example.nl", "example.com");
    let script = [first.as_str(), &second].map(|body| Act::Keep(answer("200 OK", "", body)));
    let server = Server::start(script).await;
    let (client, _) = client(&server.url(), PATIENCE);
    let all = client.all_domains().await.unwrap();
    let names: Vec<_> = all.iter().map(|domain| domain.domain.as_str()).collect();
    assert_eq!(names, ["example.com", "example.nl"]);
    // A domain that can't be read would be taken for one that is gone.
    let body = first.replace("\"example.nl\"", "null");
    let (page, _) = exchange("200 OK", &body, async |ljpc| ljpc.domains(1).await).await;
    assert_unavailable(&page, &body);
}

#[tokio::test]
async fn auth_code_is_read_and_kept_secret() {
    let asked = name("example.nl");
    let sample = fixture("get_domain_names_domain_authcode_200");
    let (code, request) =
        exchange("200 OK", &sample, async |ljpc| ljpc.auth_code(&asked).await).await;
    assert_eq!(request, "GET /api/hosting/v1/domain-names/example.nl/authcode HTTP/1.1");
    let code = code.unwrap();
    assert_eq!((code.expose(), format!("{code:?}").as_str()), (r#"x7!Kq-04"a"#, "[secret]"));

    let (missing, _) =
        exchange("404 X", &fixture("get_domain_names_domain_authcode_404"), async |ljpc| {
            ljpc.auth_code(&asked).await
        })
        .await;
    assert!(matches!(missing, Err(UpstreamError::Rejected { status: 404, .. })), "{missing:?}");
    for body in [
        sample.replace("example.nl", "example.com"),
        sample.replace(r#"x7!Kq-04\"a"#, ""),
        sample.replace(r#"x7!Kq-04\"a"#, "x7!Kq\\u001b[2J"),
        sample.replace(r#""x7!Kq-04\"a""#, r#"["x7!Kq"]"#),
    ] {
        let (result, _) =
            exchange("200 OK", &body, async |ljpc| ljpc.auth_code(&asked).await).await;
        assert_unavailable(&result, &body);
        assert!(!format!("{result:?}").contains("x7!Kq"), "{result:?}");
    }
}

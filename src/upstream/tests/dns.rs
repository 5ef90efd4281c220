//! Zones, read and replaced; and the way into a site's control panel.

use super::*;
use crate::{
    order::{SiteId, domain::Record},
    upstream::ljpc::{ReplaceRecords, ReplacedRecords, Zone},
};

fn record(kind: &str, content: &str, prio: Option<u16>) -> Record {
    Record {
        kind: kind.to_owned(),
        name: "@".to_owned(),
        content: content.to_owned(),
        ttl: 3600,
        prio,
    }
}

fn records() -> Vec<Record> {
    vec![record("A", "192.0.2.10", None), record("MX", "mail.example.nl", Some(10))]
}

async fn zone(status: &str, body: &str) -> (Result<Option<Zone>, UpstreamError>, String) {
    let asked = name("example.nl");
    exchange(status, body, async |ljpc| ljpc.zone(&asked).await).await
}

async fn replaced(
    records: Vec<Record>,
    status: &str,
    body: &str,
) -> (Result<ReplacedRecords, UpstreamError>, String) {
    let replace = ReplaceRecords { domain: name("example.nl"), records };
    exchange(status, body, async |ljpc| {
        change(ljpc, replace.prepare(), async |connected, prepared, deadline| {
            ljpc.replace_records(connected, prepared, &replace.domain, deadline).await
        })
        .await
    })
    .await
}

async fn login(status: &str, body: &str) -> (Result<Option<Secret>, UpstreamError>, String) {
    exchange(status, body, async |ljpc| ljpc.login(SiteId(2019)).await).await
}

#[tokio::test]
async fn zone_is_read_as_documented() {
    let (result, request) = zone("200 OK", &fixture("get_dns_zones_domain_records_200")).await;
    assert_eq!(request, "GET /api/hosting/v1/dns/zones/example.nl/records HTTP/1.1");
    let zone = result.unwrap().unwrap();
    assert_eq!(zone.source.as_deref(), Some("manual"));
    assert_eq!(zone.records, [record("A", "192.0.2.10", None)]);
}

#[tokio::test]
async fn zone_that_is_not_there_is_none() {
    let sample = fixture("get_dns_zones_domain_records_404");
    assert_eq!(zone("404 Not Found", &sample).await.0, Ok(None));
    assert_unavailable(&zone("404 Not Found", "<html>").await.0, "a proxy's page proves nothing");
    let refused = zone("403 Forbidden", &sample).await.0;
    assert!(matches!(refused, Err(UpstreamError::Rejected { status: 403, .. })), "{refused:?}");
}

#[tokio::test]
async fn zone_is_read_whole_or_not_at_all() {
    let sample = fixture("get_dns_zones_domain_records_200");
    for (from, to) in [
        (r#""domain": "example.nl""#, r#""domain": "example.com""#),
        (r#""domain": "example.nl","#, ""),
        ("3600", "\"3600\""),
        ("3600", "-1"),
        ("\"A\"", "null"),
        (r#""content": "192.0.2.10","#, ""),
        (r#""prio": null"#, r#""prio": 65536"#),
        (r#""records""#, r#""record""#),
    ] {
        let body = sample.replace(from, to);
        assert_ne!(body, sample, "the case changes nothing");
        assert_unavailable(&zone("200 OK", &body).await.0, to);
    }
    let bare = sample
        .replace(r#""source": "manual""#, r#""more": 1"#)
        .replace("example.nl", "EXAMPLE.nl")
        .replace(",\n        \"prio\": null", "");
    let zone = zone("200 OK", &bare).await.0.unwrap().unwrap();
    assert_eq!((zone.source, zone.records[0].prio), (None, None));
}

#[tokio::test]
async fn records_are_replaced_as_documented() {
    let sample = fixture("put_dns_zones_domain_records_200");
    let (result, request) = replaced(records(), "200 OK", &sample).await;
    insta::assert_snapshot!("replace_records", request);
    let done = result.unwrap();
    assert_eq!((done.synced, done.source.as_deref()), (Some(false), Some("manual")));
    assert_eq!(done.records, Some(records()));
    assert_eq!((done.http_status, done.jti.is_some()), (200, true));

    let (_, request) = replaced(vec![], "200 OK", &sample).await;
    assert!(request.ends_with("\n{\"records\":[]}"), "{request}");
}

#[tokio::test]
async fn replacement_is_known_by_its_zone_alone() {
    let sample = fixture("put_dns_zones_domain_records_200");
    let strange =
        sample.replace("\"synced\": false", "\"synced\": \"soon\"").replace("3600", "null");
    let done = replaced(records(), "200 OK", &strange).await.0.unwrap();
    assert_eq!((done.synced, done.records), (None, None));
    for body in [
        sample.replace(r#""domain": "example.nl""#, r#""domain": "example.com""#),
        sample.replace(r#""zone""#, r#""zones""#),
        sample[..150].to_owned(),
        String::new(),
    ] {
        assert_in_doubt(&replaced(records(), "200 OK", &body).await.0, &body);
    }
    for (status, name) in
        [(422, "put_dns_zones_domain_records_422"), (409, "put_dns_zones_domain_records_409")]
    {
        let error =
            replaced(records(), &format!("{status} X"), &fixture(name)).await.0.unwrap_err();
        assert!(matches!(error, UpstreamError::Rejected { .. }), "{error:?}");
        assert_eq!(error.status(), Some(status));
    }
}

#[tokio::test]
async fn login_is_a_secret() {
    let sample = fixture("get_sites_id_login_200");
    let (result, request) = login("200 OK", &sample).await;
    assert_eq!(request, "GET /api/hosting/v1/sites/2019/login HTTP/1.1");
    assert_eq!(format!("{result:?}"), "Ok(Some([secret]))");
    let url = result.unwrap().unwrap();
    assert_eq!(url.expose(), "https://panel.ljpc.systems/sso?token=9c1f0a7be2d84c55");
    assert_eq!(login("204 No Content", "").await.0, Ok(None));
    let (refused, _) = login("403 X", &fixture("get_sites_id_login_403")).await;
    assert!(matches!(refused, Err(UpstreamError::Rejected { status: 403, .. })), "{refused:?}");
    for url in
        ["null", "\"\"", "\"/sso?token=9c1f\"", "\"javascript:x\"", r#""https://x/\u001b""#, "[]"]
    {
        let body = format!(r#"{{"success": true, "data": {{"url": {url}}}}}"#);
        let (result, _) = login("200 OK", &body).await;
        assert_unavailable(&result, url);
        assert!(!format!("{result:?}").contains("9c1f"), "{result:?}");
    }
    assert_unavailable(&login("200 OK", "").await.0, "no body is no 204");
}

//! Safe GETs.

use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::{
    order::{SiteId, UpstreamOrderId},
    upstream::{BuildError, Scope, ljpc::Site},
};

const SITE: &str = include_str!("../../../tests/fixtures/ljpc/get_sites_id_200.json");
const PRODUCTS: &str = include_str!("../../../tests/fixtures/ljpc/get_products_200.json");

/// Reads site 2019 from a server that does this, and sees to it that it was asked once.
async fn site(act: Act, timeout: Duration) -> Result<i64, UpstreamError> {
    let server = Server::start([act]).await;
    let (client, recorder) = client(&server.url(), timeout);
    let result = client.site(SiteId(2019)).await.map(|site| site.id.0);
    assert_eq!(server.requests().len(), 1, "{result:?}");
    let outcome = result.as_ref().map_or_else(UpstreamError::outcome, |_| "ok");
    assert_eq!(recorder.told(), [("GET /api/hosting/v1/sites/{id}", outcome)]);
    result
}

async fn answered(status: &str, body: &str) -> Result<i64, UpstreamError> {
    site(Act::Answer(answer(status, "", body)), PATIENCE).await
}

#[tokio::test]
async fn request_is_as_documented() {
    let server = Server::start([Act::Answer(answer("200 OK", "", SITE))]).await;
    let (client, _) = client(&server.url(), PATIENCE);
    let site = client.site(SiteId(2019)).await.unwrap();
    assert_eq!(site.disk_used_bytes, Some(3_221_225_472));
    let requests = server.requests();
    let mut lines: Vec<_> = requests[0].trim_end().lines().collect();
    assert_eq!(lines.remove(0), "GET /api/hosting/v1/sites/2019 HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept: application/json",
            &format!("host: {}", server.addr()),
            concat!("user-agent: provisor/", env!("CARGO_PKG_VERSION")),
            "x-api-key: key-of-a-test",
        ]
    );
}

#[tokio::test]
async fn products_are_asked_for_with_the_key() {
    let server = Server::start([Act::Answer(answer("200 OK", "", PRODUCTS))]).await;
    let (client, recorder) = client(&server.url(), PATIENCE);
    assert_eq!(client.products().await.unwrap().len(), 2);
    assert!(server.requests()[0].contains("x-api-key: key-of-a-test\r\n"));
    assert_eq!(recorder.told(), [("GET /api/v1/products", "ok")]);
}

#[tokio::test]
async fn answers_that_settle_something() {
    for status in [400, 403, 404, 409, 422] {
        let result = answered(&format!("{status} X"), ERROR).await;
        let Err(UpstreamError::Rejected { status: seen, .. }) = result else {
            panic!("{status}: {result:?}")
        };
        assert_eq!(seen, status);
    }
    for (status, scope) in [("401 X", Scope::Upstream), ("403 X", Scope::Endpoint)] {
        let result = answered(status, "<html>").await;
        let Err(UpstreamError::Unauthorized { scope: seen, .. }) = result else {
            panic!("{status}: {result:?}")
        };
        assert_eq!(seen, scope);
    }
    let limited = answered("429 X", "").await;
    assert_eq!(limited, Err(UpstreamError::RateLimited { after: Duration::from_secs(5) }));
}

#[tokio::test]
async fn answers_that_settle_nothing() {
    let other_site = SITE.replace("2019", "2020");
    for (status, body) in [
        ("404 Not Found", "<html>"),
        ("422 X", "{}"),
        ("302 Found", ERROR),
        ("418 X", ERROR),
        ("500 X", ERROR),
        ("502 Bad Gateway", "<html><h1>Bad Gateway</h1></html>"),
        ("204 No Content", ""),
        ("200 OK", "<html>"),
        ("200 OK", ERROR),
        ("200 OK", "{\"success\": true}"),
        ("200 OK", &other_site),
    ] {
        let result = answered(status, body).await;
        let Err(UpstreamError::Unavailable { status: seen, .. }) = result else {
            panic!("{status} {body}: {result:?}")
        };
        assert_eq!(seen, status.split(' ').next().unwrap().parse().ok());
    }
}

#[tokio::test]
async fn broken_wires_are_asked_once() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{".to_vec();
    let chunk = [b"10000\r\n", " ".repeat(0x10000).as_bytes(), b"\r\n"].concat();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (act, timeout) in [
        (Act::Reset, PATIENCE),
        (Act::Answer(vec![]), PATIENCE),
        (Act::Answer(cut.clone()), PATIENCE),
        (Act::Endless(chunked, chunk), PATIENCE),
        (Act::Stall(vec![]), IMPATIENCE),
        (Act::Stall(cut), IMPATIENCE),
    ] {
        let what = format!("{act:?}").chars().take(30).collect::<String>();
        let result = site(act, timeout).await;
        assert!(matches!(result, Err(UpstreamError::Unavailable { .. })), "{what}: {result:?}");
    }
}

#[tokio::test]
async fn what_fails_before_the_connection_stands_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [refused.as_str(), "https://upstream.invalid"] {
        let (client, recorder) = client(url, Duration::from_secs(5));
        let result = client.site(SiteId(2019)).await;
        assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{url}: {result:?}");
        assert_eq!(recorder.told(), [("GET /api/hosting/v1/sites/{id}", "not_sent")]);
    }
}

#[tokio::test]
async fn redirect_is_not_followed_and_the_key_stays() {
    let other = Server::start([]).await;
    let location = format!("Location: {}/api/hosting/v1/sites/2019\r\n", other.url());
    let result = site(Act::Answer(answer("302 Found", &location, "")), PATIENCE).await;
    assert!(matches!(result, Err(UpstreamError::Unavailable { status: Some(302), .. })));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn kept_connection_that_breaks_is_no_reason_to_ask_twice() {
    let keep = || Act::Keep(answer("200 OK", "", SITE));
    let server = Server::start([keep(), Act::Answer(vec![]), keep()]).await;
    let (client, _) = client(&server.url(), PATIENCE);
    client.site(SiteId(2019)).await.unwrap();
    // The second GET is read by the server, which then closes: it is not asked again.
    let broken = client.site(SiteId(2019)).await;
    assert!(matches!(broken, Err(UpstreamError::Unavailable { .. })), "{broken:?}");
    assert_eq!((server.requests().len(), server.connections()), (2, 1));
    // The third finds a connection of its own.
    client.site(SiteId(2019)).await.unwrap();
    assert_eq!((server.requests().len(), server.connections()), (3, 2));
}

#[tokio::test]
async fn all_sites_reads_every_page() {
    let page = |from: i64, to: i64, total: i64| {
        let sites: Vec<_> = (from..=to).map(|id| serde_json::json!({ "id": id })).collect();
        let body = serde_json::json!({"success": true, "jti": "j", "data": {"sites": sites, "total": total}});
        Act::Keep(answer("200 OK", "", &body.to_string()))
    };
    let script = [page(1, 100, 150), page(101, 150, 151), page(1, 100, 150), page(101, 150, 150)];
    let server = Server::start(script).await;
    let (client, _) = client(&server.url(), PATIENCE);
    let sites: Vec<Site> = client.all_sites().await.unwrap();
    assert_eq!(sites.len(), 150);
    let lines: Vec<_> =
        server.requests().iter().map(|r| r.lines().next().unwrap().to_owned()).collect();
    let line = |page| format!("GET /api/hosting/v1/sites?page={page}&per_page=100 HTTP/1.1");
    assert_eq!(lines, [line(1), line(2), line(1), line(2)]);
}

#[tokio::test]
async fn listing_may_be_longer_than_an_answer_but_not_endless() {
    let padded = |bytes: usize| SITES.replacen('{', &format!("{{{}", " ".repeat(bytes)), 1);
    let two = 2 * 1024 * 1024;
    let server = Server::start([
        Act::Answer(answer("200 OK", "", &padded(two))),
        Act::Answer(answer("200 OK", "", &padded(4 * two))),
    ])
    .await;
    let (client, _) = client(&server.url(), PATIENCE);
    assert_eq!(client.sites(1).await.unwrap().len(), 1);
    let result = client.sites(1).await;
    assert!(matches!(result, Err(UpstreamError::Unavailable { .. })), "{result:?}");
}

#[tokio::test]
async fn foreign_and_unknown_orders_are_told_apart_by_the_status() {
    let server = Server::start([
        Act::Answer(answer("403 Forbidden", "", ERROR)),
        Act::Answer(answer("404 Not Found", "", ERROR)),
    ])
    .await;
    let (client, recorder) = client(&server.url(), PATIENCE);
    for status in [403, 404] {
        let error = client.order(UpstreamOrderId(7)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Rejected { .. }));
        assert_eq!(error.status(), Some(status));
    }
    assert_eq!(recorder.told(), [("GET /api/v1/orders/{id}", "rejected"); 2]);
}

#[test]
fn unfit_settings_are_refused() {
    let build = |change: fn(&mut LjpcSettings)| {
        let mut settings = settings("https://ljpc.example", PATIENCE);
        change(&mut settings);
        Ljpc::new(settings, Arc::new(Recorder::default())).unwrap_err()
    };
    let clear = build(|s| s.base_url = Url::parse("http://ljpc.example").unwrap());
    assert!(matches!(clear, BuildError::ClearText { .. }));
    assert!(matches!(build(|s| s.api_key = Secret::new(String::new())), BuildError::Key));
    assert!(matches!(build(|s| s.api_key = Secret::new("a\nb".to_owned())), BuildError::Key));
    assert!(matches!(build(|s| s.timeout = Duration::ZERO), BuildError::Timeout));
}

#[test]
fn debug_shows_no_key() {
    let settings = settings("https://ljpc.example", PATIENCE);
    let shown = format!("{settings:?}");
    let client = Ljpc::new(settings, Arc::new(Recorder::default())).unwrap();
    assert!(!format!("{shown} {client:?}").contains(KEY));
}

/// The handlers run on a runtime of several threads.
#[test]
fn calls_can_move_between_threads() {
    fn assert_send<T: Send>(_: T) {}
    let (client, _) = client("https://ljpc.example", PATIENCE);
    let domain = name("example.nl");
    assert_send(client.all_sites());
    assert_send(client.all_domains());
    assert_send(client.all_contacts());
    assert_send(client.prices(&[&domain]));
    assert_send(client.zone(&domain));
    assert_send(client.products());
    assert_send(client.order(UpstreamOrderId(1)));
    assert_send(place(&client, &hosting(), PATIENCE));
}

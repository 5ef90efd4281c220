//! Placing an order: what is sent, when, how often, and how each answer is read.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, net::TcpListener};

use super::{server::read_request, *};
use crate::upstream::{
    Scope,
    ljpc::{DomainAction, tag_of},
};

/// Places the hosting order with a server that does this, and sees to it that there was one connection and one request.
async fn placed(act: Act, patience: Duration) -> Result<PlacedOrder, UpstreamError> {
    let server = Server::start([act]).await;
    let (client, recorder) = client(&server.url(), PATIENCE);
    let result = place(&client, &hosting(), patience).await;
    assert_eq!((server.connections(), server.requests().len()), (1, 1), "{result:?}");
    let outcome = result.as_ref().map_or_else(UpstreamError::outcome, |_| "ok");
    assert_eq!(recorder.told(), [("POST /api/v1/orders", outcome)]);
    result
}

async fn answered(status: &str, headers: &str, body: &str) -> Result<PlacedOrder, UpstreamError> {
    placed(Act::Answer(answer(status, headers, body)), PATIENCE).await
}

#[track_caller]
fn assert_doubt(result: &Result<PlacedOrder, UpstreamError>, status: Option<u16>, what: &str) {
    match result {
        Err(UpstreamError::InDoubt { status: seen, detail, .. }) => {
            assert_eq!(*seen, status, "{what}: {detail}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn accepted_order_is_read_and_the_request_is_as_documented() {
    let server = Server::start([Act::Answer(answer("201 Created", "", CREATED))]).await;
    let (client, recorder) = client(&server.url(), PATIENCE);
    let order = place(&client, &hosting(), PATIENCE).await.unwrap();
    assert_eq!((order.id.0, order.status), (114, 201));
    assert_eq!(order.jti.as_deref(), Some("11111111-1111-4111-8111-111111111111"));
    assert_eq!(order.price, Some("4.99".parse().unwrap()));
    assert_eq!(order.total_price, Some("4.99".parse().unwrap()));
    assert_eq!(recorder.told(), [("POST /api/v1/orders", "ok")]);

    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /api/v1/orders HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept: application/json",
            "connection: close",
            &format!("content-length: {}", body.len()),
            "content-type: application/json",
            &format!("host: {}", server.addr()),
            concat!("user-agent: provisor/", env!("CARGO_PKG_VERSION")),
            "x-api-key: key-of-a-test",
        ]
    );
    assert_eq!(
        body,
        r#"{"summary":"SHOP-1001/1: Hosting 5 GB for example.nl","meta":{"external_reference":"SHOP-1001/1"},"#
            .to_owned()
            + r#""order_lines":[{"description":"SHOP-1001/1: Hosting 5 GB for example.nl","cart_item":{"type":"hosting","#
            + r#""product_uuid":"afe29fe6-0000-4000-8000-000000000001","domain":"example.nl","billing_period":"monthly"}}]}"#
    );
}

#[tokio::test]
async fn base_url_may_have_a_path() {
    let server = Server::start([Act::Answer(answer("201 Created", "", CREATED))]).await;
    let (client, _) = client(&format!("{}/gateway/", server.url()), PATIENCE);
    place(&client, &hosting(), PATIENCE).await.unwrap();
    assert!(server.requests()[0].starts_with("POST /gateway/api/v1/orders HTTP/1.1\r\n"));
}

#[tokio::test]
async fn no_byte_leaves_before_send() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, recorder) =
        client(&format!("http://{}", listener.local_addr().unwrap()), PATIENCE);

    let connected = client.connect(&PLACE_ORDER, Deadline::after(PATIENCE)).await.unwrap();
    let (mut seen, _) = listener.accept().await.unwrap();
    drop(connected);
    let mut bytes = Vec::new();
    seen.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.is_empty(), "{bytes:?}");
    assert_eq!(recorder.told(), [], "a connection that was not used is no request");

    // The same connection, used, is heard at once.
    let connected = client.connect(&PLACE_ORDER, Deadline::after(PATIENCE)).await.unwrap();
    let (mut seen, _) = listener.accept().await.unwrap();
    let (prepared, tag) = (hosting().prepare(), tag());
    let sending = client.place_order(connected, &prepared, &tag, Deadline::after(PATIENCE));
    let serving = async {
        let request = read_request(&mut seen).await;
        drop(seen);
        request
    };
    let (result, request) = tokio::join!(sending, serving);
    assert!(request.unwrap().starts_with("POST /api/v1/orders"));
    assert_doubt(&result, None, "closed without an answer");
}

// On several threads, where the runtime's picture of a socket lags behind the kernel's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_closed_while_it_waited_is_not_sent() {
    for unasked in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, recorder) =
            client(&format!("http://{}", listener.local_addr().unwrap()), PATIENCE);
        let connected = client.connect(&PLACE_ORDER, Deadline::after(PATIENCE)).await.unwrap();
        let (mut seen, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut seen, unasked).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut seen).await.unwrap();

        let prepared = hosting().prepare();
        let result =
            client.place_order(connected, &prepared, &tag(), Deadline::after(PATIENCE)).await;
        assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
        let mut bytes = Vec::new();
        // A close with unread bytes is a reset; either way nothing was said.
        let _: std::io::Result<usize> = seen.read_to_end(&mut bytes).await;
        assert!(bytes.is_empty());
        assert_eq!(recorder.told(), [("POST /api/v1/orders", "not_sent")]);
    }
}

#[tokio::test]
async fn deadline_that_passed_before_the_first_byte_is_not_sent() {
    let server = Server::start([]).await;
    let (client, _) = client(&server.url(), PATIENCE);
    let connected = client.connect(&PLACE_ORDER, Deadline::after(PATIENCE)).await.unwrap();
    let prepared = hosting().prepare();
    let result =
        client.place_order(connected, &prepared, &tag(), Deadline::after(Duration::ZERO)).await;
    assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn what_fails_before_the_connection_stands_is_not_sent() {
    // A port that was just free, and that nobody listens on any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [refused.as_str(), "https://upstream.invalid"] {
        let (client, recorder) = client(url, Duration::from_secs(5));
        let result = place(&client, &hosting(), PATIENCE).await;
        assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{url}: {result:?}");
        assert_eq!(recorder.told(), [("POST /api/v1/orders", "not_sent")]);
    }
}

#[tokio::test]
async fn what_breaks_after_the_first_byte_is_doubt() {
    // Both bodies would be good ones, were they not cut off and too long.
    let head = b"HTTP/1.1 201 Created\r\nContent-Length: 9000\r\n\r\n";
    let huge = CREATED.replacen('{', &format!("{{{}", " ".repeat(1024 * 1024)), 1);
    for (what, act, status) in [
        ("reset", Act::Reset, None),
        ("closed without an answer", Act::Answer(vec![]), None),
        ("garbage", Act::Answer(b"\x16\x03\x01 what?\r\n\r\n".to_vec()), None),
        ("half a head", Act::Answer(b"HTTP/1.1 201 Cre".to_vec()), None),
        ("half a body", Act::Answer([head, CREATED.as_bytes()].concat()), Some(201)),
        ("a huge body", Act::Answer(answer("201 Created", "", &huge)), Some(201)),
        (
            "a body without end",
            Act::Endless(
                b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
                [b"10000\r\n", " ".repeat(0x10000).as_bytes(), b"\r\n"].concat(),
            ),
            Some(201),
        ),
        (
            "a head without end",
            Act::Endless(b"HTTP/1.1 201 Created\r\n".to_vec(), b"a: b\r\n".repeat(1000)),
            None,
        ),
    ] {
        assert_doubt(&placed(act, PATIENCE).await, status, what);
    }
}

#[tokio::test]
async fn silence_is_doubt_once_the_deadline_has_passed() {
    let head = b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{".to_vec();
    for (act, status) in [(Act::Stall(vec![]), None), (Act::Stall(head), Some(201))] {
        assert_doubt(&placed(act, IMPATIENCE).await, status, "silence");
    }
}

#[tokio::test]
async fn the_clients_own_timeout_bounds_a_generous_deadline() {
    let server = Server::start([Act::Stall(vec![])]).await;
    let (client, _) = client(&server.url(), IMPATIENCE);
    let result = place(&client, &hosting(), Duration::from_hours(1)).await;
    assert_doubt(&result, None, "silence");
}

#[tokio::test]
async fn success_without_what_the_document_promises_is_doubt() {
    let foreign = CREATED.replace("SHOP-1001/1:", "SHOP-1001/11:");
    let second = CREATED.replace("SHOP-1001/1:", "SHOP-1001/1#2:");
    let cases = [
        ("204 No Content", String::new()),
        ("201 Created", String::new()),
        ("201 Created", "<html>".to_owned()),
        ("201 Created", "{}".to_owned()),
        ("201 Created", CREATED.replace("true, \"jti\"", "false, \"jti\"")),
        ("201 Created", CREATED.replace("\"success\": true, ", "")),
        ("201 Created", CREATED.replace("114", "0")),
        ("201 Created", CREATED.replace("114", "-1")),
        ("201 Created", CREATED.replace("114", "\"114\"")),
        ("201 Created", CREATED.replace("114", "114.5")),
        ("201 Created", CREATED.replace("114", "null")),
        ("201 Created", CREATED.replace("114", "99999999999999999999")),
        ("201 Created", CREATED.replace("\"order\"", "\"orders\"")),
        ("201 Created", foreign),
        ("201 Created", second),
        ("200 OK", ERROR.to_owned()),
    ];
    for (status, body) in cases {
        assert_ne!(body, CREATED, "the case changes nothing");
        let code = status.split(' ').next().unwrap().parse().unwrap();
        assert_doubt(&answered(status, "", &body).await, Some(code), &body);
    }
}

#[tokio::test]
async fn success_is_known_by_its_content_alone() {
    let plain = CREATED.replace("4.99", "\"about five\"");
    let summary = r#""summary": "SHOP-1001/1: Hosting 5 GB for example.nl","#;
    let without = CREATED.replace(summary, "");
    let rewritten = CREATED.replace(summary, r#""summary": "New hosting","#);
    for (status, headers, body, price) in [
        ("200 OK", "", CREATED, Some("4.99")),
        ("202 Accepted", "", CREATED, Some("4.99")),
        ("201 Created", "Content-Type: text/html\r\n", CREATED, Some("4.99")),
        ("201 Created", "", &plain, None),
        ("201 Created", "", &without, Some("4.99")),
        ("201 Created", "", &rewritten, Some("4.99")),
    ] {
        let order = answered(status, headers, body).await.unwrap();
        assert_eq!(order.id.0, 114);
        assert_eq!(order.price, price.map(|p| p.parse().unwrap()));
    }
}

#[tokio::test]
async fn refusals_are_final_only_from_the_application_itself() {
    for status in [400, 404, 409, 422] {
        match answered(&format!("{status} No"), "", ERROR).await {
            Err(UpstreamError::Rejected { status: seen, message, jti }) => {
                assert_eq!(seen, status);
                assert_eq!(message, "Order line 1: unsupported cart item type 'hosting_upgrade'");
                assert_eq!(jti.as_deref(), Some("0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90"));
            }
            other => panic!("{status}: {other:?}"),
        }
        for body in [
            "",
            "<html>no</html>",
            r#"{"message": "no"}"#,
            r#"{"success": false, "jti": "x"}"#,
            r#"{"success": true, "jti": "x", "message": "no"}"#,
        ] {
            let result = answered(&format!("{status} No"), "", body).await;
            assert_doubt(&result, Some(status), body);
        }
    }
}

#[tokio::test]
async fn other_statuses_are_doubt_in_any_form() {
    for status in [300, 301, 302, 307, 308, 402, 405, 408, 413, 418, 425, 451, 500, 502, 503, 504] {
        for body in [ERROR, "<html><h1>Bad Gateway</h1></html>"] {
            let result = answered(&format!("{status} X"), "Location: /elsewhere\r\n", body).await;
            assert_doubt(&result, Some(status), body);
        }
    }
    let result = answered("500 X", "", ERROR).await.unwrap_err();
    assert_eq!(result.jti(), Some("0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90"));
}

#[tokio::test]
async fn keys_that_do_not_suffice() {
    for (status, body, scope) in [
        ("401 Unauthorized", ERROR, Scope::Upstream),
        ("401 Unauthorized", "<html>", Scope::Upstream),
        ("403 Forbidden", ERROR, Scope::Endpoint),
        ("403 Forbidden", "<html>", Scope::Endpoint),
    ] {
        match answered(status, "", body).await {
            Err(UpstreamError::Unauthorized { scope: seen, .. }) => assert_eq!(seen, scope),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
    let refused = answered("403 Forbidden", "", FORBIDDEN).await;
    assert!(matches!(refused, Err(UpstreamError::Rejected { status: 403, .. })), "{refused:?}");
}

#[tokio::test]
async fn rate_limit_is_one_in_any_form() {
    let date =
        "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2026 12:00:30 GMT\r\n";
    for (headers, body, secs) in [
        ("", ERROR, 5),
        ("Retry-After: 7\r\n", "<html>", 7),
        ("Retry-After: 86400\r\n", "", 3600),
        (date, ERROR, 30),
    ] {
        let result = answered("429 Too Many Requests", headers, body).await;
        let after = Duration::from_secs(secs);
        assert_eq!(result, Err(UpstreamError::RateLimited { after }), "{headers}");
    }
    let cut = b"HTTP/1.1 429 X\r\nRetry-After: 9\r\nContent-Length: 900\r\n\r\n{".to_vec();
    let after = Duration::from_secs(9);
    assert_eq!(placed(Act::Answer(cut), PATIENCE).await, Err(UpstreamError::RateLimited { after }));
}

#[tokio::test]
async fn redirect_is_not_followed_and_the_key_stays() {
    let other = Server::start([]).await;
    let location = format!("Location: {}/api/v1/orders\r\n", other.url());
    let result = answered("307 Temporary Redirect", &location, "").await;
    assert_doubt(&result, Some(307), "redirect");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn secrets_that_the_upstream_quotes_are_masked() {
    let order = PlaceOrder {
        tag: tag(),
        description: "Transfer of example.nl".to_owned(),
        item: CartItem::Domain {
            action: DomainAction::Transfer,
            sld: "example".to_owned(),
            tld: "nl".to_owned(),
            auth_code: Some(Secret::new("s3cr3t \"c0de\"".to_owned())),
        },
    };
    let body =
        r#"{"success": false, "jti": "j", "message": "'s3cr3t \"c0de\"' is wrong, key-of-a-test"}"#;
    for status in ["422 X", "500 X", "401 X"] {
        let server = Server::start([Act::Answer(answer(status, "", body))]).await;
        let (client, _) = client(&server.url(), PATIENCE);
        let error = place(&client, &order, PATIENCE).await.unwrap_err();
        assert!(error.to_string().contains("'[secret]' is wrong, [secret]"), "{error}");
        assert!(server.requests()[0].contains(r#""auth_code":"s3cr3t \"c0de\"""#));
    }
    let shown = format!("{order:?} {:?}", order.prepare());
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn hash_covers_method_path_and_body() {
    let hash = hosting().prepare().hash();
    assert_eq!(hash, hosting().prepare().hash(), "the same order has the same hash");
    let mut other = hosting();
    other.tag = Tag::new(&Reference("SHOP-1001".to_owned()), 1, 2);
    assert_ne!(hash, other.prepare().hash());
}

#[test]
fn summary_is_bounded_and_keeps_the_tag() {
    let reference = Reference("R: /#".replace(' ', "") + &"x".repeat(123));
    let mut order = hosting();
    order.tag = Tag::new(&reference, 49, 12);
    order.description = "long\n".repeat(200);
    let body: serde_json::Value = serde_json::from_slice(order.prepare().body()).unwrap();
    let summary = body["summary"].as_str().unwrap();
    assert_eq!(summary.chars().count(), 255);
    assert_eq!(tag_of(summary), Some(order.tag.as_str()));
    assert_eq!(body["order_lines"][0]["description"], summary);
    assert_eq!(body["meta"]["external_reference"], order.tag.as_str());
}

#[test]
fn tag_is_read_exactly() {
    for (echo, tag) in [
        ("SHOP-1001/1: Hosting", Some("SHOP-1001/1")),
        ("SHOP-1001/1#2: a: b", Some("SHOP-1001/1#2")),
        ("New hosting for example.nl", None),
        ("Note: by hand", None),
        ("", None),
    ] {
        assert_eq!(tag_of(echo), tag, "{echo}");
    }
}

#[test]
fn echo_of_a_cart_item_is_recognised() {
    let item = hosting().item;
    let echo = |json: &str| item.is_echoed_by(&serde_json::from_str(json).unwrap());
    let sent = r#"{"type": "hosting", "product_uuid": "AFE29FE6-0000-4000-8000-000000000001",
                   "domain": "Example.nl", "billing_period": "monthly", "price": 4.99}"#;
    assert!(echo(sent));
    assert!(!echo(&sent.replace("Example.nl", "example.com")));
    assert!(!echo(&sent.replace("billing_period", "period")));
    assert!(!echo("null"));
    let own = CartItem::HostingOwn { space_id: 7, domain: "example.nl".to_owned() };
    let same = serde_json::json!({"type": "hosting_own", "space_id": 7, "domain": "example.nl"});
    assert!(own.is_echoed_by(&same));
    assert!(!item.is_echoed_by(&same));
}

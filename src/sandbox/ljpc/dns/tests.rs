//! Zones as a client sees them.

use serde_json::{Value, json};

use crate::sandbox::tests::{Running, Seen, order_document, sandbox};

fn path(domain: &str) -> String {
    format!("/api/hosting/v1/dns/zones/{domain}/records")
}

fn a(name: &str, content: &str) -> Value {
    json!({"type": "A", "name": name, "content": content, "ttl": 3600, "prio": null})
}

fn cname(name: &str) -> Value {
    json!({"type": "CNAME", "name": name, "content": "www.example.com", "ttl": 60, "prio": null})
}

async fn put(sandbox: &Running, domain: &str, records: &Value) -> Seen {
    sandbox.call("PUT", &path(domain), &json!({ "records": records })).await
}

fn refusal(seen: &Seen) -> (u16, String) {
    (seen.status(), seen.json()["message"].as_str().unwrap().to_owned())
}

async fn with_domain() -> Running {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    assert_eq!(sandbox.register("mine.nl", &handle).await.status(), 201);
    sandbox
}

#[tokio::test]
async fn a_zone_is_made_by_its_first_write_replaced_and_cleared() {
    let sandbox = with_domain().await;
    let no_zone = (404, "No DNS zone exists for this domain".to_owned());
    assert_eq!(refusal(&sandbox.get(&path("mine.nl")).await), no_zone);
    for records in [
        json!([a("@", "192.0.2.1"), a("www", "192.0.2.1"), a("@", "192.0.2.2")]),
        json!([cname("www")]),
        json!([]),
    ] {
        let written = put(&sandbox, "MINE.nl", &records).await;
        assert_eq!(written.status(), 200, "{}", written.body());
        let shown = sandbox.get(&path("mine.nl")).await.json()["data"].clone();
        assert_eq!(shown["records"], records);
        assert_eq!(shown["zone"], json!({"domain": "mine.nl", "source": "manual"}));
        assert_eq!(
            sandbox.state().zone("mine.nl").unwrap().len(),
            records.as_array().unwrap().len()
        );
    }
    assert!(sandbox.state().zone("free.nl").is_none());
}

#[tokio::test]
async fn it_is_synced_once_the_domain_points_at_ljpc() {
    let sandbox = with_domain().await;
    let synced =
        async || put(&sandbox, "mine.nl", &json!([])).await.json()["data"]["synced"].clone();
    let point = async |hosts: Value| {
        let wish = json!({ "nameservers": hosts });
        let path = "/api/hosting/v1/domain-names/mine.nl";
        assert_eq!(sandbox.call("PATCH", path, &wish).await.status(), 200);
    };
    assert_eq!(synced().await, true);
    point(json!(["ns1.example.com", "ns2.ljpc.network"])).await;
    assert_eq!(synced().await, false);
    point(json!(["ns1.ljpc.network", "ns2.ljpc.network"])).await;
    assert_eq!(synced().await, true);
}

#[tokio::test]
async fn a_wrong_record_is_named_and_nothing_is_changed() {
    let sandbox = with_domain().await;
    let before = json!([a("@", "192.0.2.1")]);
    put(&sandbox, "mine.nl", &before).await;
    let many = vec![a("@", "192.0.2.1"); 1_001];
    for (records, message) in [
        (json!([a("@", "x")]), "records.0: content must be a valid IPv4 address"),
        (
            json!([a("@", "192.0.2.1"), {"type": "NS", "name": "@", "content": "a.nl", "ttl": 60}]),
            "records.1: type must be one of A, AAAA, CNAME, MX, TXT, SRV, CAA",
        ),
        (json!([cname("@")]), "records.0: a CNAME is not allowed at the apex"),
        (
            json!([a("www", "192.0.2.1"), cname("WWW")]),
            "records.1: a CNAME can't stand beside other records of its name",
        ),
        (
            json!([cname("www"), a("www", "192.0.2.1")]),
            "records.1: a CNAME can't stand beside other records of its name",
        ),
        (json!([a("@", "192.0.2.1"), a("@", "192.0.2.1")]), "records.1: is there twice"),
        (json!(many), "The records field must not have more than 1000 items."),
        (json!({}), "The records field must be an array."),
        (json!(null), "The records field is required."),
    ] {
        let seen = put(&sandbox, "mine.nl", &records).await;
        assert_eq!(refusal(&seen), (422, message.to_owned()));
    }
    assert_eq!(sandbox.get(&path("mine.nl")).await.json()["data"]["records"], before);
}

#[tokio::test]
async fn the_panels_zones_are_read_only_and_foreign_ones_unknown() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    sandbox.register("example.nl", &handle).await;
    assert_eq!(put(&sandbox, "example.nl", &json!([])).await.status(), 200);
    assert_eq!(sandbox.order("SHOP-1/0").await.status(), 201);
    let managed =
        "This zone is managed by our hosting control panel and cannot be edited through the API.";
    let refused = put(&sandbox, "Example.nl", &json!([])).await;
    assert_eq!(refusal(&refused), (409, managed.to_owned()));
    let shown = sandbox.get(&path("example.nl")).await.json()["data"].clone();
    assert_eq!(
        (&shown["zone"]["source"], &shown["records"][0]["type"]),
        (&json!("panel"), &json!("A"))
    );
    let gone = json!({"id": 2019, "gone": true});
    sandbox.state().put_site(&gone).unwrap();
    assert_eq!(put(&sandbox, "example.nl", &json!([])).await.status(), 200, "no panel any more");
    for seen in [
        put(&sandbox, "free.nl", &json!([])).await,
        sandbox.get(&path("free.nl")).await,
        sandbox.get(&path("-")).await,
    ] {
        assert_eq!(refusal(&seen), (404, "Domain not found".to_owned()));
    }
}

#[tokio::test]
async fn what_has_no_panel_leaves_the_zone_to_the_api() {
    let sandbox = with_domain().await;
    let mut document = order_document("SHOP-1/0");
    document["order_lines"][0]["cart_item"] = json!({ "type": "hosting", "domain": "mine.nl",
        "product_uuid": "31f7c2a8-6e0d-4b59-a7c3-8d1f5e2b4c06", "target_url": "https://example.com" });
    assert_eq!(sandbox.post("/api/v1/orders", &document).await.status(), 201);
    assert_eq!(put(&sandbox, "mine.nl", &json!([])).await.status(), 200);
}

#[tokio::test]
async fn a_fault_finds_its_zone() {
    let sandbox = with_domain().await;
    let endpoint = "PUT /api/hosting/v1/dns/zones/{domain}/records";
    sandbox.fault(&json!({"endpoint": endpoint, "fault": "process_then_drop",
        "match": {"domain": "mine.nl"}}));
    let records = json!([a("@", "192.0.2.1")]);
    assert_eq!(put(&sandbox, "free.nl", &records).await.status(), 404);
    assert_eq!(put(&sandbox, "mine.nl", &records).await.bytes, b"");
    assert_eq!(sandbox.state().zone("MINE.nl").unwrap()[0].content, "192.0.2.1");
}

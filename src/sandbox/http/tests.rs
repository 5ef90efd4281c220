//! Each fault, each limit and each control, as a client sees it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::sandbox::{
    FaultKind, Stage,
    tests::{Folder, Seen, options, order_document, sandbox, sandbox_with, send},
};

fn at_orders(fault: &str) -> Value {
    json!({ "endpoint": "POST /api/v1/orders", "fault": fault })
}

/// The fault struck the one order placed; how many orders there are then.
async fn order_under(fault: &Value) -> (Seen, usize) {
    let sandbox = sandbox().await;
    sandbox.fault(fault);
    let seen = sandbox.order("SHOP-1/0").await;
    let journal = sandbox.state().journal(0);
    let struck: FaultKind = serde_json::from_value(fault["fault"].clone()).unwrap();
    assert_eq!((journal.len(), journal[0].fault), (1, Some(struck)));
    assert_eq!(sandbox.state().clear_faults(), 0, "it was used up");
    let orders = sandbox.state().orders().len();
    assert_eq!(sandbox.order("SHOP-2/0").await.status(), 201, "the next is as usual");
    (seen, orders)
}

#[tokio::test]
async fn without_the_right_key_there_is_only_the_catalogue() {
    let sandbox = sandbox().await;
    for key in [None, Some("wrong"), Some("")] {
        let refused = send(sandbox.ljpc_addr(), "GET", "/api/v1/orders/110", key, b"").await;
        assert_eq!((refused.status(), &refused.json()["success"]), (401, &json!(false)));
        let products = send(sandbox.ljpc_addr(), "GET", "/api/v1/products", key, b"").await;
        assert_eq!(products.status(), 200);
    }
    assert_eq!(sandbox.get("/api/v1/products").await.status(), 200);
}

#[tokio::test]
async fn unknown_paths_and_other_methods_are_answered_in_the_envelope() {
    let sandbox = sandbox().await;
    let unknown = sandbox.get("/api/v1/invoices").await;
    assert_eq!((unknown.status(), &unknown.json()["success"]), (404, &json!(false)));
    let other = sandbox.get("/api/v1/orders").await;
    assert_eq!((other.status(), other.header("allow").as_deref()), (405, Some("POST")));
    assert_eq!(other.json()["success"], false);
}

#[tokio::test]
async fn foreign_and_unknown_ids_are_told_apart() {
    let sandbox = sandbox().await;
    assert_eq!(sandbox.order("SHOP-1/0").await.status(), 201);
    for (path, status) in [
        ("/api/v1/orders/110", 200),
        ("/api/v1/orders/109", 403),
        ("/api/v1/orders/111111", 404),
        ("/api/v1/orders/0", 404),
        ("/api/v1/orders/x", 404),
        ("/api/v1/orders/99999999999999999999", 404),
        ("/api/hosting/v1/sites/2019", 200),
        ("/api/hosting/v1/sites/2018", 404),
        ("/api/hosting/v1/sites/2018/login", 403),
        ("/api/hosting/v1/sites/2020/login", 404),
    ] {
        assert_eq!(sandbox.get(path).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_forwarding_has_no_panel_to_log_in_to() {
    let sandbox = sandbox().await;
    let mut document = order_document("SHOP-1/0");
    document["order_lines"][0]["cart_item"] = json!({ "type": "hosting", "domain": "example.nl",
        "product_uuid": "31f7c2a8-6e0d-4b59-a7c3-8d1f5e2b4c06", "target_url": "https://example.com" });
    assert_eq!(sandbox.post("/api/v1/orders", &document).await.status(), 201);
    let login = sandbox.get("/api/hosting/v1/sites/2019/login").await;
    assert_eq!((login.status(), login.body().as_str()), (204, ""));
}

#[tokio::test]
async fn sites_come_in_pages() {
    let sandbox = sandbox().await;
    for n in 0..5 {
        sandbox.order(&format!("SHOP-{n}/0")).await;
    }
    let page = sandbox.get("/api/hosting/v1/sites?page=2&per_page=2").await.json();
    let ids: Vec<&Value> =
        page["data"]["sites"].as_array().unwrap().iter().map(|site| &site["id"]).collect();
    assert_eq!(ids, [2021, 2022]);
    assert_eq!(
        [&page["data"]["total"], &page["data"]["page"], &page["data"]["per_page"]],
        [5, 2, 2]
    );
    assert_eq!(
        sandbox.get("/api/hosting/v1/sites?page=9").await.json()["data"]["sites"],
        json!([])
    );
    assert_eq!(sandbox.get("/api/hosting/v1/sites?per_page=101").await.status(), 422);
}

#[tokio::test]
async fn an_order_moves_with_the_time() {
    let sandbox = sandbox_with(|o| o.delay = Duration::from_millis(40)).await;
    let placed = sandbox.order("SHOP-1/0").await.json();
    assert_eq!(placed["data"]["order"]["status"], "pending");
    let path = format!("/api/v1/orders/{}", placed["data"]["order"]["id"]);
    let completed = async {
        loop {
            let shown = sandbox.get(&path).await.json()["data"].take();
            if shown["simple_status"] == "completed" {
                return shown;
            }
            assert!(shown["provisioning"]["lines"][0]["site_id"].is_null());
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(20), completed).await.unwrap();
    let line = &shown["provisioning"]["lines"][0];
    assert_eq!((&line["state"], &line["site_id"]), (&json!("done"), &json!(2019)));
    assert_eq!(shown["order"]["status"], "completed");
}

#[tokio::test]
async fn the_failure_rate_fails_orders() {
    let sandbox = sandbox_with(|o| o.failure_rate = "1".parse().unwrap()).await;
    sandbox.order("SHOP-1/0").await;
    let shown = sandbox.get("/api/v1/orders/110").await.json();
    assert_eq!(shown["data"]["simple_status"], "failed");
    assert_eq!(shown["data"]["provisioning"]["lines"][0]["state"], "failed");
    assert_eq!(sandbox.get("/api/hosting/v1/sites").await.json()["data"]["total"], 0);
}

#[tokio::test]
async fn drop_closes_before_anything_is_done() {
    let (seen, orders) = order_under(&at_orders("drop")).await;
    assert_eq!((seen.bytes.len(), orders), (0, 0));
}

#[tokio::test]
async fn process_then_drop_makes_the_order_and_says_nothing() {
    let (seen, orders) = order_under(&at_orders("process_then_drop")).await;
    assert_eq!((seen.bytes.len(), orders), (0, 1));
}

#[tokio::test]
async fn every_documented_error_can_be_forced() {
    for status in [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504] {
        let mut fault = at_orders("status");
        fault["status"] = json!(status);
        fault["message"] = json!("as you wish");
        let (seen, orders) = order_under(&fault).await;
        assert_eq!((seen.status(), orders), (status, 0));
        assert_eq!(seen.json()["message"], "as you wish");
        assert!(seen.json()["jti"].is_string());
    }
}

#[tokio::test]
async fn a_made_up_answer_can_lack_the_envelope_or_follow_the_deed() {
    let mut fault = at_orders("status");
    fault["enveloped"] = json!(false);
    let (seen, _) = order_under(&fault).await;
    assert_eq!((seen.status(), seen.json()), (500, json!({"message": "Internal Server Error"})));
    fault["process"] = json!(true);
    assert_eq!(order_under(&fault).await.1, 1);
}

#[tokio::test]
async fn rate_limit_sends_its_header_verbatim() {
    for header in ["5", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        let mut fault = at_orders("rate_limit");
        fault["retry_after"] = json!(header);
        let (seen, orders) = order_under(&fault).await;
        assert_eq!((seen.status(), orders), (429, 0));
        assert_eq!(seen.header("retry-after").as_deref(), Some(header));
    }
}

#[tokio::test]
async fn unauthorized_and_foreign_are_as_documented() {
    let (seen, orders) = order_under(&at_orders("unauthorized")).await;
    assert_eq!((seen.status(), orders), (401, 0));
    let (seen, orders) = order_under(&at_orders("foreign_403")).await;
    assert_eq!((seen.status(), orders), (403, 0));
    assert_eq!(seen.json()["message"], "You can only create orders for yourself");
}

#[tokio::test]
async fn garbage_is_no_json_but_the_order_is_made() {
    let (seen, orders) = order_under(&at_orders("garbage")).await;
    assert_eq!((seen.status(), orders), (201, 1));
    assert!(serde_json::from_str::<Value>(&seen.body()).is_err());
}

#[tokio::test]
async fn html_comes_from_a_proxy() {
    let (seen, orders) = order_under(&at_orders("html")).await;
    assert_eq!((seen.status(), orders), (502, 0));
    assert!(seen.header("content-type").unwrap().starts_with("text/html"));
    assert!(seen.body().contains("502 Bad Gateway"));
}

#[tokio::test]
async fn a_redirect_shows_whoever_follows() {
    let (seen, orders) = order_under(&at_orders("redirect")).await;
    assert_eq!((seen.status(), orders), (302, 0));
    let sandbox = sandbox().await;
    let followed = sandbox.get(&seen.header("location").unwrap()).await;
    assert_eq!(followed.status(), 404);
    assert_eq!(sandbox.state().journal(0)[0].path, "/redirected-by-the-sandbox");
}

#[tokio::test]
async fn truncate_breaks_off_in_the_body() {
    let (seen, orders) = order_under(&at_orders("truncate")).await;
    assert_eq!((seen.status(), orders), (201, 1));
    let promised: usize = seen.header("content-length").unwrap().parse().unwrap();
    assert_eq!(seen.body().len(), promised / 2);
}

#[tokio::test]
async fn big_body_is_json_above_every_limit() {
    let (seen, orders) = order_under(&at_orders("big_body")).await;
    assert_eq!((seen.status(), orders), (201, 1));
    assert!(seen.body().len() > 2 * 1024 * 1024);
    assert_eq!(seen.json()["success"], true);
}

#[tokio::test]
async fn slow_does_the_deed_at_once_and_answers_later() {
    let sandbox = sandbox().await;
    let mut fault = at_orders("slow");
    fault["delay_ms"] = json!(600_000);
    sandbox.fault(&fault);
    let mut stream = TcpStream::connect(sandbox.ljpc_addr()).await.unwrap();
    stream.write_all(&raw_order("SHOP-1/0")).await.unwrap();
    let made = async {
        while sandbox.state().orders().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), made).await.unwrap();
    // Nobody waits ten minutes for the sandbox to stop.
    sandbox.sandbox.world.stopping.cancel();
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    assert_eq!(bytes, b"");
}

#[tokio::test]
async fn a_short_delay_is_only_a_delay() {
    let mut fault = at_orders("slow");
    fault["delay_ms"] = json!(50);
    let before = std::time::Instant::now();
    let (seen, orders) = order_under(&fault).await;
    assert_eq!((seen.status(), orders), (201, 1));
    assert!(before.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn fates_decide_what_becomes_of_an_order() {
    let sandbox = sandbox().await;
    for (fault, status) in
        [("fail", "failed"), ("no_site_id", "completed"), ("late_site_id", "completed")]
    {
        let mut spec = at_orders(fault);
        spec["delay_ms"] = json!(600_000);
        sandbox.fault(&spec);
        let placed = sandbox.order("SHOP-1/0").await.json();
        let path = format!("/api/v1/orders/{}", placed["data"]["order"]["id"]);
        let shown = sandbox.get(&path).await.json();
        assert_eq!(shown["data"]["simple_status"], status, "{fault}");
        assert!(shown["data"]["provisioning"]["lines"][0]["site_id"].is_null(), "{fault}");
    }
}

#[tokio::test]
async fn a_match_spares_the_others() {
    let sandbox = sandbox().await;
    sandbox.fault(&json!({"endpoint": "*", "fault": "status", "status": 503, "times": 3,
        "match": {"reference": "SHOP-2"}}));
    assert_eq!(sandbox.order("SHOP-1/0").await.status(), 201);
    assert_eq!(sandbox.order("SHOP-2/0").await.status(), 503);
    assert_eq!(sandbox.get("/api/v1/orders/110").await.status(), 200);
    assert_eq!(sandbox.state().clear_faults(), 1);
    let id = sandbox.order("SHOP-2/0").await.json()["data"]["order"]["id"].clone();
    sandbox.fault(&json!({"endpoint": "*", "fault": "drop", "times": 9,
        "match": {"reference": "SHOP-2/0", "domain": "example"}}));
    assert_eq!(sandbox.get("/api/v1/orders/110").await.status(), 200);
    assert_eq!(sandbox.get(&format!("/api/v1/orders/{id}")).await.bytes, b"");
    assert_eq!(sandbox.get("/api/hosting/v1/sites/2019").await.status(), 200);
    assert_eq!(sandbox.get("/api/hosting/v1/sites/2020").await.bytes, b"");
}

#[tokio::test]
async fn faults_are_set_listed_and_cleared_over_http() {
    let sandbox = sandbox().await;
    let path = "/_sandbox/faults";
    let set = sandbox.post(path, &json!({"endpoint": "*", "fault": "drop", "times": 5})).await;
    assert_eq!((set.status(), &set.json()["id"], &set.json()["left"]), (201, &json!(1), &json!(5)));
    let slip = sandbox.post(path, &json!({"endpoint": "*", "fault": "dorp"})).await;
    assert_eq!(slip.status(), 422);
    assert!(slip.json()["message"].as_str().unwrap().contains("`process_then_drop`"));
    let listed = sandbox.get(path).await.json();
    assert_eq!(listed["faults"][0]["fault"], "drop");
    let cleared = send(sandbox.ljpc_addr(), "DELETE", path, None, b"").await.json();
    assert_eq!(cleared, json!({ "cleared": 1 }));
    assert_eq!(sandbox.get(path).await.json(), json!({ "faults": [] }));
}

#[tokio::test]
async fn the_journal_tells_what_went_over_the_wire() {
    let sandbox = sandbox().await;
    sandbox.order("SHOP-1/0").await;
    sandbox.fault(&json!({"endpoint": "*", "fault": "drop"}));
    sandbox.get("/api/hosting/v1/sites?page=1").await;
    let journal = sandbox.get("/_sandbox/journal").await;
    assert!(!journal.body().contains("sandbox-key"));
    let journal = journal.json();
    assert_eq!(journal["dropped"], 0);
    let [order, dropped] = journal["entries"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(order["body"], order_document("SHOP-1/0"));
    assert_eq!(order["answer"]["status"], 201);
    assert_eq!(order["answer"]["body"]["data"]["order"]["id"], 110);
    assert_eq!(order["headers"]["x-api-key"], "(the right key)");
    assert_eq!((&dropped["query"], &dropped["fault"]), (&json!("page=1"), &json!("drop")));
    assert_eq!(dropped["answer"], Value::Null);
    let rest = sandbox.get("/_sandbox/journal?after=1").await.json();
    assert_eq!(rest["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_summary_shows_what_was_bought_twice() {
    let sandbox = sandbox().await;
    for tag in ["SHOP-1/0", "SHOP-2/0", "SHOP-2/0"] {
        sandbox.order(tag).await;
    }
    let mut untagged = order_document("untagged");
    untagged["meta"] = json!({});
    sandbox.post("/api/v1/orders", &untagged).await;
    assert_eq!(
        sandbox.get("/_sandbox/summary").await.json(),
        json!({ "orders": 4, "untagged": 1, "most_per_tag": 2,
            "tags": { "SHOP-1/0": 1, "SHOP-2/0": 2 },
            "registrations": 0, "transfers": 0, "contacts": 0, "bought_twice": {} })
    );
    let listed = sandbox.get("/_sandbox/orders?limit=1").await.json();
    assert_eq!((&listed["total"], listed["orders"].as_array().unwrap().len()), (&json!(4), 1));
    let order = &listed["orders"][0];
    assert_eq!(
        (&order["id"], &order["tag"], &order["state"]),
        (&json!(110), &json!("SHOP-1/0"), &json!("completed"))
    );
    assert_eq!(order["deliveries"][0]["site_id"], 2019);
}

#[tokio::test]
async fn an_order_is_driven_by_hand() {
    let sandbox = sandbox_with(|o| o.delay = Duration::from_hours(1)).await;
    sandbox.order("SHOP-1/0").await;
    let path = "/_sandbox/orders/110";
    for (wish, state, site) in [
        (json!({"state": "processing"}), "processing", Value::Null),
        (json!({"state": "failed"}), "failed", Value::Null),
        (json!({"state": "completed", "site_id": null}), "completed", Value::Null),
        (json!({"state": "completed", "site_id": 3000}), "completed", json!(3000)),
    ] {
        assert_eq!(sandbox.post(path, &wish).await.status(), 200, "{wish}");
        let shown = sandbox.get("/api/v1/orders/110").await.json();
        assert_eq!(shown["data"]["simple_status"], state);
        assert_eq!(shown["data"]["provisioning"]["lines"][0]["site_id"], site);
    }
    assert_eq!(sandbox.get("/api/hosting/v1/sites/3000").await.status(), 200);
    for (path, wish, status) in [
        (path, json!({"state": "done"}), 422),
        (path, json!({"state": "failed", "site_id": 1}), 422),
        (path, json!({"state": "completed", "site_id": -1}), 422),
        (path, json!({"state": "completed", "site": 1}), 422),
        ("/_sandbox/orders/9", json!({"state": "failed"}), 404),
    ] {
        assert_eq!(sandbox.post(path, &wish).await.status(), status, "{wish}");
    }
    assert_eq!(sandbox.state().orders()[0].state, Stage::Completed);
}

#[tokio::test]
async fn a_domain_is_put_where_a_test_wants_it() {
    let sandbox = sandbox_with(|o| o.delay = Duration::from_hours(1)).await;
    let (put, names) = ("/_sandbox/domains", "/api/hosting/v1/domain-names");
    let made = sandbox
        .post(
            put,
            &json!({"domain": "Old.nl", "status": "clienttransferprohibited,active",
            "expires_at": "2026-12-01T00:00:00+01:00", "auto_renew": false, "transfer_lock": false,
            "nameservers": ["ns1.example.nl"], "contact_handle": "elsewhere"}),
        )
        .await;
    assert_eq!((made.status(), &made.json()["domain"]), (200, &json!("old.nl")));
    let shown = sandbox.get(&format!("{names}/old.nl")).await.json()["data"].clone();
    assert_eq!(
        shown,
        json!({"domain": "old.nl", "status": "clienttransferprohibited,active",
            "expires_at": "2026-12-01T00:00:00+01:00", "auto_renew": false, "transfer_lock": false,
            "nameservers": ["ns1.example.nl"], "contact_handle": "elsewhere"})
    );
    sandbox.post(put, &json!({"domain": "old.nl", "expires_at": null})).await;
    let shown = sandbox.get(&format!("{names}/old.nl")).await.json()["data"].clone();
    assert_eq!((&shown["expires_at"], &shown["auto_renew"]), (&Value::Null, &json!(false)));

    sandbox.post(put, &json!({"domain": "old.nl", "foreign": true})).await;
    assert_eq!(sandbox.get(&format!("{names}/old.nl")).await.status(), 404);
    assert_eq!(sandbox.get(names).await.json()["data"]["total"], 0);
    let handle = sandbox.contact().await;
    assert_eq!(sandbox.register("old.nl", &handle).await.status(), 422);
    let checked = sandbox.get(&format!("{names}/check?domain=old.nl")).await.json();
    assert_eq!(checked["data"]["old.nl"], "taken");

    let listed = sandbox.get("/_sandbox/domains?limit=1").await.json();
    assert_eq!((&listed["total"], &listed["domains"][0]["foreign"]), (&json!(1), &json!(true)));
    assert_eq!(sandbox.get("/_sandbox/domains?after=1").await.json()["domains"], json!([]));
    assert_eq!(sandbox.get("/_sandbox/contacts").await.json()["total"], 1);
    assert_eq!(sandbox.state().summary().registrations, 0, "nothing was bought");
}

#[tokio::test]
async fn a_transfer_ends_as_a_test_has_it() {
    let sandbox = sandbox_with(|o| o.delay = Duration::from_hours(1)).await;
    let handle = sandbox.contact().await;
    let names = "/api/hosting/v1/domain-names";
    for (domain, status, dated) in [("a.nl", "active", true), ("b.nl", "transfer_failed", false)] {
        let wish = json!({"auth_code": "x", "contact_handle": handle});
        sandbox.post(&format!("{names}/{domain}/transfer"), &wish).await;
        let driven = json!({"domain": domain, "status": status});
        assert_eq!(sandbox.post("/_sandbox/domains", &driven).await.json()["status"], status);
        let shown = sandbox.get(&format!("{names}/{domain}")).await.json()["data"].clone();
        assert_eq!((&shown["status"], !shown["expires_at"].is_null()), (&json!(status), dated));
    }
}

#[tokio::test]
async fn a_site_is_put_where_a_test_wants_it() {
    let sandbox = sandbox().await;
    sandbox.order("SHOP-1/0").await;
    let (put, sites) = ("/_sandbox/sites", "/api/hosting/v1/sites");
    assert_eq!(sandbox.state().sites()[0].order, Some(crate::order::UpstreamOrderId(110)));
    let full = json!({"id": 2019, "status": "suspended", "disk_used_bytes": 5_368_709_120_u64,
        "email_used_bytes": null});
    assert_eq!(sandbox.post(put, &full).await.status(), 200);
    let shown = sandbox.get(&format!("{sites}/2019")).await.json()["data"].clone();
    assert_eq!(
        shown,
        json!({"id": 2019, "domain": "example.nl", "status": "suspended", "disk_space_gb": 5,
            "disk_used_bytes": 5_368_709_120_u64, "email_used_bytes": null,
            "disk_quota_bytes": 5_368_709_120_u64})
    );
    sandbox.post(put, &json!({"id": 2019, "unlimited": true})).await;
    let shown = sandbox.get(&format!("{sites}/2019")).await.json()["data"].clone();
    assert_eq!((&shown["disk_quota_bytes"], &shown["status"]), (&Value::Null, &json!("suspended")));

    let other = sandbox.post(put, &json!({"domain": "other.nl"})).await.json();
    assert_eq!((&other["id"], &other["order"]), (&json!(2020), &Value::Null));
    assert_eq!(sandbox.get(sites).await.json()["data"]["total"], 2);
    sandbox.order("SHOP-2/0").await;
    let ids: Vec<i64> = sandbox.state().sites().iter().map(|site| site.id.0).collect();
    assert_eq!(ids, [2019, 2020, 2021], "a delivery steps over it");
    assert_eq!(sandbox.post(put, &json!({"id": 2019, "gone": true})).await.status(), 200);
    assert_eq!(sandbox.get(&format!("{sites}/2019")).await.status(), 404);
    let listed = sandbox.get("/_sandbox/sites?after=2020&limit=5").await.json();
    assert_eq!(listed["sites"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_slip_in_a_site_is_told() {
    let sandbox = sandbox().await;
    for (wish, told) in [
        (json!({"id": 0}), "id: a positive number"),
        (json!({"id": 9, "gone": true}), "id: there is no such site"),
        (json!({"id": 9}), "domain: is required"),
        (json!({"domain": "-"}), "domain: a domain name"),
        (json!({"domain": "a.nl", "status": ""}), "status: 1 to 255"),
        (json!({"site": 1}), "expected one of `id`"),
    ] {
        let seen = sandbox.post("/_sandbox/sites", &wish).await;
        let message = seen.json()["message"].as_str().unwrap().to_owned();
        assert!(seen.status() == 422 && message.contains(told), "{wish}: {message}");
    }
    assert_eq!(sandbox.state().sites().len(), 0);
}

#[tokio::test]
async fn a_slip_in_a_domain_is_told() {
    let sandbox = sandbox().await;
    let many = vec!["ns1.example.nl"; 14];
    for (wish, told) in [
        (json!({"domain": "a.nl", "state": "active"}), "expected one of `domain`, `status`"),
        (json!({"status": "active"}), "missing field `domain`"),
        (json!({"domain": "-"}), "domain: "),
        (json!({"domain": "a.nl", "status": ""}), "status and contact_handle:"),
        (json!({"domain": "a.nl", "status": "x".repeat(256)}), "status and contact_handle:"),
        (json!({"domain": "a.nl", "expires_at": "2026-12-01"}), "premature end of input"),
        (json!({"domain": "a.nl", "nameservers": ["-"]}), "nameservers: each"),
        (json!({"domain": "a.nl", "nameservers": many}), "nameservers: at most"),
    ] {
        let seen = sandbox.post("/_sandbox/domains", &wish).await;
        let message = seen.json()["message"].as_str().unwrap().to_owned();
        assert!(seen.status() == 422 && message.contains(told), "{wish}: {message}");
    }
    assert_eq!(sandbox.state().domains().len(), 0);
}

#[tokio::test]
async fn a_body_may_have_a_mebibyte_and_not_a_byte_more() {
    let sandbox = sandbox().await;
    for (size, status) in [(BODY_MAX, 422), (BODY_MAX + 1, 413)] {
        let body = vec![b' '; size];
        for path in ["/api/v1/orders", "/_sandbox/faults"] {
            let seen = send(sandbox.ljpc_addr(), "POST", path, Some("sandbox-key"), &body).await;
            assert_eq!(seen.status(), status, "{size} {path}");
        }
    }
}

fn raw_order(tag: &str) -> Vec<u8> {
    let body = order_document(tag).to_string();
    format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nX-API-Key: sandbox-key\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn door(connections: usize, idle: Duration) -> (SocketAddr, Arc<World>) {
    let folder = Folder::new();
    let world = Arc::new(World::new(&options(&folder)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_from(
        Doorman::new(listener, connections, idle),
        Arc::clone(&world),
        Provider::Ljpc,
    ));
    (address, world)
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let (address, world) = door(1, Duration::from_mins(1)).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&raw_order("SHOP-1/0")).await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(&raw_order("SHOP-2/0")).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "answered beyond the limit");
    drop(first);
    assert_eq!(second.read_u8().await.unwrap(), b'H');
    world.stopping.cancel();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (address, world) = door(1, Duration::from_millis(20)).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(20), idle.read(&mut [0])).await;
    assert!(matches!(closed.unwrap(), Ok(0) | Err(_)));
    world.stopping.cancel();
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let sandbox = sandbox().await;
    let mut stream = TcpStream::connect(sandbox.ljpc_addr()).await.unwrap();
    for n in 0..20 {
        stream.write_all(&raw_order(&format!("SHOP-{n}/0"))).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"}}}") {
            stream.read_buf(&mut seen).await.unwrap();
        }
    }
    assert_eq!(sandbox.state().summary().most_per_tag, 1);
    assert_eq!(sandbox.state().orders().len(), 20);
}

//! What the sandbox answers has the shape of the document's samples, key by key.

mod domains;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    order::SiteId,
    sandbox::{
        Drive, DrivenSite, Sandbox, SandboxOptions, Stage, start,
        tests::{Folder, Seen, options},
    },
};

fn fixture(name: &str) -> Value {
    fixture_of("ljpc", name)
}

pub(in crate::sandbox) fn fixture_of(provider: &str, name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{provider}/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Panics where the two differ in a key or a type. Arrays must be equally long.
pub(in crate::sandbox) fn assert_same_shape(sample: &Value, answer: &Value, at: &str) {
    match (sample, answer) {
        (Value::Object(sample), Value::Object(answer)) => {
            let keys = |map: &serde_json::Map<String, Value>| -> Vec<String> {
                map.keys().cloned().collect()
            };
            assert_eq!(keys(sample), keys(answer), "keys at {at}");
            for (key, value) in sample {
                assert_same_shape(value, &answer[key], &format!("{at}.{key}"));
            }
        }
        (Value::Array(sample), Value::Array(answer)) => {
            assert_eq!(sample.len(), answer.len(), "length at {at}");
            for (n, pair) in sample.iter().zip(answer).enumerate() {
                assert_same_shape(pair.0, pair.1, &format!("{at}[{n}]"));
            }
        }
        (Value::Null, Value::Null)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        _ => panic!("at {at} the sample has {sample}, the answer {answer}"),
    }
}

fn assert_sample(name: &str, status: u16, seen: &Seen) {
    assert_eq!(seen.status(), status, "{name}: {}", seen.body());
    assert_same_shape(&fixture(name), &seen.json(), name);
}

async fn sandbox(folder: &Folder) -> Sandbox {
    start(SandboxOptions { delay: Duration::from_hours(1), ..options(folder) }).await.unwrap()
}

#[test]
fn shapes_that_differ_are_seen() {
    let sample = json!({"a": [1, {"b": null}]});
    assert_same_shape(&sample, &json!({"a": [2.5, {"b": null}]}), "");
    for other in [
        json!({"a": [1, {"b": 1}]}),
        json!({"a": [1, {"c": null}]}),
        json!({"a": [1, {"b": null}], "d": 1}),
        json!({"a": ["1", {"b": null}]}),
        json!({"a": [1]}),
        json!([]),
    ] {
        let compared = std::panic::catch_unwind(|| assert_same_shape(&sample, &other, ""));
        assert!(compared.is_err(), "{other}");
    }
}

#[tokio::test]
async fn products_are_as_documented() {
    let folder = Folder::new();
    let sandbox = sandbox(&folder).await;
    let seen =
        crate::sandbox::tests::send(sandbox.ljpc_addr(), "GET", "/api/v1/products", None, b"")
            .await;
    let answer = seen.json();
    let sample = fixture("get_products_200");
    let rows: Vec<&Value> = ["hosting_5gb", "media"]
        .iter()
        .map(|wanted| {
            let rows = answer["products"].as_array().unwrap();
            rows.iter().find(|row| row["category_identifier"] == *wanted).unwrap()
        })
        .collect();
    assert_eq!(json!({ "products": rows }), sample, "even the values are the sample's");
    assert_eq!(answer.as_object().unwrap().len(), 1, "raw, without an envelope");
    sandbox.stop().await;
}

#[tokio::test]
async fn tlds_are_as_documented() {
    let folder = Folder::new();
    let sandbox = sandbox(&folder).await;
    let mut answer = sandbox.get("/api/hosting/v1/tlds").await.json();
    answer["data"].as_array_mut().unwrap().truncate(2);
    let sample = fixture("get_tlds_200");
    assert_same_shape(&sample, &answer, "get_tlds_200");
    assert_eq!(answer["data"], sample["data"]);
    sandbox.stop().await;
}

#[tokio::test]
async fn orders_are_as_documented() {
    let folder = Folder::new();
    let sandbox = sandbox(&folder).await;
    let mut request = fixture("post_orders_request");
    let placed = sandbox.post("/api/v1/orders", &request).await;
    assert_sample("post_orders_201", 201, &placed);
    let order = &placed.json()["data"]["order"];
    assert_eq!(order["summary"], request["summary"]);
    assert_eq!(order["order_lines"][0]["cart_item"], request["order_lines"][0]["cart_item"]);
    assert!(!placed.body().contains("ORDER-1234"), "the reference is not echoed");

    let sample = fixture("get_orders_id_200");
    let of_domain = &sample["data"]["order"]["order_lines"][1];
    request["order_lines"].as_array_mut().unwrap().push(json!({
        "description": of_domain["description"], "cart_item": of_domain["cart_item"] }));
    let placed = sandbox.post("/api/v1/orders", &request).await.json();
    let id = &placed["data"]["order"]["id"];
    let shown = sandbox.get(&format!("/api/v1/orders/{id}")).await;
    assert_sample("get_orders_id_200", 200, &shown);

    request["order_lines"][0]["cart_item"] = json!({ "type": "hosting_upgrade" });
    let refused = sandbox.post("/api/v1/orders", &request).await;
    assert_sample("post_orders_422", 422, &refused);
    assert_eq!(refused.json()["message"], fixture("post_orders_422")["message"]);

    sandbox.fault(&json!({"endpoint": "POST /api/v1/orders", "fault": "foreign_403"}));
    let refused = sandbox.order("SHOP-1/0").await;
    assert_sample("post_orders_403", 403, &refused);
    assert_eq!(refused.json()["message"], fixture("post_orders_403")["message"]);
    sandbox.stop().await;
}

#[tokio::test]
async fn sites_are_as_documented() {
    let folder = Folder::new();
    let sandbox = sandbox(&folder).await;
    let mut request = fixture("post_orders_request");
    request["order_lines"][0]["cart_item"]["product_uuid"] =
        json!("0c9d7a3e-44f2-4b7b-bb1a-3e5f8d2c6a02");
    let placed = sandbox.post("/api/v1/orders", &request).await.json();
    let id = serde_json::from_value(placed["data"]["order"]["id"].clone()).unwrap();
    let completed = Drive { stage: Stage::Completed, site: DrivenSite::Usual };
    let driven = sandbox.state().drive(id, completed).unwrap();
    assert_eq!(driven.deliveries[0].site_id, Some(SiteId(2019)));

    let listed = sandbox.get("/api/hosting/v1/sites").await;
    assert_sample("get_sites_200", 200, &listed);
    assert_eq!(listed.json()["data"], fixture("get_sites_200")["data"]);
    let shown = sandbox.get("/api/hosting/v1/sites/2019").await;
    assert_sample("get_sites_id_200", 200, &shown);
    assert_eq!(shown.json()["data"], fixture("get_sites_id_200")["data"]);
    let login = sandbox.get("/api/hosting/v1/sites/2019/login").await;
    assert_sample("get_sites_id_login_200", 200, &login);
    let again = sandbox.get("/api/hosting/v1/sites/2019/login").await;
    assert_ne!(login.json()["data"]["url"], again.json()["data"]["url"], "single-use");
    let refused = sandbox.get("/api/hosting/v1/sites/7/login").await;
    assert_sample("get_sites_id_login_403", 403, &refused);
    assert_eq!(refused.json()["message"], fixture("get_sites_id_login_403")["message"]);
    sandbox.stop().await;
}

#[test]
fn every_fixture_is_json_and_enveloped_where_it_is_an_answer() {
    let folder = format!("{}/tests/fixtures/ljpc", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap();
        let json = fixture(name);
        let (_, kind) = name.rsplit_once('_').unwrap();
        let payload = match kind.parse::<u16>() {
            Err(_) => continue,
            Ok(_) if name == "get_products_200" => continue,
            Ok(200..=299) => "data",
            Ok(_) => "message",
        };
        assert_eq!(json["success"], payload == "data", "{name}");
        assert!(json["jti"].is_string() && !json[payload].is_null(), "{name}");
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

//! Leanstack as a client sees it; the document's samples, key by key.

use serde_json::{Value, json};

use crate::sandbox::{
    FaultKind, Provider,
    ljpc::samples::{assert_same_shape, fixture_of},
    tests::{Running, Seen, sandbox, send_with},
};

const TOKEN: &str = "access_token: sandbox-token\r\n";
const TOKEN_2022: &str = "access-token: sandbox-token\r\n";
const ADD: &str = "/v1/enterprise/add_customer";
const ADD_2022: &str = "/v1/enterprise/customer";
const AVAILABILITY: &str = "/v1/enterprise/domain_availability";
const SUGGESTION: &str = "/v1/enterprise/domain_suggestion";

fn fixture(name: &str) -> Value {
    fixture_of("leanstack", name)
}

async fn post(sandbox: &Running, path: &str, headers: &str, body: &Value) -> Seen {
    let body = body.to_string();
    send_with(sandbox.leanstack_addr(), "POST", path, headers, body.as_bytes()).await
}

fn bob(email: &str) -> Value {
    json!({"customer": {"first_name": "Bob", "last_name": "Brown", "email": email,
            "phone": "31612345678"},
        "contact": {"address": "Teststreet 1", "country": "NL", "city": "Testcity",
            "postcode": "1234AB"}})
}

#[tokio::test]
async fn customers_are_as_documented() {
    let sandbox = sandbox().await;
    let request = fixture("post_add_customer_request");
    let added = post(&sandbox, ADD, TOKEN, &request).await;
    assert_eq!((added.status(), added.json()), (200, fixture("post_add_customer_200")));
    let again = post(&sandbox, ADD, TOKEN, &request).await;
    assert_eq!((again.status(), again.json()), (200, fixture("post_add_customer_exists_200")));
    assert_eq!(sandbox.state().customers().len(), 1);
    assert_eq!(sandbox.get("/_sandbox/customers").await.json()["total"], 1);
}

#[tokio::test]
async fn availability_and_suggestions_are_as_documented() {
    let sandbox = sandbox().await;
    let mut request = fixture("post_domain_availability_request");
    let free = post(&sandbox, AVAILABILITY, TOKEN, &request).await.json();
    assert_eq!(free, fixture("post_domain_availability_free_200"));
    let handle = sandbox.contact().await;
    assert_eq!(sandbox.register("tunji.com", &handle).await.status(), 201);
    let taken = post(&sandbox, AVAILABILITY, TOKEN, &request).await.json();
    assert_eq!(taken, fixture("post_domain_availability_taken_200"));
    request["tld"] = json!("2000.hu");
    let unsold = post(&sandbox, AVAILABILITY, TOKEN, &request).await.json();
    assert_eq!(unsold, fixture("post_domain_availability_unsold_200"));

    let request = fixture("post_domain_suggestion_request");
    let suggested = post(&sandbox, SUGGESTION, TOKEN, &request).await.json();
    let sample = fixture("post_domain_suggestion_200");
    assert_same_shape(&sample, &suggested, "post_domain_suggestion_200");
    assert_eq!(suggested, sample);
}

#[tokio::test]
async fn names_taken_by_convention_are_taken_and_not_suggested() {
    let sandbox = sandbox().await;
    for (label, tld, free) in
        [("taken", "nl", false), ("free", ".COM", true), ("a.b", "nl", false), ("-", "nl", false)]
    {
        let body = json!({"domain_name": label, "tld": tld});
        let seen = post(&sandbox, AVAILABILITY, TOKEN, &body).await.json();
        assert_eq!(seen["domain_name_available"], free, "{label}.{tld}");
    }
    let labels = async |asked: &str| {
        let seen = post(&sandbox, SUGGESTION, TOKEN, &json!({"domain_name": asked})).await.json();
        let names = seen.as_array().unwrap().iter();
        names.map(|row| row["domain_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(labels("taken.nl").await, ["yourtaken", "takenclub"]);
    assert_eq!(labels(&"x".repeat(63)).await, ["x".repeat(63)], "only what is a name");
}

#[tokio::test]
async fn each_edition_has_its_path_header_and_field() {
    let sandbox = sandbox().await;
    let mut body_2022 = bob("eve@example.com");
    let contact = body_2022["contact"].as_object_mut().unwrap();
    let code = contact.remove("postcode").unwrap();
    contact.insert("post_code".into(), code);
    let added = post(&sandbox, ADD_2022, TOKEN_2022, &body_2022).await;
    assert_eq!((added.status(), added.json()), (200, json!({})));
    assert_eq!(sandbox.state().customers()[0].postcode, "1234AB");
    for (path, header, body, message) in [
        (ADD_2022, TOKEN, &body_2022, "Access token is missing"),
        (ADD, TOKEN_2022, &bob("bob@example.com"), "Access token is missing"),
        (ADD, "", &bob("bob@example.com"), "Access token is missing"),
        (ADD, "access_token: x\r\n", &bob("bob@example.com"), "Invalid access token"),
        (AVAILABILITY, "access-token: x\r\n", &json!({}), "Invalid access token"),
        (ADD_2022, TOKEN_2022, &bob("bob@example.com"), "post_code is missing"),
        (ADD, TOKEN, &body_2022, "postcode is missing"),
    ] {
        let refused = post(&sandbox, path, header, body).await;
        assert_eq!(refused.json(), json!({ "message": message }), "{path} {header}");
        assert!(matches!(refused.status(), 401 | 422));
    }
    for header in [TOKEN, TOKEN_2022] {
        let body = json!({"domain_name": "free"});
        assert_eq!(post(&sandbox, SUGGESTION, header, &body).await.status(), 200);
    }
    assert_eq!(sandbox.state().customers().len(), 1);
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_told_and_nothing_is_added() {
    let sandbox = sandbox().await;
    for (part, field, value, message) in [
        ("customer", "first_name", json!(null), "first_name is missing"),
        ("customer", "email", json!(" "), "email is missing"),
        ("customer", "email", json!("bob"), "email is invalid"),
        ("customer", "phone", json!("+31612345678"), "phone is invalid"),
        ("customer", "last_name", json!(1), "last_name is invalid"),
        ("contact", "country", json!("NLD"), "country is invalid"),
        ("contact", "city", json!("x".repeat(256)), "city is invalid"),
    ] {
        let mut body = bob("bob@example.com");
        body[part][field] = value;
        let refused = post(&sandbox, ADD, TOKEN, &body).await;
        assert_eq!((refused.status(), refused.json()), (422, json!({ "message": message })));
    }
    for (path, message) in [
        (ADD, "customer is missing"),
        (AVAILABILITY, "domain_name is missing"),
        (SUGGESTION, "domain_name is missing"),
    ] {
        assert_eq!(post(&sandbox, path, TOKEN, &json!([])).await.json()["message"], message);
    }
    assert_eq!(sandbox.state().customers().len(), 0);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_without_an_envelope() {
    let sandbox = sandbox().await;
    let address = sandbox.leanstack_addr();
    let get = send_with(address, "GET", AVAILABILITY, TOKEN, b"").await;
    assert_eq!((get.status(), get.header("allow").as_deref()), (405, Some("POST")));
    let unknown = send_with(address, "POST", "/v1/rest/domain_suggestion", TOKEN, b"{}").await;
    assert_eq!((unknown.status(), unknown.json()), (404, json!({"message": "Not found"})));
    let big = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(send_with(address, "POST", ADD, TOKEN, &big).await.status(), 413);
    let controls = send_with(address, "GET", "/_sandbox/summary", "", b"").await;
    assert_eq!(controls.status(), 404, "the controls are beside LJPc");
}

#[tokio::test]
async fn the_journal_tells_the_debug_id_and_no_token() {
    let sandbox = sandbox().await;
    let headers = format!("{TOKEN}debug_id: 018f-7\r\n");
    post(&sandbox, ADD, &headers, &bob("bob@example.com")).await;
    let entry = sandbox.state().journal(0).remove(0);
    assert_eq!((entry.provider, entry.path.as_str()), (Provider::Leanstack, ADD));
    let header = |name: &str| {
        entry.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(
        (header("debug_id").as_str(), header("access_token").as_str()),
        ("018f-7", "(the right key)")
    );
    let journal = sandbox.get("/_sandbox/journal").await.body();
    assert!(!journal.contains("sandbox-token") && journal.contains("\"leanstack\""), "{journal}");
}

#[tokio::test]
async fn faults_strike_here_as_they_do_there() {
    let sandbox = sandbox().await;
    let bob = bob("bob@example.com");
    sandbox.fault(&json!({"endpoint": "POST /v1/enterprise/add_customer",
        "fault": "process_then_drop", "match": {"recipient": "bob@"}}));
    assert_eq!(post(&sandbox, ADD, TOKEN, &bob).await.bytes, b"");
    assert_eq!(sandbox.state().customers().len(), 1, "it was added all the same");
    for (fault, status, message) in [
        (json!({"fault": "unauthorized"}), 401, "Invalid access token"),
        (json!({"fault": "status", "status": 503}), 503, "Service Unavailable"),
        (json!({"fault": "rate_limit"}), 429, "Too Many Attempts."),
    ] {
        let mut fault = fault;
        fault["endpoint"] = json!("Leanstack *");
        sandbox.fault(&fault);
        assert_eq!(sandbox.get("/api/hosting/v1/tlds").await.status(), 200, "LJPc is spared");
        let seen = post(&sandbox, ADD, TOKEN, &bob).await;
        assert_eq!((seen.status(), seen.json()), (status, json!({ "message": message })));
    }
    sandbox.fault(&json!({"endpoint": "LJPc *", "fault": "drop", "times": 2}));
    assert_eq!(post(&sandbox, ADD, TOKEN, &bob).await.status(), 200, "Leanstack is spared");
    assert_eq!(sandbox.get("/api/hosting/v1/tlds").await.bytes, b"");
    assert_eq!(sandbox.state().clear_faults(), 1);
    sandbox.fault(&json!({"endpoint": "*", "fault": "drop", "match": {"domain": "free.nl"}}));
    let body = json!({"domain_name": "free", "tld": "nl"});
    assert_eq!(post(&sandbox, AVAILABILITY, TOKEN, &body).await.bytes, b"");
    assert_eq!(sandbox.state().journal(0).last().unwrap().fault, Some(FaultKind::Drop));
}

#[test]
fn fates_and_wrong_matches_are_refused_where_they_mean_nothing() {
    let faults = crate::sandbox::faults::Faults::new(1);
    for (spec, told) in [
        (json!({"endpoint": "Leanstack *", "fault": "fail"}), "decide what becomes"),
        (json!({"endpoint": "POST /v1/enterprise/customer", "fault": "no_site_id"}), "decide"),
        (
            json!({"endpoint": "POST /v1/enterprise/domain_suggestion", "fault": "drop",
                "match": {"recipient": "x"}}),
            "recipient is for",
        ),
        (
            json!({"endpoint": "POST /api/hosting/v1/domain-names/{domain}/transfer",
                "fault": "no_site_id"}),
            "decide what becomes",
        ),
    ] {
        let error = faults.add(spec.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn every_sample_is_compared_with_an_answer() {
    let here = include_str!("tests.rs");
    let folder = format!("{}/tests/fixtures/leanstack", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap();
        assert!(here.contains(&format!("\"{name}\"")), "{name} is compared with nothing");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

//! The samples of domains, contacts and DNS.

use std::time::Duration;

use serde_json::json;

use super::{assert_sample, fixture};
use crate::sandbox::tests::{Running, Seen, sandbox, sandbox_with};

const NAMES: &str = "/api/hosting/v1/domain-names";
const CONTACTS: &str = "/api/hosting/v1/contacts";
const ZONE: &str = "/api/hosting/v1/dns/zones/example.nl/records";

/// Status, shape and message are the sample's.
fn assert_refusal(name: &str, status: u16, seen: &Seen) {
    assert_sample(name, status, seen);
    assert_eq!(seen.json()["message"], fixture(name)["message"]);
}

/// Status, shape and even the data are the sample's.
fn assert_same(name: &str, status: u16, seen: &Seen) {
    assert_sample(name, status, seen);
    assert_eq!(seen.json()["data"], fixture(name)["data"]);
}

/// The sample's contact, with its organization, and the registration that names it.
async fn with_example(sandbox: &Running) -> (String, Seen) {
    let mut contact = fixture("post_contacts_request");
    contact["organization"] = json!("LJPc");
    let made = sandbox.post(CONTACTS, &contact).await;
    assert_sample("post_contacts_201", 201, &made);
    let handle = made.json()["data"]["handle"].as_str().unwrap().to_owned();
    let mut wish = fixture("post_domain_names_request");
    wish["contact_handle"] = json!(handle);
    let registered = sandbox.post(NAMES, &wish).await;
    (handle, registered)
}

#[tokio::test]
async fn availability_and_price_are_as_documented() {
    let sandbox = sandbox().await;
    let checked = sandbox.get(&format!("{NAMES}/check?domain=example.nl")).await;
    assert_same("get_domain_names_check_200", 200, &checked);
    let priced = sandbox.get(&format!("{NAMES}/price?domain=example.nl")).await;
    assert_sample("get_domain_names_price_200", 200, &priced);
}

#[tokio::test]
async fn registrations_are_as_documented() {
    let sandbox = sandbox().await;
    let (handle, registered) = with_example(&sandbox).await;
    assert_same("post_domain_names_201", 201, &registered);
    let again = sandbox.register("example.nl", &handle).await;
    assert_refusal("post_domain_names_422", 422, &again);
    let foreign = sandbox.post(NAMES, &json!({"domain": "free.nl", "contact_handle": "x"})).await;
    assert_refusal("post_domain_names_403", 403, &foreign);
    let listed = sandbox.get(NAMES).await;
    assert_sample("get_domain_names_200", 200, &listed);
    let shown = sandbox.get(&format!("{NAMES}/example.nl")).await;
    assert_sample("get_domain_names_domain_200", 200, &shown);
    let (mut data, mut sample) =
        (shown.json()["data"].clone(), fixture("get_domain_names_domain_200")["data"].clone());
    for own in ["expires_at", "contact_handle"] {
        data[own].take();
        sample[own].take();
    }
    assert_eq!(data, sample, "all else is the sample's");
}

#[tokio::test]
async fn transfers_are_as_documented() {
    let sandbox = sandbox_with(|options| options.delay = Duration::from_hours(1)).await;
    let mut wish = fixture("post_domain_names_domain_transfer_request");
    wish["contact_handle"] = json!(sandbox.contact().await);
    let begun = sandbox.post(&format!("{NAMES}/example.nl/transfer"), &wish).await;
    assert_same("post_domain_names_domain_transfer_202", 202, &begun);
}

#[tokio::test]
async fn updates_and_auth_codes_are_as_documented() {
    let sandbox = sandbox().await;
    with_example(&sandbox).await;
    let path = format!("{NAMES}/example.nl");
    let wish = fixture("patch_domain_names_domain_request");
    let updated = sandbox.call("PATCH", &path, &wish).await;
    assert_same("patch_domain_names_domain_200", 200, &updated);
    let code = sandbox.get(&format!("{path}/authcode")).await;
    assert_sample("get_domain_names_domain_authcode_200", 200, &code);
    let none = sandbox.get(&format!("{NAMES}/free.nl/authcode")).await;
    assert_refusal("get_domain_names_domain_authcode_404", 404, &none);
}

#[tokio::test]
async fn contacts_are_as_documented() {
    let sandbox = sandbox().await;
    let (handle, _) = with_example(&sandbox).await;
    let path = format!("{CONTACTS}/{handle}");
    assert_sample("get_contacts_200", 200, &sandbox.get(CONTACTS).await);
    let shown = sandbox.get(&path).await;
    assert_sample("get_contacts_handle_200", 200, &shown);
    let mut sample = fixture("get_contacts_handle_200")["data"].clone();
    sample["handle"] = json!(handle);
    assert_eq!(shown.json()["data"], sample, "all but the handle is the sample's");
    let unknown = sandbox.get(&format!("{CONTACTS}/x")).await;
    assert_refusal("get_contacts_handle_404", 404, &unknown);
    let wish = fixture("patch_contacts_handle_request");
    assert_same("patch_contacts_handle_200", 200, &sandbox.call("PATCH", &path, &wish).await);
    let mut wrong = fixture("post_contacts_request");
    wrong["country"] = json!("NLD");
    assert_refusal("post_contacts_422", 422, &sandbox.post(CONTACTS, &wrong).await);
}

#[tokio::test]
async fn zones_are_as_documented() {
    let sandbox = sandbox().await;
    with_example(&sandbox).await;
    assert_refusal("get_dns_zones_domain_records_404", 404, &sandbox.get(ZONE).await);
    let elsewhere = json!({"nameservers": ["ns1.example.com", "ns2.example.com"]});
    let path = format!("{NAMES}/example.nl");
    assert_eq!(sandbox.call("PATCH", &path, &elsewhere).await.status(), 200);
    let request = fixture("put_dns_zones_domain_records_request");
    let written = sandbox.call("PUT", ZONE, &request).await;
    assert_same("put_dns_zones_domain_records_200", 200, &written);
    let mut wrong = request.clone();
    wrong["records"][0]["content"] = json!("mail.example.nl");
    let refused = sandbox.call("PUT", ZONE, &wrong).await;
    assert_refusal("put_dns_zones_domain_records_422", 422, &refused);
    let one = json!({"records": [request["records"][0]]});
    assert_eq!(sandbox.call("PUT", ZONE, &one).await.status(), 200);
    let shown = sandbox.get(ZONE).await;
    assert_same("get_dns_zones_domain_records_200", 200, &shown);
    assert_eq!(sandbox.order("SHOP-1/0").await.status(), 201);
    let managed = sandbox.call("PUT", ZONE, &request).await;
    assert_refusal("put_dns_zones_domain_records_409", 409, &managed);
}

#[test]
fn the_requests_of_the_samples_are_all_used() {
    let here = include_str!("domains.rs");
    let folder = format!("{}/tests/fixtures/ljpc", env!("CARGO_MANIFEST_DIR"));
    let about = ["domain_names", "contacts", "dns_zones"];
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap();
        if about.iter().any(|family| name.contains(family)) {
            assert!(here.contains(&format!("\"{name}\"")), "{name} is compared with nothing");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

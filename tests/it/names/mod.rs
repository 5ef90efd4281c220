//! Orders of names, end to end: what goes over the wire, in which order, and what the shop and the operator see of it.

mod advice;
mod dns;
mod faults;
mod late;
mod refusals;
mod register;
mod resolved;
mod secrets;
mod storm;
mod story;
mod together;
mod transfer;
mod update;
mod wishes;

use serde_json::{Value, json};

use crate::house::{Daemon, House};

const REGISTER: &str = "POST /api/hosting/v1/domain-names";
const TRANSFER: &str = "POST /api/hosting/v1/domain-names/{domain}/transfer";
const CONTACTS: &str = "POST /api/hosting/v1/contacts";
const UPDATE: &str = "PATCH /api/hosting/v1/domain-names/{domain}";
const ZONE: &str = "PUT /api/hosting/v1/dns/zones/{domain}/records";

/// A customer of whom a WHOIS contact can be made.
fn customer(reference: &str) -> Value {
    json!({
        "reference": reference,
        "first_name": "Bob",
        "last_name": "Brown",
        "email": "bob@example.com",
        "phone": "+31612345678",
        "address": "Teststreet 1",
        "postal_code": "1234AB",
        "city": "Testcity",
        "country": "NL",
    })
}

/// The registration of a name, with these keys besides.
pub(crate) fn register(domain: &str, extra: Value) -> Value {
    with(json!({ "kind": "domain_register", "domain": domain }), extra)
}

/// The transfer of a name, with these keys besides.
fn transfer(domain: &str, extra: Value) -> Value {
    with(json!({ "kind": "domain_transfer", "domain": domain, "auth_code": "s3cret" }), extra)
}

/// A change of a name.
fn update(domain: &str, extra: Value) -> Value {
    with(json!({ "kind": "domain_update", "domain": domain }), extra)
}

/// All records of a name's zone.
fn dns(domain: &str, records: &Value) -> Value {
    json!({ "kind": "dns", "domain": domain, "records": records })
}

/// An A record.
fn a_record(name: &str, content: &str) -> Value {
    json!({ "type": "A", "name": name, "content": content, "ttl": 3600 })
}

/// An object with keys of another laid over its own.
fn with(mut base: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { panic!("an object is laid over") };
    for (key, value) in extra {
        base[key] = value;
    }
    base
}

impl House {
    /// A daemon that asks for transfers and evidence as often as for all else.
    pub(crate) fn quick_daemon(&self) -> Daemon {
        self.daemon(&[
            ("POLL__TRANSFER_MAX_INTERVAL", "500ms"),
            ("POLL__FAILED_RECHECK", "500ms"),
            ("LJPC__EVIDENCE_INTERVAL", "200ms"),
            // Many requests are lost in some tests: each trial of their endpoint is further away than the one before.
            ("LJPC__CIRCUIT_PROBE_INTERVAL", "20ms"),
        ])
    }

    /// Submits an order of the customer C-77, complete.
    async fn order_names(&self, reference: &str, lines: Value) -> i64 {
        self.order_of(reference, &customer("C-77"), lines).await
    }

    /// Submits an order of a customer.
    async fn order_of(&self, reference: &str, customer: &Value, lines: Value) -> i64 {
        let document = json!({ "reference": reference, "customer": customer, "lines": lines });
        self.world.submit(&document).await.expect("the order is well formed")
    }

    /// Puts a domain upstream, as POST /_sandbox/domains takes it.
    fn put_domain(&self, domain: &Value) {
        self.sandbox.state().put_domain(domain).expect("a domain");
    }

    /// Nothing was bought twice, by whatever way.
    fn assert_bought_once(&self) {
        let summary = self.sandbox.state().summary();
        assert!(summary.bought_twice.is_empty(), "{:?}", summary.bought_twice);
        assert!(summary.most_per_tag <= 1, "{:?}", summary.tags);
    }
}

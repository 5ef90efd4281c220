//! What the documents do not show, but any server may do: each endpoint reads it by the contract's table.

use std::{fmt::Write as _, time::Duration};

use provisor::{
    sandbox::SandboxOptions,
    upstream::{
        Scope, UpstreamError,
        leanstack::{self, Contract},
        ljpc::{self, CartItem},
    },
};
use serde_json::{Value, json};

use super::{
    Told, Upstreams,
    calls::{contact, leanstack_customer, record},
};
use crate::house::House;

/// Long enough for a loaded machine, and shorter than the fault that is slow.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Faults that may strike any endpoint.
fn faults() -> Vec<(&'static str, Value)> {
    let status = |status: u16, enveloped: bool| {
        let (fault, message) = ("status", "no");
        json!({ "fault": fault, "status": status, "message": message, "enveloped": enveloped })
    };
    vec![
        ("none", Value::Null),
        ("400", status(400, true)),
        ("400 without an envelope", status(400, false)),
        ("401", json!({ "fault": "unauthorized" })),
        ("401 without an envelope", json!({ "fault": "unauthorized", "enveloped": false })),
        ("403", status(403, true)),
        ("403 without an envelope", status(403, false)),
        ("404", status(404, true)),
        ("404 without an envelope", status(404, false)),
        ("409", status(409, true)),
        ("418", status(418, true)),
        ("422 without an envelope", status(422, false)),
        ("429", json!({ "fault": "rate_limit", "retry_after": "7" })),
        ("429 without an envelope", json!({ "fault": "rate_limit", "enveloped": false })),
        ("500", status(500, true)),
        ("503 without an envelope", status(503, false)),
        ("a page", json!({ "fault": "html" })),
        ("elsewhere", json!({ "fault": "redirect" })),
        ("no JSON", json!({ "fault": "garbage" })),
        ("cut in the body", json!({ "fault": "truncate" })),
        ("cut before the answer", json!({ "fault": "process_then_drop" })),
        ("cut at once", json!({ "fault": "drop" })),
        ("too late", json!({ "fault": "slow", "delay_ms": 4000 })),
    ]
}

impl Upstreams {
    /// Asks an endpoint for something that it can do; what it makes is named by `fresh`.
    async fn ask(&self, endpoint: &str, fresh: &str) -> Told {
        let (domain, email) = (format!("{fresh}.nl"), format!("{fresh}@example.com"));
        let ours = || {
            let domain = json!({ "domain": domain, "status": "active", "transfer_lock": true });
            self.house.sandbox.state().put_domain(&domain).unwrap();
        };
        match endpoint {
            "GET /api/hosting/v1/tlds" => self.tlds().await,
            "GET /api/hosting/v1/domain-names/check" => self.check(&["example.nl"]).await,
            "GET /api/hosting/v1/domain-names/price" => self.price(&["example.nl"]).await,
            "GET /api/hosting/v1/domain-names" => self.domains().await,
            "GET /api/hosting/v1/domain-names/{domain}" => self.domain("ours.nl").await,
            "POST /api/hosting/v1/domain-names" => self.register(&domain, "sandbox-0001", 1).await,
            "POST /api/hosting/v1/domain-names/{domain}/transfer" => {
                self.transfer(&domain, "sandbox-0001").await
            }
            "PATCH /api/hosting/v1/domain-names/{domain}" => {
                ours();
                self.update(&domain, Some(false), None).await
            }
            "GET /api/hosting/v1/domain-names/{domain}/authcode" => self.auth_code("ours.nl").await,
            "GET /api/hosting/v1/contacts" => self.contacts().await,
            "GET /api/hosting/v1/contacts/{handle}" => self.contact("sandbox-0001").await,
            "POST /api/hosting/v1/contacts" => self.create_contact(&contact(&email)).await,
            "PATCH /api/hosting/v1/contacts/{handle}" => {
                self.update_contact("sandbox-0001", &email).await
            }
            "GET /api/hosting/v1/dns/zones/{domain}/records" => self.zone("ours.nl").await,
            "PUT /api/hosting/v1/dns/zones/{domain}/records" => {
                self.replace("ours.nl", vec![record("192.0.2.10")]).await
            }
            "GET /api/hosting/v1/sites" => self.sites().await,
            "GET /api/hosting/v1/sites/{id}" => self.site(2019).await,
            "GET /api/hosting/v1/sites/{id}/login" => self.login(2019).await,
            "GET /api/v1/products" => self.products().await,
            "POST /api/v1/orders" => {
                self.place(fresh, CartItem::HostingOwn { space_id: 7, domain }).await
            }
            "GET /api/v1/orders/{id}" => self.order(110).await,
            "POST /v1/enterprise/domain_availability" => self.availability(fresh, "com").await,
            "POST /v1/enterprise/domain_suggestion" => self.suggestions(fresh).await,
            "POST /v1/enterprise/add_customer" => {
                self.add_customer(Contract::Seed, &leanstack_customer(&email)).await
            }
            "POST /v1/enterprise/customer" => {
                self.add_customer(Contract::Edition2022, &leanstack_customer(&email)).await
            }
            unknown => panic!("no test asks {unknown}"),
        }
    }

    /// What every endpoint finds there: a contact, a name, a zone, a site.
    async fn furnish(&self) {
        self.create_contact(&contact("bob@example.com")).await.unwrap();
        let ours = json!({ "domain": "ours.nl", "status": "active" });
        self.house.sandbox.state().put_domain(&ours).unwrap();
        self.replace("ours.nl", vec![record("192.0.2.1")]).await.unwrap();
        let own = CartItem::HostingOwn { space_id: 7, domain: "site.nl".to_owned() };
        self.place("FURNISH", own).await.unwrap();
    }
}

fn endpoints() -> impl Iterator<Item = &'static str> {
    ljpc::ENDPOINTS.iter().chain(&leanstack::ENDPOINTS).map(|endpoint| endpoint.name)
}

/// Which endpoints should agree.
fn class(endpoint: &str) -> &'static str {
    let mut all = ljpc::ENDPOINTS.iter().chain(&leanstack::ENDPOINTS);
    let it = all.find(|it| it.name == endpoint).expect("it is one of them");
    match (endpoint.contains("/v1/enterprise/"), it.is_irreversible(), it.may_be_foreign()) {
        (false, false, false) => "LJPc, asked",
        (false, false, true) => "LJPc, asked about one thing",
        (false, true, _) => "LJPc, changed",
        (true, false, _) => "Leanstack, asked",
        (true, true, _) => "Leanstack, changed",
    }
}

fn outcome(told: &Told) -> &'static str {
    match told {
        Ok(_) => "ok",
        Err(UpstreamError::NotSent { .. }) => "not sent",
        Err(UpstreamError::Rejected { .. }) => "rejected",
        Err(UpstreamError::RateLimited { .. }) => "rate limited",
        Err(UpstreamError::Unauthorized { scope: Scope::Upstream, .. }) => {
            "unauthorized, all of it"
        }
        Err(UpstreamError::Unauthorized { scope: Scope::Endpoint, .. }) => {
            "unauthorized, here alone"
        }
        Err(UpstreamError::InDoubt { .. }) => "in doubt",
        Err(UpstreamError::Unavailable { .. }) => "no answer",
    }
}

/// One line for each class: what most of it came to, and each endpoint that came to something else.
fn summed_up(mut outcomes: Vec<(&str, &str, &str)>) -> String {
    outcomes.sort_unstable();
    let mut text = String::new();
    for class in outcomes.chunk_by(|one, other| one.0 == other.0) {
        let groups: Vec<_> = class.chunk_by(|one, other| one.1 == other.1).collect();
        let most = groups.iter().max_by_key(|group| group.len()).expect("a class has endpoints");
        write!(text, "  {}: {}", most[0].0, most[0].1).unwrap();
        for (_, outcome, endpoint) in class.iter().filter(|it| it.1 != most[0].1) {
            write!(text, "; but {endpoint}: {outcome}").unwrap();
        }
        text.push('\n');
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_reads_every_fault_by_the_contracts_table() {
    let options = SandboxOptions::default();
    let up = Upstreams::with(TIMEOUT, &options.api_key, &options.leanstack_token).await;
    up.furnish().await;
    // Per fault, what each class of endpoints makes of it, and who of them differs.
    let mut table = String::new();
    for (n, (name, fault)) in faults().into_iter().enumerate() {
        let asked = endpoints().enumerate().map(|(at, endpoint)| {
            let (up, fault) = (&up, &fault);
            async move {
                if let Value::Object(_) = fault {
                    let mut aimed = fault.clone();
                    aimed["endpoint"] = json!(endpoint);
                    up.house.fault(&aimed);
                }
                let told = up.ask(endpoint, &format!("fresh-{n}-{at}")).await;
                (class(endpoint), outcome(&told), endpoint)
            }
        });
        let outcomes = futures_util::future::join_all(asked).await;
        writeln!(table, "{name}\n{}", summed_up(outcomes)).unwrap();
        assert_eq!(up.house.sandbox.state().clear_faults(), 0, "{name} has struck everywhere");
    }
    insta::assert_snapshot!("undocumented_answers", table);
    let summary = up.house.sandbox.state().summary();
    assert!(summary.bought_twice.is_empty() && summary.most_per_tag == 1, "nothing is repeated");
    // The key never goes elsewhere, and nobody is followed there.
    let paths = up.house.sandbox.state().journal(0);
    let elsewhere = |path: &str| !path.starts_with("/api/") && !path.starts_with("/v1/enterprise/");
    assert!(!paths.iter().any(|entry| elsewhere(&entry.path)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_told_by_each_endpoint() {
    let up = Upstreams::with(TIMEOUT, "not the key", "not the token").await;
    for endpoint in endpoints() {
        let told = up.ask(endpoint, "fresh").await;
        // The catalogue is public; everybody's prices are not the account's, but that can't be told apart.
        let expected = if endpoint == "GET /api/v1/products" {
            told.is_ok()
        } else {
            told.as_ref().is_err_and(|error| error.outcome() == "unauthorized")
        };
        assert!(expected, "{endpoint}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_away_was_sent_nothing() {
    // Bound, and nobody listens.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let options = SandboxOptions::default();
    let keys = (options.api_key.as_str(), options.leanstack_token.as_str());
    let up = Upstreams::at(House::new().await, [closed.local_addr().unwrap(); 2], TIMEOUT, keys);
    for endpoint in endpoints() {
        let error = up.ask(endpoint, "fresh").await.expect_err("nobody is there");
        assert_eq!(error.outcome(), "not_sent", "{endpoint}: {error}");
    }
}

//! The answers that the documents show.

use std::fmt::Write as _;

use provisor::{
    order::domain::Record,
    upstream::{
        Secret,
        leanstack::{self, Contract},
        ljpc::{self, BillingPeriod, CartItem, CreateContact, DomainAction},
    },
};
use serde_json::json;

use super::{
    Told, Upstreams,
    calls::{contact, leanstack_customer, record},
    line,
};

/// The 5 GB package's id in the sandbox's catalogue.
const FIVE_GB: &str = "afe29fe6-1d1b-4b8c-9a55-0c4a2f7d1e01";

/// The package without a panel.
const DNS_ALONE: &str = "94d1e6b3-0a5c-4e72-b8f9-2c7a6d3e1f07";

/// What each call came to, endpoint by endpoint.
#[derive(Default)]
struct Table(String);

impl Table {
    fn of(&mut self, endpoint: &str) {
        writeln!(self.0, "\n{endpoint}").unwrap();
    }

    fn row(&mut self, what: &str, told: &Told) {
        // The upstream's support asks for the answer's id, so each envelope's is kept.
        if let Err(error) = told {
            assert!(error.jti().is_some(), "{what}: {error:?}");
        }
        writeln!(self.0, "  {what} -> {}", line(told)).unwrap();
    }
}

fn hosting(domain: &str) -> CartItem {
    CartItem::Hosting {
        product_uuid: FIVE_GB.to_owned(),
        domain: domain.to_owned(),
        billing_period: Some(BillingPeriod::Monthly),
        target_url: None,
    }
}

fn domain_item(action: DomainAction, sld: &str, auth_code: Option<&str>) -> CartItem {
    let auth_code = auth_code.map(|code| Secret::new(code.to_owned()));
    CartItem::Domain { action, sld: sld.to_owned(), tld: "nl".to_owned(), auth_code }
}

async fn catalogue(up: &Upstreams, table: &mut Table) {
    table.of("GET /api/hosting/v1/tlds");
    table.row("all", &up.tlds().await);
    table.of("GET /api/hosting/v1/domain-names/check");
    let names = ["example.nl", "taken.nl", "example.xyz", "bücher.nl"];
    table.row("one", &up.check(&["example.nl"]).await);
    table.row("several", &up.check(&names).await);
    table.of("GET /api/hosting/v1/domain-names/price");
    table.row("one", &up.price(&["example.nl"]).await);
    table.row("several", &up.price(&["example.co.uk", "premium.nl", "example.xyz"]).await);
    table.of("GET /api/v1/products");
    table.row("all", &up.products().await);
}

async fn contacts(up: &Upstreams, table: &mut Table) {
    table.of("POST /api/hosting/v1/contacts");
    table.row("complete", &up.create_contact(&contact("bob@example.com")).await);
    let country = CreateContact { country: "NLD".to_owned(), ..contact("bob@example.com") };
    table.row("a country of three letters", &up.create_contact(&country).await);
    table.of("GET /api/hosting/v1/contacts");
    table.row("all", &up.contacts().await);
    table.of("PATCH /api/hosting/v1/contacts/{handle}");
    table.row("ours", &up.update_contact("sandbox-0001", "new@example.com").await);
    table.row("foreign", &up.update_contact("BB0001-EX", "new@example.com").await);
    table.of("GET /api/hosting/v1/contacts/{handle}");
    table.row("ours", &up.contact("sandbox-0001").await);
    table.row("foreign", &up.contact("BB0001-EX").await);
}

async fn domains(up: &Upstreams, table: &mut Table) {
    table.of("POST /api/hosting/v1/domain-names");
    table.row("free", &up.register("example.nl", "sandbox-0001", 2).await);
    table.row("taken", &up.register("example.nl", "sandbox-0001", 1).await);
    table
        .row("of an ending that is not sold", &up.register("example.xyz", "sandbox-0001", 1).await);
    table.row("on a foreign handle", &up.register("example.com", "BB0001-EX", 1).await);
    table.of("POST /api/hosting/v1/domain-names/{domain}/transfer");
    table.row("begun", &up.transfer("moving.nl", "sandbox-0001").await);
    table.row("ours already", &up.transfer("example.nl", "sandbox-0001").await);
    table.row("on a foreign handle", &up.transfer("other.nl", "BB0001-EX").await);
    table.row("of an ending without transfers", &up.transfer("example.gr", "sandbox-0001").await);
    table.of("GET /api/hosting/v1/domain-names");
    table.row("all", &up.domains().await);
    table.of("GET /api/hosting/v1/domain-names/{domain}");
    table.row("ours", &up.domain("example.nl").await);
    table.row("foreign", &up.domain("foreign.nl").await);
    let joined =
        json!({ "domain": "joined.nl", "status": "active,pending_transfer", "expires_at": null });
    up.house.sandbox.state().put_domain(&joined).unwrap();
    table.row("with a joined status", &up.domain("joined.nl").await);
    table.of("PATCH /api/hosting/v1/domain-names/{domain}");
    table.row("changed", &up.update("example.nl", Some(false), None).await);
    table.row("as it was", &up.update("example.nl", Some(false), None).await);
    table.row("to a foreign handle", &up.update("example.nl", None, Some("BB0001-EX")).await);
    table.row("foreign", &up.update("foreign.nl", Some(false), None).await);
    table.of("GET /api/hosting/v1/domain-names/{domain}/authcode");
    table.row("ours", &up.auth_code("example.nl").await);
    table.row("foreign", &up.auth_code("foreign.nl").await);
}

async fn zones(up: &Upstreams, table: &mut Table) {
    let missing = Record { content: String::new(), ..record("") };
    table.of("GET /api/hosting/v1/dns/zones/{domain}/records");
    table.row("without a zone", &up.zone("example.nl").await);
    table.of("PUT /api/hosting/v1/dns/zones/{domain}/records");
    table.row("written", &up.replace("example.nl", vec![record("192.0.2.10")]).await);
    table.row("no address", &up.replace("example.nl", vec![record("192.0.2.256")]).await);
    table.row(
        "the second is wrong",
        &up.replace("example.nl", vec![record("192.0.2.1"), missing]).await,
    );
    table.row("of the panel", &up.replace("panel.nl", vec![record("192.0.2.10")]).await);
    table.row("foreign", &up.replace("foreign.nl", vec![record("192.0.2.10")]).await);
    table.of("GET /api/hosting/v1/dns/zones/{domain}/records");
    table.row("written", &up.zone("example.nl").await);
    table.of("PUT /api/hosting/v1/dns/zones/{domain}/records");
    table.row("cleared", &up.replace("example.nl", Vec::new()).await);
}

async fn hosting_and_orders(up: &Upstreams, table: &mut Table) {
    table.of("POST /api/v1/orders");
    table.row("hosting", &up.place("HOSTING", hosting("panel.nl")).await);
    let own = CartItem::HostingOwn { space_id: 7, domain: "own.nl".to_owned() };
    table.row("own space", &up.place("OWN", own).await);
    table.row(
        "a domain",
        &up.place("NAME", domain_item(DomainAction::Register, "by-order", None)).await,
    );
    let transfer = domain_item(DomainAction::Transfer, "moved", Some("x7!Kq-04\"a"));
    table.row("a transfer", &up.place("MOVE", transfer).await);
    table.row(
        "a transfer without its code",
        &up.place("LOST", domain_item(DomainAction::Transfer, "lost", None)).await,
    );
    table.row(
        "a taken domain",
        &up.place("TAKEN", domain_item(DomainAction::Register, "taken", None)).await,
    );
    up.house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "foreign_403" }));
    table.row("for somebody else", &up.place("FOREIGN", hosting("foreign.nl")).await);
    let dns_alone = CartItem::Hosting {
        product_uuid: DNS_ALONE.to_owned(),
        domain: "dns.nl".to_owned(),
        billing_period: None,
        target_url: None,
    };
    table.row("hosting without a panel", &up.place("DNS", dns_alone).await);
    table.of("GET /api/v1/orders/{id}");
    table.row("ours", &up.order(110).await);
    table.row("foreign", &up.order(7).await);
    table.row("unknown", &up.order(999_999).await);
    table.of("GET /api/hosting/v1/sites");
    table.row("all", &up.sites().await);
    table.of("GET /api/hosting/v1/sites/{id}");
    table.row("ours", &up.site(2019).await);
    table.row("unknown", &up.site(1).await);
    table.of("GET /api/hosting/v1/sites/{id}/login");
    table.row("ours", &up.login(2019).await);
    table.row("without a panel", &up.login(2021).await);
    table.row("foreign", &up.login(1).await);
}

async fn leanstack(up: &Upstreams, table: &mut Table) {
    table.of("POST /v1/enterprise/domain_availability");
    table.row("free", &up.availability("tunji", "com").await);
    table.row("taken", &up.availability("taken", "com").await);
    table.row("of an ending that is not sold", &up.availability("tunji", "hu").await);
    table.of("POST /v1/enterprise/domain_suggestion");
    table.row("some", &up.suggestions("tunji").await);
    for (contract, path, email) in [
        (Contract::Seed, "add_customer", "bob@example.com"),
        (Contract::Edition2022, "customer", "eve@example.com"),
    ] {
        table.of(&format!("POST /v1/enterprise/{path}"));
        let customer = leanstack_customer(email);
        table.row("new", &up.add_customer(contract, &customer).await);
        table.row("known", &up.add_customer(contract, &customer).await);
        let mut wrong = leanstack_customer("other@example.com");
        wrong.country = "NLD".to_owned();
        table.row("a country of three letters", &up.add_customer(contract, &wrong).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_documented_answer_of_each_endpoint_is_understood() {
    let up = Upstreams::new().await;
    let mut table = Table::default();
    up.house
        .sandbox
        .state()
        .put_domain(&json!({ "domain": "foreign.nl", "status": "active", "foreign": true }))
        .unwrap();
    catalogue(&up, &mut table).await;
    contacts(&up, &mut table).await;
    domains(&up, &mut table).await;
    hosting_and_orders(&up, &mut table).await;
    zones(&up, &mut table).await;
    leanstack(&up, &mut table).await;
    insta::assert_snapshot!("documented_answers", table.0);
    let answered = |endpoint: &&str| up.seen.of(endpoint).contains("ok");
    let all = ljpc::ENDPOINTS.iter().chain(&leanstack::ENDPOINTS).map(|endpoint| endpoint.name);
    assert_eq!(all.filter(|endpoint| !answered(endpoint)).collect::<Vec<_>>(), [""; 0]);
}

//! `domain_register`: from the check to the name with its wishes.

use provisor::{
    clock::Deadline,
    config::Settings,
    sandbox::Stage,
    upstream::{
        Secret, Unobserved,
        ljpc::{self, CreateContact, Ljpc, LjpcSettings},
    },
};
use serde_json::{Value, json};

use super::{CONTACTS, a_record, customer, register, with};
use crate::house::{House, eventually};

/// All that can be wished of a name.
fn every_wish() -> Value {
    json!({
        "years": 2,
        "nameservers": ["ns1.example.com", "ns2.example.com", "ns3.example.com"],
        "auto_renew": false,
        "transfer_lock": false,
        "max_cost": "6.98",
        "dns": [a_record("@", "192.0.2.10"), a_record("www", "192.0.2.10")],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_registration_asks_no_more_than_it_needs() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("register_plain", house.story("SHOP-1", 0).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_checked_priced_bought_and_then_arranged() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", every_wish())])).await;
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("register_with_every_wish", house.story("SHOP-1", 0).await);
    house.assert_bought_once();
    let domains = house.sandbox.state().domains();
    assert_eq!(domains[0].reference.as_deref(), Some("SHOP-1/0"), "it bears its tag");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_by_an_order_has_its_wishes_arranged_afterwards() {
    let house = House::with(|options| options.delay = std::time::Duration::from_hours(1)).await;
    let daemon = house.quick_daemon();
    let wishes = json!({
        "route": "order", "nameservers": ["ns1.example.com", "ns2.example.com"], "auto_renew": false,
        "contact_handle": "sandbox-account", "dns": [a_record("@", "192.0.2.10")],
    });
    house.order_names("SHOP-1", json!([register("example.co.uk", wishes)])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    insta::assert_snapshot!("register_by_order", house.story("SHOP-1", 0).await);
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_splits_the_name_at_its_longest_ending() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let by_order = || json!({ "route": "order" });
    let names = ["example.2000.hu", "example.co.uk", "example.uk", "пример.xn--p1ai", "bücher.nl"];
    for (n, name) in names.into_iter().enumerate() {
        let reference = format!("SHOP-{n}");
        house.order_names(&reference, json!([register(name, by_order())])).await;
        house.until_order(&reference, "completed").await;
    }
    let parts: Vec<(Value, Value)> = house
        .requests("POST", "/api/v1/orders")
        .iter()
        .map(|post| {
            let body: Value = serde_json::from_str(post.body.as_str()).unwrap();
            let item = &body["order_lines"][0]["cart_item"];
            (item["sld"].clone(), item["tld"].clone())
        })
        .collect();
    let expected = [
        ("example", "2000.hu"),
        ("example", "co.uk"),
        ("example", "uk"),
        ("xn--e1afmkfd", "xn--p1ai"),
        ("xn--bcher-kva", "nl"),
    ];
    assert_eq!(parts, expected.map(|(sld, tld)| (json!(sld), json!(tld))));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_one_contact_for_each_content_and_shares_none() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let moved = with(customer("C-77"), json!({ "address": "Otherstreet 2" }));
    let firm = with(customer("C-77"), json!({ "organization": "Example Ltd" }));
    // The same content in another spelling.
    let same = with(
        customer("C-77"),
        json!({ "city": " Testcity ", "postal_code": "1234 ab", "email": "Bob@Example.com" }),
    );
    let stranger = customer("C-78");
    let table = [
        ("FIRST", &customer("C-77"), "sandbox-0001"),
        ("AGAIN", &customer("C-77"), "sandbox-0001"),
        ("SAME", &same, "sandbox-0001"),
        ("OTHER", &stranger, "sandbox-0002"),
        ("MOVED", &moved, "sandbox-0003"),
        ("FIRM", &firm, "sandbox-0004"),
        ("BACK", &customer("C-77"), "sandbox-0001"),
    ];
    for (reference, customer, handle) in table {
        let name = format!("{}.nl", reference.to_lowercase());
        house.order_of(reference, customer, json!([register(&name, json!({}))])).await;
        house.until_order(reference, "completed").await;
        assert_eq!(handle_of(&house, reference).await.as_deref(), Some(handle), "{reference}");
    }
    assert_eq!(house.sandbox.state().summary().contacts, 4);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_without_a_reference_is_that_orders_own() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    let mut guest = customer("");
    guest.as_object_mut().unwrap().remove("reference");
    for reference in ["ONE", "TWO"] {
        let name = format!("{}.nl", reference.to_lowercase());
        house.order_of(reference, &guest, json!([register(&name, json!({}))])).await;
        house.until_order(reference, "completed").await;
    }
    assert_ne!(handle_of(&house, "ONE").await, handle_of(&house, "TWO").await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_one_customer_at_once_make_one_contact() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": CONTACTS, "fault": "slow", "delay_ms": 300 }));
    let lines: Vec<Value> = (0..6).map(|n| register(&format!("name-{n}.nl"), json!({}))).collect();
    house.order_names("MANY", json!(lines)).await;
    house.order_names("ONE", json!([register("one.nl", json!({}))])).await;
    let daemons = [house.quick_daemon(), house.quick_daemon()];
    house.until_order("MANY", "completed").await;
    house.until_order("ONE", "completed").await;
    let summary = house.sandbox.state().summary();
    assert_eq!((summary.contacts, summary.registrations), (1, 7));
    house.assert_bought_once();
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_there_already_is_found_and_goes_to_one_customer_alone() {
    let house = House::new().await;
    let settings = house.settings(&[]);
    let handle = make_contact(&settings).await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("one.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(handle_of(&house, "SHOP-1").await, Some(handle.clone()));
    assert_eq!(house.sandbox.state().summary().contacts, 1, "no other was made");
    let other = customer("C-78");
    house.order_of("SHOP-2", &other, json!([register("two.nl", json!({}))])).await;
    house.until_order("SHOP-2", "completed").await;
    assert_ne!(handle_of(&house, "SHOP-2").await, Some(handle));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_handle_is_used_and_nobody_looks_for_contacts() {
    let house = House::new().await;
    let handle = make_contact(&house.settings(&[])).await;
    let daemon = house.quick_daemon();
    let named = register("example.nl", json!({ "contact_handle": handle }));
    house.submit("SHOP-1", json!([named])).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(handle_of(&house, "SHOP-1").await, Some(handle));
    assert!(house.requests("GET", "/api/hosting/v1/contacts").is_empty());
    assert_eq!(house.sandbox.state().summary().contacts, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_spellings_are_one_name() {
    let house = House::new().await;
    let first = register("Bücher.nl", json!({ "auto_renew": false }));
    house.order_names("FIRST", json!([first])).await;
    let second = register("xn--bcher-kva.nl", json!({ "auto_renew": true }));
    house.order_of("SECOND", &customer("C-78"), json!([second])).await;
    let daemon = house.quick_daemon();
    house.until_order("FIRST", "completed").await;
    house.until_order("SECOND", "failed").await;
    for reference in ["FIRST", "SECOND"] {
        let line = house.line(reference, 0).await;
        assert_eq!(line.domain.as_deref(), Some("xn--bcher-kva.nl"), "{reference}");
    }
    assert_eq!(
        house.line("SECOND", 0).await.why(),
        "xn--bcher-kva.nl can't be registered: LJPc says taken"
    );
    let rows: Vec<(String, String, Option<bool>, Option<bool>)> = sqlx::query_as(
        "SELECT domain, customer_reference, auto_renew_wished, auto_renew_seen FROM provisor.domain_status",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    // The first one's wish, not the second's.
    let name = ("xn--bcher-kva.nl".to_owned(), "C-77".to_owned(), Some(false), Some(false));
    assert_eq!(rows, [name]);
    // The customer may name it as before.
    for spelling in ["bücher.nl", "xn--bcher-kva.nl"] {
        house.world.run(&format!("SELECT provisor.set_auto_renew('{spelling}', true)")).await;
    }
    house.assert_bought_once();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_slow_to_appear_is_waited_for() {
    let house = House::new().await;
    house.fault(
        &json!({ "endpoint": "GET /api/hosting/v1/domain-names/{domain}", "fault": "status",
                         "status": 404, "message": "Domain not found", "times": 3 }),
    );
    let daemon = house.quick_daemon();
    house
        .order_names("SHOP-1", json!([register("example.nl", json!({ "auto_renew": false }))]))
        .await;
    house.until_order("SHOP-1", "completed").await;
    let asked = house.requests("GET", "/api/hosting/v1/domain-names/example.nl");
    let statuses: Vec<u16> =
        asked.iter().filter_map(|get| Some(get.answer.as_ref()?.status)).collect();
    assert_eq!(statuses[..4], [404, 404, 404, 200]);
    assert_eq!(house.sandbox.state().summary().registrations, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wish_counts_that_was_uttered_last_before_the_name_is_there() {
    let house = House::new().await;
    house
        .order_names("SHOP-1", json!([register("example.nl", json!({ "auto_renew": true }))]))
        .await;
    house.world.run("SELECT provisor.set_auto_renew('example.nl', false)").await;
    let daemon = house.quick_daemon();
    house.until_order("SHOP-1", "completed").await;
    assert!(!house.sandbox.state().domains()[0].auto_renew);
    let patches = house.requests("PATCH", "/");
    assert_eq!(patches.len(), 1);
    assert_eq!(patches[0].body.as_str(), r#"{"auto_renew":false}"#);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_a_wish_is_never_changed() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("example.nl", json!({}))])).await;
    house.until_order("SHOP-1", "completed").await;
    eventually("it rests", async || !house.runs(house.line("SHOP-1", 0).await.id).await.1).await;
    assert!(house.requests("PATCH", "/").is_empty());
    assert!(house.requests("PUT", "/").is_empty());
    daemon.stop().await;
}

/// The WHOIS contact that the view shows of an order's first line.
async fn handle_of(house: &House, reference: &str) -> Option<String> {
    sqlx::query_scalar(
        "SELECT contact_handle FROM provisor.line_status WHERE reference = $1 AND line = 0",
    )
    .bind(reference)
    .fetch_one(&house.world.pool)
    .await
    .expect("the line is there")
}

/// Makes the contact of the usual customer as somebody else would, past Provisor.
async fn make_contact(settings: &Settings) -> String {
    let ljpc = client(settings);
    let contact = CreateContact {
        name: "Bob Brown".to_owned(),
        address: "Teststreet 1".to_owned(),
        country: "NL".to_owned(),
        organization: None,
        postal_code: Some("1234 AB".to_owned()),
        city: Some("Testcity".to_owned()),
        email: Some("bob@example.com".to_owned()),
        voice: Some("+31612345678".to_owned()),
    };
    let deadline = Deadline::after(settings.ljpc.timeout);
    let endpoint = &ljpc::endpoints::CREATE_CONTACT;
    let connected = ljpc.connect(endpoint, deadline).await.expect("it listens");
    let made = ljpc.create_contact(connected, &contact.prepare(), deadline).await;
    made.expect("a contact is made").handle
}

/// A client of the house's LJPc.
fn client(settings: &Settings) -> Ljpc {
    let settings = LjpcSettings {
        base_url: settings.ljpc.base_url.clone(),
        api_key: Secret::new(provisor::sandbox::SandboxOptions::default().api_key),
        timeout: settings.ljpc.timeout,
        allow_http: true,
    };
    Ljpc::new(settings, std::sync::Arc::new(Unobserved)).expect("a client")
}

//! Names as a client sees them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sandbox::tests::{Running, Seen, sandbox, sandbox_with};

const NAMES: &str = "/api/hosting/v1/domain-names";

async fn check(sandbox: &Running, query: &str) -> Value {
    sandbox.get(&format!("{NAMES}/check?{query}")).await.json()["data"].clone()
}

async fn show(sandbox: &Running, domain: &str) -> Seen {
    sandbox.get(&format!("{NAMES}/{domain}")).await
}

async fn transfer(sandbox: &Running, domain: &str, auth_code: &str, handle: &str) -> Seen {
    let body = json!({"auth_code": auth_code, "contact_handle": handle});
    sandbox.post(&format!("{NAMES}/{domain}/transfer"), &body).await
}

fn refusal(seen: &Seen) -> (u16, String) {
    (seen.status(), seen.json()["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn each_name_asked_for_has_its_word() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    assert_eq!(sandbox.register("mine.nl", &handle).await.status(), 201);
    let query = "domain[]=free.nl&domain[]=MINE.nl&domain[]=taken.nl&domain[]=taken-1.co.uk\
                 &domain[]=x.zz&domain[]=www.free.nl&domain[]=-.nl&domain[]=%D0%BF.xn--p1ai";
    assert_eq!(
        check(&sandbox, query).await,
        json!({"free.nl": "available", "MINE.nl": "taken", "taken.nl": "taken",
            "taken-1.co.uk": "taken", "x.zz": "unknown", "www.free.nl": "invalid",
            "-.nl": "invalid", "п.xn--p1ai": "available"})
    );
    assert_eq!(check(&sandbox, "domain=free.nl").await, json!({"free.nl": "available"}));
}

#[tokio::test]
async fn a_question_names_something_and_not_too_much() {
    let sandbox = sandbox().await;
    let many = "domain[]=a.nl&".repeat(101);
    for path in ["check", "price"] {
        for (query, message) in [
            ("", "The domain field is required."),
            ("domain=", "The domain field is required."),
            (&many, "The domain field must not have more than 100 items."),
        ] {
            let seen = sandbox.get(&format!("{NAMES}/{path}?{query}")).await;
            assert_eq!(refusal(&seen), (422, message.to_owned()), "{path}");
        }
    }
}

#[tokio::test]
async fn prices_are_texts_in_euros_and_premium_ones_are_marked() {
    let sandbox = sandbox().await;
    let query = "domain[]=a.nl&domain[]=premium-a.nl&domain[]=a.zz&domain[]=a.onl";
    let prices = sandbox.get(&format!("{NAMES}/price?{query}")).await.json()["data"].clone();
    let euro = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    assert_eq!(
        prices,
        json!({
            "a.nl": {"premium": false, "price": euro("3.49"), "price_eur": euro("3.49")},
            "premium-a.nl": {"premium": true, "price": {"amount": "540.00", "currency": "USD"},
                "price_eur": euro("499.00")},
            "a.zz": null,
            "a.onl": {"premium": false, "price": euro("26.99"), "price_eur": euro("26.99")}
        })
    );
}

#[tokio::test]
async fn the_guards_of_a_registration_stand_in_the_documents_order() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    assert_eq!(sandbox.register("mine.nl", &handle).await.status(), 201);
    let exists = (422, "Domain already exists".to_owned());
    for (domain, handle, refused) in [
        ("mine.zz", "foreign", (422, "TLD 'zz' is not supported".to_owned())),
        ("mine.nl", "foreign", exists.clone()),
        ("MINE.nl", &handle, exists.clone()),
        ("taken.nl", &handle, exists),
        ("free.nl", "foreign", (403, "Contact handle does not belong to you".to_owned())),
        ("www.free.nl", &handle, (422, "The domain field must be a valid domain name.".to_owned())),
    ] {
        assert_eq!(refusal(&sandbox.register(domain, handle).await), refused, "{domain}");
    }
    let summary = sandbox.state().summary();
    assert_eq!((summary.registrations, summary.contacts, summary.bought_twice.len()), (1, 1, 0));
}

#[tokio::test]
async fn the_fields_of_a_registration_are_checked() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    for (change, message) in [
        (json!({"domain": null}), "The domain field is required."),
        (json!({"domain": "-.nl"}), "The domain field must be a valid domain name."),
        (json!({"contact_handle": ""}), "The contact handle field is required."),
        (json!({"years": 0}), "The years field must be between 1 and 10."),
        (json!({"years": 11}), "The years field must be between 1 and 10."),
        (json!({"years": "two"}), "The years field must be an integer."),
        (
            json!({"nameservers": ["ns1.example.nl"]}),
            "The nameservers field must have between 2 and 13 items.",
        ),
        (
            json!({"nameservers": vec!["ns1.example.nl"; 14]}),
            "The nameservers field must have between 2 and 13 items.",
        ),
        (json!({"external_reference": 1}), "The external reference field must be a string."),
    ] {
        let mut body = json!({"domain": "free.nl", "contact_handle": handle});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let seen = sandbox.post(NAMES, &body).await;
        assert_eq!(refusal(&seen), (422, message.to_owned()));
    }
    assert_eq!(sandbox.state().domains().len(), 0);
}

#[tokio::test]
async fn a_registered_name_is_listed_and_shown_as_it_was_asked_for() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    let hosts = json!(["ns1.example.nl", "NS2.example.nl"]);
    let body = json!({"domain": "Bücher.nl", "contact_handle": handle, "years": 3,
        "nameservers": hosts, "external_reference": "SHOP-1/0"});
    let made = sandbox.post(NAMES, &body).await;
    assert_eq!((made.status(), &made.json()["data"]["domain"]), (201, &json!("xn--bcher-kva.nl")));
    for spelling in ["xn--bcher-kva.nl", "b%C3%BCcher.nl", "XN--BCHER-KVA.nl"] {
        let shown = show(&sandbox, spelling).await.json()["data"].clone();
        assert_eq!(shown["nameservers"], json!(["ns1.example.nl", "ns2.example.nl"]));
        assert_eq!(shown["contact_handle"], json!(handle));
        assert!(shown["expires_at"].as_str().unwrap().ends_with("+02:00"), "{shown}");
    }
    let seen = sandbox.state().domains().remove(0);
    assert_eq!(seen.reference.as_deref(), Some("SHOP-1/0"));
    let years = seen.expires_at.unwrap().signed_duration_since(crate::clock::now()).num_days();
    assert!((1094..=1096).contains(&years), "{years}");
    assert_eq!(refusal(&show(&sandbox, "free.nl").await), (404, "Domain not found".to_owned()));
}

#[tokio::test]
async fn names_come_in_pages() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    for n in 0..5 {
        sandbox.register(&format!("n{n}.nl"), &handle).await;
    }
    let page = sandbox.get(&format!("{NAMES}?page=2&per_page=2")).await.json()["data"].clone();
    let names: Vec<&Value> =
        page["domains"].as_array().unwrap().iter().map(|row| &row["domain"]).collect();
    assert_eq!(names, ["n2.nl", "n3.nl"]);
    assert_eq!([&page["total"], &page["page"], &page["per_page"]], [5, 2, 2]);
    assert_eq!(sandbox.get(&format!("{NAMES}?per_page=101")).await.status(), 422);
}

#[tokio::test]
async fn a_transfer_is_pending_for_the_delay_and_then_ours() {
    let sandbox = sandbox_with(|options| options.delay = Duration::from_millis(200)).await;
    let handle = sandbox.contact().await;
    let begun = transfer(&sandbox, "moving.nl", "a\"b<c", &handle).await;
    assert_eq!(begun.status(), 202);
    let shown = show(&sandbox, "moving.nl").await.json()["data"].clone();
    assert_eq!(
        (&shown["status"], &shown["expires_at"]),
        (&json!("pending_transfer"), &Value::Null)
    );
    let again = transfer(&sandbox, "moving.nl", "a\"b<c", &handle).await;
    assert_eq!(refusal(&again), (422, "Domain already exists".to_owned()));
    let arrived = async {
        while show(&sandbox, "moving.nl").await.json()["data"]["status"] != "active" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
    assert!(!show(&sandbox, "moving.nl").await.json()["data"]["expires_at"].is_null());
    assert_eq!(sandbox.state().summary().transfers, 1);
}

#[tokio::test]
async fn a_transfer_with_the_wrong_code_or_fate_is_rejected_and_may_be_asked_for_anew() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    assert_eq!(transfer(&sandbox, "a.nl", "wrong", &handle).await.status(), 202);
    assert_eq!(show(&sandbox, "a.nl").await.json()["data"]["status"], "transfer_rejected");
    let endpoint = "POST /api/hosting/v1/domain-names/{domain}/transfer";
    sandbox.fault(&json!({"endpoint": endpoint, "fault": "fail", "match": {"domain": "a.nl"}}));
    assert_eq!(transfer(&sandbox, "a.nl", "right", &handle).await.status(), 202);
    assert_eq!(show(&sandbox, "a.nl").await.json()["data"]["status"], "transfer_rejected");
    assert_eq!(transfer(&sandbox, "a.nl", "right", &handle).await.status(), 202);
    assert_eq!(show(&sandbox, "a.nl").await.json()["data"]["status"], "active");
    let summary = sandbox.state().summary();
    assert_eq!((summary.transfers, summary.bought_twice.len()), (3, 0));
}

#[tokio::test]
async fn what_cannot_be_transferred_is_refused() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    let foreign = "Contact handle does not belong to you";
    for (domain, code, handle, refused) in [
        ("a.zz", "x", handle.as_str(), (422, "TLD 'zz' is not supported")),
        ("a.gr", "x", &handle, (422, "TLD 'gr' does not support transfers")),
        ("a.nl", "", &handle, (422, "The auth code field is required.")),
        ("a.nl", "x", "foreign", (403, foreign)),
        ("-.nl", "x", &handle, (422, "The domain field must be a valid domain name.")),
    ] {
        let seen = transfer(&sandbox, domain, code, handle).await;
        assert_eq!(refusal(&seen), (refused.0, refused.1.to_owned()), "{domain}");
    }
    assert_eq!(sandbox.state().summary().transfers, 0);
}

#[tokio::test]
async fn only_what_differs_is_changed() {
    let sandbox = sandbox().await;
    let (handle, other) = (sandbox.contact().await, sandbox.contact().await);
    sandbox.register("mine.nl", &handle).await;
    let path = format!("{NAMES}/mine.nl");
    let none = (422, "No changes to apply".to_owned());
    for body in [json!({}), json!({"auto_renew": true, "whois_contact_handle": handle})] {
        assert_eq!(refusal(&sandbox.call("PATCH", &path, &body).await), none, "{body}");
    }
    for (body, refused) in [
        (json!({"auto_renew": "no"}), (422, "The auto renew field must be true or false.")),
        (
            json!({"nameservers": vec!["ns1.example.nl"; 5]}),
            (422, "The nameservers field must have between 2 and 4 items."),
        ),
        (
            json!({"whois_contact_handle": "foreign", "auto_renew": false}),
            (403, "Contact handle does not belong to you"),
        ),
    ] {
        let seen = sandbox.call("PATCH", &path, &body).await;
        assert_eq!(refusal(&seen), (refused.0, refused.1.to_owned()));
    }
    let hosts = json!(["ns1.example.nl", "ns2.example.nl"]);
    let wish = json!({"auto_renew": false, "transfer_lock": false, "nameservers": hosts,
        "whois_contact_handle": other});
    assert_eq!(sandbox.call("PATCH", &path, &wish).await.status(), 200);
    let shown = show(&sandbox, "mine.nl").await.json()["data"].clone();
    assert_eq!((&shown["auto_renew"], &shown["transfer_lock"]), (&json!(false), &json!(false)));
    assert_eq!((&shown["nameservers"], &shown["contact_handle"]), (&hosts, &json!(other)));
    assert_eq!(refusal(&sandbox.call("PATCH", &path, &wish).await), none);
    let foreign = sandbox.call("PATCH", &format!("{NAMES}/free.nl"), &json!({})).await;
    assert_eq!(refusal(&foreign), (404, "Domain not found".to_owned()));
}

#[tokio::test]
async fn an_auth_code_holds_difficult_characters_and_stays_the_same() {
    let sandbox = sandbox_with(|options| options.delay = Duration::from_hours(1)).await;
    let handle = sandbox.contact().await;
    sandbox.register("mine.nl", &handle).await;
    sandbox.register("yours.nl", &handle).await;
    transfer(&sandbox, "moving.nl", "x", &handle).await;
    let code = async |domain: &str| sandbox.get(&format!("{NAMES}/{domain}/authcode")).await;
    let mine = code("mine.nl").await.json()["data"]["auth_code"].clone();
    assert!(mine.as_str().unwrap().contains("\"'&<"), "{mine}");
    assert_eq!(code("mine.nl").await.json()["data"]["auth_code"], mine);
    assert_ne!(code("yours.nl").await.json()["data"]["auth_code"], mine);
    for domain in ["free.nl", "moving.nl", "-"] {
        let message = "Auth code is not available for this domain".to_owned();
        assert_eq!(refusal(&code(domain).await), (404, message), "{domain}");
    }
}

#[tokio::test]
async fn orders_bring_names_too_and_fail_where_they_cannot() {
    let sandbox = sandbox().await;
    let order = async |sld: &str, action: &str, code: &str| {
        let item = json!({"type": "domain", "action": action, "sld": sld, "tld": "nl",
            "auth_code": code});
        let body = json!({"meta": {"external_reference": "SHOP-1/0"},
            "order_lines": [{"description": "d", "cart_item": item}]});
        let id = sandbox.post("/api/v1/orders", &body).await.json()["data"]["order"]["id"].clone();
        let shown = sandbox.get(&format!("/api/v1/orders/{id}")).await.json();
        shown["data"]["simple_status"].as_str().unwrap().to_owned()
    };
    assert_eq!(order("mine", "register", "").await, "completed");
    assert_eq!(order("moving", "transfer", "x").await, "completed");
    assert_eq!(order("other", "transfer", "wrong").await, "failed");
    assert_eq!(order("taken", "register", "").await, "failed");
    assert_eq!(order("mine", "register", "").await, "failed");
    let seen = sandbox.state().domains();
    let names: Vec<&str> = seen.iter().map(|domain| domain.domain.as_str()).collect();
    assert_eq!(names, ["mine.nl", "moving.nl"]);
    assert!(seen.iter().all(|domain| domain.status == "active"));
    let account = format!("/api/hosting/v1/contacts/{}", seen[0].contact_handle);
    assert_eq!(sandbox.get(&account).await.status(), 200);
    let summary = sandbox.state().summary();
    assert_eq!((summary.registrations, summary.transfers), (1, 1));
    assert_eq!(summary.bought_twice, [("mine.nl".to_owned(), 2)].into());
}

#[tokio::test]
async fn an_order_that_failed_has_bought_no_name() {
    let sandbox = sandbox().await;
    let item = json!({"type": "domain", "action": "register", "sld": "mine", "tld": "nl"});
    let body = json!({"order_lines": [{"description": "d", "cart_item": item}]});
    sandbox.fault(&json!({"endpoint": "POST /api/v1/orders", "fault": "fail"}));
    for _ in 0..2 {
        assert_eq!(sandbox.post("/api/v1/orders", &body).await.status(), 201);
    }
    assert_eq!(sandbox.state().domains().len(), 1);
    let summary = sandbox.state().summary();
    assert_eq!((summary.registrations, summary.bought_twice.len()), (1, 0));
}

#[tokio::test]
async fn faults_find_their_name_and_reference() {
    let sandbox = sandbox().await;
    let handle = sandbox.contact().await;
    sandbox.fault(&json!({"endpoint": "POST /api/hosting/v1/domain-names",
        "fault": "process_then_drop", "match": {"domain": "lost.nl"}}));
    assert_eq!(sandbox.register("safe.nl", &handle).await.status(), 201);
    assert_eq!(sandbox.register("LOST.nl", &handle).await.bytes, b"");
    assert_eq!(show(&sandbox, "lost.nl").await.status(), 200, "it was registered all the same");

    sandbox.fault(&json!({"endpoint": "POST /api/hosting/v1/domain-names/{domain}/transfer",
        "fault": "process_then_drop", "match": {"reference": "SHOP-9"}}));
    assert_eq!(transfer(&sandbox, "a.nl", "x", &handle).await.status(), 202);
    let body =
        json!({"auth_code": "x", "contact_handle": handle, "external_reference": "SHOP-9/0"});
    assert_eq!(sandbox.post(&format!("{NAMES}/b.nl/transfer"), &body).await.bytes, b"");

    sandbox.fault(&json!({"endpoint": "PATCH /api/hosting/v1/domain-names/{domain}",
        "fault": "process_then_drop", "match": {"reference": "SHOP-9/0"}}));
    let wish = json!({"auto_renew": false});
    assert_eq!(sandbox.call("PATCH", &format!("{NAMES}/b.nl"), &wish).await.bytes, b"");
    assert_eq!(show(&sandbox, "b.nl").await.json()["data"]["auto_renew"], false);

    sandbox.fault(&json!({"endpoint": "GET /api/hosting/v1/domain-names/check",
        "fault": "drop", "match": {"domain": "b.nl"}}));
    assert_eq!(check(&sandbox, "domain=a.com").await, json!({"a.com": "available"}));
    assert_eq!(sandbox.get(&format!("{NAMES}/check?domain=b.nl")).await.bytes, b"");
    sandbox
        .fault(&json!({"endpoint": "POST /api/hosting/v1/domain-names", "fault": "foreign_403"}));
    let refused = refusal(&sandbox.register("c.nl", &handle).await);
    assert_eq!(refused, (403, "Contact handle does not belong to you".to_owned()));
}

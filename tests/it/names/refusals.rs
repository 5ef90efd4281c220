//! Names that can't be had, or not without a person's word: nothing is sent for them.

use serde_json::{Value, json};

use super::{a_record, customer, register, transfer};
use crate::house::House;

/// An order's line, where it ends, and what the line says.
type Case = (Value, &'static str, &'static str);

fn registrations() -> Vec<Case> {
    let plain = |name: &str| register(name, json!({}));
    let odd = |record: Value| register("odd.nl", json!({ "dns": [record] }));
    vec![
        (plain("taken.nl"), "failed", "taken.nl can't be registered: LJPc says taken"),
        (plain("example.xyz"), "failed", "LJPc sells no ending of example.xyz"),
        (plain("www.example.nl"), "failed", "LJPc sells no ending of www.example.nl"),
        (plain("xn--a.nl"), "failed", "is not a domain name"),
        (plain("nl.2000.hu"), "completed", ""),
        (
            register("dear.nl", json!({ "years": 3, "max_cost": "10.46" })),
            "held",
            "dear.nl costs 10.47 EUR, more than max_cost 10.46 EUR",
        ),
        (register("fair.nl", json!({ "years": 3, "max_cost": "10.47" })), "completed", ""),
        (
            plain("premium.nl"),
            "held",
            "premium.nl is a premium name, 499.00 EUR, and allow_premium is not set",
        ),
        (
            register("premium-2.nl", json!({ "allow_premium": true, "max_cost": "498.99" })),
            "held",
            "premium-2.nl costs 499.00 EUR, more than max_cost 498.99 EUR",
        ),
        (register("premium-3.nl", json!({ "allow_premium": true })), "completed", ""),
        (odd(a_record("@", "no address")), "failed", "dns[0].content: must be an IPv4 address"),
        (
            register("foreign-handle.nl", json!({ "contact_handle": "BB0001-EX" })),
            "failed",
            "LJPc refused the registration: Contact handle does not belong to you",
        ),
    ]
}

fn transfers() -> Vec<Case> {
    vec![
        (transfer("example.gr", json!({})), "failed", "LJPc can't transfer names under .gr"),
        (transfer("example.xyz", json!({})), "failed", "LJPc sells no ending of example.xyz"),
        (
            transfer("dear.nl", json!({ "max_cost": "3.48" })),
            "held",
            "dear.nl costs 3.49 EUR, more than max_cost 3.48 EUR",
        ),
        (transfer("fair.nl", json!({ "max_cost": "3.49" })), "completed", ""),
        (
            transfer("premium.nl", json!({})),
            "held",
            "premium.nl is a premium name, 499.00 EUR, and allow_premium is not set",
        ),
        (
            transfer("foreign-handle.nl", json!({ "contact_handle": "BB0001-EX" })),
            "failed",
            "LJPc refused the transfer: Contact handle does not belong to you",
        ),
    ]
}

/// Carries all cases out, each as an order of its own, and compares.
async fn compare(house: &House, cases: Vec<Case>) {
    for (n, (line, ..)) in cases.iter().enumerate() {
        house.order_of(&format!("SHOP-{n}"), &customer("C-77"), json!([line])).await;
    }
    for (n, (line, status, reason)) in cases.iter().enumerate() {
        let reference = format!("SHOP-{n}");
        house.until_line(&reference, 0, status).await;
        let seen = house.line(&reference, 0).await;
        assert!(seen.why().contains(reason), "{line}: {}", seen.why());
        assert_eq!(seen.why().is_empty(), reason.is_empty(), "{line}: {}", seen.why());
        let order = if *status == "held" { "attention" } else { status };
        house.until_order(&reference, order).await;
        let told = house.told_operator(&reference, "held").await;
        assert_eq!(told, usize::from(*status == "held"), "{line}");
        let failed = house.count_emails(&reference, "order_failed").await;
        assert_eq!(failed, usize::from(*status == "failed"), "{line}");
        if *status == "held" {
            assert!(!seen.sent, "{line}");
            assert_eq!(house.cancel(&reference).await, "cancelled", "{line}");
        }
    }
    house.assert_bought_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_can_not_be_are_failed_and_dear_ones_are_held() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    compare(&house, registrations()).await;
    assert_eq!(house.sandbox.state().summary().registrations, 3);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_can_not_be_are_failed_and_dear_ones_are_held() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    compare(&house, transfers()).await;
    let summary = house.sandbox.state().summary();
    assert_eq!((summary.registrations, summary.transfers), (0, 1));
    daemon.stop().await;
}

//! The document's own samples, and everything that is not like them.

use proptest::prelude::*;

use super::{BillingPeriodType, OrderDetail, SimpleStatus, orders, products, sites};
use crate::{
    order::{SiteId, UpstreamOrderId},
    upstream::{Answer, UpstreamError},
};

const CREATED: &str = include_str!("../../../tests/fixtures/ljpc_client/order_created.json");
const DETAIL: &str = include_str!("../../../tests/fixtures/ljpc_client/order_detail.json");
const ERROR: &str = include_str!("../../../tests/fixtures/ljpc/post_orders_422.json");
const PRODUCTS: &str = include_str!("../../../tests/fixtures/ljpc/get_products_200.json");
const SITE: &str = include_str!("../../../tests/fixtures/ljpc/get_sites_id_200.json");
const SITES: &str = include_str!("../../../tests/fixtures/ljpc/get_sites_200.json");

fn answer(status: u16, body: &[u8]) -> Answer {
    let head = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
    Answer::new(&head, Ok(body.to_vec().into()), vec![])
}

fn order(json: &str) -> Result<OrderDetail, UpstreamError> {
    orders::read(UpstreamOrderId(110), &answer(200, json.as_bytes()))
}

#[test]
fn sample_of_the_catalogue() {
    let products = products::read(&answer(200, PRODUCTS.as_bytes())).unwrap();
    let [hosting, domain] = products.as_slice() else { panic!("{products:?}") };
    assert_eq!(hosting.category_identifier.as_deref(), Some("hosting_5gb"));
    assert_eq!(hosting.billing_period_type, BillingPeriodType::ClientChoice);
    assert_eq!(hosting.monthly_price, Some("4.99".parse().unwrap()));
    assert_eq!(hosting.yearly_price, Some("49.90".parse().unwrap()));
    assert_eq!(domain.billing_period_type, BillingPeriodType::YearlyOnly);
    assert_eq!(domain.monthly_price, None);
    assert_eq!(domain.required_fields, serde_json::Value::Null);
}

#[test]
fn catalogue_may_be_stranger_than_its_sample() {
    let json = r#"{"products": [
        {"uuid": "a", "price": 4.99, "monthly_price": 1e1, "required_fields": {"space": {"type": "int"}}, "new": [1]},
        {"uuid": "b", "name": null, "billing_period_type": null, "price": "call us"},
        {"uuid": "c", "billing_period_type": "weekly"},
        {"name": "one that can't be ordered, since it has no uuid"},
        7 ], "total": 4}"#;
    let products = products::read(&answer(200, json.as_bytes())).unwrap();
    let [a, b, c] = products.as_slice() else { panic!("{products:?}") };
    assert_eq!(a.price, Some("4.99".parse().unwrap()));
    assert_eq!(a.monthly_price, Some("10".parse().unwrap()));
    assert_eq!((b.price, &b.billing_period_type), (None, &BillingPeriodType::Missing));
    assert_eq!(c.billing_period_type, BillingPeriodType::Unknown("weekly".to_owned()));
}

#[test]
fn catalogue_that_is_none_is_no_empty_one() {
    for json in ["{}", "[]", r#"{"products": null}"#, r#"{"products": {}}"#, ERROR, ""] {
        let result = products::read(&answer(200, json.as_bytes()));
        assert!(matches!(result, Err(UpstreamError::Unavailable { .. })), "{json}: {result:?}");
    }
}

#[test]
fn sample_of_an_order() {
    let order = order(DETAIL).unwrap();
    assert_eq!((order.id.0, order.status.as_str()), (110, "pending"));
    assert_eq!(order.simple_status, SimpleStatus::Pending);
    assert_eq!(order.summary.as_deref(), Some("SHOP-1001/1: Hosting 5 GB for example.nl"));
    assert_eq!(order.total_price, Some("4.99".parse().unwrap()));
    assert_eq!(order.jti.as_deref(), Some("22222222-2222-4222-8222-222222222222"));
    assert_eq!(order.created_at, None);
    let lines: Vec<_> = order.lines.iter().map(|l| (l.index, l.kind.as_str(), l.site_id)).collect();
    assert_eq!(lines, [(0, "hosting", None), (1, "domain", None)]);
    assert_eq!(order.order_lines[1].cart_item["auth_code"], "s3cr3t-c0de");
    assert!(!format!("{order:?}").contains("s3cr3t"), "an auth code is shown");
}

#[test]
fn order_that_is_delivered() {
    let json = DETAIL
        .replace(r#""simple_status": "pending""#, r#""simple_status": "completed""#)
        .replacen(
            r#""state": "pending", "site_id": null"#,
            r#""state": "done", "site_id": 2019"#,
            1,
        );
    let order = order(&json).unwrap();
    assert_eq!(order.simple_status, SimpleStatus::Completed);
    assert_eq!(order.lines[0].site_id, Some(SiteId(2019)));
    assert_eq!(order.lines[0].state, "done");
}

#[test]
fn order_is_read_strictly_where_it_decides() {
    for (strange, with) in [
        ("\"id\": 110", "\"id\": 111"),
        ("\"id\": 110", "\"id\": \"110\""),
        ("\"simple_status\": \"pending\",", ""),
        ("\"simple_status\": \"pending\"", "\"simple_status\": null"),
        ("\"site_id\": null", "\"site_id\": \"soon\""),
        ("\"state\": \"pending\"", "\"state\": 1"),
    ] {
        let json = DETAIL.replacen(strange, with, 1);
        assert_ne!(json, DETAIL, "the case changes nothing");
        let result = order(&json);
        assert!(matches!(result, Err(UpstreamError::Unavailable { .. })), "{with}: {result:?}");
    }
}

#[test]
fn order_is_read_leniently_where_it_does_not_decide() {
    let bare = r#"{"success": true, "data": {"order": {"id": 110, "status": 5, "total_price": "?",
        "created_at": "2026-11-22T05:00:00Z", "order_lines": "?"}, "simple_status": "paused", "provisioning": null}}"#;
    let order = order(bare).unwrap();
    assert_eq!(order.simple_status, SimpleStatus::Unknown("paused".to_owned()));
    assert_eq!((order.status.as_str(), order.total_price, order.jti), ("", None, None));
    assert_eq!(order.created_at.unwrap().to_rfc3339(), "2026-11-22T05:00:00+00:00");
    assert!(order.lines.is_empty() && order.order_lines.is_empty());
}

#[test]
fn samples_of_sites() {
    let page = sites::read_page(&answer(200, SITES.as_bytes())).unwrap();
    assert_eq!((page.items.len(), page.total), (1, 1));
    assert_eq!(page.items[0].domain.as_deref(), Some("example.nl"));
    let site = sites::read_site(SiteId(2019), &answer(200, SITE.as_bytes())).unwrap();
    assert_eq!(site.disk_quota_bytes, Some(10_737_418_240));
    let unmeasured = SITE.replace("3221225472", "null").replace("10737418240", "null");
    let site = sites::read_site(SiteId(2019), &answer(200, unmeasured.as_bytes())).unwrap();
    assert_eq!((site.disk_used_bytes, site.disk_quota_bytes), (None, None));
}

#[test]
fn site_that_can_not_be_read_spoils_the_listing() {
    // A listing without it would say that it is absent.
    let json = SITES.replace("2019", "\"?\"");
    let page = sites::read_page(&answer(200, json.as_bytes())).unwrap();
    assert_eq!((page.items.len(), page.unread), (0, 1));
    assert!(page.whole(&super::endpoints::LIST_SITES).is_err());
}

fn read_as_everything(status: u16, body: &[u8]) {
    super::fuzzed::read_as_everything(&answer(status, body));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    let key = prop_oneof![
        Just("success"),
        Just("jti"),
        Just("message"),
        Just("data"),
        Just("order"),
        Just("id"),
        Just("summary"),
        Just("simple_status"),
        Just("provisioning"),
        Just("lines"),
        Just("sites"),
        Just("total"),
        Just("products"),
        Just("uuid"),
        Just("price"),
        Just("order_lines"),
        Just("example.nl"),
        Just("domain"),
        Just("domains"),
        Just("status"),
        Just("handle"),
        Just("contacts"),
        Just("zone"),
        Just("records"),
        Just("premium"),
        Just("price_eur"),
        Just("amount"),
        Just("currency"),
        Just("url"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(status in 100_u16..1000, body: Vec<u8>) {
        read_as_everything(status, &body);
    }

    #[test]
    fn any_json_is_read_without_a_panic(status in 100_u16..1000, body in json()) {
        read_as_everything(status, body.to_string().as_bytes());
        read_as_everything(200, body.to_string().as_bytes());
    }

    #[test]
    fn damaged_samples_are_read_without_a_panic(
        sample in prop::sample::select(vec![CREATED, DETAIL, ERROR, PRODUCTS, SITE, SITES]),
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut: bool,
    ) {
        let mut body = sample.as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        if cut {
            body.truncate(at);
        }
        read_as_everything(201, &body);
        read_as_everything(422, &body);
    }
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    for open in ["[", "{\"data\":"] {
        read_as_everything(201, open.repeat(100_000).as_bytes());
    }
}

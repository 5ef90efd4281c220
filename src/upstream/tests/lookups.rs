//! TLDs, availability and prices: what decides whether a name is bought.

use proptest::prelude::*;

use super::*;
use crate::{
    order::Money,
    upstream::{Answer, ljpc::Checks},
};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn enveloped(data: &str) -> String {
    format!(r#"{{"success": true, "jti": "j", "data": {data}}}"#)
}

/// What `check` says of `asked` when the answer is this.
async fn checked(asked: &str, data: &str) -> Result<Option<String>, UpstreamError> {
    let asked = name(asked);
    let (checks, _) =
        exchange("200 OK", &enveloped(data), async |ljpc| ljpc.check(&[&asked]).await).await;
    checks.map(|checks| checks.of(&asked).map(str::to_owned))
}

/// What `prices` says of example.nl when the answer is this.
async fn priced(entry: &str) -> Result<Option<(bool, Option<Money>)>, UpstreamError> {
    let asked = name("example.nl");
    let body = enveloped(&format!(r#"{{"example.nl": {entry}}}"#));
    let (prices, _) = exchange("200 OK", &body, async |ljpc| ljpc.prices(&[&asked]).await).await;
    prices.map(|prices| prices.of(&asked).map(|price| (price.premium, price.price_eur)))
}

#[tokio::test]
async fn tlds_are_read_as_documented() {
    let (tlds, request) =
        exchange("200 OK", &fixture("get_tlds_200"), async |ljpc| ljpc.tlds().await).await;
    assert_eq!(request, "GET /api/hosting/v1/tlds HTTP/1.1");
    let tlds = tlds.unwrap();
    let read: Vec<_> =
        tlds.iter().map(|t| (t.tld.as_str(), t.price, t.transfer_supported)).collect();
    assert_eq!(read, [("nl", Some(money("3.88")), true), ("2000.hu", Some(money("5")), true)]);
    assert_eq!(tlds[0].currency.as_deref(), Some("EUR"));
}

#[tokio::test]
async fn tld_that_can_not_be_read_is_left_out() {
    let body = enveloped(
        r#"[{"tld": "nl", "price": null, "currency": null, "transfer_supported": false},
            {"tld": "co.uk", "price": "call us", "transfer_supported": true, "new": []},
            {"tld": "de", "price": 1}, {"tld": 5, "transfer_supported": true}, null, "eu"]"#,
    );
    let (tlds, _) = exchange("200 OK", &body, async |ljpc| ljpc.tlds().await).await;
    let tlds = tlds.unwrap();
    let read: Vec<_> =
        tlds.iter().map(|t| (t.tld.as_str(), t.price, t.transfer_supported)).collect();
    assert_eq!(read, [("nl", None, false), ("co.uk", None, true)]);
}

#[tokio::test]
async fn catalogue_of_tlds_that_is_none_is_no_empty_one() {
    for body in ["", "{}", "[]", "<html>", ERROR, &enveloped("null"), &enveloped("{}")] {
        let (tlds, _) = exchange("200 OK", body, async |ljpc| ljpc.tlds().await).await;
        assert_unavailable(&tlds, body);
    }
}

#[tokio::test]
async fn availability_is_read_as_documented() {
    let asked = name("example.nl");
    let body = fixture("get_domain_names_check_200");
    let (checks, request) =
        exchange("200 OK", &body, async |ljpc| ljpc.check(&[&asked]).await).await;
    assert_eq!(request, "GET /api/hosting/v1/domain-names/check?domain=example.nl HTTP/1.1");
    assert_eq!(checks.unwrap().of(&asked), Some("available"));
}

#[tokio::test]
async fn several_names_are_asked_for_at_once() {
    let (a, b) = (name("example.nl"), name("bücher.example"));
    let body = enveloped(r#"{"example.nl": "unknown", "bücher.example": "available"}"#);
    let (checks, request) =
        exchange("200 OK", &body, async |ljpc| ljpc.check(&[&a, &b]).await).await;
    assert_eq!(
        request,
        "GET /api/hosting/v1/domain-names/check?domain%5B%5D=example.nl&domain%5B%5D=xn--bcher-kva.example HTTP/1.1"
    );
    let checks = checks.unwrap();
    assert_eq!((checks.of(&a), checks.of(&b)), (Some("unknown"), Some("available")));
}

#[tokio::test]
async fn many_names_are_asked_for_in_bounded_requests() {
    let names: Vec<DomainName> = (0..51).map(|n| name(&format!("example-{n}.nl"))).collect();
    let asked: Vec<&DomainName> = names.iter().collect();
    let part = |names: &[DomainName]| {
        let entries: Vec<_> = names.iter().map(|n| format!(r#""{n}": "available""#)).collect();
        Act::Keep(answer("200 OK", "", &enveloped(&format!("{{{}}}", entries.join(",")))))
    };
    let server = Server::start(names.chunks(25).map(part)).await;
    let (client, _) = client(&server.url(), PATIENCE);
    let checks = client.check(&asked).await.unwrap();
    assert!(names.iter().all(|name| checks.of(name) == Some("available")));
    let counts: Vec<_> =
        server.requests().iter().map(|request| request.matches("example-").count()).collect();
    assert_eq!(counts, [25, 25, 1]);
    assert!(server.requests()[2].starts_with("GET /api/hosting/v1/domain-names/check?domain=ex"));
    client.check(&[]).await.unwrap();
    assert_eq!(server.requests().len(), 3, "nothing is asked for no name");
}

#[tokio::test]
async fn availability_is_found_under_another_spelling() {
    for (asked, data) in [
        ("example.nl", r#"{"EXAMPLE.NL": "available"}"#),
        ("bücher.example", r#"{"bücher.example": "available"}"#),
        ("BÜCHER.example", r#"{"XN--BCHER-KVA.EXAMPLE": "available"}"#),
        ("example.nl", r#"{"example.nl": "available", "Example.nl": "available", "": 5}"#),
    ] {
        assert_eq!(checked(asked, data).await.unwrap().as_deref(), Some("available"), "{data}");
    }
}

#[tokio::test]
async fn availability_that_is_not_said_is_none() {
    for data in [
        "{}",
        r#"{"example.com": "available"}"#,
        r#"{"example.nl": null}"#,
        r#"{"example.nl": true}"#,
        r#"{"example.nl": {"status": "available"}}"#,
        r#"{"example.nl": "available", "EXAMPLE.nl": "taken"}"#,
    ] {
        assert_eq!(checked("example.nl", data).await.unwrap(), None, "{data}");
    }
    for data in ["[]", "null", "\"available\"", r#"["available"]"#] {
        assert_unavailable(&checked("example.nl", data).await, data);
    }
}

#[tokio::test]
async fn prices_are_read_as_documented() {
    let asked = name("example.nl");
    let body = fixture("get_domain_names_price_200");
    let (prices, request) =
        exchange("200 OK", &body, async |ljpc| ljpc.prices(&[&asked]).await).await;
    assert_eq!(request, "GET /api/hosting/v1/domain-names/price?domain=example.nl HTTP/1.1");
    let prices = prices.unwrap();
    let price = prices.of(&asked).unwrap();
    assert_eq!((price.premium, price.price_eur), (false, Some(money("11.23"))));
    let native = price.price.as_ref().unwrap();
    assert_eq!((native.amount.to_string().as_str(), native.currency.as_str()), ("11.23", "EUR"));
    assert_eq!(prices.of(&name("example.com")), None);
}

#[tokio::test]
async fn price_may_be_stranger_than_its_sample() {
    for (entry, read) in [
        ("null", None),
        (r#"{"premium": true}"#, Some((true, None))),
        (r#"{"premium": false, "price_eur": null, "price": "?"}"#, Some((false, None))),
        (
            r#"{"premium": false, "price_eur": {"amount": 0, "currency": "EUR", "more": 1}}"#,
            Some((false, Some(money("0")))),
        ),
    ] {
        assert_eq!(priced(entry).await.unwrap(), read, "{entry}");
    }
}

#[tokio::test]
async fn price_that_might_mislead_is_none() {
    for entry in [
        // Premium or not: it must be said.
        "{}",
        r#"{"premium": null, "price_eur": {"amount": "1", "currency": "EUR"}}"#,
        r#"{"premium": "false"}"#,
        r#"{"premium": 0}"#,
        // A price that is there and can't be read is not the same as none.
        r#"{"premium": false, "price_eur": {"amount": "1", "currency": "USD"}}"#,
        r#"{"premium": false, "price_eur": {"amount": "1"}}"#,
        r#"{"premium": false, "price_eur": {"amount": "-1", "currency": "EUR"}}"#,
        r#"{"premium": false, "price_eur": {"amount": "1,00", "currency": "EUR"}}"#,
        r#"{"premium": false, "price_eur": "1.00"}"#,
        "[]",
        "7",
    ] {
        assert_unavailable(&priced(entry).await, entry);
    }
}

proptest! {
    /// However a name is written when it is asked for and when it is answered, it is the same name.
    #[test]
    fn spelling_does_not_matter(
        label in "[a-zà-öø-ÿ]{1,12}",
        tld in prop::sample::select(vec!["nl", "co.uk", "example"]),
        upper: bool,
        ascii: bool,
    ) {
        let plain = format!("{label}.{tld}");
        // Some letters (ß) have no upper case of their own.
        let spelt = if upper { plain.to_uppercase() } else { plain.clone() };
        let Ok(asked) = DomainName::parse(&plain) else { return Ok(()) };
        prop_assume!(DomainName::parse(&spelt).is_ok_and(|name| name == asked));
        let key = if ascii { asked.as_str().to_owned() } else { spelt };
        let body = serde_json::json!({"success": true, "data": { key: "available" }}).to_string();
        let head = http::Response::builder().status(200).body(()).unwrap().into_parts().0;
        let answer = Answer::new(&head, Ok(body.into()), vec![]);
        let checks = Checks::read(&answer).unwrap();
        prop_assert_eq!(checks.of(&asked), Some("available"));
    }
}

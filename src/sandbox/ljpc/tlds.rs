//! GET /api/hosting/v1/tlds: all TLDs on sale with their list prices, as numbers or null.

use http::StatusCode;
use rust_decimal::Decimal;
use serde::Serialize;

use super::{
    answer::{Answer, json_number_or_null},
    catalogue::{PriceList, TLDS},
};

#[derive(Serialize)]
struct Row {
    tld: &'static str,
    #[serde(serialize_with = "json_number_or_null")]
    price: Option<Decimal>,
    currency: &'static str,
    transfer_supported: bool,
}

/// The whole catalogue.
pub(super) fn list() -> Answer {
    let rows: Vec<Row> = TLDS
        .iter()
        .map(|tld| Row {
            tld: tld.name,
            price: tld.cents.map(|cents| PriceList::List.price(cents)),
            currency: "EUR",
            transfer_supported: tld.transfer_supported,
        })
        .collect();
    Answer::data(StatusCode::OK, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_numbers_and_one_is_null() {
        let body = String::from_utf8(list().body).unwrap();
        assert!(body.contains(r#"{"tld":"nl","price":3.88,"currency":"EUR""#), "{body}");
        assert!(body.contains(r#"{"tld":"2000.hu","price":5,"#), "{body}");
        assert!(body.contains(r#"{"tld":"onl","price":null,"#), "{body}");
        assert!(body.contains(r#""tld":"xn--p1ai""#) && body.contains("false}"), "{body}");
    }
}

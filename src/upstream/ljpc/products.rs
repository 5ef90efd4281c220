//! GET /api/v1/products: what can be ordered, at this account's prices.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Ljpc, endpoints, envelope,
    wire::{lenient, lenient_or_default},
};
use crate::{
    order::Money,
    upstream::{Answer, UpstreamError, answer::LISTING_BYTES_MAX},
};

/// A product. Its UUID may change; `category_identifier` is what stays.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Product {
    /// What an order names.
    pub uuid: String,
    /// For people.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub name: String,
    /// Whether the customer chooses the billing period.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub billing_period_type: BillingPeriodType,
    /// Absent for products that are billed by the year only.
    #[serde(default, deserialize_with = "lenient")]
    pub monthly_price: Option<Money>,
    /// The price of a year.
    #[serde(default, deserialize_with = "lenient")]
    pub yearly_price: Option<Money>,
    /// The price that the catalogue shows first.
    #[serde(default, deserialize_with = "lenient")]
    pub price: Option<Money>,
    /// `hosting`, `domains`.
    #[serde(default, deserialize_with = "lenient")]
    pub category: Option<String>,
    /// `hosting_<N>gb`, `hosting_forward`, `hosting_dns`; a TLD for domains.
    #[serde(default, deserialize_with = "lenient")]
    pub category_identifier: Option<String>,
    /// `[]`, null or an object: undocumented beyond that.
    #[serde(default)]
    pub required_fields: serde_json::Value,
}

/// Whether the customer chooses the billing period.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "String", into = "Option<String>")]
pub enum BillingPeriodType {
    /// `client_choice`: monthly or yearly, and an order must say which.
    ClientChoice,
    /// `yearly_only`.
    YearlyOnly,
    /// One that the document does not name.
    Unknown(String),
    /// None given.
    #[default]
    Missing,
}

impl From<String> for BillingPeriodType {
    fn from(text: String) -> Self {
        match text.as_str() {
            "client_choice" => Self::ClientChoice,
            "yearly_only" => Self::YearlyOnly,
            _ => Self::Unknown(text),
        }
    }
}

impl From<BillingPeriodType> for Option<String> {
    fn from(kind: BillingPeriodType) -> Self {
        match kind {
            BillingPeriodType::ClientChoice => Some("client_choice".to_owned()),
            BillingPeriodType::YearlyOnly => Some("yearly_only".to_owned()),
            BillingPeriodType::Unknown(text) => Some(text),
            BillingPeriodType::Missing => None,
        }
    }
}

#[derive(Deserialize)]
struct Catalogue<'a> {
    #[serde(borrow)]
    products: Vec<&'a RawValue>,
}

impl Ljpc {
    /// The whole catalogue. The key is sent, so the prices are those that this account pays.
    pub async fn products(&self) -> Result<Vec<Product>, UpstreamError> {
        let endpoint = &endpoints::LIST_PRODUCTS;
        self.get(endpoint, endpoint.template(), LISTING_BYTES_MAX, read).await
    }
}

/// A product that can't be read is left out, and said so in the log: it can't be ordered then, while all others can.
pub(super) fn read(answer: &Answer) -> Result<Vec<Product>, UpstreamError> {
    let catalogue: Catalogue<'_> = envelope::bare(&endpoints::LIST_PRODUCTS, answer)?;
    let all = catalogue.products.len();
    let products: Vec<Product> =
        catalogue.products.iter().filter_map(|p| serde_json::from_str(p.get()).ok()).collect();
    if products.len() < all {
        tracing::warn!(left_out = all - products.len(), "products that can't be read");
    }
    Ok(products)
}

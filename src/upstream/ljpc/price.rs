//! GET /api/hosting/v1/domain-names/price: what names cost this account, without VAT, its valuepack counted.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Ljpc,
    by_name::{self, ByName},
    endpoints,
    wire::lenient,
};
use crate::{
    order::{Money, name::DomainName},
    upstream::{Answer, UpstreamError},
};

/// The prices of the names that upstream was asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Prices(ByName<Option<DomainPrice>>);

impl Prices {
    /// The price of this name; `None` if there is none, as for a TLD that is not sold.
    #[must_use]
    pub fn of(&self, name: &DomainName) -> Option<&DomainPrice> {
        self.0.get(name)?.as_ref()
    }

    /// Whether upstream has said what this name costs, or that it has no price for it. A name that it says nothing of, or
    /// two things, is not known to have none.
    #[must_use]
    pub fn speaks_of(&self, name: &DomainName) -> bool {
        self.0.contains_key(name)
    }

    /// One entry that can't be read spoils the answer: a premium name must not pass for a usual one.
    pub(super) fn read(answer: &Answer) -> Result<Self, UpstreamError> {
        let entry = |said: &str| serde_json::from_str(said).map(Some);
        by_name::read(&endpoints::PRICE_DOMAIN, answer, entry).map(Self)
    }
}

/// What a name costs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DomainPrice {
    /// Whether its registry asks more for it than for its other names.
    pub premium: bool,
    /// The price of a year, which is what is compared. 0.00 is a price: a free slot of the valuepack.
    #[serde(default, deserialize_with = "euros")]
    pub price_eur: Option<Money>,
    /// The same in the registry's currency.
    #[serde(default, deserialize_with = "lenient")]
    pub price: Option<Price>,
}

/// An amount in whatever currency.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Price {
    /// How much.
    #[serde(deserialize_with = "decimal")]
    pub amount: Decimal,
    /// Of what: `EUR`.
    pub currency: String,
}

/// From a number or a string alike, read from its digits.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    Money::deserialize(deserializer).map(|amount| amount.0)
}

/// Euros, and nothing less than nothing. A price that is there and can't be read is an error, never none: a limit would be
/// compared with it.
fn euros<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    let Some(price) = Option::<Price>::deserialize(deserializer)? else { return Ok(None) };
    if price.currency != "EUR" || price.amount < Decimal::ZERO {
        return Err(D::Error::custom("expected an amount of euros"));
    }
    Ok(Some(Money(price.amount)))
}

impl Ljpc {
    /// What these names cost, by one request for each 25 of them.
    pub async fn prices(&self, names: &[&DomainName]) -> Result<Prices, UpstreamError> {
        self.ask_by_name(&endpoints::PRICE_DOMAIN, names, |a| Prices::read(a).map(|p| p.0))
            .await
            .map(Prices)
    }
}

//! `POST /v1/enterprise/domain_suggestion`: names that are like another, to be offered where that one is taken.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Leanstack,
    answer::{Reading, Said},
    availability::amount,
    endpoints,
};
use crate::{
    order::name::DomainName,
    upstream::{Answer, PreparedRequest, UpstreamError},
};

/// The most suggestions that are kept.
const SUGGESTIONS_MAX: usize = 100;

/// A name that is offered instead.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Suggestion {
    /// Both together, in its normal form.
    pub name: DomainName,
    /// The part before the TLD, as it came.
    pub domain_name: String,
    /// The TLD, as it came.
    pub tld: String,
    /// In USD; not comparable with what LJPc asks.
    pub dollar_price: Option<Decimal>,
    /// In NGN; not comparable with what LJPc asks.
    pub naira_price: Option<Decimal>,
}

#[derive(Deserialize)]
struct Offered {
    domain_name: String,
    tld: String,
    #[serde(default, deserialize_with = "amount")]
    dollar_price: Option<Decimal>,
    #[serde(default, deserialize_with = "amount")]
    naira_price: Option<Decimal>,
}

#[derive(Serialize)]
struct Question<'a> {
    domain_name: &'a str,
}

impl Leanstack {
    /// Up to 100 names like `sld`, which has no dot.
    pub async fn suggestions(&self, sld: &str) -> Result<Vec<Suggestion>, UpstreamError> {
        self.ask(&endpoints::SUGGEST_NAMES, &Question { domain_name: sld }, read).await
    }
}

/// What can't be read, or makes no domain name, is left out: it is shown to customers.
pub(super) fn read(
    request: &PreparedRequest,
    answer: &Answer,
) -> Result<Vec<Suggestion>, UpstreamError> {
    let reading = Reading::new(request, answer);
    if let Said::Refused(message) = reading.said()? {
        return Err(reading.rejected(&message));
    }
    let offered: Vec<&RawValue> = reading.parse()?;
    let suggestion = |offered: &RawValue| {
        let offered: Offered = serde_json::from_str(offered.get()).ok()?;
        let name = DomainName::parse(&format!("{}.{}", offered.domain_name, offered.tld)).ok()?;
        let Offered { domain_name, tld, dollar_price, naira_price } = offered;
        Some(Suggestion { name, domain_name, tld, dollar_price, naira_price })
    };
    let of = offered.len();
    let suggestions: Vec<_> =
        offered.into_iter().filter_map(suggestion).take(SUGGESTIONS_MAX).collect();
    if suggestions.len() < of {
        tracing::debug!(left_out = of - suggestions.len(), "suggestions that are not used");
    }
    Ok(suggestions)
}

//! `POST /v1/enterprise/domain_availability`: whether a name can be had there. For us it is advice: LJPc's answer decides.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Leanstack,
    answer::{Reading, Said},
    endpoints,
};
use crate::{
    order::Money,
    upstream::{Answer, PreparedRequest, UpstreamError},
};

/// What is said of a name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Availability {
    /// Whether the TLD is sold. Without it, nothing else is said.
    pub tld_available: bool,
    /// Whether the name is free.
    #[serde(default)]
    pub domain_name_available: Option<bool>,
    /// In USD; not comparable with what LJPc asks.
    #[serde(default, deserialize_with = "amount")]
    pub dollar_price: Option<Decimal>,
    /// In NGN; not comparable with what LJPc asks.
    #[serde(default, deserialize_with = "amount")]
    pub naira_price: Option<Decimal>,
}

/// An amount of whatever currency, as a number or a string; `None` for anything else.
pub(super) fn amount<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Decimal>, D::Error> {
    let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str::<Money>(raw.get()).ok().map(|amount| amount.0))
}

#[derive(Serialize)]
struct Question<'a> {
    domain_name: &'a str,
    tld: &'a str,
}

impl Leanstack {
    /// Whether the name `sld`.`tld` can be had. `sld` has no dot, `tld` none before it.
    pub async fn availability(&self, sld: &str, tld: &str) -> Result<Availability, UpstreamError> {
        let question = Question { domain_name: sld, tld };
        self.ask(&endpoints::CHECK_AVAILABILITY, &question, read).await
    }
}

pub(super) fn read(
    request: &PreparedRequest,
    answer: &Answer,
) -> Result<Availability, UpstreamError> {
    let reading = Reading::new(request, answer);
    match reading.said()? {
        Said::Done => reading.parse(),
        Said::Refused(message) => Err(reading.rejected(&message)),
    }
}

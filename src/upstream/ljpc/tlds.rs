//! GET /api/hosting/v1/tlds: what can be registered at all. It asks for a valid key and no permission, so it also tells
//! whether the key is good.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ljpc, endpoints, envelope::payload, wire::lenient};
use crate::{
    order::Money,
    upstream::{Answer, UpstreamError, answer::LISTING_BYTES_MAX},
};

/// A TLD that is sold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tld {
    /// As upstream writes it, without a dot before it. It may have several labels: `co.uk`, `2000.hu`.
    pub tld: String,
    /// The list price of a year, indicative; `None` when the catalogue has none.
    #[serde(default, deserialize_with = "lenient")]
    pub price: Option<Money>,
    /// What the price is in: `EUR`.
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
    /// Whether a name can be transferred by an auth code.
    pub transfer_supported: bool,
}

impl Ljpc {
    /// The whole catalogue of TLDs.
    pub async fn tlds(&self) -> Result<Vec<Tld>, UpstreamError> {
        let endpoint = &endpoints::LIST_TLDS;
        self.get(endpoint, endpoint.template(), LISTING_BYTES_MAX, read).await
    }

    /// Whether LJPc answers and knows the key. What it answers is not kept.
    pub async fn ping(&self) -> Result<(), UpstreamError> {
        self.tlds().await.map(drop)
    }
}

/// A TLD that can't be read is left out, and said so in the log: it can't be sold then, while all others can.
pub(super) fn read(answer: &Answer) -> Result<Vec<Tld>, UpstreamError> {
    let all: Vec<Box<RawValue>> = payload(&endpoints::LIST_TLDS, answer)?.parse_list()?;
    let tlds: Vec<Tld> =
        all.iter().filter_map(|tld| serde_json::from_str(tld.get()).ok()).collect();
    if tlds.len() < all.len() {
        tracing::warn!(left_out = all.len() - tlds.len(), "TLDs that can't be read");
    }
    Ok(tlds)
}

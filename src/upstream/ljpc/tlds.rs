//! GET /api/hosting/v1/tlds: what it takes to know that the key is good, since it asks for a valid key and no permission.

use serde_json::Value;

use super::{Ljpc, endpoints, envelope::payload};
use crate::upstream::{UpstreamError, answer::LISTING_BYTES_MAX};

impl Ljpc {
    /// Whether LJPc answers and knows the key. What it answers is not kept.
    pub async fn ping(&self) -> Result<(), UpstreamError> {
        let endpoint = &endpoints::LIST_TLDS;
        let read = |answer: &_| payload(endpoint, answer)?.parse::<Value>().map(drop);
        self.get(endpoint, endpoint.template(), LISTING_BYTES_MAX, read).await
    }
}

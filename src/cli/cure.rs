//! Why an upstream did not answer a person's question, and what to do about it.

use anyhow::anyhow;

use crate::upstream::{Scope, UpstreamError};

/// Whom a question was put to, in the words of the configuration.
pub(super) struct Asked {
    /// For people.
    pub(super) name: &'static str,
    /// The key that says where it lives.
    pub(super) base_url: &'static str,
    /// The key that says by which secret it knows us.
    pub(super) key: &'static str,
}

/// LJPc.
pub(super) const LJPC: Asked =
    Asked { name: "LJPc", base_url: "ljpc.base_url", key: "ljpc.api_key" };

/// Leanstack.
pub(super) const LEANSTACK: Asked = Asked {
    name: "Leanstack",
    base_url: "leanstack.base_url",
    key: "leanstack.access_token, leanstack.contract",
};

impl Asked {
    /// The error as a person should read it.
    pub(super) fn explain(&self, error: UpstreamError) -> anyhow::Error {
        let Self { name, base_url, key } = self;
        let id = error.jti().map(|id| format!(" (their support finds it by {id})"));
        let id = id.unwrap_or_default();
        match error {
            UpstreamError::NotSent { detail } => {
                anyhow!("{name} can't be reached: {detail}. Look at {base_url} and at the network")
            }
            UpstreamError::Unauthorized { scope: Scope::Upstream, status, .. } => {
                anyhow!("{name} does not know the key (HTTP {status}){id}: look at {key}")
            }
            UpstreamError::Unauthorized { scope: Scope::Endpoint, status, .. } => anyhow!(
                "{name} does not let this key do that (HTTP {status}){id}: ask their support for the permission"
            ),
            UpstreamError::RateLimited { after } => {
                anyhow!("{name} asks to wait: try again after {} s", after.as_secs())
            }
            UpstreamError::Rejected { status: 404, message, .. } => {
                anyhow!(
                    "{name} knows nothing of this name or number in this account: {message}{id}"
                )
            }
            UpstreamError::Rejected { status, message, .. } => {
                anyhow!("{name} refuses (HTTP {status}): {message}{id}")
            }
            UpstreamError::InDoubt { detail, .. } => {
                anyhow!(
                    "{name} gave no usable answer: {detail}{id}. Whether it was carried out is unknown: look first"
                )
            }
            UpstreamError::Unavailable { detail, .. } => {
                anyhow!(
                    "{name} gave no usable answer: {detail}{id}. Nothing was changed: try again, or look at {base_url}"
                )
            }
        }
    }
}

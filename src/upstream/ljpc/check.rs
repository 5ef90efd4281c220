//! GET /api/hosting/v1/domain-names/check: whether names can be had.

use super::{
    Ljpc,
    by_name::{self, ByName},
    endpoints,
};
use crate::{
    order::name::DomainName,
    upstream::{Answer, UpstreamError},
};

/// What upstream says of the names that it was asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Checks(ByName<String>);

impl Checks {
    /// What is said of this name, in upstream's own words. Only exactly `available` can be registered; `unknown` is of a
    /// TLD that is not sold. `None` if nothing can be read of it, which is neither.
    #[must_use]
    pub fn of(&self, name: &DomainName) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What is no text says nothing about its name, and spoils nothing for the others.
    pub(in crate::upstream) fn read(answer: &Answer) -> Result<Self, UpstreamError> {
        let entry = |said: &str| Ok(serde_json::from_str(said).ok());
        by_name::read(&endpoints::CHECK_DOMAIN, answer, entry).map(Self)
    }
}

impl Ljpc {
    /// Whether these names can be had, by one request for each 25 of them.
    pub async fn check(&self, names: &[&DomainName]) -> Result<Checks, UpstreamError> {
        self.ask_by_name(&endpoints::CHECK_DOMAIN, names, |a| Checks::read(a).map(|c| c.0))
            .await
            .map(Checks)
    }
}

//! GET /api/hosting/v1/domain-names/{domain}/authcode: what takes a domain to another registrar.

use serde::Deserialize;

use crate::{
    order::name::DomainName,
    upstream::{
        Answer, Secret, UpstreamError,
        answer::BODY_BYTES_MAX,
        ljpc::{Ljpc, by_name::is_written, endpoints, envelope::payload},
    },
};

#[derive(Deserialize)]
struct Shown {
    domain: String,
    auth_code: String,
}

impl Ljpc {
    /// The auth code of a domain of ours. A domain that is somebody else's, and one whose code is not shown, are
    /// `Rejected` with 404.
    pub async fn auth_code(&self, domain: &DomainName) -> Result<Secret, UpstreamError> {
        let endpoint = &endpoints::GET_AUTH_CODE;
        let read = |answer: &Answer| read(domain, answer);
        self.get(endpoint, &endpoint.path_of_name(domain), BODY_BYTES_MAX, read).await
    }
}

pub(in crate::upstream::ljpc) fn read(
    domain: &DomainName,
    answer: &Answer,
) -> Result<Secret, UpstreamError> {
    let payload = payload(&endpoints::GET_AUTH_CODE, answer)?;
    let shown: Shown = payload.parse()?;
    if !is_written(domain, &shown.domain) {
        return Err(payload.broken("the answer is about another domain"));
    }
    // It is shown to a person as it came, so it must be printable, too.
    if shown.auth_code.is_empty() || shown.auth_code.chars().any(char::is_control) {
        return Err(payload.broken("the auth code is none"));
    }
    Ok(Secret::new(shown.auth_code))
}

//! What every good answer to a change of a domain has: the domain's name, and words about it.

use serde::Deserialize;

use crate::{
    order::name::DomainName,
    upstream::{
        Answer, Endpoint, UpstreamError,
        ljpc::{by_name::is_written, envelope::payload, wire::lenient},
    },
};

#[derive(Deserialize)]
struct Echo {
    domain: String,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
}

/// A good answer about the domain that was asked for.
pub(super) struct Echoed {
    /// Its status, if there is one that is not empty.
    pub(super) status: Option<String>,
    /// A sentence for people, if there is one.
    pub(super) message: Option<String>,
    /// The HTTP status.
    pub(super) http_status: u16,
    /// The answer's id.
    pub(super) jti: Option<String>,
}

/// Reads an answer that must be about `domain`.
pub(super) fn read(
    endpoint: &'static Endpoint,
    domain: &DomainName,
    answer: &Answer,
) -> Result<Echoed, UpstreamError> {
    let payload = payload(endpoint, answer)?;
    let echo: Echo = payload.parse()?;
    if !is_written(domain, &echo.domain) {
        return Err(payload.broken("the answer is about another domain"));
    }
    let quoted = |text: Option<String>| text.map(|text| answer.quote(&text));
    Ok(Echoed {
        status: quoted(echo.status).filter(|status| !status.is_empty()),
        message: quoted(echo.message),
        http_status: payload.status,
        jti: payload.jti,
    })
}

/// The same for an answer that must also say the domain's status.
pub(super) fn read_with_status(
    endpoint: &'static Endpoint,
    domain: &DomainName,
    answer: &Answer,
) -> Result<(String, Echoed), UpstreamError> {
    let mut echoed = read(endpoint, domain, answer)?;
    match echoed.status.take() {
        Some(status) => Ok((status, echoed)),
        None => Err(UpstreamError::unclear(
            endpoint,
            "the answer says no status",
            Some(echoed.http_status),
            echoed.jti.as_deref(),
        )),
    }
}

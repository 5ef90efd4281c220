//! POST /api/hosting/v1/domain-names: registers a domain on an owned WHOIS contact.

use serde::Serialize;

use super::echo::{self, Echoed};
use crate::{
    clock::Deadline,
    order::{Tag, name::DomainName},
    upstream::{
        Answer, Connected, PreparedRequest, UpstreamError,
        ljpc::{Ljpc, endpoints},
    },
};

/// The message beside the 422 of a name that is registered already: by somebody, by another customer of this account, or
/// by an earlier request of ours.
const EXISTS: &str = "Domain already exists";

/// One registration.
#[derive(Clone, Debug, Serialize)]
pub struct RegisterDomain {
    /// What is registered.
    pub domain: DomainName,
    /// An owned WHOIS handle.
    pub contact_handle: String,
    /// 1 to 10; one year without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<u8>,
    /// 2 to 13 host names; upstream's own when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Our own reference, which no answer echoes.
    pub external_reference: Tag,
}

impl RegisterDomain {
    /// The request, fixed byte by byte.
    #[must_use]
    pub fn prepare(&self) -> PreparedRequest {
        let endpoint = &endpoints::REGISTER_DOMAIN;
        PreparedRequest::json(endpoint, endpoint.template().to_owned(), self, vec![])
    }
}

/// A domain that was registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registered {
    /// The name that was asked for.
    pub domain: DomainName,
    /// Its status, as upstream says it: `active`.
    pub upstream_status: String,
    /// The HTTP status, 201 as documented.
    pub http_status: u16,
    /// The answer's id.
    pub jti: Option<String>,
    /// Upstream's sentence about it.
    pub message: Option<String>,
}

impl Ljpc {
    /// Registers a domain over a connection that [`Ljpc::connect`] opened to [`endpoints::REGISTER_DOMAIN`]. To be called
    /// once the intent is committed, and once for each intent. `domain` is the one that `prepared` names.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx about another name or without a status.
    pub async fn register_domain(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        domain: &DomainName,
        deadline: Deadline,
    ) -> Result<Registered, UpstreamError> {
        self.send(connected, prepared, deadline, |answer| read(domain, answer)).await
    }
}

impl UpstreamError {
    /// Whether LJPc refused a registration because the name is registered already. That may be our own earlier success, so
    /// it is for the caller to look whose it is.
    #[must_use]
    pub fn is_existing_domain(&self) -> bool {
        matches!(self, Self::Rejected { status: 422, message, .. } if message == EXISTS)
    }
}

pub(in crate::upstream::ljpc) fn read(
    domain: &DomainName,
    answer: &Answer,
) -> Result<Registered, UpstreamError> {
    let (upstream_status, Echoed { message, http_status, jti, .. }) =
        echo::read_with_status(&endpoints::REGISTER_DOMAIN, domain, answer)?;
    Ok(Registered { domain: domain.clone(), upstream_status, http_status, jti, message })
}

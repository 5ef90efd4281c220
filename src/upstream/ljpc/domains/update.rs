//! PATCH /api/hosting/v1/domain-names/{domain}: changes what is sent, and nothing else.

use serde::Serialize;

use super::echo;
use crate::{
    clock::Deadline,
    order::name::DomainName,
    upstream::{
        Answer, Connected, PreparedRequest, UpstreamError,
        ljpc::{Ljpc, endpoints},
    },
};

/// The message beside the 422 of a change that changes nothing.
const NO_CHANGE: &str = "No changes to apply";

/// One change of a domain. What is `None` stays as it is.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateDomain {
    /// What is changed.
    #[serde(skip)]
    pub domain: DomainName,
    /// 2 to 4 host names, which take the place of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nameservers: Option<Vec<String>>,
    /// Whether it is renewed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<bool>,
    /// Whether it is locked against being transferred away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_lock: Option<bool>,
    /// An owned WHOIS handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whois_contact_handle: Option<String>,
}

impl UpdateDomain {
    /// The request, fixed byte by byte.
    #[must_use]
    pub fn prepare(&self) -> PreparedRequest {
        let endpoint = &endpoints::UPDATE_DOMAIN;
        PreparedRequest::json(endpoint, endpoint.path_of_name(&self.domain), self, vec![])
    }
}

/// A change that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Updated {
    /// The HTTP status, 200 as documented.
    pub http_status: u16,
    /// The answer's id.
    pub jti: Option<String>,
    /// Upstream's sentence about it.
    pub message: Option<String>,
}

impl Ljpc {
    /// Changes a domain over a connection that [`Ljpc::connect`] opened to [`endpoints::UPDATE_DOMAIN`]. To be called once
    /// the intent is committed, and once for each intent. `domain` is the one that `prepared` names.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx about another name; `Rejected` for one that
    /// changes nothing, which [`UpstreamError::is_no_change`] knows.
    pub async fn update_domain(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        domain: &DomainName,
        deadline: Deadline,
    ) -> Result<Updated, UpstreamError> {
        self.send(connected, prepared, deadline, |answer| read(domain, answer)).await
    }
}

impl UpstreamError {
    /// Whether LJPc refused a change because all is as wished already, which for us is success.
    #[must_use]
    pub fn is_no_change(&self) -> bool {
        matches!(self, Self::Rejected { status: 422, message, .. } if message == NO_CHANGE)
    }
}

pub(in crate::upstream::ljpc) fn read(
    domain: &DomainName,
    answer: &Answer,
) -> Result<Updated, UpstreamError> {
    let echoed = echo::read(&endpoints::UPDATE_DOMAIN, domain, answer)?;
    Ok(Updated { http_status: echoed.http_status, jti: echoed.jti, message: echoed.message })
}

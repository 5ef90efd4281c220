//! POST /api/hosting/v1/domain-names/{domain}/transfer: starts a transfer to an owned WHOIS contact. Nothing but the
//! domain's status tells how it goes on.

use serde::Serialize;

use super::echo::{self, Echoed};
use crate::{
    clock::Deadline,
    order::{Tag, name::DomainName},
    upstream::{
        Answer, Connected, PreparedRequest, Secret, UpstreamError,
        ljpc::{Ljpc, endpoints},
    },
};

/// One transfer.
#[derive(Clone, Debug)]
pub struct TransferDomain {
    /// What is transferred.
    pub domain: DomainName,
    /// The code of its present registrar.
    pub auth_code: Secret,
    /// An owned WHOIS handle.
    pub contact_handle: String,
    /// Host names; as they are when there are none.
    pub nameservers: Vec<String>,
    /// Our own reference, which no answer echoes.
    pub external_reference: Tag,
}

#[derive(Serialize)]
struct Body<'a> {
    auth_code: &'a str,
    contact_handle: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    nameservers: &'a [String],
    external_reference: &'a Tag,
}

impl TransferDomain {
    /// The request, fixed byte by byte.
    #[must_use]
    pub fn prepare(&self) -> PreparedRequest {
        let endpoint = &endpoints::TRANSFER_DOMAIN;
        let body = Body {
            auth_code: self.auth_code.expose(),
            contact_handle: &self.contact_handle,
            nameservers: &self.nameservers,
            external_reference: &self.external_reference,
        };
        let secrets = vec![self.auth_code.clone()];
        PreparedRequest::json(endpoint, endpoint.path_of_name(&self.domain), &body, secrets)
    }
}

/// A transfer that was accepted, and is far from done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferStarted {
    /// The name that was asked for.
    pub domain: DomainName,
    /// Its status, as upstream says it: `pending_transfer`.
    pub upstream_status: String,
    /// The HTTP status, 202 as documented.
    pub http_status: u16,
    /// The answer's id.
    pub jti: Option<String>,
    /// Upstream's sentence about it.
    pub message: Option<String>,
}

impl Ljpc {
    /// Starts a transfer over a connection that [`Ljpc::connect`] opened to [`endpoints::TRANSFER_DOMAIN`]. To be called
    /// once the intent is committed, and once for each intent. `domain` is the one that `prepared` names.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx about another name or without a status.
    pub async fn transfer_domain(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        domain: &DomainName,
        deadline: Deadline,
    ) -> Result<TransferStarted, UpstreamError> {
        self.send(connected, prepared, deadline, |answer| read(domain, answer)).await
    }
}

pub(in crate::upstream::ljpc) fn read(
    domain: &DomainName,
    answer: &Answer,
) -> Result<TransferStarted, UpstreamError> {
    let (upstream_status, Echoed { message, http_status, jti, .. }) =
        echo::read_with_status(&endpoints::TRANSFER_DOMAIN, domain, answer)?;
    Ok(TransferStarted { domain: domain.clone(), upstream_status, http_status, jti, message })
}

//! /api/hosting/v1/domain-names: the account's domains, looked at and changed.

mod auth_code;
mod echo;
mod register;
mod transfer;
mod update;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use register::{RegisterDomain, Registered};
pub use transfer::{TransferDomain, TransferStarted};
pub use update::{UpdateDomain, Updated};

#[cfg(any(test, fuzzing))]
pub(super) use self::{
    auth_code::read as read_auth_code, register::read as read_registered,
    transfer::read as read_transfer, update::read as read_updated,
};
use super::{
    Ljpc,
    by_name::is_written,
    endpoints,
    envelope::payload,
    pages::{PER_PAGE, Page, all_pages, readable},
    wire::{lenient, lenient_or_default, time},
};
use crate::{
    order::name::DomainName,
    upstream::{
        Answer, UpstreamError,
        answer::{BODY_BYTES_MAX, LISTING_BYTES_MAX},
    },
};

/// A domain as the listing shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Domain {
    /// Its name, as upstream writes it.
    pub domain: String,
    /// Its status, as upstream says it; several may be joined by commas.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    /// When it ends.
    #[serde(default, deserialize_with = "time")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it is renewed by itself.
    #[serde(default, deserialize_with = "lenient")]
    pub auto_renew: Option<bool>,
    /// Whether it is locked against being transferred away.
    #[serde(default, deserialize_with = "lenient")]
    pub transfer_lock: Option<bool>,
}

/// A domain in full. When upstream's own system is down this is, without a sign of it, a row that was stored earlier: one
/// reading is no proof of a change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DomainDetail {
    /// The name that was asked for.
    pub domain: DomainName,
    /// Its status, as upstream says it; several may be joined by commas.
    pub status: String,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its name servers, as upstream writes them; none when it shows none that can be read.
    pub nameservers: Vec<String>,
    /// Whether it is renewed by itself.
    pub auto_renew: Option<bool>,
    /// Whether it is locked against being transferred away.
    pub transfer_lock: Option<bool>,
    /// The handle of its WHOIS contact.
    pub contact_handle: Option<String>,
    /// The answer's id.
    pub jti: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    domains: Vec<Box<RawValue>>,
    total: u64,
}

#[derive(Deserialize)]
struct Detail {
    domain: String,
    status: String,
    #[serde(default, deserialize_with = "time")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient_or_default")]
    nameservers: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    auto_renew: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    transfer_lock: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    contact_handle: Option<String>,
}

impl Ljpc {
    /// One page of up to 100 domains, from 1.
    pub async fn domains(&self, page: u32) -> Result<Vec<Domain>, UpstreamError> {
        self.page_of_domains(page, |answer| read_page(answer)?.whole(&endpoints::LIST_DOMAINS))
            .await
    }

    /// All domains by their names, or an error; never a part.
    pub async fn all_domains(&self) -> Result<Vec<Domain>, UpstreamError> {
        let key = |domain: &Domain| domain.domain.to_ascii_lowercase();
        all_pages(&endpoints::LIST_DOMAINS, |page| self.domains_page(page), key).await
    }

    /// One domain. One that is somebody else's, gone or transferred away is `Rejected` with 404.
    pub async fn domain(&self, domain: &DomainName) -> Result<DomainDetail, UpstreamError> {
        let endpoint = &endpoints::GET_DOMAIN;
        let read = |answer: &Answer| read_detail(domain, answer);
        self.get(endpoint, &endpoint.path_of_name(domain), BODY_BYTES_MAX, read).await
    }

    /// One page, from 1, with how many there are in all.
    pub async fn domains_page(&self, page: u32) -> Result<Page<Domain>, UpstreamError> {
        self.page_of_domains(page, read_page).await
    }

    async fn page_of_domains<T>(
        &self,
        page: u32,
        read: impl Fn(&Answer) -> Result<T, UpstreamError> + Send + Sync,
    ) -> Result<T, UpstreamError> {
        let endpoint = &endpoints::LIST_DOMAINS;
        let path = format!("{}?page={page}&per_page={PER_PAGE}", endpoint.template());
        self.get(endpoint, &path, LISTING_BYTES_MAX, read).await
    }
}

pub(super) fn read_page(answer: &Answer) -> Result<Page<Domain>, UpstreamError> {
    let Listing { domains, total } = payload(&endpoints::LIST_DOMAINS, answer)?.parse()?;
    let (items, unread) = readable(&domains);
    Ok(Page { items, total, unread })
}

/// Strict in what decides, the name and the status; lenient in the rest.
pub(super) fn read_detail(
    domain: &DomainName,
    answer: &Answer,
) -> Result<DomainDetail, UpstreamError> {
    let payload = payload(&endpoints::GET_DOMAIN, answer)?;
    let detail: Detail = payload.parse()?;
    if !is_written(domain, &detail.domain) {
        return Err(payload.broken("the answer is about another domain"));
    }
    Ok(DomainDetail {
        domain: domain.clone(),
        status: answer.quote(&detail.status),
        expires_at: detail.expires_at,
        nameservers: detail.nameservers,
        auto_renew: detail.auto_renew,
        transfer_lock: detail.transfer_lock,
        contact_handle: detail.contact_handle,
        jti: payload.jti,
    })
}

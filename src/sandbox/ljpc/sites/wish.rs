//! A site put where a test wants it: POST /_sandbox/sites.

use serde::{Deserialize, Deserializer};

use super::site::{Site, SiteSeen};
use crate::{
    order::{SiteId, name::DomainName},
    sandbox::ljpc::Book,
};

const STATUS_MAX: usize = 255;
const DISK_SPACE_GB: u32 = 5;

/// What shall be seen of a site. What is not given stays, or is as after a delivery.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteWish {
    /// The site to be changed; without one, or with one that is not there, a site is made.
    id: Option<SiteId>,
    /// Needed for a new one.
    domain: Option<String>,
    status: Option<String>,
    disk_space_gb: Option<u32>,
    unlimited: Option<bool>,
    /// A number, null for a usage that is not known yet, or not there at all.
    #[serde(default, deserialize_with = "given")]
    disk_used_bytes: Usage,
    #[serde(default, deserialize_with = "given")]
    email_used_bytes: Usage,
    /// Whether it shall no longer be ours.
    #[serde(default)]
    gone: bool,
}

#[derive(Debug, Default)]
enum Usage {
    /// As before.
    #[default]
    Kept,
    Bytes(Option<u64>),
}

fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Usage, D::Error> {
    Option::deserialize(from).map(Usage::Bytes)
}

impl Usage {
    fn or(self, before: Option<u64>) -> Option<u64> {
        match self {
            Self::Kept => before,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Why a site is not put there.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// It can't be read; the message names the keys that can.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
    /// It can be read, but makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
    /// There are too many already.
    #[error("the sandbox holds as many sites as it may: start it anew")]
    Full,
}

/// Puts a site there, given as JSON. Of one that shall be gone, what was last seen is told.
pub(in crate::sandbox) fn put(book: &mut Book, json: &[u8]) -> Result<SiteSeen, SiteError> {
    let wish: SiteWish = serde_json::from_slice(json)?;
    if wish.id.is_some_and(|id| id.0 < 1) {
        return Err(SiteError::Senseless("id: a positive number"));
    }
    if wish.domain.as_deref().is_some_and(|domain| DomainName::parse(domain).is_err()) {
        return Err(SiteError::Senseless("domain: a domain name"));
    }
    let odd =
        |text: &str| text.is_empty() || text.len() > STATUS_MAX || text.contains(char::is_control);
    if wish.status.as_deref().is_some_and(odd) {
        return Err(SiteError::Senseless("status: 1 to 255 printable characters"));
    }
    let id = wish.id.unwrap_or_else(|| book.free_site_id());
    if wish.gone {
        let gone = book.remove_site(id).ok_or(SiteError::Senseless("id: there is no such site"))?;
        return Ok(gone.seen());
    }
    if book.site(id).is_none() {
        let domain = wish.domain.clone().ok_or(SiteError::Senseless("domain: is required"))?;
        let space = wish.disk_space_gb.unwrap_or(DISK_SPACE_GB);
        book.add_site(Site::delivered(id, None, domain, space, true))
            .map_err(|_| SiteError::Full)?;
    }
    let site = book.site_mut(id).ok_or(SiteError::Full)?;
    site.status = wish.status.unwrap_or_else(|| site.status.clone());
    site.disk_space_gb = wish.disk_space_gb.unwrap_or(site.disk_space_gb);
    site.unlimited = wish.unlimited.unwrap_or(site.unlimited);
    site.disk_used_bytes = wish.disk_used_bytes.or(site.disk_used_bytes);
    site.email_used_bytes = wish.email_used_bytes.or(site.email_used_bytes);
    Ok(site.seen())
}

//! A domain put where a test wants it: POST /_sandbox/domains.

use std::time::Instant;

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Deserializer};

use super::domain::{Domain, DomainSeen, expiry};
use crate::{
    order::name::{DomainName, NotADomain},
    sandbox::ljpc::Book,
};

const TEXT_MAX: usize = 255;
const NAMESERVERS_MAX: usize = 13;

/// What shall be seen of a domain. What is not given stays, or is as after a registration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DomainWish {
    domain: String,
    /// Any, comma-joined ones too; it ends a transfer that is under way.
    status: Option<String>,
    /// A time with its offset, null for none, or not there at all.
    #[serde(default, deserialize_with = "given")]
    expires_at: Expiry,
    auto_renew: Option<bool>,
    transfer_lock: Option<bool>,
    nameservers: Option<Vec<String>>,
    contact_handle: Option<String>,
    /// Whether it belongs to another of LJPc's customers.
    foreign: Option<bool>,
}

/// When a domain shall expire.
#[derive(Debug, Default)]
enum Expiry {
    /// As before.
    #[default]
    Kept,
    /// Then, or nobody knows when.
    At(Option<DateTime<FixedOffset>>),
}

fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Expiry, D::Error> {
    Option::deserialize(from).map(Expiry::At)
}

/// Why a domain is not put there.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// It can't be read; the message names the keys that can.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
    /// Its name is none.
    #[error("domain: {0}")]
    Name(#[from] NotADomain),
    /// It can be read, but makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
    /// There are too many already.
    #[error("the sandbox holds as many domains as it may: start it anew")]
    Full,
}

/// Puts a domain there, given as JSON: made if it is not there.
pub(in crate::sandbox) fn put(
    book: &mut Book,
    json: &[u8],
    now: Instant,
    at: DateTime<Utc>,
) -> Result<DomainSeen, DomainError> {
    let wish: DomainWish = serde_json::from_slice(json)?;
    let name = DomainName::parse(&wish.domain)?;
    let nameservers = hosts(wish.nameservers.as_deref())?;
    let texts = wish.status.iter().chain(&wish.contact_handle);
    for text in texts {
        if text.is_empty() || text.len() > TEXT_MAX || text.contains(char::is_control) {
            return Err(DomainError::Senseless(
                "status and contact_handle: 1 to 255 printable characters",
            ));
        }
    }
    if book.domains.get(&name).is_none() {
        let handle = wish.contact_handle.clone().unwrap_or_else(|| book.contacts.account());
        let fresh = Domain::registered(name.clone(), handle, expiry(at, 1));
        book.domains.put(fresh).map_err(|_| DomainError::Full)?;
    }
    let domain = book.domains.get_mut(&name).ok_or(DomainError::Full)?;
    if let Some(status) = wish.status {
        domain.put_status(status, now);
    }
    if let Expiry::At(at) = wish.expires_at {
        domain.expires_at = at;
    }
    domain.auto_renew = wish.auto_renew.unwrap_or(domain.auto_renew);
    domain.transfer_lock = wish.transfer_lock.unwrap_or(domain.transfer_lock);
    domain.foreign = wish.foreign.unwrap_or(domain.foreign);
    if let Some(nameservers) = nameservers {
        domain.nameservers = nameservers;
    }
    if let Some(handle) = wish.contact_handle {
        domain.contact_handle = handle;
    }
    Ok(domain.seen(now))
}

fn hosts(given: Option<&[String]>) -> Result<Option<Vec<String>>, DomainError> {
    let Some(given) = given else { return Ok(None) };
    if given.len() > NAMESERVERS_MAX {
        return Err(DomainError::Senseless("nameservers: at most 13"));
    }
    let hosts = given.iter().map(|host| match DomainName::parse(host) {
        Ok(host) => Ok(host.as_str().to_owned()),
        Err(_) => Err(DomainError::Senseless("nameservers: each a host name")),
    });
    hosts.collect::<Result<_, _>>().map(Some)
}

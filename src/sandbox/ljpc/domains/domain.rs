//! One domain name, ours or another's. How a transfer stands follows from the time at which somebody asks.

use std::time::Instant;

use chrono::{DateTime, FixedOffset, Months, Timelike, Utc};
use serde::Serialize;

use crate::order::name::DomainName;

/// The zone of the times in the document's samples.
const OFFSET_SECONDS: i32 = 2 * 60 * 60;
const MONTHS_PER_YEAR: u32 = 12;
/// LJPc's own nameservers (GET /api/hosting/v1/domain-names/{domain}), which a name gets that is given none.
const NAMESERVERS: [&str; 3] = ["ns1.ljpc.network", "ns2.ljpc.network", "ns3.ljpc.network"];
const NAMESERVER_ZONE: &str = ".ljpc.network";
/// The auth code that every transfer is rejected for.
const WRONG_AUTH_CODE: &str = "wrong";

/// One domain name.
#[derive(Debug)]
pub(in crate::sandbox) struct Domain {
    pub(in crate::sandbox) name: DomainName,
    /// Of another of LJPc's customers: all that we can see is that it is taken.
    pub(in crate::sandbox) foreign: bool,
    /// As it is shown, unless a transfer is under way.
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) transfer: Option<Transfer>,
    pub(in crate::sandbox) expires_at: Option<DateTime<FixedOffset>>,
    pub(in crate::sandbox) nameservers: Vec<String>,
    pub(in crate::sandbox) auto_renew: bool,
    pub(in crate::sandbox) transfer_lock: bool,
    pub(in crate::sandbox) contact_handle: String,
    /// The `external_reference`, which the API never echoes.
    pub(in crate::sandbox) reference: Option<String>,
}

/// A transfer, until somebody puts its domain elsewhere by hand.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Transfer {
    /// When the other side has answered.
    pub(in crate::sandbox) due: Instant,
    pub(in crate::sandbox) succeeds: bool,
}

impl Domain {
    /// As a name is that has just been registered.
    pub(super) fn registered(
        name: DomainName,
        contact_handle: String,
        expires_at: Option<DateTime<FixedOffset>>,
    ) -> Self {
        Self {
            name,
            foreign: false,
            status: "active".to_owned(),
            transfer: None,
            expires_at,
            nameservers: NAMESERVERS.map(str::to_owned).to_vec(),
            auto_renew: true,
            transfer_lock: true,
            contact_handle,
            reference: None,
        }
    }

    /// Shows this status from now on. A transfer that had not arrived ends; only if it is active has it brought a date.
    pub(super) fn put_status(&mut self, status: String, now: Instant) {
        let arrived = self.expires_at(now);
        self.status = status;
        if self.transfer.take().is_some() && !self.has_status("active", now) {
            self.expires_at = arrived;
        }
    }

    /// As the API shows it.
    pub(in crate::sandbox) fn status(&self, now: Instant) -> &str {
        match self.transfer {
            Some(transfer) if now < transfer.due => "pending_transfer",
            Some(transfer) if !transfer.succeeds => "transfer_rejected",
            Some(_) | None => &self.status,
        }
    }

    /// None while it is not ours yet.
    pub(in crate::sandbox) fn expires_at(&self, now: Instant) -> Option<DateTime<FixedOffset>> {
        let arrived = self.transfer.is_none_or(|transfer| transfer.succeeds && transfer.due <= now);
        self.expires_at.filter(|_| arrived)
    }

    /// Whether one of its statuses, which may be comma-joined, is this.
    pub(in crate::sandbox::ljpc) fn has_status(&self, token: &str, now: Instant) -> bool {
        self.status(now).split(',').any(|status| status.trim() == token)
    }

    /// Whether LJPc's nameservers answer for it.
    pub(in crate::sandbox::ljpc) fn is_delegated(&self, now: Instant) -> bool {
        self.has_status("active", now)
            && self.nameservers.iter().all(|host| host.ends_with(NAMESERVER_ZONE))
    }

    /// A transfer that came to nothing may be asked for anew.
    pub(super) fn transfer_has_failed(&self, now: Instant) -> bool {
        self.status(now).split(',').any(|status| {
            status.trim().strip_prefix("transfer_").is_some_and(|end| {
                ["failed", "rejected", "cancelled"].iter().any(|bad| end.ends_with(bad))
            })
        })
    }

    pub(in crate::sandbox) fn seen(&self, now: Instant) -> DomainSeen {
        DomainSeen {
            domain: self.name.as_str().to_owned(),
            status: self.status(now).to_owned(),
            expires_at: self.expires_at(now),
            nameservers: self.nameservers.clone(),
            auto_renew: self.auto_renew,
            transfer_lock: self.transfer_lock,
            contact_handle: self.contact_handle.clone(),
            reference: self.reference.clone(),
            foreign: self.foreign,
        }
    }
}

/// A domain as the sandbox tells a test about it.
#[derive(Clone, Debug, Serialize)]
pub struct DomainSeen {
    /// Its name, as A-labels in lower case.
    pub domain: String,
    /// Its status, as the API shows it.
    pub status: String,
    /// When it expires; none while a transfer has not succeeded.
    pub expires_at: Option<DateTime<FixedOffset>>,
    /// Its nameservers.
    pub nameservers: Vec<String>,
    /// Whether it renews itself.
    pub auto_renew: bool,
    /// Whether it is locked against transfers.
    pub transfer_lock: bool,
    /// Its WHOIS contact.
    pub contact_handle: String,
    /// The `external_reference` of its registration or transfer, which the API itself never echoes.
    pub reference: Option<String>,
    /// Whether it belongs to another of LJPc's customers, so that the API shows nothing of it.
    pub foreign: bool,
}

/// What comes of a transfer with this auth code.
pub(in crate::sandbox::ljpc) fn is_right_auth_code(auth_code: &str) -> bool {
    auth_code != WRONG_AUTH_CODE
}

/// So many years later, to the second, in the zone of the document's samples.
pub(in crate::sandbox) fn expiry(at: DateTime<Utc>, years: u32) -> Option<DateTime<FixedOffset>> {
    let zone = FixedOffset::east_opt(OFFSET_SECONDS)?;
    let at = at.with_timezone(&zone).with_nanosecond(0)?;
    at.checked_add_months(Months::new(years.checked_mul(MONTHS_PER_YEAR)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_expire_after_their_years_in_the_samples_zone() {
        let at = DateTime::from_timestamp(1_782_000_000, 999).unwrap();
        let expires = expiry(at, 3).unwrap();
        assert_eq!(expires.to_rfc3339(), "2029-06-21T02:00:00+02:00");
    }
}

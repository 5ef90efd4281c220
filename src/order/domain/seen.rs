//! How a name stands upstream, and what a line wishes of it that is not so yet.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::order::ContactHandle;

/// A name as LJPc shows it (GET /api/hosting/v1/domain-names/{domain}). It may be a stored row, while their own system is
/// down: one reading is no proof of a change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DomainSeen {
    /// As upstream says it, opaque; it may be several words, joined by commas.
    pub status: Option<String>,
    /// Until when it is registered.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its name servers.
    pub nameservers: Vec<String>,
    /// Whether it renews by itself; none where that is not shown.
    pub auto_renew: Option<bool>,
    /// Whether it is locked against transfers; none where that is not shown.
    pub transfer_lock: Option<bool>,
    /// Its WHOIS contact.
    pub contact_handle: Option<ContactHandle>,
}

/// What is wished of a name, or, of that, what is to be changed (LJPc, PATCH /api/hosting/v1/domain-names/{domain}).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DomainChange {
    /// Two to four.
    pub nameservers: Option<Vec<String>>,
    /// Whether it shall renew by itself.
    pub auto_renew: Option<bool>,
    /// Whether it shall be locked against transfers.
    pub transfer_lock: Option<bool>,
    /// Whose it shall be.
    pub contact_handle: Option<ContactHandle>,
}

impl DomainChange {
    /// Nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What of these wishes is not so yet. What upstream does not show is asked for.
    #[must_use]
    pub fn missing_in(&self, seen: &DomainSeen) -> Self {
        Self {
            nameservers: self.nameservers.clone().filter(|w| !same_names(w, &seen.nameservers)),
            auto_renew: self.auto_renew.filter(|wished| seen.auto_renew != Some(*wished)),
            transfer_lock: self.transfer_lock.filter(|wished| seen.transfer_lock != Some(*wished)),
            contact_handle: self
                .contact_handle
                .clone()
                .filter(|wished| seen.contact_handle.as_ref() != Some(wished)),
        }
    }

    /// The fields that it changes, as the API's document names them.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        [
            ("nameservers", self.nameservers.is_some()),
            ("auto_renew", self.auto_renew.is_some()),
            ("transfer_lock", self.transfer_lock.is_some()),
            ("whois_contact_handle", self.contact_handle.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, is_changed)| is_changed.then_some(field))
        .collect()
    }
}

/// The same name servers, in whatever order and case, with or without the root's dot.
fn same_names(wished: &[String], seen: &[String]) -> bool {
    let normal = |names: &[String]| {
        let mut names: Vec<String> =
            names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        names.sort_unstable();
        names
    };
    normal(wished) == normal(seen)
}

/// How a transfer stands, by the name's status (contract, section 2, "Poll").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transfer {
    /// Under way, or a word that says nothing.
    Pending,
    /// The name is here.
    Done,
    /// It will not come.
    Failed,
}

/// Reads a status of comma-joined words: done when one is `active` and none begins with `pending`; failed when one begins
/// with `transfer_` and ends in failed, rejected or cancelled.
#[must_use]
pub fn transfer_of(status: &str) -> Transfer {
    let words: Vec<String> = status
        .split(',')
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    let has_failed = |word: &String| {
        word.strip_prefix("transfer_").is_some_and(|rest| {
            ["failed", "rejected", "cancelled"].iter().any(|end| rest.ends_with(end))
        })
    };
    if words.iter().any(has_failed) {
        Transfer::Failed
    } else if words.iter().any(|word| word == "active")
        && !words.iter().any(|word| word.starts_with("pending"))
    {
        Transfer::Done
    } else {
        Transfer::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_read_out_of_an_opaque_status() {
        for (status, reads) in [
            ("active", Transfer::Done),
            ("Active", Transfer::Done),
            ("clientTransferProhibited, active", Transfer::Done),
            ("pending_transfer", Transfer::Pending),
            ("active,pending_transfer", Transfer::Pending),
            ("pendingTransfer,active", Transfer::Pending),
            ("inactive", Transfer::Pending),
            ("transfer_rejected", Transfer::Failed),
            ("transfer_failed,active", Transfer::Failed),
            ("active, transfer_client_cancelled", Transfer::Failed),
            ("transfer_pending", Transfer::Pending),
            ("transfer_failed_once", Transfer::Pending),
            ("not_transfer_failed", Transfer::Pending),
            ("", Transfer::Pending),
            (",,", Transfer::Pending),
        ] {
            assert_eq!(transfer_of(status), reads, "{status}");
        }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let seen = DomainSeen {
            nameservers: names(&["NS2.example.com.", "ns1.example.com"]),
            auto_renew: Some(true),
            transfer_lock: None,
            contact_handle: Some(ContactHandle("h-1".to_owned())),
            ..DomainSeen::default()
        };
        let wished = DomainChange {
            nameservers: Some(names(&["ns1.example.com", "ns2.example.com"])),
            auto_renew: Some(false),
            transfer_lock: Some(true),
            contact_handle: Some(ContactHandle("h-1".to_owned())),
        };
        let missing = wished.missing_in(&seen);
        assert_eq!(missing.fields(), ["auto_renew", "transfer_lock"]);
        assert!(DomainChange::default().missing_in(&seen).is_empty());
        let moved = DomainChange {
            nameservers: Some(names(&["ns1.example.com", "ns3.example.com"])),
            contact_handle: Some(ContactHandle("h-2".to_owned())),
            ..DomainChange::default()
        };
        assert_eq!(moved.missing_in(&seen).fields(), ["nameservers", "whois_contact_handle"]);
    }
}

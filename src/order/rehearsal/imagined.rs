//! The upstream as it would be after what has been rehearsed so far.

use std::collections::BTreeMap;

use crate::order::{
    ContactHandle, SiteId,
    decide::Query,
    domain::{DomainChange, DomainSeen},
    effect::{Effect, Item, Request},
    facts::{ContactReading, DomainReading, Known, Reading, SimpleStatus, ZoneReading},
    name::DomainName,
};

/// What was read once, with what was imagined since.
#[derive(Debug, Default)]
pub(super) struct Imagined {
    domains: BTreeMap<DomainName, DomainReading>,
    zones: BTreeMap<DomainName, ZoneReading>,
    contacts: BTreeMap<String, ContactReading>,
}

impl Imagined {
    /// Keeps what was read, for what is imagined on top of it.
    pub(super) fn begin_with(&mut self, query: &Query, read: &Known) {
        match query {
            Query::Domain(name) => {
                self.domains.extend(read.domain.clone().map(|read| (name.clone(), read)));
            }
            Query::Zone(name) => {
                self.zones.extend(read.zone.clone().map(|read| (name.clone(), read)));
            }
            Query::ContactDetail(handle) => {
                self.contacts
                    .extend(read.contact_seen.clone().map(|read| (handle.0.clone(), read)));
            }
            Query::Catalogue
            | Query::Order(_)
            | Query::Tlds
            | Query::Offer(..)
            | Query::Contact(_)
            | Query::Alternatives(_)
            | Query::Sites
            | Query::OrderIds { .. } => {}
        }
    }

    /// The answer, where it needs no asking.
    pub(super) fn read(&self, query: &Query) -> Option<Known> {
        let mut known = Known::default();
        match query {
            Query::Order(_) => {
                let (simple_status, site_id) = (SimpleStatus::Completed, Some(SiteId(0)));
                known.reading = Some(Reading::Order { simple_status, site_id });
            }
            Query::Domain(name) => known.domain = Some(self.domains.get(name)?.clone()),
            Query::Zone(name) => known.zone = Some(self.zones.get(name)?.clone()),
            Query::ContactDetail(ContactHandle(handle)) => {
                known.contact_seen = Some(self.contacts.get(handle)?.clone());
            }
            Query::Catalogue
            | Query::Tlds
            | Query::Offer(..)
            | Query::Contact(_)
            | Query::Alternatives(_)
            | Query::Sites
            | Query::OrderIds { .. } => return None,
        }
        Some(known)
    }

    /// What is so after the request.
    pub(super) fn make(&mut self, effect: &Effect) {
        match (&effect.request, &effect.domain) {
            (
                Request::Register { contact_handle, nameservers, .. }
                | Request::Transfer { contact_handle, nameservers },
                Some(name),
            ) => self.arrives(name, Some(contact_handle.clone()), nameservers.clone()),
            (Request::Order { item: Item::Domain { .. }, .. }, Some(name)) => {
                self.arrives(name, None, Vec::new());
            }
            (Request::UpdateDomain(change), Some(name)) => self.change(name, change),
            (Request::ReplaceRecords { records, .. }, Some(name)) => {
                self.zones.insert(name.clone(), ZoneReading::Records(records.clone()));
            }
            (Request::UpdateContact { contact_handle, change }, _) => {
                if let Some(ContactReading::Seen(seen)) = self.contacts.get_mut(&contact_handle.0) {
                    **seen = change.applied_to(seen);
                }
            }
            (
                Request::Order { .. }
                | Request::Register { .. }
                | Request::Transfer { .. }
                | Request::UpdateDomain(_)
                | Request::ReplaceRecords { .. }
                | Request::CreateContact(_),
                _,
            ) => {}
        }
    }

    /// A name that has come, without a zone yet.
    fn arrives(&mut self, name: &DomainName, contact: Option<ContactHandle>, servers: Vec<String>) {
        let seen = DomainSeen {
            status: Some("active".to_owned()),
            nameservers: servers,
            contact_handle: contact,
            ..DomainSeen::default()
        };
        self.domains.insert(name.clone(), DomainReading::Seen(seen));
        self.zones.insert(name.clone(), ZoneReading::Records(Vec::new()));
    }

    fn change(&mut self, name: &DomainName, change: &DomainChange) {
        let Some(DomainReading::Seen(seen)) = self.domains.get_mut(name) else { return };
        let DomainChange { nameservers, auto_renew, transfer_lock, contact_handle } =
            change.clone();
        if let Some(nameservers) = nameservers {
            seen.nameservers = nameservers;
        }
        seen.auto_renew = auto_renew.or(seen.auto_renew);
        seen.transfer_lock = transfer_lock.or(seen.transfer_lock);
        seen.contact_handle = contact_handle.or(seen.contact_handle.take());
    }
}

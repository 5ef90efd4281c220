//! The domain names that there are: ours, and those of LJPc's other customers.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use chrono::{DateTime, Utc};

use super::domain::{Domain, Transfer, expiry};
use crate::{
    order::name::DomainName,
    sandbox::ljpc::{catalogue, input::Refused},
};

/// How a name comes to us.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox::ljpc) enum Way {
    /// Registered for so many years.
    Registration {
        years: u32,
    },
    Transfer(Transfer),
}

/// A name that comes to us.
#[derive(Debug)]
pub(in crate::sandbox::ljpc) struct NewDomain {
    pub(in crate::sandbox::ljpc) name: DomainName,
    pub(in crate::sandbox::ljpc) way: Way,
    pub(in crate::sandbox::ljpc) nameservers: Option<Vec<String>>,
    pub(in crate::sandbox::ljpc) contact_handle: String,
    pub(in crate::sandbox::ljpc) reference: Option<String>,
    /// When it was registered, or the transfer asked for.
    pub(in crate::sandbox::ljpc) at: DateTime<Utc>,
}

/// All domain names, in the order in which they came.
#[derive(Debug)]
pub(in crate::sandbox) struct Domains {
    rows: Vec<Domain>,
    places: HashMap<DomainName, usize>,
    rows_max: usize,
    /// How often each name was bought.
    bought: HashMap<DomainName, u32>,
    pub(in crate::sandbox) registrations: usize,
    pub(in crate::sandbox) transfers: usize,
}

impl Domains {
    pub(in crate::sandbox::ljpc) fn new(rows_max: usize) -> Self {
        Self {
            rows: Vec::new(),
            places: HashMap::new(),
            rows_max,
            bought: HashMap::new(),
            registrations: 0,
            transfers: 0,
        }
    }

    /// Whether nobody can register the name: it is held here, or it is taken by convention.
    pub(in crate::sandbox) fn is_taken(&self, name: &DomainName) -> bool {
        self.places.contains_key(name) || catalogue::is_taken_by_convention(name)
    }

    /// Whether the name may be transferred to us. Whoever has it elsewhere is not asked.
    pub(in crate::sandbox::ljpc) fn may_come(&self, name: &DomainName, now: Instant) -> bool {
        self.get(name).is_none_or(|held| !held.foreign && held.transfer_has_failed(now))
    }

    /// Enters a name that has been bought. One that is here already must have been looked at before.
    pub(in crate::sandbox::ljpc) fn enter(&mut self, new: NewDomain) -> Result<(), Refused> {
        let years = match new.way {
            Way::Registration { years } => years,
            Way::Transfer(_) => 1,
        };
        let (transfer, count) = match new.way {
            Way::Registration { .. } => (None, &mut self.registrations),
            Way::Transfer(transfer) => (Some(transfer), &mut self.transfers),
        };
        let mut domain = Domain::registered(new.name, new.contact_handle, expiry(new.at, years));
        domain.transfer = transfer;
        domain.reference = new.reference;
        if let Some(nameservers) = new.nameservers {
            domain.nameservers = nameservers;
        }
        if self.rows.len() >= self.rows_max && !self.places.contains_key(&domain.name) {
            return Err(Refused::full("domains", self.rows_max));
        }
        *count = count.saturating_add(1);
        self.put(domain)
    }

    /// Puts a row there, in place of the one that its name has.
    pub(in crate::sandbox::ljpc) fn put(&mut self, domain: Domain) -> Result<(), Refused> {
        if let Some(row) = self.places.get(&domain.name).and_then(|at| self.rows.get_mut(*at)) {
            *row = domain;
            return Ok(());
        }
        if self.rows.len() >= self.rows_max {
            return Err(Refused::full("domains", self.rows_max));
        }
        self.places.insert(domain.name.clone(), self.rows.len());
        self.rows.push(domain);
        Ok(())
    }

    /// Counts a purchase that was accepted, so that a second one of the same name is seen.
    pub(in crate::sandbox::ljpc) fn count_purchase(&mut self, name: &DomainName) {
        let count = self.bought.entry(name.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes back a count of a purchase that came to nothing.
    pub(in crate::sandbox::ljpc) fn forget_purchase(&mut self, name: &DomainName) {
        if let Some(count) = self.bought.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }

    /// The names that were bought more than once, and how often.
    pub(in crate::sandbox) fn bought_twice(&self) -> BTreeMap<String, u32> {
        let twice = self.bought.iter().filter(|(_, count)| **count > 1);
        twice.map(|(name, count)| (name.as_str().to_owned(), *count)).collect()
    }

    /// The row of this name, whosever it is.
    pub(in crate::sandbox) fn get(&self, name: &DomainName) -> Option<&Domain> {
        self.rows.get(*self.places.get(name)?)
    }

    /// [`Self::get`], to be changed.
    pub(super) fn get_mut(&mut self, name: &DomainName) -> Option<&mut Domain> {
        self.rows.get_mut(*self.places.get(name)?)
    }

    /// The domain of this name, if it is ours.
    pub(in crate::sandbox::ljpc) fn own(&self, name: &DomainName) -> Option<&Domain> {
        self.get(name).filter(|domain| !domain.foreign)
    }

    /// [`Self::own`], to be changed.
    pub(in crate::sandbox::ljpc) fn own_mut(&mut self, name: &DomainName) -> Option<&mut Domain> {
        self.get_mut(name).filter(|domain| !domain.foreign)
    }

    /// All that are held here, whosever they are.
    pub(in crate::sandbox) fn all(&self) -> impl Iterator<Item = &Domain> {
        self.rows.iter()
    }

    /// Those that are ours.
    pub(in crate::sandbox::ljpc) fn all_own(&self) -> impl Iterator<Item = &Domain> {
        self.rows.iter().filter(|domain| !domain.foreign)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn new(text: &str, way: Way) -> NewDomain {
        NewDomain {
            name: name(text),
            way,
            nameservers: None,
            contact_handle: "sandbox-0001".into(),
            reference: None,
            at: clock::now(),
        }
    }

    const ONE_YEAR: Way = Way::Registration { years: 1 };

    #[test]
    fn a_registered_name_is_taken_in_every_spelling() {
        let mut domains = Domains::new(10);
        domains.enter(new("bücher.nl", ONE_YEAR)).unwrap();
        for spelling in ["BÜCHER.nl", "xn--bcher-kva.nl", "XN--BCHER-KVA.NL"] {
            assert!(domains.is_taken(&name(spelling)), "{spelling}");
        }
        assert!(!domains.is_taken(&name("bucher.nl")));
        assert!(domains.is_taken(&name("taken.nl")) && domains.is_taken(&name("taken-2.co.uk")));
    }

    #[test]
    fn a_transfer_is_pending_until_it_ends_one_way_or_the_other() {
        let (mut domains, t0) = (Domains::new(10), Instant::now());
        let due = t0 + Duration::from_secs(10);
        for (domain, succeeds, end) in
            [("a.nl", true, "active"), ("b.nl", false, "transfer_rejected")]
        {
            domains.enter(new(domain, Way::Transfer(Transfer { due, succeeds }))).unwrap();
            let held = domains.own(&name(domain)).unwrap();
            assert_eq!((held.status(t0), held.expires_at(t0)), ("pending_transfer", None));
            assert!(!domains.may_come(&name(domain), t0), "one is under way");
            assert_eq!(held.status(due), end);
            assert_eq!(held.expires_at(due).is_some(), succeeds);
            assert_eq!(domains.may_come(&name(domain), due), !succeeds);
        }
        assert_eq!((domains.registrations, domains.transfers), (0, 2));
    }

    #[test]
    fn the_number_of_domains_is_bounded() {
        let mut domains = Domains::new(2);
        domains.enter(new("a.nl", ONE_YEAR)).unwrap();
        domains.enter(new("b.nl", ONE_YEAR)).unwrap();
        let refused = domains.enter(new("c.nl", ONE_YEAR)).unwrap_err();
        assert_eq!(refused.status, http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((domains.all().count(), domains.registrations), (2, 2));
    }

    #[test]
    fn a_second_purchase_is_seen() {
        let mut domains = Domains::new(2);
        domains.count_purchase(&name("a.nl"));
        domains.count_purchase(&name("b.nl"));
        assert!(domains.bought_twice().is_empty());
        domains.count_purchase(&name("A.nl"));
        assert_eq!(domains.bought_twice(), BTreeMap::from([("a.nl".to_owned(), 2)]));
        domains.forget_purchase(&name("a.nl"));
        domains.forget_purchase(&name("c.nl"));
        assert!(domains.bought_twice().is_empty());
    }
}

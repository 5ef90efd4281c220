//! What becomes of orders by themselves, and by hand: sites and names.

use std::{cmp::Reverse, time::Instant};

use super::{Book, Due};
use crate::{
    order::{SiteId, UpstreamOrderId, name::DomainName},
    sandbox::{
        dice::{Stream, draw},
        ljpc::{
            cart::{NameAction, OrderLine, OrderedName},
            domains::{
                domain::Transfer,
                registry::{Domains, NewDomain, Way},
            },
            record::{Fate, Stage},
            sites::site::Site,
        },
    },
};

impl Book {
    /// Delivers whatever is due by now.
    pub(in crate::sandbox) fn advance(&mut self, now: Instant) {
        while let Some(Reverse((at, id, what))) = self.due.peek().copied() {
            if at > now {
                return;
            }
            self.due.pop();
            match what {
                Due::End => self.end(id, at),
                Due::LateSites => self.assign_sites(id),
            }
        }
    }

    fn end(&mut self, id: UpstreamOrderId, now: Instant) {
        let drawn = draw(self.terms.seed, Stream::Failures, id.0.unsigned_abs());
        let unlucky = self.terms.failure_rate.happens(drawn);
        let domains = &self.domains;
        let order = self.orders.binary_search_by_key(&id, |order| order.id);
        let Some(order) = order.ok().and_then(|at| self.orders.get_mut(at)) else { return };
        if order.settled.is_some() {
            return; // driven by hand meanwhile
        }
        let names = order.lines.iter().filter_map(|line| line.name.as_ref());
        let refused = names.into_iter().any(|ordered| !can_come(domains, ordered, now));
        let fails = order.fate == Fate::Fails || (order.fate == Fate::Usual && unlucky) || refused;
        order.settled = Some(if fails { Stage::Failed } else { Stage::Completed });
        if fails {
            return self.forget_names(id);
        }
        if order.fate == Fate::Usual {
            self.assign_sites(id);
        }
        self.deliver_names(id, now);
    }

    /// Enters the names of a completed order that can be had, on the account's own contact: a cart item has no handle.
    pub(super) fn deliver_names(&mut self, id: UpstreamOrderId, now: Instant) {
        let Ok(at) = self.position(id) else { return };
        let Some(order) = self.orders.get(at) else { return };
        for ordered in order.lines.iter().filter_map(|line| line.name.as_ref()) {
            if !can_come(&self.domains, ordered, now) {
                continue;
            }
            let way = match ordered.action {
                NameAction::Register => Way::Registration { years: 1 },
                NameAction::Transfer { succeeds } => Way::Transfer(Transfer { due: now, succeeds }),
            };
            let new = NewDomain {
                name: ordered.name.clone(),
                way,
                nameservers: None,
                contact_handle: self.contacts.account(),
                reference: order.tag.clone(),
                at: order.created_at,
            };
            // Where no more fit in, the name is missing, as one is that LJPc lost.
            drop(self.domains.enter(new));
        }
    }

    /// Gives a site to each hosting line of a completed order that has none yet.
    pub(super) fn assign_sites(&mut self, id: UpstreamOrderId) {
        let Ok(at) = self.position(id) else { return };
        let mut next = self.next_site_id;
        let Some(order) = self.orders.get_mut(at) else { return };
        if order.settled != Some(Stage::Completed) {
            return;
        }
        let mut made = Vec::new();
        for (line, site_id) in order.lines.iter().zip(&mut order.site_ids) {
            let Some(hosting) = &line.hosting else { continue };
            if site_id.is_none() {
                // An id given by hand may lie in the way.
                while self.sites.binary_search_by_key(&SiteId(next), |site| site.id).is_ok() {
                    next += 1;
                }
                *site_id = Some(SiteId(next));
                made.push(Site::delivered(
                    SiteId(next),
                    Some(id),
                    line.domain.clone(),
                    hosting.disk_space_gb,
                    hosting.has_panel,
                ));
                next += 1;
            }
        }
        self.next_site_id = next;
        for site in made {
            self.insert_site(site);
        }
    }

    /// Enters a site, unless its id is another's.
    pub(super) fn insert_site(&mut self, site: Site) {
        if let Ok(name) = DomainName::parse(&site.domain)
            && site.has_panel
        {
            self.with_panel.insert(name);
        }
        if let Err(at) = self.sites.binary_search_by_key(&site.id, |known| known.id) {
            self.sites.insert(at, site);
        }
    }

    /// An order that failed has bought no name, unless it failed because the name was ours already: that is a second
    /// purchase, which shall be seen.
    fn forget_names(&mut self, id: UpstreamOrderId) {
        let Ok(at) = self.position(id) else { return };
        let Some(order) = self.orders.get(at) else { return };
        for ordered in order.lines.iter().filter_map(|line| line.name.as_ref()) {
            if self.domains.own(&ordered.name).is_none() {
                self.domains.forget_purchase(&ordered.name);
            }
        }
    }

    /// Gives this site to the order's first hosting line. A site that exists is not made again: two
    /// orders that show the same one are something that a client must survive.
    pub(super) fn assign_site(&mut self, id: UpstreamOrderId, site_id: SiteId) {
        let Some(order) = self.order_mut(id) else { return };
        let first =
            order.lines.iter().zip(&mut order.site_ids).find(|(line, _)| line.hosting.is_some());
        let Some((OrderLine { hosting: Some(hosting), domain, .. }, slot)) = first else { return };
        *slot = Some(site_id);
        let (domain, space, panel) = (domain.clone(), hosting.disk_space_gb, hosting.has_panel);
        let site = Site::delivered(site_id, Some(id), domain, space, panel);
        self.insert_site(site);
    }
}

/// Whether a name that was ordered can be had.
fn can_come(domains: &Domains, ordered: &OrderedName, now: Instant) -> bool {
    match ordered.action {
        NameAction::Register => !domains.is_taken(&ordered.name),
        NameAction::Transfer { succeeds } => succeeds && domains.may_come(&ordered.name, now),
    }
}

//! All that the account has: orders, and the sites and names that came of them; contacts and zones. Nothing runs beside
//! it: what is due by now is delivered when somebody next asks, so that 100,000 open orders cost no timer and no scan.

mod deliver;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use super::{
    cart::NewOrder,
    contacts::Contacts,
    dns::Zones,
    domains::registry::Domains,
    record::{Drive, DrivenSite, Fate, Order, OrderSeen, Stage},
    sites::site::{Site, SiteSeen},
};
use crate::{
    order::{SiteId, UpstreamOrderId, name::DomainName},
    sandbox::dice::{Probability, Stream, draw},
};

/// The ids that the document's samples begin with.
const FIRST_ORDER_ID: i64 = 110;
const FIRST_SITE_ID: i64 = 2019;
/// Between two of our orders lie up to this many of other resellers.
const GAP_MAX: u64 = 3;

/// How orders are delivered, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Terms {
    pub(in crate::sandbox) delay: Duration,
    pub(in crate::sandbox) failure_rate: Probability,
    pub(in crate::sandbox) seed: u64,
    pub(in crate::sandbox) orders_max: usize,
    pub(in crate::sandbox) domains_max: usize,
    pub(in crate::sandbox) contacts_max: usize,
    pub(in crate::sandbox) records_max: usize,
}

/// Why the book refused.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It is full.
    #[error("the sandbox holds {0} orders, which is its most: start it anew")]
    Full(usize),
    /// The order is not one of ours.
    #[error("the sandbox knows no order {0}")]
    NoSuchOrder(UpstreamOrderId),
    /// A site id that no site can have.
    #[error("site id {0} is not a positive number")]
    SiteId(SiteId),
}

/// Whose an order id is.
pub(super) enum Ownership<'a> {
    Ours(&'a Order),
    /// Another reseller's.
    Foreign,
    Unknown,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due {
    End,
    LateSites,
}

/// All orders, sites, domains and contacts.
#[derive(Debug)]
pub(in crate::sandbox) struct Book {
    pub(in crate::sandbox) domains: Domains,
    pub(in crate::sandbox) contacts: Contacts,
    pub(in crate::sandbox) zones: Zones,
    terms: Terms,
    /// Ids ascend, so a binary search finds one.
    orders: Vec<Order>,
    /// Ascending by id.
    sites: Vec<Site>,
    /// The names of the sites that have a control panel, which manages their zones.
    with_panel: HashSet<DomainName>,
    tags: HashMap<String, u32>,
    due: BinaryHeap<Reverse<(Instant, UpstreamOrderId, Due)>>,
    next_order_id: i64,
    next_site_id: i64,
}

impl Book {
    pub(in crate::sandbox) fn new(terms: Terms) -> Self {
        Self {
            domains: Domains::new(terms.domains_max),
            contacts: Contacts::new(terms.contacts_max),
            zones: Zones::new(terms.records_max),
            terms,
            orders: Vec::new(),
            sites: Vec::new(),
            with_panel: HashSet::new(),
            tags: HashMap::new(),
            due: BinaryHeap::new(),
            next_order_id: FIRST_ORDER_ID,
            next_site_id: FIRST_SITE_ID,
        }
    }

    /// Enters an order, pending.
    pub(super) fn place(
        &mut self,
        new: NewOrder,
        fate: Fate,
        now: Instant,
        created_at: DateTime<Utc>,
    ) -> Result<&Order, BookError> {
        if self.orders.len() >= self.terms.orders_max {
            return Err(BookError::Full(self.terms.orders_max));
        }
        let id = UpstreamOrderId(self.next_order_id);
        let gap = draw(self.terms.seed, Stream::Gaps, id.0.unsigned_abs()) % (GAP_MAX + 1);
        self.next_order_id = id.0.saturating_add(1).saturating_add_unsigned(gap);
        if let Some(tag) = &new.external_reference {
            *self.tags.entry(tag.clone()).or_default() += 1;
        }
        for ordered in new.lines.iter().filter_map(|line| line.name.as_ref()) {
            self.domains.count_purchase(&ordered.name);
        }
        let due = now + self.terms.delay;
        self.due.push(Reverse((due, id, Due::End)));
        if let Fate::LateSiteId(after) = fate {
            self.due.push(Reverse((due + after, id, Due::LateSites)));
        }
        let at = self.orders.len();
        self.orders.push(Order {
            id,
            summary: new.summary,
            site_ids: vec![None; new.lines.len()],
            total: new.lines.iter().map(|line| line.price).sum(),
            lines: new.lines,
            created_at,
            tag: new.external_reference,
            placed: now,
            fate,
            settled: None,
        });
        self.orders.get(at).ok_or(BookError::NoSuchOrder(id))
    }

    /// Puts an order where a test wants it, from wherever it is; there it stays.
    pub(in crate::sandbox) fn drive(
        &mut self,
        id: UpstreamOrderId,
        to: Drive,
        now: Instant,
    ) -> Result<OrderSeen, BookError> {
        self.advance(now);
        if let DrivenSite::This(site_id) = to.site
            && site_id.0 < 1
        {
            return Err(BookError::SiteId(site_id));
        }
        let order = self.order_mut(id).ok_or(BookError::NoSuchOrder(id))?;
        order.settled = Some(to.stage);
        if to.stage == Stage::Completed {
            match to.site {
                DrivenSite::Usual => self.assign_sites(id),
                DrivenSite::None => order.site_ids.fill(None),
                DrivenSite::This(site_id) => self.assign_site(id, site_id),
            }
            self.deliver_names(id, now);
        }
        self.order(id)
            .map(|order| order.seen(now, self.terms.delay))
            .ok_or(BookError::NoSuchOrder(id))
    }

    /// Whose the order of this id is. Every id below the highest of ours that is not ours is somebody else's.
    pub(super) fn find(&self, id: UpstreamOrderId) -> Ownership<'_> {
        match self.order(id) {
            Some(order) => Ownership::Ours(order),
            None if id.0 >= 1 && id.0 < self.highest_id() => Ownership::Foreign,
            None => Ownership::Unknown,
        }
    }

    fn highest_id(&self) -> i64 {
        self.orders.last().map_or(FIRST_ORDER_ID, |order| order.id.0)
    }

    /// The site of this id, if it is ours.
    pub(super) fn site(&self, id: SiteId) -> Option<&Site> {
        let at = self.sites.binary_search_by_key(&id, |site| site.id).ok()?;
        self.sites.get(at)
    }

    /// [`Self::site`], to be changed.
    pub(super) fn site_mut(&mut self, id: SiteId) -> Option<&mut Site> {
        let at = self.sites.binary_search_by_key(&id, |site| site.id).ok()?;
        self.sites.get_mut(at)
    }

    /// An id that the next delivery might have had.
    pub(super) fn free_site_id(&self) -> SiteId {
        let mut id = SiteId(self.next_site_id);
        while self.site(id).is_some() {
            id = SiteId(id.0.saturating_add(1));
        }
        id
    }

    /// Enters a site that no order made. Of these there are no more than of orders.
    pub(super) fn add_site(&mut self, site: Site) -> Result<(), BookError> {
        if self.sites.len() >= self.terms.orders_max {
            return Err(BookError::Full(self.terms.orders_max));
        }
        self.insert_site(site);
        Ok(())
    }

    /// Takes a site away, as when it was ended. Its order shows it still.
    pub(super) fn remove_site(&mut self, id: SiteId) -> Option<Site> {
        let at = self.sites.binary_search_by_key(&id, |site| site.id).ok()?;
        let gone = self.sites.remove(at);
        let name = DomainName::parse(&gone.domain).ok();
        let same = |site: &Site| site.has_panel && DomainName::parse(&site.domain).ok() == name;
        if let Some(name) = &name
            && !self.sites.iter().any(same)
        {
            self.with_panel.remove(name);
        }
        Some(gone)
    }

    /// All sites, ascending from the first with an id above `after`, at most `limit`.
    pub(in crate::sandbox) fn sites_seen(&self, after: SiteId, limit: usize) -> Vec<SiteSeen> {
        let from = self.sites.partition_point(|site| site.id <= after);
        self.sites.iter().skip(from).take(limit).map(Site::seen).collect()
    }

    /// Whether a site of this name was delivered that has a control panel.
    pub(super) fn has_panel(&self, name: &DomainName) -> bool {
        self.with_panel.contains(name)
    }

    /// How many sites there are, and those from `skip` on, at most `take`.
    pub(super) fn sites(&self, skip: usize, take: usize) -> (usize, &[Site]) {
        let from = skip.min(self.sites.len());
        let to = skip.saturating_add(take).min(self.sites.len());
        (self.sites.len(), self.sites.get(from..to).unwrap_or_default())
    }

    pub(super) fn stage(&self, order: &Order, now: Instant) -> Stage {
        order.stage(now, self.terms.delay)
    }

    /// How long an order, or a transfer, takes.
    pub(super) fn delay(&self) -> Duration {
        self.terms.delay
    }

    /// How many orders there are.
    pub(in crate::sandbox) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Orders as a test sees them, ascending from the first with an id above `after`, at most `limit`.
    pub(in crate::sandbox) fn seen(
        &mut self,
        after: UpstreamOrderId,
        limit: usize,
        now: Instant,
    ) -> Vec<OrderSeen> {
        self.advance(now);
        let from = self.orders.partition_point(|order| order.id <= after);
        self.orders
            .iter()
            .skip(from)
            .take(limit)
            .map(|order| order.seen(now, self.terms.delay))
            .collect()
    }

    /// How many orders bear each tag.
    pub(in crate::sandbox) fn per_tag(&self) -> BTreeMap<String, u32> {
        self.tags.iter().map(|(tag, count)| (tag.clone(), *count)).collect()
    }

    pub(super) fn order(&self, id: UpstreamOrderId) -> Option<&Order> {
        self.orders.get(self.position(id).ok()?)
    }

    fn order_mut(&mut self, id: UpstreamOrderId) -> Option<&mut Order> {
        let at = self.position(id).ok()?;
        self.orders.get_mut(at)
    }

    fn position(&self, id: UpstreamOrderId) -> Result<usize, usize> {
        self.orders.binary_search_by_key(&id, |order| order.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, sandbox::ljpc::cart};

    const DELAY: Duration = Duration::from_secs(10);
    const ALL: UpstreamOrderId = UpstreamOrderId(0);

    fn book(failure_rate: &str, seed: u64) -> Book {
        let failure_rate = failure_rate.parse().unwrap();
        Book::new(Terms {
            delay: DELAY,
            failure_rate,
            seed,
            orders_max: 1_000,
            domains_max: 1_000,
            contacts_max: 1_000,
            records_max: 1_000,
        })
    }

    fn new_order(tag: &str) -> NewOrder {
        let body = serde_json::json!({
            "summary": tag,
            "meta": { "external_reference": tag },
            "order_lines": [{ "description": tag, "cart_item": {
                "type": "hosting_own", "space_id": 7, "domain": "example.nl" } }]
        });
        cart::read(body.to_string().as_bytes()).unwrap()
    }

    fn place(book: &mut Book, tag: &str, fate: Fate, now: Instant) -> UpstreamOrderId {
        book.place(new_order(tag), fate, now, clock::now()).unwrap().id
    }

    fn look(book: &mut Book, id: UpstreamOrderId, now: Instant) -> OrderSeen {
        book.seen(UpstreamOrderId(id.0 - 1), 1, now).remove(0)
    }

    #[test]
    fn an_order_is_pending_then_processing_then_completed_with_a_site() {
        let (mut book, t0) = (book("0", 1), Instant::now());
        let id = place(&mut book, "a/0", Fate::Usual, t0);
        let second = Duration::from_secs(1);
        for (after, stage) in [
            (0, Stage::Pending),
            (4, Stage::Pending),
            (5, Stage::Processing),
            (9, Stage::Processing),
            (10, Stage::Completed),
        ] {
            let seen = look(&mut book, id, t0 + second * after);
            assert_eq!(seen.state, stage, "after {after} s");
            assert_eq!(seen.deliveries.len(), usize::from(stage == Stage::Completed));
        }
        assert_eq!(look(&mut book, id, t0 + DELAY).deliveries[0].site_id, Some(SiteId(2019)));
        assert_eq!(book.site(SiteId(2019)).unwrap().order, Some(id));
    }

    #[test]
    fn sites_come_in_the_order_of_delivery_and_not_before() {
        let (mut book, t0) = (book("0", 1), Instant::now());
        for n in 0..30 {
            place(&mut book, "x", Fate::Usual, t0 + Duration::from_secs(n));
        }
        book.advance(t0 + DELAY + Duration::from_secs(9));
        let (total, page) = book.sites(8, 5);
        assert_eq!(total, 10);
        assert_eq!(page.iter().map(|site| site.id.0).collect::<Vec<_>>(), [2027, 2028]);
        assert_eq!(book.sites(usize::MAX, 5).1.len(), 0);
    }

    #[test]
    fn ids_ascend_with_gaps_that_belong_to_others() {
        let (mut book, t0) = (book("0", 3), Instant::now());
        let ids: Vec<i64> = (0..50).map(|_| place(&mut book, "x", Fate::Usual, t0).0).collect();
        assert_eq!(ids[0], 110);
        assert!(ids.windows(2).all(|pair| (1..=4).contains(&(pair[1] - pair[0]))));
        let gaps: Vec<i64> = (110..ids[49]).filter(|id| !ids.contains(id)).collect();
        assert!(gaps.len() > 20, "{gaps:?}");
        for id in gaps {
            assert!(matches!(book.find(UpstreamOrderId(id)), Ownership::Foreign), "{id}");
        }
        assert!(matches!(book.find(UpstreamOrderId(1)), Ownership::Foreign));
        for id in [0, -1, ids[49] + 1, i64::MAX] {
            assert!(matches!(book.find(UpstreamOrderId(id)), Ownership::Unknown), "{id}");
        }
        assert!(matches!(book.find(UpstreamOrderId(ids[7])), Ownership::Ours(_)));
    }

    #[test]
    fn the_failure_rate_fails_the_same_orders_for_the_same_seed() {
        let failed = |rate, seed| {
            let (mut book, t0) = (book(rate, seed), Instant::now());
            for _ in 0..1_000 {
                place(&mut book, "x", Fate::Usual, t0);
            }
            let seen = book.seen(ALL, usize::MAX, t0 + DELAY);
            seen.iter().filter(|o| o.state == Stage::Failed).map(|o| o.id).collect::<Vec<_>>()
        };
        assert_eq!(failed("0", 1).len(), 0);
        assert_eq!(failed("1", 1).len(), 1_000);
        assert!((150..250).contains(&failed("0.2", 1).len()));
        assert_eq!(failed("0.2", 1), failed("0.2", 1));
        assert_ne!(failed("0.2", 1), failed("0.2", 2));
    }

    #[test]
    fn fates_come_true() {
        let (mut book, t0) = (book("0", 1), Instant::now());
        let fails = place(&mut book, "a", Fate::Fails, t0);
        let without = place(&mut book, "b", Fate::WithoutSiteId, t0);
        let late = place(&mut book, "c", Fate::LateSiteId(DELAY), t0);
        assert_eq!(look(&mut book, fails, t0 + DELAY).state, Stage::Failed);
        for id in [without, late] {
            let seen = look(&mut book, id, t0 + DELAY);
            assert_eq!((seen.state, seen.deliveries[0].site_id), (Stage::Completed, None));
        }
        let much_later = t0 + DELAY * 2;
        assert_eq!(look(&mut book, without, much_later).deliveries[0].site_id, None);
        assert!(look(&mut book, late, much_later).deliveries[0].site_id.is_some());
    }

    #[test]
    fn an_order_driven_by_hand_stays_where_it_is_put() {
        let (mut book, t0) = (book("0", 1), Instant::now());
        let id = place(&mut book, "a", Fate::Usual, t0);
        let drive = |stage, site| Drive { stage, site };
        book.drive(id, drive(Stage::Processing, DrivenSite::Usual), t0).unwrap();
        assert_eq!(look(&mut book, id, t0 + DELAY * 9).state, Stage::Processing);
        book.drive(id, drive(Stage::Failed, DrivenSite::Usual), t0).unwrap();
        assert_eq!(look(&mut book, id, t0).state, Stage::Failed);
        let seen = book.drive(id, drive(Stage::Completed, DrivenSite::None), t0).unwrap();
        assert_eq!(seen.deliveries[0].site_id, None);
        let seen =
            book.drive(id, drive(Stage::Completed, DrivenSite::This(SiteId(2020))), t0).unwrap();
        assert_eq!(seen.deliveries[0].site_id, Some(SiteId(2020)));
        let other = place(&mut book, "b", Fate::Usual, t0);
        let third = place(&mut book, "c", Fate::Usual, t0);
        let ids: Vec<_> = [other, third]
            .map(|id| look(&mut book, id, t0 + DELAY).deliveries[0].site_id.unwrap().0)
            .into();
        assert_eq!(ids, [2019, 2021], "the site given by hand is stepped over");
    }

    #[test]
    fn what_is_not_ours_cannot_be_driven() {
        let mut book = book("0", 1);
        let to = Drive { stage: Stage::Completed, site: DrivenSite::This(SiteId(0)) };
        let id = UpstreamOrderId(110);
        assert!(matches!(book.drive(id, to, Instant::now()), Err(BookError::SiteId(_))));
        let to = Drive { site: DrivenSite::Usual, ..to };
        assert!(matches!(book.drive(id, to, Instant::now()), Err(BookError::NoSuchOrder(_))));
    }

    #[test]
    fn a_full_book_takes_no_order_more() {
        let (mut book, t0) = (book("0", 1), Instant::now());
        for _ in 0..1_000 {
            place(&mut book, "x", Fate::Usual, t0);
        }
        book.advance(t0 + DELAY);
        let by_hand = Site::delivered(SiteId(1), None, "example.nl".into(), 5, true);
        assert!(matches!(book.add_site(by_hand), Err(BookError::Full(1_000))));
        let refused = book.place(new_order("y"), Fate::Usual, t0, clock::now());
        assert!(matches!(refused, Err(BookError::Full(1_000))));
        assert_eq!((book.len(), book.per_tag()["x"]), (1_000, 1_000));
    }
}

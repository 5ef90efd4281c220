//! All that the sandbox knows, shared by its servers and by the tests that look inside.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    SandboxOptions,
    faults::{FaultError, Faults, Listed},
    journal::{Entry, Journal},
    leanstack::{CustomerSeen, Customers},
    ljpc::{
        self, Book, BookError, ContactSeen, DnsRecord, DomainError, DomainSeen, Drive, OrderSeen,
        SiteError, SiteSeen, Terms,
    },
    mail::{Mail, MailIndex},
};
use crate::{
    clock,
    order::{SiteId, UpstreamOrderId, name::DomainName},
};

/// More orders than this are refused, and more of the others: a forgotten load generator must not eat the machine.
const ORDERS_MAX: usize = 1_000_000;
const DOMAINS_MAX: usize = 1_000_000;
const CONTACTS_MAX: usize = 1_000_000;
const RECORDS_MAX: usize = 1_000_000;
const CUSTOMERS_MAX: usize = 1_000_000;

/// The sandbox's whole state. Its locks are held for one look-up or one change, never across an await.
pub(super) struct World {
    pub(super) api_key: String,
    pub(super) leanstack_token: String,
    pub(super) faults: Faults,
    pub(super) mails: MailIndex,
    /// Cancelled when the sandbox stops: whoever waits on purpose stops waiting.
    pub(super) stopping: CancellationToken,
    pub(super) late_site_default: std::time::Duration,
    book: Mutex<Book>,
    customers: Mutex<Customers>,
    journal: Mutex<Journal>,
}

impl World {
    pub(super) fn new(options: &SandboxOptions) -> Self {
        Self {
            api_key: options.api_key.clone(),
            leanstack_token: options.leanstack_token.clone(),
            faults: Faults::new(options.seed),
            mails: MailIndex::default(),
            stopping: CancellationToken::new(),
            late_site_default: options.delay,
            book: Mutex::new(Book::new(Terms {
                delay: options.delay,
                failure_rate: options.failure_rate,
                seed: options.seed,
                orders_max: ORDERS_MAX,
                domains_max: DOMAINS_MAX,
                contacts_max: CONTACTS_MAX,
                records_max: RECORDS_MAX,
            })),
            customers: Mutex::new(Customers::new(CUSTOMERS_MAX)),
            journal: Mutex::new(Journal::default()),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn customers(&self) -> MutexGuard<'_, Customers> {
        self.customers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put_domain(&self, wish: &[u8]) -> Result<DomainSeen, DomainError> {
        let now = Instant::now();
        let mut book = self.book();
        book.advance(now);
        ljpc::put_domain(&mut book, wish, now, clock::now())
    }

    pub(super) fn put_site(&self, wish: &[u8]) -> Result<SiteSeen, SiteError> {
        let mut book = self.book();
        book.advance(Instant::now());
        ljpc::put_site(&mut book, wish)
    }

    pub(super) fn summary(&self) -> Summary {
        let mut book = self.book();
        book.advance(Instant::now());
        let tags = book.per_tag();
        let tagged: usize = tags.values().filter_map(|n| usize::try_from(*n).ok()).sum();
        Summary {
            orders: book.len(),
            untagged: book.len().saturating_sub(tagged),
            most_per_tag: tags.values().copied().max().unwrap_or(0),
            registrations: book.domains.registrations,
            transfers: book.domains.transfers,
            contacts: book.contacts.created,
            bought_twice: book.domains.bought_twice(),
            tags,
        }
    }
}

/// How many orders bear each tag, and what else was bought. Exactly once means that `most_per_tag` is 1, and
/// `bought_twice` empty.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// All orders.
    pub orders: usize,
    /// Those without an external reference.
    pub untagged: usize,
    /// The highest count in `tags`, 0 if there is none.
    pub most_per_tag: u32,
    /// Orders per external reference.
    pub tags: BTreeMap<String, u32>,
    /// Names registered.
    pub registrations: usize,
    /// Transfers begun.
    pub transfers: usize,
    /// WHOIS contacts created.
    pub contacts: usize,
    /// The names that were bought more than once, by whatever endpoint, and how often. A transfer that is asked for anew
    /// after its rejection is no second purchase.
    pub bought_twice: BTreeMap<String, u32>,
}

/// A view into a running sandbox, for tests in the same process.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<World>);

impl Handle {
    /// All orders, ascending by id.
    #[must_use]
    pub fn orders(&self) -> Vec<OrderSeen> {
        self.0.book().seen(UpstreamOrderId(0), usize::MAX, Instant::now())
    }

    /// How many orders bear each tag.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.0.summary()
    }

    /// All domains, in the order in which they came, foreign ones included.
    #[must_use]
    pub fn domains(&self) -> Vec<DomainSeen> {
        let now = Instant::now();
        let mut book = self.0.book();
        book.advance(now);
        book.domains.all().map(|domain| domain.seen(now)).collect()
    }

    /// All WHOIS contacts, in the order in which they came.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactSeen> {
        self.0.book().contacts.all().cloned().collect()
    }

    /// The records of a domain's zone, if one was ever written through the API.
    #[must_use]
    pub fn zone(&self, domain: &str) -> Option<Vec<DnsRecord>> {
        let name = DomainName::parse(domain).ok()?;
        self.0.book().zones.get(&name).map(<[DnsRecord]>::to_vec)
    }

    /// All of Leanstack's customers, in the order in which they came.
    #[must_use]
    pub fn customers(&self) -> Vec<CustomerSeen> {
        self.0.customers().all().to_vec()
    }

    /// All sites, ascending by id.
    #[must_use]
    pub fn sites(&self) -> Vec<SiteSeen> {
        let mut book = self.0.book();
        book.advance(Instant::now());
        book.sites_seen(SiteId(0), usize::MAX)
    }

    /// Puts a site where a test wants it, given as POST /_sandbox/sites takes it.
    pub fn put_site(&self, wish: &serde_json::Value) -> Result<SiteSeen, SiteError> {
        self.0.put_site(wish.to_string().as_bytes())
    }

    /// Puts a domain where a test wants it, given as POST /_sandbox/domains takes it.
    pub fn put_domain(&self, wish: &serde_json::Value) -> Result<DomainSeen, DomainError> {
        self.0.put_domain(wish.to_string().as_bytes())
    }

    /// Puts an order where a test wants it.
    pub fn drive(&self, id: UpstreamOrderId, to: Drive) -> Result<OrderSeen, BookError> {
        self.0.book().drive(id, to, Instant::now())
    }

    /// Sets a fault, given as POST /_sandbox/faults takes it.
    pub fn add_fault(&self, spec: &serde_json::Value) -> Result<Listed, FaultError> {
        self.0.faults.add(spec.to_string().as_bytes())
    }

    /// The faults that wait for requests to strike.
    #[must_use]
    pub fn faults(&self) -> Vec<Listed> {
        self.0.faults.list()
    }

    /// Removes all faults, and says how many there were.
    #[must_use = "a test may want to know whether a fault was left over"]
    pub fn clear_faults(&self) -> usize {
        self.0.faults.clear()
    }

    /// The requests received, oldest first, from the first whose `seq` is above `after`.
    #[must_use]
    pub fn journal(&self, after: u64) -> Vec<Entry> {
        self.0.journal().after(after, usize::MAX)
    }

    /// The mails caught, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.0.mails.all()
    }
}

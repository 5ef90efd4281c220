//! What `decide` asks to be read. All of it is safe to ask, and to ask again.

use std::{future::Future, sync::Arc, time::Duration};

use super::{CarryOutLine, Delay, Stop, cached::Cached, stop_for};
use crate::{
    db::lines::LoadedLine,
    order::{
        ContactHandle, LineStatus, UpstreamOrderId,
        decide::{Query, Then},
        domain::{Availability, DomainSeen, Offer, Price, Purpose, Tld, UpstreamContact},
        facts::{ContactReading, DomainReading, Known, Reading, SimpleStatus, ZoneReading},
        kinds::catalogue::Product,
        name::DomainName,
    },
    upstream::{Endpoint, UpstreamError, ljpc},
};

/// For how long a catalogue that was read serves the lines that follow: each order's price is looked up, and a burst of
/// orders asks once.
const CATALOGUE_AGE_MAX: Duration = Duration::from_secs(30);

/// The same for the endings, whose prices nobody goes by.
const TLDS_AGE_MAX: Duration = Duration::from_mins(10);

/// The same for the WHOIS contacts, which are listed whole: what this house has made since is in its own table.
const CONTACTS_AGE_MAX: Duration = Duration::from_mins(10);

/// The readings that serve many lines.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    catalogue: Cached<Vec<Product>>,
    tlds: Cached<Vec<Tld>>,
    contacts: Cached<Vec<UpstreamContact>>,
}

/// Why something could not be read.
pub(super) enum Unread {
    /// The line is left as it is.
    Stop(Stop),
    /// The line says why it waits.
    Delay(Delay),
}

impl CarryOutLine {
    /// Reads what the query asks for, and adds it to what is known.
    pub(super) async fn read(
        &self,
        loaded: &LoadedLine,
        query: Query,
        known: &mut Known,
        prepaid: &mut bool,
    ) -> Result<(), Unread> {
        match query {
            Query::Order(order) => {
                failpoint!("read.order");
                let reading =
                    self.read_order(order, prepaid).await.map_err(|stop| stopped(loaded, stop))?;
                known.reading = Some(reading);
            }
            Query::Domain(name) => {
                failpoint!("read.domain");
                let reading =
                    self.read_domain(&name, prepaid).await.map_err(|stop| stopped(loaded, stop))?;
                known.domain = Some(reading);
            }
            Query::Zone(name) => {
                failpoint!("read.zone");
                let reading =
                    self.read_zone(&name, prepaid).await.map_err(|stop| stopped(loaded, stop))?;
                known.zone = Some(reading);
            }
            Query::Catalogue => {
                failpoint!("read.catalogue");
                known.catalogue = Some(or_delay(loaded, self.catalogue(prepaid).await)?);
            }
            Query::Tlds => {
                failpoint!("read.tlds");
                known.tlds = Some(or_delay(loaded, self.tlds(prepaid).await)?);
            }
            Query::Offer(name, purpose) => {
                failpoint!("read.offer");
                let offer = self.read_offer(&name, purpose, prepaid).await;
                known.offer = Some(or_delay(loaded, offer)?);
            }
            Query::Contact(fresh) => {
                failpoint!("read.contacts");
                let age_max = if fresh.is_some() { Duration::ZERO } else { CONTACTS_AGE_MAX };
                let handle = self.find_contact(loaded, age_max, prepaid).await;
                known.contact = Some(or_delay(loaded, handle)?);
            }
            Query::ContactDetail(handle) => {
                failpoint!("read.contact");
                let reading = self
                    .read_contact(&handle, prepaid)
                    .await
                    .map_err(|stop| stopped(loaded, stop))?;
                known.contact_seen = Some(reading);
            }
            Query::Sites => known.sites = Some(self.read_sites(loaded).await),
            Query::OrderIds { n } => {
                let reading = self.read_ids(loaded, n, prepaid).await;
                known.probe = Some(reading.map_err(|stop| stopped(loaded, stop))?);
            }
            Query::Alternatives(parts) => {
                failpoint!("read.alternatives");
                known.alternatives = Some(self.alternatives(&parts, prepaid).await);
            }
        }
        Ok(())
    }

    /// One safe request: with the permission to make it, and told to the circuits.
    pub(super) async fn ask<T>(
        &self,
        endpoint: &'static Endpoint,
        prepaid: &mut bool,
        request: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<Result<T, UpstreamError>, super::NotNow> {
        let permit = self.guest.permit(endpoint.name, prepaid).await?;
        failpoint!("read.permitted");
        let answer = request.await;
        failpoint!("read.answered");
        // Whoever waits for this place comes after what was learnt.
        self.guest.learn(endpoint.name, &answer).await;
        drop(permit);
        failpoint!("read.learnt");
        Ok(answer)
    }

    async fn ask_or_delay<T>(
        &self,
        endpoint: &'static Endpoint,
        prepaid: &mut bool,
        request: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, Delay> {
        self.ask(endpoint, prepaid, request).await?.map_err(|error| Delay::by(&error))
    }

    async fn catalogue(&self, prepaid: &mut bool) -> Result<Arc<Vec<Product>>, Delay> {
        let read = async {
            let request = self.guest.ljpc().products();
            let products =
                self.ask_or_delay(&ljpc::endpoints::LIST_PRODUCTS, prepaid, request).await?;
            Ok(products.into_iter().filter_map(to_product).collect())
        };
        self.shelf.catalogue.get(CATALOGUE_AGE_MAX, read).await
    }

    pub(super) async fn tlds(&self, prepaid: &mut bool) -> Result<Arc<Vec<Tld>>, Delay> {
        let read = async {
            let request = self.guest.ljpc().tlds();
            let tlds = self.ask_or_delay(&ljpc::endpoints::LIST_TLDS, prepaid, request).await?;
            Ok(to_tlds(tlds))
        };
        self.shelf.tlds.get(TLDS_AGE_MAX, read).await
    }

    /// Whether a name can be had, and for how much. A transfer asks for its price alone.
    pub(super) async fn read_offer(
        &self,
        name: &DomainName,
        purpose: Purpose,
        prepaid: &mut bool,
    ) -> Result<Offer, Delay> {
        let availability = match purpose {
            Purpose::Transfer => None,
            Purpose::Register => {
                let names = [name];
                let request = self.guest.ljpc().check(&names);
                let endpoint = &ljpc::endpoints::CHECK_DOMAIN;
                let checks = self.ask_or_delay(endpoint, prepaid, request).await?;
                let word = checks.of(name).ok_or_else(|| silent(name, "availability"))?;
                Some(Availability::read(word))
            }
        };
        // What can't be had needs no price.
        if !matches!(availability, None | Some(Availability::Available)) {
            return Ok(Offer { availability, price: None });
        }
        let names = [name];
        let request = self.guest.ljpc().prices(&names);
        let endpoint = &ljpc::endpoints::PRICE_DOMAIN;
        let prices = self.ask_or_delay(endpoint, prepaid, request).await?;
        if !prices.speaks_of(name) {
            return Err(silent(name, "price"));
        }
        let price =
            prices.of(name).map(|price| Price { premium: price.premium, eur: price.price_eur });
        Ok(Offer { availability, price })
    }

    /// The registrant's WHOIS contact among those that there are upstream, if there is one that is no other customer's. From
    /// then on it is this customer's.
    async fn find_contact(
        &self,
        loaded: &LoadedLine,
        age_max: Duration,
        prepaid: &mut bool,
    ) -> Result<Option<ContactHandle>, Delay> {
        let Some(registrant) = &loaded.facts.name.registrant else { return Ok(None) };
        let read = async {
            let request = self.guest.ljpc().all_contacts();
            let contacts =
                self.ask_or_delay(&ljpc::endpoints::LIST_CONTACTS, prepaid, request).await?;
            Ok::<Vec<_>, Delay>(contacts.into_iter().map(to_contact).collect())
        };
        let contacts = self.shelf.contacts.get(age_max, read).await?;
        let same: Vec<ContactHandle> = contacts
            .iter()
            .filter(|contact| registrant.is(contact))
            .map(|contact| ContactHandle(contact.handle.clone()))
            .collect();
        if same.is_empty() {
            return Ok(None);
        }
        self.ledger
            .db()
            .claim_contact(loaded.customer_id, registrant, &same)
            .await
            .map_err(|error| Delay::by_database(&error))
    }

    async fn read_order(
        &self,
        order: UpstreamOrderId,
        prepaid: &mut bool,
    ) -> Result<Reading, Stop> {
        let request = self.guest.ljpc().order(order);
        match self.ask(&ljpc::endpoints::GET_ORDER, prepaid, request).await? {
            Ok(detail) => Ok(Reading::Order {
                simple_status: to_simple_status(&detail.simple_status),
                // The order has one line, ours.
                site_id: detail.lines.first().and_then(|line| line.site_id),
            }),
            Err(UpstreamError::Rejected { status, .. }) => Ok(Reading::Unreadable { status }),
            Err(error) => unanswered(&error).map(|()| Reading::Unanswered),
        }
    }

    async fn read_domain(
        &self,
        name: &DomainName,
        prepaid: &mut bool,
    ) -> Result<DomainReading, Stop> {
        let request = self.guest.ljpc().domain(name);
        match self.ask(&ljpc::endpoints::GET_DOMAIN, prepaid, request).await? {
            Ok(detail) => Ok(DomainReading::Seen(to_seen(detail))),
            Err(UpstreamError::Rejected { status: 404, .. }) => Ok(DomainReading::NotOurs),
            Err(error) => unanswered(&error).map(|()| DomainReading::Unanswered),
        }
    }

    async fn read_contact(
        &self,
        handle: &ContactHandle,
        prepaid: &mut bool,
    ) -> Result<ContactReading, Stop> {
        let request = self.guest.ljpc().contact(&handle.0);
        match self.ask(&ljpc::endpoints::GET_CONTACT, prepaid, request).await? {
            Ok(contact) => Ok(ContactReading::Seen(Box::new(to_contact(contact)))),
            Err(UpstreamError::Rejected { status: 404, .. }) => Ok(ContactReading::NotOurs),
            Err(error) => unanswered(&error).map(|()| ContactReading::Unanswered),
        }
    }

    async fn read_zone(&self, name: &DomainName, prepaid: &mut bool) -> Result<ZoneReading, Stop> {
        let request = self.guest.ljpc().zone(name);
        match self.ask(&ljpc::endpoints::GET_RECORDS, prepaid, request).await? {
            Ok(zone) => {
                Ok(zone.map_or(ZoneReading::None, |zone| ZoneReading::Records(zone.records)))
            }
            Err(error) => unanswered(&error).map(|()| ZoneReading::Unanswered),
        }
    }
}

/// A line that nothing is under way for says why it waits; any other is left as it is.
fn or_delay<T>(loaded: &LoadedLine, result: Result<T, Delay>) -> Result<T, Unread> {
    result.map_err(|delay| {
        if loaded.facts.progress.status == LineStatus::Pending {
            Unread::Delay(delay)
        } else {
            Unread::Stop(Stop::Retry)
        }
    })
}

/// The same for what can't be asked just now.
fn stopped(loaded: &LoadedLine, stop: Stop) -> Unread {
    let then = match stop {
        Stop::Later(after) => Then::After(after),
        Stop::Retry => Then::Retry,
        Stop::Stale => return Unread::Stop(stop),
    };
    if loaded.facts.progress.status == LineStatus::Pending {
        Unread::Delay(Delay { reason: "waits until LJPc can be asked again".to_owned(), then })
    } else {
        Unread::Stop(stop)
    }
}

/// An outage fails nobody, yet a line can be overdue by it.
fn unanswered(error: &UpstreamError) -> Result<(), Stop> {
    match stop_for(error) {
        Stop::Retry => Ok(()),
        stop @ (Stop::Stale | Stop::Later(_)) => Err(stop),
    }
}

/// An answer that does not speak of the name that was asked for.
fn silent(name: &DomainName, of: &str) -> Delay {
    let detail = format!("it says nothing of the {of} of {name}");
    Delay::by(&UpstreamError::Unavailable { detail, status: Some(200), jti: None })
}

/// The endings as they are decided by.
pub(crate) fn to_tlds(tlds: Vec<ljpc::Tld>) -> Vec<Tld> {
    tlds.into_iter().filter_map(|tld| Tld::new(&tld.tld, tld.transfer_supported)).collect()
}

/// A name as it is decided by.
pub(crate) fn to_seen(detail: ljpc::DomainDetail) -> DomainSeen {
    DomainSeen {
        status: Some(detail.status),
        expires_at: detail.expires_at,
        nameservers: detail.nameservers,
        auto_renew: detail.auto_renew,
        transfer_lock: detail.transfer_lock,
        contact_handle: detail.contact_handle.map(ContactHandle),
    }
}

/// A product as it is decided by; none for one that nothing names.
pub(crate) fn to_product(product: ljpc::Product) -> Option<Product> {
    Some(Product {
        category_identifier: product.category_identifier?,
        uuid: product.uuid,
        name: product.name,
        client_choice: product.billing_period_type == ljpc::BillingPeriodType::ClientChoice,
        monthly_price: product.monthly_price,
        yearly_price: product.yearly_price,
    })
}

/// A WHOIS contact as it is decided by.
pub(crate) fn to_contact(contact: ljpc::Contact) -> UpstreamContact {
    UpstreamContact {
        handle: contact.handle,
        name: contact.name,
        address: contact.address_line,
        postal_code: contact.postal_code,
        city: contact.city,
        country: contact.country,
        email: contact.email,
        voice: contact.voice,
        organization: contact.organization,
    }
}

fn to_simple_status(status: &ljpc::SimpleStatus) -> SimpleStatus {
    match status {
        ljpc::SimpleStatus::Pending => SimpleStatus::Pending,
        ljpc::SimpleStatus::Processing => SimpleStatus::Processing,
        ljpc::SimpleStatus::Completed => SimpleStatus::Completed,
        ljpc::SimpleStatus::Failed => SimpleStatus::Failed,
        ljpc::SimpleStatus::Unknown(_) => SimpleStatus::Unknown,
    }
}

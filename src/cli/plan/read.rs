//! The safe questions of a plan. What can't be read ends it: a plan that guesses is none.

use std::sync::Arc;

use anyhow::{anyhow, bail};

use crate::{
    cli::cure::LJPC,
    db::Database,
    jobs::carry_out_line::read::{to_contact, to_product, to_seen, to_tlds},
    order::{
        ContactHandle,
        decide::Query,
        domain::{Availability, Offer, Price, Purpose},
        facts::{ContactReading, DomainReading, Facts, Known, ZoneReading},
        name::DomainName,
    },
    upstream::{UpstreamError, ljpc::Ljpc},
};

/// Answers one question of the rehearsal.
pub(super) async fn read(
    db: &Database,
    ljpc: &Ljpc,
    facts: &Facts,
    query: &Query,
) -> anyhow::Result<Known> {
    let mut known = Known::default();
    match query {
        Query::Catalogue => {
            let products = ljpc.products().await.map_err(told)?;
            known.catalogue = Some(Arc::new(products.into_iter().filter_map(to_product).collect()));
        }
        Query::Tlds => known.tlds = Some(Arc::new(to_tlds(ljpc.tlds().await.map_err(told)?))),
        Query::Offer(name, purpose) => known.offer = Some(offer(ljpc, name, *purpose).await?),
        Query::Contact(_) => known.contact = Some(find_contact(db, ljpc, facts).await?),
        Query::ContactDetail(handle) => {
            let reading = found(ljpc.contact(&handle.0).await)?;
            let seen = |contact| ContactReading::Seen(Box::new(to_contact(contact)));
            known.contact_seen = Some(reading.map_or(ContactReading::NotOurs, seen));
        }
        Query::Domain(name) => {
            let reading = found(ljpc.domain(name).await)?;
            let seen = |detail| DomainReading::Seen(to_seen(detail));
            known.domain = Some(reading.map_or(DomainReading::NotOurs, seen));
        }
        Query::Zone(name) => {
            let zone = ljpc.zone(name).await.map_err(told)?;
            let reading = zone.map_or(ZoneReading::None, |zone| ZoneReading::Records(zone.records));
            known.zone = Some(reading);
        }
        // None is asked of a plan: no order is there yet or in doubt, and nothing else is offered.
        Query::Order(_) | Query::Alternatives(_) | Query::Sites | Query::OrderIds { .. } => {
            bail!("a plan can't know that")
        }
    }
    Ok(known)
}

/// What is there, or nothing where LJPc knows nothing of it in this account.
fn found<T>(answer: Result<T, UpstreamError>) -> anyhow::Result<Option<T>> {
    match answer {
        Ok(seen) => Ok(Some(seen)),
        Err(UpstreamError::Rejected { status: 404, .. }) => Ok(None),
        Err(error) => Err(told(error)),
    }
}

async fn offer(ljpc: &Ljpc, name: &DomainName, purpose: Purpose) -> anyhow::Result<Offer> {
    let availability = match purpose {
        Purpose::Transfer => None,
        Purpose::Register => {
            let checks = ljpc.check(&[name]).await.map_err(told)?;
            let word = checks.of(name);
            let word =
                word.ok_or_else(|| anyhow!("LJPc says nothing of the availability of {name}"))?;
            Some(Availability::read(word))
        }
    };
    // What can't be had needs no price.
    if !matches!(availability, None | Some(Availability::Available)) {
        return Ok(Offer { availability, price: None });
    }
    let prices = ljpc.prices(&[name]).await.map_err(told)?;
    if !prices.speaks_of(name) {
        bail!("LJPc says nothing of the price of {name}");
    }
    let price = prices.of(name).map(|price| Price { premium: price.premium, eur: price.price_eur });
    Ok(Offer { availability, price })
}

/// The contact that the worker would take for this customer: the first that is nobody's yet. It stays nobody's.
async fn find_contact(
    db: &Database,
    ljpc: &Ljpc,
    facts: &Facts,
) -> anyhow::Result<Option<ContactHandle>> {
    let Some(registrant) = &facts.name.registrant else { return Ok(None) };
    let contacts = ljpc.all_contacts().await.map_err(told)?;
    let same: Vec<ContactHandle> = contacts
        .into_iter()
        .map(to_contact)
        .filter(|contact| registrant.is(contact))
        .map(|contact| ContactHandle(contact.handle))
        .collect();
    if same.is_empty() {
        return Ok(None);
    }
    let claimed = db.claimed_contacts(&same).await?;
    Ok(same.into_iter().find(|handle| !claimed.contains(handle)))
}

fn told(error: UpstreamError) -> anyhow::Error {
    LJPC.explain(error)
}

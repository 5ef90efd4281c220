//! What the ledger's steps look like on the wire, and what their answers promise.

use super::CarryOutLine;
use crate::{
    clock::Deadline,
    db::records::Truth,
    order::{
        Tag,
        domain::{ContactChange, DomainChange, Registrant},
        effect::{Acceptance, Effect, Item, Request},
        ledger::Outcome,
        name::DomainName,
        wish::BillingPeriod,
    },
    upstream::{
        Connected, PreparedRequest, Secret, UpstreamError,
        ljpc::{
            self, CartItem, CreateContact, DomainAction, PlaceOrder, RegisterDomain,
            ReplaceRecords, TransferDomain, UpdateContact, UpdateDomain,
        },
    },
};

/// What the upstream answered to a request that it has carried out.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) acceptance: Acceptance,
    pub(super) status: u16,
    pub(super) jti: Option<String>,
}

/// The request, fixed byte by byte. `None`: a transfer without its auth code.
pub(crate) fn prepare(effect: &Effect, auth_code: Option<Secret>) -> Option<PreparedRequest> {
    let tag = effect.tag.clone();
    let domain = effect.domain.clone();
    Some(match &effect.request {
        Request::Order { title, item } => prepare_order(tag, title, &domain?, item, auth_code)?,
        Request::Register { contact_handle, years, nameservers } => RegisterDomain {
            domain: domain?,
            contact_handle: contact_handle.0.clone(),
            years: Some(*years),
            nameservers: nameservers.clone(),
            external_reference: tag,
        }
        .prepare(),
        Request::Transfer { contact_handle, nameservers } => TransferDomain {
            domain: domain?,
            auth_code: auth_code?,
            contact_handle: contact_handle.0.clone(),
            nameservers: nameservers.clone(),
            external_reference: tag,
        }
        .prepare(),
        Request::CreateContact(registrant) => to_contact(registrant).prepare(),
        // A handle that no path can hold is no contact's, and has not been seen.
        Request::UpdateContact { contact_handle, change } => {
            to_contact_update(&contact_handle.0, change).prepare().ok()?
        }
        Request::UpdateDomain(change) => to_update(domain?, change).prepare(),
        Request::ReplaceRecords { records, .. } => {
            ReplaceRecords { domain: domain?, records: records.clone() }.prepare()
        }
    })
}

fn prepare_order(
    tag: Tag,
    title: &str,
    domain: &DomainName,
    item: &Item,
    auth_code: Option<Secret>,
) -> Option<PreparedRequest> {
    let name = domain.as_str().to_owned();
    let item = match item {
        Item::Hosting { product_uuid, billing_period, target_url } => CartItem::Hosting {
            product_uuid: product_uuid.clone(),
            domain: name,
            billing_period: billing_period.map(|period| match period {
                BillingPeriod::Monthly => ljpc::BillingPeriod::Monthly,
                BillingPeriod::Yearly => ljpc::BillingPeriod::Yearly,
            }),
            target_url: target_url.clone(),
        },
        Item::HostingOwn { space_id } => CartItem::HostingOwn { space_id: *space_id, domain: name },
        Item::Domain { is_transfer: false, sld, tld } => CartItem::Domain {
            action: DomainAction::Register,
            sld: sld.clone(),
            tld: tld.clone(),
            auth_code: None,
        },
        Item::Domain { is_transfer: true, sld, tld } => CartItem::Domain {
            action: DomainAction::Transfer,
            sld: sld.clone(),
            tld: tld.clone(),
            auth_code: Some(auth_code?),
        },
    };
    Some(PlaceOrder { tag, description: format!("{title} for {domain}"), item }.prepare())
}

fn to_contact(registrant: &Registrant) -> CreateContact {
    // The registry wants all of it, whatever the document calls optional.
    CreateContact {
        name: registrant.name.clone(),
        address: registrant.address.clone(),
        country: registrant.country.clone(),
        organization: registrant.organization.clone(),
        postal_code: Some(registrant.postal_code.clone()),
        city: Some(registrant.city.clone()),
        email: Some(registrant.email.clone()),
        voice: Some(registrant.phone.clone()),
    }
}

fn to_contact_update(handle: &str, change: &ContactChange) -> UpdateContact {
    UpdateContact {
        handle: handle.to_owned(),
        name: change.name.clone(),
        organization: change.organization.clone(),
        address: change.address.clone(),
        postal_code: change.postal_code.clone(),
        city: change.city.clone(),
        country: change.country.clone(),
        email: change.email.clone(),
        voice: change.phone.clone(),
    }
}

fn to_update(domain: DomainName, change: &DomainChange) -> UpdateDomain {
    UpdateDomain {
        domain,
        nameservers: change.nameservers.clone(),
        auto_renew: change.auto_renew,
        transfer_lock: change.transfer_lock,
        whois_contact_handle: change.contact_handle.as_ref().map(|handle| handle.0.clone()),
    }
}

impl CarryOutLine {
    /// Sends the request, once.
    pub(super) async fn send(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        effect: &Effect,
        deadline: Deadline,
    ) -> Result<Answered, UpstreamError> {
        let ljpc = self.guest.ljpc();
        let cost = effect.price;
        let no_name =
            || UpstreamError::NotSent { detail: "the request names no domain".to_owned() };
        match &effect.request {
            Request::Order { .. } => {
                let placed = ljpc.place_order(connected, prepared, &effect.tag, deadline).await?;
                let cost = placed.price.or(placed.total_price).or(cost);
                let acceptance = Acceptance::Order { id: placed.id, cost };
                Ok(Answered { acceptance, status: placed.status, jti: placed.jti })
            }
            Request::Register { .. } => {
                let name = effect.domain.as_ref().ok_or_else(no_name)?;
                let made = ljpc.register_domain(connected, prepared, name, deadline).await?;
                let acceptance = Acceptance::Name { cost, status: made.upstream_status };
                Ok(Answered { acceptance, status: made.http_status, jti: made.jti })
            }
            Request::Transfer { .. } => {
                let name = effect.domain.as_ref().ok_or_else(no_name)?;
                let begun = ljpc.transfer_domain(connected, prepared, name, deadline).await?;
                let acceptance = Acceptance::Name { cost, status: begun.upstream_status };
                Ok(Answered { acceptance, status: begun.http_status, jti: begun.jti })
            }
            Request::CreateContact(_) => {
                let made = ljpc.create_contact(connected, prepared, deadline).await?;
                let acceptance = Acceptance::Contact(crate::order::ContactHandle(made.handle));
                Ok(Answered { acceptance, status: made.http_status, jti: made.jti })
            }
            Request::UpdateContact { .. } => {
                let made = ljpc.update_contact(connected, prepared, deadline).await?;
                let acceptance = Acceptance::Changed { synced: None };
                Ok(Answered { acceptance, status: made.http_status, jti: made.jti })
            }
            Request::UpdateDomain(_) => {
                let name = effect.domain.as_ref().ok_or_else(no_name)?;
                let acceptance = Acceptance::Changed { synced: None };
                match ljpc.update_domain(connected, prepared, name, deadline).await {
                    Ok(made) => {
                        Ok(Answered { acceptance, status: made.http_status, jti: made.jti })
                    }
                    // It is so already.
                    Err(error) if error.is_no_change() => Ok(Answered {
                        acceptance,
                        status: error.status().unwrap_or_default(),
                        jti: error.jti().map(str::to_owned),
                    }),
                    Err(error) => Err(error),
                }
            }
            Request::ReplaceRecords { .. } => {
                let name = effect.domain.as_ref().ok_or_else(no_name)?;
                let made = ljpc.replace_records(connected, prepared, name, deadline).await?;
                let acceptance = Acceptance::Changed { synced: made.synced };
                Ok(Answered { acceptance, status: made.http_status, jti: made.jti })
            }
        }
    }
}

/// What an answer teaches the ledger.
pub(super) fn to_truth(attempt: uuid::Uuid, answer: &Result<Answered, UpstreamError>) -> Truth {
    let (upstream_order_id, contact_handle) = match answer {
        Ok(Answered { acceptance: Acceptance::Order { id, .. }, .. }) => (Some(*id), None),
        Ok(Answered { acceptance: Acceptance::Contact(handle), .. }) => {
            (None, Some(handle.clone()))
        }
        Ok(_) | Err(_) => (None, None),
    };
    let outcome = match answer {
        Ok(_) => Outcome::Accepted,
        Err(UpstreamError::NotSent { .. }) => Outcome::NotSent,
        Err(UpstreamError::Rejected { .. }) => Outcome::Rejected,
        Err(UpstreamError::RateLimited { .. }) => Outcome::RateLimited,
        Err(UpstreamError::Unauthorized { .. }) => Outcome::Unauthorized,
        Err(UpstreamError::InDoubt { .. } | UpstreamError::Unavailable { .. }) => Outcome::InDoubt,
    };
    let detail = match answer {
        Ok(_) => None,
        Err(UpstreamError::Rejected { message, .. }) => Some(message.clone()),
        Err(error) => Some(error.to_string()),
    };
    let (http_status, jti) = match answer {
        Ok(answered) => (Some(answered.status), answered.jti.clone()),
        Err(error) => (error.status(), error.jti().map(str::to_owned)),
    };
    Truth {
        attempt,
        intent: None,
        outcome,
        upstream_order_id,
        contact_handle,
        http_status,
        jti,
        detail,
    }
}

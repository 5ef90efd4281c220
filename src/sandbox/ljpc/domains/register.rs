//! POST /api/hosting/v1/domain-names and …/{domain}/transfer: what buys a name.

use std::time::Instant;

use http::StatusCode;
use serde::Serialize;

use super::{
    domain::{Transfer, is_right_auth_code},
    named,
    registry::{NewDomain, Way},
};
use crate::{
    clock,
    order::name::DomainName,
    sandbox::{
        ljpc::{
            Call, Fate,
            answer::Answer,
            catalogue::{self, Tld},
            input::{Body, Refused},
        },
        state::World,
    },
};

const EXISTS: &str = "Domain already exists";
/// LJPc, POST /api/hosting/v1/domain-names.
pub(super) const FOREIGN_HANDLE: &str = "Contact handle does not belong to you";

#[derive(Serialize)]
struct Done<'a> {
    domain: &'a str,
    status: &'static str,
    message: &'static str,
}

/// Registers a name. After the fields the guards stand in the document's order: TLD, duplicate, handle.
pub(in crate::sandbox::ljpc) fn register(
    world: &World,
    call: &Call<'_>,
) -> Result<Answer, Refused> {
    let body = Body::read(call.body);
    let domain = body.required_text("domain")?;
    let contact_handle = body.required_text("contact_handle")?;
    let years = body.number("years", 1..=10)?.unwrap_or(1);
    let nameservers = body.hosts("nameservers", 2..=13)?;
    let reference = body.text("external_reference")?;
    let name = DomainName::parse(&domain)
        .map_err(|_| Refused::invalid("The domain field must be a valid domain name."))?;
    sold(&name)?;
    let mut book = world.book();
    book.advance(Instant::now());
    if book.domains.is_taken(&name) {
        return Err(Refused::invalid(EXISTS));
    }
    if !book.contacts.owns(&contact_handle) {
        return Err(Refused::forbidden(FOREIGN_HANDLE));
    }
    book.domains.enter(NewDomain {
        name: name.clone(),
        way: Way::Registration { years },
        nameservers,
        contact_handle,
        reference,
        at: clock::now(),
    })?;
    book.domains.count_purchase(&name);
    let message = "Domain registered successfully";
    let done = Done { domain: name.as_str(), status: "active", message };
    Ok(Answer::data(StatusCode::CREATED, &done))
}

/// Begins a transfer, which ends after the sandbox's delay: well, unless its auth code or its fate is against it.
pub(in crate::sandbox::ljpc) fn transfer(
    world: &World,
    call: &Call<'_>,
    fate: Fate,
) -> Result<Answer, Refused> {
    let body = Body::read(call.body);
    let auth_code = body.required_text("auth_code")?;
    let contact_handle = body.required_text("contact_handle")?;
    let nameservers = body.hosts("nameservers", 2..=13)?;
    let reference = body.text("external_reference")?;
    let name =
        named(call).ok_or(Refused::invalid("The domain field must be a valid domain name."))?;
    let tld = sold(&name)?;
    if !tld.transfer_supported {
        return Err(Refused::invalid(format!("TLD '{}' does not support transfers", tld.name)));
    }
    let now = Instant::now();
    let mut book = world.book();
    book.advance(now);
    if !book.domains.may_come(&name, now) {
        return Err(Refused::invalid(EXISTS));
    }
    if !book.contacts.owns(&contact_handle) {
        return Err(Refused::forbidden(FOREIGN_HANDLE));
    }
    let succeeds = fate != Fate::Fails && is_right_auth_code(&auth_code);
    let anew = book.domains.own(&name).is_some();
    let due = now + book.delay();
    book.domains.enter(NewDomain {
        name: name.clone(),
        way: Way::Transfer(Transfer { due, succeeds }),
        nameservers,
        contact_handle,
        reference,
        at: clock::now(),
    })?;
    // One that is asked for anew after its rejection is still bought once.
    if !anew {
        book.domains.count_purchase(&name);
    }
    let message = "Domain transfer initiated successfully";
    let done = Done { domain: name.as_str(), status: "pending_transfer", message };
    Ok(Answer::data(StatusCode::ACCEPTED, &done))
}

/// The TLD of a name that could be sold.
fn sold(name: &DomainName) -> Result<&'static Tld, Refused> {
    let Some((sld, tld)) = catalogue::split(name) else {
        let tld = name.as_str().rsplit('.').next().unwrap_or_default();
        return Err(Refused::invalid(format!("TLD '{tld}' is not supported")));
    };
    if sld.contains('.') {
        return Err(Refused::invalid("The domain field must be a valid domain name."));
    }
    Ok(tld)
}

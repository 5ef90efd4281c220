//! PATCH /api/hosting/v1/domain-names/{domain}: only what differs is changed.

use std::time::Instant;

use http::StatusCode;
use serde::Serialize;

use super::{UNKNOWN, named, register::FOREIGN_HANDLE};
use crate::sandbox::{
    ljpc::{
        Call,
        answer::Answer,
        input::{Body, Refused},
    },
    state::World,
};

const NO_CHANGES: &str = "No changes to apply";

#[derive(Serialize)]
struct Done<'a> {
    domain: &'a str,
    message: &'static str,
}

/// Ownership first (404), as for contacts; then the fields, the handle, and whether anything would change.
pub(in crate::sandbox::ljpc) fn update(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let mut book = world.book();
    book.advance(Instant::now());
    let name = named(call)
        .filter(|name| book.domains.own(name).is_some())
        .ok_or(Refused::not_found(UNKNOWN))?;
    let body = Body::read(call.body);
    let nameservers = body.hosts("nameservers", 2..=4)?;
    let auto_renew = body.flag("auto_renew")?;
    let transfer_lock = body.flag("transfer_lock")?;
    let handle = body.text("whois_contact_handle")?;
    if handle.as_ref().is_some_and(|handle| !book.contacts.owns(handle)) {
        return Err(Refused::forbidden(FOREIGN_HANDLE));
    }
    let domain = book.domains.own_mut(&name).ok_or(Refused::not_found(UNKNOWN))?;
    let changes = [
        change(&mut domain.nameservers, nameservers),
        change(&mut domain.auto_renew, auto_renew),
        change(&mut domain.transfer_lock, transfer_lock),
        change(&mut domain.contact_handle, handle),
    ];
    if !changes.contains(&true) {
        return Err(Refused::invalid(NO_CHANGES));
    }
    let done = Done { domain: name.as_str(), message: "Domain updated successfully" };
    Ok(Answer::data(StatusCode::OK, &done))
}

/// Whether there was anything to change.
fn change<T: PartialEq>(held: &mut T, wished: Option<T>) -> bool {
    match wished {
        Some(wished) if wished != *held => {
            *held = wished;
            true
        }
        Some(_) | None => false,
    }
}

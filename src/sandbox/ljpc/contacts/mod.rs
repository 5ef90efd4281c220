//! GET, POST and PATCH /api/hosting/v1/contacts: written in `snake_case`, read in camelCase.

mod file;
mod voice;

#[cfg(test)]
mod tests;

use http::StatusCode;
use serde::Serialize;

pub use self::file::ContactSeen;
pub(in crate::sandbox) use self::file::Contacts;
use self::file::Written;
use super::{
    Call, Facts,
    answer::Answer,
    input::{Body, Paging, Refused},
};
use crate::sandbox::state::World;

const UNKNOWN: &str = "Contact not found";
const COUNTRY_CHARS: usize = 2;

#[derive(Serialize)]
struct Listing<'a> {
    contacts: Vec<&'a ContactSeen>,
    total: usize,
    page: usize,
    per_page: usize,
}

#[derive(Serialize)]
struct Created<'a> {
    handle: &'a str,
}

#[derive(Serialize)]
struct Updated {
    success: bool,
}

/// One page of our contacts.
pub(super) fn list(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let paging = Paging::read(call.query)?;
    let book = world.book();
    let listing = Listing {
        contacts: book.contacts.all().skip(paging.skip()).take(paging.per_page).collect(),
        total: book.contacts.all().count(),
        page: paging.page,
        per_page: paging.per_page,
    };
    Ok(Answer::data(StatusCode::OK, &listing))
}

/// A contact. A foreign one answers like an unknown one.
pub(super) fn show(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let book = world.book();
    let found = call.parameter.and_then(|handle| book.contacts.get(handle));
    Ok(Answer::data(StatusCode::OK, found.ok_or(Refused::not_found(UNKNOWN))?))
}

/// Makes a contact, each time a new one: nothing is compared with those that are there.
pub(super) fn create(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let body = Body::read(call.body);
    for name in ["name", "address", "country"] {
        body.required_text(name)?;
    }
    let written = written(&body)?;
    let mut book = world.book();
    let handle = book.contacts.create(written)?;
    Ok(Answer::data(StatusCode::CREATED, &Created { handle: &handle }))
}

/// Changes a contact. LJPc: ownership first (404), then validation; unset fields keep their value.
pub(super) fn update(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let mut book = world.book();
    let found = call.parameter.and_then(|handle| book.contacts.get_mut(handle));
    let contact = found.ok_or(Refused::not_found(UNKNOWN))?;
    contact.apply(written(&Body::read(call.body))?);
    Ok(Answer::data(StatusCode::OK, &Updated { success: true }))
}

fn written(body: &Body) -> Result<Written, Refused> {
    let country = body.text("country")?;
    if country.as_ref().is_some_and(|country| country.chars().count() != COUNTRY_CHARS) {
        return Err(Refused::invalid("The country field must be 2 characters."));
    }
    let email = body.text("email")?;
    if email.as_ref().is_some_and(|email| !is_email(email)) {
        return Err(Refused::invalid("The email field must be a valid email address."));
    }
    let voice = match body.text("voice")? {
        None => None,
        Some(voice) => Some(
            voice::dotted(&voice).ok_or(Refused::invalid("The voice field format is invalid."))?,
        ),
    };
    Ok(Written {
        name: body.text("name")?,
        address: body.text("address")?,
        country,
        organization: body.text("organization")?,
        postal_code: body.text("postal_code")?,
        city: body.text("city")?,
        email,
        voice,
    })
}

fn is_email(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '@';
    text.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !user.contains(odd) && !host.is_empty() && !host.contains(odd)
    })
}

/// The email of the contact that is written or asked for.
pub(super) fn facts(world: &World, call: &Call<'_>) -> Facts {
    let held = call.parameter.and_then(|handle| world.book().contacts.get(handle)?.email.clone());
    let body = Body::read(call.body);
    let given = body.given("email").and_then(|email| email.as_str()).map(str::to_owned);
    Facts { recipients: held.into_iter().chain(given).collect(), ..Facts::default() }
}

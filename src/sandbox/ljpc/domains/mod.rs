//! GET, POST and PATCH /api/hosting/v1/domain-names, and what lies below it.

mod availability;
pub(in crate::sandbox) mod domain;
mod register;
pub(in crate::sandbox) mod registry;
mod update;
pub(in crate::sandbox) mod wish;

#[cfg(test)]
mod tests;

use std::time::Instant;

use chrono::{DateTime, FixedOffset, SecondsFormat};
use http::StatusCode;
use serde::{Serialize, Serializer};

use self::domain::Domain;
pub(super) use self::{
    availability::{check, price},
    register::{register, transfer},
    update::update,
};
use super::{
    Call, Facts,
    answer::Answer,
    input::{Body, Paging, Refused, query_values},
};
use crate::{
    order::name::DomainName,
    sandbox::{
        dice::{Stream, draw},
        state::World,
    },
};

/// What was asked for is not there, or not ours.
pub(super) const UNKNOWN: &str = "Domain not found";
const NO_AUTH_CODE: &str = "Auth code is not available for this domain";

#[derive(Serialize)]
struct Listing<'a> {
    domains: Vec<Row<'a>>,
    total: usize,
    page: usize,
    per_page: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    domain: &'a str,
    status: &'a str,
    #[serde(serialize_with = "local_time")]
    expires_at: Option<DateTime<FixedOffset>>,
    auto_renew: bool,
    transfer_lock: bool,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    nameservers: &'a [String],
    contact_handle: &'a str,
}

#[derive(Serialize)]
struct AuthCode<'a> {
    domain: &'a str,
    auth_code: String,
}

/// One page of our domains.
pub(super) fn list(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let paging = Paging::read(call.query)?;
    let now = Instant::now();
    let mut book = world.book();
    book.advance(now);
    let page = book.domains.all_own().skip(paging.skip()).take(paging.per_page);
    let listing = Listing {
        domains: page.map(|domain| row(domain, now)).collect(),
        total: book.domains.all_own().count(),
        page: paging.page,
        per_page: paging.per_page,
    };
    Ok(Answer::data(StatusCode::OK, &listing))
}

/// A domain in detail. A foreign one answers like an unknown one.
pub(super) fn show(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let now = Instant::now();
    let mut book = world.book();
    book.advance(now);
    let found = named(call).and_then(|name| book.domains.own(&name));
    let domain = found.ok_or(Refused::not_found(UNKNOWN))?;
    let detail = Detail {
        row: row(domain, now),
        nameservers: &domain.nameservers,
        contact_handle: &domain.contact_handle,
    };
    Ok(Answer::data(StatusCode::OK, &detail))
}

/// The code with which a domain may be taken elsewhere, the same each time. Only an active one exposes it.
pub(super) fn auth_code(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let now = Instant::now();
    let mut book = world.book();
    book.advance(now);
    let found = named(call).and_then(|name| book.domains.own(&name));
    let domain = found
        .filter(|domain| domain.has_status("active", now))
        .ok_or(Refused::not_found(NO_AUTH_CODE))?;
    let name = domain.name.as_str();
    let number =
        name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    // Registries hand out codes with characters that naive quoting breaks at.
    let auth_code = format!("{:08x}\"'&<%\\+#", draw(number, Stream::AuthCodes, 0) >> 32);
    Ok(Answer::data(StatusCode::OK, &AuthCode { domain: name, auth_code }))
}

/// The name that the path gives, if it is one.
pub(super) fn named(call: &Call<'_>) -> Option<DomainName> {
    DomainName::parse(call.parameter?).ok()
}

fn row(domain: &Domain, now: Instant) -> Row<'_> {
    Row {
        domain: domain.name.as_str(),
        status: domain.status(now),
        expires_at: domain.expires_at(now),
        auto_renew: domain.auto_renew,
        transfer_lock: domain.transfer_lock,
    }
}

/// `2027-07-02T16:37:57+02:00`, or null.
#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn local_time<S: Serializer>(at: &Option<DateTime<FixedOffset>>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Secs, false)),
        None => to.serialize_none(),
    }
}

/// The domain that the path names, and the reference of this request or else of the one that brought the domain.
pub(super) fn facts(world: &World, call: &Call<'_>) -> Facts {
    let body = Body::read(call.body);
    let text = |name: &str| body.given(name).and_then(|value| value.as_str()).map(str::to_owned);
    let given = call.parameter.map(str::to_owned).or_else(|| text("domain"));
    let name = given.as_deref().and_then(|given| DomainName::parse(given).ok());
    let reference = text("external_reference").or_else(|| {
        world.book().domains.get(name.as_ref()?).and_then(|domain| domain.reference.clone())
    });
    let domain = name.map(|name| name.as_str().to_owned()).or(given);
    Facts { domains: domain.into_iter().collect(), reference, recipients: Vec::new() }
}

/// The domains that the query asks about.
pub(super) fn facts_of_query(call: &Call<'_>) -> Facts {
    Facts { domains: query_values(call.query, "domain"), ..Facts::default() }
}

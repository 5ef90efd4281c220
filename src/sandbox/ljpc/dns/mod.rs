//! GET and PUT /api/hosting/v1/dns/zones/{domain}/records.

mod record;
mod zones;

#[cfg(test)]
mod tests;

use std::{collections::HashSet, time::Instant};

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

pub use self::record::DnsRecord;
pub(in crate::sandbox) use self::zones::Zones;
use super::{
    Call,
    answer::Answer,
    domains::{UNKNOWN, named},
    input::{Body, Refused},
};
use crate::sandbox::state::World;

/// Records of one zone.
const RECORDS_MAX: usize = 1_000;
const APEX: &str = "@";
const NO_ZONE: &str = "No DNS zone exists for this domain";
const MANAGED: &str =
    "This zone is managed by our hosting control panel and cannot be edited through the API.";

#[derive(Serialize)]
struct Zone<'a> {
    domain: &'a str,
    source: &'static str,
}

#[derive(Serialize)]
struct Shown<'a> {
    zone: Zone<'a>,
    records: &'a [DnsRecord],
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    synced: bool,
}

/// The records of a domain of ours. A zone of the panel is shown, though it can't be written.
pub(super) fn show(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let name = named(call).ok_or(Refused::not_found(UNKNOWN))?;
    let mut book = world.book();
    book.advance(Instant::now());
    let domain = name.as_str();
    if book.has_panel(&name) {
        let zone = Zone { domain, source: "panel" };
        return Ok(Answer::data(StatusCode::OK, &Shown { zone, records: &panel_records() }));
    }
    if book.domains.own(&name).is_none() {
        return Err(Refused::not_found(UNKNOWN));
    }
    let records = book.zones.get(&name).ok_or(Refused::not_found(NO_ZONE))?;
    let zone = Zone { domain, source: "manual" };
    Ok(Answer::data(StatusCode::OK, &Shown { zone, records }))
}

/// Replaces all records; the first time makes the zone.
pub(super) fn replace(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let name = named(call).ok_or(Refused::not_found(UNKNOWN))?;
    let now = Instant::now();
    let mut book = world.book();
    book.advance(now);
    if book.has_panel(&name) {
        return Err(Refused { status: StatusCode::CONFLICT, message: MANAGED.into() });
    }
    let domain = book.domains.own(&name).ok_or(Refused::not_found(UNKNOWN))?;
    let synced = domain.is_delegated(now);
    let records = read(&Body::read(call.body))?;
    book.zones.replace(&name, records)?;
    let records = book.zones.get(&name).unwrap_or_default();
    let zone = Zone { domain: name.as_str(), source: "manual" };
    Ok(Answer::data(StatusCode::OK, &Written { shown: Shown { zone, records }, synced }))
}

fn read(body: &Body) -> Result<Vec<DnsRecord>, Refused> {
    let values = match body.given("records") {
        None => return Err(Refused::invalid("The records field is required.")),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(Refused::invalid("The records field must be an array.")),
    };
    if values.len() > RECORDS_MAX {
        let message = format!("The records field must not have more than {RECORDS_MAX} items.");
        return Err(Refused::invalid(message));
    }
    let wrong = |at: usize, what: &str| Refused::invalid(format!("records.{at}: {what}"));
    let mut records = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        records.push(record::read(value).map_err(|what| wrong(at, &what))?);
    }
    match collision(&records) {
        Some((at, what)) => Err(wrong(at, what)),
        None => Ok(records),
    }
}

/// The first record that DNS itself does not allow beside the others.
fn collision(records: &[DnsRecord]) -> Option<(usize, &'static str)> {
    let mut all = HashSet::new();
    let mut names = HashSet::new();
    let mut aliases = HashSet::new();
    for (at, record) in records.iter().enumerate() {
        let name = record.name.to_ascii_lowercase();
        let is_alias = record.kind == "CNAME";
        if is_alias && name == APEX {
            return Some((at, "a CNAME is not allowed at the apex"));
        }
        if aliases.contains(&name) || (is_alias && names.contains(&name)) {
            return Some((at, "a CNAME can't stand beside other records of its name"));
        }
        if !all.insert((record.kind.as_str(), name.clone(), record.content.as_str())) {
            return Some((at, "is there twice"));
        }
        if is_alias {
            aliases.insert(name.clone());
        }
        names.insert(name);
    }
    None
}

/// What the panel puts into each of its zones.
fn panel_records() -> [DnsRecord; 2] {
    let record = |kind: &str, content: &str, prio| DnsRecord {
        kind: kind.to_owned(),
        name: APEX.to_owned(),
        content: content.to_owned(),
        ttl: 3_600,
        prio,
    };
    [record("A", "192.0.2.80", None), record("MX", "mail.example.com", Some(10))]
}

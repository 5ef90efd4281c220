//! What the account has there: domains, WHOIS contacts, DNS records.

use serde_json::json;

use super::{facts, listing, told};
use crate::{
    cli::{
        Failed,
        output::{self, cell, time, yes_no},
    },
    order::name::DomainName,
    upstream::ljpc::{Ljpc, Zone},
};

pub(super) async fn list_domains(ljpc: &Ljpc, json: bool) -> Result<(), Failed> {
    let domains = ljpc.all_domains().await.map_err(told)?;
    let header = ["DOMAIN", "STATUS", "EXPIRES", "AUTO-RENEW", "LOCKED"];
    listing(&domains, json, header, |domain| {
        [
            cell(Some(&domain.domain)),
            cell(domain.status.as_ref()),
            time(domain.expires_at),
            yes_no(domain.auto_renew),
            yes_no(domain.transfer_lock),
        ]
    })
}

pub(super) async fn show_domain(ljpc: &Ljpc, name: &DomainName, json: bool) -> Result<(), Failed> {
    let domain = ljpc.domain(name).await.map_err(told)?;
    let shown = [
        ("domain", cell(Some(&domain.domain))),
        ("status", cell(Some(&domain.status))),
        ("expires", time(domain.expires_at)),
        ("auto-renew", yes_no(domain.auto_renew)),
        ("locked", yes_no(domain.transfer_lock)),
        ("contact", cell(domain.contact_handle.as_ref())),
        ("name servers", cell(Some(domain.nameservers.join(", ")))),
    ];
    facts(&domain, json, &shown)
}

pub(super) async fn print_auth_code(
    ljpc: &Ljpc,
    name: &DomainName,
    json: bool,
) -> Result<(), Failed> {
    let code = ljpc.auth_code(name).await.map_err(told)?;
    output::note(&format!(
        "The auth code of {name}, a secret: whoever has it can take the domain to another registrar."
    ));
    if json {
        return Ok(output::json(&json!({ "domain": name, "auth_code": code.expose() }))?);
    }
    output::line(code.expose());
    Ok(())
}

pub(super) async fn list_contacts(ljpc: &Ljpc, json: bool) -> Result<(), Failed> {
    let contacts = ljpc.all_contacts().await.map_err(told)?;
    let header = ["HANDLE", "NAME", "ORGANIZATION", "CITY", "COUNTRY", "EMAIL", "VOICE"];
    listing(&contacts, json, header, |contact| {
        [
            cell(Some(&contact.handle)),
            cell(contact.name.as_ref()),
            cell(contact.organization.as_ref()),
            cell(contact.city.as_ref()),
            cell(contact.country.as_ref()),
            cell(contact.email.as_ref()),
            cell(contact.voice.as_ref()),
        ]
    })
}

pub(super) async fn show_contact(ljpc: &Ljpc, handle: &str, json: bool) -> Result<(), Failed> {
    let contact = ljpc.contact(handle).await.map_err(told)?;
    let shown = [
        ("handle", cell(Some(&contact.handle))),
        ("brand", cell(contact.brand.as_ref())),
        ("name", cell(contact.name.as_ref())),
        ("organization", cell(contact.organization.as_ref())),
        ("address", cell(Some(contact.address_line.join(", ")))),
        ("postal code", cell(contact.postal_code.as_ref())),
        ("city", cell(contact.city.as_ref())),
        ("country", cell(contact.country.as_ref())),
        ("email", cell(contact.email.as_ref())),
        ("voice", cell(contact.voice.as_ref())),
    ];
    facts(&contact, json, &shown)
}

pub(super) async fn list_records(ljpc: &Ljpc, name: &DomainName, json: bool) -> Result<(), Failed> {
    let zone = ljpc.zone(name).await.map_err(told)?;
    let exists = zone.is_some();
    let Zone { source, records } = zone.unwrap_or(Zone { source: None, records: vec![] });
    if json {
        return Ok(output::json(&json!({
            "domain": name, "exists": exists, "source": source, "records": records }))?);
    }
    output::note(&match (exists, &source) {
        (false, _) => format!("{name} has no zone yet, which counts as one without records."),
        (true, source) => format!("The zone {name}, managed by: {}", cell(source.as_ref())),
    });
    listing(&records, false, ["TYPE", "NAME", "TTL", "PRIO", "CONTENT"], |record| {
        [
            cell(Some(&record.kind)),
            cell(Some(&record.name)),
            cell(Some(record.ttl)),
            cell(record.prio),
            cell(Some(&record.content)),
        ]
    })
}

//! One record of a zone, and what it may hold.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use serde_json::{Map, Value};

/// LJPc, PUT /api/hosting/v1/dns/zones/{domain}/records.
const TYPES: [&str; 7] = ["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA"];
const TTL: std::ops::RangeInclusive<i64> = 60..=86_400;
const CONTENT_MAX: usize = 4_096;
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A record as it is written and read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DnsRecord {
    /// One of the managed types.
    #[serde(rename = "type")]
    pub kind: String,
    /// Relative to the zone; `@` is the apex.
    pub name: String,
    /// As it was written.
    pub content: String,
    /// In seconds.
    pub ttl: u32,
    /// Of MX and SRV alone.
    pub prio: Option<u16>,
}

/// What is wrong with a record; its index is told by whoever reads them all.
type Wrong = String;

/// Reads a record.
pub(super) fn read(value: &Value) -> Result<DnsRecord, Wrong> {
    let map = value.as_object().ok_or("must be an object")?;
    let kind = text(map, "type")?;
    if !TYPES.contains(&kind) {
        return Err(format!("type must be one of {}", TYPES.join(", ")));
    }
    let name = text(map, "name")?;
    if !is_name(name) {
        return Err("name must be relative to the zone".into());
    }
    let content = text(map, "content")?;
    check_content(kind, content)?;
    let ttl = map
        .get("ttl")
        .and_then(Value::as_i64)
        .filter(|ttl| TTL.contains(ttl))
        .and_then(|ttl| u32::try_from(ttl).ok())
        .ok_or_else(|| {
            format!("ttl must be an integer between {} and {}", TTL.start(), TTL.end())
        })?;
    let prio = prio(kind, map.get("prio").filter(|prio| !prio.is_null()))?;
    Ok(DnsRecord { kind: kind.into(), name: name.into(), content: content.into(), ttl, prio })
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, Wrong> {
    match map.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null | Value::String(_)) => Err(format!("{key} is required")),
        Some(_) => Err(format!("{key} must be a string")),
    }
}

fn prio(kind: &str, given: Option<&Value>) -> Result<Option<u16>, Wrong> {
    match (matches!(kind, "MX" | "SRV"), given) {
        (true, None) => Err(format!("prio is required for {kind}")),
        (true, Some(prio)) => prio
            .as_i64()
            .and_then(|prio| u16::try_from(prio).ok())
            .map(Some)
            .ok_or_else(|| "prio must be an integer between 0 and 65535".into()),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(format!("prio must be null for {kind}")),
    }
}

fn check_content(kind: &str, content: &str) -> Result<(), Wrong> {
    if content.len() > CONTENT_MAX || content.contains(char::is_control) {
        return Err(format!("content must be at most {CONTENT_MAX} printable characters"));
    }
    let (sound, what) = match kind {
        "A" => (content.parse::<Ipv4Addr>().is_ok(), "a valid IPv4 address"),
        "AAAA" => (content.parse::<Ipv6Addr>().is_ok(), "a valid IPv6 address"),
        "CNAME" | "MX" => (is_host(content), "a valid hostname"),
        "SRV" => (is_service(content), "a weight, a port and a hostname"),
        "CAA" => (is_caa(content), "flags, a tag and a quoted value"),
        _ => (true, ""),
    };
    if sound { Ok(()) } else { Err(format!("content must be {what}")) }
}

/// Labels as DNS knows them, with underscores, which services use; a wildcard first.
fn is_name(name: &str) -> bool {
    let sound = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let labels = name.strip_prefix("*.").unwrap_or(name);
    name == "@" || name == "*" || (name.len() <= NAME_MAX && labels.split('.').all(sound))
}

fn is_host(content: &str) -> bool {
    let host = content.strip_suffix('.').unwrap_or(content);
    let is_address = host.parse::<Ipv4Addr>().is_ok();
    is_name(host) && !host.starts_with('*') && host != "@" && !is_address
}

fn is_service(content: &str) -> bool {
    let parts: Vec<&str> = content.split_ascii_whitespace().collect();
    match parts.as_slice() {
        [weight, port, target] => {
            weight.parse::<u16>().is_ok()
                && port.parse::<u16>().is_ok()
                && (is_host(target) || *target == ".")
        }
        _ => false,
    }
}

fn is_caa(content: &str) -> bool {
    let mut parts = content.splitn(3, ' ');
    let (Some(flags), Some(tag), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    flags.parse::<u8>().is_ok()
        && matches!(tag, "issue" | "issuewild" | "iodef")
        && value.len() >= 2
        && value.starts_with('"')
        && value.ends_with('"')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(kind: &str, content: &str) -> Value {
        let prio = if matches!(kind, "MX" | "SRV") { json!(10) } else { Value::Null };
        json!({"type": kind, "name": "@", "content": content, "ttl": 3600, "prio": prio})
    }

    #[test]
    fn each_type_holds_what_is_its_own() {
        for (kind, content) in [
            ("A", "192.0.2.10"),
            ("AAAA", "2001:db8::1"),
            ("CNAME", "www.example.nl"),
            ("MX", "mail.example.nl."),
            ("TXT", "v=spf1 -all"),
            ("SRV", "5 5060 sip.example.nl"),
            ("CAA", "0 issue \"ca.example.com\""),
        ] {
            let sent = record(kind, content);
            let read = read(&sent).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), sent);
        }
        let without_prio = json!({"type": "A", "name": "@", "content": "192.0.2.1", "ttl": 60});
        assert_eq!(read(&without_prio).unwrap().prio, None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (kind, content, what) in [
            ("A", "2001:db8::1", "content must be a valid IPv4 address"),
            ("A", "example.nl", "content must be a valid IPv4 address"),
            ("AAAA", "192.0.2.1", "content must be a valid IPv6 address"),
            ("CNAME", "192.0.2.1", "content must be a valid hostname"),
            ("MX", "10 mail.example.nl", "content must be a valid hostname"),
            ("SRV", "5060 sip.example.nl", "content must be a weight, a port and a hostname"),
            ("SRV", "5 99999 a.nl", "content must be a weight, a port and a hostname"),
            ("CAA", "0 issue ca.example.com", "content must be flags, a tag and a quoted value"),
            ("TXT", "a\nb", "content must be at most 4096 printable characters"),
            ("TXT", &"x".repeat(4_097), "content must be at most 4096 printable characters"),
            ("TXT", "", "content is required"),
            ("NS", "ns1.example.nl", "type must be one of A, AAAA, CNAME, MX, TXT, SRV, CAA"),
        ] {
            assert_eq!(read(&record(kind, content)).unwrap_err(), what, "{kind} {content}");
        }
    }

    #[test]
    fn ttl_prio_and_name_have_their_bounds() {
        for (key, value, what) in [
            ("ttl", json!(59), "ttl must be an integer between 60 and 86400"),
            ("ttl", json!(86_401), "ttl must be an integer between 60 and 86400"),
            ("ttl", json!("3600"), "ttl must be an integer between 60 and 86400"),
            ("ttl", json!(null), "ttl must be an integer between 60 and 86400"),
            ("prio", json!(10), "prio must be null for A"),
            ("name", json!(""), "name is required"),
            ("name", json!("a..b"), "name must be relative to the zone"),
            ("name", json!("www.example.nl."), "name must be relative to the zone"),
            ("name", json!("a b"), "name must be relative to the zone"),
            ("name", json!(1), "name must be a string"),
            ("type", json!(null), "type is required"),
        ] {
            let mut wrong = record("A", "192.0.2.1");
            wrong[key] = value;
            assert_eq!(read(&wrong).unwrap_err(), what);
        }
        for (prio, what) in [
            (json!(null), "prio is required for MX"),
            (json!(-1), "prio must be an integer between 0 and 65535"),
            (json!(65_536), "prio must be an integer between 0 and 65535"),
        ] {
            let mut wrong = record("MX", "mail.example.nl");
            wrong["prio"] = prio;
            assert_eq!(read(&wrong).unwrap_err(), what);
        }
        for name in ["@", "*", "*.sub", "www", "_sip._tcp", "a.b.c"] {
            let mut sound = record("A", "192.0.2.1");
            sound["name"] = json!(name);
            assert!(read(&sound).is_ok(), "{name}");
        }
        assert_eq!(read(&json!("A")).unwrap_err(), "must be an object");
    }
}

//! DNS records: what may stand in them, and how two sets of them differ.

// Addresses as values; nothing of the network.
use core::net::{Ipv4Addr, Ipv6Addr};
use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A record of one of the managed types (LJPc, "DNS"): A, AAAA, CNAME, MX, TXT, SRV, CAA. Shops, LJPc and this house write
/// it in the same way.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Record {
    /// The type, in capitals.
    #[serde(rename = "type")]
    pub kind: String,
    /// Relative to the zone; `@` is its apex.
    pub name: String,
    /// What it says.
    pub content: String,
    /// Seconds, 60 to 86400.
    pub ttl: u32,
    /// Of MX and SRV.
    #[serde(default)]
    pub prio: Option<u16>,
}

/// What is wrong with a record.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("[{index}].{field}: {what}")]
pub struct RecordFault {
    /// Which record, from 0.
    pub index: usize,
    /// Which of its keys.
    pub field: &'static str,
    /// What it must be.
    pub what: &'static str,
}

/// The first fault of a set of records, if it has one: what the database has not judged, since it takes a parser of
/// addresses, or the records beside it.
pub fn check_records(records: &[Record]) -> Result<(), RecordFault> {
    for (index, record) in records.iter().enumerate() {
        let fault = |field, what| Err(RecordFault { index, field, what });
        let content = record.content.trim();
        match record.kind.as_str() {
            "A" if content.parse::<Ipv4Addr>().is_err() => {
                return fault("content", "must be an IPv4 address");
            }
            "AAAA" if content.parse::<Ipv6Addr>().is_err() => {
                return fault("content", "must be an IPv6 address");
            }
            "CNAME"
                if records
                    .iter()
                    .enumerate()
                    .any(|(at, other)| at != index && same_name(record, other)) =>
            {
                return fault(
                    "name",
                    "must not have other records beside its CNAME (RFC 1034, 3.6.2)",
                );
            }
            "CNAME" | "MX" if content.is_empty() || content.contains(char::is_whitespace) => {
                return fault("content", "must be a host name");
            }
            "SRV" if content.split_whitespace().count() != 3 => {
                return fault("content", "must be a weight, a port and a target");
            }
            "CAA" if content.split_whitespace().count() < 3 => {
                return fault("content", "must be flags, a tag and a value");
            }
            _ if content.is_empty() => return fault("content", "must not be empty"),
            _ => {}
        }
    }
    Ok(())
}

fn same_name(one: &Record, other: &Record) -> bool {
    normal_name(&one.name) == normal_name(&other.name)
}

fn normal_name(name: &str) -> String {
    let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() { "@".to_owned() } else { name }
}

/// A record as it is compared: two spellings of one record are equal.
type Normal = (String, String, String, u32, Option<u16>);

fn normal(record: &Record) -> Normal {
    let kind = record.kind.trim().to_ascii_uppercase();
    let content = record.content.trim();
    let content = match kind.as_str() {
        "A" => content.parse::<Ipv4Addr>().map_or(content.to_owned(), |ip| ip.to_string()),
        "AAAA" => content.parse::<Ipv6Addr>().map_or(content.to_owned(), |ip| ip.to_string()),
        "CNAME" | "MX" | "SRV" => {
            let words: Vec<&str> = content.split_whitespace().collect();
            words.join(" ").trim_end_matches('.').to_ascii_lowercase()
        }
        // Servers differ in whether they show the quotes of a text.
        "TXT" => content
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|rest| !rest.contains('"'))
            .unwrap_or(content)
            .to_owned(),
        _ => content.to_owned(),
    };
    (kind, normal_name(&record.name), content, record.ttl, record.prio)
}

/// How one set of records becomes another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecordDiff {
    /// In the wished set alone.
    pub added: Vec<Record>,
    /// In the present set alone.
    pub removed: Vec<Record>,
}

impl RecordDiff {
    /// The two sets are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Compares two sets, in whatever order and spelling; a record that stands twice counts twice.
#[must_use]
pub fn diff_records(present: &[Record], wished: &[Record]) -> RecordDiff {
    let mut left: BTreeMap<Normal, Vec<&Record>> = BTreeMap::new();
    for record in present {
        left.entry(normal(record)).or_default().push(record);
    }
    let mut diff = RecordDiff::default();
    for record in wished {
        if left.get_mut(&normal(record)).and_then(Vec::pop).is_none() {
            diff.added.push(record.clone());
        }
    }
    diff.removed = left.into_values().flatten().cloned().collect();
    diff
}

impl fmt::Display for Record {
    /// As in a zone file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.ttl, self.kind)?;
        if let Some(prio) = self.prio {
            write!(f, " {prio}")?;
        }
        write!(f, " {}", self.content)
    }
}

impl fmt::Display for RecordDiff {
    /// A line for each change: `- ` what goes, `+ ` what comes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in &self.removed {
            writeln!(f, "- {record}")?;
        }
        for record in &self.added {
            writeln!(f, "+ {record}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn record(kind: &str, name: &str, content: &str) -> Record {
        let prio = matches!(kind, "MX" | "SRV").then_some(10);
        Record {
            kind: kind.to_owned(),
            name: name.to_owned(),
            content: content.to_owned(),
            ttl: 3600,
            prio,
        }
    }

    #[test]
    fn what_a_record_may_hold() {
        for (kind, content, field) in [
            ("A", "192.0.2.10", None),
            ("A", "2001:db8::1", Some("content")),
            ("A", "192.0.2", Some("content")),
            ("A", "example.nl", Some("content")),
            ("AAAA", "2001:db8::1", None),
            ("AAAA", "192.0.2.10", Some("content")),
            ("CNAME", "example.nl.", None),
            ("CNAME", "a b", Some("content")),
            ("MX", "mail.example.nl", None),
            ("MX", "10 mail.example.nl", Some("content")),
            ("SRV", "5 5060 sip.example.nl", None),
            ("SRV", "sip.example.nl", Some("content")),
            ("CAA", "0 issue \"example.net\"", None),
            ("CAA", "issue", Some("content")),
            ("TXT", "v=spf1 -all", None),
            ("TXT", " ", Some("content")),
        ] {
            let faults = check_records(&[record("TXT", "b", "x"), record(kind, "a", content)]);
            assert_eq!(faults.as_ref().err().map(|fault| fault.field), field, "{kind} {content}");
            assert!(faults.err().is_none_or(|fault| fault.index == 1));
        }
    }

    #[test]
    fn a_cname_stands_alone() {
        let beside = [record("A", "www", "192.0.2.1"), record("CNAME", "WWW", "example.nl")];
        assert_eq!(
            check_records(&beside).unwrap_err().to_string(),
            "[1].name: must not have other records beside its CNAME (RFC 1034, 3.6.2)"
        );
        assert_eq!(check_records(&beside[1..]), Ok(()));
    }

    #[test]
    fn spellings_of_one_record_are_equal() {
        for (one, other) in [
            (record("A", "@", "192.0.2.1"), record("a", "", " 192.0.2.1 ")),
            (record("AAAA", "w", "2001:db8:0::1"), record("AAAA", "W.", "2001:DB8::1")),
            (record("MX", "@", "Mail.example.nl."), record("MX", "@", "mail.example.nl")),
            (record("TXT", "@", "v=spf1 -all"), record("TXT", "@", "\"v=spf1 -all\"")),
            (
                record("SRV", "_s", "5  5060 sip.example.nl."),
                record("SRV", "_s", "5 5060 sip.example.nl"),
            ),
        ] {
            assert!(
                diff_records(std::slice::from_ref(&one), std::slice::from_ref(&other)).is_empty(),
                "{one} {other}"
            );
        }
        for (one, other) in [
            (record("TXT", "@", "a"), record("TXT", "@", "A")),
            (record("A", "@", "192.0.2.1"), Record { ttl: 60, ..record("A", "@", "192.0.2.1") }),
            (record("MX", "@", "m"), Record { prio: Some(20), ..record("MX", "@", "m") }),
        ] {
            let diff = diff_records(std::slice::from_ref(&one), std::slice::from_ref(&other));
            assert_eq!((diff.removed, diff.added), (vec![one], vec![other]));
        }
    }

    fn any_record() -> impl Strategy<Value = Record> {
        (select(vec!["A", "TXT", "MX"]), "[a-c@]", "[a-c]{1,2}", 60u32..63)
            .prop_map(|(kind, name, content, ttl)| Record { ttl, ..record(kind, &name, &content) })
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_wished_set(
            present in vec(any_record(), 0..12),
            wished in vec(any_record(), 0..12),
        ) {
            let diff = diff_records(&present, &wished);
            let mut now: Vec<Normal> = present.iter().map(normal).collect();
            for gone in &diff.removed {
                let at = now.iter().position(|record| *record == normal(gone)).unwrap();
                now.remove(at);
            }
            now.extend(diff.added.iter().map(normal));
            now.sort();
            let mut then: Vec<Normal> = wished.iter().map(normal).collect();
            then.sort();
            prop_assert_eq!(now, then);
        }

        #[test]
        fn no_record_makes_the_check_panic(kind in ".{0,6}", name in ".{0,20}", content in ".{0,40}") {
            let _ = check_records(&[record(&kind, &name, &content), record("CNAME", &name, &content)]);
        }
    }
}

//! Answers that are keyed by domain name: those of /check and /price.
//!
//! The keys may be written otherwise than was asked for, in another case or in Unicode. Both sides are normalised before
//! they are compared.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::value::RawValue;

use super::{Ljpc, envelope::payload};
use crate::{
    order::name::DomainName,
    upstream::{Answer, Endpoint, UpstreamError, answer::BODY_BYTES_MAX},
};

/// The most names that one request asks for: so its target stays below the 8 KiB that servers commonly take.
const NAMES_MAX: usize = 25;

/// What was answered, by normalised name.
pub(super) type ByName<T> = BTreeMap<DomainName, T>;

/// Whether `written`, a name as upstream writes it, is this domain.
pub(super) fn is_written(domain: &DomainName, written: &str) -> bool {
    DomainName::parse(written).is_ok_and(|name| name == *domain)
}

impl Ljpc {
    /// Asks for all `names`, as many at once as fit. Nothing is asked for no name.
    pub(super) async fn ask_by_name<T>(
        &self,
        endpoint: &'static Endpoint,
        names: &[&DomainName],
        read: impl Fn(&Answer) -> Result<ByName<T>, UpstreamError>,
    ) -> Result<ByName<T>, UpstreamError> {
        let mut answered = ByName::new();
        for names in names.chunks(NAMES_MAX) {
            let path = format!("{}?{}", endpoint.template(), query(names));
            answered.append(&mut self.get(endpoint, &path, BODY_BYTES_MAX, &read).await?);
        }
        Ok(answered)
    }
}

/// `domain=` for one name, as the document shows it; `domain[]=` for several, the brackets escaped as a URL wants them.
fn query(names: &[&DomainName]) -> String {
    let parameter = if names.len() == 1 { "domain" } else { "domain%5B%5D" };
    let pairs: Vec<String> = names.iter().map(|name| format!("{parameter}={name}")).collect();
    pairs.join("&")
}

/// Reads an answer's entries by `entry`, which gives `None` for one that says nothing. A key that is no domain name is left
/// out, and so is a name that comes in two spellings with two different answers.
///
/// # Errors
/// Also if `entry` fails for any of them.
pub(super) fn read<T: PartialEq>(
    endpoint: &'static Endpoint,
    answer: &Answer,
    entry: impl Fn(&str) -> serde_json::Result<Option<T>>,
) -> Result<ByName<T>, UpstreamError> {
    let payload = payload(endpoint, answer)?;
    let raw: BTreeMap<String, Box<RawValue>> = payload.parse()?;
    let mut entries = BTreeMap::new();
    for (key, value) in raw {
        let Ok(name) = DomainName::parse(&key) else { continue };
        let said =
            entry(value.get()).map_err(|_| payload.broken("an entry is not as documented"))?;
        match entries.entry(name) {
            Entry::Vacant(place) => {
                place.insert(said);
            }
            Entry::Occupied(mut place) if *place.get() != said => {
                place.insert(None);
            }
            Entry::Occupied(_) => {}
        }
    }
    Ok(entries.into_iter().filter_map(|(name, said)| Some((name, said?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn one_name_and_several_are_asked_for_differently() {
        let (a, b) = (name("example.nl"), name("bücher.example"));
        assert_eq!(query(&[&a]), "domain=example.nl");
        assert_eq!(query(&[&a, &b]), "domain%5B%5D=example.nl&domain%5B%5D=xn--bcher-kva.example");
    }

    #[test]
    fn names_are_compared_in_their_normal_form() {
        assert!(is_written(&name("bücher.example"), "XN--BCHER-KVA.Example"));
        assert!(is_written(&name("xn--bcher-kva.example"), "BÜCHER.example"));
        for other in ["bucher.example", "", "example", "www.bücher.example", "bücher.example/"] {
            assert!(!is_written(&name("bücher.example"), other), "{other}");
        }
    }
}

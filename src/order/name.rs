//! Domain names: from what a person writes to the A-label that goes upstream.

use serde::Serialize;

/// A domain name in A-labels, lower case, with at least two labels.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct DomainName(String);

/// Why a text is no domain name.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
#[error("{name:?} is not a domain name that can be registered or hosted: {why}")]
pub struct NotADomain {
    /// As it was given.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl DomainName {
    /// Normalises by IDNA (UTS 46, with the length limits of DNS).
    pub fn parse(text: &str) -> Result<Self, NotADomain> {
        let wrong = |why| NotADomain { name: text.to_owned(), why };
        let ascii = idna::domain_to_ascii_strict(text)
            .map_err(|_| wrong("its labels break the rules of internationalised names"))?;
        let labels: Vec<&str> = ascii.split('.').collect();
        if labels.len() < 2 {
            return Err(wrong("it has only one label"));
        }
        if labels.iter().any(|label| label.is_empty() || label.len() > 63) || ascii.len() > 253 {
            return Err(wrong("a label has more than 63 octets, or the whole more than 253"));
        }
        if labels.last().is_some_and(|tld| tld.bytes().all(|b| b.is_ascii_digit())) {
            return Err(wrong("it looks like an IP address"));
        }
        Ok(Self(ascii))
    }

    /// A name that was stored in its normal form.
    #[must_use]
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DomainName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_to_lower_case_a_labels() {
        for (given, normal) in [
            ("example.nl", "example.nl"),
            ("EXAMPLE.nl", "example.nl"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a.b.co.uk", "a.b.co.uk"),
        ] {
            assert_eq!(DomainName::parse(given).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn what_is_no_domain_name_is_refused() {
        let long = format!("{}.nl", "a".repeat(64));
        for given in ["nl", "-a.nl", "a-.nl", "a..nl", "192.0.2.1", "xn--a.nl", "a_b.nl", &long, ""]
        {
            assert!(DomainName::parse(given).is_err(), "{given}");
        }
    }
}

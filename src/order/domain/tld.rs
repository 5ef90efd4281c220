//! Endings: which ones LJPc sells, and where a name's own part ends.

use crate::order::name::DomainName;

/// An ending that LJPc sells (LJPc, GET /api/hosting/v1/tlds). It may have several labels: `co.uk`, `2000.hu`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tld {
    /// In A-labels, lower case, without a dot before it.
    pub name: String,
    /// Whether a name can be transferred in by its auth code.
    pub transfer_supported: bool,
}

impl Tld {
    /// An ending as the catalogue writes it: in whatever case, as U-labels, with a dot before it.
    #[must_use]
    pub fn new(written: &str, transfer_supported: bool) -> Option<Self> {
        let bare = written.trim().trim_start_matches('.');
        let name = idna::domain_to_ascii_strict(bare).ok().filter(|name| !name.is_empty())?;
        Some(Self { name, transfer_supported })
    }
}

/// A name, taken apart at its ending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SplitName {
    /// What stands before the ending: one label.
    pub sld: String,
    /// The ending.
    pub tld: String,
    /// Of the ending.
    pub transfer_supported: bool,
}

/// Takes a name apart by the longest ending of the catalogue that it has; `None` where LJPc sells none of them, or where
/// more than one label stands before it: such a name is not registered but is a subdomain of one that is.
#[must_use]
pub fn split(name: &DomainName, tlds: &[Tld]) -> Option<SplitName> {
    let mut rest = name.as_str();
    // A name has at most 127 labels, so this ends soon. The longest ending comes first.
    while let Some((label, ending)) = rest.split_once('.') {
        if let Some(tld) = tlds.iter().find(|tld| tld.name == ending) {
            let before = name.as_str().strip_suffix(ending)?.strip_suffix('.')?;
            return (before == label).then(|| SplitName {
                sld: label.to_owned(),
                tld: tld.name.clone(),
                transfer_supported: tld.transfer_supported,
            });
        }
        rest = ending;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn catalogue() -> Vec<Tld> {
        ["nl", "hu", "2000.hu", "co.uk", ".ORG.UK", "рф", "com"]
            .iter()
            .filter_map(|tld| Tld::new(tld, *tld != "hu"))
            .collect()
    }

    fn parts(name: &str) -> Option<(String, String)> {
        let split = split(&DomainName::parse(name).unwrap(), &catalogue())?;
        Some((split.sld, split.tld))
    }

    #[test]
    fn the_longest_ending_counts() {
        for (name, sld, tld) in [
            ("example.nl", "example", "nl"),
            ("example.hu", "example", "hu"),
            ("example.2000.hu", "example", "2000.hu"),
            ("example.co.uk", "example", "co.uk"),
            ("example.org.uk", "example", "org.uk"),
            ("пример.рф", "xn--e1afmkfd", "xn--p1ai"),
            ("BÜCHER.com", "xn--bcher-kva", "com"),
        ] {
            assert_eq!(parts(name), Some((sld.to_owned(), tld.to_owned())), "{name}");
        }
    }

    #[test]
    fn what_is_not_sold_has_no_parts() {
        // uk alone is not in the catalogue; a subdomain is nothing that can be registered.
        for name in ["example.uk", "example.xyz", "www.example.nl", "a.example.co.uk", "2000.co"] {
            assert_eq!(parts(name), None, "{name}");
        }
        // An ending that is sold is, itself, a name under a shorter one.
        assert_eq!(parts("2000.hu"), Some(("2000".to_owned(), "hu".to_owned())));
    }

    #[test]
    fn what_is_no_ending_is_none() {
        for written in ["", ".", "a b", "-a"] {
            assert_eq!(Tld::new(written, true), None, "{written}");
        }
    }

    proptest! {
        #[test]
        fn parts_make_up_the_name(sld in "[a-z0-9]{1,20}", tld in 0usize..7, sub in "[a-z]{0,3}") {
            let tlds = catalogue();
            let tld = &tlds[tld].name;
            let name = DomainName::parse(&format!("{sld}.{tld}")).unwrap();
            let split = split(&name, &tlds).unwrap();
            prop_assert_eq!(format!("{}.{}", split.sld, split.tld), name.as_str());
            prop_assert!(!split.sld.contains('.'));
            // No longer ending of the catalogue fits.
            for longer in tlds.iter().filter(|other| other.name.len() > split.tld.len()) {
                let has_it = name.as_str().ends_with(&format!(".{}", longer.name));
                prop_assert!(!has_it);
            }
            if !sub.is_empty() {
                let below = DomainName::parse(&format!("{sub}.{sld}x.{tld}")).unwrap();
                prop_assert_eq!(super::split(&below, &tlds), None);
            }
        }
    }
}

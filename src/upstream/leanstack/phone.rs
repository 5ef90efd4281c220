//! A telephone number as Leanstack takes it.

use std::fmt;

/// The digits of a number: what E.164 allows, and no number of a whole country is shorter.
const DIGITS_MIN: usize = 8;
const DIGITS_MAX: usize = 15;

/// A telephone number: digits, the country code first, no plus (`2349018191818`). Personal data: it is not shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Phone(String);

impl Phone {
    /// From an international number, `+31612345678`, with whatever separators. `None` for what has no plus, since only a
    /// plus tells that the country code is there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix('+')?;
        let digits: String = rest.chars().filter(|c| !is_separator(*c)).collect();
        let fit = (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        fit.then_some(Self(digits))
    }

    /// The digits, for the request that needs them and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digits, to be masked where they are quoted.
    pub(super) fn digits(&self) -> &String {
        &self.0
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '.' | '-' | '(' | ')' | '/')
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(text: &str) -> Option<String> {
        Phone::parse(text).map(|phone| phone.expose().to_owned())
    }

    #[test]
    fn plus_and_separators_go() {
        for text in ["+2349018191818", "+234.9018191818", " +234 (901) 819-18/18 "] {
            assert_eq!(digits(text).as_deref(), Some("2349018191818"), "{text}");
        }
    }

    #[test]
    fn what_has_no_country_code_is_none() {
        for text in [
            "",
            "+",
            "0612345678",
            "31612345678",
            "+0612345678",
            "0031612345678",
            "+1234567",
            "+1234567890123456",
            "++31612345678",
            "+31612345678x9",
            "+3161234567٨",
        ] {
            assert_eq!(digits(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_of_the_order_document_is_taken(number in "[1-9][0-9]{7,14}") {
            let taken = digits(&format!("+{number}"));
            prop_assert_eq!(taken.as_deref(), Some(number.as_str()));
        }

        #[test]
        fn separators_do_not_matter(
            parts in prop::collection::vec("[0-9]{1,3}", 3..=4),
            separators in prop::collection::vec("[ .()/-]{0,2}", 4),
        ) {
            let spelt: String = parts.iter().zip(&separators).flat_map(|(p, s)| [p.as_str(), s]).collect();
            prop_assert_eq!(digits(&format!("+31{spelt}")), digits(&format!("+31{}", parts.concat())));
        }

        #[test]
        fn only_digits_ever_come_out(text: String) {
            for text in [text.clone(), format!("+{text}")] {
                if let Some(digits) = digits(&text) {
                    prop_assert!((8..=15).contains(&digits.len()));
                    prop_assert!(digits.bytes().all(|b| b.is_ascii_digit()));
                }
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Phone::parse("+31612345678")), "Some(Phone(…))");
    }
}

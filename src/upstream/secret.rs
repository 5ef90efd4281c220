//! Text that must never be shown.

use std::{cmp::Reverse, fmt};

/// An API key or an auth code. Its Debug is a mask, and it has neither Display nor Serialize: showing it takes a call of
/// [`Secret::expose`], which is easily looked for.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the request that needs it and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with every occurrence of this secret masked: an upstream may quote in its message what it was sent.
    #[must_use]
    pub(super) fn masked_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, MASK) }
    }
}

const MASK: &str = "[secret]";

/// Personal data that is shorter is not masked where an upstream quotes it: it would mask parts of words, and it tells
/// nothing by itself.
const PERSONAL_CHARS_MIN: usize = 3;

/// The personal data that a request bears, to be masked like secrets: the longest first, lest a part of it be masked alone.
pub(super) fn personal<'a>(values: impl IntoIterator<Item = &'a String>) -> Vec<Secret> {
    let long_enough = |value: &&String| value.chars().count() >= PERSONAL_CHARS_MIN;
    let mut values: Vec<&String> = values.into_iter().filter(long_enough).collect();
    values.sort_by_key(|value| Reverse(value.len()));
    values.into_iter().cloned().map(Secret).collect()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_a_mask() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "[secret]");
    }

    #[test]
    fn is_masked_wherever_it_occurs() {
        let secret = Secret::new("a+b".to_owned());
        assert_eq!(secret.masked_in("code 'a+b' and a+b"), "code '[secret]' and [secret]");
        assert_eq!(Secret::new(String::new()).masked_in("text"), "text");
    }
}

//! An error with all its causes, on one line: told once, where it is handled.

use std::{error::Error, fmt};

/// How deep a chain is followed.
const DEPTH_MAX: usize = 8;

/// Shows an error and the chain behind it, joined by colons. A cause that the text before it tells already is left out.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(&'a (dyn Error + 'static));

/// See [`Causes`].
#[must_use]
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> Causes<'a> {
    Causes(error)
}

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut next = self.0.source();
        for _ in 0..DEPTH_MAX {
            let Some(cause) = next else { break };
            let text = cause.to_string();
            if !told.contains(&text) {
                told.push_str(": ");
                told.push_str(&text);
            }
            next = cause.source();
        }
        f.write_str(&told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn the_whole_chain_is_shown() {
        assert_eq!(causes(&Outer(Inner)).to_string(), "outer: inner");
        assert_eq!(causes(&Inner).to_string(), "inner");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("quotes: {0}")]
    struct Quotes(#[source] Inner);

    #[test]
    fn what_is_told_already_is_not_told_again() {
        assert_eq!(causes(&Quotes(Inner)).to_string(), "quotes: inner");
        let nested = std::io::Error::other(std::io::Error::other(Inner));
        assert_eq!(causes(&nested).to_string(), "inner");
    }
}

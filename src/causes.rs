//! An error with all its causes, on one line: told once, where it is handled.

use std::{error::Error, fmt};

/// Shows an error and the chain behind it, joined by colons.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(&'a (dyn Error + 'static));

/// See [`Causes`].
#[must_use]
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> Causes<'a> {
    Causes(error)
}

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
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
}

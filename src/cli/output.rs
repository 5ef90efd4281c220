//! What commands print: data to standard output, errors to standard error.

use std::fmt::{Display, Write as _};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Prints a line. A reader that has gone away (`| head`) is no error of ours.
pub(super) fn line(text: &str) {
    print(&shown(text));
}

/// Prints an error.
pub(super) fn error(text: &str) {
    note(&format!("provisor: {text}"));
}

/// Tells a person something beside the data.
pub(super) fn note(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{}", shown(text));
}

fn print(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Text as a terminal may have it: what would steer one, and what would show a reader other words than are there, is
/// spelt out. Lines stay lines.
fn shown(text: &str) -> String {
    respelt(text, |text, c| write!(text, "<U+{:04X}>", u32::from(c)))
}

/// JSON that says the same without such characters. They stand in its texts alone, where each may be escaped.
fn escaped(json: &str) -> String {
    respelt(json, |text, c| {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(text, "\\u{unit:04x}"))
    })
}

fn respelt(text: &str, spell: impl Fn(&mut String, char) -> std::fmt::Result) -> String {
    let mut respelt = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            // Writing to a String can't fail.
            let _: std::fmt::Result = spell(&mut respelt, c);
        } else {
            respelt.push(c);
        }
    }
    respelt
}

/// Control characters but the line's end, marks that turn the direction of writing, and spaces without a width. Joiners
/// are left: some languages write with them.
fn steers(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c,
            '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// What an upstream says, fit for a terminal: a dash for nothing, and no character that controls one.
pub(super) fn cell(said: Option<impl Display>) -> String {
    let text = said.map(|said| said.to_string()).unwrap_or_default();
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A truth, or a dash where none is told.
pub(super) fn yes_no(truth: Option<bool>) -> String {
    cell(truth.map(|truth| if truth { "yes" } else { "no" }))
}

/// A time, to the second.
pub(super) fn time(at: Option<DateTime<Utc>>) -> String {
    cell(at.map(|at| at.format("%Y-%m-%d %H:%M:%SZ")))
}

/// Prints data for a script.
pub(super) fn json(data: &impl Serialize) -> anyhow::Result<()> {
    print(&escaped(&serde_json::to_string_pretty(data)?));
    Ok(())
}

/// A table without borders, as wide as its terminal.
pub(super) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelt_out() {
        for (text, as_shown) in [
            ("two\nlines", "two\nlines"),
            ("\u{1b}]0;title\u{7}", "<U+001B>]0;title<U+0007>"),
            ("a\rb\u{9b}31m\u{7f}", "a<U+000D>b<U+009B>31m<U+007F>"),
            ("exa\u{202e}mple\u{2066}", "exa<U+202E>mple<U+2066>"),
            ("a\u{200b}b\u{e0041}", "a<U+200B>b<U+E0041>"),
            (
                "Zo\u{eb} \u{5d0} \u{1f469}\u{200d}\u{1f467}",
                "Zo\u{eb} \u{5d0} \u{1f469}\u{200d}\u{1f467}",
            ),
        ] {
            assert_eq!(shown(text), as_shown);
        }
    }

    #[test]
    fn json_says_the_same_without_it() {
        let said = serde_json::json!({ "a\u{202e}": ["\u{9b}31m\u{7f}\n\"", "\u{e0041}\u{feff}"] });
        let printed = escaped(&serde_json::to_string_pretty(&said).unwrap());
        assert!(!printed.chars().any(steers), "{printed}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), said);
    }

    #[test]
    fn cells_control_no_terminal() {
        assert_eq!(cell(Some("a\u{1b}[31m\nb")), "a[31mb");
        assert_eq!((cell(None::<&str>), cell(Some(""))), ("-".to_owned(), "-".to_owned()));
        assert_eq!((yes_no(Some(true)), yes_no(None)), ("yes".to_owned(), "-".to_owned()));
    }
}

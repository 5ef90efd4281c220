//! What commands print: data to standard output, errors to standard error.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Prints a line. A reader that has gone away (`| head`) is no error of ours.
pub(super) fn line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints an error.
pub(super) fn error(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "provisor: {text}");
}

/// Tells a person something beside the data.
pub(super) fn note(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
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
    line(&serde_json::to_string_pretty(data)?);
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
    fn cells_control_no_terminal() {
        assert_eq!(cell(Some("a\u{1b}[31m\nb")), "a[31mb");
        assert_eq!((cell(None::<&str>), cell(Some(""))), ("-".to_owned(), "-".to_owned()));
        assert_eq!((yes_no(Some(true)), yes_no(None)), ("yes".to_owned(), "-".to_owned()));
    }
}

//! What commands print: data to standard output, errors to standard error.

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

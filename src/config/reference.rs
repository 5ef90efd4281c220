//! The page of all keys (docs/CONFIGURATION.md), out of `config/default.toml`, which explains each, and the keys themselves.

use std::fmt::Write as _;

use super::{DEFAULT_TOML, keys};

const HEAD: &str = "# Configuration

<!-- Made by `provisor config reference`; a test compares. What is said of a key stands in config/default.toml. -->

This page is made of [config/default.toml](../config/default.toml). `provisor config show` tells each value of an
installation and where it comes from; `provisor check` looks whether what they name is well. All mistakes are told at once,
each with its key, its source and the cure, and make the exit status 2; an unknown key is one. Settings, secrets included,
are read at the start: after a change restart the daemon, which loses nothing.
";

/// The page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for block in DEFAULT_TOML.split("\n\n") {
        let mut text = Vec::new();
        let mut found = Vec::new();
        for line in block.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                // A String takes whatever is written.
                let _ = write!(page, "\n## {section}\n");
            } else if let Some(comment) = line.strip_prefix("# ") {
                text.push(comment);
            } else if line == "#" {
                text.push("");
            } else if let Some((name, value)) = line.split_once(" = ") {
                found.push((format!("{section}.{}", name.trim_start_matches('#')), value));
            }
        }
        page.push('\n');
        if !found.is_empty() {
            let names: Vec<String> = found.iter().map(|(name, _)| format!("`{name}`")).collect();
            let lines: String = found.iter().map(|(name, value)| told(name, value)).collect();
            let _ = write!(page, "### {}\n\n{lines}\n", names.join(", "));
        }
        // What stands in angle brackets is no HTML.
        let _ = writeln!(page, "{}", text.join("\n").replace('<', "&lt;"));
    }
    page
}

/// How a key is set, and what it is if it is not.
fn told(name: &str, value: &str) -> String {
    let Some(key) = keys::find(name) else { return String::new() };
    let variable = key.variable();
    match (key.secret, key.has_default) {
        (true, _) => format!("- `{variable}` or `{variable}_FILE`. A secret, without a default.\n"),
        (false, true) => format!("- `{variable}`, by default `{value}`.\n"),
        (false, false) => format!("- `{variable}`, without a default. For example `{value}`.\n"),
    }
}

//! What a command is given to read: documents, records, secrets. Nothing secret is ever an argument, which others see.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::order::domain::Record;

/// A document that is larger than this is not even read: the database would refuse it.
const DOCUMENT_BYTES_MAX: u64 = 1024 * 1024;

/// An auth code has at most 255 characters.
const AUTH_CODE_BYTES_MAX: u64 = 2048;

/// Where an auth code is looked for when no file is named.
const AUTH_CODE: &str = "PROVISOR_AUTH_CODE";

fn read_text(file: &Path, bytes_max: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let name = file.display();
    if file.as_os_str() == "-" {
        std::io::stdin().take(bytes_max).read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .with_context(|| format!("{name} can't be opened"))?
            .take(bytes_max)
            .read_to_string(&mut text)
    }
    .with_context(|| format!("{name} can't be read"))?;
    Ok(text)
}

/// A JSON document; `-` is standard input.
pub(in crate::cli) fn read_json(file: &Path) -> anyhow::Result<Value> {
    let text = read_text(file, DOCUMENT_BYTES_MAX)?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
}

/// DNS records: an array, or an object with them in `records`, as `dns get --json` prints it. Both as they stand, for the
/// database to judge, and as they are compared.
pub(in crate::cli) fn read_records(file: &Path) -> anyhow::Result<(Value, Vec<Record>)> {
    let mut document = read_json(file)?;
    let records = match document.get_mut("records") {
        Some(records) => records.take(),
        None => document,
    };
    if !records.is_array() {
        bail!("{} holds no records: an array, or an object with them in `records`", file.display());
    }
    let read = serde_json::from_value(records.clone())
        .with_context(|| format!("{} holds something that is no DNS record", file.display()))?;
    Ok((records, read))
}

/// An auth code: the first line of a file, or else of an environment variable.
pub(in crate::cli) fn read_auth_code(file: Option<&PathBuf>) -> anyhow::Result<String> {
    let text = match file {
        Some(file) => read_text(file, AUTH_CODE_BYTES_MAX)?,
        None => std::env::var(AUTH_CODE).unwrap_or_default(),
    };
    let code = text.trim_end_matches(['\r', '\n']).to_owned();
    if code.is_empty() {
        bail!(
            "the transfer needs its auth code: --auth-code-file FILE (`-` for standard input), or {AUTH_CODE}"
        );
    }
    Ok(code)
}

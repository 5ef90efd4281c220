//! `provisor config …`

use clap::Subcommand;

use super::{Failed, output};
use crate::config::{Explained, Settings};

#[derive(Subcommand, Debug)]
pub(super) enum ConfigCommand {
    /// Shows each key, its value, and where the value comes from. Secrets are masked.
    ///
    /// Values come from `default.toml` (compiled in), the file that `PROVISOR_ENV` names, the file of --config, and the
    /// environment, the later over the earlier. Mistakes are told all at once, and make the exit status 2.
    Show {
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Prints what each key means, by which variable it is set and what it is by default: docs/CONFIGURATION.md.
    Reference,
}

pub(super) fn show(json: bool, settings: &Settings) -> Result<(), Failed> {
    if json {
        return Ok(output::json(&settings.explain())?);
    }
    let mut table = output::table(&["KEY", "VALUE", "FROM"]);
    for Explained { key, value, origin } in settings.explain() {
        table.add_row([(*key).to_owned(), output::cell(value.as_ref()), origin.to_string()]);
    }
    output::line(&table.to_string());
    Ok(())
}

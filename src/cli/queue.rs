//! `provisor queue …`

use clap::Subcommand;
use serde_json::json;

use super::{Failed, output};
use crate::{app, config::Settings};

#[derive(Subcommand, Debug)]
pub(super) enum QueueCommand {
    /// Lets irreversible requests go on after a failover, once you have looked, and closes every circuit for a new try.
    ///
    /// A failover without synchronous replication may have lost the intents of requests that were sent. Look first in
    /// LJPc's panel for orders whose tag (the summary's beginning) no line of `provisor order show` knows.
    Resume {
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn queue(command: QueueCommand, settings: &Settings) -> Result<(), Failed> {
    let QueueCommand::Resume { json } = command;
    let (timeline, circuits) =
        app::connect(settings)?.resume().await.map_err(anyhow::Error::from)?;
    if json {
        output::json(&json!({ "timeline": timeline, "circuits_closed": circuits }))?;
    } else {
        output::line(&format!(
            "Irreversible requests go on (WAL timeline {timeline}); circuits closed: {circuits}."
        ));
    }
    Ok(())
}

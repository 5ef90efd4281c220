//! `provisor queue resume`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Circuit, WhatArgs, names, trials};
use crate::{
    cli::{
        Failed,
        change::{demand_agreement, demand_somebody},
        output,
        said::SaidArgs,
    },
    config::Settings,
    db::{Database, guests::OpenCircuit},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct ResumeArgs {
    #[command(flatten)]
    what: WhatArgs,
    /// Only closes the circuits, as after a mended key: lifts no pause, and says nothing of a failover.
    #[arg(long, conflicts_with_all = ["lane", "upstream"])]
    circuits: bool,
    /// Confirm a failover or a restore without asking. Needed where nobody can answer: without a terminal.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    said: SaidArgs,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// What is agreed to after a failover or a restore.
const CONFIRMATION: &str = "The database was failed over, or restored: it may have forgotten requests that were sent. From \
    now on irreversible requests are made again, and what it has forgotten is bought twice. Have you looked in LJPc's panel \
    at each order since then, whether its line here bears its number? The line is named by its tag, the summary's \
    beginning, as in SHOP-1001/0. One that is pending here is adopted first: \
    provisor order resolve SHOP-1001 --line 0 --upstream-order ID";

pub(super) async fn resume(
    db: &Database,
    settings: &Settings,
    args: &ResumeArgs,
) -> Result<(), Failed> {
    if args.circuits {
        Ok(close_circuits(db, settings, args).await?)
    } else if args.what.is_everything() {
        everything(db, settings, args).await
    } else {
        Ok(lift(db, args).await?)
    }
}

async fn lift(db: &Database, args: &ResumeArgs) -> anyhow::Result<()> {
    let (by, what) = (args.said.who()?, args.what.what());
    let changed = db.lift_pauses(&what, args.said.deed(&by)).await?;
    let names = names(&what);
    if args.json {
        return output::json(&json!({ "resumed": names, "changed": changed }));
    }
    let names = names.join(", ");
    output::line(&if changed {
        format!("Goes on: {names}.")
    } else {
        format!("Nothing to do: {names} was not paused.")
    });
    Ok(())
}

/// Lets everything go on. A failover or a restore is confirmed by it, so that is asked first.
async fn everything(db: &Database, settings: &Settings, args: &ResumeArgs) -> Result<(), Failed> {
    let by = args.said.who()?;
    let timeline = db.timeline().await.map_err(anyhow::Error::from)?;
    if !timeline.is_confirmed() {
        demand_somebody(args.yes)?;
        output::note(CONFIRMATION);
        demand_agreement(args.yes)?;
    }
    let deed = args.said.deed(&by);
    let resumed = db.resume(&timeline, &args.what.what(), trials(settings), deed).await;
    let resumed = resumed.map_err(anyhow::Error::from)?.ok_or_else(|| {
        anyhow!(
            "nothing is done: the database was failed over or restored meanwhile. Look, and say it again \
             (provisor queue stats)"
        )
    })?;
    let closed = closed(resumed.closed);
    if args.json {
        return Ok(output::json(&json!({
            "timeline": timeline.now, "failover_confirmed": resumed.confirmed, "circuits_closed": closed,
            "pauses_lifted": resumed.lifted,
        }))?);
    }
    output::line(&if resumed.confirmed {
        format!(
            "The failover or restore is confirmed (WAL timeline {}): irreversible requests go on.",
            timeline.now
        )
    } else {
        format!(
            "Irreversible requests go on (WAL timeline {}, which was confirmed before).",
            timeline.now
        )
    });
    if resumed.lifted {
        output::line("What was paused goes on.");
    }
    tell_closed(&closed);
    Ok(())
}

/// Closes the circuits, and confirms nothing by it.
async fn close_circuits(
    db: &Database,
    settings: &Settings,
    args: &ResumeArgs,
) -> anyhow::Result<()> {
    let by = args.said.who()?;
    let closed = closed(db.close_circuits(trials(settings), args.said.deed(&by)).await?);
    let timeline = db.timeline().await?;
    if args.json {
        return output::json(&json!({
            "timeline": timeline.confirmed, "failover_confirmed": null, "circuits_closed": closed,
            "pauses_lifted": false,
        }));
    }
    if !timeline.is_confirmed() {
        output::line(
            "The database was failed over or restored, and that is not confirmed by this: irreversible requests wait on \
             (provisor queue stats).",
        );
    }
    tell_closed(&closed);
    Ok(())
}

fn closed(circuits: Vec<OpenCircuit>) -> Vec<Circuit> {
    circuits
        .into_iter()
        .map(|circuit| Circuit { next_trial_seconds: None, ..Circuit::from(circuit) })
        .collect()
}

fn tell_closed(circuits: &[Circuit]) {
    if circuits.is_empty() {
        output::line("No circuit was open.");
    }
    for circuit in circuits {
        output::line(&format!("Circuit closed: {}", circuit.told()));
    }
}

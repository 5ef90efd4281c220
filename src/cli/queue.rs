//! `provisor queue …`

use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::{Failed, output};
use crate::{
    app,
    config::Settings,
    db::{
        Database,
        guests::{OpenCircuit, Trials},
    },
};

#[derive(Subcommand, Debug)]
pub(super) enum QueueCommand {
    /// Shows what waits in the queue, how many requests the upstreams get, and which circuits are open.
    Stats {
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Lets irreversible requests go on after a failover, once you have looked, and closes every circuit for a new try.
    ///
    /// A failover without synchronous replication may have lost the intents of requests that were sent. Look first in
    /// LJPc's panel for orders whose tag (the summary's beginning) no line of `provisor order show` knows.
    Resume {
        /// Only closes the circuits, as after a mended key: says nothing of a failover.
        #[arg(long)]
        circuits: bool,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
}

/// An upstream's budget.
#[derive(Serialize)]
struct Pace {
    provider: &'static str,
    /// In force now.
    requests_per_minute: i64,
    /// As configured.
    requests_per_minute_max: i64,
    failures_in_a_row: i32,
}

/// A lane's wakes.
#[derive(Serialize)]
struct Depth {
    #[serde(rename = "lane")]
    name: &'static str,
    due: i64,
    parked: i64,
    leased: i64,
    oldest_due_seconds: u64,
}

/// A circuit, open or just closed.
#[derive(Serialize)]
struct Circuit {
    provider: String,
    /// Empty for the whole upstream.
    endpoint: String,
    cause: &'static str,
    reason: String,
    /// Of an open one: how long until somebody may ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_trial_seconds: Option<u64>,
}

impl From<OpenCircuit> for Circuit {
    fn from(open: OpenCircuit) -> Self {
        let OpenCircuit { provider, endpoint, cause, reason, probe_in, .. } = open;
        let next_trial_seconds = Some(probe_in.as_secs());
        Self { provider, endpoint, cause: cause.as_str(), reason, next_trial_seconds }
    }
}

impl Circuit {
    fn told(&self) -> String {
        let endpoint = output::cell(Some(&self.endpoint).filter(|endpoint| !endpoint.is_empty()));
        let what = if self.endpoint.is_empty() { "all requests" } else { endpoint.as_str() };
        let reason = output::cell(Some(&self.reason));
        let next = self.next_trial_seconds.map(|seconds| format!("; next trial in {seconds} s"));
        format!("{}, {what}: {reason}{}", self.provider, next.unwrap_or_default())
    }
}

pub(super) async fn queue(command: QueueCommand, settings: &Settings) -> Result<(), Failed> {
    let db = app::connect_now(settings).await?;
    match command {
        QueueCommand::Stats { json } => stats(&db, settings, json).await?,
        QueueCommand::Resume { circuits, json } => resume(&db, settings, circuits, json).await?,
    }
    Ok(())
}

async fn stats(db: &Database, settings: &Settings, json: bool) -> anyhow::Result<()> {
    let lanes: Vec<Depth> = db
        .lane_depths()
        .await?
        .into_iter()
        .map(|depth| Depth {
            name: depth.lane.as_str(),
            due: depth.due,
            parked: depth.parked,
            leased: depth.leased,
            oldest_due_seconds: depth.oldest_due.as_secs(),
        })
        .collect();
    let mut paces = Vec::new();
    for (provider, requests_per_second) in app::budgets(settings) {
        let state = db.upstream_state(provider).await?;
        let whole = i64::from(requests_per_second) * 60;
        paces.push(Pace {
            provider,
            requests_per_minute: whole * i64::from(state.pace.0) / 1000,
            requests_per_minute_max: whole,
            failures_in_a_row: state.failures,
        });
    }
    let circuits: Vec<Circuit> =
        db.open_circuits(trials(settings)).await?.into_iter().map(Circuit::from).collect();
    let timeline = db.timeline().await?;
    if json {
        return output::json(&json!({
            "lanes": lanes, "upstreams": paces, "circuits": circuits,
            "timeline": { "now": timeline.now, "confirmed": timeline.confirmed },
        }));
    }
    let mut table = output::table(&["LANE", "DUE", "PARKED", "LEASED", "OLDEST DUE"]);
    for lane in &lanes {
        table.add_row([
            lane.name.to_owned(),
            lane.due.to_string(),
            lane.parked.to_string(),
            lane.leased.to_string(),
            format!("{} s", lane.oldest_due_seconds),
        ]);
    }
    output::line(&table.to_string());
    for pace in &paces {
        output::line(&format!(
            "{}: {} requests a minute, of {}",
            pace.provider, pace.requests_per_minute, pace.requests_per_minute_max
        ));
    }
    for circuit in &circuits {
        output::line(&format!("circuit open: {}", circuit.told()));
    }
    if !timeline.is_confirmed() {
        output::line(&format!(
            "failed over: the database is on WAL timeline {}, and irreversible requests wait until you have looked and \
             say provisor queue resume",
            timeline.now
        ));
    }
    Ok(())
}

const fn trials(settings: &Settings) -> Trials {
    Trials { interval: settings.ljpc.circuit_probe_interval }
}

async fn resume(
    db: &Database,
    settings: &Settings,
    only_circuits: bool,
    json: bool,
) -> anyhow::Result<()> {
    let closed: Vec<Circuit> = db
        .close_circuits(trials(settings))
        .await?
        .into_iter()
        .map(|circuit| Circuit { next_trial_seconds: None, ..Circuit::from(circuit) })
        .collect();
    let confirmed = if only_circuits { None } else { Some(db.confirm_timeline().await?) };
    let timeline = db.timeline().await?;
    if json {
        return output::json(&json!({
            "timeline": timeline.confirmed, "failover_confirmed": confirmed, "circuits_closed": closed,
        }));
    }
    match confirmed {
        Some(true) => output::line(&format!(
            "The failover to WAL timeline {} is confirmed: irreversible requests go on.",
            timeline.now
        )),
        Some(false) => output::line(&format!(
            "Irreversible requests go on (WAL timeline {}, which was confirmed before).",
            timeline.now
        )),
        None if timeline.is_confirmed() => {}
        None => output::line(
            "The database was failed over, and that is not confirmed by this: irreversible requests wait on \
             (provisor queue stats).",
        ),
    }
    if closed.is_empty() {
        output::line("No circuit was open.");
    }
    for circuit in &closed {
        output::line(&format!("Circuit closed: {}", circuit.told()));
    }
    Ok(())
}

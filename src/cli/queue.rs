//! `provisor queue …`

mod resume;

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Failed, output, said::SaidArgs};
use crate::{
    app,
    config::Settings,
    db::{
        Database,
        guests::{OpenCircuit, Trials, WalTimeline},
        operators::pauses::{Pausable, Pause},
        wakes::{Counting, Lane},
    },
    upstream::{leanstack, ljpc},
};

#[derive(Subcommand, Debug)]
pub(super) enum QueueCommand {
    /// Shows what waits in the queue, how many requests the upstreams get, and which circuits are open.
    Stats {
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Pauses lanes of the queue, or an upstream: nothing is lost, and nothing of it goes on before `queue resume`.
    ///
    /// Nothing more of a lane is claimed, and nothing is asked of an upstream but what was just begun; daemons hear of it
    /// within two seconds. Without --lane and --upstream everything is paused.
    Pause {
        #[command(flatten)]
        what: WhatArgs,
        /// The database was restored from a backup: what was bought since is not known in it. Provisor notices most restores
        /// by itself, but no volume that was set back. Nothing is bought until `queue resume` confirms it.
        #[arg(long, conflicts_with_all = ["lane", "upstream"])]
        restored: bool,
        #[command(flatten)]
        said: SaidArgs,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Lets everything go on: what was paused, every circuit for a new try, and irreversible requests after a failover or a
    /// restore, once you have looked.
    ///
    /// With --lane or --upstream it only lifts that pause.
    ///
    /// A failover without synchronous replication may have lost the intents of requests that were sent, and so has a
    /// restore. Look first in LJPc's panel for orders since then: one whose number its line here (by the tag, the summary's
    /// beginning, as in SHOP-1001/0) does not bear would be bought again. `provisor order resolve REF --line N
    /// --upstream-order ID` adopts it. It asks before it confirms a failover or a restore, and does all of it or nothing.
    Resume(resume::ResumeArgs),
}

/// What is meant of the queue.
#[derive(Args, Debug)]
pub(super) struct WhatArgs {
    /// Only this lane. May be given several times.
    #[arg(long, value_parser = lanes())]
    lane: Vec<Lane>,
    /// Only this upstream. May be given several times.
    #[arg(long, value_parser = [ljpc::PROVIDER, leanstack::PROVIDER])]
    upstream: Vec<String>,
}

fn lanes() -> impl TypedValueParser<Value = Lane> {
    PossibleValuesParser::new(Lane::ALL.map(Lane::as_str)).try_map(|name| {
        let lane = Lane::ALL.into_iter().find(|lane| lane.as_str() == name);
        lane.ok_or("is no lane")
    })
}

impl WhatArgs {
    fn is_everything(&self) -> bool {
        self.lane.is_empty() && self.upstream.is_empty()
    }

    /// What is paused, or goes on; all of it if nothing was named.
    fn what(&self) -> Vec<Pausable> {
        let lanes = Lane::ALL.into_iter().map(Pausable::Lane);
        let upstreams = [ljpc::PROVIDER, leanstack::PROVIDER].into_iter().map(Pausable::Upstream);
        let is_meant = |what: &Pausable| match what {
            Pausable::Lane(lane) => self.lane.contains(lane),
            Pausable::Upstream(name) => self.upstream.iter().any(|meant| meant == name),
        };
        lanes.chain(upstreams).filter(|what| self.is_everything() || is_meant(what)).collect()
    }

    /// As they are typed: whoever has paused a lane need not let anything else go on.
    fn options(&self) -> String {
        let lanes = self.lane.iter().map(|lane| format!(" --lane {}", lane.as_str()));
        let upstreams = self.upstream.iter().map(|name| format!(" --upstream {name}"));
        lanes.chain(upstreams).collect()
    }
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
        QueueCommand::Pause { what, restored, said, json } => {
            pause(&db, &what, restored, &said, json).await?;
        }
        QueueCommand::Resume(args) => resume::resume(&db, settings, &args).await?,
    }
    Ok(())
}

async fn stats(db: &Database, settings: &Settings, json: bool) -> anyhow::Result<()> {
    let lanes: Vec<Depth> = db
        .lane_depths(Counting::Exact)
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
    let (timeline, pauses) = (db.timeline().await?, db.pauses().await?);
    if json {
        return output::json(&json!({
            "lanes": lanes, "upstreams": paces, "circuits": circuits,
            "timeline": { "now": timeline.now, "confirmed": timeline.confirmed,
                          "restored": timeline.is_restored },
            "paused": pauses.iter().map(to_json).collect::<Vec<_>>(),
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
    for pause in &pauses {
        output::line(&told_pause(pause));
    }
    if let Some(told) = told_unconfirmed(&timeline) {
        output::line(&told);
    }
    Ok(())
}

/// What is paused or has an open circuit, each in one line: what waits for it, and nothing else.
pub(super) async fn held(db: &Database, settings: &Settings) -> anyhow::Result<Vec<String>> {
    let circuits = db.open_circuits(trials(settings)).await?.into_iter().map(Circuit::from);
    let circuits = circuits.map(|circuit| format!("circuit open: {}", circuit.told()));
    Ok(db.pauses().await?.iter().map(told_pause).chain(circuits).collect())
}

fn told_pause(pause: &Pause) -> String {
    let why = pause.why.as_ref().map(|why| format!(": {}", output::cell(Some(why))));
    format!(
        "paused: {}, by {} since {}{}",
        subject(pause),
        output::cell(Some(&pause.paused_by)),
        output::time(Some(pause.paused_at)),
        why.unwrap_or_default()
    )
}

/// Why nothing irreversible is sent, if a person must look first.
pub(super) fn told_unconfirmed(timeline: &WalTimeline) -> Option<String> {
    if timeline.is_restored {
        return Some(
            "restored from a backup: what was bought since is not known here, and irreversible requests wait until you have \
             looked and say provisor queue resume"
                .to_owned(),
        );
    }
    (!timeline.is_confirmed()).then(|| {
        format!(
            "failed over: the database is on WAL timeline {}, and irreversible requests wait until you have looked and \
             say provisor queue resume",
            timeline.now
        )
    })
}

const fn trials(settings: &Settings) -> Trials {
    Trials { interval: settings.ljpc.circuit_probe_interval }
}

fn subject(pause: &Pause) -> String {
    match (pause.lane, &pause.upstream) {
        (Some(lane), _) => Pausable::Lane(lane).told(),
        (None, upstream) => format!("upstream {}", output::cell(upstream.as_ref())),
    }
}

fn to_json(pause: &Pause) -> Value {
    json!({
        "lane": pause.lane.map(Lane::as_str), "upstream": pause.upstream, "by": pause.paused_by, "why": pause.why,
        "since": pause.paused_at,
    })
}

async fn pause(
    db: &Database,
    what: &WhatArgs,
    restored: bool,
    said: &SaidArgs,
    json: bool,
) -> anyhow::Result<()> {
    let by = said.who()?;
    let meant = what.what();
    let changed = db.pause(&meant, restored, said.deed(&by)).await?;
    let names = names(&meant);
    if json {
        return output::json(&json!({ "paused": names, "changed": changed }));
    }
    let names = names.join(", ");
    output::line(&if changed {
        format!("Paused: {names}. Let it go on: provisor queue resume{}", what.options())
    } else {
        format!("Nothing to do: {names} is paused already.")
    });
    Ok(())
}

fn names(what: &[Pausable]) -> Vec<String> {
    what.iter().map(|one| one.told()).collect()
}

//! `provisor audit run`

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;

use super::{Failed, SaidArgs, output, progress::Progress, table};
use crate::{
    app,
    audit::RunKind,
    clock::Deadline,
    config::Settings,
    db::{
        Database,
        audit::{ListedFinding, Settled, Turn},
        operators::pauses::Deed,
    },
    jobs::audit::{Auditor, Begun, Figures, Run, Stepped},
    lifecycle::Lifecycle,
};

/// The changes that are shown one by one.
const SHOWN_MAX: usize = 1_000;

/// How often it is looked how far another process is.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Audits that others have begun, and that are waited for or gone on with before one's own.
const OTHERS_MAX: u32 = 3;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Only tell what it would find, change and send. Nothing is written or sent.
    #[arg(long)]
    dry_run: bool,
    /// Go on although so much would change, or be missing, at once. Look first: `--dry-run` tells what. Who says so, and
    /// why, is noted (`operator_events`).
    #[arg(long)]
    past_brake: bool,
    #[command(flatten)]
    said: SaidArgs,
}

#[derive(Serialize)]
struct Change<'a> {
    change: &'static str,
    #[serde(flatten)]
    finding: &'a ListedFinding,
}

#[derive(Serialize)]
struct Report<'a> {
    dry_run: bool,
    #[serde(flatten)]
    figures: &'a Figures,
    changes: Vec<Change<'a>>,
}

pub(super) async fn run(
    args: RunArgs,
    settings: &Settings,
    db: &Database,
    is_json: bool,
) -> Result<(), Failed> {
    let lifecycle = Lifecycle::by_signals().map_err(anyhow::Error::from)?;
    let auditor = app::connect_auditor(settings, &lifecycle, db)?;
    let kind = if args.dry_run { RunKind::Dry } else { RunKind::Asked };
    let by = args.said.who()?;
    let past_brake = args.past_brake.then(|| args.said.deed(&by));
    let (run, changes) = carry_out(&auditor, db, kind, past_brake, settings).await?;
    if is_json {
        let changes = changes.iter().map(|(turn, finding)| Change { change: word(*turn), finding });
        let (dry_run, figures) = (args.dry_run, &run.figures);
        output::json(&Report { dry_run, figures, changes: changes.collect() })?;
    } else {
        show(&run, &changes);
    }
    let told = run.figures.problems.join("\n");
    if run.figures.complete {
        if !told.is_empty() {
            output::note(&told);
        }
        return Ok(());
    }
    let cure =
        if run.figures.braked { "\nIf that is right: provisor audit run --past-brake" } else { "" };
    Err(anyhow!("the audit is not complete:\n{told}{cure}").into())
}

/// Carries out an audit of one's own; one that was left is gone on with before, and one of another process waited for.
async fn carry_out(
    auditor: &Auditor,
    db: &Database,
    kind: RunKind,
    past_brake: Option<Deed<'_>>,
    settings: &Settings,
) -> anyhow::Result<(Box<Run>, Settled)> {
    for _ in 0..=OTHERS_MAX {
        let now = auditor.now().await?;
        match auditor.begin(kind, now, past_brake).await? {
            Begun::Run(run) => {
                let is_own = run.row.kind == kind && run.row.past_brake == past_brake.is_some();
                if !is_own {
                    output::note("An audit was left unfinished: it is gone on with first.");
                }
                let ended = to_its_end(auditor, run, settings).await?;
                if is_own {
                    return Ok(ended);
                }
            }
            Begun::Busy(run) => wait_for(auditor, db, &run).await?,
            Begun::None => {}
        }
    }
    Err(anyhow!("other audits are begun again and again: try again later"))
}

async fn to_its_end(
    auditor: &Auditor,
    mut run: Box<Run>,
    settings: &Settings,
) -> anyhow::Result<(Box<Run>, Settled)> {
    let (progress, mut changes) = (Progress::new(), Settled::new());
    loop {
        progress.show(&run);
        if auditor.is_stopped() {
            auditor.leave().await?;
            anyhow::bail!(
                "interrupted; the daemon goes on with it, or the next `provisor audit run`"
            );
        }
        match auditor.step(run, Deadline::after(settings.queue.lease)).await? {
            Stepped::On(next, settled) => {
                let room = SHOWN_MAX.saturating_sub(changes.len());
                changes.extend(settled.into_iter().take(room));
                run = next;
            }
            Stepped::Later(next, after) => {
                tokio::time::sleep(after.min(settings.queue.lease / 2)).await;
                run = next;
            }
            Stepped::Ended(run) => {
                progress.end();
                return Ok((run, changes));
            }
            Stepped::Lost => anyhow::bail!("another process has taken the audit over"),
        }
    }
}

async fn wait_for(auditor: &Auditor, db: &Database, run: &Run) -> anyhow::Result<()> {
    output::note(&format!(
        "Another process is at an audit since {}: it is waited for.",
        output::time(Some(run.row.started_at))
    ));
    while !auditor.is_stopped() {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let ended = db.audit_run(run.row.id).await?.is_none_or(|run| run.ended_at.is_some());
        // Should that process have died, its run is free for the taking.
        if ended || matches!(auditor.take().await?, Begun::Run(_)) {
            return Ok(());
        }
    }
    anyhow::bail!("interrupted")
}

const fn word(turn: Turn) -> &'static str {
    match turn {
        Turn::Opened => "opened",
        Turn::Worse => "worse",
        Turn::Closed => "closed",
    }
}

fn show(run: &Run, changes: &Settled) {
    let figures = &run.figures;
    for turn in [Turn::Opened, Turn::Worse, Turn::Closed] {
        let of_turn: Vec<&ListedFinding> =
            changes.iter().filter(|(it, _)| *it == turn).map(|(_, finding)| finding).collect();
        if !of_turn.is_empty() {
            output::line(&format!("{}:", word(turn)));
            output::line(&table(of_turn.into_iter()));
            output::line("");
        }
    }
    let would = if run.row.kind == RunKind::Dry { "would be " } else { "" };
    output::line(&format!(
        "{} domains and {} sites in the account; {} looked at directly.",
        figures.domains, figures.sites, figures.looks
    ));
    output::line(&format!(
        "Findings: {} {would}opened, {} {would}graver, {} {would}closed. Reminders: {} {would}handed over to be sent. \
         Wishes for renewal: {} {would}handed over to be carried out.",
        figures.opened,
        figures.worse,
        figures.closed,
        figures.reminded,
        if figures.braked { 0 } else { figures.changed },
    ));
}

//! What carries audits out: in the daemon by its schedule, in a command when somebody asks.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::task::TaskTracker;

use super::{build, told::Told};
use crate::{
    audit::{self, Schedule},
    config::Settings,
    db::{self, Database},
    jobs::{
        audit::{AuditSettings, Auditor, LooksMax},
        guest::Guest,
        run_audit::RunAudit,
    },
    lifecycle::Lifecycle,
    queue::Alarm,
};

/// When the audit is due.
pub(super) fn schedule(settings: &Settings) -> anyhow::Result<Schedule> {
    Schedule::parse(&settings.audit.cron, &settings.audit.timezone)
        .context("audit.cron, audit.timezone")
}

/// The daemon's handler.
pub(super) fn handler(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    guest: Arc<Guest>,
) -> anyhow::Result<RunAudit> {
    let auditor = auditor(settings, lifecycle, db, guest)?;
    let (retries, reserve) = (build::waiting(settings).retries, settings.ljpc.timeout);
    Ok(RunAudit::new(db.clone(), auditor, schedule(settings)?, retries, reserve))
}

/// An auditor for a command, with what it needs; `lifecycle` ends it.
pub fn connect_auditor(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
) -> anyhow::Result<Auditor> {
    let told = Arc::new(Told(Arc::new(build::metrics()?)));
    let (tasks, alarm) = (TaskTracker::new(), Alarm::default());
    let guest = Arc::new(build::guest(settings, lifecycle, db, &told, &alarm, &tasks)?);
    // Whoever does not look at the circuits asks an upstream that wants to be left alone.
    let (watching, stopped) = (Arc::clone(&guest), lifecycle.stopped.clone());
    tokio::spawn(super::until(stopped, async move { watching.watch().await }));
    auditor(settings, lifecycle, db, guest)
}

fn auditor(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    guest: Arc<Guest>,
) -> anyhow::Result<Auditor> {
    let chosen = AuditSettings {
        domains: audit::Settings {
            zone: schedule(settings)?.zone(),
            reminder_days: settings.audit.reminder_days.clone(),
            apply_auto_renew: settings.audit.apply_auto_renew,
        },
        waits: db::audit::Waits {
            overdue_after: settings.poll.overdue_after,
            in_doubt_grace: settings.ljpc.in_doubt_grace,
        },
        lease: settings.queue.lease,
        timeout: settings.ljpc.timeout,
        requests_per_second: settings.ljpc.requests_per_second,
        retries: build::waiting(settings).retries,
        looks: LooksMax::default(),
        has_operator: !settings.email.ops_to.is_empty(),
        ahead: chrono::TimeDelta::zero(),
    };
    Ok(Auditor::new(db.clone(), guest, chosen, lifecycle.stop.clone()))
}

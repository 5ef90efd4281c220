//! Runs the audit by its schedule, and goes on with one that was left.

use std::time::Duration;

use async_trait::async_trait;

use super::audit::{Auditor, Begun, Run, Stepped};
use crate::{
    audit::{RunKind, Schedule},
    clock::Deadline,
    db::{Database, DbError, wakes::Lane},
    queue::{self, Claim, Handler, Ran},
};

/// The longest time until it is looked again whether a run was left or is due.
const LOOK_INTERVAL: Duration = Duration::from_mins(5);

/// How soon it is looked again at a run that another process is at.
const BUSY_INTERVAL: Duration = Duration::from_secs(20);

/// How soon it is looked again after a lease that was too short for a single step.
const STEPLESS_INTERVAL: Duration = Duration::from_secs(5);

/// The handler.
pub struct RunAudit {
    db: Database,
    auditor: Auditor,
    schedule: Schedule,
    retries: queue::Schedule,
    /// What is left of a lease when the last step ends: longer than a step takes.
    reserve: Duration,
}

impl RunAudit {
    /// Makes the handler.
    #[must_use]
    pub const fn new(
        db: Database,
        auditor: Auditor,
        schedule: Schedule,
        retries: queue::Schedule,
        reserve: Duration,
    ) -> Self {
        Self { db, auditor, schedule, retries, reserve }
    }

    /// Takes part as long as the lease lasts; answers when to come again.
    async fn take_part(&self, lease: Deadline) -> Result<Duration, DbError> {
        let mut run = match self.auditor.take().await? {
            Begun::Run(run) => run,
            Begun::Busy(_) => return Ok(BUSY_INTERVAL),
            Begun::None => match self.begin().await? {
                Ok(run) => run,
                Err(after) => return Ok(after),
            },
        };
        let mut after = STEPLESS_INTERVAL;
        while lease.left() > self.reserve && !self.auditor.is_stopped() {
            after = Duration::ZERO;
            match self.auditor.step(run, lease).await? {
                Stepped::On(next, _) => run = next,
                Stepped::Later(_, after) => return Ok(after),
                Stepped::Ended(_) => {
                    self.db.forget_old_audits(self.auditor.now().await?).await?;
                    return Ok(Duration::ZERO);
                }
                Stepped::Lost => return Ok(BUSY_INTERVAL),
            }
        }
        // Another process need not wait for this one's lease to end.
        self.auditor.leave().await?;
        Ok(after)
    }

    /// Begins the run that is due, or answers when to look again.
    async fn begin(&self) -> Result<Result<Box<Run>, Duration>, DbError> {
        let now = self.auditor.now().await?;
        let last = self.db.last_scheduled_audit().await?;
        let Some(due_at) = self.schedule.due(last, now) else {
            let next = self.schedule.next_after(now.max(last));
            let left = next.and_then(|next| (next - now).to_std().ok());
            return Ok(Err(left.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL)));
        };
        Ok(match self.auditor.begin(RunKind::Scheduled, due_at, None).await? {
            Begun::Run(run) => Ok(run),
            Begun::Busy(_) | Begun::None => Err(BUSY_INTERVAL),
        })
    }
}

#[async_trait]
impl Handler for RunAudit {
    fn name(&self) -> &'static str {
        "run_audit"
    }

    async fn run(&self, claim: Claim) -> Ran {
        match self.take_part(claim.lease).await {
            Ok(after) => Ran::Later { lane: Lane::Audit, after, tries: 0 },
            Err(error) => {
                tracing::warn!(error = %crate::causes::causes(&error), "the audit waits for the database");
                self.panicked(claim).await
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Audit, self.retries.interval(claim.wake.tries))
    }
}

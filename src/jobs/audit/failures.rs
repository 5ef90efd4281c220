//! What becomes of a run when a request has failed, or a statement.

use chrono::TimeDelta;

use super::{Auditor, Run, Stepped, past};
use crate::{
    audit::{RunKind, Stage},
    db::DbError,
    jobs::guest::NotNow,
    upstream::UpstreamError,
};

/// So many requests in a row may fail at one place before the stage is given up: for about half an hour by the schedule of
/// retries, or for a few seconds where a person waits.
const FAILURES_MAX: u32 = 18;
const FAILURES_MAX_ASKED: u32 = 4;

/// For so long a run waits in all, from one answer to the next, for an upstream that is not asked at the moment: customers
/// shall be reminded nevertheless.
const WAITS_MAX: TimeDelta = TimeDelta::hours(1);
const WAITS_MAX_ASKED: TimeDelta = TimeDelta::minutes(1);

/// An asset of which nothing can be learnt in so many tries is passed over, and so many of them in a row: then it is not
/// the asset's fault.
const TRIES_OF_ASSET: u32 = 3;
const SKIPPED_MAX: u32 = 5;

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Unread {
    NotNow(NotNow),
    Upstream(UpstreamError),
}

impl Auditor {
    /// The same where a request has failed: later, or past this stage when it has failed too often. What that means,
    /// `given_up` says.
    pub(super) async fn failed(
        &self,
        mut run: Box<Run>,
        why: Unread,
        given_up: &str,
    ) -> Result<Stepped, DbError> {
        let now = self.now().await?;
        let is_scheduled = run.row.kind == RunKind::Scheduled;
        let (failures_max, waits_max) = if is_scheduled {
            (FAILURES_MAX, WAITS_MAX)
        } else {
            (FAILURES_MAX_ASKED, WAITS_MAX_ASKED)
        };
        // Who is not asked has not failed.
        let waited = now - *run.figures.waiting_since.get_or_insert(now);
        let (after, told) = match &why {
            Unread::NotNow(not_now) => {
                (not_now.after, "LJPc is not asked at the moment".to_owned())
            }
            Unread::Upstream(UpstreamError::RateLimited { after }) => {
                (*after, "LJPc wants to be left alone".to_owned())
            }
            Unread::Upstream(error) => {
                let tries = i32::try_from(run.figures.failures).unwrap_or(i32::MAX);
                run.figures.failures = run.figures.failures.saturating_add(1);
                (self.settings.retries.interval(tries), error.logged())
            }
        };
        if run.figures.failures >= failures_max || waited >= waits_max {
            tracing::warn!(
                stage = run.stage.as_str(),
                why = told,
                "a stage of the audit is given up"
            );
            run.figures.note(format!("{given_up}: {told}"));
            run.figures.given_up = true;
            return self.go_on(past(run)).await;
        }
        tracing::info!(stage = run.stage.as_str(), why = told, "the audit waits");
        let held = self.db.go_on_at(&self.place(&run)).await?;
        Ok(if held { Stepped::Later(run, after) } else { Stepped::Lost })
    }

    /// The same where the database refuses a value: past this stage.
    pub(super) async fn give_up(
        &self,
        mut run: Box<Run>,
        error: &DbError,
    ) -> Result<Stepped, DbError> {
        let stage = run.stage.as_str();
        let error = crate::causes::causes(error).to_string();
        tracing::error!(stage, error, "a stage of the audit is given up");
        run.figures.note(format!("the stage {stage} is given up: the database refused a value"));
        run.figures.given_up = true;
        // What could not be weighed is held back as if it weighed too much.
        run.figures.braked |= run.stage == Stage::Weigh;
        self.go_on(past(run)).await
    }
}

impl Run {
    /// Whether an asset is passed over of which a request has failed again; what stands behind it gets its turn.
    pub(super) fn passes_over(&mut self, why: &Unread) -> bool {
        let may_be_its_own = matches!(
            why,
            Unread::Upstream(
                UpstreamError::Rejected { .. }
                    | UpstreamError::Unavailable { .. }
                    | UpstreamError::InDoubt { .. }
            )
        );
        let is_over = may_be_its_own
            && self.figures.failures.saturating_add(1) >= TRIES_OF_ASSET
            && self.figures.skipped < SKIPPED_MAX;
        if is_over {
            self.figures.skipped = self.figures.skipped.saturating_add(1);
            self.figures.failures = 0;
        }
        is_over
    }
}

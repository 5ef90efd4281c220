//! The audit: a reconciler. It takes no input, reads what is, compares with what is wished, and writes findings.
//!
//! A run goes through its stages in steps, each of which ends in one transaction; whoever holds the run takes the next
//! one. So any process may go on where another was killed, and memory does not grow with what there is.
//!
//! | | |
//! |---|---|
//! | `listings.rs` | the account's domains and sites, page by page |
//! | `looks.rs` | direct looks, where the listing leaves a question, and now and then |
//! | `judge.rs` | the brake; what the readings mean |
//! | `prices.rs` | what delivered lines would cost now |
//! | `remind.rs` | reminders of expiries |
//! | `failures.rs` | what becomes of a run when a request, or a statement, has failed |

mod failures;
mod figures;
mod judge;
mod listings;
mod looks;
mod prices;
mod remind;
mod storable;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::failures::Unread;
pub use self::{figures::Figures, listings::Unlisted, looks::LooksMax};
use super::guest::Guest;
use crate::{
    audit::{self, RunKind, Stage},
    clock::Deadline,
    db::{
        Database, DbError,
        audit::{AssetKind, AuditRun, Place, Settled, Taken, Turn, Waits, Writing},
        operators::pauses::Deed,
    },
    order::kinds::catalogue::Product,
    queue::Schedule,
    upstream::UpstreamError,
};

/// Of the upstream's budget, an audit takes at most this part: orders come first.
const PART_OF_BUDGET: u32 = 4;

/// How an audit is set.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// What domains are judged by.
    pub domains: audit::Settings,
    /// From when on lines are told of.
    pub waits: Waits,
    /// For how long a run is held from one step to the next.
    pub lease: Duration,
    /// `ljpc.timeout`: the longest that one request takes.
    pub timeout: Duration,
    /// `ljpc.requests_per_second`
    pub requests_per_second: u32,
    /// The schedule of retries.
    pub retries: Schedule,
    /// The most direct looks of one run.
    pub looks: LooksMax,
    /// Somebody is named to send the digest to.
    pub has_operator: bool,
    /// The audit's clock, ahead of the database's: for tests, zero else.
    pub ahead: TimeDelta,
}

/// A run in hand.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its row.
    pub row: AuditRun,
    /// Where it is.
    pub stage: Stage,
    /// What it came to so far.
    pub figures: Figures,
}

/// What a step came to.
#[derive(Debug)]
pub enum Stepped {
    /// It goes on here. The findings have changed so.
    On(Box<Run>, Settled),
    /// It goes on here after this time.
    Later(Box<Run>, Duration),
    /// It has ended.
    Ended(Box<Run>),
    /// Another process has the run.
    Lost,
}

/// Whether there is a run to take part in.
#[derive(Debug)]
pub enum Begun {
    /// This one.
    Run(Box<Run>),
    /// Another process is at this one.
    Busy(Box<Run>),
    /// There is none.
    None,
}

/// Carries audits out.
pub struct Auditor {
    db: Database,
    guest: Arc<Guest>,
    settings: AuditSettings,
    owner: Uuid,
    /// No step is begun after it.
    stop: CancellationToken,
    next_request: Mutex<Instant>,
    /// The catalogue, with the run that it was read for.
    catalogue: Mutex<Option<(i64, Arc<Vec<Product>>)>>,
}

impl Auditor {
    /// One of a process.
    #[must_use]
    pub fn new(
        db: Database,
        guest: Arc<Guest>,
        settings: AuditSettings,
        stop: CancellationToken,
    ) -> Self {
        Self {
            db,
            guest,
            settings,
            owner: Uuid::new_v4(),
            stop,
            next_request: Mutex::new(Instant::now()),
            catalogue: Mutex::default(),
        }
    }

    /// The same, its clock ahead of the database's: a year of audits need not take a year.
    #[must_use]
    pub const fn ahead(mut self, ahead: TimeDelta) -> Self {
        self.settings.ahead = ahead;
        self
    }

    /// The same, with other limits of its direct looks.
    #[must_use]
    pub const fn looking_at_most(mut self, looks: LooksMax) -> Self {
        self.settings.looks = looks;
        self
    }

    /// The time, by the audit's clock.
    pub async fn now(&self) -> Result<DateTime<Utc>, DbError> {
        Ok(self.db.time().await? + self.settings.ahead)
    }

    /// Whether no more steps shall be begun.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Takes over the run that is open, if nobody is at it.
    pub async fn take(&self) -> Result<Begun, DbError> {
        let (first, now) = (Stage::Domains.as_str(), self.now().await?);
        Ok(match self.db.take_audit(self.owner, self.settings.lease, first, now).await? {
            Taken::Run(row) => Begun::Run(Box::new(to_run(*row)?)),
            Taken::Busy(row) => Begun::Busy(Box::new(to_run(*row)?)),
            Taken::None => Begun::None,
        })
    }

    /// Leaves the run to whoever comes next.
    pub async fn leave(&self) -> Result<(), DbError> {
        self.db.leave_audit(self.owner).await
    }

    /// Begins a run, unless one is open, which is then answered. `past_brake`: somebody has looked, and says that so much
    /// has changed, and who that is.
    pub async fn begin(
        &self,
        kind: RunKind,
        due_at: DateTime<Utc>,
        past_brake: Option<Deed<'_>>,
    ) -> Result<Begun, DbError> {
        let place = Place {
            run: 0,
            owner: self.owner,
            lease: self.settings.lease,
            stage: Stage::Domains.as_str(),
            position: String::new(),
            pass: 1,
            figures: serde_json::Value::Null,
        };
        let now = self.now().await?;
        let begun = self.db.begin_audit(kind, due_at, past_brake, &place, now).await?;
        if begun {
            failpoint!("audit.begun");
            tracing::info!(kind = kind.as_str(), "an audit begins");
        }
        self.take().await
    }

    /// The next step. Requests are made until `deadline` comes near; then what was read is kept. A stage whose values the
    /// database refuses is given up: another try would fail alike, and what comes after it is worth the same.
    pub async fn step(&self, run: Box<Run>, deadline: Deadline) -> Result<Stepped, DbError> {
        let before = run.clone();
        match self.step_on(run, deadline).await {
            Err(error) if error.is_data_error() && before.stage != Stage::Finish => {
                self.give_up(before, &error).await
            }
            stepped => stepped,
        }
    }

    async fn step_on(&self, run: Box<Run>, deadline: Deadline) -> Result<Stepped, DbError> {
        match run.stage {
            Stage::Domains => self.list(run, AssetKind::Domain).await,
            Stage::Sites => self.list(run, AssetKind::Site).await,
            Stage::DomainLooks => self.look_at_domains(run, deadline).await,
            Stage::SiteLooks => self.look_at_sites(run, deadline).await,
            Stage::Weigh => self.weigh(run).await,
            Stage::JudgeDomains => self.judge_domains(run).await,
            Stage::JudgeSites => self.judge_sites(run).await,
            Stage::JudgePrices => Box::pin(self.judge_prices(run)).await,
            Stage::JudgeOwn => self.judge_own(run).await,
            Stage::Remind => self.remind(run).await,
            Stage::Finish => self.finish(run).await,
        }
    }

    /// A request, within the budget, at the audit's pace.
    async fn ask<T>(
        &self,
        endpoint: &'static str,
        request: impl Future<Output = Result<T, UpstreamError>> + Send,
    ) -> Result<T, Unread> {
        let at = {
            let mut next = self.next_request.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at
                + Duration::from_secs(PART_OF_BUDGET.into())
                    / self.settings.requests_per_second.max(1);
            at
        };
        tokio::time::sleep_until(at).await;
        let permit = self.guest.permit(endpoint, &mut false).await.map_err(Unread::NotNow)?;
        let answer = request.await;
        self.guest.learn(endpoint, &answer).await;
        drop(permit);
        answer.map_err(Unread::Upstream)
    }

    /// Where a run goes on.
    fn place(&self, run: &Run) -> Place {
        Place {
            run: run.row.id,
            owner: self.owner,
            lease: self.settings.lease,
            stage: run.stage.as_str(),
            position: run.row.position.clone(),
            pass: run.row.pass,
            figures: serde_json::to_value(&run.figures).unwrap_or_default(),
        }
    }

    /// What the last run that has ended came to.
    async fn last_figures(&self) -> Result<Figures, DbError> {
        let last = self.db.last_figures().await?;
        Ok(last.and_then(|figures| serde_json::from_value(figures).ok()).unwrap_or_default())
    }

    /// Keeps where a run goes on.
    async fn go_on(&self, run: Box<Run>) -> Result<Stepped, DbError> {
        let held = self.db.go_on_at(&self.place(&run)).await?;
        Ok(if held { Stepped::On(run, Settled::new()) } else { Stepped::Lost })
    }
}

/// The run at the beginning of its next stage.
fn past(mut run: Box<Run>) -> Box<Run> {
    if run.stage == Stage::Domains {
        run.figures.domains_pass = run.row.pass;
    } else if run.stage == Stage::Sites {
        run.figures.sites_pass = run.row.pass;
    }
    run.stage = run.stage.next();
    run.row.position = String::new();
    run.row.pass = 1;
    run.figures.begin_stage();
    run
}

/// What becomes of what a run concludes.
fn writing(run: &Run) -> Writing {
    if run.row.kind == RunKind::Dry { Writing::Tried } else { Writing::Kept }
}

/// Counts how findings have changed.
fn count(figures: &mut Figures, settled: &Settled) {
    for (turn, _) in settled {
        let counted = match turn {
            Turn::Opened => &mut figures.opened,
            Turn::Worse => &mut figures.worse,
            Turn::Closed => &mut figures.closed,
        };
        *counted = counted.saturating_add(1);
    }
}

fn to_run(row: AuditRun) -> Result<Run, DbError> {
    let stage = row.stage.parse()?;
    // What an earlier release has kept is read as far as it is understood.
    let figures = serde_json::from_value(row.figures.clone()).unwrap_or_default();
    Ok(Run { row, stage, figures })
}

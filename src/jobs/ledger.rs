//! The group commits of lines: loading them, and recording what runs leave behind.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::{
    clock::Deadline,
    db::{
        Database, DbError,
        lines::LoadedLine,
        records::{EndedOrder, Record, Recorded, Waits},
        wakes::{Due, Lane},
    },
    order::LineId,
    queue::{Alarm, Batcher, Grouping, Unanswered},
};

/// How loads and records of lines are grouped.
const GROUPING: Grouping = Grouping::of(200);

/// How long recording waits before it is tried again while the database is away: at first, and at most.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// How often it is told that an outcome is still not recorded.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Is told of orders that have ended.
pub trait Observer: Send + Sync {
    /// An order has ended.
    fn ended(&self, order: EndedOrder);
}

/// Why a line was not loaded or recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database did not do it.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The group commit gave no answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

impl LedgerError {
    /// Whether the server has provably recorded nothing.
    #[must_use]
    pub fn was_rolled_back(&self) -> bool {
        matches!(self, Self::Db(error) if error.was_rolled_back())
    }

    /// Whether another try may succeed, which is harmless: what was recorded is not recorded twice.
    fn may_pass(&self) -> bool {
        match self {
            Self::Db(error) => !error.is_data_error(),
            Self::Unanswered(_) => true,
        }
    }
}

/// The doors to both group commits. Clones share them.
#[derive(Clone, Debug)]
pub struct Ledger {
    db: Database,
    loads: Batcher<LineId, Result<Option<LoadedLine>, DbError>>,
    records: Batcher<Record, Result<Recorded, DbError>>,
}

impl Ledger {
    /// Starts the group commits.
    #[must_use]
    pub fn start(
        tasks: &TaskTracker,
        db: &Database,
        waits: Waits,
        alarm: Alarm,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (loading, recording) = (db.clone(), db.clone());
        let loads = Batcher::start(tasks, GROUPING, move |ids: Vec<LineId>| {
            let db = loading.clone();
            async move {
                match db.load_lines(&ids, waits.grace).await {
                    Ok(lines) => answer_loads(&ids, &lines),
                    Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        let records = Batcher::start(tasks, GROUPING, move |records: Vec<Record>| {
            let (db, alarm, observer) = (recording.clone(), alarm.clone(), Arc::clone(&observer));
            async move {
                let committed = db.commit_records(&records, waits).await;
                committed.ended.into_iter().for_each(|order| observer.ended(order));
                ring(&alarm, &records);
                committed.results
            }
        });
        Self { db: db.clone(), loads, records }
    }

    /// The database, for what no group gathers.
    pub(super) const fn db(&self) -> &Database {
        &self.db
    }

    /// Loads a line; `None` if there is none.
    pub async fn load(&self, line: LineId) -> Result<Option<LoadedLine>, LedgerError> {
        Ok(self.loads.submit(line).await??)
    }

    /// Records what a run leaves behind, or tells that it could not.
    pub async fn record(&self, record: Record) -> Result<Recorded, LedgerError> {
        Ok(self.records.submit(record).await??)
    }

    /// Records what became of an irreversible request, again and again while the database is away, past the lease, for as
    /// long as the process lives: the truth about an effect must not be lost. The limit is `queue.shutdown_grace`.
    pub async fn record_truth(&self, record: Record) -> Result<Recorded, LedgerError> {
        let recorded = insist(
            AGAIN_AFTER,
            || self.record(record.clone()),
            |error| {
                tell(
                    &record,
                    error,
                    "the outcome of an irreversible request could not be recorded; it is tried again",
                );
            },
        );
        let recorded = recorded.await;
        if let Err(error) = &recorded {
            tell(
                &record,
                error,
                "the outcome of an irreversible request can't be recorded as it is",
            );
        }
        recorded
    }
}

/// Tries until it succeeds, or no further try can: more and more seldom, and telling now and then.
async fn insist<T, F>(
    mut after: Duration,
    attempt: impl Fn() -> F,
    tell: impl Fn(&LedgerError),
) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    let mut silent: Option<Deadline> = None;
    loop {
        match attempt().await {
            Err(error) if error.may_pass() => {
                if silent.is_none_or(|until| until.left().is_zero()) {
                    tell(&error);
                    silent = Some(Deadline::after(TOLD_EVERY));
                }
                tokio::time::sleep(after).await;
                after = (after * 2).min(AGAIN_AFTER_MAX);
            }
            result => return result,
        }
    }
}

/// All that is known of it: should the process end before the database is back, the log alone has it.
fn tell(record: &Record, error: &LedgerError, what: &'static str) {
    let truth = record.truth.as_ref();
    let tag = truth.and_then(|truth| truth.intent.as_ref()).map(|intent| &intent.tag);
    tracing::error!(
        error = %crate::causes::causes(error),
        tag = tag.map(tracing::field::display),
        attempt = truth.map(|truth| tracing::field::display(truth.attempt)),
        outcome = truth.map(|truth| tracing::field::display(truth.outcome)),
        upstream_order_id = truth.and_then(|truth| truth.upstream_order_id).map(|order| order.0),
        jti = truth.and_then(|truth| truth.jti.as_deref()),
        "{what}"
    );
}

fn answer_loads(
    ids: &[LineId],
    lines: &HashMap<LineId, LoadedLine>,
) -> Vec<Result<Option<LoadedLine>, DbError>> {
    ids.iter().map(|id| Ok(lines.get(id).cloned())).collect()
}

/// What was recorded may have made wakes due: those that were parked for a time, and those of emails and waiting lines.
fn ring(alarm: &Alarm, records: &[Record]) {
    for record in records {
        if let Some((lane, Due::In(after), _)) = record.park {
            alarm.ring_for(lane, after);
        }
    }
    let mut changes = records.iter().filter_map(|record| record.change.as_ref());
    if changes.clone().any(|change| change.progress.status.is_ended()) {
        alarm.ring_for(Lane::Email, Duration::ZERO);
    } else if changes.next().is_some() {
        alarm.look_in(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn what_became_of_a_request_is_recorded_however_long_the_database_is_away() {
        let (tries, told) = (AtomicU32::new(0), Cell::new(0));
        // Zero stays zero when it is doubled.
        let recorded = insist(
            Duration::ZERO,
            async || {
                let so_far = tries.fetch_add(1, Ordering::Relaxed);
                if so_far < 5_000 { Err(LedgerError::from(Unanswered)) } else { Ok(so_far) }
            },
            |_| told.set(told.get() + 1),
        );
        assert_eq!(recorded.await.unwrap(), 5_000);
        assert_eq!(told.get(), 1, "once a minute");
    }

    #[tokio::test]
    async fn what_no_further_try_can_record_is_not_tried_again() {
        let tries = AtomicU32::new(0);
        let refused = insist(
            Duration::ZERO,
            async || {
                tries.fetch_add(1, Ordering::Relaxed);
                let error = "no status".parse::<crate::order::LineStatus>().unwrap_err();
                Err::<(), _>(LedgerError::from(DbError::from(error)))
            },
            |_| panic!("it can't pass"),
        );
        assert!(refused.await.is_err());
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }
}

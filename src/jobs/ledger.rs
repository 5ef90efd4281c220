//! The group commits of lines: loading them, and recording what runs leave behind.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::{
    db::{
        Database, DbError,
        lines::LoadedLine,
        records::{EndedOrder, Record, Recorded, Waits},
        wakes::Due,
    },
    order::LineId,
    queue::{Alarm, Batcher, Unanswered},
};

/// The most lines of one group.
const GROUP_MAX: usize = 200;

/// How long recording waits before it is tried again while the database is away.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How often recording what became of an irreversible request is tried: five minutes of an absent database.
const TRIES_MAX: u32 = 600;

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
        let loads = Batcher::start(tasks, GROUP_MAX, move |ids: Vec<LineId>| {
            let db = loading.clone();
            async move {
                match db.load_lines(&ids, waits.grace).await {
                    Ok(lines) => answer_loads(&ids, &lines),
                    Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        let records = Batcher::start(tasks, GROUP_MAX, move |records: Vec<Record>| {
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

    /// Records what became of an irreversible request, again and again while the database is away, and past the lease: the
    /// truth about an effect must not be lost.
    pub async fn record_truth(&self, record: Record) -> Result<Recorded, LedgerError> {
        let mut tries = 0;
        loop {
            match self.record(record.clone()).await {
                Err(error) if error.may_pass() && tries < TRIES_MAX => {
                    tries += 1;
                    tracing::error!(
                        error = %crate::causes::causes(&error),
                        attempt = record
                            .truth
                            .as_ref()
                            .map(|truth| tracing::field::display(truth.attempt)),
                        "the outcome of an irreversible request could not be recorded; it is tried again"
                    );
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                result => return result,
            }
        }
    }
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
        if let Some((_, Due::In(after), _)) = record.park {
            alarm.ring_in(after);
        }
    }
    if records.iter().any(|record| record.change.is_some()) {
        alarm.ring();
    }
}

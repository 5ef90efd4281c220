//! What an audit reads and writes.
//!
//! A run is a row that somebody holds by a lease. Each of its steps is one transaction that begins with `hold`: whoever
//! has lost the run writes nothing, and where the run goes on is committed with what the step has brought.

mod assets;
mod digest;
mod domains;
mod findings;
mod import;
mod own;
mod prices;
mod readings;
mod reminders;
mod runs;
mod sites;

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) use self::digest::select_digest;
pub use self::{
    digest::Digest,
    domains::{AuditedDomain, DomainNote},
    findings::{ListedFinding, Settled, Turn},
    import::{ImportedAsset, ImportedOwner, Importing},
    own::{OWN_KINDS, Waits},
    prices::{LinePrice, LineToPrice},
    readings::{AssetKind, ListedAsset},
    reminders::{Decided, ExpiringName, ReminderRow},
    runs::{AuditRun, Taken},
    sites::{AuditedSite, SiteNote},
};
use super::{Database, DbError, begin, micros};

/// Where a run goes on once a step is committed.
#[derive(Clone, Debug)]
pub struct Place {
    /// The run.
    pub run: i64,
    /// Who holds it.
    pub owner: Uuid,
    /// For how long from now on.
    pub lease: Duration,
    /// The stage.
    pub stage: &'static str,
    /// How far the stage has come.
    pub position: String,
    /// Of a listing.
    pub pass: i32,
    /// What the run came to so far.
    pub figures: Value,
}

/// What becomes of a step's writing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writing {
    /// It is kept.
    Kept,
    /// It is undone: a dry run only wants to know.
    Tried,
}

impl Database {
    /// One step of a run: `write`, and where the run goes on, in one transaction. `None`: another process has the run.
    async fn audit_step<T>(
        &self,
        what: &'static str,
        place: &Place,
        writing: Writing,
        write: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<Option<T>, DbError> {
        self.call(what, async |connection| {
            let mut transaction = begin(connection).await?;
            if !hold(&mut transaction, place).await? {
                return Ok(None);
            }
            let mut inner = begin(&mut transaction).await?;
            let written = write(&mut inner).await?;
            match writing {
                Writing::Kept => inner.commit().await?,
                Writing::Tried => inner.rollback().await?,
            }
            transaction.commit().await?;
            Ok(Some(written))
        })
        .await
    }

    /// A step that writes nothing but where the run goes on. Answers whether the run is still held.
    pub async fn go_on_at(&self, place: &Place) -> Result<bool, DbError> {
        let held =
            self.audit_step("going on with the audit", place, Writing::Kept, async |_| Ok(()));
        Ok(held.await?.is_some())
    }
}

/// Moves a run on, if it is still held. Its row is locked until the transaction ends.
async fn hold(connection: &mut PgConnection, place: &Place) -> Result<bool, sqlx::Error> {
    let held = sqlx::query!(
        "UPDATE provisor.audit_runs
         SET stage = $3, position = $4, pass = $5, figures = $6,
             lease_until = clock_timestamp() + $7::bigint * interval '1 microsecond'
         WHERE id = $1 AND owner = $2 AND ended_at IS NULL",
        place.run,
        place.owner,
        place.stage,
        place.position,
        place.pass,
        place.figures,
        micros(place.lease),
    )
    .execute(connection)
    .await?;
    Ok(held.rows_affected() == 1)
}

//! What all processes share about an upstream: the budget of requests and its pace, the failures in a row, and the open
//! circuits.
//!
//! Architecture invariant: each of these is one statement on one row, by whoever comes. There is no leader.

mod budgets;
mod circuits;

use sqlx::PgConnection;

pub use self::{
    budgets::{Pace, Reservation, Reserving, UpstreamState},
    circuits::{Cause, OpenCircuit, Opened, Trials},
};
use super::{Database, DbError, micros};
pub(in crate::db) use circuits::close_all;

/// The WAL timeline of the database: another one after each failover. And whether its ledger came out of a dump.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WalTimeline {
    /// As the names of its WAL files begin: `00000001`.
    pub now: String,
    /// The one on which an operator lets irreversible requests be made.
    pub confirmed: String,
    /// The ledger is another one than was confirmed: it was restored from a dump.
    pub is_restored: bool,
}

impl WalTimeline {
    /// Whether irreversible requests are made.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.now == self.confirmed && !self.is_restored
    }
}

impl Database {
    /// Which timeline it is on, and which one was confirmed.
    pub async fn timeline(&self) -> Result<WalTimeline, DbError> {
        self.call("asking for the WAL timeline", async |connection| {
            select_timeline(connection).await
        })
        .await
    }
}

pub(in crate::db) async fn select_timeline(
    connection: &mut PgConnection,
) -> Result<WalTimeline, sqlx::Error> {
    sqlx::query_as!(
        WalTimeline,
        r#"SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS "now!", confirmed,
                  (ledger, cluster) IS DISTINCT FROM
                      ('provisor.effects'::regclass::oid, system_identifier) AS "is_restored!"
           FROM provisor.timeline CROSS JOIN pg_control_system()"#
    )
    .fetch_one(connection)
    .await
}

/// An operator has looked after a failover or a restore: irreversible requests may be made on the WAL timeline of now.
/// Answers whether there was one to be confirmed.
pub(in crate::db) async fn confirm_timeline(
    connection: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    sqlx::query!(
        "UPDATE provisor.timeline
         SET confirmed = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), confirmed_at = clock_timestamp(),
             ledger = 'provisor.effects'::regclass, cluster = system_identifier
         FROM pg_control_system()
         WHERE (confirmed, ledger, cluster) IS DISTINCT FROM
               (left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), 'provisor.effects'::regclass::oid,
                system_identifier)"
    )
    .execute(connection)
    .await
    .map(|done| done.rows_affected() > 0)
}

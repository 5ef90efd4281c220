//! What all processes share about an upstream: the budget of requests and its pace, the failures in a row, and the open
//! circuits.
//!
//! Architecture invariant: each of these is one statement on one row, by whoever comes. There is no leader.

mod budgets;
mod circuits;

pub use self::{
    budgets::{Pace, Polls, Reservation, Reserving, UpstreamState},
    circuits::{Cause, OpenCircuit, Opened, Trials},
};
use super::{Database, DbError, micros};

/// What an operator's `resume` has done.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The WAL timeline on which irreversible requests may be made from now on.
    pub timeline: String,
    /// The circuits that were open, and are not any more.
    pub closed: Vec<OpenCircuit>,
}

impl Database {
    /// An operator has looked after a failover, or has mended the key: irreversible requests may be made on the WAL timeline
    /// of now, and every circuit is closed. An upstream that was shut begins slowly, as after a good trial.
    pub async fn resume(&self, trials: Trials) -> Result<Resumed, DbError> {
        let closed = self.open_circuits(trials).await?;
        let timeline = self
            .call("resuming", async |connection| {
                sqlx::query_scalar!(
                    "UPDATE provisor.timeline
                     SET confirmed = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
                         confirmed_at = clock_timestamp()
                     RETURNING confirmed"
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let mut resumed = Resumed { timeline, closed: Vec::new() };
        for circuit in closed {
            // One that somebody else has closed meanwhile is not named.
            if self.close_circuit(&circuit.provider, &circuit.endpoint).await? {
                resumed.closed.push(circuit);
            }
        }
        Ok(resumed)
    }
}

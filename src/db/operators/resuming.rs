//! An operator lets things go on that wait for him. A command that is killed has done all of it, or nothing.

use serde_json::json;
use sqlx::PgConnection;

use super::pauses::{Deed, Pausable, lift};
use crate::db::{
    Database, DbError, begin,
    guests::{OpenCircuit, Trials, WalTimeline, close_all, confirm_timeline, select_timeline},
};

/// What goes on.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// There was a failover or a restore to be confirmed.
    pub confirmed: bool,
    /// Something was paused.
    pub lifted: bool,
    /// The circuits that were open.
    pub closed: Vec<OpenCircuit>,
}

impl Database {
    /// Confirms the WAL timeline that an operator has seen, lifts these pauses, closes all circuits, and notes who said so.
    /// `None`, and nothing is done: the database was failed over or restored once more since he looked.
    pub async fn resume(
        &self,
        seen: &WalTimeline,
        paused: &[Pausable],
        trials: Trials,
        deed: Deed<'_>,
    ) -> Result<Option<Resumed>, DbError> {
        self.call("letting everything go on", async |connection| {
            let mut transaction = begin(connection).await?;
            let timeline = select_timeline(&mut transaction).await?;
            if !timeline.is_confirmed() && timeline != *seen {
                return Ok(None);
            }
            let confirmed = confirm_timeline(&mut transaction).await?;
            if confirmed {
                let detail = json!({ "timeline": timeline.now });
                deed.write(&mut transaction, "failover_confirmed", &detail).await?;
            }
            let lifted = lift(&mut transaction, paused, deed).await?;
            // The last, since whoever asks an upstream waits for its row meanwhile.
            let closed = close_and_note(&mut transaction, trials, deed).await?;
            transaction.commit().await?;
            Ok(Some(Resumed { confirmed, lifted, closed }))
        })
        .await
    }

    /// Closes all circuits, and notes who said so. Answers those that were open.
    pub async fn close_circuits(
        &self,
        trials: Trials,
        deed: Deed<'_>,
    ) -> Result<Vec<OpenCircuit>, DbError> {
        self.call("closing the circuits", async |connection| {
            let mut transaction = begin(connection).await?;
            let closed = close_and_note(&mut transaction, trials, deed).await?;
            transaction.commit().await?;
            Ok(closed)
        })
        .await
    }
}

async fn close_and_note(
    connection: &mut PgConnection,
    trials: Trials,
    deed: Deed<'_>,
) -> Result<Vec<OpenCircuit>, sqlx::Error> {
    let closed = close_all(connection, trials).await?;
    if !closed.is_empty() {
        let names: Vec<String> =
            closed.iter().map(|it| format!("{} {}", it.provider, it.endpoint)).collect();
        deed.write(connection, "circuits_closed", &json!({ "circuits": names })).await?;
    }
    Ok(closed)
}

//! LISTEN: hearing of new wakes.

use std::time::Duration;

use sqlx::{Executor as _, postgres::PgListener};

use super::{Database, DbError};

/// The channel that intake and pokes notify. Payload-free: a notification only says "look".
const CHANNEL: &str = "provisor_wake";

/// After so much silence it is asked whether the server is still there: a connection that was cut without a word is silent,
/// too, and would be for ever.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// How long that answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A connection that listens.
#[derive(Debug)]
pub struct WakeListener(PgListener);

impl Database {
    /// Connects and listens. What was committed before is not heard of: look once after this.
    pub async fn listen(&self) -> Result<WakeListener, DbError> {
        let listen = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(WakeListener(listener))
        };
        tokio::time::timeout(super::CALL_MAX, listen)
            .await
            .map_err(|_| DbError::Deadline { what: "LISTEN", limit: super::CALL_MAX })?
            .map_err(|error| DbError::sql("LISTEN", error))
    }
}

impl WakeListener {
    /// Waits for a notification. `false`: the connection was lost and made anew, and what came meanwhile was not heard.
    pub async fn heard(&mut self) -> Result<bool, DbError> {
        let what = "LISTEN";
        loop {
            if let Ok(received) = tokio::time::timeout(SILENT_MAX, self.0.try_recv()).await {
                return received
                    .map(|notification| notification.is_some())
                    .map_err(|error| DbError::sql(what, error));
            }
            // What is heard meanwhile is kept, and received next.
            tokio::time::timeout(ANSWER_MAX, self.0.execute(sqlx::raw_sql("SELECT 1")))
                .await
                .map_err(|_| DbError::Deadline { what, limit: ANSWER_MAX })?
                .map_err(|error| DbError::sql(what, error))?;
        }
    }
}

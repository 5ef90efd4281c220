//! LISTEN: hearing of new wakes.

use sqlx::postgres::PgListener;

use super::{Database, DbError};

/// The channel that intake and pokes notify. Payload-free: a notification only says "look".
const CHANNEL: &str = "provisor_wake";

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
        self.0
            .try_recv()
            .await
            .map(|notification| notification.is_some())
            .map_err(|error| DbError::sql("LISTEN", error))
    }
}

//! A database that may have forgotten what was sent: nothing that can't be taken back is sent on it.

use chrono::{DateTime, Utc};

use super::{Guest, Host};

/// Why nothing is sent after a failover, or a restore.
pub(in crate::jobs) const FAILED_OVER: &str =
    "the database was failed over or restored: nothing is sent before `provisor queue resume`";

impl<U: Host> Guest<U> {
    /// The operator is told once a day.
    pub(in crate::jobs) async fn tell_of_failover(&self, now: DateTime<Utc>) {
        self.tell_operator("failover", &now.date_naive().to_string(), FAILED_OVER).await;
    }
}

//! The figures that a scrape shows.

use std::time::Duration;

use super::{Database, DbError};
use crate::order::LineStatus;

/// How much is open.
#[derive(Clone, Debug)]
pub struct OpenWork {
    /// Lines that have not ended, by status.
    pub lines: Vec<(LineStatus, i64)>,
    /// The age of the oldest email that is still owed.
    pub oldest_email: Duration,
}

impl Database {
    /// Counts what is open.
    pub async fn open_work(&self) -> Result<OpenWork, DbError> {
        let (lines, oldest) = self
            .call("counting open lines", async |connection| {
                let lines = sqlx::query!(
                    r#"SELECT status, count(*) AS "n!" FROM provisor.order_lines
                       WHERE status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held')
                       GROUP BY status"#
                )
                .fetch_all(&mut *connection)
                .await?;
                let oldest = sqlx::query_scalar!(
                    r#"SELECT coalesce((extract(epoch FROM clock_timestamp() - min(created_at))
                                  * 1000000)::bigint, 0) AS "age!"
                       FROM provisor.email_outbox WHERE status = 'queued'"#
                )
                .fetch_one(connection)
                .await?;
                Ok((lines, oldest))
            })
            .await?;
        let lines = lines
            .into_iter()
            .map(|row| Ok((row.status.parse()?, row.n)))
            .collect::<Result<_, DbError>>()?;
        Ok(OpenWork {
            lines,
            oldest_email: Duration::from_micros(u64::try_from(oldest).unwrap_or(0)),
        })
    }
}

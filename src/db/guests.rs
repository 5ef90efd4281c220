//! What all processes share about an upstream: the budget of requests, and the open circuits.

use std::time::Duration;

use super::{Database, DbError, micros};

/// An open circuit.
#[derive(Clone, Debug)]
pub struct OpenCircuit {
    /// The upstream.
    pub provider: String,
    /// The endpoint; empty for the whole upstream.
    pub endpoint: String,
    /// Why it opened.
    pub reason: String,
    /// How long until the next trial is allowed.
    pub probe_in: Duration,
}

impl Database {
    /// Reserves the next `n` slots of an upstream's budget, `step` apart. Answers how long until the first one; the others
    /// follow. What is not used expires by itself: the budget runs on the clock.
    pub async fn reserve_slots(
        &self,
        provider: &'static str,
        n: u32,
        step: Duration,
    ) -> Result<Duration, DbError> {
        let wait = self
            .call("reserving requests", async |connection| {
                sqlx::query_scalar!(
                    r#"UPDATE provisor.upstream_budgets
                       SET tat = greatest(tat, clock_timestamp())
                               + $2::bigint * $3::bigint * interval '1 microsecond'
                       WHERE provider = $1
                       RETURNING (extract(epoch FROM
                           tat - $2::bigint * $3::bigint * interval '1 microsecond'
                           - clock_timestamp()) * 1000000)::bigint AS "wait!""#,
                    provider,
                    i64::from(n),
                    micros(step),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    }

    /// Lists the open circuits.
    pub async fn open_circuits(&self) -> Result<Vec<OpenCircuit>, DbError> {
        let rows = self
            .call("reading circuits", async |connection| {
                sqlx::query!(
                    r#"SELECT provider, endpoint, reason,
                              (extract(epoch FROM probe_at - clock_timestamp()) * 1000000)::bigint AS "wait!"
                       FROM provisor.circuits ORDER BY provider, endpoint"#
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| OpenCircuit {
                provider: row.provider,
                endpoint: row.endpoint,
                reason: row.reason,
                probe_in: Duration::from_micros(u64::try_from(row.wait).unwrap_or(0)),
            })
            .collect())
    }

    /// Opens a circuit. One that is open stays so, with its next trial put off. Answers whether it was closed before.
    pub async fn open_circuit(
        &self,
        provider: &'static str,
        endpoint: &str,
        reason: &str,
        probe_in: Duration,
    ) -> Result<bool, DbError> {
        self.call("opening a circuit", async |connection| {
            sqlx::query_scalar!(
                r#"INSERT INTO provisor.circuits (provider, endpoint, reason, probe_at)
                   VALUES ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 microsecond')
                   ON CONFLICT (provider, endpoint) DO UPDATE SET probe_at = excluded.probe_at
                   RETURNING xmax = 0 AS "opened!""#,
                provider,
                endpoint,
                reason,
                micros(probe_in),
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Takes the trial of an open circuit, if it is time for one: for one taker among all processes.
    pub async fn take_trial(
        &self,
        provider: &'static str,
        endpoint: &str,
        next_in: Duration,
    ) -> Result<bool, DbError> {
        self.call("taking a circuit's trial", async |connection| {
            sqlx::query!(
                "UPDATE provisor.circuits
                 SET probe_at = clock_timestamp() + $3::bigint * interval '1 microsecond'
                 WHERE provider = $1 AND endpoint = $2 AND probe_at <= clock_timestamp()",
                provider,
                endpoint,
                micros(next_in),
            )
            .execute(connection)
            .await
        })
        .await
        .map(|done| done.rows_affected() == 1)
    }

    /// Closes a circuit. Answers whether it was open.
    pub async fn close_circuit(
        &self,
        provider: &'static str,
        endpoint: &str,
    ) -> Result<bool, DbError> {
        self.call("closing a circuit", async |connection| {
            sqlx::query!(
                "DELETE FROM provisor.circuits WHERE provider = $1 AND endpoint = $2",
                provider,
                endpoint,
            )
            .execute(connection)
            .await
        })
        .await
        .map(|done| done.rows_affected() == 1)
    }

    /// An operator has looked after a failover, or has mended the key: irreversible requests may be made on the WAL timeline
    /// of now, and every circuit is tried anew. Answers the timeline, and how many circuits were open.
    pub async fn resume(&self) -> Result<(String, u64), DbError> {
        self.call("resuming", async |connection| {
            let timeline = sqlx::query_scalar!(
                "UPDATE provisor.timeline
                 SET confirmed = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
                     confirmed_at = clock_timestamp()
                 RETURNING confirmed"
            )
            .fetch_one(&mut *connection)
            .await?;
            let closed = sqlx::query!("DELETE FROM provisor.circuits").execute(connection).await?;
            Ok((timeline, closed.rows_affected()))
        })
        .await
    }
}

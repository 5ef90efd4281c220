//! Open circuits, shared by all processes.

use std::time::Duration;

use super::{Database, DbError, budgets::PACE_MIN, micros};

/// Why a circuit is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The upstream does not take our key: a person must mend that.
    Key,
    /// It gives no usable answers.
    Outage,
}

impl Cause {
    /// As in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Outage => "outage",
        }
    }

    fn read(text: &str) -> Self {
        if text == Self::Outage.as_str() { Self::Outage } else { Self::Key }
    }
}

/// An open circuit.
#[derive(Clone, Debug)]
pub struct OpenCircuit {
    /// The upstream.
    pub provider: String,
    /// The endpoint; empty for the whole upstream.
    pub endpoint: String,
    /// Why it opened.
    pub cause: Cause,
    /// What the upstream said, or did not.
    pub reason: String,
    /// How long until the next trial is allowed.
    pub probe_in: Duration,
    /// Names this episode, for telling of it once.
    pub episode: String,
}

/// What opening a circuit has come to.
#[derive(Clone, Debug)]
pub struct Opened {
    /// It was closed before.
    pub newly: bool,
    /// Names this episode, for telling of it once.
    pub episode: String,
}

impl Database {
    /// Lists the open circuits.
    pub async fn open_circuits(&self) -> Result<Vec<OpenCircuit>, DbError> {
        let rows = self
            .call("reading circuits", async |connection| {
                sqlx::query!(
                    r#"SELECT provider, endpoint, cause, reason,
                              (extract(epoch FROM probe_at - clock_timestamp()) * 1000000)::bigint AS "wait!",
                              (extract(epoch FROM opened_at) * 1000000)::bigint AS "opened!"
                       FROM provisor.circuits ORDER BY provider, endpoint"#
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let circuits = rows.into_iter().map(|row| {
            let cause = Cause::read(&row.cause);
            OpenCircuit {
                episode: episode(&row.provider, &row.endpoint, cause, row.opened),
                cause,
                provider: row.provider,
                endpoint: row.endpoint,
                reason: row.reason,
                probe_in: Duration::from_micros(u64::try_from(row.wait).unwrap_or(0)),
            }
        });
        Ok(circuits.collect())
    }

    /// Opens a circuit. One that is open stays so, with its next trial put off; a key that is refused says more than an
    /// outage does, and takes its place.
    pub async fn open_circuit(
        &self,
        provider: &'static str,
        endpoint: &str,
        cause: Cause,
        reason: &str,
        probe_in: Duration,
    ) -> Result<Opened, DbError> {
        let row = self
            .call("opening a circuit", async |connection| {
                sqlx::query!(
                    r#"INSERT INTO provisor.circuits AS open (provider, endpoint, cause, reason, probe_at)
                       VALUES ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')
                       ON CONFLICT (provider, endpoint) DO UPDATE
                       SET probe_at = excluded.probe_at,
                           cause = CASE excluded.cause WHEN 'key' THEN 'key' ELSE open.cause END,
                           reason = CASE excluded.cause WHEN 'key' THEN excluded.reason ELSE open.reason END
                       RETURNING xmax = 0 AS "newly!", cause,
                           (extract(epoch FROM opened_at) * 1000000)::bigint AS "opened!""#,
                    provider,
                    endpoint,
                    cause.as_str(),
                    reason,
                    micros(probe_in),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let episode = episode(provider, endpoint, Cause::read(&row.cause), row.opened);
        Ok(Opened { newly: row.newly, episode })
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

    /// Closes a circuit. The whole upstream's leaves its budget at the least pace, from which it grows: what has waited does
    /// not come all at once. Answers whether it was open.
    pub async fn close_circuit(&self, provider: &str, endpoint: &str) -> Result<bool, DbError> {
        self.call("closing a circuit", async |connection| {
            sqlx::query_scalar!(
                r#"WITH closed AS (
                       DELETE FROM provisor.circuits WHERE provider = $1 AND endpoint = $2
                       RETURNING endpoint),
                   ramped AS (
                       UPDATE provisor.upstream_budgets AS b
                       SET pace = $3, pace_at = clock_timestamp(), failures = 0
                       FROM closed WHERE b.provider = $1 AND closed.endpoint = '')
                   SELECT count(*) AS "n!" FROM closed"#,
                provider,
                endpoint,
                PACE_MIN,
            )
            .fetch_one(connection)
            .await
        })
        .await
        .map(|closed| closed > 0)
    }
}

fn episode(provider: &str, endpoint: &str, cause: Cause, opened: i64) -> String {
    format!("{provider}:{endpoint}:{}:{opened}", cause.as_str())
}

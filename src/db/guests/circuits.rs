//! Open circuits, shared by all processes.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Database, DbError, budgets::PACE_MIN, micros};

/// Trials of one endpoint are so many intervals apart at the most, and not longer than this unless one interval is.
const INTERVALS_MAX: u32 = 64;
const APART_MAX: Duration = Duration::from_mins(10);

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

/// How often open circuits are tried.
#[derive(Clone, Copy, Debug)]
pub struct Trials {
    /// `ljpc.circuit_probe_interval`
    pub interval: Duration,
}

impl Trials {
    /// The longest time between two trials of one circuit. Whatever stands in the table for later than that was written by
    /// a clock that has been set back since.
    #[must_use]
    pub fn apart_max(self) -> Duration {
        self.interval.saturating_mul(INTERVALS_MAX).min(APART_MAX.max(self.interval))
    }

    /// A trial of the whole upstream, or of an endpoint that only reads, is a safe GET, which comes at a fixed interval. Any
    /// other is a request that may end in doubt: for as long as the circuit has been open, so long again it is left alone,
    /// hence the doubling.
    fn apart_max_of(self, endpoint: &str) -> Duration {
        let is_safe = endpoint.is_empty() || endpoint.starts_with("GET ");
        if is_safe { self.interval } else { self.apart_max() }
    }
}

/// What opening a circuit has come to.
#[derive(Clone, Debug)]
pub struct Opened {
    /// How long until the next trial is allowed.
    pub probe_in: Duration,
    /// It was closed before.
    pub newly: bool,
    /// Names this episode, for telling of it once.
    pub episode: String,
}

impl Database {
    /// Lists the open circuits.
    pub async fn open_circuits(&self, trials: Trials) -> Result<Vec<OpenCircuit>, DbError> {
        self.call("reading circuits", async |connection| select(connection, trials).await).await
    }

    /// Opens a circuit. One that is open stays so, with its next trial put off, an endpoint's for longer each time; a key
    /// that is refused says more than an outage does, and takes its place.
    pub async fn open_circuit(
        &self,
        provider: &'static str,
        endpoint: &str,
        cause: Cause,
        reason: &str,
        trials: Trials,
    ) -> Result<Opened, DbError> {
        let row = self
            .call("opening a circuit", async |connection| {
                sqlx::query!(
                    r#"INSERT INTO provisor.circuits AS open (provider, endpoint, cause, reason, probe_at)
                       VALUES ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')
                       ON CONFLICT (provider, endpoint) DO UPDATE
                       SET probe_at = clock_timestamp() + least($6::bigint * interval '1 microsecond',
                               greatest($5::bigint * interval '1 microsecond', clock_timestamp() - open.opened_at)),
                           cause = CASE excluded.cause WHEN 'key' THEN 'key' ELSE open.cause END,
                           reason = CASE excluded.cause WHEN 'key' THEN excluded.reason ELSE open.reason END
                       RETURNING xmax = 0 AS "newly!", cause,
                           (extract(epoch FROM probe_at - clock_timestamp()) * 1000000)::bigint AS "wait!",
                           (extract(epoch FROM opened_at) * 1000000)::bigint AS "opened!""#,
                    provider,
                    endpoint,
                    cause.as_str(),
                    reason,
                    micros(trials.interval),
                    micros(trials.apart_max_of(endpoint)),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let episode = episode(provider, endpoint, Cause::read(&row.cause), row.opened);
        let probe_in = Duration::from_micros(u64::try_from(row.wait).unwrap_or(0));
        Ok(Opened { probe_in, newly: row.newly, episode })
    }

    /// Takes the trial of an open circuit, if it is time for one: for one taker among all processes.
    pub async fn take_trial(
        &self,
        provider: &'static str,
        endpoint: &str,
        trials: Trials,
    ) -> Result<bool, DbError> {
        self.call("taking a circuit's trial", async |connection| {
            sqlx::query!(
                "UPDATE provisor.circuits
                 SET probe_at = clock_timestamp() + least($4::bigint * interval '1 microsecond',
                         greatest($3::bigint * interval '1 microsecond', clock_timestamp() - opened_at))
                 WHERE provider = $1 AND endpoint = $2
                   AND (probe_at <= clock_timestamp()
                        OR probe_at > clock_timestamp() + $5::bigint * interval '1 microsecond')",
                provider,
                endpoint,
                micros(trials.interval),
                micros(trials.apart_max_of(endpoint)),
                micros(trials.apart_max()),
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
            close(connection, provider, endpoint).await
        })
        .await
    }
}

async fn select(
    connection: &mut PgConnection,
    trials: Trials,
) -> Result<Vec<OpenCircuit>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT provider, endpoint, cause, reason,
                  (extract(epoch FROM probe_at - clock_timestamp()) * 1000000)::bigint AS "wait!",
                  (extract(epoch FROM opened_at) * 1000000)::bigint AS "opened!"
           FROM provisor.circuits ORDER BY provider, endpoint"#
    )
    .fetch_all(connection)
    .await?;
    let circuits = rows.into_iter().map(|row| {
        let wait = Duration::from_micros(u64::try_from(row.wait).unwrap_or(0));
        let cause = Cause::read(&row.cause);
        OpenCircuit {
            episode: episode(&row.provider, &row.endpoint, cause, row.opened),
            cause,
            provider: row.provider,
            endpoint: row.endpoint,
            reason: row.reason,
            probe_in: if wait > trials.apart_max() { Duration::ZERO } else { wait },
        }
    });
    Ok(circuits.collect())
}

async fn close(
    connection: &mut PgConnection,
    provider: &str,
    endpoint: &str,
) -> Result<bool, sqlx::Error> {
    let closed = sqlx::query_scalar!(
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
    .await?;
    Ok(closed > 0)
}

/// An operator has mended the key: every circuit is closed, always in the same order, since their locks are kept. An
/// upstream that was shut begins slowly, as after a good trial. Answers those that were open.
pub(in crate::db) async fn close_all(
    connection: &mut PgConnection,
    trials: Trials,
) -> Result<Vec<OpenCircuit>, sqlx::Error> {
    let mut closed = Vec::new();
    for circuit in select(connection, trials).await? {
        // One that somebody else has closed meanwhile is not named.
        if close(connection, &circuit.provider, &circuit.endpoint).await? {
            closed.push(circuit);
        }
    }
    Ok(closed)
}

fn episode(provider: &str, endpoint: &str, cause: Cause, opened: i64) -> String {
    format!("{provider}:{endpoint}:{}:{opened}", cause.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_apart_for_a_while_that_is_bounded_either_way() {
        for (interval, most) in [(1, 64), (9, 576), (10, 600), (60, 600), (3600, 3600)] {
            let trials = Trials { interval: Duration::from_secs(interval) };
            assert_eq!(trials.apart_max(), Duration::from_secs(most), "{interval} s");
            for safe in ["", "GET /api/v1/orders/{id}"] {
                assert_eq!(trials.apart_max_of(safe), trials.interval);
            }
            assert_eq!(trials.apart_max_of("POST /api/v1/orders"), trials.apart_max());
        }
    }
}

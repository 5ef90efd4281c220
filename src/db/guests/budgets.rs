//! The budget of an upstream's requests: slots in time, at the pace in force, and how many requests failed in a row.

use std::time::Duration;

use super::{Database, DbError, micros};

/// The least pace, in thousandths of the configured rate: where the pace begins after a circuit has closed, and below which
/// no 429 brings it.
pub(super) const PACE_MIN: i32 = 50;

/// The whole rate.
const PACE_WHOLE: i32 = 1000;

/// How long the pace takes from nothing to the whole rate: evenly, so a sixtieth of it each second.
const WHOLE_AFTER: Duration = Duration::from_mins(1);

/// The pace is halved at most once in this time, however many requests of however many processes were under way when the
/// upstream had had enough.
const HALVED_EVERY: Duration = Duration::from_secs(1);

/// Two requests are no further apart than this by the pace alone: a small budget that is slowed down still moves.
const STEP_MAX: Duration = Duration::from_secs(2);

/// The longest pause of all requests. Which requests a 429 is about is not known, so that a long one is kept by the line
/// that was told of it alone.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// No slot is believed to be further ahead: all processes together reserve less than this even at the slowest pace, and a
/// pause is shorter. What stands in the table for later than that was written by a clock that has been set back since.
const AHEAD_MAX: Duration = Duration::from_mins(2);

/// Failures that are further apart than this are not in a row: longer than a request's timeout and a few retries.
const IN_A_ROW_WITHIN: Duration = Duration::from_mins(2);

/// The same for one endpoint.
const ENDPOINT_IN_A_ROW_WITHIN: Duration = Duration::from_hours(1);

/// What is to be reserved.
#[derive(Clone, Copy, Debug)]
pub struct Reserving {
    /// The time between two requests at the configured rate.
    pub step: Duration,
    /// For how much time ahead.
    pub ahead: Duration,
    /// At most so many.
    pub max: u32,
}

/// Slots that were reserved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reservation {
    /// How long until the first one.
    pub wait: Duration,
    /// How many; at least one.
    pub count: u32,
    /// How far apart, at the pace in force.
    pub step: Duration,
}

/// A part of the configured rate, in thousandths, 1 to 1000.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pace(pub i32);

impl Pace {
    /// All of the configured rate.
    pub const WHOLE: Self = Self(PACE_WHOLE);
}

/// How an upstream does, as all processes together have seen it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamState {
    /// The pace in force.
    pub pace: Pace,
    /// Requests in a row that brought no usable answer.
    pub failures: i32,
    /// An endpoint whose requests have an effect has failed lately.
    pub endpoints_fail: bool,
    /// An operator has paused it.
    pub is_paused: bool,
    /// Circuits of it are open.
    pub has_open_circuits: bool,
}

impl Database {
    /// Reserves the next slots of an upstream's budget: for as much time as is wished, at the pace in force. What is not
    /// used expires by itself: the budget runs on the clock.
    pub async fn reserve_slots(
        &self,
        provider: &'static str,
        wished: Reserving,
    ) -> Result<Reservation, DbError> {
        let row = self
            .call("reserving requests", async |connection| {
                sqlx::query!(
                    r#"UPDATE provisor.upstream_budgets AS b
                       SET (tat, pace_at, reserved, step) = (
                           SELECT CASE WHEN b.tat > clock.latest THEN clock.at ELSE greatest(b.tat, clock.at) END
                                      + n.of * s.step,
                                  CASE WHEN b.pace_at > clock.latest THEN clock.at ELSE b.pace_at END, n.of, s.step
                           FROM (SELECT at, at + $7::bigint * interval '1 microsecond' AS latest
                                 FROM (SELECT clock_timestamp() AS at) AS c) AS clock
                           CROSS JOIN LATERAL (SELECT
                               least(greatest($2::bigint, $6::bigint), $2::bigint * 1000
                                   / provisor.pace_in_force(b.pace, b.pace_at, clock.at,
                                       $5::bigint * interval '1 microsecond'))
                               * interval '1 microsecond' AS step) AS s
                           CROSS JOIN LATERAL (SELECT greatest(1, least($4::bigint, floor(
                               $3::bigint / (extract(epoch FROM s.step) * 1000000))))::integer AS of) AS n)
                       WHERE provider = $1
                       RETURNING reserved,
                           (extract(epoch FROM step) * 1000000)::bigint AS "step!",
                           (extract(epoch FROM tat - reserved * step - clock_timestamp()) * 1000000)::bigint
                               AS "wait!""#,
                    provider,
                    micros(wished.step).max(1),
                    micros(wished.ahead),
                    i64::from(wished.max),
                    micros(WHOLE_AFTER),
                    micros(STEP_MAX),
                    micros(AHEAD_MAX),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(Reservation {
            wait: from_micros(row.wait),
            count: u32::try_from(row.reserved).unwrap_or(1).max(1),
            step: from_micros(row.step),
        })
    }

    /// Takes a slot of an upstream's budget if nobody has reserved any that is still to come: while orders want all that
    /// there are, there is none.
    pub async fn take_spare_slot(
        &self,
        provider: &'static str,
        step: Duration,
    ) -> Result<bool, DbError> {
        self.call("taking a spare request", async |connection| {
            sqlx::query!(
                "UPDATE provisor.upstream_budgets AS b
                 SET tat = clock_timestamp() + least(greatest($2::bigint, $4::bigint), $2::bigint * 1000
                         / provisor.pace_in_force(b.pace, b.pace_at, clock_timestamp(),
                             $3::bigint * interval '1 microsecond'))
                     * interval '1 microsecond'
                 WHERE provider = $1
                   AND (tat <= clock_timestamp()
                        OR tat > clock_timestamp() + $5::bigint * interval '1 microsecond')",
                provider,
                micros(step).max(1),
                micros(WHOLE_AFTER),
                micros(STEP_MAX),
                micros(AHEAD_MAX),
            )
            .execute(connection)
            .await
        })
        .await
        .map(|done| done.rows_affected() == 1)
    }

    /// The upstream has had enough: the pace is halved, unless it just was, and nobody asks anything for as long as it
    /// says, up to 10 s. Answers the pace in force.
    pub async fn slow_down(
        &self,
        provider: &'static str,
        pause: Duration,
    ) -> Result<Pace, DbError> {
        self.call("slowing down", async |connection| {
            sqlx::query_scalar!(
                r#"UPDATE provisor.upstream_budgets AS b
                   SET (pace, pace_at, tat) = (
                       SELECT CASE WHEN halved.now THEN greatest($3, halved.pace) ELSE b.pace END,
                              CASE WHEN halved.now THEN clock.at ELSE b.pace_at END,
                              greatest(CASE WHEN b.tat > clock.latest THEN clock.at ELSE b.tat END,
                                  clock.at + $2::bigint * interval '1 microsecond')
                       FROM (SELECT at, at + $6::bigint * interval '1 microsecond' AS latest
                             FROM (SELECT clock_timestamp() AS at) AS c) AS clock
                       CROSS JOIN LATERAL (SELECT
                           b.pace_at <= clock.at - $5::bigint * interval '1 microsecond'
                               OR b.pace_at > clock.latest AS now,
                           provisor.pace_in_force(b.pace, b.pace_at, clock.at,
                               $4::bigint * interval '1 microsecond') / 2 AS pace) AS halved)
                   WHERE provider = $1
                   RETURNING provisor.pace_in_force(pace, pace_at, clock_timestamp(),
                       $4::bigint * interval '1 microsecond') AS "pace!""#,
                provider,
                micros(pause.min(PAUSE_MAX)),
                PACE_MIN,
                micros(WHOLE_AFTER),
                micros(HALVED_EVERY),
                micros(AHEAD_MAX),
            )
            .fetch_one(connection)
            .await
        })
        .await
        .map(Pace)
    }

    /// A request of this process brought no usable answer. Answers how many of all processes now did so in a row.
    pub async fn count_failure(&self, provider: &'static str) -> Result<i32, DbError> {
        self.call("counting a failure", async |connection| {
            sqlx::query_scalar!(
                "UPDATE provisor.upstream_budgets
                 SET failures = CASE WHEN failed_at > clock_timestamp() - $2::bigint * interval '1 microsecond'
                                     THEN least(failures, 1000000) + 1 ELSE 1 END,
                     failed_at = clock_timestamp()
                 WHERE provider = $1
                 RETURNING failures",
                provider,
                micros(IN_A_ROW_WITHIN),
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// The upstream has answered: the row of failures is over.
    pub async fn forget_failures(&self, provider: &'static str) -> Result<(), DbError> {
        self.call("forgetting failures", async |connection| {
            sqlx::query!(
                "UPDATE provisor.upstream_budgets SET failures = 0
                 WHERE provider = $1 AND failures > 0",
                provider
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// Counts a failure of an endpoint whose requests have an effect. Answers how many there were in a row, within an hour
    /// of each other: these are rare.
    pub async fn count_endpoint_failure(
        &self,
        provider: &'static str,
        endpoint: &str,
    ) -> Result<i32, DbError> {
        self.call("counting a failure", async |connection| {
            sqlx::query_scalar!(
                "INSERT INTO provisor.endpoint_failures AS f (provider, endpoint, failures, failed_at)
                 VALUES ($1, $2, 1, clock_timestamp())
                 ON CONFLICT (provider, endpoint) DO UPDATE
                 SET failures = CASE WHEN f.failed_at > clock_timestamp() - $3::bigint * interval '1 microsecond'
                                     THEN least(f.failures, 1000000) + 1 ELSE 1 END,
                     failed_at = clock_timestamp()
                 RETURNING failures",
                provider,
                endpoint,
                micros(ENDPOINT_IN_A_ROW_WITHIN),
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// An endpoint has answered: its row of failures is over.
    pub async fn forget_endpoint_failures(
        &self,
        provider: &'static str,
        endpoint: &str,
    ) -> Result<(), DbError> {
        self.call("forgetting failures", async |connection| {
            sqlx::query!(
                "DELETE FROM provisor.endpoint_failures WHERE provider = $1 AND endpoint = $2",
                provider,
                endpoint,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// Looks how an upstream does.
    pub async fn upstream_state(&self, provider: &str) -> Result<UpstreamState, DbError> {
        let row = self
            .call("reading an upstream's pace", async |connection| {
                sqlx::query!(
                    r#"SELECT failures,
                              EXISTS (SELECT FROM provisor.endpoint_failures f WHERE f.provider = $1)
                                  AS "endpoints_fail!",
                              EXISTS (SELECT FROM provisor.pauses p WHERE p.upstream = $1) AS "is_paused!",
                              EXISTS (SELECT FROM provisor.circuits c WHERE c.provider = $1) AS "has_open_circuits!",
                              provisor.pace_in_force(pace, pace_at, clock_timestamp(),
                                  $2::bigint * interval '1 microsecond') AS "pace!"
                       FROM provisor.upstream_budgets WHERE provider = $1"#,
                    provider,
                    micros(WHOLE_AFTER),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(UpstreamState {
            pace: Pace(row.pace),
            failures: row.failures,
            endpoints_fail: row.endpoints_fail,
            is_paused: row.is_paused,
            has_open_circuits: row.has_open_circuits,
        })
    }
}

fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

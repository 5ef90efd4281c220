//! The queue's table: claims, looks at what is due next, and in `wakes/parks.rs` parks. See ARCHITECTURE.md, "The queue".

mod depths;
mod parks;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Database, DbError, Purpose, micros};

pub use depths::{Counting, LaneDepth, Polls};
pub use parks::{Due, Park, Parked};
pub(super) use parks::{LockOrder, park};

/// The key of a wake: the subject and its kind in one column, so that `id = ANY (…)` is an index scan.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WakeId(pub i64);

impl WakeId {
    /// The wake of a subject. `kind` is 0 to 15.
    #[must_use]
    pub const fn new(kind: u8, subject: i64) -> Self {
        #[expect(clippy::as_conversions, reason = "`i64::from` is not const")]
        Self(subject * 16 + kind as i64 % 16)
    }

    /// Which handler it belongs to.
    #[must_use]
    pub fn kind(self) -> u8 {
        u8::try_from(self.0.rem_euclid(16)).unwrap_or_default()
    }

    /// The subject's id in its own table.
    #[must_use]
    pub const fn subject(self) -> i64 {
        self.0.div_euclid(16)
    }
}

/// The lanes of the queue. What waits in one never stands before what waits in another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lane {
    /// New orders.
    Place,
    /// Second and later tries.
    Retry,
    /// Polls of what was accepted.
    Poll,
    /// Emails.
    Email,
    /// What nobody waits for.
    Audit,
}

impl Lane {
    /// All lanes, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Place, Self::Retry, Self::Poll, Self::Email, Self::Audit];

    /// As in the table.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Place => 0,
            Self::Retry => 1,
            Self::Poll => 2,
            Self::Email => 3,
            Self::Audit => 4,
        }
    }

    /// As in the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Retry => "retry",
            Self::Poll => "poll",
            Self::Email => "email",
            Self::Audit => "audit",
        }
    }

    /// Whether its wakes are carried out by requests to an upstream, so that they wait for its budget.
    #[must_use]
    pub const fn goes_upstream(self) -> bool {
        match self {
            Self::Place | Self::Retry | Self::Poll => true,
            Self::Email | Self::Audit => false,
        }
    }

    pub(super) fn from_number(number: i16) -> Self {
        Self::ALL.into_iter().find(|lane| lane.number() == number).unwrap_or(Self::Audit)
    }
}

/// What to claim of a lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneDemand {
    /// The lane.
    pub lane: Lane,
    /// At most so many.
    pub max: usize,
    /// Nothing due before it is looked for; `None`: everything is.
    pub watermark: Option<DateTime<Utc>>,
}

/// A lane to look at.
#[derive(Clone, Copy, Debug)]
pub struct LaneLook {
    /// The lane.
    pub lane: Lane,
    /// As of [`LaneDemand`].
    pub watermark: Option<DateTime<Utc>>,
}

/// The first wakes of lanes.
#[derive(Clone, Debug)]
pub struct NextWakes {
    /// The database's time; `None` if no lane was asked for.
    pub now: Option<DateTime<Utc>>,
    /// How long until the first wake of a lane is due, zero if one is. A lane that is missing has none with a time.
    pub waits: Vec<(Lane, Duration)>,
}

/// Proof that a run still holds its wake: both columns must be as they were when it was claimed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fence {
    /// The wake.
    pub wake: WakeId,
    /// Raised by each claim.
    pub run_token: i64,
    /// The process.
    pub owner: Uuid,
    /// The pokes that the claim has seen: a later one makes the subject due again at once.
    pub kicks: i32,
}

/// A wake that this process now holds.
#[derive(Clone, Copy, Debug)]
pub struct ClaimedWake {
    /// Proof of it.
    pub fence: Fence,
    /// The lane it was in.
    pub lane: Lane,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// Runs since the subject last got on.
    pub tries: i32,
    /// When it was claimed, by the database's clock.
    pub claimed_at: DateTime<Utc>,
}

impl Database {
    /// Claims what is due, lane by lane in the order given, at most `total_max` in all. Answers also what the statement
    /// took, waiting for a connection aside: that is long when the database was away.
    pub async fn claim_wakes(
        &self,
        demands: &[LaneDemand],
        total_max: usize,
        lease: Duration,
        owner: Uuid,
    ) -> Result<(Vec<ClaimedWake>, Duration), DbError> {
        let lanes: Vec<i16> = demands.iter().map(|demand| demand.lane.number()).collect();
        let limits: Vec<i32> =
            demands.iter().map(|demand| i32::try_from(demand.max).unwrap_or(i32::MAX)).collect();
        let watermarks: Vec<DateTime<Utc>> =
            demands.iter().map(|demand| demand.watermark.unwrap_or(DateTime::UNIX_EPOCH)).collect();
        let total = i64::try_from(total_max).unwrap_or(i64::MAX);
        let (rows, took) = self
            .call("claiming wakes", async |connection| {
                let began = Instant::now();
                // `= ANY (ARRAY (…))`, not a join: with a million due rows a join plans a sequential scan. By ctid, which
                // the lock keeps true, not by id: a sixth cheaper. A row that changed between the snapshot and its lock, by
                // a poke, is not found by it: it takes a place, and is passed over like one that somebody else has locked.
                // `due_at < 'infinity'` is the index's own condition: the planner can't infer it from `<= now()`.
                // Asynchronous for this transaction alone, and said in it: poolers refuse it as a startup parameter, and
                // pass a session's setting on. A one-time filter, evaluated first.
                sqlx::query!(
                    "UPDATE provisor.wakes
                     SET lease_until = now() + $5::bigint * interval '1 microsecond',
                         run_token = run_token + 1, owner = $6
                     WHERE (NOT $7::boolean
                            OR (SELECT set_config('synchronous_commit', 'off', true)) = 'off')
                       AND ctid = ANY (ARRAY (
                         SELECT w.ctid
                         FROM unnest($1::smallint[], $2::integer[], $3::timestamptz[])
                                  AS l (lane, n, watermark)
                         CROSS JOIN LATERAL (
                             SELECT ctid FROM provisor.wakes
                             WHERE lane = l.lane AND due_at >= l.watermark AND due_at <= now()
                               AND due_at < 'infinity' AND lease_until <= now()
                             ORDER BY due_at, id LIMIT l.n
                             FOR UPDATE SKIP LOCKED) w
                         WHERE NOT EXISTS (SELECT FROM provisor.pauses p WHERE p.lane = l.lane)
                         LIMIT $4))
                     RETURNING id, lane, due_at, run_token, kicks, tries, now() AS \"claimed_at!\"",
                    &lanes,
                    &limits,
                    &watermarks,
                    total,
                    micros(lease),
                    owner,
                    self.purpose == Purpose::Queue,
                )
                .fetch_all(connection)
                .await
                .map(|rows| (rows, began.elapsed()))
            })
            .await?;
        let wakes = rows
            .into_iter()
            .map(|row| ClaimedWake {
                fence: Fence {
                    wake: WakeId(row.id),
                    run_token: row.run_token,
                    owner,
                    kicks: row.kicks,
                },
                lane: Lane::from_number(row.lane),
                due_at: row.due_at,
                tries: row.tries,
                claimed_at: row.claimed_at,
            })
            .collect();
        Ok((wakes, took))
    }

    /// Looks for the first wake of each of these lanes that nobody holds, from the lane's watermark on.
    pub async fn next_wakes(&self, lanes: &[LaneLook]) -> Result<NextWakes, DbError> {
        let numbers: Vec<i16> = lanes.iter().map(|look| look.lane.number()).collect();
        let watermarks: Vec<DateTime<Utc>> =
            lanes.iter().map(|look| look.watermark.unwrap_or(DateTime::UNIX_EPOCH)).collect();
        let rows = self
            .call("looking for the next wakes", async |connection| {
                sqlx::query!(
                    r#"SELECT now() AS "now!", l.lane AS "lane!",
                              (extract(epoch FROM w.due_at - now()) * 1000000)::bigint AS "wait?"
                       FROM unnest($1::smallint[], $2::timestamptz[]) AS l (lane, watermark)
                       LEFT JOIN LATERAL (
                           SELECT due_at FROM provisor.wakes
                           WHERE lane = l.lane AND due_at >= l.watermark AND due_at < 'infinity'
                             AND lease_until <= now()
                           ORDER BY due_at LIMIT 1) w
                           ON NOT EXISTS (SELECT FROM provisor.pauses p WHERE p.lane = l.lane)"#,
                    &numbers,
                    &watermarks,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let now = rows.first().map(|row| row.now);
        let waits = rows
            .into_iter()
            .filter_map(|row| Some((row.lane, row.wait?)))
            .map(|(lane, wait)| {
                (Lane::from_number(lane), Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
            })
            .collect();
        Ok(NextWakes { now, waits })
    }
}

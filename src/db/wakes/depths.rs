//! How much waits in the queue: counted where that is little, and else estimated from a part of its table, so that no
//! scrape and no count of polls reads a million wakes.

use std::time::Duration;

use super::{
    super::{Database, DbError},
    Lane,
};

/// So many wakes of a lane are counted, the soonest; where there are more, they are estimated.
const COUNTED_MAX: i64 = 10_000;

/// The same for polls, whose spacing hangs on their number.
const POLLS_COUNTED_MAX: i64 = 100_000;

/// An estimate reads about so many pages of the table, 32 MiB: all of it, if it has no more.
const SAMPLE_PAGES: i64 = 4_000;

/// How exactly wakes are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counting {
    /// All of them, however many: for a person who asks.
    Exact,
    /// Up to 10,000 of a lane, and as an estimate beyond: for whoever asks time after time.
    Bounded,
}

/// A lane's figures.
#[derive(Clone, Copy, Debug)]
pub struct LaneDepth {
    /// The lane.
    pub lane: Lane,
    /// Due and not held.
    pub due: i64,
    /// Not yet due.
    pub parked: i64,
    /// Held by a process.
    pub leased: i64,
    /// How long the oldest of the due has waited.
    pub oldest_due: Duration,
}

/// Polls that are to come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Polls {
    /// How many polls there are of each count of earlier ones.
    pub by_tries: Vec<(i32, i64)>,
}

/// Wakes of one lane that were run equally often since their subjects last got on.
struct Count {
    lane: i16,
    tries: i32,
    due: i64,
    parked: i64,
    leased: i64,
    /// How long the oldest of the due has waited, in microseconds.
    oldest: i64,
}

impl Count {
    const fn all(&self) -> i64 {
        self.due + self.parked + self.leased
    }
}

impl LaneDepth {
    fn of(lane: Lane, counts: &[Count]) -> Self {
        let of_lane = || counts.iter().filter(|count| count.lane == lane.number());
        let oldest = of_lane().map(|count| count.oldest).max().unwrap_or(0);
        Self {
            lane,
            due: of_lane().map(|count| count.due).sum(),
            parked: of_lane().map(|count| count.parked).sum(),
            leased: of_lane().map(|count| count.leased).sum(),
            oldest_due: Duration::from_micros(u64::try_from(oldest).unwrap_or(0)),
        }
    }

    const fn all(&self) -> i64 {
        self.due + self.parked + self.leased
    }
}

impl Database {
    /// Counts the wakes of each lane that has any which don't rest.
    pub async fn lane_depths(&self, counting: Counting) -> Result<Vec<LaneDepth>, DbError> {
        let most = if counting == Counting::Exact { i64::MAX } else { COUNTED_MAX };
        let soonest = self.soonest(&Lane::ALL, most).await?;
        let mut depths: Vec<LaneDepth> = Lane::ALL
            .into_iter()
            .map(|lane| LaneDepth::of(lane, &soonest))
            .filter(|depth| depth.all() > 0)
            .collect();
        let full: Vec<Lane> =
            depths.iter().filter(|depth| depth.all() >= most).map(|depth| depth.lane).collect();
        if full.is_empty() {
            return Ok(depths);
        }
        let sampled = self.sampled(&full).await?;
        for depth in depths.iter_mut().filter(|depth| full.contains(&depth.lane)) {
            let estimate = LaneDepth::of(depth.lane, &sampled);
            // Where one of the soonest is parked, all that is due was counted.
            if depth.parked == 0 {
                depth.due = depth.due.max(estimate.due);
                depth.leased = depth.leased.max(estimate.leased);
            }
            depth.parked = depth.parked.max(estimate.parked);
        }
        Ok(depths)
    }

    /// Counts the polls that are to come, up to 100,000 of them, and estimates them beyond.
    pub async fn open_polls(&self) -> Result<Polls, DbError> {
        let all = |counts: &[Count]| counts.iter().map(Count::all).sum::<i64>();
        let mut counts = self.soonest(&[Lane::Poll], POLLS_COUNTED_MAX).await?;
        if all(&counts) >= POLLS_COUNTED_MAX {
            let sampled = self.sampled(&[Lane::Poll]).await?;
            if all(&sampled) > all(&counts) {
                counts = sampled;
            }
        }
        Ok(Polls { by_tries: counts.iter().map(|count| (count.tries, count.all())).collect() })
    }

    /// Counts the wakes that are due next, so many of each of these lanes.
    async fn soonest(&self, lanes: &[Lane], most: i64) -> Result<Vec<Count>, DbError> {
        let numbers: Vec<i16> = lanes.iter().map(|lane| lane.number()).collect();
        self.call("counting wakes", async |connection| {
            sqlx::query_as!(
                Count,
                r#"SELECT l.lane AS "lane!", tries,
                          count(*) FILTER (WHERE due_at <= now() AND lease_until <= now()) AS "due!",
                          count(*) FILTER (WHERE due_at > now()) AS "parked!",
                          count(*) FILTER (WHERE due_at <= now() AND lease_until > now()) AS "leased!",
                          coalesce((extract(epoch FROM now() - min(due_at)
                              FILTER (WHERE due_at <= now() AND lease_until <= now()))
                              * 1000000)::bigint, 0) AS "oldest!"
                   FROM unnest($1::smallint[]) AS l (lane)
                   -- What rests, and nearly all that ever was does, is not even read.
                   CROSS JOIN LATERAL (
                       SELECT tries, due_at, lease_until FROM provisor.wakes
                       WHERE lane = l.lane AND due_at < 'infinity'
                       ORDER BY due_at, id LIMIT $2) AS w
                   GROUP BY l.lane, tries"#,
                &numbers,
                most,
            )
            .fetch_all(connection)
            .await
        })
        .await
    }

    /// Estimates the wakes of these lanes. How long the oldest has waited is not estimated.
    async fn sampled(&self, lanes: &[Lane]) -> Result<Vec<Count>, DbError> {
        let numbers: Vec<i16> = lanes.iter().map(|lane| lane.number()).collect();
        self.call("estimating wakes", async |connection| {
            let per_cent = sqlx::query_scalar!(
                r#"SELECT least(100, 100.0 * $1::bigint / greatest(1, pages))::real AS "part!"
                   FROM (SELECT pg_relation_size('provisor.wakes') / current_setting('block_size')::bigint AS pages)
                        AS its"#,
                SAMPLE_PAGES,
            )
            .fetch_one(&mut *connection)
            .await?;
            sqlx::query_as!(
                Count,
                r#"SELECT lane, tries, (due * 100 / $1)::bigint AS "due!", (parked * 100 / $1)::bigint AS "parked!",
                          (leased * 100 / $1)::bigint AS "leased!", 0::bigint AS "oldest!"
                   FROM (SELECT lane, tries,
                                count(*) FILTER (WHERE due_at <= now() AND lease_until <= now()) AS due,
                                count(*) FILTER (WHERE due_at > now()) AS parked,
                                count(*) FILTER (WHERE due_at <= now() AND lease_until > now()) AS leased
                         FROM provisor.wakes TABLESAMPLE SYSTEM ($1)
                         WHERE lane = ANY ($2) AND due_at < 'infinity'
                         GROUP BY lane, tries) AS sampled"#,
                per_cent,
                &numbers,
            )
            .fetch_all(connection)
            .await
        })
        .await
    }
}

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

impl Polls {
    fn all(&self) -> i64 {
        self.by_tries.iter().map(|(_, count)| count).sum()
    }
}

impl Database {
    /// Counts the wakes of each lane that has any which don't rest.
    pub async fn lane_depths(&self, counting: Counting) -> Result<Vec<LaneDepth>, DbError> {
        let most = if counting == Counting::Exact { i64::MAX } else { COUNTED_MAX };
        let (mut depths, full) = self.soonest_depths(most).await?;
        if !full.is_empty() {
            for estimate in self.estimated_depths(&full).await? {
                if let Some(depth) = depths.iter_mut().find(|depth| depth.lane == estimate.lane) {
                    depth.due = depth.due.max(estimate.due);
                    depth.parked = depth.parked.max(estimate.parked);
                    depth.leased = depth.leased.max(estimate.leased);
                }
            }
        }
        Ok(depths)
    }

    /// Counts the wakes that are due next, so many of each lane; and tells which lanes have as many.
    async fn soonest_depths(&self, most: i64) -> Result<(Vec<LaneDepth>, Vec<Lane>), DbError> {
        let rows = self
            .call("counting wakes", async |connection| {
                sqlx::query!(
                    r#"SELECT l.lane AS "lane!", count(*) AS "all!",
                              count(*) FILTER (WHERE due_at <= now() AND lease_until <= now()) AS "due!",
                              count(*) FILTER (WHERE due_at > now()) AS "parked!",
                              count(*) FILTER (WHERE due_at <= now() AND lease_until > now()) AS "leased!",
                              coalesce((extract(epoch FROM now() - min(due_at)
                                  FILTER (WHERE due_at <= now() AND lease_until <= now()))
                                  * 1000000)::bigint, 0) AS "oldest!"
                       FROM unnest(ARRAY[0, 1, 2, 3, 4]::smallint[]) AS l (lane)
                       -- What rests, and nearly all that ever was does, is not even read.
                       CROSS JOIN LATERAL (
                           SELECT due_at, lease_until FROM provisor.wakes
                           WHERE lane = l.lane AND due_at < 'infinity'
                           ORDER BY due_at, id LIMIT $1) AS w
                       GROUP BY l.lane ORDER BY l.lane"#,
                    most,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let full = rows.iter().filter(|row| row.all >= most).map(|row| Lane::from_number(row.lane));
        let full = full.collect();
        let depths = rows.into_iter().map(|row| LaneDepth {
            lane: Lane::from_number(row.lane),
            due: row.due,
            parked: row.parked,
            leased: row.leased,
            oldest_due: Duration::from_micros(u64::try_from(row.oldest).unwrap_or(0)),
        });
        Ok((depths.collect(), full))
    }

    /// Estimates the wakes of these lanes. How long the oldest has waited is not estimated.
    async fn estimated_depths(&self, lanes: &[Lane]) -> Result<Vec<LaneDepth>, DbError> {
        let numbers: Vec<i16> = lanes.iter().map(|lane| lane.number()).collect();
        let part = self.sample_part().await?;
        let rows = self
            .call("estimating wakes", async |connection| {
                sqlx::query!(
                    r#"SELECT lane,
                              (due * 100 / $1)::bigint AS "due!",
                              (parked * 100 / $1)::bigint AS "parked!",
                              (leased * 100 / $1)::bigint AS "leased!"
                       FROM (SELECT lane,
                                    count(*) FILTER (WHERE due_at <= now() AND lease_until <= now()) AS due,
                                    count(*) FILTER (WHERE due_at > now()) AS parked,
                                    count(*) FILTER (WHERE due_at <= now() AND lease_until > now()) AS leased
                             FROM provisor.wakes TABLESAMPLE SYSTEM ($1)
                             WHERE lane = ANY ($2) AND due_at < 'infinity'
                             GROUP BY lane) AS sampled"#,
                    part,
                    &numbers,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let depths = rows.into_iter().map(|row| LaneDepth {
            lane: Lane::from_number(row.lane),
            due: row.due,
            parked: row.parked,
            leased: row.leased,
            oldest_due: Duration::ZERO,
        });
        Ok(depths.collect())
    }

    /// Counts the polls that are to come, up to 100,000 of them, and estimates them beyond.
    pub async fn open_polls(&self) -> Result<Polls, DbError> {
        let counted = self.soonest_polls().await?;
        if counted.all() < POLLS_COUNTED_MAX {
            return Ok(counted);
        }
        let estimated = self.estimated_polls().await?;
        Ok(if estimated.all() > counted.all() { estimated } else { counted })
    }

    async fn soonest_polls(&self) -> Result<Polls, DbError> {
        let rows = self
            .call("counting polls", async |connection| {
                sqlx::query!(
                    r#"SELECT tries, count(*) AS "n!"
                       FROM (SELECT tries FROM provisor.wakes
                             WHERE lane = 2 AND due_at < 'infinity'
                             ORDER BY due_at, id LIMIT $1) AS soonest
                       GROUP BY tries"#,
                    POLLS_COUNTED_MAX,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(Polls { by_tries: rows.into_iter().map(|row| (row.tries, row.n)).collect() })
    }

    async fn estimated_polls(&self) -> Result<Polls, DbError> {
        let part = self.sample_part().await?;
        let rows = self
            .call("estimating polls", async |connection| {
                sqlx::query!(
                    r#"SELECT tries, (count(*) * 100 / $1)::bigint AS "n!"
                       FROM provisor.wakes TABLESAMPLE SYSTEM ($1)
                       WHERE lane = 2 AND due_at < 'infinity'
                       GROUP BY tries"#,
                    part,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(Polls { by_tries: rows.into_iter().map(|row| (row.tries, row.n)).collect() })
    }

    /// Which part of the table an estimate reads, in per cent.
    async fn sample_part(&self) -> Result<f32, DbError> {
        self.call("measuring the queue", async |connection| {
            sqlx::query_scalar!(
                r#"SELECT least(100, 100.0 * $1::bigint / greatest(1, pages))::real AS "part!"
                   FROM (SELECT pg_relation_size('provisor.wakes') / current_setting('block_size')::bigint AS pages)
                        AS its"#,
                SAMPLE_PAGES,
            )
            .fetch_one(connection)
            .await
        })
        .await
    }
}

//! Parks: how wakes are left until they are due again.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::{Fence, Lane};
use crate::db::{Database, DbError, Purpose, Sessions, micros};

/// When a parked wake is due again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// Not before a poke.
    Never,
    /// After this time, counted by the database.
    In(Duration),
}

/// How a wake is left.
#[derive(Clone, Copy, Debug)]
pub struct Park {
    /// Whose.
    pub fence: Fence,
    /// Where it goes.
    pub lane: Lane,
    /// When it is due.
    pub due: Due,
    /// Its count of runs.
    pub tries: i32,
}

/// What came of a park.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parked {
    /// The wake is left as it was asked for.
    Left,
    /// The same, but it was poked since it was claimed, and so is due at once.
    Poked,
    /// Another run holds the wake, or did since.
    Lost,
}

impl Parked {
    /// Whether the run still held its wake.
    #[must_use]
    pub fn was_held(self) -> bool {
        self != Self::Lost
    }
}

/// How a park comes to lock its wakes in the order of their ids, as everybody does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::db) enum LockOrder {
    /// It locks all of them before it parks the first one. In an ordinary session a small table may be read as a whole, and
    /// updated in the order of the heap, in whatever order the ids are given.
    Ensured,
    /// The transaction holds their locks, or there is one alone, or the session is one of [`Purpose::Queue`], which has no
    /// plan but one that goes by the order given. It takes four fifths of the time and of the WAL.
    Given,
}

impl Database {
    /// Parks wakes whose subjects have not changed. Answers for each what came of it.
    pub async fn park_wakes(&self, parks: &[Park]) -> Result<Vec<Parked>, DbError> {
        let order = match (self.purpose, self.sessions) {
            (Purpose::Queue, Sessions::Own) => LockOrder::Given,
            _ => LockOrder::Ensured,
        };
        self.call("parking wakes", async |connection| park(connection, parks, order).await).await
    }
}

/// Parks wakes that this process holds. A wake that was poked since its claim comes due at once.
///
/// The lock is a one-time condition, evaluated before anything is joined: as a condition of each key it would be compared
/// with all keys (`docs/QUEUE_SPIKE.md`). They are counted, as EXISTS would lock the first one and stop.
///
/// `= ANY (ARRAY[…])` says what `=` says, and the planner infers nothing from it: of an equality, that the index of the ids
/// is in the order to merge with, so that it reads all of a small table by it, and keeps that plan when it has grown.
pub(in crate::db) async fn park(
    connection: &mut sqlx::PgConnection,
    parks: &[Park],
    order: LockOrder,
) -> Result<Vec<Parked>, sqlx::Error> {
    let mut sorted: Vec<&Park> = parks.iter().collect();
    sorted.sort_unstable_by_key(|park| park.fence.wake);
    let ids: Vec<i64> = sorted.iter().map(|park| park.fence.wake.0).collect();
    let tokens: Vec<i64> = sorted.iter().map(|park| park.fence.run_token).collect();
    let owners: Vec<Uuid> = sorted.iter().map(|park| park.fence.owner).collect();
    let kicks: Vec<i32> = sorted.iter().map(|park| park.fence.kicks).collect();
    let lanes: Vec<i16> = sorted.iter().map(|park| park.lane.number()).collect();
    let after: Vec<Option<i64>> = sorted
        .iter()
        .map(|park| match park.due {
            Due::Never => None,
            Due::In(after) => Some(micros(after)),
        })
        .collect();
    let tries: Vec<i32> = sorted.iter().map(|park| park.tries).collect();
    let parked = sqlx::query!(
        r#"UPDATE provisor.wakes w
         SET lane = p.lane, tries = p.tries, owner = NULL, lease_until = '-infinity',
             due_at = CASE WHEN w.kicks <> p.kicks THEN clock_timestamp()
                           ELSE coalesce(clock_timestamp() + p.after * interval '1 microsecond',
                                         'infinity') END
         FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::integer[], $5::smallint[],
                     $6::bigint[], $7::integer[])
                  AS p (id, run_token, owner, kicks, lane, after, tries)
         WHERE w.id = ANY (ARRAY[p.id]) AND w.run_token = p.run_token AND w.owner = p.owner
           AND (NOT $8::boolean
                OR (SELECT count(*) FROM (SELECT FROM provisor.wakes q WHERE q.id = ANY ($1)
                                          ORDER BY q.id FOR UPDATE) AS locked) > 0)
         RETURNING w.id, w.run_token, w.kicks <> p.kicks AS "poked!""#,
        &ids,
        &tokens,
        &owners,
        &kicks,
        &lanes,
        &after as &[Option<i64>],
        &tries,
        order == LockOrder::Ensured,
    )
    .fetch_all(connection)
    .await?;
    // By the token too: a group may hold a park of an earlier run of the same wake.
    let parked: HashMap<(i64, i64), Parked> = parked
        .into_iter()
        .map(|row| ((row.id, row.run_token), if row.poked { Parked::Poked } else { Parked::Left }))
        .collect();
    let of = |park: &Park| parked.get(&(park.fence.wake.0, park.fence.run_token)).copied();
    Ok(parks.iter().map(|park| of(park).unwrap_or(Parked::Lost)).collect())
}

//! The queue: its statements on a real server, and the engine that they drive.

mod alarms;
mod budget;
mod claims;
mod engine;
mod engine_faults;
mod engine_load;
mod plans;
mod presence;
mod records;
mod runs;

use std::time::Duration;

use provisor::db::wakes::{ClaimedWake, Due, Fence, Lane, LaneDemand, Park, WakeId};
use provisor::db::{Database, Purpose, Sessions};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::world::World;

/// A lease that no test outlives.
const LEASE: Duration = Duration::from_mins(10);

/// The kind of the wakes that these tests make, where it does not matter.
const KIND: u8 = 2;

const POKE: &str = "due_at = least(due_at, clock_timestamp()), kicks = kicks + 1";

/// A pool to the database of a world, as the daemon has one.
fn database(world: &World, connections_max: u32) -> Database {
    Database::new(&world.url(), connections_max, Purpose::General).expect("a database URL")
}

/// A pool for the queue, as the daemon has one.
fn queue_database(world: &World, connections_max: u32) -> Database {
    Database::new(&world.url(), connections_max, Purpose::Queue).expect("a database URL")
}

/// Whatever a role's or a database's defaults are. What is lent is another client's next.
#[tokio::test]
async fn a_session_of_ours_is_set_as_its_statements_need_it_and_a_lent_one_is_left_alone() {
    let world = World::new().await;
    let default =
        format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", world.name);
    world.run(&default).await;
    let shown = async |sessions| {
        let db = Database::over(sessions, &world.url(), 1, Purpose::General).expect("a URL");
        let mut shown = Vec::new();
        for setting in ["default_transaction_isolation", "jit"] {
            let sql = format!("SHOW {setting}");
            let value: String = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(db.pool())
                .await
                .expect("it is there");
            shown.push(value);
        }
        shown.join(", ")
    };
    assert_eq!(shown(Sessions::Own).await, "read committed, off");
    assert_eq!(shown(Sessions::Lent).await, "serializable, on");
}

/// Inserts wakes for the subjects `first ..= last`. `due_at` is SQL and may use `n`, the subject.
async fn insert_wakes(
    world: &World,
    kind: u8,
    lane: Lane,
    (first, last): (i64, i64),
    due_at: &str,
) {
    world
        .run(&format!(
            "INSERT INTO provisor.wakes (id, lane, due_at)
             SELECT n * 16 + {kind}, {}, {due_at} FROM generate_series({first}, {last}) AS n",
            lane.number()
        ))
        .await;
}

/// All that is due of a lane, up to `max`.
const fn demand(lane: Lane, max: usize) -> LaneDemand {
    LaneDemand { lane, max, watermark: None }
}

/// All that is due of all lanes, up to `max` each.
fn demands(max: usize) -> Vec<LaneDemand> {
    Lane::ALL.into_iter().map(|lane| demand(lane, max)).collect()
}

/// Claims from all lanes.
async fn claim(db: &Database, max: usize, owner: Uuid) -> Vec<ClaimedWake> {
    db.claim_wakes(&demands(max), max, LEASE, owner).await.expect("wakes can be claimed").0
}

/// Claims the one wake that is due.
async fn claim_one(db: &Database, owner: Uuid) -> ClaimedWake {
    let claimed = claim(db, 10, owner).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed[0]
}

/// How a run leaves its wake.
const fn park(fence: Fence, due: Due) -> Park {
    Park { fence, lane: Lane::Poll, due, tries: 3 }
}

/// The subjects of claimed wakes, as they were claimed.
fn subjects(claimed: &[ClaimedWake]) -> Vec<i64> {
    claimed.iter().map(|wake| wake.fence.wake.subject()).collect()
}

/// One value of a wake's row.
async fn of_wake<T>(world: &World, wake: WakeId, what: &str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    world.value(&format!("SELECT {what} FROM provisor.wakes WHERE id = {}", wake.0)).await
}

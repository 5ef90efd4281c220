//! What dead processes have left, and what a leaving one gives back.

use std::time::{Duration, Instant};

use provisor::db::wakes::{Due, Lane, Parked};
use uuid::Uuid;

use super::runs::{commit, fence_of, intending, load, submit_lines};
use super::{KIND, claim, database, insert_wakes, park, subjects};
use crate::house::eventually;
use crate::world::World;

/// The kind of a line's wake.
const LINE: u8 = 1;

const SILENT_FOR: Duration = Duration::from_secs(10);

async fn fall_silent(world: &World, owner: Uuid) {
    world
        .run(&format!(
            "UPDATE provisor.processes SET heartbeat_at = clock_timestamp() - interval '11 s'
             WHERE owner = '{owner}'"
        ))
        .await;
}

async fn processes(world: &World) -> i64 {
    world.value("SELECT count(*) FROM provisor.processes").await
}

#[tokio::test]
async fn the_wakes_of_the_dead_are_due_at_once_and_those_of_the_living_are_left() {
    let world = World::new().await;
    let db = database(&world, 1);
    let (dead, living) = (Uuid::new_v4(), Uuid::new_v4());
    for owner in [dead, living] {
        db.heartbeat(owner, SILENT_FOR).await.unwrap();
    }
    insert_wakes(&world, KIND, Lane::Poll, (1, 3), "now() - interval '1 hour'").await;
    let lost = claim(&db, 10, dead).await;
    insert_wakes(&world, KIND, Lane::Email, (11, 13), "now() - interval '1 hour'").await;
    claim(&db, 10, living).await;
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 0);
    fall_silent(&world, dead).await;
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 3);

    let mut again = claim(&db, 10, living).await;
    again.sort_by_key(|wake| wake.fence.wake);
    assert_eq!(subjects(&again), [1, 2, 3]);
    // Due from now on: all watermarks lie below.
    assert!(again.iter().all(|wake| wake.claimed_at - wake.due_at < chrono::TimeDelta::minutes(1)));
    // The dead one may have been merely slow: it writes nothing any more.
    assert_eq!(db.park_wakes(&[park(lost[0].fence, Due::Never)]).await.unwrap(), [Parked::Lost]);
    // Forgotten when nothing of its is left under a lease.
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 0);
    assert_eq!(processes(&world).await, 1);
}

#[tokio::test]
async fn a_line_in_the_middle_of_its_request_waits_for_its_lease() {
    let world = World::new().await;
    let db = database(&world, 1);
    let dead = Uuid::new_v4();
    db.heartbeat(dead, SILENT_FOR).await.unwrap();
    let lines = submit_lines(&world, "SHOP-1", 2).await;
    let claimed = claim(&db, 10, dead).await;
    let placing = load(&db, lines[0].1).await;
    commit(&db, &[intending(&placing, fence_of(&claimed, lines[0].1))]).await;
    fall_silent(&world, dead).await;
    // The other line and the order's email.
    let others = u64::try_from(claimed.len() - 1).unwrap();
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), others);
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 0);
    assert_eq!(processes(&world).await, 1, "not forgotten while it holds something");
    let again = claim(&db, 10, Uuid::new_v4()).await;
    assert!(again.iter().all(|wake| wake.fence.wake != fence_of(&claimed, lines[0].1).wake));

    let over = "UPDATE provisor.wakes SET lease_until = clock_timestamp() WHERE owner";
    world.run(&format!("{over} = '{dead}'")).await;
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 1);
    let again = claim(&db, 10, Uuid::new_v4()).await;
    assert_eq!(again.len(), 1);
    // Due from now on, and not since its order was submitted: no full scan is needed to find it.
    assert!(again[0].due_at > placing.facts.now);
    assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 0);
    assert_eq!(processes(&world).await, 0);
}

#[tokio::test]
async fn who_leaves_gives_back_what_it_holds() {
    let world = World::new().await;
    let db = database(&world, 1);
    let (leaving, staying) = (Uuid::new_v4(), Uuid::new_v4());
    for owner in [leaving, staying] {
        db.heartbeat(owner, SILENT_FOR).await.unwrap();
    }
    let lines = submit_lines(&world, "SHOP-1", 1).await;
    insert_wakes(&world, KIND, Lane::Poll, (1001, 1003), "now() - interval '1 hour'").await;
    let claimed = claim(&db, 10, leaving).await;
    insert_wakes(&world, KIND, Lane::Poll, (1011, 1012), "clock_timestamp()").await;
    claim(&db, 10, staying).await;
    let placing = load(&db, lines[0].1).await;
    commit(&db, &[intending(&placing, fence_of(&claimed, lines[0].1))]).await;

    db.leave(leaving, LINE).await.unwrap();
    assert_eq!(processes(&world).await, 2, "not forgotten while it holds something");
    let again = claim(&db, 10, staying).await;
    assert_eq!(again.len(), claimed.len() - 1, "all but the line that may be sent");
    assert!(again.iter().all(|wake| claimed.iter().any(|old| old.fence.wake == wake.fence.wake)));
    db.leave(staying, LINE).await.unwrap();
    assert_eq!(processes(&world).await, 1, "what holds nothing is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_for_the_dead_costs_nothing_while_all_live() {
    let world = World::new().await;
    let db = database(&world, 1);
    db.heartbeat(Uuid::new_v4(), SILENT_FOR).await.unwrap();
    insert_wakes(&world, KIND, Lane::Place, (1, 300_000), "now() - interval '1 hour'").await;
    world.run("ANALYZE provisor.wakes").await;
    let rows = || {
        world.value::<i64>(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'wakes'",
        )
    };
    let before = rows().await;
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(db.release_dead_owners(SILENT_FOR, LINE).await.unwrap(), 0);
    }
    let took = began.elapsed();
    // A connection tells all that it has read at its end, which comes a moment later.
    db.close().await;
    let looks = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'processes'";
    eventually("the looks are counted", async || world.value::<i64>(looks).await >= 10).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(rows().await, before, "the wakes were looked at");
}

#[tokio::test]
async fn a_heartbeat_tells_whether_somebody_else_has_fallen_silent() {
    let world = World::new().await;
    let db = database(&world, 1);
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    for owner in [one, other] {
        assert!(!db.heartbeat(owner, SILENT_FOR).await.unwrap());
    }
    fall_silent(&world, other).await;
    assert!(db.heartbeat(one, SILENT_FOR).await.unwrap());
    // Its own silence is over.
    assert!(!db.heartbeat(other, SILENT_FOR).await.unwrap());
}

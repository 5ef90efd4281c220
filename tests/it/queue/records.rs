//! The group commit of what runs leave behind.

use std::time::{Duration, Instant};

use provisor::db::Database;
use provisor::db::records::{Record, Recorded};
use provisor::db::wakes::{Due, Lane, WakeId};
use provisor::order::{LineId, LineStatus};
use serde_json::json;
use uuid::Uuid;

use super::runs::{
    WAITS, accepted, commit, fence_of, intending, load, moving, parking, submit_lines,
};
use super::{KIND, claim, database, insert_wakes, park, queue_database};
use crate::house::{eventually, order};
use crate::world::World;

/// Orders of two lines each, claimed: a record that moves each line to `status`, order by order.
async fn claimed_orders(
    world: &World,
    db: &Database,
    orders: usize,
    status: LineStatus,
) -> Vec<[Record; 2]> {
    let mut lines = Vec::new();
    for n in 0..orders {
        lines.push(submit_lines(world, &format!("SHOP-{n}"), 2).await);
    }
    let claimed = claim(db, 1000, Uuid::new_v4()).await;
    let mut records = Vec::new();
    for pair in lines {
        let [first, second] = [pair[0].1, pair[1].1];
        records.push([
            moving(&load(db, first).await, fence_of(&claimed, first), status),
            moving(&load(db, second).await, fence_of(&claimed, second), status),
        ]);
    }
    records
}

async fn line_status(world: &World, line: LineId) -> String {
    world.value(&format!("SELECT status FROM provisor.order_lines WHERE id = {line}")).await
}

async fn deadlocks(world: &World) -> i64 {
    world.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
}

#[tokio::test]
async fn one_bad_record_harms_no_other() {
    let world = World::new().await;
    let db = database(&world, 2);
    let lines: Vec<LineId> =
        submit_lines(&world, "SHOP-1", 4).await.into_iter().map(|(_, line)| line).collect();
    let claimed = claim(&db, 100, Uuid::new_v4()).await;
    let mut intents = Vec::new();
    for &line in &lines {
        intents.push(intending(&load(&db, line).await, fence_of(&claimed, line)));
    }
    commit(&db, &intents).await;

    let mut truths = Vec::new();
    for ((intent, &line), order) in intents.iter().zip(&lines).zip(501..) {
        truths.push(accepted(&load(&db, line).await, intent, order));
    }
    // What no text of PostgreSQL holds.
    truths[2].truth.as_mut().expect("an answer").detail = Some("\0".to_owned());
    let results = db.commit_records(&truths, WAITS).await.results;
    assert_eq!(results.len(), 4);
    for (n, result) in results.iter().enumerate() {
        let status = line_status(&world, lines[n]).await;
        match result {
            Ok(recorded) => {
                assert!(matches!(recorded, Recorded::Done { .. }), "{n}: {recorded:?}");
                assert_eq!(status, "provisioning");
            }
            Err(error) => {
                assert_eq!(error.sqlstate().as_deref(), Some("22021"));
                assert_eq!(status, "placing");
            }
        }
    }
    let good: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, false, true], "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_order_holds_up_no_other() {
    let world = World::new().await;
    let db = database(&world, 8);
    let records = claimed_orders(&world, &db, 3, LineStatus::Failed).await;
    let (locked, free) = (records[1][0].clone(), [records[0][0].clone(), records[2][0].clone()]);
    let mut shop = world.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM provisor.orders WHERE id = $1 FOR UPDATE")
        .bind(locked.order_id.0)
        .execute(&mut *shop)
        .await
        .unwrap();

    let all = [free[0].clone(), locked.clone(), free[1].clone()];
    let committing = tokio::spawn({
        let db = db.clone();
        async move { db.commit_records(&all, WAITS).await.results }
    });
    eventually("the others are committed beside the lock", async || {
        line_status(&world, free[0].line_id).await == "failed"
            && line_status(&world, free[1].line_id).await == "failed"
    })
    .await;
    assert!(!committing.is_finished());
    assert_eq!(line_status(&world, locked.line_id).await, "pending");
    shop.rollback().await.unwrap();
    let results = committing.await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(line_status(&world, locked.line_id).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_released_is_waited_for_a_while_only() {
    let world = World::new().await;
    let db = database(&world, 8);
    let records = claimed_orders(&world, &db, 3, LineStatus::Failed).await;
    let mut shop = world.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM provisor.orders FOR UPDATE").execute(&mut *shop).await.unwrap();
    let all: Vec<Record> = records.iter().map(|pair| pair[0].clone()).collect();
    let began = Instant::now();
    let results = db.commit_records(&all, WAITS).await.results;
    let took = began.elapsed();
    for result in results {
        assert_eq!(result.unwrap_err().sqlstate().as_deref(), Some("55P03"));
    }
    // All of them together, not one after the other.
    assert!((4..10).contains(&took.as_secs()), "{took:?}");
    shop.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_that_a_shop_has_poked_and_not_committed_holds_up_no_other() {
    let world = World::new().await;
    let db = database(&world, 8);
    let records = claimed_orders(&world, &db, 2, LineStatus::Failed).await;
    let locked = records[0][0].clone();
    let mut shop = world.pool.begin().await.unwrap();
    sqlx::query("SELECT provisor.poke($1)")
        .bind(locked.fence.wake.0)
        .execute(&mut *shop)
        .await
        .unwrap();
    // Neither a record for that wake itself, nor one that pokes it because its line's neighbour has ended.
    let all = [locked.clone(), records[0][1].clone(), records[1][0].clone()];
    let free = records[1][0].line_id;
    let committing = tokio::spawn({
        let db = db.clone();
        async move { db.commit_records(&all, WAITS).await.results }
    });
    eventually("the other is committed beside the lock", async || {
        line_status(&world, free).await == "failed"
    })
    .await;
    shop.commit().await.unwrap();
    let results = committing.await.unwrap();
    assert!(
        results.iter().all(|result| matches!(result, Ok(Recorded::Done { .. }))),
        "{results:?}"
    );
}

/// Two processes' groups, each of which ends a line, which pokes the order's other line, whose wake the other group parks:
/// locked as they come, they would wait for each other in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn groups_that_poke_what_the_others_park_never_deadlock() {
    let world = World::new().await;
    let db = database(&world, 16);
    let records = claimed_orders(&world, &db, 16, LineStatus::Failed).await;
    let park_only = |record: &Record| Record { change: None, ..record.clone() };
    let groups: Vec<Vec<Record>> = (0..16)
        .map(|n| {
            let (ended, parked) = (&records[n], &records[(n + 5) % 16]);
            if n % 2 == 0 {
                vec![ended[0].clone(), park_only(&parked[1])]
            } else {
                vec![park_only(&parked[1]), ended[0].clone()]
            }
        })
        .collect();
    let tasks: Vec<_> = groups
        .into_iter()
        .map(|group| {
            let db = db.clone();
            tokio::spawn(async move { db.commit_records(&group, WAITS).await.results })
        })
        .collect();
    for task in tasks {
        for result in task.await.unwrap() {
            assert!(matches!(result, Ok(Recorded::Done { .. })), "{result:?}");
        }
    }
    db.close().await;
    assert_eq!(deadlocks(&world).await, 0);
}

/// As two groups of parks of one process may: each names the same wakes, in another order.
#[tokio::test(flavor = "multi_thread")]
async fn groups_that_park_the_same_wakes_never_deadlock() {
    type Pool = fn(&World, u32) -> Database;
    let pools: [[Pool; 2]; 3] =
        [[database, database], [database, queue_database], [queue_database, queue_database]];
    for pools in pools {
        let world = World::new().await;
        park_the_same_wakes(&world, &pools.map(|pool| pool(&world, 4))).await;
        assert_eq!(deadlocks(&world).await, 0);
    }
}

/// A wake in the middle is locked by somebody else until all of them wait, so that none is done before another begins.
async fn park_the_same_wakes(world: &World, pools: &[Database]) {
    const TASKS: usize = 8;
    insert_wakes(world, KIND, Lane::Poll, (1, 200), "now()").await;
    let claimed = claim(&pools[0], 200, Uuid::new_v4()).await;
    assert_eq!(claimed.len(), 200);
    let mut locking = world.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM provisor.wakes WHERE id = $1 FOR UPDATE")
        .bind(WakeId::new(KIND, 100).0)
        .execute(&mut *locking)
        .await
        .unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let mut parks: Vec<_> =
                claimed.iter().map(|wake| park(wake.fence, Due::Never)).collect();
            parks.rotate_left(task * claimed.len() / TASKS);
            if task % 2 == 1 {
                parks.reverse();
            }
            let db = pools[task / 2 % 2].clone();
            tokio::spawn(async move {
                let parked = db.park_wakes(&parks).await.expect("nobody waits in a circle");
                parked.into_iter().filter(|parked| parked.was_held()).count()
            })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let all = i64::try_from(TASKS).unwrap();
    eventually("all wait", async || world.value::<i64>(waiting).await == all).await;
    locking.commit().await.unwrap();
    let parked: Vec<usize> =
        futures_util::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    for db in pools {
        db.close().await;
    }
    assert_eq!(parked.iter().sum::<usize>(), 200, "each once: {parked:?}");
}

/// Two runs of one line may ask for it together: one of them has lost it, and does not know yet.
#[tokio::test]
async fn a_line_that_is_asked_for_twice_is_loaded_whole() {
    let world = World::new().await;
    let db = database(&world, 1);
    let name =
        json!([{ "kind": "domain_register", "domain": "example.nl", "contact_handle": "example" }]);
    for reference in ["SHOP-1", "SHOP-2"] {
        world.submit(&order(reference, name.clone())).await.expect("a good order");
    }
    let last = LineId(world.value("SELECT max(id) FROM provisor.order_lines").await);
    let loaded = db.load_lines(&[last, last], WAITS.grace).await.expect("lines load");
    assert_eq!(loaded[&last].facts.name.rival.as_deref(), Some("SHOP-1/0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_groups_of_the_same_orders_never_deadlock() {
    let world = World::new().await;
    let db = database(&world, 8);
    let records = claimed_orders(&world, &db, 40, LineStatus::Held).await;
    let lines: Vec<LineId> = records.iter().flatten().map(|record| record.line_id).collect();
    let fences: Vec<_> = records.iter().flatten().map(|record| record.fence).collect();
    let statuses = [LineStatus::Held, LineStatus::Pending];
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (db, lines, fences) = (db.clone(), lines.clone(), fences.clone());
            tokio::spawn(async move {
                let mut done = 0;
                for round in 0..6 {
                    let loaded = db.load_lines(&lines, WAITS.grace).await.expect("lines load");
                    // Every task has all lines, each in another order.
                    let group: Vec<Record> = (0..lines.len())
                        .map(|n| (n * 7 + task * 11 + round) % lines.len())
                        .map(|n| {
                            let line = &loaded[&lines[n]];
                            let held = line.facts.progress.status == LineStatus::Held;
                            let record = moving(line, fences[n], statuses[usize::from(held)]);
                            // The wake stays with the test.
                            Record { park: None, ..record }
                        })
                        .collect();
                    for result in db.commit_records(&group, WAITS).await.results {
                        // Another task may have moved the line first.
                        match result.expect("no record fails") {
                            Recorded::Done { .. } => done += 1,
                            other @ (Recorded::Conflict | Recorded::Stale) => {
                                assert_eq!(other, Recorded::Conflict);
                            }
                        }
                    }
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    assert!(done >= lines.len(), "{done}");
    db.close().await;
    assert_eq!(deadlocks(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_end_in_different_groups_at_once_end_their_orders() {
    let world = World::new().await;
    let db = database(&world, 8);
    let records = claimed_orders(&world, &db, 60, LineStatus::Failed).await;
    // Each order's two lines in two groups, which meet in the middle.
    let first: Vec<Record> = records.iter().map(|pair| pair[0].clone()).collect();
    let second: Vec<Record> = records.iter().rev().map(|pair| pair[1].clone()).collect();
    let groups: Vec<Vec<Record>> =
        first.chunks(15).chain(second.chunks(20)).map(<[Record]>::to_vec).collect();
    let tasks: Vec<_> = groups
        .into_iter()
        .map(|group| {
            let db = db.clone();
            tokio::spawn(async move { db.commit_records(&group, WAITS).await })
        })
        .collect();
    let mut ended = 0;
    for task in tasks {
        let committed = task.await.unwrap();
        ended += committed.ended.len();
        assert!(committed.results.iter().all(Result::is_ok), "{:?}", committed.results);
    }
    assert_eq!(ended, 60, "each order ends once");
    let failed = "SELECT count(*) FROM provisor.orders WHERE status = 'failed' AND episode = 1";
    assert_eq!(world.value::<i64>(failed).await, 60);
    let owed = "SELECT count(*) FROM provisor.email_outbox WHERE template = 'order_failed'";
    assert_eq!(world.value::<i64>(owed).await, 60);
}

#[tokio::test]
async fn a_run_that_lost_its_line_and_one_for_no_line_record_nothing() {
    let world = World::new().await;
    let db = database(&world, 2);
    let records = claimed_orders(&world, &db, 2, LineStatus::Failed).await;
    let good = records[0][0].clone();
    let mut stale = records[1][0].clone();
    stale.fence.run_token -= 1;
    let line = load(&db, records[1][1].line_id).await;
    let mut unknown = parking(&line, records[1][1].fence);
    unknown.fence.wake = WakeId::new(1, 999_999);
    let began = Instant::now();
    let results = db.commit_records(&[good.clone(), stale.clone(), unknown], WAITS).await.results;
    assert!(matches!(results[0], Ok(Recorded::Done { .. })), "{results:?}");
    assert!(matches!(results[1], Ok(Recorded::Stale)), "{results:?}");
    assert!(matches!(results[2], Ok(Recorded::Stale)), "{results:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "nobody is waited for");
    assert_eq!(line_status(&world, good.line_id).await, "failed");
    assert_eq!(line_status(&world, stale.line_id).await, "pending");
}

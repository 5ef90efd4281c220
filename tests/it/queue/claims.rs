//! Claim, fence, poke, park.

use std::collections::HashSet;
use std::time::Duration;

use provisor::db::wakes::{Due, Lane, LaneDemand, LaneLook, Parked, WakeId};
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    KIND, LEASE, POKE, claim, claim_one, database, demand, demands, insert_wakes, of_wake, park,
    subjects,
};
use crate::world::World;

#[tokio::test]
async fn a_lane_is_served_in_the_order_of_its_due_times() {
    let world = World::new().await;
    let db = database(&world, 1);
    // The later the subject, the earlier it is due.
    insert_wakes(&world, KIND, Lane::Poll, (1, 50), "now() - n * interval '1 s'").await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut claimed =
            db.claim_wakes(&[demand(Lane::Poll, 10)], 10, LEASE, Uuid::nil()).await.unwrap().0;
        // The claim returns its rows in the order of the table.
        claimed.sort_by_key(|wake| wake.due_at);
        seen.extend(subjects(&claimed));
    }
    assert_eq!(seen, (1..=50).rev().collect::<Vec<i64>>());
}

#[tokio::test]
async fn limits_hold_for_each_lane_and_for_all_together() {
    let world = World::new().await;
    let db = database(&world, 1);
    for (n, lane) in (0..).zip(Lane::ALL) {
        insert_wakes(&world, KIND, lane, (n * 100 + 1, n * 100 + 100), "clock_timestamp()").await;
    }
    let wanted = [demand(Lane::Email, 3), demand(Lane::Place, 7), demand(Lane::Audit, 100)];
    let claimed = db.claim_wakes(&wanted, 1000, LEASE, Uuid::nil()).await.unwrap().0;
    let of = |lane| claimed.iter().filter(|wake| wake.lane == lane).count();
    assert_eq!(Lane::ALL.map(of), [7, 0, 0, 3, 100]);

    // The total cuts off what was asked for last.
    let wanted = [demand(Lane::Poll, 20), demand(Lane::Retry, 20), demand(Lane::Email, 20)];
    let claimed = db.claim_wakes(&wanted, 25, LEASE, Uuid::nil()).await.unwrap().0;
    let of = |lane| claimed.iter().filter(|wake| wake.lane == lane).count();
    assert_eq!(Lane::ALL.map(of), [0, 5, 20, 0, 0]);
}

#[tokio::test]
async fn what_is_not_due_or_lies_below_the_watermark_is_left() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Poll, (1, 1), "now() + interval '1 hour'").await;
    insert_wakes(&world, KIND, Lane::Poll, (2, 2), "'infinity'").await;
    insert_wakes(&world, KIND, Lane::Poll, (3, 3), "now() - interval '1 hour'").await;
    insert_wakes(&world, KIND, Lane::Poll, (4, 4), "now() - interval '1 minute'").await;
    let mark = world.value("SELECT now() - interval '10 minutes'").await;
    let above = LaneDemand { lane: Lane::Poll, max: 10, watermark: Some(mark) };
    let claimed = db.claim_wakes(&[above], 10, LEASE, Uuid::nil()).await.unwrap().0;
    assert_eq!(subjects(&claimed), [4]);
    assert_eq!(subjects(&claim(&db, 10, Uuid::nil()).await), [3]);
    assert!(claim(&db, 10, Uuid::nil()).await.is_empty());
}

#[tokio::test]
async fn a_lease_keeps_others_away_until_it_ends() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Place, (1, 1), "clock_timestamp()").await;
    let first = claim_one(&db, Uuid::new_v4()).await;
    assert!(claim(&db, 10, Uuid::new_v4()).await.is_empty());
    world.run("UPDATE provisor.wakes SET lease_until = clock_timestamp()").await;
    let second = claim_one(&db, Uuid::new_v4()).await;
    assert_eq!(first.fence.wake, second.fence.wake);
    assert_eq!(second.fence.run_token, first.fence.run_token + 1);
    assert_eq!(second.due_at, first.due_at);
    let left: f64 = of_wake(
        &world,
        second.fence.wake,
        "extract(epoch FROM lease_until - clock_timestamp())::float8",
    )
    .await;
    assert!((LEASE.as_secs_f64() - 60.0..=LEASE.as_secs_f64()).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_claimers_never_get_the_same_wake() {
    let world = World::new().await;
    let db = database(&world, 20);
    for (n, lane) in (0..).zip(Lane::ALL) {
        insert_wakes(&world, KIND, lane, (n * 400 + 1, n * 400 + 400), "clock_timestamp()").await;
    }
    let claimers: Vec<_> = (0..20)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let (owner, mut got) = (Uuid::new_v4(), Vec::new());
                loop {
                    let claimed =
                        db.claim_wakes(&demands(7), 20, LEASE, owner).await.expect("a claim").0;
                    if claimed.is_empty() {
                        return got;
                    }
                    got.extend(subjects(&claimed));
                    assert!(got.len() <= 2000, "the same again and again");
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    // Who finds all that is left locked by others stops early; but whoever locked it has claimed it.
    assert_eq!(all.len(), 2000);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 2000);
    assert_eq!(world.value::<i64>("SELECT max(run_token) FROM provisor.wakes").await, 1);
}

/// A wake that changes while it is being locked is left to the next claim.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_poked_while_it_is_claimed_is_claimed_once() {
    let world = World::new().await;
    let db = database(&world, 3);
    insert_wakes(&world, KIND, Lane::Place, (1, 2000), "clock_timestamp()").await;
    let stop = CancellationToken::new();
    let poking: Vec<_> = (0..2)
        .map(|which| {
            let (pool, stop) = (world.pool.clone(), stop.clone());
            tokio::spawn(async move {
                let mut poked = 0_i64;
                while !stop.is_cancelled() {
                    let subject = 1 + (poked * 7 + which) % 2000;
                    let poke = format!(
                        "UPDATE provisor.wakes SET {POKE} WHERE id = {subject} * 16 + {KIND}"
                    );
                    sqlx::query(AssertSqlSafe(poke)).execute(&pool).await.expect("a poke");
                    poked += 1;
                }
                poked
            })
        })
        .collect();
    let mut claimed = HashSet::new();
    for _ in 0..10_000 {
        for wake in claim(&db, 10, Uuid::new_v4()).await {
            assert!(claimed.insert(wake.fence.wake), "{wake:?}");
        }
        if claimed.len() == 2000 {
            break;
        }
    }
    assert_eq!(claimed.len(), 2000);
    stop.cancel();
    for poker in poking {
        assert!(poker.await.expect("it ends") > 0, "it has poked");
    }
    assert_eq!(world.value::<i64>("SELECT max(run_token) FROM provisor.wakes").await, 1);
}

#[tokio::test]
async fn a_park_says_where_and_when() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Place, (1, 1), "clock_timestamp()").await;
    let wake = WakeId::new(KIND, 1);
    let since = "extract(epoch FROM due_at - clock_timestamp())::float8";
    for (due, from, to) in
        [(Due::In(Duration::from_mins(10)), 590.0, 600.0), (Due::In(Duration::ZERO), -10.0, 0.0)]
    {
        let claimed = claim_one(&db, Uuid::new_v4()).await;
        assert_eq!(db.park_wakes(&[park(claimed.fence, due)]).await.unwrap(), [Parked::Left]);
        let seconds: f64 = of_wake(&world, wake, since).await;
        assert!((from..=to).contains(&seconds), "{due:?}: {seconds}");
        assert!(of_wake::<bool>(&world, wake, "lane = 2 AND tries = 3 AND owner IS NULL").await);
        world.run("UPDATE provisor.wakes SET due_at = clock_timestamp()").await;
    }
    let claimed = claim_one(&db, Uuid::new_v4()).await;
    assert_eq!(claimed.tries, 3);
    assert_eq!(db.park_wakes(&[park(claimed.fence, Due::Never)]).await.unwrap(), [Parked::Left]);
    assert!(of_wake::<bool>(&world, wake, "due_at = 'infinity'").await);
}

#[tokio::test]
async fn a_poke_during_a_run_makes_its_park_due_at_once() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Place, (1, 2), "clock_timestamp()").await;
    let claimed = claim(&db, 10, Uuid::new_v4()).await;
    world
        .run(&format!("UPDATE provisor.wakes SET {POKE} WHERE id = {}", WakeId::new(KIND, 1).0))
        .await;
    // The poke hands a running subject to nobody else.
    assert!(claim(&db, 10, Uuid::new_v4()).await.is_empty());
    let parks: Vec<_> = claimed.iter().map(|wake| park(wake.fence, Due::Never)).collect();
    assert_eq!(db.park_wakes(&parks).await.unwrap(), [Parked::Poked, Parked::Left]);
    let again = claim_one(&db, Uuid::new_v4()).await;
    assert_eq!((again.fence.wake.subject(), again.fence.kicks), (1, 1));
    // This run has seen the poke.
    db.park_wakes(&[park(again.fence, Due::Never)]).await.unwrap();
    assert!(claim(&db, 10, Uuid::new_v4()).await.is_empty());
}

#[tokio::test]
async fn a_poke_wakes_what_is_parked_and_is_kept_until_it_is_claimed() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Place, (1, 1), "'infinity'").await;
    assert!(claim(&db, 10, Uuid::new_v4()).await.is_empty());
    let wake = WakeId::new(KIND, 1).0;
    world.run(&format!("SELECT provisor.poke({wake}); SELECT provisor.poke({wake})")).await;
    let claimed = claim_one(&db, Uuid::new_v4()).await;
    assert_eq!(claimed.fence.kicks, 2);
    assert!(claimed.due_at <= claimed.claimed_at);
}

#[tokio::test]
async fn a_park_by_a_run_that_lost_its_wake_changes_nothing() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Place, (1, 1), "clock_timestamp()").await;
    let (lost, holder) = (Uuid::new_v4(), Uuid::new_v4());
    let old = claim_one(&db, lost).await.fence;
    world.run("UPDATE provisor.wakes SET lease_until = clock_timestamp()").await;
    let new = claim_one(&db, holder).await.fence;
    let row = || of_wake::<String>(&world, new.wake, "wakes::text");
    let before = row().await;
    let stale = [
        old,
        // The right token of another process, and the right process with another run's.
        provisor::db::wakes::Fence { owner: lost, ..new },
        provisor::db::wakes::Fence { run_token: old.run_token, ..new },
    ];
    for fence in stale {
        assert_eq!(
            db.park_wakes(&[park(fence, Due::In(Duration::ZERO))]).await.unwrap(),
            [Parked::Lost]
        );
        assert_eq!(row().await, before);
    }
    // Beside a good one in the same group, each gets its own answer.
    let parks = [park(old, Due::Never), park(new, Due::Never)];
    assert_eq!(db.park_wakes(&parks).await.unwrap(), [Parked::Lost, Parked::Left]);
}

#[tokio::test]
async fn the_next_wake_of_a_lane_is_the_first_that_nobody_holds() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, KIND, Lane::Poll, (1, 9), "now() + n * interval '1 minute'").await;
    insert_wakes(&world, KIND, Lane::Email, (11, 11), "'infinity'").await;
    insert_wakes(&world, KIND, Lane::Audit, (21, 21), "now() - interval '1 minute'").await;
    insert_wakes(&world, KIND, Lane::Retry, (31, 31), "now() - interval '1 minute'").await;
    db.claim_wakes(&[demand(Lane::Retry, 1)], 1, LEASE, Uuid::new_v4()).await.unwrap();
    let looks = Lane::ALL.map(|lane| LaneLook { lane, watermark: None });
    let next = db.next_wakes(&looks).await.unwrap();
    let wait = |lane| next.waits.iter().find(|(of, _)| *of == lane).map(|(_, wait)| *wait);
    assert_eq!(wait(Lane::Audit), Some(Duration::ZERO));
    assert_eq!((wait(Lane::Email), wait(Lane::Retry), wait(Lane::Place)), (None, None, None));
    let poll = wait(Lane::Poll).unwrap();
    assert!(poll <= Duration::from_mins(1) && poll > Duration::from_secs(30), "{poll:?}");

    let above = LaneLook { lane: Lane::Audit, watermark: next.now };
    assert!(db.next_wakes(&[above]).await.unwrap().waits.is_empty());
    assert!(db.next_wakes(&[]).await.unwrap().now.is_none());
}

//! The budget of requests that processes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use provisor::queue::{Alarm, Budget};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::database;
use crate::house::eventually;
use crate::world::World;

fn budget(world: &World, requests_per_second: u32) -> Budget {
    Budget::start(
        &TaskTracker::new(),
        CancellationToken::new(),
        database(world, 1),
        "ljpc",
        requests_per_second,
        Alarm::default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_together_keep_the_budget() {
    let world = World::new().await;
    let made = Arc::new(AtomicU32::new(0));
    let budgets = [budget(&world, 50), budget(&world, 50)];
    let began = Instant::now();
    let until = began + Duration::from_secs(2);
    let callers: Vec<_> = (0..16)
        .map(|n| {
            let (budget, made) = (budgets[n % 2].clone(), Arc::clone(&made));
            tokio::spawn(async move {
                while tokio::time::timeout_at(until.into(), budget.one()).await.is_ok() {
                    made.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let made = made.load(Ordering::Relaxed);
    // One reservation of five each may have begun at once.
    assert!(made <= 110, "{made} requests in {:?}", began.elapsed());
    // And the budget is used, as far as this machine's other work lets us.
    assert!(made >= 40, "{made} requests in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_what_nobody_wants_comes_last_and_keeps_the_rate() {
    let world = World::new().await;
    let budgets = [budget(&world, 20), budget(&world, 20)];
    let spare = async |ms| budgets[0].spare_within(Duration::from_millis(ms)).await.unwrap();
    world
        .run("UPDATE provisor.upstream_budgets SET tat = clock_timestamp() + interval '1 min'")
        .await;
    assert!(!spare(300).await, "others have reserved all that come next");
    world
        .run("UPDATE provisor.upstream_budgets SET tat = clock_timestamp() + interval '1 day'")
        .await;
    assert!(spare(0).await, "nobody has, but a clock that was set back");
    assert!(spare(5_000).await, "there is another one soon");

    let until = Instant::now() + Duration::from_secs(2);
    let count = async |budget: &Budget| {
        let mut made = 0;
        while Instant::now() < until {
            made += u32::from(budget.spare_within(Duration::from_millis(100)).await.unwrap());
        }
        made
    };
    let (one, two) = tokio::join!(count(&budgets[0]), count(&budgets[1]));
    assert!((5..=44).contains(&(one + two)), "{one} and {two} in two seconds, of 40");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_waits_for_its_slot() {
    let world = World::new().await;
    let budget = budget(&world, 2);
    budget.one().await;
    let began = Instant::now();
    budget.one().await;
    budget.one().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_merely_looks_reserves_nothing_and_who_wants_is_rung() {
    let world = World::new().await;
    let budget = budget(&world, 50);
    for _ in 0..100 {
        assert_eq!(budget.take(10), 0);
        budget.give_back(0);
    }
    let untouched =
        "SELECT tat = '-infinity' FROM provisor.upstream_budgets WHERE provider = 'ljpc'";
    assert!(world.value::<bool>(untouched).await);
    budget.want();
    eventually("a slot is in hand", async || budget.take(1) == 1).await;
    assert!(!world.value::<bool>(untouched).await);
    // What is given back can be taken again, once.
    budget.give_back(1);
    assert!(budget.take(5) >= 1);
}

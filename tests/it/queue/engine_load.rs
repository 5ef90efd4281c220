//! The engine under load, and with nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use provisor::db::wakes::Lane;
use provisor::queue::{Alarm, Budget, EngineSettings, Gate};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::engine::{QUICK, SETTINGS, Works};
use super::{database, insert_wakes};
use crate::house::eventually;
use crate::world::World;

const BUSY: EngineSettings = EngineSettings { concurrency: 32, ..SETTINGS };

/// A gate as the guest is one.
struct Metered {
    budget: Budget,
    /// How often it was asked: by each fetch, for new orders and for what is under way.
    asked: AtomicUsize,
}

impl Gate for Metered {
    fn admit(&self, max: usize) -> usize {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.budget.take(max)
    }
    fn give_back(&self, n: usize) {
        self.budget.give_back(n);
    }
    fn lack(&self) {
        self.budget.want();
    }
}

fn metered(world: &World, alarm: &Alarm, requests_per_second: u32) -> Arc<Metered> {
    let budget = Budget::start(
        &TaskTracker::new(),
        CancellationToken::new(),
        database(world, 1),
        "ljpc",
        requests_per_second,
        alarm.clone(),
    );
    Arc::new(Metered { budget, asked: AtomicUsize::new(0) })
}

async fn insert_in_all_lanes(world: &World, each: i64) {
    for (n, lane) in (0..).zip(Lane::ALL) {
        insert_wakes(world, QUICK, lane, (n * each + 1, (n + 1) * each), "clock_timestamp()").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_engine_runs_each_wake_once() {
    let world = World::new().await;
    insert_in_all_lanes(&world, 1000).await;
    let works = Works::start(&world, BUSY).await;
    eventually("all have run", async || works.seen.wakes() == 5000).await;
    assert!(works.seen.most_in_all.load(Ordering::Relaxed) <= 32);
    let seen = Arc::clone(&works.seen);
    works.end().await;
    assert_eq!(seen.runs(), 5000);
    let left = "SELECT count(*) FROM provisor.wakes
                WHERE run_token <> 1 OR owner IS NOT NULL OR due_at <= now()";
    assert_eq!(world.value::<i64>(left).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_run_each_wake_once() {
    let world = World::new().await;
    insert_in_all_lanes(&world, 1000).await;
    let works = [Works::start(&world, BUSY).await, Works::start(&world, BUSY).await];
    let all = || works.iter().map(|works| works.seen.wakes()).sum::<usize>();
    eventually("all have run", async || all() >= 5000).await;
    let seen = [Arc::clone(&works[0].seen), Arc::clone(&works[1].seen)];
    for works in works {
        works.end().await;
    }
    assert_eq!(seen[0].runs() + seen[1].runs(), 5000);
    assert!(seen.iter().all(|seen| seen.wakes() > 0), "both had their part");
    let tokens = "SELECT count(*) FROM provisor.wakes WHERE run_token = 1";
    assert_eq!(world.value::<i64>(tokens).await, 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_engine_looks_once_a_poll_and_reserves_nothing() {
    let world = World::new().await;
    let alarm = Alarm::default();
    let gate = metered(&world, &alarm, 50);
    let settings = EngineSettings { poll_interval: Duration::from_secs(1), ..BUSY };
    let works = Works::with(&world, settings, gate.clone(), alarm).await;
    eventually("it has looked", async || gate.asked.load(Ordering::Relaxed) > 0).await;

    // A rate can be seen in time alone. An idle fetch is one look: it claims nothing.
    world.run("CREATE EXTENSION pg_stat_statements SCHEMA public").await;
    let calls = |of: &'static str| {
        let world = &world;
        async move {
            let sql = format!(
                "SELECT coalesce(sum(calls), 0)::bigint FROM public.pg_stat_statements s
                 JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() WHERE query LIKE '{of}%'"
            );
            world.value::<i64>(&sql).await
        }
    };
    let looks = async || calls("SELECT now() AS \"now!\", l.lane").await;
    let claims = async || calls("UPDATE provisor.wakes SET lease_until").await;
    let (before, began) = ((looks().await, claims().await), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let looked = looks().await - before.0;
    let polls = i64::try_from(began.elapsed().as_secs()).unwrap();
    assert!((1..=polls + 1).contains(&looked), "{looked} looks in {:?}", began.elapsed());
    assert_eq!(claims().await, before.1);
    let reserved = "SELECT count(*) FROM provisor.upstream_budgets WHERE tat > '-infinity'";
    assert_eq!(world.value::<i64>(reserved).await, 0);
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scarce_budget_is_kept_and_shared_by_all_lanes() {
    let world = World::new().await;
    let alarm = Alarm::default();
    insert_in_all_lanes(&world, 400).await;
    let began = Instant::now();
    let works = Works::with(&world, BUSY, metered(&world, &alarm, 100), alarm).await;
    let of = |n: i64| {
        (n * 400 + 1..=(n + 1) * 400).filter(|id| works.seen.runs_of(QUICK, *id) > 0).count()
    };
    eventually("each lane gets on beside a backlog of new orders", async || {
        of(1) >= 10 && of(2) >= 10 && of(3) == 400 && of(4) == 400
    })
    .await;
    let (new, underway) = (of(0), of(1) + of(2));
    let allowed = began.elapsed().as_secs_f64() * 100.0 + 20.0;
    let made = f64::from(u32::try_from(new + underway).unwrap());
    assert!(made <= allowed, "{made} of {allowed}");
    // They come first; but on a slow machine a slot comes free while they are claimed, and goes to the others.
    assert!(new * 2 >= underway, "new orders get their share: {new} to {underway}");
    assert!(new < 400, "the backlog lasted");
    works.end().await;
}

/// Work that goes no way upstream, without end, keeps nothing from being noticed that does, even where there is one slot.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_emails_keeps_no_order_waiting() {
    for concurrency in [1, 32] {
        let world = World::new().await;
        let alarm = Alarm::default();
        insert_wakes(&world, QUICK, Lane::Email, (1, 20_000), "now() - interval '1 minute'").await;
        insert_wakes(&world, QUICK, Lane::Place, (30_001, 30_004), "clock_timestamp()").await;
        let settings = EngineSettings { concurrency, ..BUSY };
        let works = Works::with(&world, settings, metered(&world, &alarm, 100), alarm).await;
        eventually("it is busy", async || works.seen.wakes() > 100).await;
        insert_wakes(&world, QUICK, Lane::Place, (30_005, 30_008), "clock_timestamp()").await;
        eventually("the orders are run", async || {
            (30_001..=30_008).all(|id| works.seen.runs_of(QUICK, id) == 1)
        })
        .await;
        let emails = (1..=20_000).filter(|id| works.seen.runs_of(QUICK, *id) > 0).count();
        assert!(emails < 20_000, "the backlog lasted");
        works.end().await;
    }
}

/// At full speed what has had nothing is asked for less often, and new orders may hold the only slot: what else comes is run
/// all the same.
#[tokio::test(flavor = "multi_thread")]
async fn new_orders_at_full_speed_keep_no_email_and_no_poll_waiting() {
    for concurrency in [1, 32] {
        let world = World::new().await;
        insert_wakes(&world, QUICK, Lane::Place, (1, 20_000), "clock_timestamp()").await;
        let works = Works::start(&world, EngineSettings { concurrency, ..BUSY }).await;
        eventually("it is busy", async || works.seen.wakes() > 100).await;
        insert_wakes(&world, QUICK, Lane::Email, (30_001, 30_001), "clock_timestamp()").await;
        insert_wakes(&world, QUICK, Lane::Poll, (30_002, 30_002), "clock_timestamp()").await;
        eventually("they are run", async || {
            [30_001, 30_002].iter().all(|id| works.seen.runs_of(QUICK, *id) == 1)
        })
        .await;
        let orders = (1..=20_000).filter(|id| works.seen.runs_of(QUICK, *id) > 0).count();
        assert!(orders < 20_000, "the backlog lasted");
        works.end().await;
    }
}

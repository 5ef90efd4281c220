//! What rings says where something is due: that is claimed at once, and all else is looked at and not forgotten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use provisor::{
    db::wakes::Lane,
    queue::{Alarm, EngineSettings, Gate},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    POKE, database,
    engine::{HELD, Open, QUICK, RESTS, SETTINGS, Works},
    insert_wakes,
};
use crate::{
    doubt::{IN_FLIGHT_MAX, guest},
    house::{House, eventually},
    world::World,
};

/// It never comes round by itself while a test runs.
const ONLY_BY_ALARM: EngineSettings =
    EngineSettings { poll_interval: Duration::from_hours(1), ..SETTINGS };

/// An engine that has come to rest.
async fn at_rest(world: &World) -> Works {
    insert_wakes(world, QUICK, Lane::Place, (1, 1), "clock_timestamp()").await;
    let works = Works::start(world, ONLY_BY_ALARM).await;
    eventually("it has run one", async || works.seen.wakes() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    works
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_in_another_lane_than_was_rung_for_is_run_at_once() {
    let world = World::new().await;
    let works = at_rest(&world).await;
    for (n, lane) in (2..).zip(Lane::ALL) {
        insert_wakes(&world, QUICK, lane, (n, n), "clock_timestamp()").await;
    }
    works.alarm.ring_for(Lane::Place, Duration::ZERO);
    eventually("all lanes were run", async || works.seen.wakes() == 6).await;
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_due_later_in_another_lane_is_run_when_it_does() {
    let world = World::new().await;
    let works = at_rest(&world).await;
    let later = "clock_timestamp() + interval '1 second'";
    insert_wakes(&world, QUICK, Lane::Poll, (2, 2), later).await;
    insert_wakes(&world, QUICK, Lane::Email, (3, 3), "clock_timestamp()").await;
    works.alarm.ring_for(Lane::Email, Duration::ZERO);
    eventually("the email was run", async || works.seen.wakes() >= 2).await;
    eventually("the poll was run, too", async || works.seen.wakes() == 3).await;
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_poked_during_its_run_is_run_again_at_once() {
    let world = World::new().await;
    let works = at_rest(&world).await;
    for kind in [HELD, RESTS] {
        insert_wakes(&world, kind, Lane::Poll, (2, 2), "clock_timestamp()").await;
        works.alarm.ring_for(Lane::Poll, Duration::ZERO);
        eventually("it is run", async || works.seen.runs_of(kind, 2) == 1).await;
        // Nobody is told of it but the park.
        world.run(&format!("UPDATE provisor.wakes SET {POKE} WHERE id % 16 = {kind}")).await;
        works.release(2);
        eventually("it is run again", async || works.seen.runs_of(kind, 2) == 2).await;
    }
    works.end().await;
}

/// Has one request in hand whenever the test gives it one.
#[derive(Default)]
struct Dripping(AtomicUsize);

impl Gate for Dripping {
    fn admit(&self, max: usize) -> usize {
        self.0.swap(0, Ordering::SeqCst).min(max)
    }
    fn give_back(&self, n: usize) {
        self.0.fetch_add(n, Ordering::SeqCst);
    }
    fn lack(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_ring_for_themselves_leave_a_part_of_the_budget_to_the_rest() {
    let world = World::new().await;
    insert_wakes(&world, QUICK, Lane::Place, (1, 400), "clock_timestamp()").await;
    insert_wakes(&world, QUICK, Lane::Poll, (1001, 1400), "clock_timestamp()").await;
    let gate = Arc::new(Dripping::default());
    let works = Works::with(&world, ONLY_BY_ALARM, gate.clone(), Alarm::default()).await;
    for n in 1..=100 {
        gate.0.store(1, Ordering::SeqCst);
        works.alarm.ring_for(Lane::Place, Duration::ZERO);
        eventually("it was used", async || works.seen.wakes() >= n).await;
    }
    let polls: i64 =
        world.value("SELECT count(*) FROM provisor.wakes WHERE lane = 2 AND run_token > 0").await;
    assert!((20..=30).contains(&polls), "{polls} of 100");
    works.end().await;
}

/// A gate that counts how often it is asked, and told that something lacks.
struct Counting {
    gate: Arc<dyn Gate>,
    asked: AtomicUsize,
    lacks: AtomicUsize,
}

impl Counting {
    fn of(gate: Arc<dyn Gate>) -> Arc<Self> {
        Arc::new(Self { gate, asked: AtomicUsize::new(0), lacks: AtomicUsize::new(0) })
    }

    /// It may be told twice for each lane and each ring, and must not be told time after time.
    async fn is_left_alone(&self, rings: usize) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let lacks = self.lacks.load(Ordering::SeqCst);
        assert!((1..=4 * rings).contains(&lacks), "{lacks}");
    }
}

impl Gate for Counting {
    fn admit(&self, max: usize) -> usize {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.gate.admit(max)
    }
    fn give_back(&self, n: usize) {
        self.gate.give_back(n);
    }
    fn lack(&self) {
        self.lacks.fetch_add(1, Ordering::SeqCst);
        self.gate.lack();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shut_gate_is_not_asked_time_after_time() {
    let world = World::new().await;
    let gate = Counting::of(Arc::new(Dripping::default()));
    let works = Works::with(&world, ONLY_BY_ALARM, gate.clone(), Alarm::default()).await;
    insert_wakes(&world, QUICK, Lane::Place, (1, 1), "clock_timestamp()").await;
    insert_wakes(&world, QUICK, Lane::Poll, (2, 2), "clock_timestamp()").await;
    for lane in [Lane::Place, Lane::Poll, Lane::Email] {
        works.alarm.ring_for(lane, Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gate.is_left_alone(3).await;
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_request_to_end_hears_of_it_and_does_not_ask_meanwhile() {
    let house = House::new().await;
    let world = &house.world;
    let (tasks, stop, alarm) = (TaskTracker::new(), CancellationToken::new(), Alarm::default());
    let guest = guest(&house, &database(world, 2), &tasks, &stop, &alarm);
    let mut permits = Vec::new();
    for _ in 0..IN_FLIGHT_MAX {
        permits.push(guest.permit("", &mut false).await.expect("nothing is in the way"));
    }
    let gate = Counting::of(guest.clone());
    let works = Works::with(world, ONLY_BY_ALARM, gate.clone(), alarm).await;
    insert_wakes(world, QUICK, Lane::Place, (1, 1), "clock_timestamp()").await;
    works.alarm.ring_for(Lane::Place, Duration::ZERO);
    gate.is_left_alone(1).await;
    assert_eq!(works.seen.wakes(), 0);
    drop(permits.pop());
    eventually("it has run", async || works.seen.wakes() == 1).await;
    works.end().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_hold_locked_is_not_claimed_of_without_a_pause_and_is_found_once_it_is_free() {
    let world = World::new().await;
    let gate = Counting::of(Arc::new(Open));
    let works = Works::with(&world, ONLY_BY_ALARM, gate.clone(), Alarm::default()).await;
    // Its first round is over when nothing is there yet; else it would claim them before they are locked.
    eventually("it has looked", async || gate.asked.load(Ordering::SeqCst) == 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    insert_wakes(&world, QUICK, Lane::Place, (1, 1), "clock_timestamp()").await;
    insert_wakes(&world, QUICK, Lane::Poll, (2, 2), "clock_timestamp()").await;
    let db = database(&world, 1);
    let mut holding = db.pool().begin().await.expect("a transaction");
    sqlx::query("SELECT FROM provisor.wakes FOR UPDATE")
        .execute(&mut *holding)
        .await
        .expect("nobody else holds them");
    works.alarm.ring_for(Lane::Place, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // For two groups, every 20 ms; without the pause it would be some thousand times.
    let asked = gate.asked.load(Ordering::SeqCst);
    assert!((5..=60).contains(&asked), "{asked}");
    assert_eq!(works.seen.wakes(), 0);
    // So long that the mark of a lane that is empty would have risen past them.
    tokio::time::sleep(Duration::from_secs(3)).await;
    holding.rollback().await.expect("it is rolled back");
    let free = Instant::now();
    eventually("they were run", async || works.seen.wakes() == 2).await;
    assert!(free.elapsed() < Duration::from_secs(2), "{:?}: by a full scan", free.elapsed());
    works.end().await;
}

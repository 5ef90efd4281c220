//! The engine on a real database, with handlers that count.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use provisor::db::wakes::{Lane, WakeId};
use provisor::queue::{
    Alarm, Claim, Engine, EngineSettings, Gate, Handler, Observer, Parts, Presence, Ran,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{database, insert_wakes, of_wake, queue_database};
use crate::house::{eventually, in_time};
use crate::world::World;

/// The kinds of wakes, by what their runs do.
pub(super) const QUICK: u8 = 1;
/// The kind that may be in the middle of an irreversible request.
const LINE: u8 = 1;
pub(super) const HELD: u8 = 2;
/// Held, too, and then rests.
pub(super) const RESTS: u8 = 5;
const PANICS: u8 = 3;
const PANICS_TWICE: u8 = 4;
const UNKNOWN: u8 = 9;

/// What the handlers have seen.
#[derive(Default)]
pub(super) struct Seen {
    runs: Mutex<HashMap<WakeId, usize>>,
    running: Mutex<HashMap<Lane, usize>>,
    most: Mutex<HashMap<Lane, usize>>,
    pub(super) most_in_all: AtomicUsize,
    panicked: AtomicUsize,
    picked_up: AtomicUsize,
    outcomes: Mutex<HashMap<&'static str, usize>>,
}

impl Seen {
    /// How many wakes were run.
    pub(super) fn wakes(&self) -> usize {
        self.runs.lock().unwrap().len()
    }

    /// How many runs there were.
    pub(super) fn runs(&self) -> usize {
        self.runs.lock().unwrap().values().sum()
    }

    pub(super) fn runs_of(&self, kind: u8, subject: i64) -> usize {
        self.runs.lock().unwrap().get(&WakeId::new(kind, subject)).copied().unwrap_or(0)
    }

    fn running(&self) -> usize {
        self.running.lock().unwrap().values().sum()
    }

    fn most_of(&self, lane: Lane) -> usize {
        self.most.lock().unwrap().get(&lane).copied().unwrap_or(0)
    }

    fn begin(&self, claim: &Claim) {
        *self.runs.lock().unwrap().entry(claim.wake.fence.wake).or_default() += 1;
        let mut running = self.running.lock().unwrap();
        let of_lane = running.entry(claim.wake.lane).or_default();
        *of_lane += 1;
        let mut most = self.most.lock().unwrap();
        let most_of_lane = most.entry(claim.wake.lane).or_default();
        *most_of_lane = (*most_of_lane).max(*of_lane);
        self.most_in_all.fetch_max(running.values().sum(), Ordering::Relaxed);
    }

    fn end(&self, claim: &Claim) {
        *self.running.lock().unwrap().entry(claim.wake.lane).or_default() -= 1;
    }
}

impl Observer for Seen {
    fn picked_up(&self, _after: Duration) {
        self.picked_up.fetch_add(1, Ordering::Relaxed);
    }

    fn ran(&self, _kind: &'static str, outcome: &'static str, _took: Duration) {
        *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
    }
}

struct Counting {
    seen: Arc<Seen>,
    gate: Arc<Semaphore>,
}

/// Parks a wake for longer than any test lasts.
const fn done(claim: &Claim) -> Ran {
    Ran::Later { lane: claim.wake.lane, after: Duration::from_hours(1), tries: 7 }
}

#[async_trait]
impl Handler for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    async fn run(&self, claim: Claim) -> Ran {
        self.seen.begin(&claim);
        let kind = claim.wake.fence.wake.kind();
        if [HELD, RESTS].contains(&kind) {
            self.gate.acquire().await.unwrap().forget();
        }
        self.seen.end(&claim);
        assert!(![PANICS, PANICS_TWICE].contains(&kind), "on purpose");
        if kind == RESTS { Ran::Rest } else { done(&claim) }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        self.seen.panicked.fetch_add(1, Ordering::Relaxed);
        assert_ne!(claim.wake.fence.wake.kind(), PANICS_TWICE, "on purpose");
        done(&claim)
    }
}

/// Admits everything.
pub(super) struct Open;

impl Gate for Open {
    fn admit(&self, max: usize) -> usize {
        max
    }
    fn give_back(&self, _n: usize) {}
    fn lack(&self) {}
}

/// Admits nothing, and counts how often it was told of a lack.
#[derive(Default)]
struct Shut(AtomicUsize);

impl Gate for Shut {
    fn admit(&self, _max: usize) -> usize {
        0
    }
    fn give_back(&self, n: usize) {
        assert_eq!(n, 0, "nothing was admitted");
    }
    fn lack(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An engine at work.
pub(super) struct Works {
    engine: Engine,
    pub(super) seen: Arc<Seen>,
    pub(super) alarm: Alarm,
    gate: Arc<Semaphore>,
    stop: CancellationToken,
    /// Ends the heartbeat, after the drain: who leaves gives back what still runs.
    stopped: CancellationToken,
    fetching: JoinHandle<()>,
}

pub(super) const SETTINGS: EngineSettings = EngineSettings {
    concurrency: 8,
    lease: Duration::from_mins(1),
    poll_interval: Duration::from_millis(200),
};

impl Works {
    pub(super) async fn start(world: &World, settings: EngineSettings) -> Self {
        Self::with(world, settings, Arc::new(Open), Alarm::default()).await
    }

    pub(super) async fn with(
        world: &World,
        settings: EngineSettings,
        gate: Arc<dyn Gate>,
        alarm: Alarm,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let holding = Arc::new(Semaphore::new(0));
        let counting: Arc<dyn Handler> =
            Arc::new(Counting { seen: Arc::clone(&seen), gate: Arc::clone(&holding) });
        let handlers = [QUICK, HELD, RESTS, PANICS, PANICS_TWICE]
            .into_iter()
            .map(|kind| (kind, Arc::clone(&counting)))
            .collect();
        let (presence, db) = (Presence::default(), queue_database(world, 3));
        presence.tell(&db).await.unwrap();
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn({
            let (presence, alarm, stopped) = (presence.clone(), alarm.clone(), stopped.clone());
            let db = database(world, 1);
            async move { presence.keep_telling(&db, LINE, &alarm, stopped).await }
        });
        let parts = Parts {
            settings,
            db,
            presence,
            alarm: alarm.clone(),
            handlers,
            gate,
            observer: seen.clone(),
        };
        let engine = Engine::new(parts, &TaskTracker::new());
        let fetching = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Self { engine, seen, alarm, gate: holding, stop, stopped, fetching }
    }

    /// Lets so many of the held runs go on.
    pub(super) fn release(&self, runs: usize) {
        self.gate.add_permits(runs);
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        self.release(10_000);
        in_time("the fetcher ends", self.fetching).await.unwrap();
        in_time("the runs end", self.engine.drained()).await;
        self.stopped.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_never_exceeded_and_each_lane_keeps_its_share() {
    let world = World::new().await;
    for (n, lane) in (0..).zip(Lane::ALL) {
        insert_wakes(&world, HELD, lane, (n * 40 + 1, n * 40 + 40), "clock_timestamp()").await;
    }
    let works = Works::start(&world, SETTINGS).await;
    for _ in 0..25 {
        eventually("all slots are taken", async || works.seen.running() == 8).await;
        works.release(8);
    }
    eventually("all have run", async || works.seen.wakes() == 200).await;
    assert_eq!(works.seen.most_in_all.load(Ordering::Relaxed), 8);
    for (lane, most) in Lane::ALL.into_iter().zip([6, 2, 4, 2, 1]) {
        let seen = works.seen.most_of(lane);
        assert!((1..=most).contains(&seen), "{lane:?}: {seen}");
    }
    assert_eq!(works.seen.runs(), 200);
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_the_slots_waits_for_new_orders() {
    let world = World::new().await;
    for (n, lane) in (0..).zip([Lane::Retry, Lane::Poll, Lane::Email, Lane::Audit]) {
        insert_wakes(&world, HELD, lane, (n * 40 + 1, n * 40 + 40), "clock_timestamp()").await;
    }
    let works = Works::start(&world, SETTINGS).await;
    eventually("the others have their slots", async || works.seen.running() == 6).await;
    insert_wakes(&world, HELD, Lane::Place, (1001, 1020), "clock_timestamp()").await;
    works.alarm.ring();
    eventually("new orders have theirs", async || works.seen.running() == 8).await;
    assert_eq!(works.seen.most_of(Lane::Place), 2);
    assert_eq!(works.seen.picked_up.load(Ordering::Relaxed), 2);
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_harms_no_other_run_and_gives_its_slot_back() {
    let world = World::new().await;
    insert_wakes(&world, PANICS, Lane::Email, (1, 20), "clock_timestamp()").await;
    insert_wakes(&world, PANICS_TWICE, Lane::Email, (21, 30), "clock_timestamp()").await;
    insert_wakes(&world, QUICK, Lane::Email, (31, 60), "clock_timestamp()").await;
    let works = Works::start(&world, SETTINGS).await;
    let outcomes = |outcome| works.seen.outcomes.lock().unwrap().get(outcome).copied().unwrap_or(0);
    eventually("all have run", async || outcomes("retry") == 30 && outcomes("panic") == 30).await;
    assert_eq!(works.seen.panicked.load(Ordering::Relaxed), 30);
    // Parked by what `panicked` said; where that panicked too, for as long as a lease.
    let parked = "SELECT count(*) FROM provisor.wakes WHERE tries = 7 AND owner IS NULL";
    assert_eq!(world.value::<i64>(parked).await, 50);
    let later = "SELECT count(*) FROM provisor.wakes
                 WHERE owner IS NULL AND tries = 1 AND due_at > now() AND id % 16 = 4";
    assert_eq!(world.value::<i64>(later).await, 10);
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_of_an_unknown_kind_is_kept_for_a_newer_binary() {
    let world = World::new().await;
    insert_wakes(&world, UNKNOWN, Lane::Audit, (1, 1), "clock_timestamp()").await;
    let works = Works::start(&world, SETTINGS).await;
    let wake = WakeId::new(UNKNOWN, 1);
    eventually("it is parked", async || {
        of_wake::<bool>(&world, wake, "run_token > 0 AND owner IS NULL").await
    })
    .await;
    let seconds = "extract(epoch FROM due_at - clock_timestamp())::float8";
    let seconds: f64 = of_wake(&world, wake, seconds).await;
    assert!((60.0..=3600.0).contains(&seconds), "{seconds}");
    assert!(of_wake::<bool>(&world, wake, "lane = 4 AND tries = 0").await);
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_stop_nothing_is_claimed_and_the_drain_waits_for_what_runs() {
    let world = World::new().await;
    insert_wakes(&world, HELD, Lane::Place, (1, 40), "clock_timestamp()").await;
    let works = Works::start(&world, SETTINGS).await;
    eventually("the lane's slots are taken", async || works.seen.running() == 6).await;
    works.stop.cancel();
    in_time("the fetcher ends", works.fetching).await.unwrap();
    let drained = tokio::spawn({
        let engine = works.engine.clone();
        async move { engine.drained().await }
    });
    works.gate.add_permits(5);
    eventually("five have ended", async || works.seen.running() == 1).await;
    assert!(!drained.is_finished());
    works.gate.add_permits(100);
    in_time("the last run ends", drained).await.unwrap();
    assert_eq!(works.seen.runs(), 6);
    let untouched = "SELECT count(*) FROM provisor.wakes WHERE run_token = 0";
    assert_eq!(world.value::<i64>(untouched).await, 34);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_admits_nothing_stops_its_lanes_alone() {
    let world = World::new().await;
    for (n, lane) in (0..).zip(Lane::ALL) {
        insert_wakes(&world, QUICK, lane, (n * 40 + 1, n * 40 + 40), "clock_timestamp()").await;
    }
    let shut = Arc::new(Shut::default());
    let works = Works::with(&world, SETTINGS, shut.clone(), Alarm::default()).await;
    eventually("emails and audits go on", async || works.seen.wakes() == 80).await;
    eventually("the gate knows that it is waited for", async || shut.0.load(Ordering::Relaxed) > 0)
        .await;
    let claimed = "SELECT count(*) FROM provisor.wakes WHERE lane < 3 AND run_token > 0";
    assert_eq!(world.value::<i64>(claimed).await, 0);
    works.end().await;
}

/// Without a notification, and with a poll interval that no test waits for: what was parked comes by its own time.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_due_time_is_slept_to() {
    let world = World::new().await;
    insert_wakes(&world, QUICK, Lane::Poll, (1, 1), "now() + interval '700 ms'").await;
    insert_wakes(&world, QUICK, Lane::Audit, (2, 2), "now() + interval '1100 ms'").await;
    let settings = EngineSettings { poll_interval: Duration::from_hours(1), ..SETTINGS };
    let works = Works::start(&world, settings).await;
    eventually("both have run", async || works.seen.wakes() == 2).await;
    works.end().await;
}

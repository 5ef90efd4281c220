//! The fetcher: claims what is due, hands it to its handler, and sleeps until something may be due again.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    alarm::Alarm,
    batch::Batcher,
    presence::Presence,
    share::{Running, free_slots},
    watermark::{FullScan, Watermark},
};
use crate::{
    clock::Deadline,
    db::{
        Database, DbError,
        wakes::{ClaimedWake, Due, Lane, LaneDemand, Park},
    },
};

/// How long the fetcher waits after the database has failed it.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The most parks of one group.
const PARKS_MAX: usize = 500;

/// How the engine is set.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Handlers at a time (`queue.concurrency`).
    pub concurrency: usize,
    /// How long a claim holds (`queue.lease`).
    pub lease: Duration,
    /// The longest sleep between two looks (`queue.poll_interval`).
    pub poll_interval: Duration,
}

/// A wake in the hands of its handler.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What was claimed.
    pub wake: ClaimedWake,
    /// When the lease ends, by this process' clock, seen from before the claim was asked for: so never too late.
    pub lease: Deadline,
}

/// How a handler's run has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ran {
    /// The handler has recorded what came of it, the wake included.
    Recorded,
    /// Another run holds the subject by now; nothing is to be recorded.
    Stale,
    /// Nothing came of it; the engine parks the wake.
    Later {
        /// The lane it waits in.
        lane: Lane,
        /// For how long.
        after: Duration,
        /// The count of runs to leave.
        tries: i32,
    },
}

/// What does the work of one kind of wakes. Errors stay inside: they become [`Ran::Later`].
#[async_trait]
pub trait Handler: Send + Sync {
    /// For the metrics.
    fn name(&self) -> &'static str;
    /// One run.
    async fn run(&self, claim: Claim) -> Ran;
    /// A run has panicked; what is to be recorded of that.
    async fn panicked(&self, claim: Claim) -> Ran;
}

/// What limits the lanes that go to an upstream.
pub trait Gate: Send + Sync {
    /// How many of up to `max` wakes of this lane may be claimed now. What is not claimed is given back.
    fn admit(&self, lane: Lane, max: usize) -> usize;
    /// Gives back what was admitted for nothing.
    fn give_back(&self, lane: Lane, n: usize);
}

/// What is told of the engine's work.
pub trait Observer: Send + Sync {
    /// A new wake was claimed for the first time, so long after it was due.
    fn picked_up(&self, after: Duration);
    /// A run has ended.
    fn ran(&self, kind: &'static str, outcome: &'static str, took: Duration);
}

/// The engine. Clones share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    settings: EngineSettings,
    claims: Database,
    presence: Presence,
    alarm: Alarm,
    handlers: HashMap<u8, Arc<dyn Handler>>,
    gate: Arc<dyn Gate>,
    observer: Arc<dyn Observer>,
    parks: Batcher<Park, Result<bool, DbError>>,
    running: Mutex<Running>,
    runs: TaskTracker,
}

/// What an engine is made of.
pub struct Parts {
    /// How it is set.
    pub settings: EngineSettings,
    /// For claims: may commit asynchronously.
    pub claims: Database,
    /// For parks.
    pub db: Database,
    /// This process.
    pub presence: Presence,
    /// Rung by whatever makes a wake due.
    pub alarm: Alarm,
    /// By kind of wake.
    pub handlers: HashMap<u8, Arc<dyn Handler>>,
    /// Limits the upstream's lanes.
    pub gate: Arc<dyn Gate>,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
}

impl Engine {
    /// Builds the engine; `tasks` gets its group commit.
    #[must_use]
    pub fn new(parts: Parts, tasks: &TaskTracker) -> Self {
        let db = parts.db;
        let parking = Batcher::start(tasks, PARKS_MAX, move |parks: Vec<Park>| {
            let db = db.clone();
            async move {
                match db.park_wakes(&parks).await {
                    Ok(held) => held.into_iter().map(Ok).collect(),
                    Err(error) => parks.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        Self {
            inner: Arc::new(Inner {
                settings: parts.settings,
                claims: parts.claims,
                presence: parts.presence,
                alarm: parts.alarm,
                handlers: parts.handlers,
                gate: parts.gate,
                observer: parts.observer,
                parks: parking,
                running: Mutex::default(),
                runs: TaskTracker::new(),
            }),
        }
    }

    /// Claims and runs until `stop`; then claims nothing more. The runs under way go on: see [`Self::drained`].
    pub async fn run(&self, stop: CancellationToken) {
        let mut fetcher = Fetcher::new(Arc::clone(&self.inner));
        loop {
            self.inner.alarm.clear_rung();
            let sleep = match fetcher.fetch().await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::warn!(
                        error = %crate::causes::causes(&error),
                        "nothing could be claimed"
                    );
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = self.inner.alarm.rung(), if sleep > Duration::ZERO => {}
                () = tokio::time::sleep(sleep) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Waits until all runs have ended.
    pub async fn drained(&self) {
        self.inner.runs.close();
        self.inner.runs.wait().await;
    }
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a handler to its end, whatever it does.
    async fn run_one(self: Arc<Self>, claim: Claim) {
        let began = Instant::now();
        let Some(handler) = self.handlers.get(&claim.wake.fence.wake.kind()).cloned() else {
            tracing::error!(
                wake = claim.wake.fence.wake.0,
                "no handler for this kind of wake: is a newer binary running too?"
            );
            let lane = claim.wake.lane;
            self.park(claim, lane, Duration::from_mins(1), claim.wake.tries).await;
            return self.ended(claim.wake.lane);
        };
        let (ran, panicked) = match AssertUnwindSafe(handler.run(claim)).catch_unwind().await {
            Ok(ran) => (ran, false),
            // The panic hook has logged it.
            Err(_) => match AssertUnwindSafe(handler.panicked(claim)).catch_unwind().await {
                Ok(ran) => (ran, true),
                // Even that panicked: the lease runs out, and another run follows.
                Err(_) => (Ran::Stale, true),
            },
        };
        let outcome = match ran {
            _ if panicked => "panic",
            Ran::Recorded => "ok",
            Ran::Stale => "stale",
            Ran::Later { .. } => "retry",
        };
        if let Ran::Later { lane, after, tries } = ran {
            self.park(claim, lane, after, tries).await;
        }
        self.observer.ran(handler.name(), outcome, began.elapsed());
        self.ended(claim.wake.lane);
    }

    async fn park(&self, claim: Claim, lane: Lane, after: Duration, tries: i32) {
        let park = Park { fence: claim.wake.fence, lane, due: Due::In(after), tries };
        match self.parks.submit(park).await {
            Ok(Ok(true)) => self.alarm.ring_in(after),
            // The lease runs out, and another run follows.
            Ok(Err(error)) => {
                tracing::warn!(error = %crate::causes::causes(&error), "a wake was not parked");
            }
            Ok(Ok(false)) | Err(_) => {}
        }
    }

    fn ended(&self, lane: Lane) {
        let concurrency = self.settings.concurrency;
        let mut running = self.running();
        let was_full = running.total() >= concurrency
            || free_slots(&running, concurrency).0.iter().any(|(_, room)| *room == 0);
        running.ended(lane);
        drop(running);
        // A slot is free that the last claim may have lacked.
        if was_full {
            self.alarm.ring();
        }
    }
}

/// The fetcher's memory.
struct Fetcher {
    inner: Arc<Inner>,
    marks: HashMap<Lane, Watermark>,
    scan: FullScan,
    turn: usize,
}

impl Fetcher {
    fn new(inner: Arc<Inner>) -> Self {
        Self { inner, marks: HashMap::new(), scan: FullScan::due(Instant::now()), turn: 0 }
    }

    /// Claims once. Answers how long to sleep if nothing rings.
    async fn fetch(&mut self) -> Result<Duration, DbError> {
        let settings = self.inner.settings;
        if !self.inner.presence.is_known() {
            return Ok(AFTER_FAILURE);
        }
        let began = Instant::now();
        let full_scan = self.scan.is_due(began);
        let (demands, total) = self.demands(full_scan);
        if demands.is_empty() {
            return Ok(settings.poll_interval);
        }
        let lease = Deadline::after(settings.lease);
        let owner = self.inner.presence.owner();
        let claimed = self.inner.claims.claim_wakes(&demands, total, settings.lease, owner).await;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                for demand in &demands {
                    self.inner.gate.give_back(demand.lane, demand.max);
                }
                return Err(error);
            }
        };
        if full_scan {
            self.scan.made(Instant::now(), began.elapsed());
        }
        let mut filled = claimed.len() >= total;
        let mut drained = Vec::new();
        for demand in &demands {
            let of_lane: Vec<&ClaimedWake> =
                claimed.iter().filter(|wake| wake.lane == demand.lane).collect();
            self.inner.gate.give_back(demand.lane, demand.max.saturating_sub(of_lane.len()));
            let last = of_lane.iter().max_by_key(|wake| wake.due_at);
            match last {
                Some(last) if of_lane.len() >= demand.max => {
                    filled = true;
                    let mark = self.marks.entry(demand.lane).or_default();
                    mark.filled(last.due_at, last.claimed_at);
                }
                _ => drained.push(demand.lane),
            }
        }
        let took_all = claimed.len() < total;
        for wake in claimed {
            self.start(wake, lease);
        }
        if filled {
            return Ok(Duration::ZERO);
        }
        let lanes: Vec<Lane> = demands.iter().map(|demand| demand.lane).collect();
        let (now, next) = self.inner.claims.next_due(&lanes).await?;
        if took_all {
            self.drained(&drained, now, began.elapsed());
        }
        Ok(next.map_or(settings.poll_interval, |next| next.min(settings.poll_interval)))
    }

    /// Nothing was left in these lanes when the claim was made, `ago` before the database's `now`.
    fn drained(&mut self, lanes: &[Lane], now: DateTime<Utc>, ago: Duration) {
        let then = chrono::TimeDelta::from_std(ago).map_or(now, |ago| now - ago);
        for lane in lanes {
            self.marks.entry(*lane).or_default().drained(then);
        }
    }

    /// What to claim of which lane: new orders first, the others in turn.
    fn demands(&mut self, full_scan: bool) -> (Vec<LaneDemand>, usize) {
        let (mut lanes, total) = free_slots(&self.inner.running(), self.inner.settings.concurrency);
        if let Some((_, others)) = lanes.split_first_mut() {
            others.rotate_left(self.turn % others.len().max(1));
        }
        self.turn = self.turn.wrapping_add(1);
        let demands = lanes
            .into_iter()
            .filter_map(|(lane, room)| {
                let max = if room == 0 { 0 } else { self.inner.gate.admit(lane, room) };
                let mark = self.marks.get(&lane).copied().unwrap_or_default().get();
                let watermark = if full_scan { None } else { mark };
                (max > 0).then_some(LaneDemand { lane, max, watermark })
            })
            .collect();
        (demands, total)
    }

    fn start(&self, wake: ClaimedWake, lease: Deadline) {
        if wake.fence.run_token == 1 && wake.lane == Lane::Place {
            let waited = wake.claimed_at - wake.due_at;
            self.inner.observer.picked_up(waited.to_std().unwrap_or_default());
        }
        self.inner.running().started(wake.lane);
        let inner = Arc::clone(&self.inner);
        self.inner.runs.spawn(inner.run_one(Claim { wake, lease }));
    }
}

//! The engine: hands what the fetcher claims to its handler, and parks what comes to nothing.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    alarm::Alarm,
    batch::{Batcher, Grouping},
    fetcher::{AFTER_FAILURE, Fetcher, Next},
    presence::Presence,
    share::{Groups, Running},
};
use crate::{
    clock::Deadline,
    db::{
        Database, DbError,
        wakes::{ClaimedWake, Due, Lane, Park, Parked},
    },
};

/// How parks are grouped. Two groups may name the same wake: each locks its wakes in the order of their ids, and the fence
/// lets one of them park it.
const PARKS: Grouping = Grouping { abreast: 2, ..Grouping::of(500) };

/// So many turns, besides the one after each claim, the fetcher leaves to others before it claims again without a sleep:
/// short runs of what was just claimed end meanwhile, so that the next claim is a large one.
const TURNS_BETWEEN_CLAIMS: usize = 2;

/// How often a park is tried before its lease has to run out.
const PARK_TRIES_MAX: usize = 3;

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

impl Claim {
    /// A run that did not do its work: it comes again after this time, as one try more.
    #[must_use]
    pub const fn again(&self, lane: Lane, after: Duration) -> Ran {
        Ran::Later { lane, after, tries: self.wake.tries.saturating_add(1) }
    }
}

/// How a handler's run has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ran {
    /// The handler has recorded what came of it, the wake included.
    Recorded,
    /// Another run holds the subject by now; nothing is to be recorded.
    Stale,
    /// There is nothing to do before the subject is poked; the engine parks the wake.
    Rest,
    /// All is as it was, and nothing is to be recorded but when the subject is looked at again; the engine parks the wake.
    Unchanged {
        /// The lane it waits in.
        lane: Lane,
        /// Until when.
        due: Due,
        /// The count of runs to leave.
        tries: i32,
    },
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

/// What limits the lanes that go to an upstream ([`Lane::goes_upstream`]).
pub trait Gate: Send + Sync {
    /// How many of up to `max` wakes of these lanes, taken together, may be claimed now. What is not claimed is given
    /// back.
    fn admit(&self, max: usize) -> usize;
    /// Gives back what was admitted for nothing.
    fn give_back(&self, n: usize);
    /// Something is due, and nothing was admitted: the alarm is to be rung as soon as something can be.
    fn lack(&self);
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

pub(super) struct Inner {
    pub(super) settings: EngineSettings,
    pub(super) db: Database,
    pub(super) presence: Presence,
    alarm: Alarm,
    handlers: HashMap<u8, Arc<dyn Handler>>,
    pub(super) gate: Arc<dyn Gate>,
    observer: Arc<dyn Observer>,
    parks: Batcher<Park, Result<Parked, DbError>>,
    running: Mutex<Running>,
    runs: TaskTracker,
    turned: Turned,
}

/// When the fetcher last came round; it says no more of the engine, and keeps nothing of it alive.
#[derive(Clone, Debug)]
pub struct Turned(Arc<Mutex<Instant>>);

impl Turned {
    /// How long ago that was. It comes round each poll interval and more often; a turn takes no longer than the deadlines of
    /// a few calls of the database.
    #[must_use]
    pub fn ago(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// What an engine is made of.
pub struct Parts {
    /// How it is set.
    pub settings: EngineSettings,
    /// For claims, looks and parks.
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
        let db = parts.db.clone();
        let parking = Batcher::start(tasks, PARKS, move |parks: Vec<Park>| {
            let db = db.clone();
            async move {
                match db.park_wakes(&parks).await {
                    Ok(parked) => parked.into_iter().map(Ok).collect(),
                    Err(error) => parks.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        Self {
            inner: Arc::new(Inner {
                settings: parts.settings,
                db: parts.db,
                presence: parts.presence,
                alarm: parts.alarm,
                handlers: parts.handlers,
                gate: parts.gate,
                observer: parts.observer,
                parks: parking,
                running: Mutex::default(),
                runs: TaskTracker::new(),
                turned: Turned(Arc::new(Mutex::new(Instant::now()))),
            }),
        }
    }

    /// Claims and runs until `stop`; then claims nothing more. The runs under way go on: see [`Self::drained`].
    pub async fn run(&self, stop: CancellationToken) {
        let mut fetcher = Fetcher::new(Arc::clone(&self.inner));
        let mut due = Groups::ALL;
        while !stop.is_cancelled() {
            self.inner.turned.now();
            due = due.or(self.inner.alarm.take_rung());
            let next = match fetcher.fetch(due).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(
                        error = %crate::causes::causes(&error),
                        "nothing could be claimed"
                    );
                    Next::look_in(AFTER_FAILURE)
                }
            };
            due = next.due;
            if next.sleep.is_zero() {
                for _ in 0..TURNS_BETWEEN_CLAIMS {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            tokio::select! {
                // What has rung says itself what is due.
                () = self.inner.alarm.rung() => due = Groups::NONE,
                () = tokio::time::sleep(next.sleep) => {}
                () = stop.cancelled() => break,
            };
        }
    }

    /// By which is seen whether the fetcher comes round.
    #[must_use]
    pub fn turned(&self) -> Turned {
        self.inner.turned.clone()
    }

    /// Waits until all runs have ended.
    pub async fn drained(&self) {
        self.inner.runs.close();
        self.inner.runs.wait().await;
    }
}

impl Inner {
    pub(super) fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a handler to its end, whatever it does.
    async fn run_one(self: Arc<Self>, claim: Claim) {
        let began = Instant::now();
        let Some(handler) = self.handlers.get(&claim.wake.fence.wake.kind()).cloned() else {
            tracing::warn!(
                wake = claim.wake.fence.wake.0,
                "no handler for this kind of wake: is a newer binary running too?"
            );
            let lane = claim.wake.lane;
            let due = Due::In(Duration::from_hours(1));
            return self.leave(claim, lane, due, claim.wake.tries).await;
        };
        let run = AssertUnwindSafe(async {
            failpoint!("queue.run");
            handler.run(claim).await
        });
        let (ran, panicked) = match run.catch_unwind().await {
            Ok(ran) => (ran, false),
            // The panic hook has logged it.
            Err(_) => match AssertUnwindSafe(handler.panicked(claim)).catch_unwind().await {
                Ok(ran) => (ran, true),
                // Even that panicked: another run follows when the lease would have run out.
                Err(_) => (claim.again(claim.wake.lane, self.settings.lease), true),
            },
        };
        let outcome = match ran {
            _ if panicked => "panic",
            Ran::Recorded | Ran::Rest | Ran::Unchanged { .. } => "ok",
            Ran::Stale => "stale",
            Ran::Later { .. } => "retry",
        };
        match ran {
            Ran::Later { lane, after, tries } => {
                self.leave(claim, lane, Due::In(after), tries).await;
            }
            Ran::Rest => self.leave(claim, claim.wake.lane, Due::Never, 0).await,
            Ran::Unchanged { lane, due, tries } => self.leave(claim, lane, due, tries).await,
            Ran::Recorded | Ran::Stale => self.ended(claim.wake.lane),
        }
        self.observer.ran(handler.name(), outcome, began.elapsed());
    }

    /// Leaves the slot, and then parks the wake.
    async fn leave(&self, claim: Claim, lane: Lane, due: Due, tries: i32) {
        self.running().parks();
        self.ended(claim.wake.lane);
        self.park(claim, lane, due, tries).await;
        if self.running().parked() {
            self.alarm.ring();
        }
    }

    async fn park(&self, claim: Claim, lane: Lane, due: Due, tries: i32) {
        let park = Park { fence: claim.wake.fence, lane, due, tries };
        failpoint!("queue.before_park");
        let mut parked = self.parks.submit(park).await;
        for _ in 1..PARK_TRIES_MAX {
            let Ok(Err(error)) = &parked else { break };
            tracing::debug!(error = %crate::causes::causes(error), "a wake is parked once more");
            tokio::time::sleep(AFTER_FAILURE).await;
            parked = self.parks.submit(park).await;
        }
        match parked {
            Ok(Ok(Parked::Poked)) => self.alarm.ring_for(lane, Duration::ZERO),
            Ok(Ok(Parked::Left)) => {
                failpoint!("queue.parked");
                if let Due::In(after) = due {
                    self.alarm.ring_for(lane, after);
                }
            }
            // The lease runs out, and another run follows.
            Ok(Err(error)) => {
                tracing::warn!(error = %crate::causes::causes(&error), "a wake was not parked");
            }
            Ok(Ok(Parked::Lost)) | Err(_) => {}
        }
    }

    fn ended(&self, lane: Lane) {
        let mut running = self.running();
        let was_full = running.is_full_somewhere(self.settings.concurrency);
        running.ended(lane);
        drop(running);
        // A slot is free that the last claim may have lacked.
        if was_full {
            self.alarm.ring();
        }
    }

    /// Starts the run of a wake that was just claimed.
    pub(super) fn start(self: &Arc<Self>, wake: ClaimedWake, lease: Deadline) {
        if wake.fence.run_token == 1 && wake.lane == Lane::Place {
            let waited = wake.claimed_at - wake.due_at;
            self.observer.picked_up(waited.to_std().unwrap_or_default());
        }
        self.running().started(wake.lane);
        self.runs.spawn(Arc::clone(self).run_one(Claim { wake, lease }));
    }
}

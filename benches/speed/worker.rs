//! Provisor's own queue code at work, with a handler that does nothing: what a process of ours does but for its jobs.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use provisor::{
    clock,
    db::{Database, Purpose, wakes::Lane},
    queue::{
        Alarm, Claim, Engine, EngineSettings, Gate, Handler, Observer, Parts, Presence, Ran, listen,
    },
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The kind of wakes that belong to the benchmark; 1 is the lines'.
pub(crate) const KIND: u8 = 15;
const LINE: u8 = 1;

/// What becomes of a wake when its run has done nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// It rests: the run was its last.
    Rest,
    /// It comes again, in the lane of polls.
    Again(Duration),
}

/// What was seen of the runs.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ended: AtomicUsize,
    wanted: AtomicUsize,
    reached: Notify,
    /// When each run began, and how late after it was due, in microseconds, if somebody asked for it.
    begun: Mutex<Option<Vec<(i64, Instant, u32)>>>,
}

impl Seen {
    /// How many runs have ended, durably.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until so many runs have ended.
    pub(crate) async fn until(&self, runs: usize) {
        self.wanted.store(runs, Ordering::SeqCst);
        while self.ended() < runs {
            self.reached.notified().await;
        }
    }

    /// Notes from now on when runs begin.
    pub(crate) fn watch(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// What was noted since.
    pub(crate) fn noted(&self) -> Vec<(i64, Instant, u32)> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Observer for Seen {
    fn picked_up(&self, _: Duration) {}

    // Called when the wake is parked, which is durable.
    fn ran(&self, _: &'static str, _: &'static str, _: Duration) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if ended == self.wanted.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }
}

struct Noop {
    seen: Arc<Seen>,
    then: Then,
}

#[async_trait]
impl Handler for Noop {
    fn name(&self) -> &'static str {
        "noop"
    }

    async fn run(&self, claim: Claim) -> Ran {
        let mut begun = self.seen.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = begun.as_mut() {
            let late = (clock::now() - claim.wake.due_at).num_microseconds();
            let late = late.and_then(|late| u32::try_from(late).ok()).unwrap_or(0);
            begun.push((claim.wake.fence.wake.subject(), Instant::now(), late));
        }
        drop(begun);
        match self.then {
            Then::Rest => Ran::Rest,
            Then::Again(after) => Ran::Later { lane: Lane::Poll, after, tries: 1 },
        }
    }

    async fn panicked(&self, _: Claim) -> Ran {
        Ran::Rest
    }
}

/// The upstream's budget is no limit here.
struct Open;

impl Gate for Open {
    fn admit(&self, max: usize) -> usize {
        max
    }
    fn give_back(&self, _: usize) {}
    fn lack(&self) {}
}

/// A worker.
pub(crate) struct Worker {
    pub(crate) seen: Arc<Seen>,
    engine: Engine,
    stop: CancellationToken,
    stopped: CancellationToken,
    fetching: JoinHandle<()>,
    listening: JoinHandle<()>,
}

impl Worker {
    /// Starts one. It claims at once.
    pub(crate) async fn start(url: &str, concurrency: usize, then: Then) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        let noop: Arc<dyn Handler> = Arc::new(Noop { seen: Arc::clone(&seen), then });
        let handlers = HashMap::from([(KIND, Arc::clone(&noop)), (LINE, noop)]);
        let db = Database::new(url, Purpose::General.connections_max(), Purpose::General)?;
        let (presence, alarm) = (Presence::default(), Alarm::default());
        presence.tell(&db).await?;
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn({
            let (presence, db) = (presence.clone(), db.clone());
            let (alarm, stopped) = (alarm.clone(), stopped.clone());
            async move { presence.keep_telling(&db, LINE, &alarm, stopped).await }
        });
        let parts = Parts {
            settings: EngineSettings {
                concurrency,
                lease: Duration::from_mins(1),
                poll_interval: Duration::from_secs(1),
            },
            db: Database::new(url, Purpose::Queue.connections_max(), Purpose::Queue)?,
            presence,
            alarm: alarm.clone(),
            handlers,
            gate: Arc::new(Open),
            observer: Arc::<Seen>::clone(&seen),
        };
        let engine = Engine::new(parts, &TaskTracker::new());
        let fetching = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        let listening = tokio::spawn(async move { listen::listen(&db, &alarm).await });
        Ok(Self { seen, engine, stop, stopped, fetching, listening })
    }

    /// Claims nothing more, and waits until the runs under way have ended.
    pub(crate) async fn rest(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        (&mut self.fetching).await?;
        self.engine.drained().await;
        Ok(())
    }

    /// Ends, after [`Self::rest`]. What takes leave looks once for what it may have left, through all that is due.
    pub(crate) fn end(self) {
        self.stopped.cancel();
        self.listening.abort();
    }
}

/// Wakes for the benchmark's handler: `count` of them from subject `from` on, due as the SQL expression says (`i` counts
/// them from 1).
pub(crate) async fn insert(
    url: &str,
    from: u64,
    count: u64,
    lane: Lane,
    due: &str,
) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let (last, lane) = (from + count - 1, lane.number());
    let sql = format!(
        "INSERT INTO provisor.wakes (id, lane, due_at)
         SELECT ({from}::bigint + i - 1) * 16 + {KIND}, {lane}, {due} FROM generate_series(1, {last} - {from} + 1) AS i"
    );
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await?;
    Ok(())
}

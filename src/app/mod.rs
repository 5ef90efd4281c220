//! The only wiring: builds each part and hands it what it needs.

mod auditing;
mod build;
mod supervisor;
mod told;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use auditing::connect_auditor;
pub use build::{
    budgets, connect, connect_leanstack, connect_ljpc, connect_now, connect_to_any_schema,
    email_sender, patience, traces,
};

use crate::{
    causes::causes,
    config::Settings,
    db::{Database, DbError, schema::SchemaState},
    http::{self, HealthState, Heartbeat, Readiness, ReadinessSender, Scraper},
    jobs::{self, guest::Guest},
    lifecycle::Lifecycle,
    queue::{self, Alarm, Engine, Presence, Turned},
};

/// How often the schema is looked at before the start, and how often once it works.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// How long a look may take: readiness is asked for every few seconds, and must not be old.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// The part of the shutdown grace that is kept for taking leave: a tenth.
const LEAVE_PART: u32 = 10;

/// The process is taken for stuck when its runtime has not turned over for so long.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// And so it is when its fetcher hangs, which never takes longer than the deadlines of a few calls of the database.
const FETCHER_STUCK_AFTER: Duration = Duration::from_secs(90);

/// Runs the daemon until it is told to stop.
///
/// It never migrates: it waits, unready and claiming nothing, for a schema that serves it.
pub async fn run(settings: &Settings, lifecycle: &Lifecycle) -> anyhow::Result<()> {
    let db = connect(settings)?;
    let metrics = Arc::new(build::metrics()?);
    let (ready, readiness) = Readiness::channel();
    let heartbeat = Heartbeat::new(STUCK_AFTER);
    let listener = TcpListener::bind(settings.http.listen)
        .await
        .with_context(|| format!("http.listen: can't listen on {}", settings.http.listen))?;
    let listen = listener.local_addr().context("http.listen")?;
    tracing::info!(%listen, version = env!("CARGO_PKG_VERSION"), "started");
    supervisor::started();
    let (seen, stop) = (ready.subscribe(), lifecycle.stop.clone());
    let gauges = told::Gauges { db: db.clone(), metrics: Arc::clone(&metrics) };
    let health = HealthState {
        heartbeat: heartbeat.clone(),
        readiness,
        scraper: Arc::new(Scraper::new(Arc::clone(&metrics), Box::new(gauges))),
    };
    let tasks = TaskTracker::new();
    tasks.spawn(tell_supervisor(seen, stop));
    let stopped = lifecycle.stopped.clone();
    tasks.spawn(async move {
        http::serve(listener, http::router(health), stopped.cancelled_owned()).await;
    });
    let working = Arc::new(OnceLock::new());
    tasks.spawn(beat(heartbeat, Arc::clone(&working), lifecycle.clone()));
    if wait_for_schema(&db, &ready, lifecycle).await {
        work(settings, lifecycle, &db, metrics, &ready, &working, &tasks).await?;
    }
    lifecycle.stopped.cancel();
    tasks.close();
    let leaving = async {
        tasks.wait().await;
        db.close().await;
    };
    if tokio::time::timeout(settings.queue.shutdown_grace / LEAVE_PART, leaving).await.is_err() {
        tracing::warn!("took no leave within queue.shutdown_grace; leases run out by themselves");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Tells whoever watches that the process turns over, until it is stopped: its runtime does by this very loop, and its
/// fetcher, once there is one that has not been told to stop.
async fn beat(heart: Heartbeat, working: Arc<OnceLock<Turned>>, lifecycle: Lifecycle) {
    let is_watched = supervisor::is_watching();
    while !lifecycle.stopped.is_cancelled() {
        let turned = working.get().map_or(Duration::ZERO, Turned::ago);
        if turned < FETCHER_STUCK_AFTER || lifecycle.stop.is_cancelled() {
            heart.beat();
            if is_watched {
                supervisor::beat();
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = lifecycle.stopped.cancelled() => {}
        }
    }
}

/// Tells the supervisor, in one sentence, whether the daemon can work, and that it ends.
async fn tell_supervisor(mut readiness: watch::Receiver<Readiness>, stop: CancellationToken) {
    loop {
        let now = readiness.borrow_and_update().clone();
        match &now {
            Readiness::Ready => supervisor::status("works"),
            Readiness::NotReady(reason) => supervisor::status(reason),
            Readiness::Starting => supervisor::status("looks for its database"),
            Readiness::Draining => {}
        }
        tokio::select! {
            changed = readiness.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return supervisor::stopping(),
        }
    }
}

/// How the database was found.
enum Looked {
    /// It answers, and its schema serves this binary.
    Serves,
    /// It answers, and its schema is none that this binary may work on.
    Lacking(String),
    /// It does not answer, or not as it should: in short, and its error, if one came in time.
    Away(&'static str, Option<DbError>),
}

impl From<Looked> for Readiness {
    fn from(looked: Looked) -> Self {
        match looked {
            Looked::Serves => Self::Ready,
            Looked::Lacking(reason) => Self::NotReady(reason),
            Looked::Away(reason, _) => Self::NotReady(reason.to_owned()),
        }
    }
}

async fn look(db: &Database) -> Looked {
    match tokio::time::timeout(LOOK_MAX, db.schema_state()).await {
        Ok(Ok(SchemaState::Serves | SchemaState::ServesStill(_))) => Looked::Serves,
        Ok(Ok(SchemaState::Lacking(reason))) => Looked::Lacking(reason),
        Ok(Err(error)) => {
            tracing::debug!(error = %causes(&error), "the database does not answer");
            Looked::Away("the database does not answer", Some(error))
        }
        Err(_) => Looked::Away("the database does not answer in time", None),
    }
}

/// Why the database can't be worked with, as the log tells it: readiness stays short, for it may be read by strangers. The
/// pool tries on where nobody listens and tells no reason, so that it is asked for once more, outside the pool.
async fn why_away(looked: &Looked, db: &Database) -> Option<String> {
    match looked {
        Looked::Serves | Looked::Lacking(_) => None,
        Looked::Away(_, Some(error)) => Some(causes(error).to_string()),
        Looked::Away(_, None) => db.probe().await.err().map(|error| causes(&error).to_string()),
    }
}

/// Waits for a schema that serves this binary. `false`: told to stop first.
async fn wait_for_schema(db: &Database, ready: &ReadinessSender, lifecycle: &Lifecycle) -> bool {
    let mut told = None;
    loop {
        let looking = async {
            let looked = look(db).await;
            let cause = why_away(&looked, db).await;
            (looked, cause)
        };
        let (looked, cause) = tokio::select! {
            looked = looking => looked,
            () = lifecycle.stop.cancelled() => return false,
        };
        let Readiness::NotReady(reason) = looked.into() else { return true };
        let now = Some((reason, cause));
        if told != now
            && let Some((reason, cause)) = &now
        {
            tracing::warn!(reason, cause, "waiting");
            ready.send_replace(Readiness::NotReady(reason.clone()));
            told = now;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = lifecycle.stop.cancelled() => return false,
        }
    }
}

/// Claims and works until told to stop, then drains.
async fn work(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    metrics: Arc<crate::telemetry::Metrics>,
    ready: &ReadinessSender,
    working: &OnceLock<Turned>,
    tasks: &TaskTracker,
) -> anyhow::Result<()> {
    let presence = Presence::default();
    presence.tell(db).await.context("telling the other processes that this one lives")?;
    let schedules =
        [jobs::HOUSE_WAKE.0, jobs::CUSTOMERS_WAKE.0, jobs::SITES_WAKE.0, jobs::AUDIT_WAKE.0];
    db.ensure_schedules(&schedules).await.context("setting up the schedules")?;
    db.note_disabled_emails(&settings.email.disabled).await.context("noting email.disabled")?;
    if settings.leanstack.enabled {
        // It may have been left alone for an hour by a process that does not use Leanstack.
        db.poke(jobs::CUSTOMERS_WAKE.0).await.context("waking the schedules")?;
    }
    let alarm = Alarm::default();
    let parts = build::parts(settings, lifecycle, db, &metrics, &presence, &alarm, tasks)?;
    let engine = parts.engine;
    let fetching = TaskTracker::new();
    let mut vital = spawn_vital(settings, lifecycle, db, &presence, &alarm, &parts.guest);
    if let Some(advisor) = parts.advisor {
        let watching = async move { advisor.watch().await };
        vital.spawn(until(lifecycle.stopped.clone(), watching));
    }
    let (fetcher, stop) = (engine.clone(), lifecycle.stop.clone());
    working.get_or_init(|| engine.turned());
    vital.spawn(fetching.track_future(async move { fetcher.run(stop).await }));
    fetching.close();
    ready.send_replace(Readiness::Ready);
    tracing::info!(owner = %presence.owner(), "ready");
    let mut lacking = None;
    tokio::select! {
        found = watch_database(db, ready, lifecycle) => lacking = found,
        Some(ended) = vital.join_next() => if !lifecycle.stop.is_cancelled() {
            // Better ended, and started anew by whoever watches, than alive and idle.
            ended.context("a part that the daemon can't do without has panicked")?;
            bail!("a part that the daemon can't do without has ended");
        }
    }
    // Nobody may have told it: a newer release may have taken the schema away from this one.
    lifecycle.stop.cancel();
    ready.send_replace(Readiness::Draining);
    tracing::info!("draining: nothing more is claimed");
    drain(&engine, &fetching, settings.queue.shutdown_grace).await;
    parts.mailer.close().await;
    lifecycle.stopped.cancel();
    // The heartbeat's last act is to take leave; the rest is waited for by the caller.
    let left = async { while vital.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(settings.queue.shutdown_grace / LEAVE_PART, left).await;
    match lacking {
        Some(reason) => bail!("the database's schema serves this binary no more: {reason}"),
        None => Ok(()),
    }
}

/// Tells whether the database answers, until told to stop, or until its schema serves this binary no more: why not.
async fn watch_database(
    db: &Database,
    ready: &ReadinessSender,
    lifecycle: &Lifecycle,
) -> Option<String> {
    loop {
        let looking = async {
            tokio::time::sleep(WATCH_INTERVAL).await;
            look(db).await
        };
        let now = tokio::select! {
            now = looking => now,
            () = lifecycle.stop.cancelled() => return None,
        };
        if let Looked::Lacking(reason) = now {
            return Some(reason);
        }
        let now = Readiness::from(now);
        ready.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

/// Waits for the fetcher, which claims nothing more but may be waiting for a database that is away, and then for what
/// runs; for both within the grace.
async fn drain(engine: &Engine, fetching: &TaskTracker, grace: Duration) {
    let patience = grace.saturating_sub(grace / LEAVE_PART);
    let drained = async {
        fetching.wait().await;
        engine.drained().await;
    };
    if tokio::time::timeout(patience, drained).await.is_err() {
        tracing::warn!(
            "not everything ended within queue.shutdown_grace; what is left is released"
        );
    }
}

/// Starts what the daemon can't do without. None of it ends before it is told to.
fn spawn_vital(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    presence: &Presence,
    alarm: &Alarm,
    guest: &Arc<Guest>,
) -> JoinSet<()> {
    let mut vital = JoinSet::new();
    // The heartbeat goes on through the drain: a process that still works still lives.
    let (telling, told_db, rung) = (presence.clone(), db.clone(), alarm.clone());
    let stopped = lifecycle.stopped.clone();
    vital.spawn(async move { telling.keep_telling(&told_db, jobs::LINE, &rung, stopped).await });
    if settings.queue.listen {
        let (listening, rung) = (db.clone(), alarm.clone());
        let listen = async move { queue::listen::listen(&listening, &rung).await };
        vital.spawn(until(lifecycle.stop.clone(), listen));
    }
    let watching = Arc::clone(guest);
    vital.spawn(until(lifecycle.stopped.clone(), async move { watching.watch().await }));
    vital
}

/// Runs an endless task until it is told to stop.
async fn until(stop: CancellationToken, endless: impl Future<Output = ()>) {
    tokio::select! {
        () = endless => {}
        () = stop.cancelled() => {}
    }
}

//! The only wiring: builds each part and hands it what it needs.

mod build;
mod told;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub use build::{connect, connect_ljpc, email_sender};

use crate::{
    config::Settings,
    db::{Database, schema::SchemaState},
    http::{self, HealthState, Heartbeat, Readiness, ReadinessSender, Scraper},
    jobs::{self, guest::Guest},
    lifecycle::Lifecycle,
    queue::{self, Alarm, Engine, Presence},
};

/// How often the schema is looked at, before the start and while running.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The process is taken for stuck when its runtime has not turned over for so long.
const STUCK_AFTER: Duration = Duration::from_secs(30);

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
    let gauges = told::Gauges { db: db.clone(), metrics: Arc::clone(&metrics) };
    let health = HealthState {
        heartbeat: heartbeat.clone(),
        readiness,
        scraper: Arc::new(Scraper::new(Arc::clone(&metrics), Box::new(gauges))),
    };
    let tasks = TaskTracker::new();
    let stopped = lifecycle.stopped.clone();
    tasks.spawn(async move {
        http::serve(listener, http::router(health), stopped.cancelled_owned()).await;
    });
    let (beat_until, beating) = (lifecycle.stopped.clone(), heartbeat);
    tasks.spawn(async move {
        while !beat_until.is_cancelled() {
            beating.beat();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = beat_until.cancelled() => {}
            }
        }
    });
    tracing::info!(listen = %settings.http.listen, version = env!("CARGO_PKG_VERSION"), "started");
    if wait_for_schema(&db, &ready, lifecycle).await {
        work(settings, lifecycle, &db, metrics, &ready, &tasks).await?;
    }
    lifecycle.stopped.cancel();
    tasks.close();
    tasks.wait().await;
    db.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits for a schema that serves this binary. `false`: told to stop first.
async fn wait_for_schema(db: &Database, ready: &ReadinessSender, lifecycle: &Lifecycle) -> bool {
    let mut told = None;
    loop {
        let reason = match db.schema_state().await {
            Ok(SchemaState::Serves) => return true,
            Ok(SchemaState::Lacking(reason)) => reason,
            Err(error) => {
                tracing::debug!(
                    error = %crate::causes::causes(&error),
                    "waiting for the database"
                );
                "the database does not answer".to_owned()
            }
        };
        if told.as_ref() != Some(&reason) {
            tracing::warn!(reason, "waiting");
            ready.send_replace(Readiness::NotReady(reason.clone()));
            told = Some(reason);
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
    tasks: &TaskTracker,
) -> anyhow::Result<()> {
    let presence = Presence::default();
    presence.tell(db).await.context("telling the other processes that this one lives")?;
    db.ensure_schedules(&[jobs::HOUSE_WAKE.0]).await.context("setting up the schedules")?;
    let alarm = Alarm::default();
    let parts = build::parts(settings, lifecycle, db, &metrics, &presence, &alarm, tasks)?;
    let (engine, guest) = (parts.engine, parts.guest);
    spawn_watchers(settings, lifecycle, db, &presence, &alarm, &guest, tasks);
    ready.send_replace(Readiness::Ready);
    tracing::info!(owner = %presence.owner(), "ready");

    let fetching = tokio::spawn({
        let (engine, stop) = (engine.clone(), lifecycle.stop.clone());
        async move { engine.run(stop).await }
    });
    watch_database(db, ready, lifecycle).await;
    ready.send_replace(Readiness::Draining);
    tracing::info!("draining: nothing more is claimed");
    // A fetcher that died is an error of the whole process.
    fetching.await.context("the fetcher has died")?;
    drain(&engine, settings.queue.shutdown_grace).await;
    parts.mailer.close().await;
    Ok(())
}

/// Tells whether the database answers, until told to stop.
async fn watch_database(db: &Database, ready: &ReadinessSender, lifecycle: &Lifecycle) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = lifecycle.stop.cancelled() => return,
        }
        let now = match db.schema_state().await {
            Ok(SchemaState::Serves) => Readiness::Ready,
            Ok(SchemaState::Lacking(reason)) => Readiness::NotReady(reason),
            Err(_) => Readiness::NotReady("the database does not answer".to_owned()),
        };
        ready.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

async fn drain(engine: &Engine, grace: Duration) {
    // A little is kept for recording and taking leave.
    let patience = grace.mul_f32(0.9);
    if tokio::time::timeout(patience, engine.drained()).await.is_err() {
        tracing::warn!(
            "not everything ended within queue.shutdown_grace; what is left is released"
        );
    }
}

fn spawn_watchers(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    presence: &Presence,
    alarm: &Alarm,
    guest: &Arc<Guest>,
    tasks: &TaskTracker,
) {
    // The heartbeat goes on through the drain: a process that still works still lives.
    let (telling, told_db, rung) = (presence.clone(), db.clone(), alarm.clone());
    let stopped = lifecycle.stopped.clone();
    tasks.spawn(async move { telling.keep_telling(&told_db, jobs::LINE, &rung, stopped).await });
    if settings.queue.listen {
        let (listening, rung, stop) = (db.clone(), alarm.clone(), lifecycle.stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = queue::listen::listen(&listening, &rung) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    let (watching, stop) = (Arc::clone(guest), lifecycle.stopped.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = watching.watch() => {}
            () = stop.cancelled() => {}
        }
    });
}

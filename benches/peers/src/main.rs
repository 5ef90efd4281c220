//! graphile_worker, driven as `benches/speed` drives Provisor's own queue. The database is named by
//! `DATABASE_URL`; the result goes to standard output, as JSON.
//!
//!     provisor-peers drain JOBS                 how long so many no-op jobs take, until none is left in the table
//!     provisor-peers pickup SHOPS INTERVAL_MS JOBS
//!                                               from a shop's COMMIT to the handler's start, in microseconds, of each; each
//!                                               shop submits so many jobs, as far apart as that on the average
//!
//! `GRAPHILE_CONCURRENCY`, `GRAPHILE_LOCAL_QUEUE` and `GRAPHILE_BATCH_MS` set others than the settings in use, which are the best
//! of those that were tried (docs/PERFORMANCE.md). Each purpose has its own local queue.

use std::{
    collections::HashMap,
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, Worker,
    WorkerContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::mpsc;

/// A job that does nothing but tell that it has begun.
#[derive(Deserialize, Serialize)]
struct Noop {
    n: u64,
}

/// Whom it tells.
#[derive(Clone, Debug)]
struct Seen {
    count: Arc<AtomicU64>,
    begun: Option<mpsc::UnboundedSender<(u64, Instant)>>,
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let begun = Instant::now();
        if let Some(seen) = context.get_ext::<Seen>() {
            if let Some(sender) = &seen.begun {
                let _ = sender.send((self.n, begun));
            }
            seen.count.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), String>(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize| -> anyhow::Result<u64> {
        Ok(args.get(at).context("a number is missing")?.parse()?)
    };
    let told = match args.first().map(String::as_str) {
        Some("drain") => drain(number(1)?).await?,
        Some("pickup") => pickup(number(1)?, number(2)?, number(3)?).await?,
        _ => bail!("say `drain JOBS` or `pickup SHOPS INTERVAL_MS JOBS`"),
    };
    println!("{told}");
    Ok(())
}

fn setting(name: &str, default: u64) -> anyhow::Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| name.to_owned()),
        Err(_) => Ok(default),
    }
}

/// Jobs that are fetched at a time, and wait in the worker.
const LOCAL_QUEUE_OF_A_DRAIN: u64 = 2000;
const LOCAL_QUEUE_OF_PICKUPS: u64 = 100;

async fn worker(pool: &PgPool, seen: Seen, local_queue: u64) -> anyhow::Result<Worker> {
    let local_queue = usize::try_from(setting("GRAPHILE_LOCAL_QUEUE", local_queue)?)?;
    let concurrency = usize::try_from(setting("GRAPHILE_CONCURRENCY", 24)?)?;
    Ok(WorkerOptions::default()
        .pg_pool(pool.clone())
        .concurrency(concurrency)
        .poll_interval(Duration::from_millis(200))
        .local_queue(LocalQueueConfig::default().with_size(local_queue))
        .complete_job_batch_delay(Duration::from_millis(setting("GRAPHILE_BATCH_MS", 5)?))
        .listen_os_shutdown_signals(false)
        .add_extension(seen)
        .define_job::<Noop>()
        .init()
        .await?)
}

async fn connect() -> anyhow::Result<PgPool> {
    let url = env::var("DATABASE_URL").context("DATABASE_URL")?;
    Ok(PgPoolOptions::new().max_connections(20).connect(&url).await?)
}

async fn drain(jobs: u64) -> anyhow::Result<serde_json::Value> {
    let pool = connect().await?;
    let count = Arc::new(AtomicU64::new(0));
    let seen = Seen { count: Arc::clone(&count), begun: None };
    let worker = worker(&pool, seen, LOCAL_QUEUE_OF_A_DRAIN).await?;
    let specs: Vec<RawJobSpec> = (0..jobs)
        .map(|n| RawJobSpec {
            identifier: Noop::IDENTIFIER.to_owned(),
            payload: json!({ "n": n }),
            spec: JobSpec::default(),
        })
        .collect();
    for some in specs.chunks(5000) {
        worker.create_utils().add_raw_jobs(some).await?;
    }
    for sql in ["VACUUM ANALYZE graphile_worker._private_jobs", "CHECKPOINT"] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await?;
    }
    let worker = Arc::new(worker);
    let began = Instant::now();
    let running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    while count.load(Ordering::Relaxed) < jobs {
        ensure!(!running.is_finished(), "the worker has ended by itself");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Durable is what has left the table.
    let left = "SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)";
    while sqlx::query_scalar::<_, bool>(left).fetch_one(&pool).await? {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    worker.request_shutdown();
    let _ = tokio::time::timeout(Duration::from_secs(5), running).await;
    Ok(json!({ "jobs": jobs, "seconds": took.as_secs_f64() }))
}

async fn pickup(shops: u64, interval_ms: u64, jobs: u64) -> anyhow::Result<serde_json::Value> {
    let pool = connect().await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let seen = Seen { count: Arc::default(), begun: Some(sender) };
    let worker = Arc::new(worker(&pool, seen, LOCAL_QUEUE_OF_PICKUPS).await?);
    tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let submitting: Vec<_> =
        (0..shops).map(|shop| tokio::spawn(submit(shop, interval_ms, jobs))).collect();
    // The sessions go on until the last job was picked up, as in benches/speed/pickup.rs.
    let (mut committed, mut sessions) = (HashMap::new(), Vec::new());
    for shop in submitting {
        let (of_shop, session) = shop.await??;
        committed.extend(of_shop);
        sessions.push(session);
    }
    let mut pickups = Vec::new();
    while pickups.len() < committed.len() {
        let told = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await?;
        let (n, begun) = told.context("the worker has ended")?;
        let committing = committed.get(&n).context("a job of nobody's")?;
        let took = begun.saturating_duration_since(*committing);
        pickups.push(u64::try_from(took.as_micros())?);
    }
    drop(sessions);
    worker.request_shutdown();
    Ok(json!({ "pickups_us": pickups }))
}

/// A shop at work: each job, and when it was about to be committed; and its session.
async fn submit(
    shop: u64,
    interval_ms: u64,
    jobs: u64,
) -> anyhow::Result<(Vec<(u64, Instant)>, PgConnection)> {
    let mut connection = PgConnection::connect(&env::var("DATABASE_URL")?).await?;
    let mut committed = Vec::new();
    for n in shop * jobs..(shop + 1) * jobs {
        // As in benches/speed/pickup.rs.
        let thousandths = 500 + ((n - shop * jobs) * 618 + shop * 414) % 1000;
        tokio::time::sleep(Duration::from_micros(interval_ms * thousandths)).await;
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT graphile_worker.add_job('noop', json_build_object('n', $1::bigint))")
            .bind(i64::try_from(n)?)
            .execute(&mut *transaction)
            .await?;
        committed.push((n, Instant::now()));
        transaction.commit().await?;
    }
    Ok((committed, connection))
}

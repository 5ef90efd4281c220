//! graphile_worker at its best settings, driven as `benches/speed` drives Provisor's own queue. The database is named by
//! `DATABASE_URL`; the result goes to standard output, as JSON.
//!
//!     provisor-peers drain JOBS                 how long so many no-op jobs take, until none is left in the table
//!     provisor-peers pickup JOBS INTERVAL_MS    from a shop's COMMIT to the handler's start, in microseconds, of each
//!
//! The settings are those at which it was fastest on two cores: `GRAPHILE_CONCURRENCY`, `GRAPHILE_LOCAL_QUEUE` and
//! `GRAPHILE_BATCH_MS` set others.

use std::{
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
        Some("pickup") => pickup(number(1)?, Duration::from_millis(number(2)?)).await?,
        _ => bail!("say `drain JOBS` or `pickup JOBS INTERVAL_MS`"),
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

async fn worker(pool: &PgPool, seen: Seen) -> anyhow::Result<Worker> {
    let local_queue = usize::try_from(setting("GRAPHILE_LOCAL_QUEUE", 100)?)?;
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
    let worker = worker(&pool, Seen { count: Arc::clone(&count), begun: None }).await?;
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

async fn pickup(jobs: u64, interval: Duration) -> anyhow::Result<serde_json::Value> {
    let pool = connect().await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let seen = Seen { count: Arc::default(), begun: Some(sender) };
    let worker = Arc::new(worker(&pool, seen).await?);
    tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    let mut shop = PgConnection::connect(&env::var("DATABASE_URL")?).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut pickups = Vec::new();
    for n in 0..jobs {
        tokio::time::sleep(interval).await;
        let mut transaction = shop.begin().await?;
        sqlx::query("SELECT graphile_worker.add_job('noop', json_build_object('n', $1::bigint))")
            .bind(i64::try_from(n)?)
            .execute(&mut *transaction)
            .await?;
        let committing = Instant::now();
        transaction.commit().await?;
        let begun = loop {
            let told = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await?;
            let (of, begun) = told.context("the worker has ended")?;
            if of == n {
                break begun;
            }
        };
        pickups.push(u64::try_from(begun.duration_since(committing).as_micros())?);
    }
    worker.request_shutdown();
    Ok(json!({ "pickups_us": pickups }))
}

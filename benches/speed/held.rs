//! A snapshot that is held open: what nobody can vacuum meanwhile must not slow the queue down.

use std::time::{Duration, Instant};

use provisor::db::wakes::Lane;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::{
    Length,
    bars::{Plot, Report, Series, number, percentile},
    drain::CONCURRENCY,
    server::{Server, run},
    worker::{KIND, Then, Worker, insert},
};

/// So many runs before.
const CYCLES: usize = 1_000_000;

/// Offered while the snapshot is held: so many a second, so many at a time.
const RATE: u32 = 800;
const AT_ONCE: u32 = 8;

/// What the table looks like.
async fn told(
    connection: &mut PgConnection,
    report: &mut Report,
    when: &str,
) -> anyhow::Result<()> {
    let row = sqlx::query(
        "SELECT pg_relation_size('provisor.wakes_due') AS index, pg_relation_size('provisor.wakes') AS heap,
                (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'wakes') AS dead",
    )
    .fetch_one(connection)
    .await?;
    let mib = |name: &str| -> anyhow::Result<f64> {
        Ok(number(row.try_get::<i64, _>(name)? / 1024) / 1024.0)
    };
    report.row(&format!("{when}: index"), mib("index")?, "MiB");
    report.row(&format!("{when}: table"), mib("heap")?, "MiB");
    report.row(&format!("{when}: dead rows"), number(row.try_get::<i64, _>("dead")?), "");
    Ok(())
}

/// A table that has seen much.
async fn cycles(url: &str) -> anyhow::Result<()> {
    insert(url, 1, 20_000, Lane::Place, "clock_timestamp()").await?;
    run(url, &["VACUUM ANALYZE provisor.wakes"]).await?;
    let mut worker = Worker::start(url, CONCURRENCY, Then::Again(Duration::ZERO)).await?;
    worker.seen.until(CYCLES).await;
    worker.rest().await?;
    worker.end();
    run(url, &["UPDATE provisor.wakes SET due_at = 'infinity'"]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let held_for = Duration::from_mins(if length == Length::Long { 20 } else { 5 });
    let url = server.migrated("bench_held").await?;
    let mut watching = PgConnection::connect(&url).await?;
    cycles(&url).await?;
    told(&mut watching, report, "before").await?;

    let mut holding = PgConnection::connect(&url).await?;
    holding.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    holding.execute("SELECT count(*) FROM provisor.schema_info").await?;
    let mut worker = Worker::start(&url, CONCURRENCY, Then::Rest).await?;
    worker.seen.watch();
    let (mut offered, mut backlog_max, mut minutes) = (0_u32, 0_usize, Vec::new());
    let (mut late, mut late_of_ten_seconds) = (Vec::new(), Vec::new());
    let mut shop = PgConnection::connect(&url).await?;
    let pause = Duration::from_secs(1) * AT_ONCE / RATE;
    let mut ticks = tokio::time::interval(pause);
    let began = Instant::now();
    while began.elapsed() < held_for {
        ticks.tick().await;
        let first = 1_000_000 + u64::from(offered);
        offered += AT_ONCE;
        sqlx::query(
            "WITH new AS (
                 INSERT INTO provisor.wakes (id, lane, due_at)
                 SELECT ($1 + i) * 16 + $2, 0, clock_timestamp() FROM generate_series(0, $3 - 1) AS i RETURNING id)
             SELECT provisor.notify_workers() IS NULL FROM (SELECT count(*) FROM new) AS all_of_them",
        )
        .bind(i64::try_from(first)?)
        .bind(i32::from(KIND))
        .bind(i32::try_from(AT_ONCE)?)
        .execute(&mut shop)
        .await?;
        let ended = worker.seen.ended();
        backlog_max = backlog_max.max(usize::try_from(offered)?.saturating_sub(ended));
        if offered % (RATE * 10) == 0 {
            late_of_ten_seconds
                .extend(worker.seen.noted().iter().map(|(.., late)| f64::from(*late) / 1000.0));
            minutes.push((
                began.elapsed().as_secs_f64() / 60.0,
                percentile(&late_of_ten_seconds, 99.0),
            ));
            late.append(&mut late_of_ten_seconds);
        }
    }
    let took = began.elapsed();
    late.extend(worker.seen.noted().iter().map(|(.., late)| f64::from(*late) / 1000.0));
    let done = worker.seen.ended();
    told(&mut watching, report, "during").await?;
    worker.rest().await?;
    worker.end();
    holding.execute("ROLLBACK").await?;
    run(&url, &["VACUUM provisor.wakes"]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    told(&mut watching, report, "after").await?;

    let rate = number(done) / took.as_secs_f64();
    report.row("offered under a held snapshot", f64::from(offered) / took.as_secs_f64(), "/s");
    report.at_least(
        "runs under a held snapshot, of those wanted",
        number(done) / (f64::from(RATE) * held_for.as_secs_f64()),
        0.99,
        "×",
    );
    report.row("runs under a held snapshot", rate, "/s");
    report.at_most("pickup under a held snapshot, p99", percentile(&late, 99.0), 100.0, "ms");
    report.at_most("backlog under a held snapshot", number(backlog_max), f64::from(RATE), "");
    report.plots.push(Plot {
        name: "held-snapshot",
        title: "Pickup under a held snapshot",
        across: "minutes",
        up: "p99 of ten seconds, ms",
        is_log: false,
        series: vec![Series { label: "Provisor".to_owned(), points: minutes }],
    });
    drop((watching, holding, shop));
    server.drop("bench_held").await
}

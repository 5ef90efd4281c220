//! A soak: whole orders at a steady rate for an hour. What shall hold for weeks neither slows down nor grows.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, Row as _};

use crate::{
    Length,
    bars::{Plot, Report, Series, median, number},
    machine::memory_mb,
    orders::Installation,
    server::{Server, value},
};

/// Orders offered a second: a sixth of what the two cores can do.
const RATE: u32 = 100;

/// The soak is watched in so many parts; the first quarter is held against the last.
const WINDOWS: u32 = 12;
const QUARTER: usize = 3;

/// An order is done when it is first asked about, two seconds after it was placed.
const END_WITHIN: Duration = Duration::from_secs(10);

/// How often memory and dead rows are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was seen in one part of the soak.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// From the submission to the upstream's word, p99, in ms.
    placed_p99: f64,
    /// Orders that ended, a second.
    rate: f64,
    /// The most dead rows: of the queue's table, and of all tables as a share of their live ones.
    dead: f64,
    dead_share: f64,
    /// The most memory of the daemon, in MB.
    memory: f64,
    /// Processor time of an order, in µs.
    daemon: f64,
    postgres: f64,
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let minutes = if length == Length::Long { 60 } else { 3 };
    let window = Duration::from_mins(minutes) / WINDOWS;
    let url = server.migrated("bench_soak").await?;
    let mut installation = Installation::start(server, url, 1, &[], 1000).await?;
    let mut windows = vec![Window::default(); usize::try_from(WINDOWS)?];
    // By the server's clock, as it stamps the orders.
    let began =
        value(&installation.url, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            .await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut offered = 0_u32;
    let start = Instant::now();
    for (n, seen) in (1_u32..).zip(&mut windows) {
        let (used, offered_before) = (installation.used()?, offered);
        let mut looked = Instant::now();
        while start.elapsed() < window * n {
            ticks.tick().await;
            installation.submit_one(&format!("soak-{offered}")).await?;
            offered += 1;
            if looked.elapsed() > LOOK_EVERY {
                looked = Instant::now();
                look(&mut installation, seen).await?;
            }
        }
        let used = installation.used()?.of_each(used, offered - offered_before);
        (seen.daemon, seen.postgres) = (used.daemon, used.postgres);
    }
    tokio::time::sleep(END_WITHIN).await;
    placed(&installation.url, began, window, &mut windows).await?;
    let ended = value(
        &installation.url,
        "SELECT count(*) FROM provisor.orders WHERE reference LIKE 'soak-%' AND finished_at IS NOT NULL",
    )
    .await?;
    tell(report, &windows, window);
    let wanted = f64::from(RATE) * (window * WINDOWS).as_secs_f64();
    report.at_least(
        "orders that the soak has ended, of those wanted",
        number(ended) / wanted,
        0.99,
        "×",
    );
    installation.until_emailed().await?;
    installation.end().await?;
    server.drop("bench_soak").await
}

/// Notes memory and dead rows.
async fn look(installation: &mut Installation<'_>, seen: &mut Window) -> anyhow::Result<()> {
    let row = sqlx::query(
        "SELECT sum(n_dead_tup)::float8 AS dead, sum(n_live_tup)::float8 AS live,
                (sum(n_dead_tup) FILTER (WHERE relname = 'wakes'))::float8 AS wakes
         FROM pg_stat_user_tables WHERE schemaname = 'provisor'",
    )
    .fetch_one(installation.watching())
    .await?;
    seen.dead = seen.dead.max(row.try_get("wakes")?);
    let of_all = row.try_get::<f64, _>("dead")? / row.try_get::<f64, _>("live")?.max(1.0);
    seen.dead_share = seen.dead_share.max(of_all);
    for daemon in &installation.daemons {
        let memory = memory_mb(daemon.process.pid(), "VmRSS")?;
        seen.memory = seen.memory.max(memory);
    }
    Ok(())
}

/// How long orders took to be placed, and how many ended, by the parts of the soak.
async fn placed(
    url: &str,
    began_ms: i64,
    window: Duration,
    windows: &mut [Window],
) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let rows = sqlx::query(
        "WITH soaked AS (
             SELECT o.submitted_at, o.finished_at, l.accepted_at
             FROM provisor.orders o JOIN provisor.order_lines l ON l.order_id = o.id
             WHERE o.reference LIKE 'soak-%'),
         parts AS (
             SELECT n, to_timestamp($1::bigint / 1000.0) + (n - 1) * $2::float8 * interval '1 second' AS since,
                    to_timestamp($1::bigint / 1000.0) + n * $2::float8 * interval '1 second' AS till
             FROM generate_series(1, $3) AS n)
         SELECT (SELECT extract(epoch FROM percentile_cont(0.99) WITHIN GROUP (ORDER BY accepted_at - submitted_at))::float8
                 FROM soaked WHERE submitted_at >= since AND submitted_at < till) AS placed,
                (SELECT count(*) FROM soaked WHERE finished_at >= since AND finished_at < till) AS finished
         FROM parts ORDER BY n",
    )
    .bind(began_ms)
    .bind(window.as_secs_f64())
    .bind(i32::try_from(WINDOWS)?)
    .fetch_all(&mut connection)
    .await?;
    for (row, seen) in rows.iter().zip(windows) {
        seen.rate = number(row.try_get::<i64, _>("finished")?) / window.as_secs_f64();
        seen.placed_p99 = row.try_get::<Option<f64>, _>("placed")?.unwrap_or(f64::NAN) * 1000.0;
    }
    connection.close().await?;
    Ok(())
}

/// A figure of a part of the soak.
type Figure = fn(&Window) -> f64;

fn tell(report: &mut Report, windows: &[Window], window: Duration) {
    println!(
        "minute  orders/s  placed p99 ms  dead wakes  dead of all  memory MB  daemon µs  PostgreSQL µs"
    );
    let minute = |n: u32| f64::from(n) * window.as_secs_f64() / 60.0;
    for (n, seen) in (1..).zip(windows) {
        println!(
            "{:>6.1}  {:>8.1}  {:>13.1}  {:>10.0}  {:>11.3}  {:>10.1}  {:>9.0}  {:>13.0}",
            minute(n),
            seen.rate,
            seen.placed_p99,
            seen.dead,
            seen.dead_share,
            seen.memory,
            seen.daemon,
            seen.postgres
        );
    }
    let flat: [(&str, Figure, f64, &'static str); 3] = [
        ("placed, p99", |seen| seen.placed_p99, 1.5, "ms"),
        ("dead rows of the queue", |seen| seen.dead, 1.5, ""),
        ("memory of the daemon", |seen| seen.memory, 1.1, "MB"),
    ];
    let of = |figure: Figure| -> (f64, f64) {
        let figures: Vec<f64> = windows.iter().map(figure).collect();
        let first = median(figures.get(..QUARTER).unwrap_or_default());
        (first, median(figures.get(figures.len() - QUARTER..).unwrap_or_default()))
    };
    let mut quarters = |what: &str, figure: Figure, unit: &'static str| {
        let (first, last) = of(figure);
        report.row(&format!("soak, first quarter: {what}"), first, unit);
        report.row(&format!("soak, last quarter: {what}"), last, unit);
        last / first
    };
    let daemon = quarters("the daemon's processor time of an order", |seen| seen.daemon, "µs");
    let postgres = quarters("PostgreSQL's processor time of an order", |seen| seen.postgres, "µs");
    let ratios = flat.map(|(what, figure, most, unit)| (what, quarters(what, figure, unit), most));
    quarters("dead rows of all tables, of the live ones", |seen| seen.dead_share * 100.0, "%");
    let rate = quarters("orders that ended", |seen| seen.rate, "/s");
    report.row("soak, last quarter of the first: the daemon's processor time", daemon, "×");
    report.row("soak, last quarter of the first: PostgreSQL's processor time", postgres, "×");
    for (what, ratio, most) in ratios {
        report.at_most(&format!("soak, last quarter of the first: {what}"), ratio, most, "×");
    }
    report.at_least("soak, last quarter of the first: orders that ended", rate, 0.95, "×");
    let plots: [(&'static str, &'static str, &'static str, Figure); 4] = [
        ("soak-rate", "Soak: orders that ended", "a second", |seen| seen.rate),
        ("soak-placed", "Soak: from the submission to the upstream's word", "p99, ms", |seen| {
            seen.placed_p99
        }),
        ("soak-dead", "Soak: dead rows of the queue", "rows", |seen| seen.dead),
        ("soak-memory", "Soak: memory of the daemon", "MB", |seen| seen.memory),
    ];
    for (name, title, up, figure) in plots {
        let points = (1..).zip(windows).map(|(n, seen)| (minute(n), figure(seen))).collect();
        let series = vec![Series { label: "Provisor".to_owned(), points }];
        report.plots.push(Plot { name, title, across: "minutes", up, is_log: false, series });
    }
}

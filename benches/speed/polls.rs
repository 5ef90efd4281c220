//! A million orders in provisioning, each polled every five minutes: 3,300 polls a second, and an upstream that answers at
//! once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;
use axum::{
    Router,
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::get,
};
use chrono::{DateTime, Utc};
use provisor::clock;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::net::TcpListener;

use crate::{
    Length,
    bars::{Plot, Report, Series, number, percentile},
    machine::{cpu_of, cpu_of_server, memory_mb},
    processes::Daemon,
    server::{Server, counters, run, value},
};

/// Orders in provisioning, and their interval.
const ORDERS: u32 = 1_000_000;
const INTERVAL: Duration = Duration::from_mins(5);

/// So long the daemon is given to come up to speed before anything counts.
const WARM_UP: Duration = Duration::from_secs(20);

/// Prometheus' own default is a minute.
const SCRAPE_EVERY: Duration = Duration::from_secs(15);

/// It is watched for so long after that, by the run's length. With the warm-up less than three quarters of the interval,
/// after which the first order may come a second time: lateness is counted from when it was due first.
const fn watched(length: Length) -> Duration {
    match length {
        Length::Short => Duration::from_mins(1),
        Length::Long => Duration::from_mins(3),
    }
}

/// When which order was asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Polls>>);

/// Each with its order.
type Polls = Vec<(u32, DateTime<Utc>)>;

impl Asked {
    fn taken(&self) -> Polls {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An upstream where nothing ever gets on.
async fn show(State(asked): State<Asked>, Path(id): Path<u32>) -> impl IntoResponse {
    asked.0.lock().unwrap_or_else(PoisonError::into_inner).push((id, clock::now()));
    let answer = json!({
        "success": true, "jti": "00000000-0000-4000-8000-000000000000",
        "data": {
            "order": { "id": id, "status": "pending", "source": "reseller-api", "order_lines": [],
                       "summary": format!("SHOP-{id}/0: 5GB hosting"), "total_price": 4.49 },
            "simple_status": "pending",
            "provisioning": { "overall": "pending", "lines": [
                { "index": 0, "type": "hosting", "state": "pending", "site_id": null, "domain": null }] } },
    });
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string())
}

/// The daemon's own looks at the account. Without an answer it would take the upstream for away.
async fn list_sites() -> impl IntoResponse {
    let answer = json!({ "success": true, "jti": "00000000-0000-4000-8000-000000000000",
                         "data": { "sites": [], "total": 0, "page": 1, "per_page": 100, "total_pages": 0 } });
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string())
}

async fn serve(listener: TcpListener, asked: Asked) -> std::io::Result<()> {
    let router = Router::new()
        .route("/api/v1/orders/{id}", get(show))
        .route("/api/hosting/v1/sites", get(list_sites))
        .with_state(asked);
    axum::serve(listener, router).await
}

/// Orders as they stand when LJPc has accepted them and does nothing; each is due at its own moment of the interval.
async fn furnish(url: &str) -> anyhow::Result<DateTime<Utc>> {
    let mut connection = PgConnection::connect(url).await?;
    for sql in [
        "ALTER TABLE provisor.orders DISABLE TRIGGER USER",
        "INSERT INTO provisor.customers (first_name, last_name, email) VALUES ('Bob', 'Brown', 'bob@example.com')",
    ] {
        connection.execute(sql).await?;
    }
    for sql in [
        "INSERT INTO provisor.orders (reference, customer_id, document, status)
         SELECT 'SHOP-' || i, (SELECT id FROM provisor.customers),
                jsonb_build_object('reference', 'SHOP-' || i, 'lines', '[]'::jsonb), 'in_progress'
         FROM generate_series(1, $1) AS i",
        "INSERT INTO provisor.order_lines
             (order_id, line, kind, wish, domain, status, upstream_order_id, cost, simple_status, accepted_at, sent)
         SELECT id, 0, 'hosting', jsonb_build_object('kind', 'hosting', 'package', 'hosting_5gb', 'billing_period',
                'monthly', 'domain', lower(reference) || '.example'), lower(reference) || '.example', 'provisioning',
                substr(reference, 6)::bigint, 4.49, 'pending', clock_timestamp(), true
         FROM provisor.orders WHERE substr(reference, 6)::bigint <= $1",
        "INSERT INTO provisor.effects (line_id, step, n, tag, state, domain, claims_site, upstream_order_id)
         SELECT l.id, 'place_order', 1, o.reference || '/0', 'accepted', l.domain, true, l.upstream_order_id
         FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id WHERE l.upstream_order_id <= $1",
    ] {
        sqlx::query(sql).bind(i64::from(ORDERS)).execute(&mut connection).await?;
    }
    // Thirty polls ago: the schedule is at its longest interval, and the moments are spread.
    let start: DateTime<Utc> =
        sqlx::query_scalar("SELECT clock_timestamp() + interval '60 seconds'")
            .fetch_one(&mut connection)
            .await?;
    sqlx::query(
        "INSERT INTO provisor.wakes (id, lane, due_at, tries, run_token)
         SELECT l.id * 16 + 1, 2, $1 + l.upstream_order_id * ($2::float8 / $3::float8) * interval '1 second', 30, 1
         FROM provisor.order_lines l ORDER BY l.upstream_order_id",
    )
    .bind(start)
    .bind(INTERVAL.as_secs_f64())
    .bind(f64::from(ORDERS))
    .execute(&mut connection)
    .await?;
    connection.execute("ALTER TABLE provisor.orders ENABLE TRIGGER USER").await?;
    connection.close().await?;
    Ok(start)
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let watched = watched(length);
    let url = server.migrated("bench_polls").await?;
    let start = furnish(&url).await?;
    run(&url, &["VACUUM ANALYZE", "CHECKPOINT"]).await?;
    let asked = Asked::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    let serving = tokio::spawn(serve(listener, asked.clone()));
    let daemon = Daemon::start(&url, upstream, upstream, &[]).await?;
    let until_start = (start - clock::now()).to_std().unwrap_or_default();
    ensure!(!until_start.is_zero(), "the orders took too long to make");
    tokio::time::sleep(until_start + WARM_UP).await;
    // Of all tables but those of the queue and of the processes themselves, which tell that they live and what they reserve.
    let written = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables
                   WHERE schemaname = 'provisor' AND relname NOT IN ('wakes', 'processes', 'upstream_budgets')";
    let (rows, before) = (value(&url, written).await?, counters(&url).await?);
    let used = (cpu_of(daemon.process.pid())?, cpu_of_server(server.postmaster)?);
    let mut orders: HashSet<u32> = asked.taken().into_iter().map(|(id, _)| id).collect();
    let scrapes = scrape_for(&daemon, watched).await?;
    let polls = asked.taken();
    let then = (cpu_of(daemon.process.pid())?, cpu_of_server(server.postmaster)?);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = counters(&url).await?;
    let late: Vec<f64> = polls
        .iter()
        .map(|(id, at)| {
            let due = start + INTERVAL.mul_f64(f64::from(*id) / f64::from(ORDERS));
            number((*at - due).num_microseconds().unwrap_or(0).max(0)) / 1000.0
        })
        .collect();
    report.row("a scrape of the metrics, the longest", percentile(&scrapes, 100.0), "ms");
    let made = number(polls.len());
    let twice = polls.iter().filter(|(id, _)| !orders.insert(*id)).count();
    report.row("polls", made / watched.as_secs_f64(), "/s");
    let of_each = |took: Duration| took.as_secs_f64() * 1e6 / made;
    report.row(
        "the daemon's processor time of a poll",
        of_each(then.0.saturating_sub(used.0)),
        "µs",
    );
    report.row(
        "PostgreSQL's processor time of a poll",
        of_each(then.1.saturating_sub(used.1)),
        "µs",
    );
    report.row("lateness of a poll, p50", percentile(&late, 50.0), "ms");
    report.at_most("lateness of a poll, p99", percentile(&late, 99.0), 250.0, "ms");
    report.at_least(
        "polls made, of those due",
        made / (f64::from(ORDERS) * watched.as_secs_f64() / INTERVAL.as_secs_f64()),
        0.99,
        "×",
    );
    report.at_most(
        "orders polled twice within three quarters of the interval",
        number(twice),
        0.0,
        "",
    );
    let wal = number(after.wal - before.wal) / made;
    report.at_most("WAL of a poll that changes nothing", wal / 1024.0, 1.0, "KiB");
    let rows = value(&url, written).await? - rows;
    report.at_most("rows that such polls have written but for their wakes", number(rows), 0.0, "");
    let memory = memory_mb(daemon.process.pid(), "VmHWM")?;
    report.at_most("memory of a daemon with a million open orders", memory, 60.0, "MB");
    report.plots.push(plot(&late));
    daemon.process.end().await?;
    serving.abort();
    server.drop("bench_polls").await
}

/// Reads the metrics as a scraper does, for so long. How long each time took, in ms.
async fn scrape_for(daemon: &Daemon, watched: Duration) -> anyhow::Result<Vec<f64>> {
    let (until, mut took) = (Instant::now() + watched, Vec::new());
    let mut ticks = tokio::time::interval(SCRAPE_EVERY);
    while Instant::now() < until {
        tokio::select! {
            _ = ticks.tick() => took.push(daemon.scrape().await?.as_secs_f64() * 1000.0),
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }
    Ok(took)
}

/// How many hundredths of the polls are at most so late.
fn plot(late: &[f64]) -> Plot {
    let point = |part: u32| (percentile(late, f64::from(part)), f64::from(part));
    let points = (0..=100).map(point).collect();
    Plot {
        name: "lateness",
        title: "Lateness of parked polls, a million orders in provisioning",
        across: "ms",
        up: "per cent of the polls",
        is_log: true,
        series: vec![Series { label: "Provisor".to_owned(), points }],
    }
}

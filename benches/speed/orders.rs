//! Whole orders: from SQL to completed and emailed, by the daemon, against the sandbox without delay.

use std::time::{Duration, Instant};

use anyhow::ensure;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{
    Length,
    bars::{Report, number},
    machine::{cpu_of, cpu_of_server},
    pickup::order,
    processes::{Daemon, Sandbox},
    server::{Server, counters, run, value},
};

/// Shops that submit at once.
const SHOPS: u32 = 8;

/// The first of those that are measured find everything warm.
const WARM: u32 = 20;

/// The statuses of lines that are not done; there is an index of them.
const OPEN: &str = "('pending', 'placing', 'in_doubt', 'provisioning', 'held')";

/// It must not take longer.
const PATIENCE: Duration = Duration::from_mins(10);

/// What was used by a run of orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Orders a second, from the first submission to the last email.
    pub(crate) rate: f64,
    /// Processor time of all daemons, for each.
    pub(crate) daemon_us: f64,
    /// Of PostgreSQL.
    pub(crate) postgres_us: f64,
    /// Of the sandbox, which is no part of the product.
    pub(crate) sandbox_us: f64,
    /// Transactions.
    pub(crate) transactions: f64,
    /// WAL, in bytes.
    pub(crate) wal: f64,
}

/// What is carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    /// Orders that are there already when it begins. An installation has some, and its tables are known to the planner.
    pub(crate) earlier: u32,
    /// How many are measured.
    pub(crate) orders: u32,
    /// So many of them are open at a time, at most; none: as many as shops can submit.
    pub(crate) in_flight: Option<u32>,
    /// By so many daemons.
    pub(crate) daemons: u32,
}

/// Lets shops submit orders, and waits until all are emailed.
pub(crate) async fn carry_out(server: &Server, url: &str, task: Task) -> anyhow::Result<Cost> {
    let Task { earlier, orders, in_flight, daemons } = task;
    let sandbox = Sandbox::start().await?;
    let mut running = Vec::new();
    for _ in 0..daemons {
        running.push(Daemon::start(url, sandbox.ljpc, sandbox.smtp, &[]).await?);
    }
    let used = |running: &[Daemon]| -> anyhow::Result<[Duration; 3]> {
        let daemons: anyhow::Result<Vec<Duration>> =
            running.iter().map(|daemon| cpu_of(daemon.process.pid())).collect();
        let server = cpu_of_server(server.postmaster)?;
        Ok([daemons?.iter().sum(), server, cpu_of(sandbox.process.pid())?])
    };
    submit_at_once(url, "earlier", earlier).await?;
    until_emailed(url, earlier).await?;
    run(url, &["VACUUM ANALYZE"]).await?;
    // Connections, caches and statements are there by then.
    submit(url, "warm", 0..WARM, WARM).await?;
    until_emailed(url, earlier + WARM).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (before, counted) = (used(&running)?, counters(url).await?);
    let began = Instant::now();
    match in_flight {
        None => submit_at_once(url, "shop", orders).await?,
        Some(most) => submit(url, "shop", 0..orders, most).await?,
    }
    until_emailed(url, earlier + WARM + orders).await?;
    let took = began.elapsed();
    let after = used(&running)?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let then = counters(url).await?;
    for daemon in running {
        daemon.process.end().await?;
    }
    let of_each = |at: usize| {
        let took = after
            .get(at)
            .zip(before.get(at))
            .map_or(Duration::ZERO, |(to, from)| to.saturating_sub(*from));
        took.as_secs_f64() * 1e6 / f64::from(orders)
    };
    Ok(Cost {
        rate: f64::from(orders) / took.as_secs_f64(),
        daemon_us: of_each(0),
        postgres_us: of_each(1),
        sandbox_us: of_each(2),
        transactions: number(then.transactions - counted.transactions) / f64::from(orders),
        wal: number(then.wal - counted.wal) / f64::from(orders),
    })
}

/// Lets all shops submit their part of so many orders at once.
async fn submit_at_once(url: &str, name: &'static str, orders: u32) -> anyhow::Result<()> {
    ensure!(orders.is_multiple_of(SHOPS), "{SHOPS} shops submit as many orders each");
    let each = orders / SHOPS;
    let shops = (0..SHOPS).map(|shop| {
        let url = url.to_owned();
        tokio::spawn(async move { submit(&url, name, shop * each..(shop + 1) * each, each).await })
    });
    for shop in shops.collect::<Vec<_>>() {
        shop.await??;
    }
    Ok(())
}

/// Submits orders one after the other, and waits whenever so many are open.
async fn submit(
    url: &str,
    shop: &str,
    numbers: std::ops::Range<u32>,
    open_max: u32,
) -> anyhow::Result<()> {
    let mut connection = by_indexes(url).await?;
    let total = numbers.end - numbers.start;
    for (done, n) in (0..).zip(numbers) {
        if open_max < total && done >= open_max {
            let began = Instant::now();
            let open = format!("SELECT count(*) FROM provisor.order_lines WHERE status IN {OPEN}");
            while sqlx::query_scalar::<_, i64>(AssertSqlSafe(&*open))
                .fetch_one(&mut connection)
                .await?
                >= open_max.into()
            {
                ensure!(began.elapsed() < PATIENCE, "the orders stand still");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        sqlx::query("SELECT provisor.submit_order($1)")
            .bind(order(&format!("{shop}-{n}")))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(())
}

/// A session that goes by the indexes of what is open: what only looks on must not go through all orders, on the same two
/// cores.
async fn by_indexes(url: &str) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute("SET enable_seqscan = off").await?;
    Ok(connection)
}

/// Waits until so many emails, one an order, are sent.
async fn until_emailed(url: &str, orders: u32) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut connection = by_indexes(url).await?;
    let is_left = format!(
        "SELECT EXISTS (SELECT FROM provisor.order_lines WHERE status IN {OPEN})
             OR EXISTS (SELECT FROM provisor.email_outbox WHERE status = 'queued')"
    );
    while sqlx::query_scalar::<_, bool>(AssertSqlSafe(&*is_left)).fetch_one(&mut connection).await?
    {
        ensure!(began.elapsed() < PATIENCE, "the orders were not done within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    connection.close().await?;
    let sent =
        value(url, "SELECT count(*) FROM provisor.email_outbox WHERE status = 'sent'").await?;
    ensure!(sent == i64::from(orders), "{sent} emails were sent for {orders} orders");
    Ok(())
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let url = server.migrated("bench_orders").await?;
    let orders = if length == Length::Long { 30_000 } else { 12_000 };
    let task = Task { earlier: 12_000, orders, in_flight: None, daemons: 1 };
    let cost = carry_out(server, &url, task).await?;
    report.row("the sandbox's processor time of an order", cost.sandbox_us, "µs");
    report.row("transactions of an order", cost.transactions, "");
    report.row("WAL of an order", cost.wal / 1024.0, "KiB");
    report.at_most("the daemon's processor time of an order", cost.daemon_us, 700.0, "µs");
    report.at_most("PostgreSQL's processor time of an order", cost.postgres_us, 700.0, "µs");
    report.at_least("orders completed and emailed", cost.rate, 600.0, "/s");
    server.drop("bench_orders").await
}

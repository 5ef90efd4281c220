//! Whole orders: from SQL to completed and emailed, by the daemon, against the sandbox without delay.

use std::time::{Duration, Instant};

use anyhow::ensure;
use sqlx::{Connection as _, PgConnection};

use crate::{
    Length,
    bars::{Report, number},
    machine::{cpu_of, cpu_of_server},
    pickup::order,
    processes::{Daemon, Sandbox},
    server::{Server, counters, value},
};

/// Shops that submit at once.
const SHOPS: u32 = 8;

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

/// Lets shops submit so many orders, at most `in_flight` of which are open at a time, and waits until all are emailed.
pub(crate) async fn carry_out(
    server: &Server,
    url: &str,
    orders: u32,
    in_flight: Option<u32>,
    daemons: u32,
) -> anyhow::Result<Cost> {
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
    // Connections, caches and statements are there by then.
    submit(url, "warm", 0..20, 20).await?;
    until_emailed(url, 20).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (before, counted) = (used(&running)?, counters(url).await?);
    let began = Instant::now();
    match in_flight {
        None => {
            let each = orders / SHOPS;
            let shops = (0..SHOPS).map(|shop| {
                let url = url.to_owned();
                tokio::spawn(async move {
                    submit(&url, "shop", shop * each..(shop + 1) * each, each).await
                })
            });
            for shop in shops.collect::<Vec<_>>() {
                shop.await??;
            }
        }
        Some(most) => submit(url, "shop", 0..orders, most).await?,
    }
    until_emailed(url, orders + 20).await?;
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

/// Submits orders one after the other, and waits whenever so many are open.
async fn submit(
    url: &str,
    shop: &str,
    numbers: std::ops::Range<u32>,
    open_max: u32,
) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let total = numbers.end - numbers.start;
    for (done, n) in (0..).zip(numbers) {
        if open_max < total && done >= open_max {
            let began = Instant::now();
            let open = "SELECT count(*) FROM provisor.orders WHERE finished_at IS NULL";
            while sqlx::query_scalar::<_, i64>(open).fetch_one(&mut connection).await?
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

/// Waits until so many emails, one an order, are sent.
async fn until_emailed(url: &str, orders: u32) -> anyhow::Result<()> {
    let began = Instant::now();
    let sent = "SELECT count(*) FROM provisor.email_outbox WHERE status = 'sent'";
    while value(url, sent).await? < orders.into() {
        ensure!(began.elapsed() < PATIENCE, "the orders were not done within {PATIENCE:?}");
        // Counting goes through all of them, on the same two cores.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let url = server.migrated("bench_orders").await?;
    let orders = if length == Length::Long { 30_000 } else { 12_000 };
    let cost = carry_out(server, &url, orders, None, 1).await?;
    report.row("the sandbox's processor time of an order", cost.sandbox_us, "µs");
    report.row("transactions of an order", cost.transactions, "");
    report.row("WAL of an order", cost.wal / 1024.0, "KiB");
    report.at_most("the daemon's processor time of an order", cost.daemon_us, 700.0, "µs");
    report.at_most("PostgreSQL's processor time of an order", cost.postgres_us, 700.0, "µs");
    report.at_least("orders completed and emailed", cost.rate, 600.0, "/s");
    server.drop("bench_orders").await
}

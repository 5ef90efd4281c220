//! Whole orders: from SQL to completed and emailed, by the daemon, against the sandbox without delay.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::sync::Semaphore;

use crate::{
    Length,
    bars::{Report, number},
    drain::settle,
    machine::{cpu_of, cpu_of_server, cpu_of_thread},
    pickup::order,
    processes::{Daemon, Sandbox},
    server::{Server, counters, run, value},
};

/// Shops that submit at once.
const SHOPS: u32 = 8;

/// The statuses of lines that are not done; there is an index of them.
const OPEN: &str = "('pending', 'placing', 'in_doubt', 'provisioning', 'held')";

/// How often it is looked whether another order may be submitted: less often where many are open, for a look goes through
/// them all.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOK_EVERY_OF_MANY: Duration = Duration::from_millis(20);
const MANY: u32 = 100;

/// It must not take longer.
const PATIENCE: Duration = Duration::from_mins(10);

/// What was used by a run of orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Orders a second, from the first submission to the last email.
    pub(crate) rate: f64,
    /// For each.
    pub(crate) used: Used,
    /// Statements, for each.
    pub(crate) statements: f64,
    /// WAL, in bytes, for each.
    pub(crate) wal: f64,
    /// How many orders were open, on the average of the looks. Without a limit nobody looks.
    pub(crate) open: f64,
}

/// Processor time, in µs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Of all daemons.
    pub(crate) daemon: f64,
    /// Of PostgreSQL, for shops and daemons; not what the onlooker cost.
    pub(crate) postgres: f64,
    /// Of the sandbox, which is no part of the product.
    pub(crate) sandbox: f64,
}

impl Used {
    /// What was used since then, for each of so many orders.
    pub(crate) fn of_each(self, before: Self, orders: u32) -> Self {
        let of_each = |to: f64, from: f64| (to - from) / f64::from(orders);
        Self {
            daemon: of_each(self.daemon, before.daemon),
            postgres: of_each(self.postgres, before.postgres),
            sandbox: of_each(self.sandbox, before.sandbox),
        }
    }
}

/// Daemons at work against the sandbox, where there are orders already: an installation has some, and its tables are known
/// to the planner.
pub(crate) struct Installation<'a> {
    server: &'a Server,
    pub(crate) url: String,
    sandbox: Sandbox,
    pub(crate) daemons: Vec<Daemon>,
    onlooker: Onlooker,
    shops: Vec<PgConnection>,
    /// Orders so far; each sends one email.
    orders: u32,
}

impl<'a> Installation<'a> {
    /// Starts so many daemons, with these changes to their settings, and lets them carry out so many orders.
    pub(crate) async fn start(
        server: &'a Server,
        url: String,
        daemons: u32,
        changes: &[(&str, &str)],
        earlier: u32,
    ) -> anyhow::Result<Self> {
        let sandbox = Sandbox::start().await?;
        let mut running = Vec::new();
        for _ in 0..daemons {
            running.push(Daemon::start(&url, sandbox.ljpc, sandbox.smtp, changes).await?);
        }
        let onlooker = Onlooker::of(&url).await?;
        let mut shops = Vec::new();
        for _ in 0..SHOPS {
            shops.push(PgConnection::connect(&url).await?);
        }
        let mut installation =
            Self { server, url, sandbox, daemons: running, onlooker, shops, orders: 0 };
        installation.submit("earlier", earlier, None).await?;
        installation.until_emailed().await?;
        run(&installation.url, &["VACUUM ANALYZE"]).await?;
        Ok(installation)
    }

    /// Lets shops submit orders, and waits until all are emailed. At most `in_flight` of them are open at a time; without
    /// it, as many as shops can submit.
    pub(crate) async fn carry_out(
        &mut self,
        orders: u32,
        in_flight: Option<u32>,
    ) -> anyhow::Result<Cost> {
        settle().await;
        let (counted, looks) = (counters(&self.url).await?, self.onlooker.looks);
        let used = self.used()?;
        let began = Instant::now();
        let open = self.submit(&format!("shop-{}", self.orders), orders, in_flight).await?;
        self.onlooker.until_emailed().await?;
        let took = began.elapsed();
        let used = self.used()?.of_each(used, orders);
        let (after, looks) = (counters(&self.url).await?, self.onlooker.looks - looks);
        self.see_that_all_are_emailed().await?;
        let statements = number(after.statements - counted.statements) - f64::from(looks);
        Ok(Cost {
            rate: f64::from(orders) / took.as_secs_f64(),
            used,
            statements: statements / f64::from(orders),
            wal: number(after.wal - counted.wal) / f64::from(orders),
            open,
        })
    }

    /// Lets a shop submit one order.
    pub(crate) async fn submit_one(&mut self, reference: &str) -> anyhow::Result<()> {
        submit(self.shops.first_mut().context("there are no shops")?, reference).await?;
        self.orders += 1;
        Ok(())
    }

    /// A session whose processor time is left out of what is told.
    pub(crate) const fn watching(&mut self) -> &mut PgConnection {
        &mut self.onlooker.connection
    }

    /// Ends its daemons.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        for daemon in self.daemons {
            daemon.process.end().await?;
        }
        Ok(())
    }

    /// The processor time that was used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        let daemons: anyhow::Result<Vec<Duration>> =
            self.daemons.iter().map(|daemon| cpu_of(daemon.process.pid())).collect();
        let of_all = cpu_of_server(self.server.postmaster)?;
        let postgres = of_all.saturating_sub(cpu_of_thread(self.onlooker.pid)?);
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Used {
            daemon: us(daemons?.iter().sum()),
            postgres: us(postgres),
            sandbox: us(cpu_of(self.sandbox.process.pid())?),
        })
    }

    /// Lets shops submit orders, each one after the other. At most `in_flight` are open at a time. Tells how many were.
    async fn submit(
        &mut self,
        name: &str,
        orders: u32,
        in_flight: Option<u32>,
    ) -> anyhow::Result<f64> {
        let most = in_flight.unwrap_or(orders);
        let room = Semaphore::new(usize::try_from(most)?);
        let (next, submitted) = (AtomicU32::new(0), AtomicU32::new(0));
        let (room, next, submitted) = (&room, &next, &submitted);
        let shops = self.shops.iter_mut().map(|shop| async move {
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n >= orders {
                    return anyhow::Ok(());
                }
                room.acquire().await?.forget();
                submit(shop, &format!("{name}-{n}")).await?;
                submitted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let onlooker = &mut self.onlooker;
        let making_room = async move {
            // All that are open are of these orders. How many have ended is never overstated: they are counted first.
            let (mut ended, mut seen) = (0, Vec::new());
            while most < orders && submitted.load(Ordering::SeqCst) < orders {
                tokio::time::sleep(if most < MANY { LOOK_EVERY } else { LOOK_EVERY_OF_MANY }).await;
                let so_far = submitted.load(Ordering::SeqCst);
                let open = onlooker.open().await?;
                seen.push(f64::from(open));
                let ended_now = so_far.saturating_sub(open).max(ended);
                room.add_permits(usize::try_from(ended_now - ended)?);
                ended = ended_now;
            }
            Ok(seen.iter().sum::<f64>() / number(seen.len()))
        };
        let all = async { tokio::try_join!(try_join_all(shops), making_room) };
        let (_, open) =
            tokio::time::timeout(PATIENCE, all).await.context("the orders stand still")??;
        self.orders += orders;
        Ok(open)
    }

    /// Waits until all orders are done and their emails are sent.
    pub(crate) async fn until_emailed(&mut self) -> anyhow::Result<()> {
        self.onlooker.until_emailed().await?;
        self.see_that_all_are_emailed().await
    }

    /// One email was sent for each order.
    async fn see_that_all_are_emailed(&self) -> anyhow::Result<()> {
        let sent =
            value(&self.url, "SELECT count(*) FROM provisor.email_outbox WHERE status = 'sent'")
                .await?;
        ensure!(
            sent == i64::from(self.orders),
            "{sent} emails were sent for {} orders",
            self.orders
        );
        Ok(())
    }
}

/// Submits an order.
async fn submit(connection: &mut PgConnection, reference: &str) -> anyhow::Result<()> {
    sqlx::query("SELECT provisor.submit_order($1)")
        .bind(order(reference))
        .execute(connection)
        .await?;
    Ok(())
}

/// Who looks how far the orders are, by the indexes of what is open. The processor time of its session is left out of what is
/// told.
struct Onlooker {
    connection: PgConnection,
    /// Its process at the server.
    pid: u32,
    /// Each is a statement.
    looks: u32,
}

impl Onlooker {
    async fn of(url: &str) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        connection.execute("SET enable_seqscan = off").await?;
        let pid: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        Ok(Self { connection, pid: pid.try_into()?, looks: 0 })
    }

    async fn look(&mut self, sql: &str) -> anyhow::Result<u32> {
        self.looks += 1;
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await?;
        Ok(count.try_into()?)
    }

    /// How many orders are open.
    async fn open(&mut self) -> anyhow::Result<u32> {
        self.look(&format!("SELECT count(*) FROM provisor.order_lines WHERE status IN {OPEN}"))
            .await
    }

    async fn until_emailed(&mut self) -> anyhow::Result<()> {
        let is_left = format!(
            "SELECT (EXISTS (SELECT FROM provisor.order_lines WHERE status IN {OPEN})
                  OR EXISTS (SELECT FROM provisor.email_outbox WHERE status = 'queued'))::int::bigint"
        );
        let began = Instant::now();
        while self.look(&is_left).await? > 0 {
            ensure!(began.elapsed() < PATIENCE, "the orders were not done within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let url = server.migrated("bench_orders").await?;
    let orders = if length == Length::Long { 30_000 } else { 12_000 };
    let mut installation = Installation::start(server, url, 1, &[], 12_000).await?;
    let cost = installation.carry_out(orders, None).await?;
    installation.end().await?;
    report.row("the sandbox's processor time of an order", cost.used.sandbox, "µs");
    report.row("statements of an order", cost.statements, "");
    report.row("WAL of an order", cost.wal / 1024.0, "KiB");
    report.at_most("the daemon's processor time of an order", cost.used.daemon, 700.0, "µs");
    report.at_most("PostgreSQL's processor time of an order", cost.used.postgres, 700.0, "µs");
    report.at_least("orders completed and emailed", cost.rate, 600.0, "/s");
    server.drop("bench_orders").await
}

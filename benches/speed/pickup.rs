//! From a shop's COMMIT to the handler's start, and how many orders shops can hand over at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::{
    bars::{Plot, Report, Series, number, percentile},
    drain::CONCURRENCY,
    peers,
    server::{Server, run},
    worker::{Then, Worker},
};

/// How orders come.
#[derive(Clone, Copy)]
pub(crate) struct Shops {
    pub(crate) count: u32,
    /// Between two orders of each, on the average.
    pub(crate) interval_ms: u32,
    /// Of each, in a round.
    pub(crate) orders: u32,
}

/// Where several submit, one notifies for those that commit just after it.
pub(crate) const PICKUPS: [Shops; 2] = [
    Shops { count: 1, interval_ms: 10, orders: 100 },
    Shops { count: 4, interval_ms: 20, orders: 60 },
];

/// Rounds, in turn with the other queue.
const ROUNDS: u32 = 10;

/// Shops at once, and for how long.
const SHOPS: u32 = 16;
const SECONDS: u32 = 10;

/// An order of one hosting line.
pub(crate) fn order(reference: &str) -> Value {
    json!({
        "reference": reference,
        "customer": { "reference": format!("C-{reference}"), "first_name": "Bob", "last_name": "Brown",
                      "email": "bob@example.com", "locale": "nl" },
        "lines": [{ "kind": "hosting", "package": "hosting_5gb", "domain": format!("{reference}.example"),
                    "billing_period": "monthly" }],
    })
}

/// The pickups of our queue, in microseconds.
async fn ours(url: &str, shops: Shops, round: u32) -> anyhow::Result<Vec<f64>> {
    let Shops { count, interval_ms, orders } = shops;
    let mut worker = Worker::start(url, CONCURRENCY, Then::Rest).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    worker.seen.watch();
    let submitting = (0..count).map(|shop| async move {
        let (mut connection, mut committed) = (PgConnection::connect(url).await?, Vec::new());
        for n in 0..orders {
            tokio::time::sleep(pause(interval_ms, shop, n)).await;
            committed
                .push(submit(&mut connection, &format!("shop-{count}-{round}-{shop}-{n}")).await?);
        }
        anyhow::Ok((committed, connection))
    });
    // The end of a session takes milliseconds of a processor: it must not fall into the pickup of the shop's last order.
    let (committed, sessions): (Vec<_>, Vec<_>) =
        try_join_all(submitting).await?.into_iter().unzip();
    let committed: Vec<(i64, Instant)> = committed.concat();
    let (mut begun, ended) = (HashMap::new(), Instant::now());
    while begun.len() < committed.len() {
        ensure!(ended.elapsed() < Duration::from_secs(10), "an order was not picked up");
        begun.extend(worker.seen.noted().into_iter().map(|(line, begun, _)| (line, begun)));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(sessions);
    worker.rest().await?;
    worker.end();
    let lines: Vec<(i64, i64)> = sqlx::query_as("SELECT order_id, id FROM provisor.order_lines")
        .fetch_all(&mut PgConnection::connect(url).await?)
        .await?;
    let line_of: HashMap<i64, i64> = lines.into_iter().collect();
    let pickups = committed.iter().map(|(order, committing)| {
        let line = line_of.get(order).context("an order without a line")?;
        let begun = begun.get(line).context("a line that was not run")?;
        Ok(number(begun.saturating_duration_since(*committing).as_micros()))
    });
    pickups.collect()
}

/// Between half an interval and one and a half, evenly: what is regular might never meet what is regular elsewhere, or always.
fn pause(interval_ms: u32, shop: u32, n: u32) -> Duration {
    Duration::from_millis(interval_ms.into()) * (500 + (n * 618 + shop * 414) % 1000) / 1000
}

/// Submits an order in a transaction of its own. Tells its id, and when it was about to be committed.
async fn submit(shop: &mut PgConnection, reference: &str) -> anyhow::Result<(i64, Instant)> {
    let mut transaction = shop.begin().await?;
    let id = sqlx::query_scalar("SELECT provisor.submit_order($1)")
        .bind(order(reference))
        .fetch_one(&mut *transaction)
        .await?;
    let committing = Instant::now();
    transaction.commit().await?;
    Ok((id, committing))
}

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let url = server.migrated("bench_pickup").await?;
    // As it is where a daemon is at work: `order_received` is disabled by default.
    run(
        &url,
        &[
            "INSERT INTO provisor.disabled_emails VALUES ('order_received')",
            "INSERT INTO provisor.processes (owner, heartbeat_at)
             VALUES (gen_random_uuid(), clock_timestamp() + interval '1 day')",
        ],
    )
    .await?;
    for shops in PICKUPS {
        measure_pickup(server, &url, report, shops).await?;
    }
    let rate = submissions(&url)?;
    report.at_least("orders submitted by 16 shops at once", rate, 5000.0, "/s");
    server.drop("bench_pickup").await?;
    server.drop("bench_theirs").await
}

async fn measure_pickup(
    server: &Server,
    url: &str,
    report: &mut Report,
    shops: Shops,
) -> anyhow::Result<()> {
    let (mut own, mut theirs, mut repeated) = (Vec::new(), Vec::new(), 0.0);
    for round in 0..ROUNDS {
        let empty = server.empty("bench_theirs").await?;
        if round % 2 == 0 {
            own.extend(ours(url, shops, round).await?);
        }
        theirs.extend(match peers::pickup(&empty, shops, None) {
            Ok(pickups) => pickups,
            // Now and then it does not take a job within ten seconds. Such a round is made once more.
            Err(error) => {
                println!("{error:#}");
                repeated += 1.0;
                peers::pickup(&server.empty("bench_theirs").await?, shops, None)?
            }
        });
        if round % 2 == 1 {
            own.extend(ours(url, shops, round).await?);
        }
    }
    let from =
        if shops.count == 1 { String::new() } else { format!(" from {} shops", shops.count) };
    for (of, hundredths) in [("p50", 50.0), ("p99", 99.0)] {
        let their = percentile(&theirs, hundredths) / 1000.0;
        report.row(&format!("graphile_worker's pickup{from}, {of}"), their, "ms");
        let our = percentile(&own, hundredths) / 1000.0;
        report.at_most(&format!("pickup{from}, {of}"), our, their, "ms");
    }
    let unanswered = format!("graphile_worker's rounds{from} in which a job was not taken");
    report.row(&unanswered, repeated, "");
    let distribution = |label: &str, pickups: &[f64]| Series {
        label: label.to_owned(),
        points: (0..=100_u32)
            .map(|part| (percentile(pickups, f64::from(part)) / 1000.0, f64::from(part)))
            .collect(),
    };
    report.plots.push(Plot {
        name: if shops.count == 1 { "pickup" } else { "pickup-from-4-shops" },
        title: "From the shop's commit to the handler's start",
        across: "ms",
        up: "per cent of the orders",
        is_log: true,
        series: vec![distribution("Provisor", &own), distribution("graphile_worker", &theirs)],
    });
    Ok(())
}

/// Orders a second by so many shops, each of which submits one order after the other.
fn submissions(url: &str) -> anyhow::Result<f64> {
    let document = order("REFERENCE").to_string().replace('\'', "''");
    let document = document.replace("REFERENCE", "shop-' || :client_id || '-' || :n || '");
    let script = format!(
        "\\set n random(1, 1000000000000)\nSELECT provisor.submit_order(('{document}')::jsonb);\n"
    );
    peers::pgbench(url, SHOPS, &format!("--time={SECONDS}"), &script)
}

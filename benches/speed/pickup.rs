//! From a shop's COMMIT to the handler's start, and how many orders shops can hand over at once.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::{
    bars::{Plot, Report, Series, number, percentile},
    drain::CONCURRENCY,
    peers,
    server::Server,
    worker::{Then, Worker},
};

/// So many orders, one every so often; in rounds, in turn with the other queue.
const ORDERS: u32 = 300;
const INTERVAL_MS: u32 = 10;
const ROUNDS: u32 = 4;

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

/// The pickups of our queue, in microseconds: a shop that submits orders, one by one, each in a transaction of its own.
async fn ours(url: &str, round: u32) -> anyhow::Result<Vec<f64>> {
    let mut worker = Worker::start(url, CONCURRENCY, Then::Rest).await?;
    let mut shop = PgConnection::connect(url).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    worker.seen.watch();
    let mut pickups = Vec::new();
    for n in 0..ORDERS {
        tokio::time::sleep(Duration::from_millis(INTERVAL_MS.into())).await;
        let mut transaction = shop.begin().await?;
        sqlx::query("SELECT provisor.submit_order($1)")
            .bind(order(&format!("shop-{round}-{n}")))
            .execute(&mut *transaction)
            .await?;
        let committing = Instant::now();
        transaction.commit().await?;
        let begun = loop {
            ensure!(committing.elapsed() < Duration::from_secs(10), "an order was not picked up");
            if let Some((_, begun, _)) = worker.seen.noted().first() {
                break *begun;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        };
        pickups.push(number(begun.duration_since(committing).as_micros()));
    }
    worker.rest().await?;
    worker.end();
    Ok(pickups)
}

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let url = server.migrated("bench_pickup").await?;
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let empty = server.empty("bench_theirs").await?;
        if round % 2 == 0 {
            own.extend(ours(&url, round).await?);
        }
        theirs.extend(peers::pickup(&empty, ORDERS, INTERVAL_MS)?);
        if round % 2 == 1 {
            own.extend(ours(&url, round).await?);
        }
    }
    for (of, hundredths) in [("p50", 50.0), ("p99", 99.0)] {
        let their = percentile(&theirs, hundredths) / 1000.0;
        report.row(&format!("graphile_worker's pickup, {of}"), their, "ms");
        let our = percentile(&own, hundredths) / 1000.0;
        report.at_most(&format!("pickup, {of}"), our, their, "ms");
    }
    let distribution = |label: &str, pickups: &[f64]| Series {
        label: label.to_owned(),
        points: (0..=100_u32)
            .map(|part| (percentile(pickups, f64::from(part)) / 1000.0, f64::from(part)))
            .collect(),
    };
    report.plots.push(Plot {
        name: "pickup",
        title: "From the shop's commit to the handler's start",
        across: "ms",
        up: "per cent of the orders",
        is_log: true,
        series: vec![distribution("Provisor", &own), distribution("graphile_worker", &theirs)],
    });
    let rate = submissions(&url)?;
    report.at_least("orders submitted by 16 shops at once", rate, 5000.0, "/s");
    server.drop("bench_pickup").await?;
    server.drop("bench_theirs").await
}

/// Orders a second by so many shops, each of which submits one order after the other.
fn submissions(url: &str) -> anyhow::Result<f64> {
    let script =
        std::env::temp_dir().join(format!("provisor-shops-{}.pgbench", std::process::id()));
    let document = order("REFERENCE").to_string().replace('\'', "''");
    let document = document.replace("REFERENCE", "shop-' || :client_id || '-' || :n || '");
    std::fs::write(
        &script,
        format!(
            "\\set n random(1, 1000000000000)\nSELECT provisor.submit_order(('{document}')::jsonb);\n"
        ),
    )?;
    let pgbench = PathBuf::from(std::env::var("PROVISOR_PG_BIN")?).join("pgbench");
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .args([format!("--client={SHOPS}"), format!("--time={SECONDS}")])
        .args(["--file".as_ref(), script.as_os_str()])
        .arg(url)
        .output();
    std::fs::remove_file(&script)?;
    let output = output?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(tps.context("pgbench tells no rate")?.parse()?)
}

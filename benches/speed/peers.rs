//! The other queue, and the least that PostgreSQL itself takes.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::pickup::Shops;

/// What the other queue tells of a drain.
#[derive(Deserialize)]
struct Drained {
    jobs: u32,
    seconds: f64,
}

/// What it tells of pickups.
#[derive(Deserialize)]
struct PickedUp {
    pickups_us: Vec<u32>,
}

/// A setting of the other queue that the comparison does not use: name and value as `benches/peers` reads them.
pub(crate) type Setting = (&'static str, &'static str);

fn peer(url: &str, args: &[&str], setting: Option<Setting>) -> anyhow::Result<String> {
    let program =
        std::env::var("PROVISOR_PEERS").context("PROVISOR_PEERS: run this by script/bench")?;
    let mut command = Command::new(program);
    for name in ["GRAPHILE_CONCURRENCY", "GRAPHILE_LOCAL_QUEUE", "GRAPHILE_BATCH_MS"] {
        command.env_remove(name);
    }
    let output = command.args(args).env("DATABASE_URL", url).envs(setting).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "graphile_worker: {told}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Jobs a second of `graphile_worker`, on an empty database.
pub(crate) fn drain(url: &str, jobs: u32, setting: Option<Setting>) -> anyhow::Result<f64> {
    let told: Drained = serde_json::from_str(&peer(url, &["drain", &jobs.to_string()], setting)?)?;
    Ok(f64::from(told.jobs) / told.seconds)
}

/// Its pickups, in microseconds.
pub(crate) fn pickup(
    url: &str,
    shops: Shops,
    setting: Option<Setting>,
) -> anyhow::Result<Vec<f64>> {
    let [count, interval, jobs] =
        [shops.count, shops.interval_ms, shops.orders].map(|number| number.to_string());
    let told = peer(url, &["pickup", &count, &interval, &jobs], setting)?;
    let told: PickedUp = serde_json::from_str(&told)?;
    Ok(told.pickups_us.into_iter().map(f64::from).collect())
}

/// The least table, claimed by hundreds and deleted by hundreds, by four clients of pgbench: rows a second.
pub(crate) async fn limit(url: &str, rows: u32) -> anyhow::Result<f64> {
    const BATCH: u32 = 100;
    const CLIENTS: u32 = 4;
    crate::server::run(
        url,
        &[
            "CREATE TABLE jobs (id bigint PRIMARY KEY, owner int NOT NULL DEFAULT 0)",
            "CREATE INDEX ON jobs (id) WHERE owner = 0",
            &format!("INSERT INTO jobs SELECT i FROM generate_series(1, {rows}) AS i"),
            "VACUUM ANALYZE jobs",
            "CHECKPOINT",
        ],
    )
    .await?;
    let script = "WITH claimed AS (
             UPDATE jobs SET owner = 1 WHERE id = ANY (ARRAY (
                 SELECT id FROM jobs WHERE owner = 0 ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED))
             RETURNING id)
         SELECT coalesce(array_agg(id), '{}') AS ids FROM claimed \\gset
         DELETE FROM jobs WHERE id = ANY (:ids::bigint[]);\n";
    let transactions = format!("--transactions={}", rows / BATCH / CLIENTS);
    Ok(pgbench(url, CLIENTS, &transactions, script)? * f64::from(BATCH))
}

/// Transactions a second of pgbench, by so many clients, each of which goes through the script time after time.
pub(crate) fn pgbench(url: &str, clients: u32, length: &str, script: &str) -> anyhow::Result<f64> {
    let file = std::env::temp_dir().join(format!("provisor-{}.pgbench", std::process::id()));
    std::fs::write(&file, script)?;
    let pgbench = PathBuf::from(std::env::var("PROVISOR_PG_BIN")?).join("pgbench");
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", length])
        .arg(format!("--client={clients}"))
        .args(["--file".as_ref(), file.as_os_str()])
        .arg(url)
        .output();
    std::fs::remove_file(&file)?;
    let output = output?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(tps.context("pgbench tells no rate")?.parse()?)
}

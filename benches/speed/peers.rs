//! The other queue, and the least that PostgreSQL itself takes.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

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

fn peer(url: &str, args: &[&str]) -> anyhow::Result<String> {
    let program =
        std::env::var("PROVISOR_PEERS").context("PROVISOR_PEERS: run this by script/bench")?;
    let output = Command::new(program).args(args).env("DATABASE_URL", url).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "graphile_worker: {told}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Jobs a second of `graphile_worker`, on an empty database.
pub(crate) fn drain(url: &str, jobs: u32) -> anyhow::Result<f64> {
    let told: Drained = serde_json::from_str(&peer(url, &["drain", &jobs.to_string()])?)?;
    Ok(f64::from(told.jobs) / told.seconds)
}

/// Its pickups, in microseconds.
pub(crate) fn pickup(url: &str, jobs: u32, interval_ms: u32) -> anyhow::Result<Vec<f64>> {
    let told = peer(url, &["pickup", &jobs.to_string(), &interval_ms.to_string()])?;
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
    let script =
        std::env::temp_dir().join(format!("provisor-limit-{}.pgbench", std::process::id()));
    std::fs::write(
        &script,
        "WITH claimed AS (
             UPDATE jobs SET owner = 1 WHERE id = ANY (ARRAY (
                 SELECT id FROM jobs WHERE owner = 0 ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED))
             RETURNING id)
         SELECT coalesce(array_agg(id), '{}') AS ids FROM claimed \\gset
         DELETE FROM jobs WHERE id = ANY (:ids::bigint[]);\n",
    )?;
    let pgbench = PathBuf::from(std::env::var("PROVISOR_PG_BIN")?).join("pgbench");
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared"])
        .args([format!("--client={CLIENTS}"), "--jobs=2".to_owned()])
        .arg(format!("--transactions={}", rows / BATCH / CLIENTS))
        .args(["--file".as_ref(), script.as_os_str()])
        .arg(url)
        .output();
    std::fs::remove_file(&script)?;
    let output = output?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    let tps: f64 = tps.context("pgbench tells no rate")?.parse()?;
    Ok(tps * f64::from(BATCH))
}

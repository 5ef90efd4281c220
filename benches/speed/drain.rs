//! The queue alone: so many no-op wakes drained, each durably, beside the other queue and the limit of PostgreSQL itself.

use std::time::Instant;

use anyhow::ensure;
use provisor::db::wakes::Lane;

use crate::{
    Length,
    bars::{Report, median, number},
    peers,
    server::{Server, counters, run, value},
    worker::{Then, Worker, insert},
};

/// How many are drained at a time, and by how many slots.
pub(crate) const WAKES: u32 = 100_000;
pub(crate) const CONCURRENCY: usize = 256;

/// In which order three are run, round by round: each begins as often as the others, and comes after each of them as often,
/// as what autovacuum does after one falls into the next.
pub(crate) const ORDERS_OF_THREE: [[usize; 3]; 6] =
    [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 0, 2], [1, 2, 0], [2, 0, 1]];

/// What a drain was like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// Wakes a second.
    pub(crate) rate: f64,
    /// Pages touched for each.
    pub(crate) buffers: f64,
}

/// Drains wakes that were just inserted from subject `from` on.
pub(crate) async fn drain(url: &str, from: u64) -> anyhow::Result<Drained> {
    let (drained, worker) = drain_and_rest(url, from).await?;
    see_that_all_rest(url, from).await?;
    worker.end();
    Ok(drained)
}

/// The same, with a worker that has come to rest and has not ended.
pub(crate) async fn drain_and_rest(url: &str, from: u64) -> anyhow::Result<(Drained, Worker)> {
    insert(url, from, u64::from(WAKES), Lane::Place, "clock_timestamp()").await?;
    run(url, &["VACUUM ANALYZE provisor.wakes", "CHECKPOINT"]).await?;
    settle().await;
    let before = counters(url).await?;
    let began = Instant::now();
    let mut worker = Worker::start(url, CONCURRENCY, Then::Rest).await?;
    worker.seen.until(usize::try_from(WAKES)?).await;
    let took = began.elapsed();
    worker.rest().await?;
    let after = counters(url).await?;
    let drained = Drained {
        rate: f64::from(WAKES) / took.as_secs_f64(),
        buffers: number(after.buffers - before.buffers) / f64::from(WAKES),
    };
    Ok((drained, worker))
}

/// Each has run once, and rests.
async fn see_that_all_rest(url: &str, from: u64) -> anyhow::Result<()> {
    let sql = format!(
        "SELECT count(*) FROM provisor.wakes
         WHERE id >= {from}::bigint * 16 AND id < ({from}::bigint + {WAKES}) * 16
           AND due_at = 'infinity' AND run_token = 1 AND owner IS NULL"
    );
    let rest = value(url, &sql).await?;
    ensure!(rest == i64::from(WAKES), "{rest} of {WAKES} wakes have run once and rest");
    Ok(())
}

/// What was done just before is over by then.
pub(crate) async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let rounds = if length == Length::Long { 12 } else { 6 };
    let (mut ours, mut theirs, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for order in ORDERS_OF_THREE.iter().cycle().take(rounds) {
        for which in order {
            match which {
                0 => {
                    let url = server.migrated("bench_ours").await?;
                    ours.push(drain(&url, 1).await?.rate);
                }
                1 => {
                    let url = server.empty("bench_theirs").await?;
                    theirs.push(peers::drain(&url, WAKES, None)?);
                }
                _ => {
                    let url = server.empty("bench_limit").await?;
                    limits.push(peers::limit(&url, WAKES).await?);
                }
            }
        }
        println!(
            "ours {:.0}/s, graphile_worker {:.0}/s, the limit {:.0}/s",
            ours.last().unwrap_or(&0.0),
            theirs.last().unwrap_or(&0.0),
            limits.last().unwrap_or(&0.0)
        );
    }
    for name in ["bench_ours", "bench_theirs", "bench_limit"] {
        server.drop(name).await?;
    }
    report.row("100,000 wakes drained, concurrency 256", median(&ours), "/s");
    report.row("graphile_worker 0.14.1, local queue of 2,000", median(&theirs), "/s");
    report.row("the limit: hundreds claimed and deleted by pgbench", median(&limits), "/s");
    let ratios = |others: &[f64]| -> Vec<f64> {
        ours.iter().zip(others).map(|(ours, other)| ours / other).collect()
    };
    report.at_least("drain, of graphile_worker's rate", median(&ratios(&theirs)), 2.0, "×");
    report.at_least("drain, of the limit's rate", median(&ratios(&limits)), 0.7, "×");
    Ok(())
}

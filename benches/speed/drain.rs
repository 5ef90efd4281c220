//! The queue alone: so many no-op wakes drained, each durably, beside the other queue and the limit of PostgreSQL itself.

use std::time::Instant;

use provisor::db::wakes::Lane;

use crate::{
    Length,
    bars::{Report, median, number},
    peers,
    server::{Server, counters, run},
    worker::{Then, Worker, insert},
};

/// How many are drained at a time, and by how many slots.
pub(crate) const WAKES: u32 = 100_000;
pub(crate) const CONCURRENCY: usize = 256;

/// What a drain was like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// Wakes a second.
    pub(crate) rate: f64,
    /// Pages touched for each.
    pub(crate) buffers: f64,
    /// Sequential scans of the table meanwhile.
    pub(crate) scans: i64,
}

/// Drains wakes that were just inserted from subject `from` on.
pub(crate) async fn drain(url: &str, from: u64) -> anyhow::Result<Drained> {
    insert(url, from, u64::from(WAKES), Lane::Place, "clock_timestamp()").await?;
    run(url, &["VACUUM ANALYZE provisor.wakes", "CHECKPOINT"]).await?;
    settle().await;
    let before = counters(url).await?;
    let began = Instant::now();
    let mut worker = Worker::start(url, CONCURRENCY, Then::Rest).await?;
    worker.seen.until(usize::try_from(WAKES)?).await;
    let took = began.elapsed();
    worker.rest().await?;
    settle().await;
    let after = counters(url).await?;
    worker.end();
    Ok(Drained {
        rate: f64::from(WAKES) / took.as_secs_f64(),
        buffers: number(after.buffers - before.buffers) / f64::from(WAKES),
        scans: after.scans - before.scans,
    })
}

/// Sessions tell what they have done about once a second, and when they end.
pub(crate) async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
}

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    let rounds = if length == Length::Long { 10 } else { 5 };
    let (mut ours, mut theirs, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let url = server.migrated("bench_ours").await?;
        ours.push(drain(&url, 1).await?.rate);
        let url = server.empty("bench_theirs").await?;
        theirs.push(peers::drain(&url, WAKES)?);
        let url = server.empty("bench_limit").await?;
        limits.push(peers::limit(&url, WAKES).await?);
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
    report.row("graphile_worker 0.14.1 at its best", median(&theirs), "/s");
    report.row("the limit: hundreds claimed and deleted by pgbench", median(&limits), "/s");
    let ratios = |others: &[f64]| -> Vec<f64> {
        ours.iter().zip(others).map(|(ours, other)| ours / other).collect()
    };
    report.at_least("drain, of graphile_worker's rate", median(&ratios(&theirs)), 2.0, "×");
    report.at_least("drain, of the limit's rate", median(&ratios(&limits)), 0.7, "×");
    Ok(())
}

//! A daemon that has nothing to do.

use std::time::Duration;

use crate::{
    bars::{Report, number, percentile},
    machine::{cpu_of, memory_mb},
    processes::{Daemon, Sandbox},
    server::{Server, counters},
};

/// For so long it is watched.
const WATCHED: Duration = Duration::from_secs(30);

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let url = server.migrated("bench_idle").await?;
    let sandbox = Sandbox::start().await?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        let daemon = Daemon::start(&url, sandbox.ljpc, sandbox.smtp, &[]).await?;
        starts.push(daemon.ready_after.as_secs_f64() * 1000.0);
        daemon.process.end().await?;
    }
    report.at_most(
        "from the start to ready, the longest of 5",
        percentile(&starts, 100.0),
        300.0,
        "ms",
    );
    let daemon = Daemon::start(&url, sandbox.ljpc, sandbox.smtp, &[]).await?;
    // What is done once, after the start, is over.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (before, used) = (counters(&url).await?, cpu_of(daemon.process.pid())?);
    tokio::time::sleep(WATCHED).await;
    let (after, then) = (counters(&url).await?, cpu_of(daemon.process.pid())?);
    // The one that has counted before is one of them.
    let statements = number(after.statements - before.statements - 1);
    report.at_most("statements of an idle daemon", statements / WATCHED.as_secs_f64(), 2.0, "/s");
    let share = then.saturating_sub(used).as_secs_f64() / WATCHED.as_secs_f64();
    report.row("processor time of an idle daemon", share * 1000.0, "ms/s");
    let memory = memory_mb(daemon.process.pid(), "VmRSS")?;
    report.at_most("memory of an idle daemon", memory, 25.0, "MB");
    daemon.process.end().await?;
    server.drop("bench_idle").await
}

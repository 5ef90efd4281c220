//! What else the machine does, and what processes have used.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;

use crate::bars::number;

/// Clock ticks a second in /proc (`getconf CLK_TCK`): 100 on every Linux that Rust runs on.
const TICKS: u32 = 100;

/// The processors' time so far, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    busy: u64,
    /// Time in which a virtual machine could have run and did not, for the sake of another.
    stolen: u64,
    all: u64,
}

impl Processors {
    pub(crate) fn now() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests use is counted among the first.
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).map(|word| word.parse().unwrap_or(0)).collect();
        let of = |at: usize| ticks.get(at).copied().unwrap_or(0);
        let (idle, stolen, all) = (of(3) + of(4), of(7), ticks.iter().sum::<u64>());
        Ok(Self { busy: all - idle - stolen, stolen, all })
    }

    /// Which part of them was busy since then, and which was stolen, in per cent.
    pub(crate) fn since(before: Self) -> anyhow::Result<(f64, f64)> {
        let now = Self::now()?;
        let all = number(now.all - before.all).max(1.0);
        let part = |of: u64| number(of) * 100.0 / all;
        Ok((part(now.busy - before.busy), part(now.stolen - before.stolen)))
    }
}

/// How busy the processors are while nothing of ours is asked for anything, in per cent: noted before each part, for what
/// else runs makes a run worth less.
pub(crate) async fn busy_otherwise() -> anyhow::Result<f64> {
    let before = Processors::now()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(Processors::since(before)?.0)
}

/// The numbers behind the name in /proc/PID/stat.
fn stat(pid: u32) -> anyhow::Result<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("/proc/PID/stat")?;
    Ok(rest.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect())
}

fn ticks(fields: &[u64], from: usize, to: usize) -> u32 {
    let sum: u64 = fields.get(from..to).unwrap_or_default().iter().sum();
    u32::try_from(sum).unwrap_or(u32::MAX)
}

fn duration(ticks: u32) -> Duration {
    Duration::from_secs(1) * ticks / TICKS
}

/// The processor time of a process.
pub(crate) fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    Ok(duration(ticks(&stat(pid)?, 11, 13)))
}

/// The processor time of a process that has one thread. A tick is much for what has fifteen of them.
pub(crate) fn cpu_of_thread(pid: u32) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let ran = text.split_whitespace().next().context("/proc/PID/schedstat")?;
    Ok(Duration::from_nanos(ran.parse()?))
}

/// The processor time of a server: of its postmaster, of the processes that it has, and of those that it had.
pub(crate) fn cpu_of_server(postmaster: u32) -> anyhow::Result<Duration> {
    let mut sum = duration(ticks(&stat(postmaster)?, 11, 15));
    for child in children(postmaster)? {
        // One that has just ended is counted by its parent.
        sum += cpu_of_thread(child).unwrap_or_default();
    }
    Ok(sum)
}

fn children(parent: u32) -> anyhow::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if stat(pid).is_ok_and(|fields| fields.get(1) == Some(&u64::from(parent))) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// A line of /proc/PID/status, in MB: `VmRSS` what is in memory now, `VmHWM` the most that was.
pub(crate) fn memory_mb(pid: u32, what: &str) -> anyhow::Result<f64> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib: f64 =
        line.and_then(|line| line.split_whitespace().next()).context("status")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}

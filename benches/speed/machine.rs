//! What else the machine does, and what processes have used.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;

/// Clock ticks a second in /proc (`getconf CLK_TCK`): 100 on every Linux that Rust runs on.
const TICKS: u32 = 100;

/// The load average of the last minute: noted before each part, for what else runs makes a run worth less.
pub(crate) fn load() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().context("/proc/loadavg")?.parse()?)
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

/// A line of /proc/PID/status, in KiB: `VmRSS` what is in memory now, `VmHWM` the most that was.
pub(crate) fn memory_kib(pid: u32, what: &str) -> anyhow::Result<u32> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    Ok(line.and_then(|line| line.split_whitespace().next()).context("status")?.parse()?)
}

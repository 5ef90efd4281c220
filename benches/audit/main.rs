//! How long an audit takes, how many requests it makes, and how much memory: with 10,000 domains and with 100,000.
//!
//!     script/bench-audit
//!
//! The sandbox runs here, PostgreSQL and the audit as processes of their own, so that the audit's memory is its own alone.

#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a benchmark prints ratios")]

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::ensure;
use chrono::TimeDelta;
use provisor::{
    clock,
    db::{Database, Purpose},
    sandbox::{self, Sandbox, SandboxOptions, postgres::PrivatePostgres},
};
use serde_json::json;

/// How many domains the account has.
const DOMAINS: [usize; 2] = [10_000, 100_000];

/// One in so many domains has something wrong with it.
const ONE_IN: usize = 50;

/// Requests a second: no limit to speak of, so that the audit itself is measured, and not its manners.
const REQUESTS_PER_SECOND: &str = "10000";

/// What an audit took.
struct Taken {
    domains: usize,
    time: Duration,
    requests: u32,
    memory_kib: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --all-targets` comes by here, too.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let mut all = Vec::new();
    for domains in DOMAINS {
        for (what, taken) in measure(domains).await? {
            show(what, &taken);
            all.push((what, taken));
        }
    }
    let of = |what: &str, domains: usize| {
        all.iter()
            .find(|(it, taken)| *it == what && taken.domains == domains)
            .map(|(_, taken)| taken)
    };
    for what in ["first", "second"] {
        let (Some(few), Some(many)) = (of(what, DOMAINS[0]), of(what, DOMAINS[1])) else {
            continue;
        };
        println!(
            "{what}: ten times as many domains take {:.1} x the time, {:.1} x the requests, {:.2} x the memory",
            many.time.as_secs_f64() / few.time.as_secs_f64(),
            ratio(many.requests, few.requests),
            ratio(many.memory_kib, few.memory_kib),
        );
    }
    Ok(())
}

fn ratio<N: TryInto<u32>>(many: N, few: N) -> f64 {
    let number = |n: N| f64::from(n.try_into().unwrap_or(u32::MAX));
    number(many) / number(few)
}

fn show(what: &str, taken: &Taken) {
    println!(
        "{:>7} domains, {what} audit: {:>6.1} s, {:>6} requests, {:>4} MiB at most",
        taken.domains,
        taken.time.as_secs_f64(),
        taken.requests,
        taken.memory_kib / 1024
    );
}

/// The first audit, which finds and reminds, and the second one, which finds nothing new.
async fn measure(domains: usize) -> anyhow::Result<[(&'static str, Taken); 2]> {
    let folder = std::env::temp_dir().join(format!("provisor-bench-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder)?;
    let server = PrivatePostgres::start(&folder.join("postgres")).await?;
    let db = Database::new(&server.url(), 1, Purpose::General)?;
    db.migrate().await?;
    let sandbox = sandbox::start(SandboxOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        leanstack_listen: ([127, 0, 0, 1], 0).into(),
        smtp_listen: ([127, 0, 0, 1], 0).into(),
        mail_dir: folder.join("mails"),
        ..SandboxOptions::default()
    })
    .await?;
    furnish(&sandbox, &db, domains).await?;
    let first = audit(&sandbox, &server.url(), domains).await?;
    let second = audit(&sandbox, &server.url(), domains).await?;
    db.close().await;
    server.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok([("first", first), ("second", second)])
}

/// Domains in all states, each of which is a customer's.
async fn furnish(sandbox: &Sandbox, db: &Database, domains: usize) -> anyhow::Result<()> {
    let now = clock::now();
    for n in 0..domains {
        let days = i64::try_from(n % 365)?;
        let expires_at = (now + TimeDelta::days(days)).to_rfc3339();
        let status = if n % ONE_IN == 0 { "active,clientHold" } else { "active" };
        let wish = json!({ "domain": name(n), "status": status, "expires_at": expires_at, "auto_renew": true });
        sandbox.state().put_domain(&wish)?;
    }
    sqlx::query(
        "INSERT INTO provisor.customers (reference, first_name, last_name, email)
         VALUES ('C-1', 'Bob', 'Brown', 'bob@example.com')",
    )
    .execute(db.pool())
    .await?;
    sqlx::query(
        "INSERT INTO provisor.domains (domain, customer_id, auto_renew_wished, seen_at)
         SELECT 'example-' || n || '.nl', (SELECT id FROM provisor.customers), true, now()
         FROM generate_series(0, $1 - 1) AS n",
    )
    .bind(i32::try_from(domains)?)
    .execute(db.pool())
    .await?;
    sqlx::query("ANALYZE").execute(db.pool()).await?;
    Ok(())
}

fn name(n: usize) -> String {
    format!("example-{n}.nl")
}

/// `provisor audit run`, watched.
async fn audit(sandbox: &Sandbox, database: &str, domains: usize) -> anyhow::Result<Taken> {
    let before = asked(sandbox, 0);
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_provisor"))
        .args(["audit", "run", "--json"])
        .env_clear()
        .env("PROVISOR_CONFIG_DIR", "/nonexistent")
        .env("PROVISOR_DATABASE__URL", database)
        .env("PROVISOR_LJPC__BASE_URL", format!("http://{}", sandbox.ljpc_addr()))
        .env("PROVISOR_LJPC__API_KEY", SandboxOptions::default().api_key)
        .env("PROVISOR_LJPC__REQUESTS_PER_SECOND", REQUESTS_PER_SECOND)
        .stdout(Stdio::null())
        .spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut memory_kib = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        memory_kib = memory_kib.max(peak_kib(&status).unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    ensure!(ended.success(), "the audit ended with {ended}");
    let time = began.elapsed();
    let requests = u32::try_from(asked(sandbox, before) - before)?;
    Ok(Taken { domains, time, requests, memory_kib })
}

/// How many requests the sandbox has had; it had this many before.
fn asked(sandbox: &Sandbox, before: u64) -> u64 {
    sandbox.state().journal(before).last().map_or(before, |entry| entry.seq)
}

/// The most memory that a process has had so far, as the kernel tells.
fn peak_kib(status: &PathBuf) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

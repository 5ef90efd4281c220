//! How fast Provisor is, beside the queue that a user would have picked instead: `script/bench`.
//!
//! All parts run on one private PostgreSQL whose settings `script/bench` states. What is compared is run in turn, within one
//! run: on a machine that others use too only ratios mean anything. `docs/PERFORMANCE.md` says what the figures mean.

#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a benchmark prints ratios")]

mod bars;
mod beside;
mod drain;
mod grow;
mod held;
mod idle;
mod machine;
mod orders;
mod peers;
mod pickup;
mod plot;
mod polls;
mod processes;
mod server;
mod soak;
mod sweep;
mod worker;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Serialize;

use bars::Report;
use machine::Processors;
use server::Server;

/// How long it may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Length {
    /// About twenty minutes.
    Short,
    /// Two hours: a soak of an hour, and a snapshot that is held for long.
    Long,
}

/// The parts, in the order in which they run: the soak by `--long` or when it is asked for, the sweep only when it is.
const PARTS: &[&str] = &[
    "drain", "beside", "due", "snapshot", "pickup", "orders", "polls", "idle", "grow", SOAK, SWEEP,
];

const SOAK: &str = "soak";
const SWEEP: &str = "sweep";

/// What was asked for.
struct Asked {
    length: Length,
    parts: Vec<String>,
    into: PathBuf,
}

fn asked() -> anyhow::Result<Asked> {
    let mut asked =
        Asked { length: Length::Short, parts: Vec::new(), into: PathBuf::from("target/bench") };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" | "--short" => {}
            "--long" => asked.length = Length::Long,
            "--into" => asked.into = args.next().context("--into: a folder is missing")?.into(),
            part if PARTS.contains(&part) => asked.parts.push(part.to_owned()),
            other => bail!("{other} is no part: they are {}", PARTS.join(", ")),
        }
    }
    if asked.parts.is_empty() {
        let is_run = |part: &&str| match *part {
            SOAK => asked.length == Length::Long,
            SWEEP => false,
            _ => true,
        };
        asked.parts = PARTS.iter().copied().filter(is_run).map(ToOwned::to_owned).collect();
    }
    Ok(asked)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --all-targets` comes by here, too.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let asked = asked()?;
    std::fs::create_dir_all(&asked.into)?;
    let server = Server::from_environment().await?;
    let mut report = Report::begin(&server, asked.length).await?;
    let whole = std::time::Instant::now();
    for part in &asked.parts {
        let began = std::time::Instant::now();
        println!("\n## {part}\n");
        report.part(part, machine::busy_otherwise().await?);
        let before = Processors::now()?;
        let ended = match part.as_str() {
            "drain" => drain::measure(&server, &mut report, asked.length).await,
            "beside" => beside::measure(&server, &mut report).await,
            "due" => beside::measure_due(&server, &mut report, asked.length).await,
            "snapshot" => held::measure(&server, &mut report, asked.length).await,
            "pickup" => pickup::measure(&server, &mut report).await,
            "orders" => orders::measure(&server, &mut report, asked.length).await,
            "polls" => polls::measure(&server, &mut report, asked.length).await,
            "idle" => idle::measure(&server, &mut report).await,
            SOAK => soak::measure(&server, &mut report, asked.length).await,
            "grow" => grow::measure(&server, &mut report).await,
            SWEEP => sweep::measure(&server, &mut report).await,
            other => bail!("{other} is a part that nobody measures"),
        };
        // One part that fails costs the others nothing, and is no bar that is held.
        if let Err(error) = ended {
            report.failed(part, &error);
        }
        let (_, stolen) = Processors::since(before)?;
        report.part_ended(stolen);
        println!("({:.0} s; {stolen:.1} % stolen)", began.elapsed().as_secs_f64());
        // A run that is cut short keeps what it has measured.
        report.save(&asked.into)?;
    }
    report.row("the whole run", whole.elapsed().as_secs_f64() / 60.0, "minutes");
    report.save(&asked.into)?;
    plot::draw(&report, &asked.into)?;
    report.end(&asked.into);
    Ok(())
}

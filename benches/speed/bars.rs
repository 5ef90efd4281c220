//! What was measured, and the bars that it is held against.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::{Length, server::Server};

/// A bar: how fast, small or late something may be.
#[derive(Debug, Serialize)]
pub(crate) struct Bar {
    name: String,
    value: f64,
    bound: f64,
    unit: &'static str,
    /// It must be at least as much as the bound, or else at most.
    at_least: bool,
    held: bool,
}

/// A series of figures, for a plot.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    /// What it is of.
    pub(crate) label: String,
    /// Its points.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A picture.
#[derive(Debug, Serialize)]
pub(crate) struct Plot {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    /// The horizontal axis is logarithmic.
    pub(crate) is_log: bool,
    pub(crate) series: Vec<Series>,
}

#[derive(Debug, Serialize)]
struct Part {
    name: String,
    /// How busy the processors were just before, in per cent: what else the machine did.
    busy_before: f64,
    /// Which part of their time went to other virtual machines meanwhile, in per cent.
    stolen: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    part: String,
    what: String,
    value: f64,
    unit: &'static str,
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    /// What was measured, if it is known: a commit, with `-dirty` behind it if files differ.
    commit: Option<String>,
    length: Length,
    cores: usize,
    settings: Vec<(String, String)>,
    parts: Vec<Part>,
    rows: Vec<Row>,
    bars: Vec<Bar>,
    failures: Vec<String>,
    pub(crate) plots: Vec<Plot>,
}

impl Report {
    pub(crate) async fn begin(server: &Server, length: Length) -> anyhow::Result<Self> {
        let settings = server.settings().await?;
        let cores = std::thread::available_parallelism()?.get();
        let commit = std::env::var("PROVISOR_COMMIT").ok().filter(|commit| !commit.is_empty());
        println!(
            "provisor {} ({}), {cores} cores",
            env!("CARGO_PKG_VERSION"),
            commit.as_deref().unwrap_or("of no commit")
        );
        let stated: Vec<String> =
            settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        println!("PostgreSQL: {}", stated.join(" "));
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            commit,
            length,
            cores,
            settings,
            parts: Vec::new(),
            rows: Vec::new(),
            bars: Vec::new(),
            failures: Vec::new(),
            plots: Vec::new(),
        })
    }

    /// What follows is of this part.
    pub(crate) fn part(&mut self, name: &str, busy_before: f64) {
        self.parts.push(Part { name: name.to_owned(), busy_before, stolen: 0.0 });
    }

    /// It has ended, and so much of the processors' time went to others.
    pub(crate) fn part_ended(&mut self, stolen: f64) {
        if let Some(part) = self.parts.last_mut() {
            part.stolen = stolen;
        }
    }

    /// A figure.
    pub(crate) fn row(&mut self, what: &str, value: f64, unit: &'static str) {
        println!("{what:<62} {:>12} {unit}", shown(value));
        let part = self.parts.last().map_or_else(String::new, |part| part.name.clone());
        self.rows.push(Row { part, what: what.to_owned(), value, unit });
    }

    /// A figure that must be at least so much.
    pub(crate) fn at_least(&mut self, name: &str, value: f64, bound: f64, unit: &'static str) {
        self.bar(Bar {
            name: name.to_owned(),
            value,
            bound,
            unit,
            at_least: true,
            held: value >= bound,
        });
    }

    /// A figure that must be at most so much.
    pub(crate) fn at_most(&mut self, name: &str, value: f64, bound: f64, unit: &'static str) {
        self.bar(Bar {
            name: name.to_owned(),
            value,
            bound,
            unit,
            at_least: false,
            held: value <= bound,
        });
    }

    fn bar(&mut self, bar: Bar) {
        self.row(&bar.name, bar.value, bar.unit);
        self.bars.push(bar);
    }

    /// A part could not be measured.
    pub(crate) fn failed(&mut self, part: &str, error: &anyhow::Error) {
        println!("{part} could not be measured: {error:#}");
        self.failures.push(format!("{part}: {error:#}"));
    }

    /// Writes the JSON file.
    pub(crate) fn save(&self, into: &Path) -> anyhow::Result<()> {
        let file = into.join("bench.json");
        std::fs::write(&file, format!("{}\n", serde_json::to_string_pretty(self)?))
            .with_context(|| format!("writing {}", file.display()))
    }

    /// Prints the bars.
    pub(crate) fn end(&self, into: &Path) {
        println!("\n## The bars ({})\n", into.join("bench.json").display());
        for bar in &self.bars {
            let word = if bar.at_least { "at least" } else { "at most" };
            let verdict = if bar.held {
                "held".to_owned()
            } else if bar.bound > 0.0 {
                let by = (bar.value / bar.bound - 1.0).abs() * 100.0;
                if by < 1.0 {
                    format!("missed by {by:.1} %")
                } else {
                    format!("missed by {by:.0} %")
                }
            } else {
                format!("missed by {}", shown(bar.value))
            };
            println!(
                "{verdict:<16} {}: {} {} ({word} {})",
                bar.name,
                shown(bar.value),
                bar.unit,
                shown(bar.bound)
            );
        }
        for failure in &self.failures {
            println!("not measured     {failure}");
        }
    }
}

/// Three digits that mean something.
fn shown(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The mean of ratios: of one and its inverse it is one.
pub(crate) fn geometric_mean(ratios: &[f64]) -> f64 {
    let count = number(ratios.len());
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / count).exp()
}

/// The middle of some figures, or between the two in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let below: Vec<f64> = figures.iter().map(|figure| -figure).collect();
    (percentile(figures, 50.0) - percentile(&below, 50.0)) / 2.0
}

/// The figure below which so many hundredths of them lie.
pub(crate) fn percentile(figures: &[f64], hundredths: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = f64::from(u32::try_from(sorted.len().saturating_sub(1)).unwrap_or(u32::MAX));
    let wanted = (last * hundredths / 100.0).round();
    let at = (0_u32..).zip(&sorted).find(|(at, _)| f64::from(*at) >= wanted);
    at.map_or(f64::NAN, |(_, figure)| *figure)
}

/// A count as a number to calculate with.
pub(crate) fn number<N: TryInto<u32>>(count: N) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

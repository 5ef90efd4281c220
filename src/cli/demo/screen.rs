//! How the orders are shown while they move.

use std::{collections::BTreeMap, io::IsTerminal as _, time::Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    cli::output,
    db::reports::{LineReport, OrderReport},
};

/// How the orders are shown while they move: bars on a terminal, a line for each change elsewhere.
pub(super) enum Screen {
    Bars(MultiProgress, BTreeMap<String, ProgressBar>),
    Lines(BTreeMap<(String, i32), String>),
}

impl Screen {
    pub(super) fn new() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Bars(
                MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout()),
                BTreeMap::new(),
            )
        } else {
            Self::Lines(BTreeMap::new())
        }
    }

    pub(super) fn draw(&mut self, reports: &[OrderReport], began: Instant) {
        match self {
            Self::Bars(all, bars) => {
                for report in reports {
                    let bar = bars.entry(report.reference.clone()).or_insert_with(|| {
                        let bar = all.add(ProgressBar::new(progress_max(report)));
                        bar.set_style(style());
                        bar.set_prefix(report.reference.clone());
                        bar
                    });
                    bar.set_position(report.lines.iter().map(progress).sum());
                    bar.set_message(words(report));
                }
            }
            Self::Lines(seen) => {
                for report in reports {
                    for line in &report.lines {
                        let key = (report.reference.clone(), line.line);
                        if seen.get(&key) != Some(&line.status) {
                            let reason = line.reason.as_deref().unwrap_or_default();
                            output::line(&format!(
                                "{:>6.1} s  {}/{}  {:<12}  {reason}",
                                began.elapsed().as_secs_f32(),
                                report.reference,
                                line.line,
                                line.status
                            ));
                            seen.insert(key, line.status.clone());
                        }
                    }
                }
            }
        }
    }

    pub(super) fn end(self) {
        if let Self::Bars(_, bars) = self {
            bars.values().for_each(ProgressBar::abandon);
        }
        output::line("");
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}  {bar:24.green/black.bright}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Steps on the way of a line.
const STEPS: u64 = 3;

fn progress_max(report: &OrderReport) -> u64 {
    STEPS * u64::try_from(report.lines.len()).unwrap_or(1)
}

fn progress(line: &LineReport) -> u64 {
    match line.status.as_str() {
        "pending" => 0,
        "placing" => 1,
        "provisioning" | "in_doubt" => 2,
        _ => STEPS,
    }
}

fn words(report: &OrderReport) -> String {
    let lines: Vec<String> = report
        .lines
        .iter()
        .map(|line| {
            format!("{} {}", line.domain.as_deref().unwrap_or("-"), line.status.replace('_', " "))
        })
        .collect();
    format!("{}  ({})", report.status.replace('_', " "), lines.join(", "))
}

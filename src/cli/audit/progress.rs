//! How far an audit is: a bar on a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{audit::Stage, jobs::audit::Run};

/// Of each stage's part of the bar.
const PART: u64 = 1_000;

pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let stages = u64::try_from(Stage::ALL.len()).unwrap_or(1);
        let bar = ProgressBar::new(stages * PART);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(Some(bar))
    }

    pub(super) fn show(&self, run: &Run) {
        let Some(bar) = &self.0 else { return };
        let before = Stage::ALL.iter().take_while(|stage| **stage != run.stage).count();
        let before = u64::try_from(before).unwrap_or(0) * PART;
        bar.set_position(before + listed(&run.row.position) * PART / 100);
        bar.set_message(words(run));
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

/// How much of a listing is read, in hundredths, by its position: the next page, and how many entries there are.
fn listed(position: &str) -> u64 {
    let Some((page, total)) = position.split_once('/') else { return 0 };
    let (page, total) = (page.parse::<u64>().unwrap_or(1), total.parse::<u64>().unwrap_or(0));
    (page.saturating_sub(1) * 100 * 100).checked_div(total).unwrap_or(0).min(100)
}

fn words(run: &Run) -> String {
    let figures = &run.figures;
    match run.stage {
        Stage::Domains => format!("listing the domains, {} %", listed(&run.row.position)),
        Stage::Sites => format!("listing the sites, {} %", listed(&run.row.position)),
        Stage::DomainLooks | Stage::SiteLooks => format!("looked at {} directly", figures.looks),
        Stage::Weigh => format!("weighing {} assets", figures.assets),
        Stage::JudgePrices => format!("{} questions about prices", figures.price_questions),
        Stage::JudgeDomains | Stage::JudgeSites | Stage::JudgeOwn => {
            format!("{} findings opened, {} closed", figures.opened, figures.closed)
        }
        Stage::Remind => format!("{} reminders", figures.reminded),
        Stage::Finish => "ending".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_up_to_its_last_page() {
        for (position, expected) in [
            ("", 0),
            ("1/1000", 0),
            ("6/1000", 50),
            ("11/1000", 100),
            ("2/50", 100),
            ("2/0", 0),
            ("x", 0),
        ] {
            assert_eq!(listed(position), expected, "{position}");
        }
    }
}

//! What must hold when all is over, whatever has struck.
//!
//! - `rows.rs`: what the database has in the end.
//! - `purchases.rs`: at most one effect for each line and name, and the one that its status promises.
//! - `statuses.rs`: lines end, wait with a reason, or are in doubt; orders follow from their lines.
//! - `doubts.rs`: each doubt has a fault that explains it.
//! - `mails.rs`: each email that is owed, once.
//! - `mirrors.rs`: what is believed of sites and names is so, and what is wished has come to be.
//! - `remains.rs`: nothing is held, kept or told that should not be.

mod doubts;
mod mails;
mod mirrors;
mod purchases;
mod remains;
mod rows;
mod statuses;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::atomic::Ordering,
    time::Duration,
};

pub(super) use self::rows::Rows;
use super::{blows::Havoc, house::House, shop::Shop, watch::Watched, weather::MailDamage};

/// How many references are shown of each kind of wrong.
const SHOWN_MAX: usize = 20;

/// All that is known of a run.
pub(super) struct Evidence<'a> {
    pub(super) house: &'a House,
    pub(super) shop: &'a Shop,
    pub(super) watched: &'a Watched,
    pub(super) havoc: &'a Havoc,
    pub(super) mails: &'a MailDamage,
    pub(super) rows: &'a Rows,
}

/// What a run came to.
#[derive(Default)]
pub(crate) struct Verdict {
    /// What was bought more often than it was ordered.
    doubled: Vec<String>,
    /// What was ordered and is neither delivered nor visibly open, or delivered and not known.
    lost: Vec<String>,
    /// Everything else that should not be.
    wrongs: Vec<String>,
    /// For each fault: the lines that are in doubt by it.
    doubted: BTreeMap<String, u64>,
    /// Copies of mails, each of which a fault explains.
    copies: u64,
}

impl Verdict {
    pub(super) async fn reach(evidence: &Evidence<'_>) -> Self {
        let mut verdict = Self { wrongs: evidence.havoc.wrongs.clone(), ..Self::default() };
        verdict.judge_purchases(evidence);
        verdict.judge_statuses(evidence);
        verdict.judge_doubts(evidence);
        verdict.judge_mails(evidence);
        verdict.judge_mirrors(evidence).await;
        verdict.judge_remains(evidence).await;
        verdict
    }

    /// What was wrong before anything could be judged.
    pub(super) fn add_wrongs(&mut self, wrongs: impl IntoIterator<Item = String>) {
        self.wrongs.extend(wrongs);
    }

    pub(crate) fn is_good(&self) -> bool {
        self.doubled.is_empty() && self.lost.is_empty() && self.wrongs.is_empty()
    }

    /// The orders that something is wrong with, some of them.
    pub(super) fn references(&self) -> Vec<String> {
        let wrongs = [&self.doubled, &self.lost, &self.wrongs].into_iter().flatten();
        let named = wrongs.filter_map(|wrong| {
            let from = wrong.find("CHAOS-")?;
            let reference = wrong[from..].split(|c: char| c != '-' && !c.is_ascii_alphanumeric());
            reference.into_iter().next().map(str::to_owned)
        });
        let named: BTreeSet<String> = named.collect();
        named.into_iter().take(SHOWN_MAX).collect()
    }

    /// All that is wrong, some of each kind.
    pub(crate) fn told(&self) -> String {
        let mut text = String::new();
        for (what, wrongs) in
            [("doubled", &self.doubled), ("lost", &self.lost), ("wrong", &self.wrongs)]
        {
            for wrong in wrongs.iter().take(SHOWN_MAX) {
                let _ = writeln!(text, "{what}: {wrong}");
            }
            if wrongs.len() > SHOWN_MAX {
                let _ = writeln!(text, "{what}: … and {} more", wrongs.len() - SHOWN_MAX);
            }
        }
        text
    }

    /// What struck, what it left, and what it must not have done.
    pub(super) fn table(&self, evidence: &Evidence<'_>, took: Duration) -> String {
        let mut injected = evidence.watched.struck.clone();
        injected.extend(evidence.mails.struck.clone());
        let blows = evidence.havoc.counts();
        injected.extend(blows.into_iter().map(|(name, count)| (name.to_owned(), count)));
        for (name, doubted) in &self.doubted {
            injected.entry(name.clone()).or_insert(*doubted);
        }
        let mut text = String::new();
        let mut row = |name: &str, times: u64, doubted: u64| {
            let survived = times.saturating_sub(doubted);
            let _ = writeln!(text, "  {name:<30}{times:>9}{survived:>10}{doubted:>9}");
        };
        for (name, times) in &injected {
            row(name, *times, self.doubted.get(name).copied().unwrap_or(0));
        }
        row("all", injected.values().sum(), self.doubted.values().sum());
        let head =
            format!("  {:<30}{:>9}{:>10}{:>9}\n", "injected", "times", "survived", "doubted");
        format!("{head}{text}{}{}", Self::told_of_run(evidence, took), self.told_of_wrongs())
    }

    fn told_of_run(evidence: &Evidence<'_>, took: Duration) -> String {
        let rows = evidence.rows;
        let mut by_status: BTreeMap<&str, u64> = BTreeMap::new();
        for line in &rows.lines {
            *by_status.entry(&line.status).or_default() += 1;
        }
        let statuses: Vec<String> =
            by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
        format!(
            "{} orders, {} lines: {}\n{} lines were ever in doubt, {} of them settled by evidence\n\
             {} requests, {} lives of workers, {} deeds of customers, {:.0} s\n",
            rows.orders.len(),
            rows.lines.len(),
            statuses.join(", "),
            rows.ever_in_doubt.len(),
            rows.settled_doubts(),
            evidence.watched.requests,
            evidence.havoc.lives,
            evidence.shop.deeds.load(Ordering::Relaxed),
            took.as_secs_f64(),
        )
    }

    fn told_of_wrongs(&self) -> String {
        format!(
            "mails that came again, explained: {}\ndoubled: {}\nlost: {}\notherwise wrong: {}",
            self.copies,
            self.doubled.len(),
            self.lost.len(),
            self.wrongs.len()
        )
    }
}

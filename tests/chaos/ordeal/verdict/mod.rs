//! What must hold when all is over, whatever has struck.
//!
//! - `rows.rs`: what the database has in the end.
//! - `purchases.rs`: at most one effect for each line and name, and the one that its status promises.
//! - `statuses.rs`: lines end, wait with a reason, or are in doubt; orders follow from their lines.
//! - `doubts.rs`: each doubt has a fault that explains it.
//! - `mails.rs`: each email that is owed, once.
//! - `remains.rs`: nothing is held, kept or believed that should not be.

mod doubts;
mod mails;
mod purchases;
mod remains;
mod rows;
mod statuses;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

pub(super) use self::rows::Rows;
use super::{
    blows::Havoc, house::House, shop::Shop, watch::Watched, weather::MailDamage,
};

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
        verdict.judge_remains(evidence).await;
        verdict
    }

    /// One that has been reached before anything could be judged.
    pub(super) fn add_wrongs(&mut self, wrongs: Vec<String>) {
        self.wrongs.extend(wrongs);
    }

    pub(crate) fn is_good(&self) -> bool {
        self.doubled.is_empty() && self.lost.is_empty() && self.wrongs.is_empty()
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
        let mut injected: BTreeMap<String, u64> = evidence.watched.struck.clone();
        injected.extend(evidence.mails.struck.clone());
        let blows = evidence.havoc.counts();
        injected.extend(blows.into_iter().map(|(name, count)| (name.to_owned(), count)));
        for name in self.doubted.keys() {
            injected.entry(name.clone()).or_default();
        }
        let mut text = format!("{:<32}{:>9}{:>9}\n", "injected", "times", "doubted");
        for (name, times) in &injected {
            let doubted = self.doubted.get(name).copied().unwrap_or(0);
            let _ = writeln!(text, "  {name:<30}{times:>9}{doubted:>9}");
        }
        let rows = evidence.rows;
        let in_doubt: u64 = self.doubted.values().sum();
        let _ = writeln!(
            text,
            "orders {}, lines {}, requests {}, workers' lives {}, deeds {}, {:.0} s",
            rows.orders.len(),
            rows.lines.len(),
            evidence.watched.requests,
            evidence.havoc.lives,
            evidence.shop.deeds.load(std::sync::atomic::Ordering::Relaxed),
            took.as_secs_f64(),
        );
        let mut by_status: BTreeMap<&str, u64> = BTreeMap::new();
        for line in &rows.lines {
            *by_status.entry(&line.status).or_default() += 1;
        }
        let statuses: Vec<String> =
            by_status.iter().map(|(status, count)| format!("{status} {count}")).collect();
        let _ = writeln!(text, "lines: {}", statuses.join(", "));
        let survived: u64 = injected.values().sum::<u64>().saturating_sub(in_doubt);
        let _ = writeln!(
            text,
            "faults {}, survived {survived}; ever in doubt {}, of them settled by evidence {}, in doubt {in_doubt}; \
             mails {}, explained copies {}",
            injected.values().sum::<u64>(),
            rows.ever_in_doubt.len(),
            rows.settled_doubts(),
            rows.outbox.iter().filter(|row| row.status == "sent").count(),
            self.copies,
        );
        let _ = write!(
            text,
            "doubled {}, lost {}, otherwise wrong {}",
            self.doubled.len(),
            self.lost.len(),
            self.wrongs.len()
        );
        text
    }
}

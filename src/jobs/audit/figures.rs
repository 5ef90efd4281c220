//! What a run has come to so far, as its row keeps it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The most things that are told of a run.
const PROBLEMS_MAX: usize = 10;

/// What a run has come to so far.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are what a run has come to, not its state")]
pub struct Figures {
    /// Its end was reached with both listings complete, no stage given up, and nothing held it back: what it says is the
    /// whole truth.
    pub complete: bool,
    /// A stage was given up.
    pub given_up: bool,
    /// The list of domains was read to its end.
    pub domains_complete: bool,
    /// The list of sites was.
    pub sites_complete: bool,
    /// The passes of the two listings whose rows count.
    pub domains_pass: i32,
    /// As for the domains.
    pub sites_pass: i32,
    /// How many domains the account has.
    pub domains: u64,
    /// How many sites.
    pub sites: u64,
    /// Entries of the listing that is being read which can't be.
    pub unread: u64,
    /// Domains and sites that were looked at directly.
    pub looks: u32,
    /// Of these, those of the present stage that a question made necessary.
    pub needed_looks: u32,
    /// And those that none did.
    pub routine_looks: u32,
    /// How many customers' assets the present stage is about, once that is counted.
    pub stage_assets: Option<u64>,
    /// The domain after which the next run looks, since this one has made as many needed looks as it may.
    pub domains_looked_to: String,
    /// As for the domains.
    pub sites_looked_to: String,
    /// Assets that are known to be customers'.
    pub assets: u64,
    /// Those of which something would be changed.
    pub changed: u64,
    /// Those that would be newly declared missing.
    pub missing: u64,
    /// So much would change or be missing at once that nothing is written.
    pub braked: bool,
    /// Findings that were opened.
    pub opened: u64,
    /// Findings that became graver.
    pub worse: u64,
    /// Findings that were closed.
    pub closed: u64,
    /// Reminders that were owed.
    pub reminded: u64,
    /// The line after which the next run asks for the prices of names.
    pub priced_to: i64,
    /// Questions about prices.
    pub price_questions: u32,
    /// Requests in a row that failed at this place.
    pub failures: u32,
    /// Assets in a row that were passed over since nothing could be learnt of them.
    pub skipped: u32,
    /// Since when the upstream is not asked at this place.
    pub waiting_since: Option<DateTime<Utc>>,
    /// What could not be done, a sentence each.
    pub problems: Vec<String>,
}

impl Figures {
    /// A request was answered.
    pub fn answered(&mut self) {
        (self.failures, self.skipped, self.waiting_since) = (0, 0, None);
    }

    /// Begins a stage.
    pub fn begin_stage(&mut self) {
        // How long the upstream has not been asked is no stage's own.
        (self.failures, self.skipped, self.unread) = (0, 0, 0);
        (self.needed_looks, self.routine_looks, self.stage_assets) = (0, 0, None);
    }

    /// Notes what could not be done.
    pub fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

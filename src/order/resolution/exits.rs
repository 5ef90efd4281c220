//! The way out of where a line is stuck: the commands that a person may type, and when each is right.

use super::PlacementNamed;
use crate::order::{
    LineKind, LineStatus, Reference, UpstreamOrderId, decide::PANICS_MAX, effect::EffectStep,
    facts::Facts, ledger::EffectState,
};

/// A line that waits for a person, as far as its ways out depend on it.
#[derive(Clone, Debug)]
pub struct Stuck<'a> {
    /// The order's reference.
    pub reference: &'a str,
    /// The line's index, from 0.
    pub line: i32,
    /// What it asks for.
    pub kind: LineKind,
    /// Where it stands.
    pub status: LineStatus,
    /// Why.
    pub reason: &'a str,
    /// Its LJPc order.
    pub upstream_order_id: Option<UpstreamOrderId>,
    /// Its handler has failed on it so often that nothing more is tried by itself.
    pub is_given_up: bool,
    /// Its placements, each with its number in its step, the latest at the end.
    pub placements: Vec<(EffectStep, i32, EffectState)>,
}

/// The name is in the account with a contact that is not the line's: nothing says that this line has brought it.
const END_OF_NAME: &str =
    "it shall end (should the name be there, `provisor audit import` brings it to its customer)";

/// A way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exit {
    /// When it is the right one.
    pub when: &'static str,
    /// What to type.
    pub command: String,
}

impl<'a> Stuck<'a> {
    /// A line as its facts have it.
    #[must_use]
    pub fn of(facts: &'a Facts) -> Self {
        Self {
            reference: &facts.reference.0,
            line: facts.line,
            kind: facts.kind,
            status: facts.progress.status,
            reason: facts.progress.reason.as_deref().unwrap_or_default(),
            upstream_order_id: facts.progress.upstream_order_id,
            is_given_up: facts.progress.panics >= PANICS_MAX,
            placements: facts.placements.iter().map(|it| (it.step, it.n, it.state)).collect(),
        }
    }

    /// Its ways out; none for a line that waits for nobody.
    #[must_use]
    pub fn exits(&self) -> Vec<Exit> {
        match self.status {
            LineStatus::Held => {
                let given_up = |(step, _, state): &&(EffectStep, i32, EffectState)| {
                    step.buys() && matches!(state, EffectState::Absent | EffectState::Abandoned)
                };
                let mut exits =
                    vec![self.exit("it shall be decided anew", "retry", &self.limits())];
                if let Some((step, ..)) = self.placements.iter().rev().find(given_up) {
                    exits.extend(self.adoptions(*step));
                }
                exits.push(self.exit(self.end(), "resolve", " --abandon"));
                exits
            }
            LineStatus::InDoubt => self.exits_of_doubt(),
            LineStatus::Pending
            | LineStatus::Placing
            | LineStatus::Provisioning
            | LineStatus::Completed
            | LineStatus::Failed
            | LineStatus::Cancelled => Vec::new(),
        }
    }

    fn exits_of_doubt(&self) -> Vec<Exit> {
        let bought = self
            .placements
            .iter()
            .any(|(step, _, state)| step.buys() && *state == EffectState::Accepted);
        if bought || self.upstream_order_id.is_some() {
            return vec![self.exit("what made it fail is mended", "retry", "")];
        }
        let doubted = self.placements.iter().rev().find(|(.., state)| state.is_open());
        let mut exits = Vec::new();
        if self.is_given_up {
            let mended = "what made it fail is mended, and it shall be looked for again";
            exits.push(self.exit(mended, "retry", ""));
        }
        if let Some((step, ..)) = doubted {
            exits.extend(self.adoptions(*step));
        }
        if let Some((step, n, _)) = doubted {
            let absent = format!(" --absent --placement {}", PlacementNamed::new(*step, *n));
            exits.push(self.exit("it is not there, and shall be made again", "resolve", &absent));
        }
        let buys_name = |(step, ..): &&(EffectStep, i32, EffectState)| {
            matches!(step, EffectStep::Register | EffectStep::Transfer)
        };
        let end =
            if doubted.is_some_and(|it| buys_name(&it)) { END_OF_NAME } else { "it shall end" };
        exits.push(self.exit(end, "resolve", " --abandon"));
        exits
    }

    /// When a held line is ended: one whose name is in the account (`kinds/purchase.rs`) may have brought it.
    fn end(&self) -> &'static str {
        let is_here = self.reason.contains("is a name of this account already");
        if is_here { END_OF_NAME } else { "it shall end" }
    }

    /// How it is said that what a step may have bought is there.
    fn adoptions(&self, step: EffectStep) -> Vec<Exit> {
        if step != EffectStep::PlaceOrder {
            return Vec::new();
        }
        let mut exits = vec![self.exit("the order is there", "resolve", " --upstream-order ID")];
        if matches!(self.kind, LineKind::Hosting | LineKind::HostingOwn) {
            exits.push(self.exit("its site is there", "resolve", " --site ID"));
        }
        exits
    }

    /// What a held line lacks, by its own reason (`domain/offer.rs`, `kinds/catalogue.rs`).
    fn limits(&self) -> String {
        let mut limits = String::new();
        if self.reason.contains("max_cost") {
            limits.push_str(" --max-cost EUR");
        }
        if self.reason.contains("allow_premium") {
            limits.push_str(" --allow-premium");
        }
        limits
    }

    fn exit(&self, when: &'static str, verb: &str, options: &str) -> Exit {
        let operand = Reference(self.reference.to_owned()).operand();
        let options = format!("--line {}{options}", self.line);
        // What may begin like an option comes last, for nothing behind it is one.
        let command = if operand.starts_with('-') {
            format!("provisor order {verb} {options} {operand}")
        } else {
            format!("provisor order {verb} {operand} {options}")
        };
        Exit { when, command }
    }
}

//! The evidence for "exactly once": a model of lines, ledger, leases, fences, cancellation and a person's resolutions, of
//! which every state is searched that can be reached within `Limits`.
//!
//! What decides is the real code: `decide`, `accepted`, `in_doubt`, `rejected`, `panicked`, `Placement::that_counts`,
//! `EffectState::learn`, `Facts::next_placement` (with its tags) and `LineStatus::may_become`. Modelled is what
//! surrounds it: the transactions (`database.rs`: the specification of `src/db`), the workers and the upstream's answers
//! (`worker.rs`), and what else happens (`actions.rs`). Any worker may be killed, may panic or may pause for ever between
//! any two steps; leases end whenever they like; an answer may be lost while its request still arrives later; the answer
//! to a COMMIT may be lost; a person may be wrong.
//!
//! Time is not modelled: whatever is scheduled may become due at once, and the configured waits are over. Whether they
//! are kept is tested with `decide`.
//!
//! - `state.rs`: what there is. `actions.rs`: what can happen. `worker.rs`: a run. `database.rs`: the transactions.
//! - `properties.rs`: what must always hold. `rest.rs`: that nothing is stuck.
//! - `mutations.rs`: the rules broken one by one, each of which the search must notice.
//! - `names/`: the same for lines that bring a name, with their several steps.
//!
//! `PROVISOR_MODEL=long cargo test --test model` searches further, for several minutes.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, tells how much it searched, and names of the many only what it means"
)]

mod actions;
mod database;
mod mutations;
mod names;
mod properties;
mod rest;
mod state;
mod worker;

use std::sync::Arc;

use provisor::order::{Money, facts::Known, kinds::catalogue::Product};
use stateright::{Checker, Expectation, Model, Property};

use crate::{actions::Action, mutations::Mutation, state::State};

/// How much there is of everything, which is what makes the space finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Lines, of one kind and for one domain.
    pub(crate) lines: usize,
    /// Runs at one time.
    pub(crate) workers: usize,
    /// Whether evidence of an order in doubt is looked for, as far as there is any.
    pub(crate) evidence: bool,
    pub(crate) budget: Budget,
}

/// What may still go wrong, or be done from outside.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Budget {
    pub(crate) crashes: u8,
    pub(crate) panics: u8,
    /// Leases that end although their run goes on. Those of runs that have ended don't count.
    pub(crate) lease_ends: u8,
    /// Commands of a person.
    pub(crate) resolutions: u8,
    pub(crate) cancels: u8,
}

impl Limits {
    /// Enough for every mutation to be noticed.
    pub(crate) const SMALL: Self = Self {
        lines: 1,
        workers: 2,
        evidence: false,
        budget: Budget { crashes: 1, panics: 0, lease_ends: 1, resolutions: 1, cancels: 1 },
    };
    /// What becomes of a doubt by itself.
    pub(crate) const EVIDENCE: Self = Self { evidence: true, ..Self::SMALL };
    /// Each mishap once.
    const EACH_MISHAP: Self =
        Self { budget: Budget { panics: 1, ..Self::SMALL.budget }, ..Self::SMALL };
    /// A person who may be wrong twice.
    const ONE_LINE: Self = Self {
        budget: Budget { crashes: 0, resolutions: 2, ..Self::EACH_MISHAP.budget },
        ..Self::SMALL
    };
    /// Runs that come back when others have long taken over, and are killed.
    const LOST_LEASES: Self =
        Self { budget: Budget { crashes: 2, lease_ends: 2, ..Self::SMALL.budget }, ..Self::SMALL };
    const THREE_WORKERS: Self = Self { workers: 3, ..Self::SMALL };
    /// Two lines that compete for their domain.
    const TWO_LINES: Self =
        Self { lines: 2, budget: Budget { resolutions: 0, ..Self::SMALL.budget }, ..Self::SMALL };

    const fn with_lease_ends(self, lease_ends: u8) -> Self {
        Self { budget: Budget { lease_ends, ..self.budget }, ..self }
    }
}

/// The model.
pub(crate) struct Provisor {
    limits: Limits,
    mutation: Option<Mutation>,
    catalogue: Known,
}

impl Provisor {
    pub(crate) fn new(limits: Limits) -> Self {
        let products = vec![Product {
            uuid: "00000000-0000-4000-8000-000000000005".to_owned(),
            name: "5GB hosting".to_owned(),
            category_identifier: "hosting_5gb".to_owned(),
            client_choice: true,
            monthly_price: "4.99".parse::<Money>().ok(),
            yearly_price: None,
        }];
        let catalogue = Known { catalogue: Some(Arc::new(products)), ..Known::default() };
        Self { limits, mutation: None, catalogue }
    }

    pub(crate) fn broken_by(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }
}

impl Model for Provisor {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.limits)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions::possible(self, state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        actions::perform(self, &mut state, action);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

/// Searches the whole space for violations: of the usual size, or of the long search's.
fn search(name: &str, usual: Limits, long: Limits) -> impl Checker<Provisor> {
    let is_long = std::env::var("PROVISOR_MODEL").as_deref() == Ok("long");
    let limits = if is_long { long } else { usual };
    let started = std::time::Instant::now();
    let checker = Provisor::new(limits).checker().threads(2).spawn_dfs().join();
    println!(
        "{name}: {} unique states, {} transitions, depth {}, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed()
    );
    assert!(checker.is_done(), "{name}: the search ended early");
    for property in checker.model().properties() {
        if property.expectation == Expectation::Always {
            checker.assert_no_discovery(property.name);
        }
    }
    checker
}

#[test]
fn one_line_in_every_interleaving() {
    let long = Budget { resolutions: 2, ..Limits::EACH_MISHAP.budget };
    let checker = search("one line", Limits::ONE_LINE, Limits { budget: long, ..Limits::ONE_LINE });
    // What must be reachable is: else the invariants might hold for want of anything that breaks them.
    for property in checker.model().properties() {
        let of_evidence = [properties::FOUND_BY_SITE, properties::FOUND_BY_ID];
        if property.expectation == Expectation::Sometimes && !of_evidence.contains(&property.name) {
            checker.assert_any_discovery(property.name);
        }
    }
    assert!(checker.unique_state_count() >= 1_000_000, "the space has shrunk: search more");
}

#[test]
fn each_mishap_once() {
    search("each mishap", Limits::EACH_MISHAP, Limits::EACH_MISHAP.with_lease_ends(2));
}

#[test]
fn lost_leases() {
    search("lost leases", Limits::LOST_LEASES, Limits::LOST_LEASES.with_lease_ends(3));
}

#[test]
fn evidence() {
    let checker = search("evidence", Limits::EVIDENCE, Limits::EVIDENCE.with_lease_ends(2));
    checker.assert_any_discovery(properties::FOUND_BY_SITE);
    checker.assert_any_discovery(properties::FOUND_BY_ID);
}

#[test]
fn three_workers() {
    search("three workers", Limits::THREE_WORKERS, Limits::THREE_WORKERS.with_lease_ends(2));
}

#[test]
fn two_lines_of_one_domain() {
    search("two lines", Limits::TWO_LINES, Limits { lines: 2, ..Limits::SMALL });
}

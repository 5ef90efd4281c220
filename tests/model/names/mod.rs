//! The same for lines that bring a name. Such a line has several steps (a WHOIS contact, the purchase, settings, the
//! zone), each with ledger rows of its own, and looks upstream before and after each; two lines may want one name, or one
//! contact.
//!
//! What decides is the real code again, whole runs of it: `decide` with all that it asks for, `accepted`, `rejected`,
//! `unknown`, `panicked`, `Placement::that_counts`, `next_placement`, `EffectState::learn`. Where the model of hosting
//! (`../`) goes through every instruction at which a worker may stop, this one takes what no other run can tell apart as one
//! step: claiming and loading, the last look and the first byte, the truth and the line's record.
//!
//! Mishaps of every sort come out of one allowance, so that each combination of so many is searched. LJPc is at its worst:
//! it buys as often as it is asked to, and refuses whenever it likes. What it shows is true, or a stored row of before.
//!
//! Left out: that nothing is found yet, and looked for again (a line in doubt rests until there is something to be seen); a
//! line that waits for another one of its name rests until that has ended; a transfer that fails at the registry.

mod actions;
mod database;
mod mutations;
mod properties;
mod run;
mod state;
mod upstream;

use std::{collections::HashMap, sync::Mutex};

use stateright::{Checker, Expectation, Model, Property};

use self::{
    actions::Action,
    mutations::Mutation,
    state::{At, Seen, State},
    upstream::Heard,
};
use crate::rest::Graph;

/// What a line asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Plan {
    /// Which name.
    pub(crate) name: usize,
    pub(crate) is_transfer: bool,
}

const REGISTER: Plan = Plan { name: 0, is_transfer: false };
const TRANSFER: Plan = Plan { name: 0, is_transfer: true };
const ANOTHER_NAME: Plan = Plan { name: 1, is_transfer: false };

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All of one customer, so of one contact; the first was submitted first.
    pub(crate) lines: &'static [Plan],
    /// Runs at one time.
    pub(crate) runs: usize,
    /// What may go wrong, or be done from outside.
    pub(crate) mishaps: u8,
}

impl Limits {
    const REGISTRATION: Self = Self { lines: &[REGISTER], runs: 2, mishaps: 2 };
    const INCOMING: Self = Self { lines: &[TRANSFER], runs: 2, mishaps: 1 };
    const ONE_NAME_TWICE: Self = Self { lines: &[REGISTER, TRANSFER], runs: 2, mishaps: 1 };
    const TWO_NAMES: Self = Self { lines: &[REGISTER, ANOTHER_NAME], runs: 2, mishaps: 0 };

    const fn with_mishaps(self, mishaps: u8) -> Self {
        Self { mishaps, ..self }
    }
}

/// The model.
pub(crate) struct Names {
    limits: Limits,
    mutation: Option<Mutation>,
    /// What `decide` has said: most states ask it what others have asked.
    decisions: Mutex<HashMap<(usize, Seen, Heard), At>>,
}

impl Names {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, mutation: None, decisions: Mutex::default() }
    }

    pub(crate) fn broken_by(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }

    pub(crate) fn breaks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl Model for Names {
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
        // Which worker is at it makes no difference: states that differ in that alone are one.
        state.runs.sort_unstable();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

fn search(name: &str, limits: Limits) -> impl Checker<Names> {
    let is_long = std::env::var("PROVISOR_MODEL").as_deref() == Ok("long");
    let limits = limits.with_mishaps(limits.mishaps + u8::from(is_long));
    let started = std::time::Instant::now();
    let checker = Names::new(limits).checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} unique states, {} transitions, depth {}, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed()
    );
    for property in checker.model().properties() {
        if property.expectation == Expectation::Always {
            checker.assert_no_discovery(property.name);
        }
    }
    checker
}

#[test]
fn a_registration() {
    let checker = search("a registration", Limits::REGISTRATION);
    for reached in properties::REACHED_BY_ONE {
        checker.assert_any_discovery(reached);
    }
}

#[test]
fn a_transfer() {
    let checker = search("a transfer", Limits::INCOMING);
    for reached in properties::REACHED_BY_ONE {
        checker.assert_any_discovery(reached);
    }
}

#[test]
fn two_lines_for_one_name() {
    let checker = search("one name twice", Limits::ONE_NAME_TWICE);
    for reached in properties::REACHED_BY_TWO {
        checker.assert_any_discovery(reached);
    }
}

#[test]
fn two_names_of_one_customer() {
    search("two names", Limits::TWO_NAMES);
}

#[test]
fn from_every_state_the_names_lines_can_come_to_rest() {
    for limits in [Limits::REGISTRATION.with_mishaps(1), Limits::INCOMING.with_mishaps(1)] {
        let graph = Graph::of(&Names::new(limits), |state, action| action.is_ordinary(state));
        let rests = |state: &State| (0..state.lines.len()).all(|line| state.is_at_rest(line));
        assert!(graph.states() > 1_000, "only {} states", graph.states());
        graph.assert_all_come_to(rests);
    }
}

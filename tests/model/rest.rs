//! Nothing is stuck: from every reachable state, all lines can come to rest, without a mishap and without a person.
//!
//! The search for violations sees no circles in which a line turns for ever. So here the space is laid out as a graph,
//! and walked backwards from the states in which nothing is left to be done.

use std::{collections::HashMap, fmt::Debug, hash::Hash};

use stateright::Model;

use crate::{Limits, Provisor, properties::is_at_rest, state::State};

/// The states in the order in which they were found, and by which ordinary steps each is entered.
pub(crate) struct Graph<S> {
    states: Vec<S>,
    entered_from: Vec<Vec<usize>>,
}

impl<S: Clone + Debug + Eq + Hash> Graph<S> {
    /// `is_ordinary` says what happens by itself.
    pub(crate) fn of<M: Model<State = S>>(
        model: &M,
        is_ordinary: impl Fn(&S, &M::Action) -> bool,
    ) -> Self {
        let mut graph = Self { states: Vec::new(), entered_from: Vec::new() };
        let mut known = HashMap::new();
        for state in model.init_states() {
            graph.enter(&mut known, state);
        }
        let mut from = 0;
        while let Some(state) = graph.states.get(from).cloned() {
            let mut actions = Vec::new();
            model.actions(&state, &mut actions);
            for action in actions {
                let ordinary = is_ordinary(&state, &action);
                let Some(next) = model.next_state(&state, action) else { continue };
                let to = graph.enter(&mut known, next);
                if ordinary {
                    graph.entered_from[to].push(from);
                }
            }
            from += 1;
        }
        graph
    }

    fn enter(&mut self, known: &mut HashMap<S, usize>, state: S) -> usize {
        *known.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            self.entered_from.push(Vec::new());
            self.states.len() - 1
        })
    }

    /// How many states there are.
    pub(crate) fn states(&self) -> usize {
        self.states.len()
    }

    /// Fails with a state from which ordinary steps don't lead to rest.
    pub(crate) fn assert_all_come_to(&self, rests: impl Fn(&S) -> bool) {
        let mut leads: Vec<bool> = self.states.iter().map(rests).collect();
        let mut open: Vec<usize> = (0..leads.len()).filter(|&index| leads[index]).collect();
        while let Some(to) = open.pop() {
            for &from in &self.entered_from[to] {
                if !leads[from] {
                    leads[from] = true;
                    open.push(from);
                }
            }
        }
        let stuck = self.states.iter().zip(&leads).find(|&(_, &leads)| !leads);
        assert!(stuck.is_none(), "stuck: {:#?}", stuck.map(|(state, _)| state));
    }
}

#[test]
fn from_every_state_the_line_can_come_to_rest() {
    let graph = Graph::of(&Provisor::new(Limits::SMALL), |state, action| action.is_ordinary(state));
    assert!(graph.states() > 50_000, "only {} states", graph.states());
    graph.assert_all_come_to(|state: &State| {
        (0..state.lines.len()).all(|line| is_at_rest(state, line))
    });
}

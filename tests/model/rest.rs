//! Nothing is stuck: from every reachable state, all lines can come to rest, without a mishap and without a person.
//!
//! The search for violations sees no circles in which a line turns for ever. So here the space is laid out as a graph,
//! and walked backwards from the states in which nothing is left to be done.

use std::collections::HashMap;

use stateright::Model;

use crate::{Limits, Provisor, properties::is_at_rest, state::State};

/// The states in the order in which they were found, and by which ordinary steps each is entered.
struct Graph {
    states: Vec<State>,
    entered_from: Vec<Vec<usize>>,
}

impl Graph {
    fn of(model: &Provisor) -> Self {
        let mut graph = Self { states: Vec::new(), entered_from: Vec::new() };
        let mut known = HashMap::new();
        for state in model.init_states() {
            graph.enter(&mut known, state);
        }
        let mut from = 0;
        while let Some(state) = graph.states.get(from).cloned() {
            for (action, next) in model.next_steps(&state) {
                let to = graph.enter(&mut known, next);
                if action.is_ordinary(&state) {
                    graph.entered_from[to].push(from);
                }
            }
            from += 1;
        }
        graph
    }

    fn enter(&mut self, known: &mut HashMap<State, usize>, state: State) -> usize {
        *known.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            self.entered_from.push(Vec::new());
            self.states.len() - 1
        })
    }

    /// The states from which ordinary steps lead to rest.
    fn leading_to_rest(&self) -> Vec<bool> {
        let rests = |state: &State| (0..state.lines.len()).all(|line| is_at_rest(state, line));
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
        leads
    }
}

#[test]
fn from_every_state_the_line_can_come_to_rest() {
    let graph = Graph::of(&Provisor::new(Limits::SMALL));
    let leads = graph.leading_to_rest();
    let stuck = graph.states.iter().zip(&leads).find(|&(_, &leads)| !leads);
    assert!(stuck.is_none(), "stuck: {:#?}", stuck.map(|(state, _)| state));
    assert!(graph.states.len() > 50_000, "only {} states", graph.states.len());
}

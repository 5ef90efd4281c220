//! What must hold in every state, and what must be reachable, or the search has proved nothing.

use provisor::order::{
    LineStatus,
    decide::PANICS_MAX,
    ledger::{EffectState, Outcome},
};
use stateright::Property;

use crate::{
    Provisor,
    state::{At, Line, Run, State, order_id, slot},
};

pub(crate) const ONE_FOR_A_TAG: &str = "a tag never buys twice";
pub(crate) const ONE_FOR_A_LINE: &str = "a line never buys twice unless a person was wrong";
pub(crate) const INTENDED: &str = "no byte is written before its intent is in the ledger";
pub(crate) const BY_THE_LEDGER: &str = "nothing is sent that the ledger forbids";
pub(crate) const CANCELLED: &str = "a cancelled line has bought nothing and never will";
pub(crate) const COMPLETED: &str = "a completed line bears an order that was bought for it";
pub(crate) const KNOWN: &str = "of a completed line the ledger knows its purchase";
pub(crate) const FOUND_BY_SITE: &str = "an order in doubt is found by its site";
pub(crate) const FOUND_BY_ID: &str = "an order in doubt is found by its number";
pub(crate) const REFUSED: &str = "a refused line has bought nothing unless a person was wrong";
pub(crate) const IDLE: &str = "a pending or held line has nothing under way";
pub(crate) const ABSORBS: &str = "what was accepted stays accepted";
pub(crate) const HEARD: &str = "an acceptance that was heard is in the ledger";
pub(crate) const TOLD: &str = "a second purchase is told once it is known";
pub(crate) const LEGAL: &str = "a line moves only as its states allow";
pub(crate) const AT_REST: &str =
    "a line at rest has ended, or waits for a person, and follows the ledger";
pub(crate) const ONE_FOR_A_DOMAIN: &str = "a domain has one placement under way";

/// All of them.
pub(crate) fn all() -> Vec<Property<Provisor>> {
    let mut properties = invariants();
    properties.extend(reachable());
    properties
}

fn invariants() -> Vec<Property<Provisor>> {
    fn each(state: &State, holds: impl Fn(&Line) -> bool) -> bool {
        state.lines.iter().all(holds)
    }
    vec![
        Property::always(ONE_FOR_A_TAG, |_, state: &State| {
            each(state, |line| line.bought.iter().all(|&bought| bought <= 1))
        }),
        Property::always(ONE_FOR_A_LINE, |_, state: &State| {
            each(state, |line| line.bought_in_all() <= 1 + line.history.wrongly_absent)
        }),
        Property::always(INTENDED, |_, state: &State| {
            each(state, |line| !line.history.wrote_unintended)
        }),
        Property::always(BY_THE_LEDGER, |_, state: &State| {
            each(state, |line| !line.history.sent_against_ledger)
        }),
        Property::always(CANCELLED, |_, state: &State| {
            (0..state.lines.len()).all(|line| {
                state.lines[line].row.status != LineStatus::Cancelled
                    || has_sent_nothing(state, line)
            })
        }),
        Property::always(COMPLETED, |_, state: &State| {
            (0..state.lines.len()).all(|line| {
                state.lines[line].row.status != LineStatus::Completed || bears_its_own(state, line)
            })
        }),
        Property::always(KNOWN, |_, state: &State| {
            each(state, |line| {
                line.row.status != LineStatus::Completed
                    || line.counting().is_some_and(|placed| placed.state == EffectState::Accepted)
            })
        }),
        Property::always(REFUSED, |_, state: &State| {
            each(state, |line| {
                let refused = line.row.status == LineStatus::Failed
                    && line.counting().is_some_and(|p| p.state == EffectState::Rejected);
                !refused || line.bought_in_all() <= line.history.wrongly_absent
            })
        }),
        Property::always(IDLE, |_, state: &State| {
            (0..state.lines.len()).all(|line| is_idle_if_pending(state, line))
        }),
        Property::always(ABSORBS, |_, state: &State| each(state, |line| !line.history.unlearnt)),
        Property::always(HEARD, |_, state: &State| {
            (0..state.lines.len()).all(|line| has_heard(state, line))
        }),
        Property::always(TOLD, |_, state: &State| {
            each(state, |line| accepted(line) <= 1 || line.history.told_twice)
        }),
        Property::always(LEGAL, |_, state: &State| each(state, |line| !line.history.leapt)),
        Property::always(AT_REST, |_, state: &State| {
            (0..state.lines.len())
                .all(|line| !is_at_rest(state, line) || may_rest(&state.lines[line]))
        }),
        Property::always(ONE_FOR_A_DOMAIN, |_, state: &State| {
            state.lines.iter().flat_map(|line| &line.placements).filter(|p| p.live).count() <= 1
        }),
    ]
}

/// Else an invariant may hold only because nothing happens.
fn reachable() -> Vec<Property<Provisor>> {
    fn some(state: &State, has: impl Fn(&Line) -> bool) -> bool {
        state.lines.iter().any(has)
    }
    vec![
        Property::sometimes("a line is completed", |_, state: &State| {
            some(state, |line| line.row.status == LineStatus::Completed)
        }),
        Property::sometimes("a line is refused", |_, state: &State| {
            some(state, |line| line.row.status == LineStatus::Failed && line.bought_in_all() == 0)
        }),
        Property::sometimes("a line is cancelled", |_, state: &State| {
            some(state, |line| line.row.status == LineStatus::Cancelled)
        }),
        Property::sometimes("a line is held", |_, state: &State| {
            some(state, |line| line.row.status == LineStatus::Held)
        }),
        Property::sometimes("a line stays in doubt with its order bought", |_, state: &State| {
            (0..state.lines.len()).any(|line| {
                is_at_rest(state, line)
                    && state.lines[line].row.status == LineStatus::InDoubt
                    && state.lines[line].bought_in_all() == 1
            })
        }),
        Property::sometimes("a line is placed anew and completed", |_, state: &State| {
            some(state, |line| {
                line.row.status == LineStatus::Completed
                    && line.placements.len() == 2
                    && line.bought_in_all() == 1
            })
        }),
        Property::sometimes("a person is wrong, and it is told", |_, state: &State| {
            some(state, |line| line.history.told_twice && line.bought_in_all() == 2)
        }),
        Property::sometimes("a line is completed by its site alone", |_, state: &State| {
            some(state, |line| line.row.has_site && line.row.borne.is_none())
        }),
        Property::sometimes(FOUND_BY_ID, |_, state: &State| {
            some(state, |line| line.row.status == LineStatus::Completed && line.history.found_by_id)
        }),
        Property::sometimes(FOUND_BY_SITE, |_, state: &State| {
            some(state, |line| {
                line.row.status == LineStatus::Completed && line.history.found_by_site
            })
        }),
        Property::sometimes("a line that was given up is delivered", |_, state: &State| {
            some(state, |line| {
                line.row.status == LineStatus::Completed
                    && line.placements.iter().any(|p| p.state == EffectState::Accepted && !p.live)
                    && line.history.wrongly_absent == 0
            })
        }),
    ]
}

/// How many acceptances the ledger knows of.
fn accepted(line: &Line) -> usize {
    line.placements.iter().filter(|placed| placed.state == EffectState::Accepted).count()
}

fn has_sent_nothing(state: &State, line: usize) -> bool {
    let sending = |run: &Run| matches!(run.at, At::Committed(_) | At::Looked(_) | At::Written(_));
    let target = &state.lines[line];
    target.bought_in_all() == 0
        && target.placements.is_empty()
        && target.orphans.iter().all(|&orphans| orphans == 0)
        && !state.runs_on(line).any(sending)
}

/// In the ledger always, and on the wire unless a person has said that there is nothing.
fn is_idle_if_pending(state: &State, line: usize) -> bool {
    let target = &state.lines[line];
    if !matches!(target.row.status, LineStatus::Pending | LineStatus::Held) {
        return true;
    }
    let open = |state| matches!(state, EffectState::Sending | EffectState::InDoubt);
    let idle = !(1..).take(target.orphans.len()).any(|tag| state.is_in_flight(line, tag));
    !target.placements.iter().any(|placed| open(placed.state))
        && (idle || target.history.wrongly_absent > 0)
        && (target.row.sent || has_sent_nothing(state, line))
}

/// The order that the line bears was bought under one of its tags, or its site came of one.
fn bears_its_own(state: &State, line: usize) -> bool {
    let target = &state.lines[line];
    if target.row.has_site {
        return target.bought_in_all() > 0;
    }
    (1..)
        .take(target.bought.len())
        .any(|tag| target.row.borne == Some(order_id(line, tag)) && target.bought[slot(tag)] > 0)
}

/// Every purchase is in the ledger, or its answer is still in a worker's hands, or was lost.
fn has_heard(state: &State, line: usize) -> bool {
    let target = &state.lines[line];
    (1..).take(target.bought.len()).filter(|&tag| target.bought[slot(tag)] > 0).all(|tag| {
        let known = |p: &crate::state::Placed| p.n == tag && p.state == EffectState::Accepted;
        let at_hand = |run: &Run| match run.at {
            At::Answered { request, outcome: Outcome::Accepted, .. } => request.tag == tag,
            _ => false,
        };
        target.history.unheard[slot(tag)]
            || target.placements.iter().any(known)
            || state.runs_on(line).any(at_hand)
    })
}

/// Nothing will happen to the line by itself.
pub(crate) fn is_at_rest(state: &State, line: usize) -> bool {
    let wake = &state.lines[line].wake;
    !wake.due && !wake.leased && state.runs_on(line).next().is_none()
}

/// Whether a line may be left alone: no poke was lost, and the line says what the ledger says.
fn may_rest(line: &Line) -> bool {
    let counts = line.counting().map(|placed| placed.state);
    // A handler that panics too often on a line whose order is known leaves it in doubt: a person says how it goes on.
    let given_up = line.row.status == LineStatus::InDoubt && line.row.panics >= PANICS_MAX;
    let follows =
        !line.has_news() && (accepted(line) == 0 || line.row.status.is_ended() || given_up);
    follows
        && match line.row.status {
            LineStatus::Completed
            | LineStatus::Failed
            | LineStatus::Cancelled
            | LineStatus::Held => true,
            LineStatus::InDoubt => {
                counts == Some(EffectState::InDoubt) || given_up && line.row.borne.is_some()
            }
            LineStatus::Pending | LineStatus::Placing | LineStatus::Provisioning => false,
        }
}

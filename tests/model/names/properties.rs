//! What must hold in every state, and what must be reachable, or the search has proved nothing.

use provisor::order::{LineStatus, decide::PANICS_MAX, effect::EffectStep, ledger::EffectState};
use stateright::Property;

use super::{
    Names,
    state::{At, Line, State, purchase},
};

pub(crate) const ONE_FOR_A_LINE: &str = "a line never buys twice unless a person was wrong";
pub(crate) const ONE_FOR_A_NAME: &str = "a name has one purchase under way";
pub(crate) const BOUGHT_ONCE: &str = "a name is never bought twice unless a person was wrong";
pub(crate) const CONTACTS: &str = "a customer has one contact, and one more for each doubt";
pub(crate) const INTENDED: &str = "no byte is written before its intent is in the ledger";
pub(crate) const BY_THE_LEDGER: &str = "nothing is sent that the ledger forbids";
pub(crate) const CANCELLED: &str = "a cancelled line has sent nothing and never will";
pub(crate) const COMPLETED: &str = "a completed line has bought its name, and the ledger knows";
pub(crate) const AS_WISHED: &str =
    "a completed line's name is as it was wished, or says what was refused";
pub(crate) const FAILED: &str = "a failed line has bought nothing unless a person was wrong";
pub(crate) const ABSORBS: &str = "what was accepted stays accepted";
pub(crate) const TOLD: &str = "a second purchase is told once it is known";
pub(crate) const LEGAL: &str = "a line moves only as its states allow";
pub(crate) const AT_REST: &str = "a line at rest has ended, or waits for a person or for its name";
pub(crate) const BOUNDED: &str = "every step has an end";

/// More placements of a step than these are no end: three that LJPc accepted and does not show, three doubts, and one that
/// is under way.
const PLACEMENTS_MAX: usize = 7;

const COMPLETES: &str = "a line is completed";
const IS_CANCELLED: &str = "a line is cancelled";
const IS_TAKEN: &str = "a line fails and has bought nothing";
const FOUND: &str = "a purchase in doubt is found and completed";
const CONTACT_FOUND: &str = "a contact in doubt is found in the list";
const CONTACT_ANEW: &str = "a contact in doubt is made anew";
const SETTINGS_ANEW: &str = "settings in doubt are sent anew";
const REFUSED: &str = "a line is completed, with a refused wish";
const BOTH_WAIT: &str = "a line waits for another one of its name";
const SECOND_BUYS: &str = "the first line fails, and the second one buys";

pub(crate) const REACHED_BY_ONE: [&str; 8] =
    [COMPLETES, IS_CANCELLED, IS_TAKEN, FOUND, CONTACT_FOUND, CONTACT_ANEW, SETTINGS_ANEW, REFUSED];
pub(crate) const REACHED_BY_TWO: [&str; 3] = [COMPLETES, BOTH_WAIT, SECOND_BUYS];

/// All of them.
pub(crate) fn all() -> Vec<Property<Names>> {
    let mut properties = purchases();
    properties.extend(lines());
    properties.extend(reachable());
    properties
}

fn each(state: &State, holds: impl Fn(&Line) -> bool) -> bool {
    state.lines.iter().all(holds)
}

fn has(line: &Line, step: EffectStep, state: EffectState) -> bool {
    line.of_step(step).any(|placed| placed.state == state)
}

fn bought(line: &Line) -> usize {
    line.history.bought.len()
}

fn purchases() -> Vec<Property<Names>> {
    vec![
        Property::always(ONE_FOR_A_LINE, |_, state: &State| {
            each(state, |line| bought(line) <= 1 + usize::from(line.history.wrongly))
        }),
        Property::always(ONE_FOR_A_NAME, |_, state: &State| {
            (0..state.upstream.names.len()).all(|name| {
                let of_name = state.lines.iter().filter(|line| line.plan.name == name);
                let claims = of_name.flat_map(|line| line.of_step(purchase(line.plan)));
                claims.filter(|p| p.live && p.state != EffectState::NotSent).count() <= 1
            })
        }),
        Property::always(BOUGHT_ONCE, |_, state: &State| {
            (0..state.upstream.names.len()).all(|name| {
                let of_name = || state.lines.iter().filter(|line| line.plan.name == name);
                let wrongly: usize = of_name().map(|l| usize::from(l.history.wrongly)).sum();
                of_name().map(bought).sum::<usize>() <= 1 + wrongly
            })
        }),
        Property::always(CONTACTS, |_, state: &State| {
            state.upstream.contacts <= 1 + state.contacts_doubted
        }),
        Property::always(INTENDED, |_, state: &State| {
            each(state, |line| !line.history.wrote_unintended)
        }),
        Property::always(BY_THE_LEDGER, |_, state: &State| {
            each(state, |line| !line.history.sent_against_ledger)
        }),
        Property::always(ABSORBS, |_, state: &State| each(state, |line| !line.history.unlearnt)),
        Property::always(TOLD, |_, state: &State| {
            each(state, |line| {
                // What evidence finds may be called the purchase of a placement that was refused because of it: that one
                // is told of by nobody, for there is only one.
                let known = line.of_step(purchase(line.plan)).filter(|placed| {
                    placed.state == EffectState::Accepted && line.history.bought.contains(&placed.n)
                });
                known.count() <= 1 || line.history.told_twice
            })
        }),
    ]
}

fn lines() -> Vec<Property<Names>> {
    vec![
        Property::always(CANCELLED, |_, state: &State| {
            (0..state.lines.len()).all(|line| {
                state.lines[line].row.status != LineStatus::Cancelled
                    || has_sent_nothing(state, line)
            })
        }),
        Property::always(COMPLETED, |_, state: &State| {
            each(state, |line| {
                line.row.status != LineStatus::Completed
                    || bought(line) > 0 && has(line, purchase(line.plan), EffectState::Accepted)
            })
        }),
        Property::always(AS_WISHED, |_, state: &State| {
            each(state, |line| {
                line.row.status != LineStatus::Completed || is_as_wished(state, line)
            })
        }),
        Property::always(FAILED, |_, state: &State| {
            each(state, |line| {
                line.row.status != LineStatus::Failed
                    || bought(line) <= usize::from(line.history.wrongly)
            })
        }),
        Property::always(LEGAL, |_, state: &State| each(state, |line| !line.history.leapt)),
        Property::always(AT_REST, |_, state: &State| {
            (0..state.lines.len()).all(|line| !state.is_at_rest(line) || may_rest(state, line))
        }),
        Property::always(BOUNDED, |_, state: &State| {
            each(state, |line| {
                EffectStep::ALL.iter().all(|&step| line.of_step(step).count() <= PLACEMENTS_MAX)
            })
        }),
    ]
}

/// Else an invariant may hold only because nothing happens.
fn reachable() -> Vec<Property<Names>> {
    fn some(state: &State, holds: impl Fn(&Line) -> bool) -> bool {
        state.lines.iter().any(holds)
    }
    let of = Property::sometimes;
    vec![
        of(COMPLETES, |_, s: &State| some(s, |line| line.row.status == LineStatus::Completed)),
        of(IS_CANCELLED, |_, s: &State| some(s, |line| line.row.status == LineStatus::Cancelled)),
        of(IS_TAKEN, |_, s: &State| {
            some(s, |line| line.row.status == LineStatus::Failed && bought(line) == 0)
        }),
        of(FOUND, |_, s: &State| {
            some(s, |line| line.row.status == LineStatus::Completed && line.history.found)
        }),
        of(CONTACT_FOUND, |_, s: &State| {
            some(s, |line| {
                line.placements.iter().any(|placed| {
                    placed.step == EffectStep::CreateContact
                        && placed.state == EffectState::Accepted
                        && !placed.has_handle
                })
            })
        }),
        of(CONTACT_ANEW, |_, s: &State| {
            some(s, |line| line.of_step(EffectStep::CreateContact).count() > 1)
        }),
        of(SETTINGS_ANEW, |_, s: &State| {
            some(s, |line| has(line, EffectStep::UpdateDomain, EffectState::Absent))
        }),
        of(REFUSED, |_, s: &State| {
            some(s, |line| line.row.status == LineStatus::Completed && line.row.is_refused)
        }),
        of(BOTH_WAIT, |_, s: &State| {
            (0..s.lines.len())
                .any(|line| s.is_at_rest(line) && s.lines[line].row.status == LineStatus::Pending)
        }),
        of(SECOND_BUYS, |_, s: &State| {
            s.lines.first().is_some_and(|line| line.row.status == LineStatus::Failed)
                && s.lines.last().is_some_and(|line| bought(line) > 0)
        }),
    ]
}

fn has_sent_nothing(state: &State, line: usize) -> bool {
    let target = &state.lines[line];
    let is_sending = |run: &super::state::Run| {
        run.line == line
            && (matches!(run.at, At::Written(_))
                || run.is_fenced_in && matches!(run.at, At::Committed(_)))
    };
    bought(target) == 0
        && target.placements.iter().all(|placed| placed.state == EffectState::NotSent)
        && !state.runs.iter().any(is_sending)
}

fn is_as_wished(state: &State, line: &Line) -> bool {
    let Some(name) = state.upstream.names[line.plan.name] else { return false };
    (name.renews_as_wished || line.row.is_refused) && (name.has_records || line.row.zone_is_told)
}

/// Whether a line may be left alone.
fn may_rest(state: &State, line: usize) -> bool {
    let target = &state.lines[line];
    let row = target.row;
    match row.status {
        // What the ledger knows to be bought is followed, unless the line has ended for good.
        LineStatus::Failed | LineStatus::Held => {
            !has(target, purchase(target.plan), EffectState::Accepted) || row.is_accepted
        }
        LineStatus::Completed | LineStatus::Cancelled => true,
        LineStatus::InDoubt => {
            target.placements.iter().any(|p| p.state == EffectState::InDoubt)
                || row.panics >= PANICS_MAX
        }
        LineStatus::Pending => state.has_rival(line),
        LineStatus::Placing | LineStatus::Provisioning => false,
    }
}

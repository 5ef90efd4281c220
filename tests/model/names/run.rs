//! A run, step by step.

use std::time::Duration;

use provisor::order::{
    LineStatus,
    decide::{Change, Query, Step, Then, decide},
    effect::{Acceptance, Effect, EffectStep},
    facts::{Facts, Patience},
    ledger::{EffectState, Outcome},
    outcome::{accepted, panicked, rejected, unknown},
};

use super::{
    Names,
    actions::{Action, carry_out},
    database::Intent,
    mutations::Mutation,
    state::{At, Record, Request, Row, Run, Seen, State, handle},
    upstream::{Ask, Heard},
};

/// The configured waits are over at once: whether they are kept is tested with `decide`.
const PATIENCE: Patience = Patience {
    failed_recheck: Duration::ZERO,
    site_id_wait: Duration::ZERO,
    overdue_after: Duration::MAX,
    in_doubt_grace: Duration::ZERO,
    poll_interval: Duration::ZERO,
    evidence_interval: Duration::ZERO,
    order_id_probe: false,
    offers_alternatives: false,
};

pub(crate) fn claim(model: &Names, state: &mut State, line: usize) {
    for run in &mut state.runs {
        run.is_fenced_in &= run.line != line;
    }
    state.lines[line].wake.leased = true;
    let mut seen = state.load(line);
    seen.has_rival &= !model.breaks(Mutation::NamesDoNotWait);
    let heard = Heard::default();
    let at = step(model, state, line, &seen, heard);
    state.runs.push(Run { line, is_fenced_in: true, is_poked: false, seen, heard, at });
}

pub(crate) fn work(model: &Names, state: &mut State, index: usize, action: Action) {
    let mut run = state.runs.swap_remove(index);
    let at = match (action, run.at) {
        (Action::Hear { is_stale, .. }, At::Asking(ask)) => {
            let heard = state.hear(run.line, ask, run.heard, is_stale);
            run.heard = heard.unwrap_or(run.heard);
            if model.breaks(Mutation::AnyNameIsEvidence) && ask == Ask::Domain {
                run.heard.name = Some(state.foreign(&run).into());
            }
            Some(step(model, state, run.line, &run.seen, run.heard))
        }
        (Action::Commit { confirmed, .. }, At::Connected(request)) => {
            commit(model, state, &run, request, confirmed)
        }
        (Action::Send { .. }, At::Committed(request)) => Some(send(state, &run, request)),
        (Action::Answer { outcome, said_to_exist, .. }, At::Written(request)) => {
            match outcome {
                Outcome::Accepted => carry_out(state, run.line, request.step, request.n),
                Outcome::InDoubt => lose(state, &run),
                _ => {}
            }
            Some(At::Answered { request, outcome, said_to_exist })
        }
        (Action::Settle { .. }, At::Answered { request, outcome, said_to_exist }) => {
            state.settle(model, &run, request, outcome, said_to_exist);
            let record = follow(state, &run, request, outcome, said_to_exist);
            state.record(model, &run, record);
            None
        }
        (Action::Record { .. }, At::Recording(record)) => {
            state.record(model, &run, record);
            None
        }
        (Action::Panic { .. }, _) => {
            lose(state, &run);
            let seen = state.load(run.line);
            let facts = seen.facts(run.line, state.lines[run.line].plan);
            let record = recording(&seen, &facts, &panicked(&facts));
            run.seen = seen;
            Some(At::Recording(record))
        }
        // Killed: it leaves nothing behind but its request and its lease.
        _ => {
            lose(state, &run);
            None
        }
    };
    if let Some(at) = at {
        run.at = at;
        if matches!(run.at, At::Connected(_) | At::Recording(_)) {
            run.heard = Heard::default();
        }
        state.runs.push(run);
    }
}

/// What `decide` says, by what has been heard.
fn step(model: &Names, state: &State, line: usize, seen: &Seen, heard: Heard) -> At {
    let asked = (line, seen.clone(), heard);
    if let Some(&said) = model.decisions.lock().unwrap().get(&asked) {
        return said;
    }
    let said = decide_anew(model, state, line, seen, heard);
    model.decisions.lock().unwrap().insert(asked, said);
    said
}

fn decide_anew(model: &Names, state: &State, line: usize, seen: &Seen, heard: Heard) -> At {
    let plan = state.lines[line].plan;
    let facts = seen.facts(line, plan);
    match decide(&facts, &heard.known(plan), &PATIENCE) {
        Step::Read(Query::Offer(..)) => At::Asking(Ask::Offer),
        Step::Read(Query::Contact(_)) => At::Asking(Ask::Contact),
        Step::Read(Query::Domain(_)) => At::Asking(Ask::Domain),
        Step::Read(Query::Zone(_)) => At::Asking(Ask::Zone),
        Step::Read(other) => unreachable!("a name's line asks for {other:?}"),
        Step::Make(effect) => At::Connected(request(seen, &effect)),
        Step::Record(_) if model.breaks(Mutation::DoubtIsRetried) && is_open(seen) => {
            At::Recording(retry_blindly(seen))
        }
        Step::Record(change) => At::Recording(recording(seen, &facts, &change)),
    }
}

fn request(seen: &Seen, effect: &Effect) -> Request {
    let during = Row { sent: true, ..seen.row.after(&effect.during) };
    Request { step: effect.step, n: effect.n, during }
}

fn is_open(seen: &Seen) -> bool {
    seen.row.status == LineStatus::InDoubt
}

/// What a queue does that promises "at least once", and leaves the rest to the handler.
fn retry_blindly(seen: &Seen) -> Record {
    let doubtful = seen.placements.iter().rev().find(|placed| placed.state.is_open());
    let to = Row { status: LineStatus::Pending, ..seen.row };
    Record {
        expected: seen.row.status,
        to,
        evidence: doubtful.map(|p| (p.step, p.n, EffectState::NotSent)),
        again: true,
    }
}

fn recording(seen: &Seen, facts: &Facts, change: &Change) -> Record {
    let to = seen.row.after(change);
    // A line that waits for another one of its name is poked by its end; one in doubt looks again once there is something
    // to be seen.
    let waits = seen.has_rival && to.status == LineStatus::Pending
        || facts.progress.status == LineStatus::InDoubt && to.status == LineStatus::InDoubt;
    Record {
        expected: seen.row.status,
        to,
        evidence: change.evidence.as_ref().map(|found| (found.step, found.n, found.state)),
        again: change.then != Then::Rest && !waits,
    }
}

fn commit(
    model: &Names,
    state: &mut State,
    run: &Run,
    request: Request,
    confirmed: bool,
) -> Option<At> {
    match state.commit_intent(model, run, request) {
        // Nothing is written, and its lease runs out.
        Intent::Overtaken => None,
        Intent::InTheWay => {
            let row = run.seen.row;
            let record = Record { expected: row.status, to: row, evidence: None, again: true };
            Some(At::Recording(record))
        }
        Intent::Committed if confirmed => Some(At::Committed(request)),
        // Whether it is committed is unknown, so it is never sent.
        Intent::Committed => Some(not_sent(request)),
    }
}

fn not_sent(request: Request) -> At {
    At::Answered { request, outcome: Outcome::NotSent, said_to_exist: false }
}

fn send(state: &mut State, run: &Run, request: Request) -> At {
    let line = &mut state.lines[run.line];
    if !run.is_fenced_in || !line.wake.leased {
        return not_sent(request);
    }
    line.history.wrote_unintended |= line.placed_mut(request.step, request.n).is_none();
    At::Written(request)
}

/// A request for whose answer nobody waits any more goes its own way.
fn lose(state: &mut State, run: &Run) {
    if let At::Written(request) = run.at {
        state.upstream.on_their_way.insert((run.line, request.step, request.n));
    }
}

/// The line after an answer.
fn follow(
    state: &State,
    run: &Run,
    request: Request,
    outcome: Outcome,
    said_to_exist: bool,
) -> Record {
    let plan = state.lines[run.line].plan;
    // The intent has moved the line on since the facts were read.
    let during = Seen { row: request.during, ..run.seen.clone() };
    let facts = during.facts(run.line, plan);
    let change = match outcome {
        Outcome::Accepted => accepted(&facts, request.step, &promised(request.step)),
        Outcome::Rejected => {
            let message = if said_to_exist { "The domain already exists" } else { "No" };
            rejected(&facts, request.step, Some(message))
        }
        Outcome::InDoubt => unknown(&facts, request.step, "no answer"),
        Outcome::RateLimited | Outcome::Unauthorized | Outcome::NotSent => {
            let status = if facts.progress.status == LineStatus::Provisioning {
                LineStatus::Provisioning
            } else {
                LineStatus::Pending
            };
            Change::to(&facts, status, Some("later".to_owned()), Then::Retry)
        }
    };
    let mut record = recording(&during, &facts, &change);
    if outcome == Outcome::NotSent {
        // What provably was never written leaves the line as it was before.
        record.to.sent = run.seen.row.sent;
    }
    record
}

fn promised(step: EffectStep) -> Acceptance {
    match step {
        EffectStep::CreateContact => Acceptance::Contact(handle()),
        EffectStep::Register | EffectStep::Transfer => {
            Acceptance::Name { cost: None, status: "accepted".to_owned() }
        }
        _ => Acceptance::Changed { synced: Some(false) },
    }
}

//! A worker's run, step by step: load, decide, act, tell the ledger, record. The upstream's answers are part of it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use provisor::order::{
    LineStatus, SiteId, UpstreamOrderId,
    decide::{Change, Query, Step, Then, decide},
    effect::{Acceptance, EffectStep},
    facts::{Known, Patience, ProbeReading, Reading, SitesReading},
    ledger::Outcome,
    outcome::{accepted, in_doubt, panicked, rejected},
};

use crate::{
    Provisor,
    actions::{Action, Ids},
    database::Intent,
    mutations::Mutation,
    state::{At, Line, Record, Request, Row, Run, Seen, State, number, order_id, slot},
};

/// What a hosting line buys by.
const STEP: EffectStep = EffectStep::PlaceOrder;

/// The state after an action of a worker that has a run.
pub(crate) fn work(model: &Provisor, state: &mut State, worker: usize, action: Action) {
    let Some(mut run) = state.workers[worker] else { return };
    run.at = match (action, run.at) {
        (Action::Load { .. }, _) => {
            run.seen = Some(load(model, &state.lines[run.line]));
            step(model, &run, &Known::default())
        }
        (Action::ReadCatalogue { sells_it, .. }, _) => {
            let nothing = Known { catalogue: Some(Arc::default()), ..Known::default() };
            step(model, &run, if sells_it { &model.catalogue } else { &nothing })
        }
        (Action::ReadOrder { says, .. }, _) => {
            let reading = Reading::Order { simple_status: says, site_id: Some(SiteId(1)) };
            step(model, &run, &Known { reading: Some(reading), ..Known::default() })
        }
        (Action::ReadIds { says, .. }, _) => {
            state.left.resolutions -= u8::from(says == Ids::Absent);
            step(model, &run, &Known { probe: Some(probed(&run, says)), ..Known::default() })
        }
        (Action::ReadSites { has_one, .. }, _) => {
            let sites = listed(has_one);
            let probe = Some(ProbeReading::Waits);
            step(model, &run, &Known { sites: Some(sites), probe, ..Known::default() })
        }
        (Action::Connect { works: true, .. }, At::Connecting(request)) => At::Connected(request),
        (Action::Connect { works: false, .. }, _) => later(&run),
        (Action::Commit { confirmed, .. }, At::Connected(request)) => {
            match commit(model, state, worker, request) {
                Intent::Overtaken => return state.drop_run(worker),
                Intent::DomainTaken => later(&run),
                Intent::Committed if confirmed => At::Committed(request),
                // Whether it was committed is unknown to the worker, so it never sends. That it was not, after all, is
                // the case in which the worker just drops its run.
                Intent::Committed => not_sent(request),
            }
        }
        (Action::Look { .. }, At::Committed(request)) => {
            let in_time = state.is_fenced_in(worker) && state.lines[run.line].wake.leased;
            if in_time { At::Looked(request) } else { not_sent(request) }
        }
        (Action::Write { .. }, At::Looked(request)) => {
            let line = &mut state.lines[run.line];
            line.history.wrote_unintended |= line.placed_mut(request.n).is_none();
            At::Written(request)
        }
        (Action::Answer { outcome, .. }, At::Written(request)) => {
            answer(state, &run, request, outcome)
        }
        (Action::Settle { confirmed, .. }, At::Answered { request, outcome, settled }) => {
            if !settled || model.mutation == Some(Mutation::AttemptSettlesTwice) {
                state.settle(worker, request, outcome, model.mutation);
            }
            if confirmed {
                follow(&run, request, outcome)
            } else {
                At::Answered { request, outcome, settled: true }
            }
        }
        (Action::Record { .. }, At::Recording(record)) => {
            return state.record(worker, record, model.mutation);
        }
        (Action::Crash { .. }, _) => {
            state.left.crashes -= 1;
            lose(state, &run);
            return state.drop_run(worker);
        }
        (Action::Panic { .. }, _) => {
            state.left.panics -= 1;
            lose(state, &run);
            let seen = state.lines[run.line].seen();
            recording(&seen, &panicked(&seen.facts(run.line)))
        }
        (_, at) => at,
    };
    if matches!(run.at, At::Recording(_)) {
        run.seen = None;
    }
    state.workers[worker] = Some(run);
}

fn load(model: &Provisor, line: &Line) -> Seen {
    let mut seen = line.seen();
    match model.mutation {
        Some(Mutation::OnlyTheLatestCounts) => {
            seen.placement = line.placements.iter().max_by_key(|placed| placed.n).copied();
        }
        Some(Mutation::GivenUpStaysGivenUp) => seen.placement = seen.placement.filter(|p| p.live),
        _ => {}
    }
    seen
}

/// What `decide` says, by what has been read.
fn step(model: &Provisor, run: &Run, known: &Known) -> At {
    // The waits that the configuration sets are over at once: whether they are kept is tested with `decide`.
    let patience = Patience {
        failed_recheck: Duration::ZERO,
        site_id_wait: Duration::ZERO,
        overdue_after: Duration::MAX,
        in_doubt_grace: Duration::ZERO,
        poll_interval: Duration::ZERO,
        evidence_interval: Duration::ZERO,
        order_id_probe: model.limits.evidence,
        offers_alternatives: false,
    };
    let seen = run.seen.unwrap();
    match decide(&seen.facts(run.line), known, &patience) {
        Step::Read(Query::Catalogue) => At::ReadingCatalogue,
        Step::Read(Query::Order(UpstreamOrderId(id))) => {
            assert_eq!(seen.row.borne, Some(id));
            At::ReadingOrder
        }
        Step::Read(Query::OrderIds { .. }) => At::ReadingIds,
        Step::Read(Query::Sites) if model.limits.evidence => At::ReadingSites,
        // That nothing is found is left out of most searches.
        Step::Read(Query::Sites) => {
            recording(&seen, &Change::unchanged(&seen.facts(run.line), Then::Rest))
        }
        Step::Read(other) => unreachable!("hosting asks for {other:?}"),
        Step::Make(order) => {
            let reuses = model.mutation == Some(Mutation::TagIsReused);
            let tag = if reuses { 1 } else { number(&order.tag) };
            At::Connecting(Request { n: order.n, tag })
        }
        Step::Record(_) if model.mutation == Some(Mutation::DoubtIsRetried) && seen.is_open() => {
            retry_blindly(&seen)
        }
        Step::Record(change) => recording(&seen, &change),
    }
}

/// What the list of sites shows, as `decide` wants it.
fn listed(has_one: bool) -> SitesReading {
    let sites = if has_one { vec![SiteId(1)] } else { Vec::new() };
    SitesReading::New { sites, others_wait: false, listed_at: DateTime::<Utc>::MAX_UTC }
}

/// What the ids show, as `decide` wants it.
fn probed(run: &Run, says: Ids) -> ProbeReading {
    let placed = run.seen.and_then(|seen| seen.placement);
    match (says, placed) {
        (Ids::Found, Some(placed)) => {
            let id = UpstreamOrderId(order_id(run.line, placed.n));
            ProbeReading::Found { id, cost: None }
        }
        (Ids::Absent, _) => ProbeReading::Absent { first_ended_at: DateTime::<Utc>::UNIX_EPOCH },
        (Ids::Waits | Ids::Found, _) => ProbeReading::Waits,
    }
}

fn recording(seen: &Seen, change: &Change) -> At {
    let mut to = seen.row;
    to.status = change.progress.status;
    to.borne = change.progress.upstream_order_id.map(|UpstreamOrderId(id)| id);
    to.panics = change.progress.panics;
    to.has_site = change.progress.site_id.is_some() && to.borne.is_none();
    // A line in doubt looks again once there is something to be seen: that it looks for nothing is left out.
    let looks_on = (seen.row.status, to.status) == (LineStatus::InDoubt, LineStatus::InDoubt)
        && to.panics == seen.row.panics;
    let again = change.then != Then::Rest && !looks_on;
    let evidence = change
        .evidence
        .as_ref()
        .map(|found| (found.n, found.state, found.upstream_order_id.map(|UpstreamOrderId(id)| id)));
    At::Recording(Record { expected: seen.row.status, to, again, evidence, blindly: false })
}

/// What a queue does that promises "at least once" and leaves the rest to the handler.
fn retry_blindly(seen: &Seen) -> At {
    let to = Row { status: LineStatus::Pending, ..seen.row };
    let expected = seen.row.status;
    At::Recording(Record { expected, to, again: true, evidence: None, blindly: true })
}

/// Nothing has changed; the line is tried again later.
fn later(run: &Run) -> At {
    let row = run.seen.unwrap().row;
    let expected = row.status;
    At::Recording(Record { expected, to: row, again: true, evidence: None, blindly: false })
}

fn not_sent(request: Request) -> At {
    At::Answered { request, outcome: Outcome::NotSent, settled: false }
}

fn commit(model: &Provisor, state: &mut State, worker: usize, request: Request) -> Intent {
    match model.mutation {
        Some(Mutation::NoIntent) => Intent::Committed,
        mutation => state.commit_intent(worker, request, mutation),
    }
}

fn answer(state: &mut State, run: &Run, request: Request, outcome: Outcome) -> At {
    let line = &mut state.lines[run.line];
    match outcome {
        Outcome::Accepted => line.bought[slot(request.tag)] += 1,
        // A timeout or a reset: the request goes its own way.
        Outcome::InDoubt => line.orphans[slot(request.tag)] += 1,
        Outcome::Rejected | Outcome::RateLimited | Outcome::Unauthorized | Outcome::NotSent => {}
    }
    At::Answered { request, outcome, settled: false }
}

/// The line after an answer that the ledger knows.
fn follow(run: &Run, request: Request, outcome: Outcome) -> At {
    let mut seen = run.seen.unwrap();
    // The intent has moved the line on since the facts were read.
    seen.row.status = LineStatus::Placing;
    let facts = seen.facts(run.line);
    let change = match outcome {
        Outcome::Accepted => {
            let id = UpstreamOrderId(order_id(run.line, request.tag));
            accepted(&facts, STEP, &Acceptance::Order { id, cost: None })
        }
        Outcome::Rejected => rejected(&facts, STEP, None),
        Outcome::InDoubt => in_doubt(&facts, "no answer".to_owned()),
        Outcome::RateLimited | Outcome::Unauthorized | Outcome::NotSent => {
            Change::to(&facts, LineStatus::Pending, Some("later".to_owned()), Then::Retry)
        }
    };
    recording(&seen, &change)
}

/// What a run leaves behind that ends without a word.
fn lose(state: &mut State, run: &Run) {
    let line = &mut state.lines[run.line];
    match run.at {
        At::Written(request) => line.orphans[slot(request.tag)] += 1,
        At::Answered { request, outcome: Outcome::Accepted, settled: false } => {
            line.history.unheard[slot(request.tag)] = true;
        }
        _ => {}
    }
}

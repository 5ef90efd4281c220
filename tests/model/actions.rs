//! What can happen next: each step of a worker, the upstream's answers, mishaps, and what a person does.

use provisor::order::{
    LineStatus, SiteId, UpstreamOrderId,
    decide::{Change, Step, Then, accepted, decide, in_doubt, panicked, rejected},
    facts::{Known, Patience, Reading, SimpleStatus},
    ledger::Outcome,
};
use std::time::Duration;

use crate::{
    Provisor,
    database::Intent,
    mutations::Mutation,
    state::{At, Record, Request, Row, Run, Seen, State, number, order_id, slot},
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Claim {
        worker: usize,
        line: usize,
    },
    /// Reads the facts and decides.
    Load {
        worker: usize,
    },
    ReadCatalogue {
        worker: usize,
        sells_it: bool,
    },
    ReadOrder {
        worker: usize,
        says: SimpleStatus,
    },
    Connect {
        worker: usize,
        works: bool,
    },
    /// Commits the intent; `confirmed`: the worker hears of it.
    Commit {
        worker: usize,
        confirmed: bool,
    },
    /// Looks at the lease, once more.
    Look {
        worker: usize,
    },
    Write {
        worker: usize,
    },
    Answer {
        worker: usize,
        outcome: Outcome,
    },
    /// Tells the ledger the truth; `confirmed`: the worker hears that it is committed.
    Settle {
        worker: usize,
        confirmed: bool,
    },
    Record {
        worker: usize,
    },
    /// SIGKILL.
    Crash {
        worker: usize,
    },
    Panic {
        worker: usize,
    },
    LeaseEnds {
        line: usize,
    },
    /// A request whose sender has gone is carried out after all, or never.
    OrphanArrives {
        line: usize,
        tag: i32,
    },
    OrphanVanishes {
        line: usize,
        tag: i32,
    },
    Cancel {
        line: usize,
    },
    SayAbsent {
        line: usize,
    },
    Abandon {
        line: usize,
    },
    AdoptUpstreamOrder {
        line: usize,
    },
    Retry {
        line: usize,
    },
}

impl Action {
    /// What happens by itself: neither a mishap, nor the shop, nor a person. These alone must bring a line to rest.
    pub(crate) fn is_ordinary(&self, state: &State) -> bool {
        match *self {
            Self::Crash { .. } | Self::Panic { .. } | Self::Cancel { .. } | Self::Retry { .. } => {
                false
            }
            Self::SayAbsent { .. } | Self::Abandon { .. } | Self::AdoptUpstreamOrder { .. } => {
                false
            }
            Self::LeaseEnds { line } => state.lines[line].wake.holder.is_none(),
            Self::Claim { .. }
            | Self::Load { .. }
            | Self::ReadCatalogue { .. }
            | Self::ReadOrder { .. }
            | Self::Connect { .. }
            | Self::Commit { .. }
            | Self::Look { .. }
            | Self::Write { .. }
            | Self::Answer { .. }
            | Self::Settle { .. }
            | Self::Record { .. }
            | Self::OrphanArrives { .. }
            | Self::OrphanVanishes { .. } => true,
        }
    }
}

/// Everything that can happen in a state.
pub(crate) fn possible(model: &Provisor, state: &State, actions: &mut Vec<Action>) {
    for worker in 0..state.workers.len() {
        if let Some(run) = &state.workers[worker] {
            steps(worker, run, actions);
            if state.left.crashes > 0 {
                actions.push(Action::Crash { worker });
            }
            if state.left.panics > 0 {
                actions.push(Action::Panic { worker });
            }
        }
    }
    // Idle workers are alike: the first of them claims.
    if let Some(worker) = state.workers.iter().position(Option::is_none) {
        for (line, target) in state.lines.iter().enumerate() {
            if target.wake.due && !target.wake.leased {
                actions.push(Action::Claim { worker, line });
            }
        }
    }
    for line in 0..state.lines.len() {
        outside(model, state, line, actions);
    }
}

fn steps(worker: usize, run: &Run, actions: &mut Vec<Action>) {
    match run.at {
        At::Claimed => actions.push(Action::Load { worker }),
        At::ReadingCatalogue => {
            actions.extend([true, false].map(|sells_it| Action::ReadCatalogue { worker, sells_it }))
        }
        At::ReadingOrder => actions.extend(
            [SimpleStatus::Pending, SimpleStatus::Completed, SimpleStatus::Failed]
                .map(|says| Action::ReadOrder { worker, says }),
        ),
        At::Connecting(_) => {
            actions.extend([true, false].map(|works| Action::Connect { worker, works }));
        }
        At::Connected(_) => {
            actions.extend([true, false].map(|confirmed| Action::Commit { worker, confirmed }));
        }
        At::Committed(_) => actions.push(Action::Look { worker }),
        At::Looked(_) => actions.push(Action::Write { worker }),
        // A missing permission (401, 403) is read and recorded as a rate limit is.
        At::Written(_) => actions.extend(
            [Outcome::Accepted, Outcome::Rejected, Outcome::RateLimited, Outcome::InDoubt]
                .map(|outcome| Action::Answer { worker, outcome }),
        ),
        At::Answered { .. } => {
            actions.extend([true, false].map(|confirmed| Action::Settle { worker, confirmed }));
        }
        At::Recording(_) => actions.push(Action::Record { worker }),
    }
}

/// What happens to a line from outside the workers.
fn outside(model: &Provisor, state: &State, line: usize, actions: &mut Vec<Action>) {
    let target = &state.lines[line];
    if target.wake.leased && (target.wake.holder.is_none() || state.left.lease_ends > 0) {
        actions.push(Action::LeaseEnds { line });
    }
    for tag in (1..).take(target.orphans.len()).filter(|&tag| target.orphans[slot(tag)] > 0) {
        actions.push(Action::OrphanArrives { line, tag });
        actions.push(Action::OrphanVanishes { line, tag });
    }
    if state.may_cancel(line, model.mutation) && state.left.cancels > 0 {
        actions.push(Action::Cancel { line });
    }
    if state.left.resolutions == 0 {
        return;
    }
    if state.may_resolve(line) {
        actions.push(Action::SayAbsent { line });
        if target.counting().is_some_and(|placed| target.bought[slot(placed.n)] > 0) {
            actions.push(Action::AdoptUpstreamOrder { line });
        }
    }
    if matches!(target.row.status, LineStatus::InDoubt | LineStatus::Held) {
        actions.push(Action::Abandon { line });
    }
    if target.row.status == LineStatus::Held {
        actions.push(Action::Retry { line });
    }
}

/// The state after an action.
pub(crate) fn perform(model: &Provisor, state: &mut State, action: Action) {
    match action {
        Action::Claim { worker, line } => state.claim(worker, line),
        Action::LeaseEnds { line } => {
            let wake = &mut state.lines[line].wake;
            wake.leased = false;
            state.left.lease_ends -= u8::from(wake.holder.is_some());
        }
        Action::OrphanArrives { line, tag } => {
            let line = &mut state.lines[line];
            line.orphans[slot(tag)] -= 1;
            line.bought[slot(tag)] += 1;
            line.history.unheard[slot(tag)] = true;
        }
        Action::OrphanVanishes { line, tag } => state.lines[line].orphans[slot(tag)] -= 1,
        Action::Cancel { line } => {
            state.left.cancels -= 1;
            state.cancel(line);
        }
        Action::SayAbsent { line } => {
            state.left.resolutions -= 1;
            state.resolve_absent(line);
        }
        Action::Abandon { line } => {
            state.left.resolutions -= 1;
            state.resolve_abandon(line);
        }
        Action::AdoptUpstreamOrder { line } => {
            state.left.resolutions -= 1;
            state.resolve_adopt(line, model.mutation);
        }
        Action::Retry { line } => {
            state.left.resolutions -= 1;
            state.retry(line);
        }
        Action::Load { worker }
        | Action::ReadCatalogue { worker, .. }
        | Action::ReadOrder { worker, .. }
        | Action::Connect { worker, .. }
        | Action::Commit { worker, .. }
        | Action::Look { worker }
        | Action::Write { worker }
        | Action::Answer { worker, .. }
        | Action::Settle { worker, .. }
        | Action::Record { worker }
        | Action::Crash { worker }
        | Action::Panic { worker } => work(model, state, worker, action),
    }
}

/// The state after an action of a worker that has a run.
fn work(model: &Provisor, state: &mut State, worker: usize, action: Action) {
    let Some(mut run) = state.workers[worker] else { return };
    run.at = match (action, run.at) {
        (Action::Load { .. }, _) => {
            run.seen = Some(state.lines[run.line].seen());
            step(model, &run, Known::default())
        }
        (Action::ReadCatalogue { sells_it, .. }, _) => {
            let catalogue = if sells_it { model.catalogue.as_slice() } else { &[] };
            step(model, &run, Known { catalogue: Some(catalogue), reading: None })
        }
        (Action::ReadOrder { says, .. }, _) => {
            let reading = Reading::Order { simple_status: says, site_id: Some(SiteId(1)) };
            step(model, &run, Known { catalogue: None, reading: Some(&reading) })
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

/// What `decide` says, by what has been read.
fn step(model: &Provisor, run: &Run, known: Known<'_>) -> At {
    // The waits that the configuration sets are over at once: whether they are kept is tested with `decide`.
    let patience = Patience {
        failed_recheck: Duration::ZERO,
        site_id_wait: Duration::ZERO,
        overdue_after: Duration::MAX,
    };
    let seen = run.seen.unwrap();
    match decide(&seen.facts(run.line), known, &patience) {
        Step::ReadCatalogue => At::ReadingCatalogue,
        Step::ReadOrder(UpstreamOrderId(id)) => {
            assert_eq!(seen.row.borne, Some(id));
            At::ReadingOrder
        }
        Step::Place(order) => {
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

fn recording(seen: &Seen, change: &Change) -> At {
    let mut to = seen.row;
    to.status = change.progress.status;
    to.borne = change.progress.upstream_order_id.map(|UpstreamOrderId(id)| id);
    to.panics = change.progress.panics;
    let again = change.then != Then::Rest;
    At::Recording(Record { expected: seen.row.status, to, again, blindly: false })
}

/// What a queue does that promises "at least once" and leaves the rest to the handler.
fn retry_blindly(seen: &Seen) -> At {
    let to = Row { status: LineStatus::Pending, ..seen.row };
    At::Recording(Record { expected: seen.row.status, to, again: true, blindly: true })
}

/// Nothing has changed; the line is tried again later.
fn later(run: &Run) -> At {
    let row = run.seen.unwrap().row;
    At::Recording(Record { expected: row.status, to: row, again: true, blindly: false })
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
            accepted(&facts, UpstreamOrderId(order_id(run.line, request.tag)), None)
        }
        Outcome::Rejected => rejected(&facts, None),
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

//! What can happen next: each step of a worker, the upstream's answers, mishaps, and what a person does.

use provisor::order::{facts::SimpleStatus, ledger::Outcome};

use crate::{
    Provisor,
    mutations::Mutation,
    state::{At, Run, State, slot},
    worker::work,
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
    /// What the next order ids show: the truth. That there is none costs what a person's word costs.
    ReadIds {
        worker: usize,
        says: Ids,
    },
    /// Whether there is a site that was not there before: the truth, too.
    ReadSites {
        worker: usize,
        has_one: bool,
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
    /// The order of the placement `n`.
    AdoptUpstreamOrder {
        line: usize,
        n: i32,
    },
    AdoptSite {
        line: usize,
    },
    Retry {
        line: usize,
    },
    Resume {
        line: usize,
    },
    /// A line in doubt looks again, once there is something to be seen.
    LookAgain {
        line: usize,
    },
}

/// What the order ids above those that were known show of an order in doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ids {
    Found,
    Absent,
    Waits,
}

impl Action {
    /// What happens by itself: no mishap, no shop, no person. These alone must bring a line to rest.
    pub(crate) fn is_ordinary(&self, state: &State) -> bool {
        match self {
            Self::Crash { .. }
            | Self::Panic { .. }
            | Self::Cancel { .. }
            | Self::SayAbsent { .. }
            | Self::Abandon { .. }
            | Self::AdoptUpstreamOrder { .. }
            | Self::AdoptSite { .. }
            | Self::Retry { .. }
            | Self::ReadIds { says: Ids::Absent, .. }
            | Self::Resume { .. } => false,
            Self::LeaseEnds { line } => state.lines[*line].wake.holder.is_none(),
            Self::Claim { .. }
            | Self::Load { .. }
            | Self::ReadCatalogue { .. }
            | Self::ReadOrder { .. }
            | Self::ReadIds { .. }
            | Self::ReadSites { .. }
            | Self::LookAgain { .. }
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
            evidence(model, state, worker, run, actions);
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
            actions
                .extend([true, false].map(|sells_it| Action::ReadCatalogue { worker, sells_it }));
        }
        At::ReadingOrder => actions.extend(
            [SimpleStatus::Pending, SimpleStatus::Completed, SimpleStatus::Failed]
                .map(|says| Action::ReadOrder { worker, says }),
        ),
        At::ReadingIds | At::ReadingSites => {}
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

/// What a run may read of an order in doubt: never more than is true.
fn evidence(model: &Provisor, state: &State, worker: usize, run: &Run, actions: &mut Vec<Action>) {
    let Some(placed) = run.seen.and_then(|seen| seen.placement) else { return };
    let is_bought = state.lines[run.line].bought[slot(placed.n)] > 0;
    match run.at {
        At::ReadingIds => {
            if is_bought || model.mutation == Some(Mutation::AnyOrderIsEvidence) {
                actions.push(Action::ReadIds { worker, says: Ids::Found });
            } else if !state.is_in_flight(run.line, placed.n) && state.left.resolutions > 0 {
                actions.push(Action::ReadIds { worker, says: Ids::Absent });
            }
            actions.push(Action::ReadIds { worker, says: Ids::Waits });
        }
        At::ReadingSites => {
            actions.push(Action::ReadSites { worker, has_one: false });
            if is_bought {
                actions.push(Action::ReadSites { worker, has_one: true });
            }
        }
        _ => {}
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
    if model.limits.evidence && state.may_look_again(line) {
        actions.push(Action::LookAgain { line });
    }
    if state.left.resolutions == 0 {
        return;
    }
    if state.may_be_absent(line) {
        actions.push(Action::SayAbsent { line });
    }
    for n in (1..).take(target.bought.len()).filter(|&n| state.may_adopt(line, n)) {
        actions.push(Action::AdoptUpstreamOrder { line, n });
        if target.counting().is_some_and(|placed| placed.n == n) {
            actions.push(Action::AdoptSite { line });
        }
    }
    if state.may_resume(line) {
        actions.push(Action::Resume { line });
    } else if state.may_retry(line) {
        actions.push(Action::Retry { line });
    }
    if state.may_abandon(line, model.mutation) {
        actions.push(Action::Abandon { line });
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
        Action::AdoptUpstreamOrder { line, n } => {
            state.left.resolutions -= 1;
            state.resolve_adopt(line, n, model.mutation);
        }
        Action::AdoptSite { line } => {
            state.left.resolutions -= 1;
            state.resolve_site(line, model.mutation);
        }
        Action::Retry { line } => {
            state.left.resolutions -= 1;
            state.retry(line);
        }
        Action::Resume { line } => {
            state.left.resolutions -= 1;
            state.resume(line);
        }
        Action::LookAgain { line } => state.lines[line].wake.due = true,
        Action::Load { worker }
        | Action::ReadIds { worker, .. }
        | Action::ReadSites { worker, .. }
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

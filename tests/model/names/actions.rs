//! What can happen next.

use provisor::order::{LineStatus, effect::EffectStep, ledger::Outcome};

use super::{
    Names, run,
    state::{At, Run, State, purchase},
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Claims a line, and loads it.
    Claim {
        line: usize,
    },
    /// `is_stale`: out of a stored row.
    Hear {
        run: usize,
        is_stale: bool,
    },
    /// `confirmed`: the run hears of it.
    Commit {
        run: usize,
        confirmed: bool,
    },
    /// Looks at the lease once more, and writes.
    Send {
        run: usize,
    },
    Answer {
        run: usize,
        outcome: Outcome,
        said_to_exist: bool,
    },
    /// Tells the ledger the truth, and the line with it.
    Settle {
        run: usize,
    },
    Record {
        run: usize,
    },
    Crash {
        run: usize,
    },
    Panic {
        run: usize,
    },
    LeaseEnds {
        line: usize,
    },
    /// A request whose sender has gone is carried out after all, or never.
    Arrives {
        line: usize,
        step: EffectStep,
        n: i32,
    },
    Vanishes {
        line: usize,
        step: EffectStep,
        n: i32,
    },
    /// A transfer is done.
    NameArrives {
        name: usize,
    },
    /// A line in doubt looks again, once there is something to be seen.
    LookAgain {
        line: usize,
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
    Retry {
        line: usize,
    },
}

impl Action {
    /// What happens by itself: these alone must bring a line to rest.
    pub(crate) fn is_ordinary(&self, state: &State) -> bool {
        match *self {
            Self::Hear { is_stale, .. } => !is_stale,
            Self::Commit { confirmed, .. } => confirmed,
            Self::Answer { outcome, .. } => outcome != Outcome::InDoubt,
            Self::LeaseEnds { line } => !has_holder(state, line),
            Self::Claim { .. }
            | Self::Send { .. }
            | Self::Settle { .. }
            | Self::Record { .. }
            | Self::Arrives { .. }
            | Self::Vanishes { .. }
            | Self::NameArrives { .. }
            | Self::LookAgain { .. } => true,
            Self::Crash { .. }
            | Self::Panic { .. }
            | Self::Cancel { .. }
            | Self::SayAbsent { .. }
            | Self::Abandon { .. }
            | Self::Retry { .. } => false,
        }
    }
}

fn has_holder(state: &State, line: usize) -> bool {
    state.runs.iter().any(|run| run.line == line && run.is_fenced_in)
}

/// Everything that can happen in a state.
pub(crate) fn possible(model: &Names, state: &State, actions: &mut Vec<Action>) {
    let may_err = state.mishaps > 0;
    for (index, run) in state.runs.iter().enumerate() {
        steps(state, index, run, actions);
        if may_err {
            actions.extend([Action::Crash { run: index }, Action::Panic { run: index }]);
        }
    }
    for (line, target) in state.lines.iter().enumerate() {
        if state.runs.len() < model.limits.runs && target.wake.due && !target.wake.leased {
            actions.push(Action::Claim { line });
        }
        outside(state, line, actions);
    }
    for &(line, step, n) in &state.upstream.on_their_way {
        actions.push(Action::Arrives { line, step, n });
        actions.push(Action::Vanishes { line, step, n });
    }
    for (name, shown) in state.upstream.names.iter().enumerate() {
        if shown.is_some_and(|shown| !shown.is_active) {
            actions.push(Action::NameArrives { name });
        }
    }
}

fn steps(state: &State, run: usize, of: &Run, actions: &mut Vec<Action>) {
    let may_err = state.mishaps > 0;
    match of.at {
        At::Asking(ask) => {
            actions.push(Action::Hear { run, is_stale: false });
            if may_err && state.hear(of.line, ask, of.heard, true).is_some() {
                actions.push(Action::Hear { run, is_stale: true });
            }
        }
        At::Connected(_) => {
            actions.push(Action::Commit { run, confirmed: true });
            if may_err {
                actions.push(Action::Commit { run, confirmed: false });
            }
        }
        At::Committed(_) => actions.push(Action::Send { run }),
        At::Written(request) => {
            let answer = |outcome| Action::Answer { run, outcome, said_to_exist: false };
            let plan = state.lines[of.line].plan;
            if state.upstream.may_take(of.line, plan, request.step) {
                // A missing permission (401, 403) is recorded as a rate limit is.
                actions.extend(
                    [Outcome::Accepted, Outcome::Rejected, Outcome::RateLimited].map(answer),
                );
            }
            if request.step == EffectStep::Register {
                let outcome = Outcome::Rejected;
                actions.push(Action::Answer { run, outcome, said_to_exist: true });
            }
            if may_err {
                actions.push(answer(Outcome::InDoubt));
            }
        }
        At::Answered { .. } => actions.push(Action::Settle { run }),
        At::Recording(_) => actions.push(Action::Record { run }),
    }
}

/// What happens to a line from outside.
fn outside(state: &State, line: usize, actions: &mut Vec<Action>) {
    let target = &state.lines[line];
    let may_err = state.mishaps > 0;
    if target.wake.leased && (may_err || !has_holder(state, line)) {
        actions.push(Action::LeaseEnds { line });
    }
    if target.row.status == LineStatus::InDoubt
        && !target.wake.due
        && state.upstream.names[target.plan.name].is_some()
    {
        actions.push(Action::LookAgain { line });
    }
    if !may_err {
        return;
    }
    if state.may_cancel(line) {
        actions.push(Action::Cancel { line });
    }
    match target.row.status {
        LineStatus::InDoubt => {
            actions.push(Action::Abandon { line });
            if state.in_doubt(line).is_some() {
                actions.push(Action::SayAbsent { line });
            }
        }
        LineStatus::Held => actions.extend([Action::Abandon { line }, Action::Retry { line }]),
        _ => {}
    }
}

/// The state after an action.
pub(crate) fn perform(model: &Names, state: &mut State, action: Action) {
    let is_mishap = match action {
        Action::Hear { is_stale, .. } => is_stale,
        Action::Commit { confirmed, .. } => !confirmed,
        Action::Answer { outcome, .. } => outcome == Outcome::InDoubt,
        _ => !action.is_ordinary(state),
    };
    state.mishaps -= u8::from(is_mishap);
    match action {
        Action::Claim { line } => run::claim(model, state, line),
        Action::LeaseEnds { line } => state.lines[line].wake.leased = false,
        Action::Arrives { line, step, n } => {
            state.upstream.on_their_way.remove(&(line, step, n));
            carry_out(state, line, step, n);
        }
        Action::Vanishes { line, step, n } => {
            state.upstream.on_their_way.remove(&(line, step, n));
        }
        Action::NameArrives { name } => {
            if let Some(name) = &mut state.upstream.names[name] {
                name.is_active = true;
            }
        }
        Action::LookAgain { line } => state.lines[line].wake.due = true,
        Action::Cancel { line } => {
            state.lines[line].row.status = LineStatus::Cancelled;
            state.poke_others(line);
        }
        Action::SayAbsent { line } => state.say_absent(line),
        Action::Abandon { line } => state.abandon(line),
        Action::Retry { line } => state.retry(line),
        Action::Hear { run, .. }
        | Action::Commit { run, .. }
        | Action::Send { run }
        | Action::Answer { run, .. }
        | Action::Settle { run }
        | Action::Record { run }
        | Action::Crash { run }
        | Action::Panic { run } => run::work(model, state, run, action),
    }
}

/// LJPc does what a request asks for.
pub(crate) fn carry_out(state: &mut State, line: usize, step: EffectStep, n: i32) {
    let plan = state.lines[line].plan;
    if !state.upstream.may_take(line, plan, step) {
        return;
    }
    state.upstream.carry_out(line, plan, step);
    if step == purchase(plan) {
        state.lines[line].history.bought.push(n);
    }
}

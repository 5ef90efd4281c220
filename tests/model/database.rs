//! The transactions. Each is atomic here; what makes it so in PostgreSQL is told where it is not obvious.

use provisor::order::{
    LineStatus,
    decide::PANICS_MAX,
    ledger::{EffectState, Outcome},
};

use crate::{
    mutations::Mutation,
    state::{At, Line, Placed, Record, Request, Run, State, order_id, slot},
};

/// What came of the transaction that commits an intent.
pub(crate) enum Intent {
    Committed,
    /// Another line has a placement under way for the domain.
    DomainTaken,
    /// The fence, the line's status or the ledger has changed since the facts were read.
    Overtaken,
}

impl State {
    pub(crate) fn claim(&mut self, worker: usize, line: usize) {
        let wake = &mut self.lines[line].wake;
        wake.leased = true;
        wake.holder = Some(worker);
        self.workers[worker] = Some(Run { line, seen: None, poked: false, at: At::Claimed });
    }

    /// `kicks + 1`, and due now. Only the run that holds the line will compare: the others can't park it.
    pub(crate) fn poke(&mut self, line: usize) {
        let wake = &mut self.lines[line].wake;
        wake.due = true;
        if let Some(run) = wake.holder.and_then(|worker| self.workers[worker].as_mut()) {
            run.poked = true;
        }
    }

    /// The run ends and writes nothing: its lease runs out.
    pub(crate) fn drop_run(&mut self, worker: usize) {
        if let Some(run) = self.workers[worker].take() {
            let wake = &mut self.lines[run.line].wake;
            if wake.holder == Some(worker) {
                wake.holder = None;
            }
        }
    }

    /// The intent. The fence's row is locked, the line's row is updated with its expected status, and only then is the
    /// ledger looked at, in a statement of its own: whoever learns the truth locks the line's row first, too.
    pub(crate) fn commit_intent(
        &mut self,
        worker: usize,
        request: Request,
        mutation: Option<Mutation>,
    ) -> Intent {
        let Some(run) = self.workers[worker] else { return Intent::Overtaken };
        let fenced_in = self.is_fenced_in(worker);
        let others_live = self.lines.iter().enumerate().any(|(index, other)| {
            index != run.line && other.placements.iter().any(|placed| placed.live)
        });
        let line = &mut self.lines[run.line];
        let knows_better =
            line.has_accepted() && mutation != Some(Mutation::IntentIgnoresAcceptance);
        if !fenced_in || line.row.status != LineStatus::Pending || knows_better {
            return Intent::Overtaken;
        }
        let open = line.placements.iter().any(|placed| placed.state.may_have_bought());
        let own_live = line.placements.iter().any(|placed| placed.live);
        match line.placed_mut(request.n) {
            Some(placed) if placed.state == EffectState::NotSent => {
                placed.state = EffectState::Sending;
            }
            Some(_) => return Intent::Overtaken,
            None if own_live => return Intent::Overtaken,
            None if others_live => return Intent::DomainTaken,
            None => line.placements.push(Placed {
                n: request.n,
                state: EffectState::Sending,
                live: true,
                id: None,
            }),
        }
        line.row.status = LineStatus::Placing;
        line.row.sent = true;
        line.history.sent_against_ledger |= open;
        Intent::Committed
    }

    /// The truth about an attempt enters the ledger: never fenced, and once for each attempt (`WHERE outcome IS NULL`).
    /// The line is poked if somebody else may have looked at it meanwhile; a run that still holds it goes on itself.
    pub(crate) fn settle(
        &mut self,
        worker: usize,
        request: Request,
        outcome: Outcome,
        mutation: Option<Mutation>,
    ) {
        let Some(run) = self.workers[worker] else { return };
        let fenced_in = self.is_fenced_in(worker);
        if mutation == Some(Mutation::TruthIsFenced) && !fenced_in {
            return;
        }
        let id = (outcome == Outcome::Accepted).then(|| order_id(run.line, request.tag));
        self.learn(run.line, request.n, outcome, id, mutation);
        if !fenced_in {
            self.poke(run.line);
        }
    }

    /// `EffectState::learn` on a placement, and the event if that makes a second purchase known.
    pub(crate) fn learn(
        &mut self,
        line: usize,
        n: i32,
        outcome: Outcome,
        id: Option<i64>,
        mutation: Option<Mutation>,
    ) {
        let line = &mut self.lines[line];
        let Some(placed) = line.placed_mut(n) else { return };
        let before = placed.state;
        let after = match mutation {
            Some(Mutation::AcceptedDoesNotAbsorb) => learn_the_last_word(before, outcome),
            _ => before.learn(outcome),
        };
        placed.state = after;
        placed.id = placed.id.or(id);
        let others_bought =
            line.placements.iter().any(|other| other.n != n && other.state.may_have_bought());
        line.history.told_twice |=
            after == EffectState::Accepted && before != after && others_bought;
        line.history.unlearnt |= before == EffectState::Accepted && before != after;
    }

    /// The line after the run, with its wake: fenced, and only on the expected status.
    pub(crate) fn record(&mut self, worker: usize, record: Record, mutation: Option<Mutation>) {
        let Some(run) = self.workers[worker] else { return };
        let fenced_in = self.is_fenced_in(worker) || mutation == Some(Mutation::RecordIsNotFenced);
        let line = &mut self.lines[run.line];
        if !fenced_in || line.row.status != record.expected {
            self.drop_run(worker);
            return;
        }
        line.history.leapt |= !line.row.status.may_become(record.to.status);
        // `sent` is no part of the progress: the intent alone sets it, and nothing resets it.
        line.row.status = record.to.status;
        line.row.borne = record.to.borne;
        line.row.panics = record.to.panics;
        line.row.has_site |= record.to.has_site;
        let evidence = record.evidence.filter(|_| mutation != Some(Mutation::EvidenceIsIgnored));
        if let Some((n, state, id)) = evidence {
            line.note_evidence(n, state, id);
        }
        for placed in &mut line.placements {
            // A line in doubt has a placement in doubt, or nobody could resolve it.
            if line.row.status == LineStatus::InDoubt && placed.state == EffectState::Sending {
                placed.state = placed.state.learn(Outcome::InDoubt);
            }
            if record.blindly && placed.state.may_have_bought() {
                placed.state = EffectState::NotSent;
            }
            placed.live &= !line.row.status.is_ended();
        }
        let missed = run.poked && mutation != Some(Mutation::ParkIgnoresKicks);
        line.wake.due = record.again || missed;
        line.wake.leased = false;
        line.wake.holder = None;
        self.workers[worker] = None;
    }

    /// `cancel_order`: compares and swaps, like the intent.
    pub(crate) fn may_cancel(&self, line: usize, mutation: Option<Mutation>) -> bool {
        let row = &self.lines[line].row;
        let expected = matches!(row.status, LineStatus::Pending | LineStatus::Held) && !row.sent;
        expected || (mutation == Some(Mutation::CancelIgnoresStatus) && !row.status.is_ended())
    }

    pub(crate) fn cancel(&mut self, line: usize) {
        self.lines[line].row.status = LineStatus::Cancelled;
    }

    /// Whether a person may say that what is in doubt does not exist.
    pub(crate) fn may_be_absent(&self, line: usize) -> bool {
        let line = &self.lines[line];
        line.row.status == LineStatus::InDoubt
            && line.counting().is_some_and(|placed| placed.state == EffectState::InDoubt)
    }

    /// Whether a person may end the line: not when its purchase is known, followed already or not.
    pub(crate) fn may_abandon(&self, line: usize, mutation: Option<Mutation>) -> bool {
        let line = &self.lines[line];
        let is_bought = line.row.borne.is_some()
            || line.has_accepted() && mutation != Some(Mutation::AbandonIgnoresAcceptance);
        matches!(line.row.status, LineStatus::InDoubt | LineStatus::Held) && !is_bought
    }

    /// Whether a person may adopt what the `n`th placement has bought, and has found it: it was sent, and nobody knows what
    /// came of it, or a person has said that nothing did.
    pub(crate) fn may_adopt(&self, line: usize, n: i32) -> bool {
        let line = &self.lines[line];
        let unknown = |state: EffectState| {
            state.is_open() || matches!(state, EffectState::Absent | EffectState::Abandoned)
        };
        let sent = line.placements.iter().any(|placed| placed.n == n && unknown(placed.state));
        let stands = matches!(
            line.row.status,
            LineStatus::InDoubt | LineStatus::Held | LineStatus::Pending | LineStatus::Failed
        );
        let is_known = line.row.borne.is_some() || line.has_accepted();
        stands && sent && !is_known && line.bought[slot(n)] > 0
    }

    /// Whether a person may name the order of a line that bears it already, and was given up for its handler's panics, or
    /// failed by what the upstream says of it.
    pub(crate) fn may_resume(&self, line: usize) -> bool {
        let row = &self.lines[line].row;
        matches!(row.status, LineStatus::InDoubt | LineStatus::Failed) && row.borne.is_some()
    }

    /// Whether a line is decided anew, or looked after again, by `order retry`.
    pub(crate) fn may_retry(&self, line: usize) -> bool {
        let row = &self.lines[line].row;
        let given_up = row.status == LineStatus::InDoubt && row.panics >= PANICS_MAX;
        row.status == LineStatus::Held || given_up
    }

    /// A person's word takes the line from whoever is at it: the run token is bumped, and the wake is due if there is
    /// something to be done.
    fn rouse(&mut self, line: usize) {
        let line = &mut self.lines[line];
        line.row.panics = 0;
        line.wake.holder = None;
        line.wake.leased = false;
        line.wake.due = !line.row.status.is_ended();
    }

    /// `order resolve --upstream-order` with the order that the line bears: it is polled on.
    pub(crate) fn resume(&mut self, line: usize) {
        self.lines[line].row.status = LineStatus::Provisioning;
        self.rouse(line);
    }

    /// Whether there is something to be seen of a line that waits in doubt.
    pub(crate) fn may_look_again(&self, line: usize) -> bool {
        let target = &self.lines[line];
        self.may_be_absent(line)
            && !target.wake.due
            && target.row.panics < PANICS_MAX
            && target.counting().is_some_and(|placed| target.bought[slot(placed.n)] > 0)
    }

    /// `order resolve --absent`: compares and swaps on `in_doubt`, and bumps the token.
    pub(crate) fn resolve_absent(&mut self, line: usize) {
        let Some(placed) = self.lines[line].counting() else { return };
        let wrong =
            self.lines[line].bought[slot(placed.n)] > 0 || self.is_in_flight(line, placed.n);
        let target = &mut self.lines[line];
        target.history.wrongly_absent += u8::from(wrong);
        if let Some(placed) = target.placed_mut(placed.n) {
            placed.state = EffectState::Absent;
            placed.live = false;
        }
        target.row.status = LineStatus::Pending;
        self.rouse(line);
    }

    /// `order resolve --abandon`.
    pub(crate) fn resolve_abandon(&mut self, line: usize) {
        let target = &mut self.lines[line];
        target.row.status = LineStatus::Failed;
        for placed in &mut target.placements {
            placed.live = false;
            if matches!(placed.state, EffectState::InDoubt | EffectState::NotSent) {
                placed.state = EffectState::Abandoned;
            }
        }
        self.rouse(line);
    }

    /// `order resolve --upstream-order`: the truth, found by a person, of the placement whose tag the order bears.
    pub(crate) fn resolve_adopt(&mut self, line: usize, n: i32, mutation: Option<Mutation>) {
        let id = order_id(line, n);
        self.learn(line, n, Outcome::Accepted, Some(id), mutation);
        let target = &mut self.lines[line];
        target.history.unheard[slot(n)] = false;
        target.row.status = LineStatus::Provisioning;
        target.row.borne = Some(id);
        self.rouse(line);
    }

    /// `order resolve --site`: what the placement that counts has brought. Its order's id stays unknown.
    pub(crate) fn resolve_site(&mut self, line: usize, mutation: Option<Mutation>) {
        let Some(placed) = self.lines[line].counting() else { return };
        self.learn(line, placed.n, Outcome::Accepted, None, mutation);
        let target = &mut self.lines[line];
        target.history.unheard[slot(placed.n)] = false;
        target.row.status = LineStatus::Completed;
        target.row.has_site = true;
        for placed in &mut target.placements {
            placed.live = false;
        }
        self.rouse(line);
    }

    /// `order retry`: decides a held line anew; one that was given up for its handler's panics is followed, or looked for,
    /// again.
    pub(crate) fn retry(&mut self, line: usize) {
        let row = &mut self.lines[line].row;
        if row.status == LineStatus::Held {
            row.status = LineStatus::Pending;
        }
        self.rouse(line);
    }
}

impl Line {
    /// What evidence says of a placement: it counts only where the outcome is still open, but for an acceptance.
    fn note_evidence(&mut self, n: i32, state: EffectState, id: Option<i64>) {
        let Some(placed) = self.placed_mut(n) else { return };
        if placed.state.is_open() || state == EffectState::Accepted {
            placed.state = state;
            placed.live &= state == EffectState::Accepted;
            placed.id = placed.id.or(id);
            if state == EffectState::Accepted {
                self.history.found_by_id |= id.is_some();
                self.history.found_by_site |= id.is_none();
            }
            // Whoever finds the order hears of it.
            self.history.unheard[slot(n)] = false;
        }
    }
}

/// What `learn` must not be: whatever the upstream said last is believed.
fn learn_the_last_word(state: EffectState, outcome: Outcome) -> EffectState {
    let given_up = matches!(state, EffectState::Absent | EffectState::Abandoned);
    match outcome {
        Outcome::Accepted => EffectState::Accepted,
        Outcome::Rejected => EffectState::Rejected,
        Outcome::InDoubt => EffectState::InDoubt,
        Outcome::RateLimited | Outcome::Unauthorized | Outcome::NotSent if given_up => state,
        Outcome::RateLimited | Outcome::Unauthorized | Outcome::NotSent => EffectState::NotSent,
    }
}

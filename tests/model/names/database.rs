//! The transactions: the specification of `src/db/records`.

use provisor::order::{
    LineStatus,
    effect::EffectStep,
    ledger::{EffectState, Outcome},
};

use super::{
    Names,
    mutations::Mutation,
    state::{Placed, Record, Request, Run, State, purchase},
    upstream::Name,
};

/// What came of the transaction that commits an intent.
pub(crate) enum Intent {
    Committed,
    /// Another line has the name, or the contact, under way; or this one has the step.
    InTheWay,
    /// The fence, the line's status or the ledger has changed since the facts were read.
    Overtaken,
}

impl Placed {
    /// Whether it keeps others out, by one of the unique indexes for a name or a contact.
    fn claims(&self) -> bool {
        self.live && self.state != EffectState::NotSent
    }
}

impl State {
    /// `kicks + 1`, and due now.
    pub(crate) fn poke(&mut self, line: usize) {
        self.lines[line].wake.due = true;
        for run in &mut self.runs {
            run.is_poked |= run.line == line && run.is_fenced_in;
        }
    }

    /// A line has ended: whoever waits for its name is poked.
    pub(crate) fn poke_others(&mut self, line: usize) {
        let others: Vec<usize> = self.others(line).map(|(index, _)| index).collect();
        for other in others {
            self.poke(other);
        }
    }

    pub(crate) fn commit_intent(&mut self, model: &Names, run: &Run, request: Request) -> Intent {
        if model.breaks(Mutation::NoIntent) {
            self.lines[run.line].row = request.during;
            return Intent::Committed;
        }
        let is_in_the_way = self.is_in_the_way(model, run.line, request.step);
        let line = &mut self.lines[run.line];
        let (step, n) = (request.step, request.n);
        let has_accepted = line.of_step(step).any(|p| p.state == EffectState::Accepted);
        if !run.is_fenced_in || line.row.status != run.seen.row.status {
            return Intent::Overtaken;
        }
        let looks = !model.breaks(Mutation::IntentIgnoresAcceptance);
        let has_contact = step == EffectStep::CreateContact && self.contact_is_known;
        if (has_accepted || has_contact) && looks && !step.is_repeatable() {
            return Intent::InTheWay;
        }
        let is_open = line.of_step(step).any(|p| p.state.may_have_bought());
        if step.is_repeatable() {
            line.supersede(step, n);
        }
        let own_live = line.of_step(step).any(|placed| placed.live && placed.n != n);
        let again = line.of_step(step).find(|placed| placed.n == n).copied();
        if is_in_the_way || own_live {
            return Intent::InTheWay;
        }
        let placed = match again {
            Some(placed) if placed.live && placed.state == EffectState::NotSent => {
                line.placements.retain(|other| (other.step, other.n) != (step, n));
                Placed { state: EffectState::Sending, ..placed }
            }
            Some(_) => return Intent::InTheWay,
            None => Placed {
                step,
                n,
                state: EffectState::Sending,
                live: true,
                has_handle: false,
                said_to_exist: false,
            },
        };
        line.placements.push(placed);
        line.row = request.during;
        line.history.sent_against_ledger |= is_open && !step.is_repeatable();
        Intent::Committed
    }

    /// `effects_one_name`, `effects_one_contact`.
    fn is_in_the_way(&self, model: &Names, line: usize, step: EffectStep) -> bool {
        let claims =
            |step: EffectStep| move |placed: &Placed| placed.step == step && placed.claims();
        if step == EffectStep::CreateContact {
            return !model.breaks(Mutation::ContactsAreNotUnique)
                && self.lines.iter().enumerate().any(|(index, other)| {
                    index != line && other.placements.iter().any(claims(step))
                });
        }
        step == purchase(self.lines[line].plan)
            && !model.breaks(Mutation::NamesDoNotWait)
            && self
                .others(line)
                .any(|(_, other)| other.placements.iter().any(claims(purchase(other.plan))))
    }

    /// `effects::learn`: never fenced.
    pub(crate) fn settle(
        &mut self,
        model: &Names,
        run: &Run,
        request: Request,
        outcome: Outcome,
        said_to_exist: bool,
    ) {
        let line = &mut self.lines[run.line];
        let Some(placed) = line.placed_mut(request.step, request.n) else { return };
        let before = placed.state;
        let after = if model.breaks(Mutation::AcceptedDoesNotAbsorb) {
            EffectState::Sending.learn(outcome)
        } else {
            before.learn(outcome)
        };
        placed.state = after;
        placed.said_to_exist = said_to_exist;
        let is_accepted = outcome == Outcome::Accepted;
        placed.has_handle |= is_accepted && request.step == EffectStep::CreateContact;
        placed.live &= after != EffectState::Rejected
            && !(after == EffectState::Accepted && request.step.is_repeatable());
        let others_bought =
            line.of_step(request.step).any(|p| p.n != request.n && p.state.may_have_bought());
        let is_news = after == EffectState::Accepted && before != after;
        line.history.told_twice |= request.step.buys() && is_news && others_bought;
        line.history.unlearnt |= before == EffectState::Accepted && before != after;
        self.contact_is_known |= is_accepted && request.step == EffectStep::CreateContact;
        if !run.is_fenced_in {
            self.poke(run.line);
        }
    }

    /// The line after a run, with its wake: fenced, and only on the expected status.
    pub(crate) fn record(&mut self, model: &Names, run: &Run, record: Record) {
        let line = &mut self.lines[run.line];
        if !run.is_fenced_in || line.row.status != record.expected {
            return;
        }
        line.history.leapt |= !line.row.status.may_become(record.to.status);
        line.row = record.to;
        for placed in &mut line.placements {
            // A line in doubt has a placement in doubt, or nobody could resolve it.
            if line.row.status == LineStatus::InDoubt && placed.state == EffectState::Sending {
                placed.state = EffectState::InDoubt;
            }
        }
        let evidence = record.evidence.filter(|_| !model.breaks(Mutation::EvidenceIsIgnored));
        if let Some((step, n, state)) = evidence {
            self.note_evidence(run.line, step, n, state);
        }
        let line = &mut self.lines[run.line];
        let has_ended = line.row.status.is_ended();
        for placed in &mut line.placements {
            placed.live &= !has_ended;
        }
        line.wake.due = record.again || run.is_poked;
        line.wake.leased = false;
        if has_ended {
            self.poke_others(run.line);
        }
    }

    /// `effects::note_evidence`.
    fn note_evidence(&mut self, line: usize, step: EffectStep, n: i32, state: EffectState) {
        let Some(placed) = self.lines[line].placed_mut(step, n) else { return };
        if !placed.state.is_open() && state != EffectState::Accepted {
            return;
        }
        placed.state = state;
        // `NotSent` comes of a mutation alone.
        placed.live &= state != EffectState::Absent && !step.is_repeatable();
        self.contacts_doubted += u8::from(step == EffectStep::CreateContact);
        self.lines[line].history.found |= step.buys() && state == EffectState::Accepted;
    }

    /// `cancel_order`: compares and swaps, like the intent.
    pub(crate) fn may_cancel(&self, line: usize) -> bool {
        let row = self.lines[line].row;
        matches!(row.status, LineStatus::Pending | LineStatus::Held) && !row.sent
    }

    /// The placement of which a person may say what became of it.
    pub(crate) fn in_doubt(&self, line: usize) -> Option<Placed> {
        let latest = self.lines[line].placements.last().copied()?;
        (latest.state == EffectState::InDoubt).then_some(latest)
    }

    /// Whether LJPc has the line's purchase, or may have it soon.
    fn may_have_bought(&self, line: usize, n: Option<i32>) -> bool {
        let target = &self.lines[line];
        let step = purchase(target.plan);
        let is_meant = |m: i32| n.is_none_or(|n| n == m);
        target.history.bought.iter().any(|&m| is_meant(m))
            || target.of_step(step).any(|p| is_meant(p.n) && self.is_in_flight(line, step, p.n))
    }

    /// `order resolve --absent`: compares and swaps on `in_doubt`, and bumps the token.
    pub(crate) fn say_absent(&mut self, line: usize) {
        let Some(said) = self.in_doubt(line) else { return };
        let is_purchase = said.step == purchase(self.lines[line].plan);
        let is_wrong = is_purchase && self.may_have_bought(line, Some(said.n));
        self.contacts_doubted += u8::from(said.step == EffectStep::CreateContact);
        let target = &mut self.lines[line];
        target.history.wrongly += u8::from(is_wrong);
        if let Some(placed) = target.placed_mut(said.step, said.n) {
            placed.state = EffectState::Absent;
            placed.live = false;
        }
        target.row.status = LineStatus::Pending;
        for run in &mut self.runs {
            run.is_fenced_in &= run.line != line;
        }
        self.poke(line);
    }

    /// `order resolve --abandon`.
    pub(crate) fn abandon(&mut self, line: usize) {
        let is_wrong = self.may_have_bought(line, None);
        let target = &mut self.lines[line];
        let loses_contact = target.of_step(EffectStep::CreateContact).any(|p| p.state.is_open());
        self.contacts_doubted += u8::from(loses_contact);
        target.history.wrongly += u8::from(is_wrong);
        target.row.status = LineStatus::Failed;
        for placed in &mut target.placements {
            placed.live = false;
            if matches!(placed.state, EffectState::InDoubt | EffectState::NotSent) {
                placed.state = EffectState::Abandoned;
            }
        }
        self.poke_others(line);
    }

    /// `order retry` of a held line: contacts that came to nothing are given up, and no longer counted.
    pub(crate) fn retry(&mut self, line: usize) {
        let target = &mut self.lines[line];
        target.row.status = LineStatus::Pending;
        target.row.panics = 0;
        for placed in &mut target.placements {
            if placed.step == EffectStep::CreateContact && placed.state == EffectState::Absent {
                placed.state = EffectState::Abandoned;
            }
        }
        self.poke(line);
    }

    /// A name that a run believes to have seen, though it is not its line's: only a mutation.
    pub(crate) fn foreign(&self, run: &Run) -> Option<Name> {
        let name = self.upstream.names[self.lines[run.line].plan.name];
        name.or(Some(Name {
            of: run.line,
            is_active: true,
            renews_as_wished: true,
            has_records: true,
        }))
    }
}

impl super::state::Line {
    /// What sets a value gives way to what sets it anew: it was read back, and was not so.
    fn supersede(&mut self, step: EffectStep, n: i32) {
        for placed in &mut self.placements {
            if placed.step == step && placed.n < n && placed.live {
                placed.live = false;
                if placed.state.is_open() {
                    placed.state = EffectState::Absent;
                }
            }
        }
    }
}

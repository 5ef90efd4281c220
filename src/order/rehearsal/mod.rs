//! What an order would do, step by step: the worker's own [`decide`] is asked for each line, and each request that it wants
//! to make is noted down and taken as accepted.
//!
//! What has to be known beforehand is asked of whoever rehearses, by safe requests; what follows from an imagined request is
//! imagined.

mod imagined;

use std::time::Duration;

use super::{
    ContactHandle, LineKind, LineStatus, Money, UpstreamOrderId,
    decide::{Change, Query, Step, Then, decide},
    effect::{Acceptance, Effect, EffectStep, Request},
    facts::{Facts, Known, Patience, Placement},
    ledger::EffectState,
    outcome::accepted,
    status::LineState,
    wish::Wish,
};
use imagined::Imagined;

/// Steps that one line may take; the longest way, that of a name with everything, takes about 20.
const STEPS_MAX: u32 = 64;

/// Stands for the handle of a contact that would be made.
pub const NEW_HANDLE: &str = "<handle of the new contact>";

/// An order in rehearsal.
#[derive(Debug)]
pub struct Rehearsal {
    lines: Vec<Line>,
    imagined: Imagined,
    requests: Vec<Rehearsed>,
    patience: Patience,
}

#[derive(Debug)]
struct Line {
    facts: Facts,
    known: Known,
    waits: Vec<String>,
    is_resting: bool,
    steps: u32,
}

/// A request that would be made.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// By which line.
    pub line: i32,
    /// What it is.
    pub effect: Effect,
}

/// Where a line ends up.
#[derive(Clone, Debug)]
pub struct LineOutlook {
    /// Index in the order, from 0.
    pub line: i32,
    /// What it is.
    pub kind: LineKind,
    /// Its name.
    pub domain: Option<String>,
    /// Where it would stand at last: `completed`, or what keeps it from that.
    pub status: LineStatus,
    /// Why.
    pub reason: Option<String>,
    /// What it would wait for on its way, in words.
    pub waits: Vec<String>,
    /// What the account would be charged, where that is known.
    pub cost: Option<Money>,
    /// It buys something whose price nobody knows.
    pub is_price_unknown: bool,
    /// `max_cost`
    pub cost_limit: Option<Money>,
}

/// What comes of one step.
enum Moved {
    /// It needs a reading.
    Reads(Query),
    /// On; others may go on by it.
    On,
    /// It has come to rest.
    Rests,
}

impl Rehearsal {
    /// Begins with the lines as they would be loaded first.
    #[must_use]
    pub fn new(lines: Vec<Facts>, patience: Patience) -> Self {
        let begin = |facts| Line {
            facts,
            known: Known::default(),
            waits: Vec::new(),
            is_resting: false,
            steps: 0,
        };
        Self {
            lines: lines.into_iter().map(begin).collect(),
            imagined: Imagined::default(),
            requests: Vec::new(),
            patience: Patience {
                // What else could be had is not part of the plan.
                offers_alternatives: false,
                // No time passes: what is to be read twice is read twice at once.
                poll_interval: Duration::ZERO,
                evidence_interval: Duration::ZERO,
                ..patience
            },
        }
    }

    /// Goes on until something must be read for a line, which is answered by [`Rehearsal::learn`]. `None`: it is over.
    pub fn advance(&mut self) -> Option<(usize, Query)> {
        while let Some(index) = self.lines.iter().position(|line| !line.is_resting) {
            match self.step(index)? {
                Moved::Reads(query) => return Some((index, query)),
                Moved::On => self.lines.iter_mut().for_each(|line| line.is_resting = false),
                Moved::Rests => self.lines.get_mut(index)?.is_resting = true,
            }
        }
        None
    }

    /// The line's facts, for whoever reads.
    #[must_use]
    pub fn facts(&self, index: usize) -> Option<&Facts> {
        self.lines.get(index).map(|line| &line.facts)
    }

    /// Takes the answer to a query: the field of `Known` that is its own.
    pub fn learn(&mut self, index: usize, query: &Query, read: Known) {
        self.imagined.begin_with(query, &read);
        if let Some(line) = self.lines.get_mut(index) {
            add(&mut line.known, read);
        }
    }

    /// The requests that would be made, in order, and where each line would end up.
    #[must_use]
    pub fn finish(self) -> (Vec<Rehearsed>, Vec<LineOutlook>) {
        let requests = self.requests;
        let outlooks = self.lines.into_iter().map(|line| outlook(line, &requests)).collect();
        (requests, outlooks)
    }

    fn step(&mut self, index: usize) -> Option<Moved> {
        let states: Vec<LineState> = self.lines.iter().map(|line| state(&line.facts)).collect();
        let line = self.lines.get_mut(index)?;
        line.facts.lines = states;
        if line.steps >= STEPS_MAX {
            return Some(Moved::Rests);
        }
        let moved = match decide(&line.facts, &line.known, &self.patience) {
            Step::Read(query) => match self.imagined.read(&query) {
                Some(read) => {
                    add(&mut line.known, read);
                    Moved::On
                }
                None => Moved::Reads(query),
            },
            Step::Make(effect) => {
                self.make(index, *effect);
                Moved::On
            }
            Step::Record(change) => record(line, *change),
        };
        if matches!(moved, Moved::On) {
            let line = self.lines.get_mut(index)?;
            line.steps = line.steps.saturating_add(1);
        }
        Some(moved)
    }

    /// Notes the request down, and takes it as accepted.
    fn make(&mut self, index: usize, effect: Effect) {
        self.imagined.make(&effect);
        if let Request::CreateContact(registrant) = &effect.request {
            let same = |line: &&mut Line| line.facts.name.registrant.as_ref() == Some(registrant);
            for line in self.lines.iter_mut().filter(same) {
                line.facts.name.contact_handle = Some(ContactHandle(NEW_HANDLE.to_owned()));
            }
        }
        let Some(line) = self.lines.get_mut(index) else { return };
        let number = line.facts.line;
        let acceptance = acceptance(&effect);
        let facts = &mut line.facts;
        facts.placements.retain(|it| (it.step, it.n) != (effect.step, effect.n));
        facts.placements.push(placement(&effect, &acceptance, facts.now));
        facts.progress = effect.during.progress.clone();
        facts.progress = accepted(facts, effect.step, &acceptance).progress;
        self.lines.iter_mut().for_each(|line| forget(&mut line.known));
        self.requests.push(Rehearsed { line: number, effect });
    }
}

/// The line after a change: at rest if it stays what it is.
fn record(line: &mut Line, change: Change) -> Moved {
    let rests = matches!(change.then, Then::Rest);
    let progress = change.progress;
    if rests
        && matches!(progress.status, LineStatus::Pending | LineStatus::Provisioning)
        && let Some(reason) = &progress.reason
        && !line.waits.contains(reason)
    {
        line.waits.push(reason.clone());
    }
    if line.facts.progress == progress {
        return Moved::Rests;
    }
    line.facts.progress = progress;
    forget(&mut line.known);
    Moved::On
}

/// What changes by what is done is read anew.
fn forget(known: &mut Known) {
    known.reading = None;
    known.domain = None;
    known.zone = None;
    known.contact_seen = None;
}

fn add(known: &mut Known, read: Known) {
    let Known {
        catalogue,
        reading,
        tlds,
        offer,
        contact,
        contact_seen,
        domain,
        zone,
        alternatives,
        sites,
        probe,
    } = read;
    known.catalogue = catalogue.or(known.catalogue.take());
    known.reading = reading.or(known.reading.take());
    known.tlds = tlds.or(known.tlds.take());
    known.offer = offer.or(known.offer.take());
    known.contact = contact.or(known.contact.take());
    known.contact_seen = contact_seen.or(known.contact_seen.take());
    known.domain = domain.or(known.domain.take());
    known.zone = zone.or(known.zone.take());
    known.alternatives = alternatives.or(known.alternatives.take());
    known.sites = sites.or(known.sites.take());
    known.probe = probe.or(known.probe.take());
}

fn state(facts: &Facts) -> LineState {
    let has_dns = matches!(
        &facts.wish,
        Ok(Wish::Register(name) | Wish::Transfer(name)) if name.dns.is_some()
    );
    LineState {
        line: facts.line,
        kind: facts.kind,
        domain: facts.progress.domain.clone(),
        status: facts.progress.status,
        milestone: facts.progress.milestone,
        has_dns,
        reason: facts.progress.reason.clone(),
        past_grace: false,
    }
}

fn acceptance(effect: &Effect) -> Acceptance {
    let cost = effect.price;
    match effect.step {
        // Its id is told nowhere.
        EffectStep::PlaceOrder => Acceptance::Order { id: UpstreamOrderId(0), cost },
        EffectStep::Register | EffectStep::Transfer => {
            Acceptance::Name { cost, status: "active".to_owned() }
        }
        EffectStep::CreateContact => Acceptance::Contact(ContactHandle(NEW_HANDLE.to_owned())),
        EffectStep::UpdateContact | EffectStep::UpdateDomain | EffectStep::ReplaceRecords => {
            Acceptance::Changed { synced: None }
        }
    }
}

fn placement(
    effect: &Effect,
    acceptance: &Acceptance,
    now: chrono::DateTime<chrono::Utc>,
) -> Placement {
    let (upstream_order_id, contact_handle) = match acceptance {
        Acceptance::Order { id, .. } => (Some(*id), None),
        Acceptance::Contact(handle) => (None, Some(handle.clone())),
        Acceptance::Name { .. } | Acceptance::Changed { .. } => (None, None),
    };
    Placement {
        step: effect.step,
        n: effect.n,
        state: EffectState::Accepted,
        live: true,
        upstream_order_id,
        site_id: None,
        price: effect.price,
        contact_handle,
        detail: None,
        intended_at: now,
        order_id_floor: None,
        probe: None,
    }
}

fn outlook(line: Line, requests: &[Rehearsed]) -> LineOutlook {
    let Line { facts, waits, .. } = line;
    let mut buys = requests.iter().filter(|it| it.line == facts.line && it.effect.step.buys());
    LineOutlook {
        line: facts.line,
        kind: facts.kind,
        domain: facts.progress.domain,
        status: facts.progress.status,
        reason: facts.progress.reason,
        waits,
        cost: facts.progress.cost,
        is_price_unknown: buys.any(|it| it.effect.price.is_none()),
        cost_limit: facts.cost_limit,
    }
}

#[cfg(test)]
mod tests;

//! What is looked for after a doubt: evidence of what became of a request whose answer nobody knows.
//!
//! The absence of a trace is no evidence while the request may still be on its way. What costs money is not sent again by
//! this: only a person says that it is absent, or all of LJPc's order numbers (`probe.rs`), where reading them is allowed.
//! A WHOIS contact costs nothing, so after `ljpc.in_doubt_grace` another one is made; what only sets a value is read back
//! and, if it is not so, set again.

mod ordered;
pub mod probe;

use std::time::Duration;

use chrono::TimeDelta;

use super::{
    LineStatus,
    decide::{Change, Event, Evidence, PANICS_MAX, Query, Step, Then, decide_contact},
    domain::{DomainSeen, Transfer, transfer_of},
    effect::{Acceptance, EffectStep},
    facts::{DomainReading, Facts, Known, Patience, Placement},
    kinds,
    ledger::EffectState,
    name::DomainName,
    outcome::{accepted, provably_not_sent, rejected},
    wish::Wish,
};

/// Decides what a line in doubt does next.
pub(super) fn decide_doubt(facts: &Facts, known: &Known, patience: &Patience) -> Step {
    if let Some(settled) = settled(facts) {
        return settled.step();
    }
    match facts.latest() {
        // A handler that panics on the line gets no further try.
        Some(latest) if facts.progress.panics < PANICS_MAX => look(facts, known, patience, latest),
        Some(_) | None => Change::unchanged(facts, Then::Rest).step(),
    }
}

/// A doubt that the ledger has settled meanwhile, by an answer that came late.
pub(super) fn settled(facts: &Facts) -> Option<Change> {
    let main = facts.main_step();
    if main.buys() && facts.placement(main).is_some_and(|p| p.state == EffectState::Accepted) {
        // What the line is for has been bought, and what is in doubt is how it goes on: a handler panicked on it too often.
        // No refused setting makes a failure of that.
        return None;
    }
    let latest = facts.latest()?;
    match latest.state {
        EffectState::Rejected => Some(rejected(facts, latest.step, latest.detail.as_deref())),
        EffectState::NotSent => Some(provably_not_sent(facts, latest.step)),
        EffectState::Sending
        | EffectState::InDoubt
        | EffectState::Accepted
        | EffectState::Absent
        | EffectState::Abandoned => None,
    }
}

fn look(facts: &Facts, known: &Known, patience: &Patience, latest: &Placement) -> Step {
    match latest.step {
        EffectStep::PlaceOrder => ordered::look(facts, known, patience, latest),
        EffectStep::CreateContact => look_for_contact(facts, known, patience, latest),
        EffectStep::Register | EffectStep::Transfer => {
            look_for_name(facts, known, patience, latest)
        }
        EffectStep::UpdateContact | EffectStep::UpdateDomain | EffectStep::ReplaceRecords => {
            read_back(facts, known, patience)
        }
    }
}

/// What evidence says of the step's placement that counts.
pub(super) fn evidence(facts: &Facts, step: EffectStep, state: EffectState) -> Option<Evidence> {
    let placement = facts.placement(step)?;
    Some(Evidence { step, n: placement.n, state, upstream_order_id: None, site_id: None })
}

fn look_for_contact(facts: &Facts, known: &Known, patience: &Patience, latest: &Placement) -> Step {
    match (&facts.name.contact_handle, &known.contact) {
        (Some(handle), _) | (None, Some(Some(handle))) => {
            let acceptance = Acceptance::Contact(handle.clone());
            let mut change = accepted(facts, latest.step, &acceptance);
            change.evidence = evidence(facts, latest.step, EffectState::Accepted);
            change.events.insert(0, found(latest.step));
            change.step()
        }
        (None, None) => Step::Read(Query::Contact(Some(facts.now))),
        (None, Some(None)) if is_past_grace(facts, patience) => {
            let reason =
                "no WHOIS contact came of the request in doubt; another one is made".to_owned();
            let mut change = Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry);
            change.evidence = evidence(facts, latest.step, EffectState::Absent);
            change.step()
        }
        (None, Some(None)) => {
            Change::unchanged(facts, Then::After(patience.evidence_interval)).step()
        }
    }
}

/// A name that shows our handle is ours: foreign names are not shown at all, and no other line of ours asks for this one
/// meanwhile. A transfer that is under way may show no handle yet.
fn look_for_name(facts: &Facts, known: &Known, patience: &Patience, latest: &Placement) -> Step {
    let Some(name) = facts.progress.domain.clone() else {
        return Change::unchanged(facts, Then::Rest).step();
    };
    let handle = facts.progress.contact_handle.as_ref();
    let is_transfer = latest.step == EffectStep::Transfer;
    // The row of an earlier transfer, or of another line's name, is no evidence of this one.
    let is_old = |seen: &DomainSeen| {
        facts.name.is_owned
            || is_transfer
                && transfer_of(seen.status.as_deref().unwrap_or_default()) == Transfer::Failed
    };
    let is_ours = |seen: &DomainSeen| {
        !is_old(seen)
            && match &seen.contact_handle {
                Some(shown) => handle == Some(shown),
                None => is_transfer,
            }
    };
    match &known.domain {
        None => Step::Read(Query::Domain(DomainName::from_stored(name))),
        Some(DomainReading::Seen(seen)) if is_ours(seen) => {
            let status = seen.status.clone().unwrap_or_default();
            match seen_twice(facts, patience) {
                Ok(()) => found_name(facts, latest.step, status).step(),
                Err(wait) => wait.step(),
            }
        }
        Some(DomainReading::Seen(_) | DomainReading::NotOurs) => {
            let mut step = look_again(facts, patience);
            if let Step::Record(change) = &mut step {
                change.progress.completed_seen_at = None;
            }
            step
        }
        Some(DomainReading::Unanswered) => look_again(facts, patience),
    }
}

/// LJPc may answer out of a stored row, above all while its own system is away, which is when doubts arise: what it shows is
/// believed when it still shows it `ljpc.evidence_interval` later.
pub(super) fn seen_twice(facts: &Facts, patience: &Patience) -> Result<(), Box<Change>> {
    seen_after(facts, patience.evidence_interval)
}

/// What a reading shows is believed when a reading after this time still shows it.
pub(super) fn seen_after(facts: &Facts, interval: Duration) -> Result<(), Box<Change>> {
    // A clock that was set back makes it younger than nothing.
    let since = facts.progress.completed_seen_at.filter(|since| *since <= facts.now);
    let age = since.and_then(|since| facts.now.signed_duration_since(since).to_std().ok());
    let left = interval.saturating_sub(age.unwrap_or_default());
    if since.is_some() && left.is_zero() {
        return Ok(());
    }
    let mut change = Change::unchanged(facts, Then::After(left));
    change.progress.completed_seen_at = since.or(Some(facts.now));
    Err(Box::new(change))
}

/// Past the grace a person is asked, and it is looked at more and more seldom.
fn look_again(facts: &Facts, patience: &Patience) -> Step {
    let then = if is_past_grace(facts, patience) {
        Then::Poll(false)
    } else {
        Then::After(patience.evidence_interval)
    };
    Change::unchanged(facts, then).step()
}

/// A line whose name was found to be ours.
pub(super) fn found_name(facts: &Facts, step: EffectStep, status: String) -> Change {
    let placement = facts.placement(step);
    let cost = facts.progress.cost.or(placement.and_then(|placement| placement.price));
    let mut change = accepted(facts, step, &Acceptance::Name { cost, status });
    change.evidence = evidence(facts, step, EffectState::Accepted);
    change.events.insert(0, found(step));
    change.progress.completed_seen_at = None;
    change
}

/// What only sets a value is decided by its value: as if the line had just begun, but that it stays in doubt until the
/// value has been read.
fn read_back(facts: &Facts, known: &Known, patience: &Patience) -> Step {
    if let Some(step) = decide_contact(facts, known, patience) {
        return step;
    }
    let name = DomainName::from_stored(facts.progress.domain.clone().unwrap_or_default());
    match &facts.wish {
        Ok(Wish::Update(change)) => kinds::update::decide(facts, known, patience, name, change),
        Ok(Wish::Dns(records)) => kinds::dns::decide(facts, known, patience, name, records),
        Ok(
            Wish::Hosting(_)
            | Wish::HostingOwn { .. }
            | Wish::Register(_)
            | Wish::Transfer(_)
            | Wish::CreateContact(_)
            | Wish::UpdateContact { .. },
        )
        | Err(_) => Change::unchanged(facts, Then::Rest).step(),
    }
}

/// What only sets a value was read back, and is not so: it is as if it had not been sent. Should it come about after all,
/// the next one sets the same.
pub(super) fn without_effect(facts: &Facts, step: EffectStep) -> Change {
    let reason = format!("the {} had no effect that LJPc shows; it is sent again", step.noun());
    let mut change = Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry);
    change.evidence = evidence(facts, step, EffectState::Absent);
    change
}

fn found(step: EffectStep) -> Event {
    let detail = serde_json::json!({ "step": step.as_str() });
    Event { name: "found_upstream", detail }
}

/// Whether a person is asked by now.
#[must_use]
pub fn is_past_grace(facts: &Facts, patience: &Patience) -> bool {
    let grace = TimeDelta::from_std(patience.in_doubt_grace).unwrap_or(TimeDelta::MAX);
    facts.progress.in_doubt_at.is_some_and(|since| facts.now.signed_duration_since(since) >= grace)
}

//! Lines of the kinds `contact_create` and `contact_update`: a WHOIS contact of an operator's, which is of no name.

use serde_json::json;

use super::{
    making::{make, placing},
    poll::tell_if_overdue,
};
use crate::order::{
    ContactHandle, LineStatus,
    decide::{Change, Event, Query, Step, Then},
    domain::{ContactChange, Registrant},
    doubt::{evidence, without_effect},
    effect::{EffectStep, Request},
    facts::{ContactReading, Facts, Known, Patience},
    ledger::EffectState,
};

/// How often a change is sent that LJPc accepts and does not show.
const TRIES_MAX: i32 = 3;

/// For how long what LJPc has accepted may be missing in what it shows, before it is sent once more.
const UNSEEN_MAX: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// Decides what a line that makes a contact does next. One that is there already is not made again, since nobody can take
/// one back.
pub(in crate::order) fn create(facts: &Facts, known: &Known, registrant: &Registrant) -> Step {
    let step = EffectStep::CreateContact;
    let made = facts
        .placement(step)
        .and_then(|placement| placement.contact_handle.clone())
        .or_else(|| facts.progress.contact_handle.clone());
    let earlier = facts.name.contact_handle.clone().or_else(|| known.contact.clone().flatten());
    let reason =
        made.is_none().then(|| "a WHOIS contact with these details was there already".to_owned());
    if let Some(handle) = made.or(earlier) {
        let mut change = Change::to(facts, LineStatus::Completed, reason, Then::Rest);
        let detail = json!({ "contact_handle": handle });
        change.events = vec![Event { name: "completed", detail }];
        change.progress.contact_handle = Some(handle);
        return change.step();
    }
    if known.contact.is_none() {
        return Step::Read(Query::Contact(None));
    }
    let request = Request::CreateContact(registrant.clone());
    make(facts, step, None, request, None, placing(facts, None))
}

/// Decides what a line that changes a contact does next, whether it is pending, in doubt, or reads back.
pub(in crate::order) fn update(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    handle: &ContactHandle,
    wished: &ContactChange,
) -> Step {
    let step = EffectStep::UpdateContact;
    let seen = match &known.contact_seen {
        None => return Step::Read(Query::ContactDetail(handle.clone())),
        Some(ContactReading::Unanswered) => return again(facts, patience, None).step(),
        Some(ContactReading::NotOurs) if facts.placement(step).is_none() => {
            let reason = format!("{handle} is not a WHOIS contact of this account");
            return Change::fail(facts, reason, None).step();
        }
        Some(ContactReading::NotOurs) => {
            let reason = format!("LJPc does not show {handle}; it is asked again");
            return again(facts, patience, Some(reason)).step();
        }
        Some(ContactReading::Seen(seen)) => seen,
    };
    let missing = wished.missing_in(seen);
    if missing.is_empty() {
        return done(facts, handle).step();
    }
    let fields = missing.fields().join(", ");
    match facts.placement(step) {
        Some(sent)
            if sent.state == EffectState::Accepted
                && facts.now.signed_duration_since(sent.intended_at) < UNSEEN_MAX =>
        {
            let reason = format!("LJPc accepted {fields}, and does not show it yet");
            again(facts, patience, Some(reason)).step()
        }
        Some(sent) if sent.n >= TRIES_MAX && sent.state != EffectState::NotSent => {
            let reason = format!("{fields} was sent {TRIES_MAX} times, and LJPc does not show it");
            Change::fail(facts, reason, None).step()
        }
        _ if facts.progress.status == LineStatus::InDoubt => without_effect(facts, step).step(),
        _ => {
            let mut during = placing(facts, None);
            during.progress.contact_handle = Some(handle.clone());
            let contact_handle = handle.clone();
            let request = Request::UpdateContact { contact_handle, change: missing };
            make(facts, step, None, request, None, during)
        }
    }
}

/// The line is looked at again; it stays what it is.
fn again(facts: &Facts, patience: &Patience, reason: Option<String>) -> Change {
    let mut change = Change::unchanged(facts, Then::Poll(false));
    if reason.is_some() {
        change.progress.reason = reason;
    }
    tell_if_overdue(facts, &mut change, patience.overdue_after);
    change
}

/// It is as wished.
fn done(facts: &Facts, handle: &ContactHandle) -> Change {
    let step = EffectStep::UpdateContact;
    let is_open = facts.placement(step).is_some_and(|placement| placement.state.is_open());
    // A line in doubt is accepted first: what it is then, any reading says.
    let (status, then) = if facts.progress.status == LineStatus::InDoubt {
        (LineStatus::Provisioning, Then::After(std::time::Duration::ZERO))
    } else {
        (LineStatus::Completed, Then::Rest)
    };
    let mut change = Change::to(facts, status, None, then);
    let detail = json!({ "contact_handle": handle });
    change.events = vec![Event { name: status.as_str(), detail }];
    change.progress.contact_handle = Some(handle.clone());
    change.evidence = is_open.then(|| evidence(facts, step, EffectState::Accepted)).flatten();
    change
}

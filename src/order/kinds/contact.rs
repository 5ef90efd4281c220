//! Lines of the kinds `contact_create` and `contact_update`: a WHOIS contact of an operator's, which is of no name.

use serde_json::json;

use super::{
    making::{make, placing},
    setting::{Next, as_wished, not_as_wished, not_ours, sending, unanswered},
};
use crate::order::{
    ContactHandle, LineStatus,
    decide::{Change, Event, Query, Step, Then},
    domain::{ContactChange, Registrant},
    effect::{EffectStep, Request},
    facts::{ContactReading, Facts, Known, Patience, Placement},
    ledger::EffectState,
};

/// How many WHOIS contacts a line may ask for whose outcome stays unknown, before a person looks.
const CONTACTS_MAX: usize = 3;

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
    make_new(facts, registrant)
}

/// Makes a WHOIS contact, unless so many requests for one have come to nothing that a person must look first. Those that he
/// has decided the line anew after are given up (`resolution`), and no longer counted.
pub(super) fn make_new(facts: &Facts, registrant: &Registrant) -> Step {
    let step = EffectStep::CreateContact;
    let came_to_nothing = |it: &&Placement| it.step == step && it.state == EffectState::Absent;
    let tries = facts.placements.iter().filter(came_to_nothing).count();
    if tries >= CONTACTS_MAX && facts.next_placement(step).is_some() {
        let reason = format!("no WHOIS contact came of {tries} requests; look at LJPc's list");
        return Change::hold(facts, reason).step();
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
        Some(ContactReading::Unanswered) => {
            return unanswered(facts, patience, &handle.0).step();
        }
        Some(ContactReading::NotOurs) => {
            return not_ours(facts, patience, step, &handle.0, None).step();
        }
        Some(ContactReading::Seen(seen)) => seen,
    };
    let missing = wished.missing_in(seen);
    if missing.is_empty() {
        return done(facts, handle).step();
    }
    match not_as_wished(facts, patience, step, &missing.fields().join(", ")) {
        Next::Wait(change) => Step::Record(change),
        Next::GiveUp(reason) => Change::fail(facts, reason, None).step(),
        Next::Send => {
            let mut during = sending(facts, patience, None);
            during.progress.contact_handle = Some(handle.clone());
            let contact_handle = handle.clone();
            let request = Request::UpdateContact { contact_handle, change: missing };
            make(facts, step, None, request, None, during)
        }
    }
}

/// It is as wished.
fn done(facts: &Facts, handle: &ContactHandle) -> Change {
    let mut change = as_wished(facts, EffectStep::UpdateContact, None);
    if let Some(event) = change.events.last_mut() {
        event.detail = json!({ "contact_handle": handle });
    }
    change.progress.contact_handle = Some(handle.clone());
    change
}

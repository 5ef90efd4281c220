//! Lines of the kind `domain_update`: read, compare, change what differs, read back.

use serde_json::json;

use super::{
    making::{make, placing},
    poll::tell_if_overdue,
};
use crate::order::{
    Cause, LineStatus,
    decide::{Change, Event, Query, Step, Then},
    domain::{DomainChange, DomainSeen},
    doubt::{evidence, without_effect},
    effect::{EffectStep, Request},
    facts::{DomainReading, Facts, Known, Patience},
    ledger::EffectState,
    name::DomainName,
};

/// How often a change is sent that LJPc accepts and does not show.
const TRIES_MAX: i32 = 3;

/// For how long what LJPc has accepted may be missing in what it shows, before it is sent once more.
const UNSEEN_MAX: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// Decides what a line that changes a name does next, whether it is pending, in doubt, or reads back.
pub(in crate::order) fn decide(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: DomainName,
    wish: &DomainChange,
) -> Step {
    let step = EffectStep::UpdateDomain;
    let seen = match &known.domain {
        None => return Step::Read(Query::Domain(domain)),
        Some(DomainReading::Unanswered) => return again(facts, patience, None).step(),
        // It may be away for a moment only while something has been sent for it already.
        Some(DomainReading::NotOurs) if facts.placement(step).is_none() => {
            let reason = format!("{domain} is not a name of this account");
            return Change::fail(facts, reason, Some(Cause::NameUnavailable)).step();
        }
        Some(DomainReading::NotOurs) => {
            let reason = format!("LJPc does not show {domain}; it is asked again");
            return again(facts, patience, Some(reason)).step();
        }
        Some(DomainReading::Seen(seen)) => seen,
    };
    // The customer may have changed his mind about the renewal since.
    let renew = wish.auto_renew.and(facts.name.auto_renew_wished.or(wish.auto_renew));
    let missing = DomainChange { auto_renew: renew, ..wish.clone() }.missing_in(seen);
    if missing.is_empty() {
        return done(facts, &domain, seen).step();
    }
    match facts.placement(step) {
        Some(sent)
            if sent.state == EffectState::Accepted
                && facts.now.signed_duration_since(sent.intended_at) < UNSEEN_MAX =>
        {
            let fields = missing.fields().join(", ");
            let reason = format!("LJPc accepted {fields}, and does not show it yet");
            again(facts, patience, Some(reason)).step()
        }
        Some(sent) if sent.n >= TRIES_MAX && sent.state != EffectState::NotSent => {
            let fields = missing.fields().join(", ");
            let reason = format!("{fields} was sent {TRIES_MAX} times, and LJPc does not show it");
            Change::fail(facts, reason, None).step()
        }
        _ if facts.progress.status == LineStatus::InDoubt => without_effect(facts, step).step(),
        _ => {
            let during = placing(facts, Some(&domain));
            make(facts, step, Some(domain), Request::UpdateDomain(missing), None, during)
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
fn done(facts: &Facts, domain: &DomainName, seen: &DomainSeen) -> Change {
    let step = EffectStep::UpdateDomain;
    let is_open = facts.placement(step).is_some_and(|placement| placement.state.is_open());
    // A line in doubt is accepted first: what it is then, any reading says.
    let status = if facts.progress.status == LineStatus::InDoubt {
        LineStatus::Provisioning
    } else {
        LineStatus::Completed
    };
    let then = if status.is_ended() { Then::Rest } else { Then::After(std::time::Duration::ZERO) };
    let mut change = Change::to(facts, status, None, then);
    let detail = json!({ "expires_at": seen.expires_at });
    change.events = vec![Event { name: status.as_str(), detail }];
    change.progress.domain = Some(domain.as_str().to_owned());
    change.progress.expires_at = seen.expires_at;
    change.progress.contact_handle.clone_from(&seen.contact_handle);
    change.seen = Some(seen.clone());
    change.evidence = is_open.then(|| evidence(facts, step, EffectState::Accepted)).flatten();
    change
}

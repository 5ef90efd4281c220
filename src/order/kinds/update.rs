//! Lines of the kind `domain_update`: read, compare, change what differs, read back.

use super::{
    making::make,
    setting::{Next, again, as_wished, not_as_wished, sending, unanswered},
};
use crate::order::{
    Cause,
    decide::{Change, Query, Step, Then},
    domain::{DomainChange, DomainSeen},
    effect::{EffectStep, Request},
    facts::{DomainReading, Facts, Known, Patience},
    name::DomainName,
};

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
        Some(DomainReading::Unanswered) => {
            return unanswered(facts, patience, domain.as_str()).step();
        }
        Some(DomainReading::NotOurs) => return not_ours(facts, patience, &domain).step(),
        Some(DomainReading::Seen(seen)) => seen,
    };
    // The customer may have changed his mind about the renewal since.
    let renew = wish.auto_renew.and(facts.name.auto_renew_wished.or(wish.auto_renew));
    let missing = DomainChange { auto_renew: renew, ..wish.clone() }.missing_in(seen);
    if missing.is_empty() {
        return done(facts, &domain, seen).step();
    }
    match not_as_wished(facts, patience, step, &missing.fields().join(", ")) {
        Next::Wait(change) => Step::Record(change),
        Next::GiveUp(reason) => Change::fail(facts, reason, None).step(),
        Next::Send => {
            let during = sending(facts, patience, Some(&domain));
            make(facts, step, Some(domain), Request::UpdateDomain(missing), None, during)
        }
    }
}

/// A name that LJPc does not show. It may be so for a moment, just after a purchase, so it is read once more.
fn not_ours(facts: &Facts, patience: &Patience, domain: &DomainName) -> Change {
    let has_sent = facts.placement(EffectStep::UpdateDomain).is_some();
    if facts.progress.failed_seen_at.is_some() && !has_sent {
        let reason = format!("{domain} is not a name of this account");
        return Change::fail(facts, reason, Some(Cause::NameUnavailable));
    }
    let reason = format!("LJPc does not show {domain}; it is asked again");
    let mut change = again(facts, patience, Some(reason));
    change.progress.failed_seen_at = facts.progress.failed_seen_at.or(Some(facts.now));
    if !has_sent {
        change.then = Then::Poll(true);
    }
    change
}

/// It is as wished.
fn done(facts: &Facts, domain: &DomainName, seen: &DomainSeen) -> Change {
    let mut change = as_wished(facts, EffectStep::UpdateDomain, None);
    change.progress.domain = Some(domain.as_str().to_owned());
    change.progress.failed_seen_at = None;
    change.progress.expires_at = seen.expires_at;
    change.progress.contact_handle.clone_from(&seen.contact_handle);
    change.seen = Some(seen.clone());
    change
}

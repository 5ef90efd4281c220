//! Lines of the kind `domain_update`: read, compare, change what differs, read back.

use super::{
    making::make,
    setting::{Next, as_wished, believed, not_as_wished, not_ours, sending, unanswered},
};
use crate::order::{
    Cause,
    decide::{Change, Query, Step},
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
        Some(DomainReading::NotOurs) => {
            let cause = Some(Cause::NameUnavailable);
            return not_ours(facts, patience, step, domain.as_str(), cause).step();
        }
        Some(DomainReading::Seen(seen)) => seen,
    };
    // The customer may have changed his mind about the renewal since.
    let renew = wish.auto_renew.and(facts.name.auto_renew_wished.or(wish.auto_renew));
    let wished = DomainChange { auto_renew: renew, ..wish.clone() };
    let missing = wished.missing_in(seen);
    if missing.is_empty() {
        return match believed(facts, patience, step) {
            Ok(()) => done(facts, &domain, seen).step(),
            Err(wait) => wait.step(),
        };
    }
    match not_as_wished(facts, patience, step, &missing.fields().join(", ")) {
        Next::Wait(change) => Step::Record(change),
        Next::GiveUp(reason) => Change::fail(facts, reason, None).step(),
        Next::Send => {
            let during = sending(facts, patience, Some(&domain));
            // All of it, so that nothing hangs on what a stored row has shown of the rest.
            make(facts, step, Some(domain), Request::UpdateDomain(wished), None, during)
        }
    }
}

/// It is as wished.
fn done(facts: &Facts, domain: &DomainName, seen: &DomainSeen) -> Change {
    let mut change = as_wished(facts, EffectStep::UpdateDomain, None);
    change.progress.domain = Some(domain.as_str().to_owned());
    change.progress.expires_at = seen.expires_at;
    change.progress.contact_handle.clone_from(&seen.contact_handle);
    change.seen = Some(seen.clone());
    change
}

//! Lines of the kind `dns`: read the zone, compare, replace it, read back.

use super::{
    making::make,
    setting::{Next, as_wished, believed, not_as_wished, not_ours, sending, unanswered},
};
use crate::order::{
    Cause, LineStatus,
    decide::{Change, Query, Step},
    domain::{Record, RecordDiff, check_records, diff_records},
    effect::{EffectStep, Request},
    facts::{DomainReading, Facts, Known, Patience, ZoneReading},
    ledger::EffectState,
    name::DomainName,
};

/// Decides what a line that writes a zone does next, whether it is pending, in doubt, or reads back.
pub(in crate::order) fn decide(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: DomainName,
    wished: &[Record],
) -> Step {
    let step = EffectStep::ReplaceRecords;
    let latest = facts.placement(step);
    if latest.is_none()
        && let Err(fault) = check_records(wished)
    {
        return Change::fail(facts, format!("records{fault}"), None).step();
    }
    let before = match &known.zone {
        None => return Step::Read(Query::Zone(domain)),
        Some(ZoneReading::Unanswered) => {
            let about = format!("the zone of {domain}");
            return unanswered(facts, patience, &about).step();
        }
        Some(ZoneReading::None) => &Vec::new(),
        Some(ZoneReading::Records(records)) => records,
    };
    let diff = diff_records(before, wished);
    if diff.is_empty() {
        return nothing_to_do(facts, known, patience, domain);
    }
    if latest.is_some_and(|latest| latest.state == EffectState::Accepted) {
        return done(facts, &domain, &diff).step();
    }
    if let Some(later) = &facts.name.zone_written_by {
        let reason = format!("line {later}, which is younger, has written the zone meanwhile");
        return as_wished(facts, step, Some(reason)).step();
    }
    match not_as_wished(facts, patience, step, "the records") {
        Next::Wait(change) => Step::Record(change),
        Next::GiveUp(reason) => Change::fail(facts, reason, None).step(),
        Next::Send => {
            let during = sending(facts, patience, Some(&domain));
            let request =
                Request::ReplaceRecords { records: wished.to_vec(), before: before.clone() };
            make(facts, step, Some(domain), request, None, during)
        }
    }
}

/// The zone is as wished. One that is not there is empty, and one of a name that is not ours looks the same: there the name
/// is looked at.
fn nothing_to_do(facts: &Facts, known: &Known, patience: &Patience, domain: DomainName) -> Step {
    if known.zone != Some(ZoneReading::None) || facts.progress.status != LineStatus::Pending {
        return done(facts, &domain, &RecordDiff::default()).step();
    }
    match &known.domain {
        None => Step::Read(Query::Domain(domain)),
        Some(DomainReading::Unanswered) => unanswered(facts, patience, domain.as_str()).step(),
        Some(DomainReading::NotOurs) => {
            let cause = Some(Cause::NameUnavailable);
            not_ours(facts, patience, EffectStep::ReplaceRecords, domain.as_str(), cause).step()
        }
        Some(DomainReading::Seen(_)) => match believed(facts, patience, EffectStep::ReplaceRecords)
        {
            Ok(()) => done(facts, &domain, &RecordDiff::default()).step(),
            Err(wait) => wait.step(),
        },
    }
}

/// The zone is as wished, or as LJPc writes what it has accepted.
fn done(facts: &Facts, domain: &DomainName, diff: &RecordDiff) -> Change {
    let (added, removed) = (diff.added.len(), diff.removed.len());
    let reason = (!diff.is_empty()).then(|| {
        format!(
            "LJPc accepted the records, and shows the zone differently: {added} of them otherwise, {removed} besides"
        )
    });
    let mut change = as_wished(facts, EffectStep::ReplaceRecords, reason);
    change.progress.domain = Some(domain.as_str().to_owned());
    change
}

//! Lines of the kind `dns`: read the zone, compare, replace it, read back.

use serde_json::json;

use super::{
    making::{make, placing},
    poll::tell_if_overdue,
};
use crate::order::{
    LineStatus,
    decide::{Change, Event, Query, Step, Then},
    domain::{Record, check_records, diff_records},
    doubt::{evidence, without_effect},
    effect::{EffectStep, Request},
    facts::{Facts, Known, Patience, ZoneReading},
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
    if facts.placement(step).is_none()
        && let Err(fault) = check_records(wished)
    {
        return Change::fail(facts, format!("records{fault}"), None).step();
    }
    let before = match &known.zone {
        None => return Step::Read(Query::Zone(domain)),
        Some(ZoneReading::Unanswered) => {
            let mut change = Change::unchanged(facts, Then::Poll(false));
            tell_if_overdue(facts, &mut change, patience.overdue_after);
            return change.step();
        }
        Some(ZoneReading::Records(records)) => records,
    };
    let diff = diff_records(before, wished);
    let is_accepted =
        facts.placement(step).is_some_and(|placement| placement.state == EffectState::Accepted);
    if diff.is_empty() || is_accepted {
        return done(facts, &domain, diff.added.len(), diff.removed.len()).step();
    }
    if facts.progress.status == LineStatus::InDoubt {
        return without_effect(facts, step).step();
    }
    let during = placing(facts, Some(&domain));
    let request = Request::ReplaceRecords { records: wished.to_vec(), before: before.clone() };
    make(facts, step, Some(domain), request, None, during)
}

/// The zone is as wished, or as LJPc writes what it has accepted.
fn done(facts: &Facts, domain: &DomainName, added: usize, removed: usize) -> Change {
    let step = EffectStep::ReplaceRecords;
    let is_open = facts.placement(step).is_some_and(|placement| placement.state.is_open());
    let (status, then) = if facts.progress.status == LineStatus::InDoubt {
        (LineStatus::Provisioning, Then::After(std::time::Duration::ZERO))
    } else {
        (LineStatus::Completed, Then::Rest)
    };
    let differs = added + removed > 0;
    let reason = (differs && status == LineStatus::Completed).then(|| {
        format!(
            "LJPc accepted the records, and shows the zone differently: {added} of them otherwise, {removed} besides"
        )
    });
    let mut change = Change::to(facts, status, reason, then);
    change.events = vec![Event { name: status.as_str(), detail: json!({}) }];
    change.progress.domain = Some(domain.as_str().to_owned());
    change.evidence = is_open.then(|| evidence(facts, step, EffectState::Accepted)).flatten();
    change
}

//! A name that has been bought: it is awaited, then what was wished of it is arranged, then its DNS is written.
//!
//! A wish that is refused is no failure: the name is there, and the line says at its end what was refused.

use serde_json::json;

use super::{
    making::make,
    poll::{after, decide_reading, noting, tell_if_overdue},
    setting::{Next, again, believed, not_as_wished, shown},
};
use crate::order::{
    Cause, LineStatus, Milestone,
    decide::{Change, Event, Query, Step, Then},
    domain::{DomainSeen, Purpose, Transfer, diff_records, transfer_of},
    doubt::seen_after,
    effect::{EffectStep, Request},
    facts::{DomainReading, Facts, Known, Patience, Reading, SimpleStatus, ZoneReading},
    ledger::EffectState,
    name::DomainName,
    outcome::{refused, rejected},
    status::Hindrance,
    wish::NameWish,
};

/// Decides what a bought name does next.
pub(in crate::order) fn decide(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: DomainName,
    wish: &NameWish,
    purpose: Purpose,
) -> Step {
    if let Some(step) = follow_order(facts, known, patience) {
        return step;
    }
    if facts.progress.milestone == Some(Milestone::Arranged) {
        return write_dns(facts, known, patience, domain, wish);
    }
    let seen = match &known.domain {
        None => return Step::Read(Query::Domain(domain)),
        Some(DomainReading::Unanswered) => return polled(facts, patience, purpose, None).step(),
        Some(DomainReading::NotOurs) => {
            let reason = "LJPc does not show the name yet; it is asked again".to_owned();
            let mut change = polled(facts, patience, purpose, Some(reason));
            change.progress.simple_status = None;
            return unlike(change).step();
        }
        Some(DomainReading::Seen(seen)) => seen,
    };
    if facts.progress.milestone.is_none()
        && let Some(waiting) = await_transfer(facts, patience, purpose, seen)
    {
        return waiting.step();
    }
    arrange(facts, patience, domain, wish, seen)
}

/// A name that was bought by an LJPc order: that comes first.
fn follow_order(facts: &Facts, known: &Known, patience: &Patience) -> Option<Step> {
    let id = facts.progress.upstream_order_id?;
    // That the order is delivered has a column of its own: the status of the name comes next, and has its own words.
    if facts.progress.completed_seen_at.is_some() || facts.progress.milestone.is_some() {
        return None;
    }
    Some(match &known.reading {
        None => Step::Read(Query::Order(id)),
        // Delivered: now the name itself is looked at.
        Some(Reading::Order { simple_status: SimpleStatus::Completed, .. }) => {
            let mut change = Change::unchanged(facts, Then::After(std::time::Duration::ZERO));
            change.progress.completed_seen_at = Some(facts.now);
            change.progress.failed_seen_at = None;
            noting(facts, change, SimpleStatus::Completed).step()
        }
        Some(reading) => decide_reading(facts, reading, patience).step(),
    })
}

/// A name that is not here yet, or whose transfer has failed.
fn await_transfer(
    facts: &Facts,
    patience: &Patience,
    purpose: Purpose,
    seen: &DomainSeen,
) -> Option<Change> {
    if purpose == Purpose::Register {
        return None;
    }
    let status = seen.status.clone().unwrap_or_default();
    let mut change = match transfer_of(&status) {
        Transfer::Done => *seen_done_twice(facts, patience).err()?,
        Transfer::Pending => unlike(polled(facts, patience, purpose, None)),
        Transfer::Failed => failed(facts, patience, &status),
    };
    if facts.progress.simple_status.as_deref() != Some(status.as_str()) {
        let detail = json!({ "status": status });
        change.events.insert(0, Event { name: "upstream_status", detail });
        change.progress.simple_status = Some(status);
    }
    change.seen = Some(seen.clone());
    Some(change)
}

/// The row of an earlier time in the account says that a transfer is done, too: it is when the reading before said so as
/// well.
fn seen_done_twice(facts: &Facts, patience: &Patience) -> Result<(), Box<Change>> {
    let before = facts.progress.simple_status.as_deref().unwrap_or_default();
    let mut seen = seen_after(facts, patience.poll_interval);
    if seen.is_ok() && transfer_of(before) != Transfer::Done {
        let mut wait = Change::unchanged(facts, Then::After(patience.poll_interval));
        wait.progress.completed_seen_at = Some(facts.now);
        seen = Err(Box::new(wait));
    }
    seen.map_err(|mut wait| {
        wait.progress.failed_seen_at = None;
        wait
    })
}

/// After a reading that shows neither that the name is here nor that its transfer has failed: an earlier one that did was a
/// stored row. Of an LJPc order it stays known that it was delivered.
fn unlike(mut change: Change) -> Change {
    let is_delivered =
        change.progress.upstream_order_id.is_some() && change.progress.milestone.is_none();
    change.progress.failed_seen_at = None;
    change.progress.completed_seen_at = change.progress.completed_seen_at.filter(|_| is_delivered);
    change
}

/// A failed transfer is looked at again for a while before it is believed, as a failed order is: LJPc may have answered out
/// of a stored row, perhaps of an earlier transfer of the name, or its staff may begin it anew.
fn failed(facts: &Facts, patience: &Patience, status: &str) -> Change {
    let since = facts.progress.failed_seen_at;
    let until = after(since.unwrap_or(facts.now), patience.failed_recheck);
    if since.is_some() && facts.now >= until {
        let reason = format!("the transfer failed: LJPc says {status}");
        return Change::fail(facts, reason, Some(Cause::TransferRefused));
    }
    let reason = format!("LJPc says {status}; it is looked at again before that is believed");
    let mut change = polled(facts, patience, Purpose::Transfer, Some(reason));
    change.progress.failed_seen_at = since.or(Some(facts.now));
    change.then = Then::At(until);
    change
}

/// A line that is looked at again by its schedule.
fn polled(facts: &Facts, patience: &Patience, purpose: Purpose, reason: Option<String>) -> Change {
    let then = match purpose {
        Purpose::Register => Then::Poll(false),
        Purpose::Transfer => Then::PollTransfer,
    };
    let mut change = Change::unchanged(facts, then);
    change.progress.reason = reason;
    tell_if_overdue(facts, &mut change, patience.overdue_after);
    change
}

/// The name is ours, and seen: what was wished of it is compared, and sent where it is not so.
fn arrange(
    facts: &Facts,
    patience: &Patience,
    domain: DomainName,
    wish: &NameWish,
    seen: &DomainSeen,
) -> Step {
    let step = EffectStep::UpdateDomain;
    // The name's row may be another line's still; then the line's own wish is the latest.
    let auto_renew = facts.name.auto_renew_wished.or(wish.auto_renew);
    let wished = wish.afterwards(auto_renew);
    let missing = wished.missing_in(seen);
    let mut change = here(facts, &domain, seen);
    if missing.is_empty() {
        let evidence = shown(facts, step);
        if !wished.is_empty()
            && let Err(wait) = believed(facts, patience, step)
        {
            change.progress.milestone = Some(Milestone::Named);
            change.progress.completed_seen_at = wait.progress.completed_seen_at;
            change.then = wait.then;
            return change.step();
        }
        change.progress.milestone = Some(Milestone::Arranged);
        change.evidence = evidence;
        return change.step();
    }
    change.progress.milestone = Some(Milestone::Named);
    match not_as_wished(facts, patience, step, &missing.fields().join(", ")) {
        Next::Wait(waiting) => {
            change.progress.reason = waiting.progress.reason;
            change.progress.overdue_told_at = waiting.progress.overdue_told_at;
            change.events.extend(waiting.events);
            change.overdue = waiting.overdue;
            change.then = waiting.then;
            change.step()
        }
        Next::GiveUp(reason) => {
            let mut given_up = refused(facts, step, &reason);
            given_up.progress.contact_handle = change.progress.contact_handle;
            given_up.progress.expires_at = change.progress.expires_at;
            given_up.step()
        }
        Next::Send => {
            tell_if_overdue(facts, &mut change, patience.overdue_after);
            make(facts, step, Some(domain), Request::UpdateDomain(wished), None, change)
        }
    }
}

/// The line of a name that is ours, as it was seen.
fn here(facts: &Facts, domain: &DomainName, seen: &DomainSeen) -> Change {
    let mut change =
        Change::to(facts, LineStatus::Provisioning, None, Then::After(std::time::Duration::ZERO));
    change.events.clear();
    if facts.progress.milestone.is_none() {
        let detail = json!({ "domain": domain.as_str(), "status": seen.status, "expires_at": seen.expires_at });
        change.events.push(Event { name: "domain_arrived", detail });
    }
    change.progress.failed_seen_at = None;
    change.progress.completed_seen_at = None;
    change.progress.expires_at = seen.expires_at;
    change.progress.contact_handle = seen.contact_handle.clone().or(change.progress.contact_handle);
    change.seen = Some(seen.clone());
    change
}

/// The registration's own records, once hosting of the name has ended: its panel may manage the zone then.
fn write_dns(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: DomainName,
    wish: &NameWish,
) -> Step {
    let step = EffectStep::ReplaceRecords;
    let Some(wished) = &wish.dns else { return completed(facts).step() };
    let latest = facts.placement(step);
    if let Some(refusal) = latest.filter(|latest| latest.state == EffectState::Rejected) {
        // The refusal may have come to a run that had lost the line by then: it is told once, and at the end.
        return if tells_of_refusal(facts, step) {
            completed(facts).step()
        } else {
            rejected(facts, step, refusal.detail.as_deref()).step()
        };
    }
    if let Some(waiting) = await_hosting(facts) {
        return waiting.step();
    }
    let before = match &known.zone {
        None => return Step::Read(Query::Zone(domain)),
        Some(ZoneReading::Unanswered) => return again(facts, patience, None).step(),
        Some(ZoneReading::None) => &Vec::new(),
        Some(ZoneReading::Records(records)) => records,
    };
    let diff = diff_records(before, wished);
    let accepted = latest.is_some_and(|latest| latest.state == EffectState::Accepted);
    if diff.is_empty() || accepted {
        let mut change = completed(facts);
        change.evidence = shown(facts, step);
        if !diff.is_empty() {
            // LJPc has accepted them, and writes some in its own way.
            let detail = json!({ "differing": diff.added.len() });
            change.events.insert(0, Event { name: "dns_differs", detail });
        }
        return change.step();
    }
    if let Some(later) = &facts.name.zone_written_by {
        let mut change = completed(facts);
        let detail = json!({ "by": later });
        change.events.insert(0, Event { name: "dns_left", detail });
        return change.step();
    }
    let mut during = Change::unchanged(facts, Then::Rest);
    tell_if_overdue(facts, &mut during, patience.overdue_after);
    let request = Request::ReplaceRecords { records: wished.clone(), before: before.clone() };
    make(facts, step, Some(domain), request, None, during)
}

/// Whether what was refused names this step: `outcome::rejected` words it so.
fn tells_of_refusal(facts: &Facts, step: EffectStep) -> bool {
    let told = format!("refused the {}:", step.noun());
    facts.progress.refused.as_deref().is_some_and(|refused| refused.contains(&told))
}

/// "Everything DNS waits until hosting of the name has ended."
fn await_hosting(facts: &Facts) -> Option<Change> {
    let this = facts.lines.iter().find(|line| line.line == facts.line)?;
    let hosting =
        facts.lines.iter().find(|other| this.dns_hindered_by(other) == Hindrance::Waits)?;
    let reason = format!("its DNS waits for line {} ({}) to end", hosting.line, hosting.kind);
    let mut change = Change::unchanged(facts, Then::Rest);
    change.progress.reason = Some(reason);
    Some(change)
}

fn completed(facts: &Facts) -> Change {
    let reason = facts.progress.refused.clone();
    let mut change = Change::to(facts, LineStatus::Completed, reason, Then::Rest);
    let detail = json!({ "expires_at": facts.progress.expires_at });
    change.events = vec![Event { name: "completed", detail }];
    if facts.progress.refused.is_some() {
        change.progress.cause = Some(Cause::WishRefused);
    }
    change
}

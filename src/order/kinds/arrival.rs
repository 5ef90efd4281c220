//! A name that has been bought: it is awaited, then what was wished of it is arranged, then its DNS is written.
//!
//! A wish that is refused is no failure: the name is there, and the line says at its end what was refused.

use serde_json::json;

use super::{
    making::make,
    poll::{decide_reading, noting, tell_if_overdue},
};
use crate::order::{
    Cause, LineStatus, Milestone,
    decide::{Change, Event, Evidence, Query, Step, Then},
    domain::{DomainChange, DomainSeen, Purpose, Transfer, diff_records, transfer_of},
    doubt::evidence,
    effect::{EffectStep, Request},
    facts::{DomainReading, Facts, Known, Patience, Reading, SimpleStatus, ZoneReading},
    ledger::EffectState,
    name::DomainName,
    outcome::refused,
    status::Hindrance,
    wish::NameWish,
};

/// How often a wish is sent that LJPc accepts and does not show.
const WISHES_MAX: i32 = 3;

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
        // A name that has just been bought may be slow to appear.
        Some(DomainReading::NotOurs | DomainReading::Unanswered) => {
            return polled(facts, patience, purpose, None).step();
        }
        Some(DomainReading::Seen(seen)) => seen,
    };
    if facts.progress.milestone.is_none()
        && let Some(waiting) = await_transfer(facts, patience, purpose, seen)
    {
        return waiting.step();
    }
    arrange(facts, patience, domain, wish, seen, purpose)
}

/// A name that was bought by an LJPc order: that comes first.
fn follow_order(facts: &Facts, known: &Known, patience: &Patience) -> Option<Step> {
    let id = facts.progress.upstream_order_id?;
    let is_done = facts.progress.simple_status.as_deref() == Some(SimpleStatus::Completed.as_str());
    if is_done || facts.progress.milestone.is_some() {
        return None;
    }
    Some(match &known.reading {
        None => Step::Read(Query::Order(id)),
        // Delivered: now the name itself is looked at.
        Some(Reading::Order { simple_status: SimpleStatus::Completed, .. }) => {
            let change = Change::unchanged(facts, Then::After(std::time::Duration::ZERO));
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
        Transfer::Done => return None,
        Transfer::Pending => {
            let mut change = polled(facts, patience, purpose, None);
            change.progress.failed_seen_at = None;
            change
        }
        // LJPc may have answered out of a stored row, so it is read once more before it is believed.
        Transfer::Failed if facts.progress.failed_seen_at.is_some() => {
            let reason = format!("the transfer failed: LJPc says {status}");
            Change::fail(facts, reason, Some(Cause::TransferRefused))
        }
        Transfer::Failed => {
            let reason = format!("LJPc says {status}; it is read once more before it is believed");
            let mut change = polled(facts, patience, purpose, Some(reason));
            change.progress.failed_seen_at = Some(facts.now);
            change.then = Then::Poll(true);
            change
        }
    };
    if facts.progress.simple_status.as_deref() != Some(status.as_str()) {
        let detail = json!({ "status": status });
        change.events.insert(0, Event { name: "upstream_status", detail });
        change.progress.simple_status = Some(status);
    }
    change.seen = Some(seen.clone());
    Some(change)
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
    purpose: Purpose,
) -> Step {
    let step = EffectStep::UpdateDomain;
    let missing = wish.afterwards(facts.name.auto_renew_wished).missing_in(seen);
    let mut change = here(facts, &domain, seen);
    if missing.is_empty() {
        change.progress.milestone = Some(Milestone::Arranged);
        change.evidence = open_evidence(facts, step, EffectState::Accepted);
        return change.step();
    }
    match facts.placement(step) {
        // Accepted, and perhaps not shown yet: LJPc may answer out of a stored row.
        Some(sent) if sent.state == EffectState::Accepted && is_young(facts, sent.intended_at) => {
            let reason = format!("LJPc accepted {}, and does not show it yet", told(&missing));
            let mut waiting = polled(facts, patience, purpose, Some(reason));
            waiting.progress.milestone = Some(Milestone::Named);
            waiting.then = Then::Poll(false);
            waiting.step()
        }
        Some(sent) if sent.n >= WISHES_MAX && sent.state != EffectState::NotSent => {
            let reason = format!(
                "{} was sent {WISHES_MAX} times, and LJPc does not show it",
                told(&missing)
            );
            let mut given_up = refused(facts, step, &reason);
            given_up.progress.contact_handle = change.progress.contact_handle;
            given_up.progress.expires_at = change.progress.expires_at;
            given_up.step()
        }
        _ => {
            change.progress.milestone = Some(Milestone::Named);
            let request = Request::UpdateDomain(missing);
            make(facts, step, Some(domain), request, None, change)
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
    change.progress.expires_at = seen.expires_at;
    change.progress.contact_handle = seen.contact_handle.clone().or(change.progress.contact_handle);
    change.seen = Some(seen.clone());
    change
}

/// For how long what LJPc has accepted may be missing in what it shows, before it is sent once more.
const UNSEEN_MAX: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

fn is_young(facts: &Facts, intended_at: chrono::DateTime<chrono::Utc>) -> bool {
    facts.now.signed_duration_since(intended_at) < UNSEEN_MAX
}

fn told(change: &DomainChange) -> String {
    change.fields().join(", ")
}

/// What a reading says of a placement whose outcome is open.
fn open_evidence(facts: &Facts, step: EffectStep, state: EffectState) -> Option<Evidence> {
    facts.placement(step).filter(|placement| placement.state.is_open())?;
    evidence(facts, step, state)
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
    if latest.is_some_and(|latest| latest.state == EffectState::Rejected) {
        return completed(facts).step();
    }
    if let Some(waiting) = await_hosting(facts) {
        return waiting.step();
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
    let accepted = latest.is_some_and(|latest| latest.state == EffectState::Accepted);
    let diff = diff_records(before, wished);
    if diff.is_empty() || accepted {
        let mut change = completed(facts);
        change.evidence = open_evidence(facts, step, EffectState::Accepted);
        if !diff.is_empty() {
            // LJPc has accepted them, and writes some in its own way.
            let differing = diff.added.len();
            let detail = json!({ "differing": differing });
            change.events.insert(0, Event { name: "dns_differs", detail });
        }
        return change.step();
    }
    let request = Request::ReplaceRecords { records: wished.clone(), before: before.clone() };
    make(facts, step, Some(domain), request, None, Change::unchanged(facts, Then::Rest))
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

//! What a poll of a line's LJPc order means (contract, section 2, "Poll").

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::order::{
    LineStatus, SiteId,
    decide::{Change, Event, Then},
    facts::{Facts, Patience, Reading, SimpleStatus},
};

/// Decides by `simple_status` and the line's site. A pending order is never failed by a local clock.
#[must_use]
pub fn decide_reading(facts: &Facts, reading: &Reading, patience: &Patience) -> Change {
    let mut change = match reading {
        Reading::Unreadable { status } => {
            // It says nothing about the order: what was seen before, and since when, stands.
            let reason =
                format!("LJPc answers {status} when asked for the order; it is asked again");
            let mut change = Change::unchanged(facts, Then::Poll(false));
            change.progress.reason = Some(reason);
            change
        }
        Reading::Unanswered => Change::unchanged(facts, Then::Poll(false)),
        Reading::Order { simple_status, site_id } => {
            let mut change = match (simple_status, site_id) {
                (SimpleStatus::Completed, Some(site)) => completed(facts, *site),
                (SimpleStatus::Completed, None) => without_site(facts, patience.site_id_wait),
                (SimpleStatus::Failed, _) => failed(facts, patience.failed_recheck),
                (SimpleStatus::Pending | SimpleStatus::Processing | SimpleStatus::Unknown, _) => {
                    polled_on(facts, None)
                }
            };
            note_status(facts, &mut change, *simple_status);
            change
        }
    };
    tell_if_overdue(facts, &mut change, patience.overdue_after);
    change
}

/// What an order's word for itself adds to the line, beside what follows from it.
pub(super) fn noting(facts: &Facts, mut change: Change, status: SimpleStatus) -> Change {
    note_status(facts, &mut change, status);
    change
}

/// Neither failed nor completed: the waits for those begin anew if it is read so again.
fn polled_on(facts: &Facts, reason: Option<String>) -> Change {
    let mut change = Change::unchanged(facts, Then::Poll(false));
    change.progress.reason = reason;
    change.progress.failed_seen_at = None;
    change.progress.completed_seen_at = None;
    change
}

fn completed(facts: &Facts, site: SiteId) -> Change {
    let mut change = Change::to(facts, LineStatus::Completed, None, Then::Rest);
    change.events = vec![Event { name: "completed", detail: json!({ "site_id": site }) }];
    change.progress.site_id = Some(site);
    change
}

/// Completed, but the site is not named yet: waited for a while, then completed without.
fn without_site(facts: &Facts, wait: Duration) -> Change {
    let seen_at = facts.progress.completed_seen_at.unwrap_or(facts.now);
    let until = after(seen_at, wait);
    if facts.now >= until {
        let reason = "LJPc reports it as completed, but named no site".to_owned();
        return Change::to(facts, LineStatus::Completed, Some(reason), Then::Rest);
    }
    let mut change =
        polled_on(facts, Some("LJPc reports it as completed; its site is waited for".to_owned()));
    change.progress.completed_seen_at = Some(seen_at);
    change.then = Then::At(until);
    change
}

/// Failed; but their staff may repair it, so it is looked at again for a while before anything depends on it.
fn failed(facts: &Facts, recheck: Duration) -> Change {
    let seen_at = facts.progress.failed_seen_at.unwrap_or(facts.now);
    let until = after(seen_at, recheck);
    if facts.now >= until {
        let reason = "LJPc reports that the delivery failed".to_owned();
        return Change::to(facts, LineStatus::Failed, Some(reason), Then::Rest);
    }
    let reason =
        "LJPc reports that the delivery failed; it is looked at again in case it is repaired";
    let mut change = polled_on(facts, Some(reason.to_owned()));
    change.progress.failed_seen_at = Some(seen_at);
    change.then = Then::At(until);
    change
}

/// A change of the upstream's word goes into the timeline; a poll that shows nothing new writes nothing.
fn note_status(facts: &Facts, change: &mut Change, status: SimpleStatus) {
    if facts.progress.simple_status.as_deref() != Some(status.as_str()) {
        let detail = json!({ "simple_status": status.as_str() });
        change.events.insert(0, Event { name: "upstream_status", detail });
        change.progress.simple_status = Some(status.as_str().to_owned());
    }
}

/// A line that can't go on for now, through no fault of its own: it says why, and once it has waited long since its
/// submission, the operator and the customer are told. One that is `placing` is pending again.
#[must_use]
pub fn waiting(facts: &Facts, reason: String, then: Then, patience: &Patience) -> Change {
    let mut change = match facts.progress.status {
        LineStatus::Pending | LineStatus::Placing => {
            Change::to(facts, LineStatus::Pending, Some(reason), then)
        }
        LineStatus::InDoubt
        | LineStatus::Provisioning
        | LineStatus::Completed
        | LineStatus::Failed
        | LineStatus::Held
        | LineStatus::Cancelled => {
            let mut change = Change::unchanged(facts, then);
            change.progress.reason = Some(reason);
            change
        }
    };
    tell_if_overdue_since(facts, &mut change, facts.submitted_at, patience.overdue_after);
    change
}

/// Once a line has waited long since its acceptance, or without one since its submission, the operator and the customer are
/// told.
pub(super) fn tell_if_overdue(facts: &Facts, change: &mut Change, overdue_after: Duration) {
    let since = facts.progress.accepted_at.unwrap_or(facts.submitted_at);
    tell_if_overdue_since(facts, change, since, overdue_after);
}

fn tell_if_overdue_since(
    facts: &Facts,
    change: &mut Change,
    since: DateTime<Utc>,
    overdue_after: Duration,
) {
    let told = facts.progress.overdue_told_at.is_some();
    if !told && !change.progress.status.is_ended() && facts.now >= after(since, overdue_after) {
        change.overdue = true;
        change.progress.overdue_told_at = Some(facts.now);
        change.events.push(Event { name: "overdue", detail: json!({ "since": since }) });
    }
}

/// `at` plus a configured duration; the end of time where that does not fit.
pub(super) fn after(at: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| at.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

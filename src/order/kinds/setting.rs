//! Setting a value that may be set again: read, compare, send what differs, read back. What it has in common for names,
//! their zones and WHOIS contacts.

use chrono::TimeDelta;

use super::{making::placing, poll::tell_if_overdue};
use crate::order::{
    Cause, LineStatus,
    decide::{Change, Evidence, Then},
    doubt::{evidence, seen_after, without_effect},
    effect::EffectStep,
    facts::{Facts, Patience, Placement},
    ledger::EffectState,
    name::DomainName,
};

/// How often LJPc may accept a value and not show it.
const ACCEPTED_MAX: usize = 3;

/// How often a value is sent again after a doubt, before only a person has it sent again.
const DOUBTED_MAX: usize = 3;

/// How often a value is sent for a name that is there, without an answer that can be used.
const UNANSWERED_MAX: usize = 10;

/// For how long what LJPc has accepted may be missing in what it shows, before it is sent once more: it may answer out of a
/// stored row.
const UNSEEN_MAX: TimeDelta = TimeDelta::seconds(60);

/// What follows from a value that is not shown as it was wished.
pub(super) enum Next {
    /// It is sent, or sent again.
    Send,
    /// The line is looked at again.
    Wait(Box<Change>),
    /// LJPc has accepted it often enough; the reason.
    GiveUp(String),
}

/// Decides about a value that is not as wished. `what` names it: "`auto_renew`, nameservers".
pub(super) fn not_as_wished(
    facts: &Facts,
    patience: &Patience,
    step: EffectStep,
    what: &str,
) -> Next {
    let count = |state: EffectState| {
        let of_step = facts.placements.iter().filter(|placement| placement.step == step);
        of_step.filter(|placement| placement.state == state).count()
    };
    let latest = facts.placement(step);
    let is_young =
        |sent: &Placement| facts.now.signed_duration_since(sent.intended_at) < UNSEEN_MAX;
    if latest.filter(|sent| sent.state == EffectState::Accepted).is_some_and(is_young) {
        let reason = format!("LJPc accepted {what}, and does not show it yet");
        return Next::Wait(Box::new(unlike(again(facts, patience, Some(reason)))));
    }
    if count(EffectState::Accepted) >= ACCEPTED_MAX {
        return Next::GiveUp(format!(
            "LJPc accepted {what} {ACCEPTED_MAX} times, and does not show it"
        ));
    }
    if facts.progress.status != LineStatus::InDoubt {
        let unanswered = count(EffectState::InDoubt) + count(EffectState::Absent);
        return if unanswered < UNANSWERED_MAX {
            Next::Send
        } else {
            Next::GiveUp(format!(
                "LJPc gave no answer to {what} {UNANSWERED_MAX} times, and does not show it"
            ))
        };
    }
    // It stays in doubt, so that a person is told after its grace, and is looked at on and on.
    Next::Wait(Box::new(unlike(if count(EffectState::Absent) < DOUBTED_MAX {
        without_effect(facts, step)
    } else {
        again(facts, patience, None)
    })))
}

/// The line after a reading that is not as wished: an earlier one that was came out of a stored row.
const fn unlike(mut change: Change) -> Change {
    change.progress.completed_seen_at = None;
    change
}

/// A reading shows the value as wished. Where LJPc has accepted the line's own request that settles it; otherwise it may
/// come out of a stored row, and is read once more after a while before it is believed.
pub(super) fn believed(
    facts: &Facts,
    patience: &Patience,
    step: EffectStep,
) -> Result<(), Box<Change>> {
    let latest = facts.placement(step).map(|sent| sent.state);
    let seen = match latest {
        Some(EffectState::Accepted) => return Ok(()),
        // A name that has just come has hardly a row of another time.
        None if facts.progress.status == LineStatus::Provisioning => {
            seen_after(facts, patience.poll_interval)
        }
        _ => seen_after(facts, patience.evidence_interval),
    };
    seen.map_err(|mut wait| {
        if facts.progress.status == LineStatus::Pending {
            let reason = "LJPc shows it as wished; it is read once more before that is believed";
            wait.progress.reason = Some(reason.to_owned());
        }
        wait.progress.failed_seen_at = None;
        tell_if_overdue(facts, &mut wait, patience.overdue_after);
        wait
    })
}

/// What the line is about is not shown, as a name or contact of somebody else's is not. It may be so for a moment, just
/// after a purchase or while LJPc's own system is away, so it is read once more before the line fails.
pub(super) fn not_ours(
    facts: &Facts,
    patience: &Patience,
    step: EffectStep,
    about: &str,
    cause: Option<Cause>,
) -> Change {
    // LJPc has it, or may have: then it was a name of this account's.
    let may_have = |sent: &Placement| {
        matches!(sent.state, EffectState::Accepted | EffectState::Sending | EffectState::InDoubt)
    };
    let has_sent = facts.placement(step).is_some_and(may_have);
    if facts.progress.failed_seen_at.is_some() && !has_sent {
        let what = if step == EffectStep::UpdateContact { "WHOIS contact" } else { "name" };
        let reason = format!("{about} is not a {what} of this account");
        return Change::fail(facts, reason, cause);
    }
    let reason = format!("LJPc does not show {about}; it is asked again");
    let mut change = unlike(again(facts, patience, Some(reason)));
    change.progress.failed_seen_at = facts.progress.failed_seen_at.or(Some(facts.now));
    if !has_sent {
        change.then = Then::Poll(true);
    }
    change
}

/// The line is looked at again by the schedule of polls; it stays what it is.
pub(super) fn again(facts: &Facts, patience: &Patience, reason: Option<String>) -> Change {
    let mut change = Change::unchanged(facts, Then::Poll(false));
    if reason.is_some() {
        change.progress.reason = reason;
    }
    tell_if_overdue(facts, &mut change, patience.overdue_after);
    change
}

/// The line while its value is sent.
pub(super) fn sending(facts: &Facts, patience: &Patience, domain: Option<&DomainName>) -> Change {
    let mut during = placing(facts, domain);
    tell_if_overdue(facts, &mut during, patience.overdue_after);
    during
}

/// A reading that brought no answer: the line says so, and goes on asking.
pub(super) fn unanswered(facts: &Facts, patience: &Patience, about: &str) -> Change {
    let is_pending = facts.progress.status == LineStatus::Pending;
    let reason =
        is_pending.then(|| format!("LJPc gives no answer about {about}; it is asked again"));
    again(facts, patience, reason)
}

/// The value is as wished: a line in doubt is accepted first, and is completed by the next reading.
pub(super) fn as_wished(facts: &Facts, step: EffectStep, reason: Option<String>) -> Change {
    let (status, then) = if facts.progress.status == LineStatus::InDoubt {
        (LineStatus::Provisioning, Then::After(std::time::Duration::ZERO))
    } else {
        (LineStatus::Completed, Then::Rest)
    };
    let mut change = Change::to(facts, status, reason, then);
    change.events.clear();
    change = change.telling(status.as_str(), serde_json::json!({}));
    change.evidence = shown(facts, step);
    change.progress.failed_seen_at = None;
    change.progress.completed_seen_at = None;
    change
}

/// What a reading that shows the wished value says of the latest placement, where its outcome is not known for sure. It may
/// be one that was thought to have had no effect: its pre-image is what a rollback brings back.
pub(super) fn shown(facts: &Facts, step: EffectStep) -> Option<Evidence> {
    let latest = facts.placement(step)?;
    (latest.state.is_open() || latest.state == EffectState::Absent)
        .then(|| evidence(facts, step, EffectState::Accepted))
        .flatten()
}

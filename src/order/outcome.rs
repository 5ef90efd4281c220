//! What a line becomes by an answer, or by the lack of one.

use serde_json::json;

use super::{
    Cause, LineKind, LineStatus, Milestone, SiteId,
    decide::{Change, Event, PANICS_MAX, Then, adopt},
    doubt::settled,
    effect::{Acceptance, EffectStep},
    facts::{Facts, Placement},
    ledger::EffectState,
};

/// The line after the upstream has promised what a step asked for.
#[must_use]
pub fn accepted(facts: &Facts, step: EffectStep, acceptance: &Acceptance) -> Change {
    match acceptance {
        Acceptance::Order { id, cost } => {
            let mut change = bought(facts, json!({ "upstream_order_id": id, "cost": cost }));
            change.progress.upstream_order_id = Some(*id);
            change.progress.cost = *cost;
            change
        }
        Acceptance::Name { cost, status } => {
            let mut change = bought(facts, json!({ "status": status, "cost": cost }));
            change.progress.cost = *cost;
            if step == EffectStep::Register {
                // It is there, and read back at once.
                change.then = Then::After(std::time::Duration::ZERO);
            }
            change
        }
        Acceptance::Contact(handle) => {
            let then = Then::After(std::time::Duration::ZERO);
            let mut change = Change::to(facts, LineStatus::Pending, None, then);
            change.events = vec![Event {
                name: "contact_created",
                detail: json!({ "contact_handle": handle }),
            }];
            change.progress.contact_handle = Some(handle.clone());
            change
        }
        Acceptance::Changed { synced } => {
            let then = Then::After(std::time::Duration::ZERO);
            let mut change = Change::to(facts, LineStatus::Provisioning, None, then);
            let detail = synced.map_or_else(|| json!({}), |synced| json!({ "synced": synced }));
            change.events = vec![Event { name: changed(step), detail }];
            change.progress.accepted_at = facts.progress.accepted_at.or(Some(facts.now));
            change
        }
    }
}

/// The line after the site was found that its placement has brought.
#[must_use]
pub fn delivered(facts: &Facts, placement: &Placement, site: SiteId) -> Change {
    let mut change = Change::to(facts, LineStatus::Completed, None, Then::Rest);
    change.events = vec![Event { name: "completed", detail: json!({ "site_id": site }) }];
    change.progress.site_id = Some(site);
    change.progress.accepted_at = facts.progress.accepted_at.or(Some(facts.now));
    change.progress.cost = facts.progress.cost.or(placement.price);
    change
}

const fn changed(step: EffectStep) -> &'static str {
    match step {
        EffectStep::ReplaceRecords => "dns_written",
        EffectStep::UpdateContact => "contact_changed",
        EffectStep::PlaceOrder
        | EffectStep::Register
        | EffectStep::Transfer
        | EffectStep::CreateContact
        | EffectStep::UpdateDomain => "domain_changed",
    }
}

fn bought(facts: &Facts, detail: serde_json::Value) -> Change {
    let mut change = Change::to(facts, LineStatus::Provisioning, None, Then::Poll(true));
    change.events = vec![Event { name: "accepted", detail }];
    change.progress.accepted_at = Some(facts.now);
    change.progress.completed_seen_at = None;
    change
}

/// The line after a step's outcome became unknown: it is not sent again before evidence says that it may be.
#[must_use]
pub fn in_doubt(facts: &Facts, reason: String) -> Change {
    // The next run looks for evidence.
    let then = Then::After(std::time::Duration::ZERO);
    let mut change = Change::to(facts, LineStatus::InDoubt, Some(reason), then);
    change.progress.in_doubt_at = Some(facts.now);
    change
}

/// The line after its step's outcome became unknown, as the step has it: a wish for a name that has been bought is read
/// back, and makes nobody doubt the purchase.
#[must_use]
pub fn unknown(facts: &Facts, step: EffectStep, why: &str) -> Change {
    let noun = step.noun();
    if facts.progress.status == LineStatus::Provisioning {
        let reason =
            format!("the {noun} was sent, but its outcome is unknown ({why}); it is read back");
        return Change::to(facts, LineStatus::Provisioning, Some(reason), Then::Poll(false));
    }
    in_doubt(facts, format!("the {noun} was sent, but its outcome is unknown: {why}"))
}

/// The line after the upstream refused a step for good.
#[must_use]
pub fn rejected(facts: &Facts, step: EffectStep, message: Option<&str>) -> Change {
    let message = message.unwrap_or("no message was given");
    let reason = format!("LJPc refused the {}: {message}", step.noun());
    let is_purchase = matches!(facts.kind, LineKind::DomainRegister | LineKind::DomainTransfer);
    if is_purchase && facts.progress.status == LineStatus::Provisioning {
        return refused(facts, step, &reason);
    }
    if step == EffectStep::Register && says_exists(message) {
        // By whom, the next run looks.
        let then = Then::After(std::time::Duration::ZERO);
        return Change::to(facts, LineStatus::Pending, Some(reason), then);
    }
    if step.buys() && was_ever_doubted(facts) {
        // Perhaps for what an earlier placement has bought: the next run asks a person.
        let then = Then::After(std::time::Duration::ZERO);
        return Change::to(facts, LineStatus::Pending, Some(reason), then);
    }
    let cause = (step == EffectStep::Transfer).then_some(Cause::TransferRefused);
    Change::fail(facts, reason, cause)
}

/// Some placement of the line may have bought what it asks for, though it was called absent or was given up.
pub(super) fn was_ever_doubted(facts: &Facts) -> bool {
    facts.placements.iter().any(|placement| {
        placement.step.buys()
            && matches!(placement.state, EffectState::Absent | EffectState::Abandoned)
    })
}

/// It can't be bought anew, perhaps because this line has bought it: a person must look.
pub(super) fn given_up_wrongly(facts: &Facts, reason: &str) -> Change {
    let reason = format!("{reason}; an earlier placement of this line may have bought it");
    Change::hold(facts, reason)
}

/// LJPc, POST /api/hosting/v1/domain-names: the one refusal that its document shows for a name.
pub(super) fn says_exists(message: &str) -> bool {
    message.contains("already exists")
}

/// A name that is there, of which something that was wished is refused: the line goes on, and says so at its end.
#[must_use]
pub fn refused(facts: &Facts, step: EffectStep, reason: &str) -> Change {
    let mut change =
        Change::to(facts, LineStatus::Provisioning, None, Then::After(std::time::Duration::ZERO));
    change.events = vec![Event {
        name: "wish_refused",
        detail: json!({ "reason": reason, "step": step.as_str() }),
    }];
    let earlier = change.progress.refused.take();
    change.progress.refused =
        Some(earlier.map_or_else(|| reason.to_owned(), |earlier| format!("{earlier}; {reason}")));
    if step == EffectStep::UpdateDomain {
        change.progress.milestone = Some(Milestone::Arranged);
    }
    change
}

/// A run that ended between intent and record.
pub(super) fn decide_interrupted(facts: &Facts) -> Change {
    let Some(placement) = facts.latest() else {
        let reason = "the ledger has no placement for a line that was being placed".to_owned();
        return Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry);
    };
    let (step, detail) = (placement.step, placement.detail.as_deref());
    match placement.state {
        EffectState::Rejected => rejected(facts, step, detail),
        EffectState::NotSent => provably_not_sent(facts, step),
        // What was made is found by the next run.
        EffectState::Accepted if !step.buys() => {
            Change::to(facts, LineStatus::Pending, None, Then::Retry)
        }
        EffectState::Sending
        | EffectState::InDoubt
        | EffectState::Accepted
        | EffectState::Absent
        | EffectState::Abandoned => {
            let stopped = || {
                format!(
                    "the worker stopped after the {} may have been sent, before an answer was recorded",
                    step.noun()
                )
            };
            let reason = detail.map_or_else(stopped, str::to_owned);
            in_doubt(facts, reason)
        }
    }
}

/// A line whose request had no effect: it is sent again.
pub(super) fn provably_not_sent(facts: &Facts, step: EffectStep) -> Change {
    let reason = format!("the {} provably had no effect; it will be sent again", step.noun());
    Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry)
}

/// The line after its handler panicked: another try, or none (contract: held if nothing was sent, else in doubt).
///
/// `facts` are read anew after the panic: the run may have got as far as its intent.
#[must_use]
pub fn panicked(facts: &Facts) -> Change {
    let panics = facts.progress.panics.saturating_add(1);
    let mut change = if panics < PANICS_MAX {
        Change::unchanged(facts, Then::Retry)
    } else {
        adopt(facts).unwrap_or_else(|| given_up(facts, panics))
    };
    change.progress.panics = panics;
    change
}

/// A line on which the handler has panicked too often.
fn given_up(facts: &Facts, panics: i32) -> Change {
    let may_have_sent = |placed: &Placement| {
        placed.state.is_open() || placed.step.buys() && placed.state.may_have_bought()
    };
    let open = facts.placements.iter().any(may_have_sent);
    let reason = format!("the worker failed {panics} times on this line; its log says why");
    let mut change = match facts.progress.status {
        LineStatus::Pending if open => in_doubt(facts, reason),
        LineStatus::Pending => Change::hold(facts, reason),
        // What the ledger knows of the interrupted placement says more than the panic does. A line that goes back to
        // `pending` by it is held when it panics there.
        LineStatus::Placing => decide_interrupted(facts),
        // What it bought is known, and how it goes on is not.
        LineStatus::Provisioning => in_doubt(facts, reason),
        // What the ledger has learnt meanwhile is followed, panic or not.
        LineStatus::InDoubt => {
            settled(facts).unwrap_or_else(|| Change::unchanged(facts, Then::Rest))
        }
        LineStatus::Held | LineStatus::Completed | LineStatus::Failed | LineStatus::Cancelled => {
            Change::unchanged(facts, Then::Rest)
        }
    };
    if change.progress.status == LineStatus::InDoubt {
        // No more attempts: it waits for a person.
        change.then = Then::Rest;
    }
    change
}

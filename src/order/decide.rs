//! The next step of a line: a pure function of what is known. Its handler carries the step out and records it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    LineStatus, Money, Tag, UpstreamOrderId,
    catalogue::{Choice, choose},
    facts::{Facts, Known, Patience, Placement, Progress},
    ledger::EffectState,
    name::DomainName,
    poll::decide_reading,
    wish::{BillingPeriod, Wish},
};

/// A handler that panics this often on one line does not get another try.
pub const PANICS_MAX: i32 = 3;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read the catalogue, and decide again.
    ReadCatalogue,
    /// Read the line's LJPc order, and decide again.
    ReadOrder(UpstreamOrderId),
    /// Place the order: an irreversible request.
    Place(Box<Order>),
    /// Write the change down; the run ends.
    Record(Box<Change>),
}

/// An LJPc order with its one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// Which placement of the line.
    pub n: i32,
    /// By which it is recognised.
    pub tag: Tag,
    /// For people: "5GB hosting".
    pub title: String,
    /// The name that it is for.
    pub domain: DomainName,
    /// What is bought.
    pub item: Item,
    /// What the catalogue says that it costs.
    pub price: Option<Money>,
}

/// What an LJPc order line buys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// The `hosting` cart item.
    Hosting {
        /// Of the catalogue.
        product_uuid: String,
        /// Named where the product wants it.
        billing_period: Option<BillingPeriod>,
        /// Of `hosting_forward`.
        target_url: Option<String>,
    },
    /// The `hosting_own` cart item.
    HostingOwn {
        /// The space's id at LJPc.
        space_id: i64,
    },
}

/// What a run leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The line afterwards.
    pub progress: Progress,
    /// What happened, for the timeline.
    pub events: Vec<Event>,
    /// Tell the operator, and the customer, that it takes long.
    pub overdue: bool,
    /// When the line is looked at again.
    pub then: Then,
}

/// One entry of the timeline. Never a secret, never personal data.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// A short name: `placing`, `accepted`, `completed`.
    pub name: &'static str,
    /// What an operator wants to know of it.
    pub detail: Value,
}

/// When a line is looked at again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Not before it is poked: it has ended, or waits for a person or for another line.
    Rest,
    /// By the schedule of polls; `true` begins it anew.
    Poll(bool),
    /// By the schedule of retries.
    Retry,
    /// After this time, in the lane of retries.
    After(Duration),
    /// By the schedule of polls, but not later than then.
    At(DateTime<Utc>),
}

impl Change {
    /// A line that stays as it is.
    pub(super) fn unchanged(facts: &Facts, then: Then) -> Self {
        Self { progress: facts.progress.clone(), events: Vec::new(), overdue: false, then }
    }

    /// A line that goes to `status` with this reason, told by an event of the status's name.
    #[must_use]
    pub fn to(facts: &Facts, status: LineStatus, reason: Option<String>, then: Then) -> Self {
        let mut change = Self::unchanged(facts, then);
        if status != change.progress.status || reason != change.progress.reason {
            let detail =
                reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            change.events.push(Event { name: status.as_str(), detail });
        }
        if status != LineStatus::InDoubt {
            change.progress.in_doubt_at = None;
        }
        change.progress.status = status;
        change.progress.reason = reason;
        change
    }

    pub(super) fn step(self) -> Step {
        Step::Record(Box::new(self))
    }
}

/// Decides the next step. Called again with more in `known` after each reading.
#[must_use]
pub fn decide(facts: &Facts, known: Known<'_>, patience: &Patience) -> Step {
    if let Some(adopted) = adopt(facts) {
        return adopted.step();
    }
    match facts.progress.status {
        LineStatus::Pending => decide_pending(facts, known),
        LineStatus::Placing => decide_interrupted(facts).step(),
        LineStatus::Provisioning => decide_provisioning(facts, known, patience),
        LineStatus::InDoubt => decide_doubt(facts).step(),
        LineStatus::Held | LineStatus::Completed | LineStatus::Failed | LineStatus::Cancelled => {
            Change::unchanged(facts, Then::Rest).step()
        }
    }
}

/// An acceptance that the ledger knows of and the line does not: a run that ended between the two, or an answer that
/// came late. The line follows the ledger, given up or not, unless it already bears an order or has ended for good.
fn adopt(facts: &Facts) -> Option<Change> {
    let placement = facts.placement.as_ref()?;
    let id = placement.upstream_order_id?;
    let progress = &facts.progress;
    let may_follow = progress.upstream_order_id.is_none()
        && progress.status.may_become(LineStatus::Provisioning);
    (placement.state == EffectState::Accepted && may_follow)
        .then(|| accepted(facts, id, progress.cost))
}

/// The line after its order was accepted upstream.
#[must_use]
pub fn accepted(facts: &Facts, id: UpstreamOrderId, cost: Option<Money>) -> Change {
    let mut change = Change::to(facts, LineStatus::Provisioning, None, Then::Poll(true));
    change.events =
        vec![Event { name: "accepted", detail: json!({ "upstream_order_id": id, "cost": cost }) }];
    change.progress.upstream_order_id = Some(id);
    change.progress.cost = cost;
    change.progress.accepted_at = Some(facts.now);
    change
}

/// The line after its outcome became unknown: nothing more is sent for it.
#[must_use]
pub fn in_doubt(facts: &Facts, reason: String) -> Change {
    let mut change = Change::to(facts, LineStatus::InDoubt, Some(reason), Then::Rest);
    change.progress.in_doubt_at = Some(facts.now);
    change
}

/// A run that ended between intent and record.
fn decide_interrupted(facts: &Facts) -> Change {
    let Some(Placement { state, detail, .. }) = &facts.placement else {
        let reason = "the ledger has no placement for a line that was being placed".to_owned();
        return Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry);
    };
    match state {
        EffectState::Rejected => rejected(facts, detail.as_deref()),
        EffectState::NotSent => Change::to(
            facts,
            LineStatus::Pending,
            Some("the order provably had no effect; it will be sent again".to_owned()),
            Then::Retry,
        ),
        EffectState::Sending
        | EffectState::InDoubt
        | EffectState::Accepted
        | EffectState::Absent
        | EffectState::Abandoned => in_doubt(
            facts,
            detail.clone().unwrap_or_else(|| {
                "the worker stopped after the order may have been sent, before an answer was recorded"
                    .to_owned()
            }),
        ),
    }
}

/// A doubtful line waits for a person, or for an answer that comes late; what the ledger learnt meanwhile is followed.
fn decide_doubt(facts: &Facts) -> Change {
    match facts.placement.as_ref().map(|placement| (placement.state, &placement.detail)) {
        Some((EffectState::Rejected, detail)) => rejected(facts, detail.as_deref()),
        Some((EffectState::NotSent, _)) => {
            let reason = "the order provably had no effect; it will be sent again".to_owned();
            Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry)
        }
        _ => Change::unchanged(facts, Then::Rest),
    }
}

/// The line after the upstream refused it for good.
#[must_use]
pub fn rejected(facts: &Facts, message: Option<&str>) -> Change {
    let message = message.unwrap_or("no message was given");
    let reason = format!("LJPc refused the order: {message}");
    Change::to(facts, LineStatus::Failed, Some(reason), Then::Rest)
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
    let open = facts.placement.as_ref().is_some_and(|latest| latest.state.may_have_bought());
    let reason = format!("the worker failed {panics} times on this line; its log says why");
    match facts.progress.status {
        LineStatus::Pending if open => in_doubt(facts, reason),
        LineStatus::Pending => Change::to(facts, LineStatus::Held, Some(reason), Then::Rest),
        // What the ledger knows of the interrupted placement says more than the panic does. A line that goes back to
        // `pending` by it is held when it panics there.
        LineStatus::Placing => decide_interrupted(facts),
        // Its order is known and can be polled again: there is no doubt that a person could resolve. The polls go on at the
        // pace of the schedule.
        LineStatus::InDoubt | LineStatus::Provisioning => Change::unchanged(facts, Then::Retry),
        LineStatus::Held | LineStatus::Completed | LineStatus::Failed | LineStatus::Cancelled => {
            Change::unchanged(facts, Then::Rest)
        }
    }
}

fn decide_pending(facts: &Facts, known: Known<'_>) -> Step {
    let Some((n, tag)) = facts.next_placement() else {
        // The ledger forbids another placement: its outcome is what the line waits for. This comes first, since a line
        // that may have bought something is neither held nor failed, whatever else is wrong with it.
        return in_doubt(facts, "an earlier placement of this line is still open".to_owned())
            .step();
    };
    let wish = match &facts.wish {
        Ok(Wish::NotYet(kind)) => {
            let reason = format!(
                "lines of kind {kind} can't be carried out by this version of Provisor yet"
            );
            return Change::to(facts, LineStatus::Held, Some(reason), Then::Rest).step();
        }
        Ok(wish) => wish,
        Err(unreadable) => {
            return Change::to(facts, LineStatus::Held, Some(unreadable.clone()), Then::Rest)
                .step();
        }
    };
    let domain = match DomainName::parse(facts.progress.domain.as_deref().unwrap_or_default()) {
        Ok(domain) => domain,
        Err(wrong) => {
            return Change::to(facts, LineStatus::Failed, Some(wrong.to_string()), Then::Rest)
                .step();
        }
    };
    if let Some(waiting) = decide_prerequisites(facts) {
        return waiting.step();
    }
    let order =
        |title, item, price| Step::Place(Box::new(Order { n, tag, title, domain, item, price }));
    match wish {
        Wish::HostingOwn { space_id } => {
            order("own space".to_owned(), Item::HostingOwn { space_id: *space_id }, None)
        }
        Wish::Hosting(hosting) => {
            let Some(catalogue) = known.catalogue else { return Step::ReadCatalogue };
            match choose(catalogue, hosting, facts.cost_limit) {
                Choice::Hold(reason) => {
                    Change::to(facts, LineStatus::Held, Some(reason), Then::Rest).step()
                }
                Choice::Fail(reason) => {
                    Change::to(facts, LineStatus::Failed, Some(reason), Then::Rest).step()
                }
                Choice::Found { uuid, name, billing_period, price } => {
                    let target_url = hosting.target_url.clone();
                    let item = Item::Hosting { product_uuid: uuid, billing_period, target_url };
                    order(name, item, price)
                }
            }
        }
        Wish::NotYet(_) => Change::unchanged(facts, Then::Rest).step(),
    }
}

/// What the line waits for, or fails by; `None` when it may go on.
fn decide_prerequisites(facts: &Facts) -> Option<Change> {
    let this = facts.lines.iter().find(|line| line.line == facts.line)?;
    let mut waits = None;
    for other in facts.lines.iter().filter(|other| this.waits_for(other)) {
        match other.status {
            LineStatus::Completed => {}
            LineStatus::Failed | LineStatus::Cancelled => {
                let reason = format!(
                    "line {} ({}), which it needs, is {}",
                    other.line, other.kind, other.status
                );
                return Some(Change::to(facts, LineStatus::Failed, Some(reason), Then::Rest));
            }
            LineStatus::Pending
            | LineStatus::Placing
            | LineStatus::InDoubt
            | LineStatus::Provisioning
            | LineStatus::Held => waits = Some(other),
        }
    }
    waits.map(|other| {
        let reason = format!("waits for line {} ({}) to be completed", other.line, other.kind);
        Change::to(facts, LineStatus::Pending, Some(reason), Then::Rest)
    })
}

fn decide_provisioning(facts: &Facts, known: Known<'_>, patience: &Patience) -> Step {
    let Some(id) = facts.progress.upstream_order_id else {
        return in_doubt(facts, "the line is provisioning, but bears no LJPc order".to_owned())
            .step();
    };
    match known.reading {
        None => Step::ReadOrder(id),
        Some(reading) => decide_reading(facts, reading, patience).step(),
    }
}

#[cfg(test)]
mod tests;

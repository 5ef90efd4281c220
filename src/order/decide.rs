//! The next step of a line: a pure function of what is known. Its handler carries the step out and records it.
//!
//! What all kinds of lines have in common is here; each kind is a file of `kinds/`. What an answer makes of a line is in
//! `outcome.rs`, what is looked for after a doubt in `doubt.rs`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Cause, ContactHandle, LineStatus, SiteId, UpstreamOrderId,
    domain::{Purpose, SplitName},
    doubt::decide_doubt,
    effect::{Acceptance, Effect, EffectStep},
    facts::{Facts, Known, Patience, Progress},
    kinds,
    ledger::EffectState,
    name::DomainName,
    outcome::{
        accepted, decide_interrupted, delivered, given_up_wrongly, in_doubt, says_exists,
        was_ever_doubted,
    },
    status::Hindrance,
    wish::Wish,
};

/// A handler that panics this often on one line does not get another try.
pub const PANICS_MAX: i32 = 3;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read something, and decide again.
    Read(Query),
    /// Make a request that has an effect.
    Make(Box<Effect>),
    /// Write the change down; the run ends.
    Record(Box<Change>),
}

/// What is to be read. All of it is safe to ask, and to ask again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Query {
    /// The catalogue of products.
    Catalogue,
    /// The line's LJPc order.
    Order(UpstreamOrderId),
    /// The endings that LJPc sells.
    Tlds,
    /// Whether the name can be had, and for how much.
    Offer(DomainName, Purpose),
    /// Whether the registrant has a WHOIS contact: in a listing that is younger than the given time, if one is given.
    Contact(Option<DateTime<Utc>>),
    /// A WHOIS contact, by its handle.
    ContactDetail(ContactHandle),
    /// The name.
    Domain(DomainName),
    /// Its zone.
    Zone(DomainName),
    /// Names that may be had instead.
    Alternatives(SplitName),
    /// Whether the account has got a site for the name since the order in doubt was sent.
    Sites,
    /// Whether one of the next ids above those that were known is the order in doubt: the `n`th placement's.
    OrderIds {
        /// Which placement.
        n: i32,
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
    /// What evidence says of a placement in doubt.
    pub evidence: Option<Evidence>,
    /// How the name was seen.
    pub seen: Option<super::domain::DomainSeen>,
    /// When the line is looked at again.
    pub then: Then,
}

/// What became of a placement whose outcome was unknown, as something else than its answer shows, or a person says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// Which step.
    pub step: EffectStep,
    /// Which placement of it.
    pub n: i32,
    /// `Accepted` or `Absent`; by a person's word also `Abandoned`.
    pub state: EffectState,
    /// The LJPc order that it is, where that was found.
    pub upstream_order_id: Option<UpstreamOrderId>,
    /// The site that it has brought, where that was found.
    pub site_id: Option<SiteId>,
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
    /// By the schedule of polls of transfers, which take days.
    PollTransfer,
    /// By the schedule of retries.
    Retry,
    /// After this time, in the lane of retries.
    After(Duration),
    /// By the schedule of polls, but not later than then.
    At(DateTime<Utc>),
}

impl Change {
    /// A line that stays as it is.
    #[must_use]
    pub fn unchanged(facts: &Facts, then: Then) -> Self {
        Self {
            progress: facts.progress.clone(),
            events: Vec::new(),
            overdue: false,
            evidence: None,
            seen: None,
            then,
        }
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
        change.progress.cause = None;
        change
    }

    /// A line that fails for this reason, and by this cause as its customer may read it.
    #[must_use]
    pub fn fail(facts: &Facts, reason: String, cause: Option<Cause>) -> Self {
        let mut change = Self::to(facts, LineStatus::Failed, Some(reason), Then::Rest);
        change.progress.cause = cause;
        change
    }

    /// A line about which a person must decide.
    #[must_use]
    pub fn hold(facts: &Facts, reason: String) -> Self {
        let mut change = Self::to(facts, LineStatus::Held, Some(reason), Then::Rest);
        // Whoever decides it anew begins with readings of his own.
        change.progress.completed_seen_at = None;
        change
    }

    /// The same with one more entry in the timeline.
    #[must_use]
    pub fn telling(mut self, name: &'static str, detail: Value) -> Self {
        self.events.push(Event { name, detail });
        self
    }

    pub(super) fn step(self) -> Step {
        Step::Record(Box::new(self))
    }
}

/// Decides the next step. Called again with more in `known` after each reading.
#[must_use]
pub fn decide(facts: &Facts, known: &Known, patience: &Patience) -> Step {
    if let Some(adopted) = adopt(facts) {
        return adopted.step();
    }
    match facts.progress.status {
        LineStatus::Pending => decide_pending(facts, known, patience),
        LineStatus::Placing => decide_interrupted(facts).step(),
        LineStatus::Provisioning => decide_provisioning(facts, known, patience),
        LineStatus::InDoubt => decide_doubt(facts, known, patience),
        LineStatus::Held | LineStatus::Completed | LineStatus::Failed | LineStatus::Cancelled => {
            Change::unchanged(facts, Then::Rest).step()
        }
    }
}

/// An acceptance of what the line buys that the ledger knows of and the line does not: a run that ended between the two, or
/// an answer that came late. The line follows the ledger, given up or not, unless it already bears the purchase or has
/// ended for good.
pub(super) fn adopt(facts: &Facts) -> Option<Change> {
    let step = facts.main_step();
    let placement = facts.placement(step).filter(|p| p.state == EffectState::Accepted)?;
    let progress = &facts.progress;
    let cost = progress.cost.or(placement.price);
    let (acceptance, is_borne) = match step {
        EffectStep::PlaceOrder => match (placement.upstream_order_id, placement.site_id) {
            (Some(id), _) => (Acceptance::Order { id, cost }, progress.upstream_order_id.is_some()),
            // It was found by its site, so that there is no order to follow.
            (None, Some(site)) => {
                let may_end = progress.upstream_order_id.is_none()
                    && progress.status != LineStatus::Completed
                    && progress.status.may_become(LineStatus::Completed);
                return may_end.then(|| delivered(facts, placement, site));
            }
            (None, None) => return None,
        },
        EffectStep::Register | EffectStep::Transfer => {
            let status = "accepted".to_owned();
            (Acceptance::Name { cost, status }, progress.accepted_at.is_some())
        }
        EffectStep::CreateContact
        | EffectStep::UpdateContact
        | EffectStep::UpdateDomain
        | EffectStep::ReplaceRecords => return None,
    };
    let may_follow = !is_borne && progress.status.may_become(LineStatus::Provisioning);
    may_follow.then(|| accepted(facts, step, &acceptance))
}

fn decide_pending(facts: &Facts, known: &Known, patience: &Patience) -> Step {
    if let Some(step) = decide_contact(facts, known, patience) {
        return step;
    }
    if facts.next_placement(facts.main_step()).is_none() {
        // The ledger forbids another placement: its outcome is what the line waits for. This comes first, since a line
        // that may have bought something is neither held nor failed, whatever else is wrong with it.
        return in_doubt(facts, "an earlier placement of this line is still open".to_owned())
            .step();
    }
    let wish = match &facts.wish {
        Ok(wish) => wish,
        Err(unreadable) => return Change::hold(facts, unreadable.clone()).step(),
    };
    let domain = match DomainName::parse(facts.progress.domain.as_deref().unwrap_or_default()) {
        Ok(domain) => domain,
        Err(wrong) => {
            return Change::fail(facts, wrong.to_string(), Some(Cause::NameUnavailable)).step();
        }
    };
    if let Some(held) = hold_refused(facts) {
        return held.step();
    }
    if let Some(waiting) = decide_prerequisites(facts) {
        return waiting.step();
    }
    match wish {
        Wish::HostingOwn { space_id } => kinds::hosting::place_own(facts, domain, *space_id),
        Wish::Hosting(hosting) => kinds::hosting::place(facts, known, domain, hosting),
        Wish::Register(name) => {
            kinds::purchase::decide(facts, known, patience, domain, name, Purpose::Register)
        }
        Wish::Transfer(name) => {
            kinds::purchase::decide(facts, known, patience, domain, name, Purpose::Transfer)
        }
        Wish::Update(change) => kinds::update::decide(facts, known, patience, domain, change),
        Wish::Dns(records) => kinds::dns::decide(facts, known, patience, domain, records),
        // Decided above.
        Wish::CreateContact(_) | Wish::UpdateContact { .. } => {
            Change::unchanged(facts, Then::Rest).step()
        }
    }
}

/// The lines that are of no name, which wait for nothing and cost nothing.
pub(super) fn decide_contact(facts: &Facts, known: &Known, patience: &Patience) -> Option<Step> {
    match facts.wish.as_ref().ok()? {
        Wish::CreateContact(registrant) => Some(kinds::contact::create(facts, known, registrant)),
        Wish::UpdateContact { contact_handle, change } => {
            Some(kinds::contact::update(facts, known, patience, contact_handle, change))
        }
        Wish::Hosting(_)
        | Wish::HostingOwn { .. }
        | Wish::Register(_)
        | Wish::Transfer(_)
        | Wish::Update(_)
        | Wish::Dns(_) => None,
    }
}

/// LJPc has refused to sell again what an earlier placement may have bought. That a name exists already is looked into.
fn hold_refused(facts: &Facts) -> Option<Change> {
    let step = facts.main_step();
    let refused = facts.placement(step).filter(|it| it.state == EffectState::Rejected)?;
    let message = refused.detail.as_deref().unwrap_or("no message was given");
    let is_for_a_person =
        was_ever_doubted(facts) && !(step == EffectStep::Register && says_exists(message));
    let reason = format!("LJPc refused the {}: {message}", step.noun());
    is_for_a_person.then(|| given_up_wrongly(facts, &reason))
}

/// What the line waits for, or fails by; `None` when it may go on.
fn decide_prerequisites(facts: &Facts) -> Option<Change> {
    let this = facts.lines.iter().find(|line| line.line == facts.line)?;
    let mut waits = None;
    for other in &facts.lines {
        match this.hindered_by(other) {
            Hindrance::None => {}
            Hindrance::Fails => {
                let why = other.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                let reason = format!(
                    "line {} ({}), which it needs, is {}{why}",
                    other.line, other.kind, other.status
                );
                return Some(Change::fail(facts, reason, Some(Cause::PrerequisiteFailed)));
            }
            Hindrance::Waits => waits = Some(other),
        }
    }
    waits.map(|other| {
        let until = this.awaits_of(other);
        let reason = format!("waits for line {} ({}) {until}", other.line, other.kind);
        Change::to(facts, LineStatus::Pending, Some(reason), Then::Rest)
    })
}

fn decide_provisioning(facts: &Facts, known: &Known, patience: &Patience) -> Step {
    if let Some(step) = decide_contact(facts, known, patience) {
        return step;
    }
    let name = || DomainName::from_stored(facts.progress.domain.clone().unwrap_or_default());
    match &facts.wish {
        Ok(Wish::Register(wish)) => {
            kinds::arrival::decide(facts, known, patience, name(), wish, Purpose::Register)
        }
        Ok(Wish::Transfer(wish)) => {
            kinds::arrival::decide(facts, known, patience, name(), wish, Purpose::Transfer)
        }
        Ok(Wish::Update(change)) => kinds::update::decide(facts, known, patience, name(), change),
        Ok(Wish::Dns(records)) => kinds::dns::decide(facts, known, patience, name(), records),
        // An order can be polled without knowing what was wished.
        Ok(
            Wish::Hosting(_)
            | Wish::HostingOwn { .. }
            | Wish::CreateContact(_)
            | Wish::UpdateContact { .. },
        )
        | Err(_) => kinds::hosting::follow(facts, known, patience),
    }
}

#[cfg(test)]
mod tests;

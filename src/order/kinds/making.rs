//! Making a request, as the next placement of its step, and what its line looks like meanwhile.

use crate::order::{
    LineStatus, Money,
    decide::{Change, Step, Then},
    effect::{Effect, EffectStep, Request},
    facts::Facts,
    name::DomainName,
    outcome::in_doubt,
};

/// The line while something is placed for it: one that is provisioning stays so.
pub(super) fn placing(facts: &Facts, domain: Option<&DomainName>) -> Change {
    let status = match facts.progress.status {
        LineStatus::Provisioning => LineStatus::Provisioning,
        LineStatus::Pending
        | LineStatus::Placing
        | LineStatus::InDoubt
        | LineStatus::Held
        | LineStatus::Completed
        | LineStatus::Failed
        | LineStatus::Cancelled => LineStatus::Placing,
    };
    let mut during = Change::to(facts, status, None, Then::Rest);
    // The request tells its own beginning.
    during.events.clear();
    during.progress.completed_seen_at = None;
    if let Some(domain) = domain {
        during.progress.domain = Some(domain.as_str().to_owned());
    }
    during
}

/// A request of a line that looks like this while it is made.
pub(super) fn make(
    facts: &Facts,
    step: EffectStep,
    domain: Option<DomainName>,
    request: Request,
    price: Option<Money>,
    during: Change,
) -> Step {
    let Some((n, tag)) = facts.next_placement(step) else {
        return in_doubt(facts, format!("an earlier {} is still open", step.noun())).step();
    };
    Step::Make(Box::new(Effect { step, n, tag, domain, request, price, during }))
}

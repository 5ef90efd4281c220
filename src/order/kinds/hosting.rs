//! Lines of the kinds `hosting` and `hosting_own`: one LJPc order, polled until it is delivered.

use super::{
    catalogue::{Choice, choose},
    poll::decide_reading,
};
use crate::order::{
    LineStatus, Money,
    decide::{Change, Query, Step, Then},
    effect::{Effect, EffectStep, Item, Request},
    facts::{Facts, Known, Patience, Progress},
    name::DomainName,
    outcome::in_doubt,
    wish::HostingWish,
};

/// A site on a space that is there already.
pub(in crate::order) fn place_own(facts: &Facts, domain: DomainName, space_id: i64) -> Step {
    order(facts, domain, "own space".to_owned(), Item::HostingOwn { space_id }, None)
}

/// A package of the catalogue.
pub(in crate::order) fn place(
    facts: &Facts,
    known: &Known,
    domain: DomainName,
    hosting: &HostingWish,
) -> Step {
    let Some(catalogue) = &known.catalogue else { return Step::Read(Query::Catalogue) };
    match choose(catalogue, hosting, facts.cost_limit) {
        Choice::Hold(reason) => Change::hold(facts, reason).step(),
        Choice::Fail(reason) => Change::fail(facts, reason, None).step(),
        Choice::Found { uuid, name, billing_period, price } => {
            let target_url = hosting.target_url.clone();
            let item = Item::Hosting { product_uuid: uuid, billing_period, target_url };
            order(facts, domain, name, item, price)
        }
    }
}

/// An LJPc order with one line, as the line's next placement.
pub(super) fn order(
    facts: &Facts,
    domain: DomainName,
    title: String,
    item: Item,
    price: Option<Money>,
) -> Step {
    let during = placing(facts, Some(&domain));
    let request = Request::Order { title, item };
    make_during(facts, EffectStep::PlaceOrder, Some(domain), request, price, during)
}

/// The line while something is placed for it: one that is provisioning stays so.
pub(super) fn placing(facts: &Facts, domain: Option<&DomainName>) -> Progress {
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
    let mut during = Change::to(facts, status, None, Then::Rest).progress;
    if let Some(domain) = domain {
        during.domain = Some(domain.as_str().to_owned());
    }
    during
}

/// A request of a line that looks like this while it is made.
pub(super) fn make_during(
    facts: &Facts,
    step: EffectStep,
    domain: Option<DomainName>,
    request: Request,
    price: Option<Money>,
    during: Progress,
) -> Step {
    let Some((n, tag)) = facts.next_placement(step) else {
        return in_doubt(facts, format!("an earlier {} is still open", step.noun())).step();
    };
    Step::Make(Box::new(Effect { step, n, tag, domain, request, price, during }))
}

/// The order is polled until it is completed or has failed.
pub(in crate::order) fn follow(facts: &Facts, known: &Known, patience: &Patience) -> Step {
    let Some(id) = facts.progress.upstream_order_id else {
        return in_doubt(facts, "the line is provisioning, but bears no LJPc order".to_owned())
            .step();
    };
    match &known.reading {
        None => Step::Read(Query::Order(id)),
        Some(reading) => decide_reading(facts, reading, patience).step(),
    }
}

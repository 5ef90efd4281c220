//! Lines of the kinds `hosting` and `hosting_own`: one LJPc order, polled until it is delivered.

use super::{
    catalogue::{Choice, choose},
    making::{make, placing},
    poll::decide_reading,
};
use crate::order::{
    Money,
    decide::{Change, Query, Step},
    effect::{EffectStep, Item, Request},
    facts::{Facts, Known, Patience},
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
    make(facts, EffectStep::PlaceOrder, Some(domain), request, price, during)
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

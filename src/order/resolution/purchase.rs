//! Adopting what a person has found: an LJPc order, or a site.

use serde_json::{Map, json};

use super::{Consequence, Refusal, Said, event, is_bought, resolved, settled, told, wrong_status};
use crate::order::{
    LineKind, LineStatus, Money, SiteId, UpstreamOrderId,
    decide::{Change, Event, Evidence, Then},
    effect::{Acceptance, EffectStep},
    facts::{Facts, Placement},
    ledger::EffectState,
    name::DomainName,
    outcome::{accepted, delivered},
};

/// Adopts by the line's placements; where none is known that could have brought it, by one that is taken for lost: the
/// database has failed over, or was restored from a backup, since it was sent.
pub(super) fn adopt(
    facts: &Facts,
    n: Option<i32>,
    adopted: impl Fn(&Facts) -> Result<Consequence, Refusal>,
) -> Result<Consequence, Refusal> {
    let adopted_as_known = adopted(facts);
    let step = facts.main_step();
    let is_known = |n| facts.placements.iter().any(|known| (known.step, known.n) == (step, n));
    // The tag of what was found may name a further placement, which followed one that is known.
    let is_a_further_one = facts.is_older_than_restore && n.is_some_and(|n| !is_known(n));
    let may_be_lost = facts.may_be_forgotten() || is_a_further_one;
    if !may_be_lost || adopted_as_known != Err(Refusal::NothingSent) {
        return adopted_as_known;
    }
    let placement = Placement {
        step,
        n: n.or(facts.next_placement(step).map(|(n, _)| n)).ok_or(Refusal::NothingSent)?,
        state: EffectState::InDoubt,
        live: true,
        upstream_order_id: None,
        site_id: None,
        price: None,
        contact_handle: None,
        detail: None,
        intended_at: facts.submitted_at,
        order_id_floor: None,
        probe: None,
    };
    let mut with_it = facts.clone();
    // What was provably not sent is the same placement, before it was sent again.
    with_it.placements.retain(|known| (known.step, known.n) != (step, placement.n));
    with_it.placements.push(placement.clone());
    // A line that has never run has its name as the shop wrote it, and nothing spells it anew from here on.
    if let Some(name) = &facts.progress.domain {
        let spelt = DomainName::parse(name).map_err(|_| Refusal::NothingSent)?;
        with_it.progress.domain = Some(spelt.as_str().to_owned());
    }
    let mut consequence = adopted(&with_it)?;
    if let Consequence::Changes(resolved) = &mut consequence {
        resolved.forgotten = Some(placement);
    }
    Ok(consequence)
}

/// The line's order is `id`, which came of the `n`th placement. An acceptance enters from wherever a line may still follow
/// it, as one does that comes late by itself: also after it was called absent, or was given up.
pub(super) fn adopt_order(
    facts: &Facts,
    said: &Said,
    id: UpstreamOrderId,
    n: Option<i32>,
    cost: Option<Money>,
) -> Result<Consequence, Refusal> {
    if facts.main_step() != EffectStep::PlaceOrder {
        return Err(Refusal::NoOrder { kind: facts.kind });
    }
    let status = facts.progress.status;
    let counting = facts.main_placement();
    let known = facts
        .progress
        .upstream_order_id
        .or_else(|| counting.and_then(|placement| placement.upstream_order_id));
    match (known, status) {
        (Some(borne), _) if borne != id => return Err(Refusal::BearsOrder { borne }),
        // It was given up for its handler's panics, or LJPc reported it as failed: it is polled on.
        (Some(_), LineStatus::InDoubt | LineStatus::Failed)
            if facts.progress.upstream_order_id.is_some() =>
        {
            return Ok(follow_again(facts, said, id));
        }
        (Some(_), _) => {
            return Ok(Consequence::Already(format!("LJPc order {id} is the line's already")));
        }
        (None, _) => {}
    }
    let placement = sent_placement(facts, n)?;
    let cost = cost.or(placement.price).or(facts.progress.cost);
    let change = accepted(facts, placement.step, &Acceptance::Order { id, cost });
    let mut detail = told("accepted", placement);
    detail.insert("upstream_order_id".to_owned(), json!(id));
    let settled =
        Evidence { upstream_order_id: Some(id), ..settled(placement, EffectState::Accepted) };
    let mut consequence = resolved(change, event("resolved", said, detail), vec![settled]);
    if let Consequence::Changes(resolved) = &mut consequence {
        resolved.bought_twice = has_bought_otherwise(facts, placement);
        if resolved.bought_twice {
            let detail = json!({ "outcome": "accepted", "upstream_order_id": id });
            resolved.change.events.push(Event { name: "bought_twice", detail });
        }
    }
    Ok(consequence)
}

fn follow_again(facts: &Facts, said: &Said, id: UpstreamOrderId) -> Consequence {
    let mut change = Change::to(facts, LineStatus::Provisioning, None, Then::Rest);
    change.events.clear();
    change.progress.simple_status = None;
    change.progress.failed_seen_at = None;
    change.progress.completed_seen_at = None;
    let detail = Map::from_iter([
        ("as".to_owned(), "accepted".into()),
        ("upstream_order_id".to_owned(), json!(id)),
    ]);
    resolved(change, event("resolved", said, detail), Vec::new())
}

/// The line was delivered as this site.
pub(super) fn adopt_site(facts: &Facts, said: &Said, id: SiteId) -> Result<Consequence, Refusal> {
    if !matches!(facts.kind, LineKind::Hosting | LineKind::HostingOwn) {
        return Err(Refusal::NoSite { kind: facts.kind });
    }
    let progress = &facts.progress;
    if progress.status == LineStatus::Completed && progress.site_id == Some(id) {
        return Ok(Consequence::Already(format!("site {id} is the line's already")));
    }
    let placement = if is_bought(facts) && may_be_found(progress.status) {
        facts.main_placement().ok_or(Refusal::NothingSent)?
    } else {
        sent_placement(facts, None)?
    };
    let change = delivered(facts, placement, id);
    let mut detail = told("accepted", placement);
    detail.insert("site_id".to_owned(), json!(id));
    let placements =
        vec![Evidence { site_id: Some(id), ..settled(placement, EffectState::Accepted) }];
    Ok(resolved(change, event("resolved", said, detail), placements))
}

/// Whether what was bought for a line that stands so may be found by a person before it is followed by itself.
const fn may_be_found(status: LineStatus) -> bool {
    matches!(
        status,
        LineStatus::InDoubt | LineStatus::Held | LineStatus::Pending | LineStatus::Failed
    )
}

/// The placement of the purchase that may have bought what was found: it was sent, and nobody knows what came of it, or
/// a person has said that nothing did.
fn sent_placement(facts: &Facts, n: Option<i32>) -> Result<&Placement, Refusal> {
    if !may_be_found(facts.progress.status) {
        return Err(wrong_status(facts.progress.status));
    }
    let step = facts.main_step();
    let named = |n| facts.placements.iter().find(|it| it.step == step && it.n == n);
    let placement = n.map_or_else(|| facts.main_placement(), named);
    let may_have_bought = |placement: &&Placement| {
        placement.state.is_open()
            || matches!(placement.state, EffectState::Absent | EffectState::Abandoned)
    };
    placement.filter(may_have_bought).ok_or(Refusal::NothingSent)
}

/// Whether another placement of the step has bought something, or may have.
fn has_bought_otherwise(facts: &Facts, placement: &Placement) -> bool {
    facts.placements.iter().any(|other| {
        other.step == placement.step && other.n != placement.n && other.state.may_have_bought()
    })
}

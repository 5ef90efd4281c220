//! `decide`, by tables and by properties.

mod contacts;
mod names;
mod orders;
mod polls;
mod properties;
mod table;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::order::{
    LineKind, Reference,
    effect::{Item, Request},
    facts::{NameFacts, Placement},
    kinds::catalogue::Product,
    outcome::{panicked, rejected},
    status::LineState,
    wish::{BillingPeriod, HostingWish, ProductKey},
};

const PATIENCE: Patience = Patience {
    failed_recheck: Duration::from_mins(15),
    site_id_wait: Duration::from_mins(10),
    overdue_after: Duration::from_hours(24),
    in_doubt_grace: Duration::from_mins(15),
    poll_interval: Duration::from_secs(2),
    evidence_interval: Duration::from_secs(30),
    order_id_probe: false,
    offers_alternatives: false,
};

/// So many minutes after the tests' beginning of time.
fn minute(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

/// A line of its own order, that asks for hosting, at minute 0.
fn facts(status: LineStatus) -> Facts {
    let wish = HostingWish {
        product: ProductKey::Package("hosting_5gb".to_owned()),
        billing_period: Some(BillingPeriod::Monthly),
        target_url: None,
    };
    Facts {
        reference: Reference("SHOP-1001".to_owned()),
        line: 0,
        kind: LineKind::Hosting,
        wish: Ok(Wish::Hosting(wish)),
        cost_limit: None,
        allow_premium: false,
        progress: Progress::new(status, Some("example.nl".to_owned())),
        placements: Vec::new(),
        lines: vec![line(0, LineKind::Hosting, status)],
        name: NameFacts::default(),
        submitted_at: minute(0),
        is_older_than_restore: false,
        now: minute(0),
    }
}

fn line(index: i32, kind: LineKind, status: LineStatus) -> LineState {
    let domain = Some("example.nl".to_owned());
    LineState {
        line: index,
        kind,
        domain,
        status,
        milestone: None,
        has_dns: false,
        reason: None,
        past_grace: false,
    }
}

fn placement(n: i32, state: EffectState) -> Placement {
    of_step(EffectStep::PlaceOrder, n, state)
}

fn of_step(step: EffectStep, n: i32, state: EffectState) -> Placement {
    Placement {
        step,
        n,
        state,
        live: state.is_live(),
        upstream_order_id: None,
        site_id: None,
        price: None,
        contact_handle: None,
        detail: None,
        intended_at: minute(0),
        order_id_floor: None,
        probe: None,
    }
}

/// A placement that the upstream has accepted as this order of theirs.
fn bought(n: i32, id: i64) -> Placement {
    let upstream_order_id = Some(UpstreamOrderId(id));
    Placement { upstream_order_id, ..placement(n, EffectState::Accepted) }
}

fn catalogue() -> Known {
    let products = vec![Product {
        uuid: "00000000-0000-4000-8000-000000000005".to_owned(),
        name: "5GB hosting".to_owned(),
        category_identifier: "hosting_5gb".to_owned(),
        client_choice: true,
        monthly_price: "4.99".parse().ok(),
        yearly_price: "49.90".parse().ok(),
    }];
    Known { catalogue: Some(std::sync::Arc::new(products)), ..Known::default() }
}

/// A step in words.
fn told(step: &Step) -> String {
    match step {
        Step::Read(Query::Catalogue) => "read the catalogue".to_owned(),
        Step::Read(Query::Order(id)) => format!("read order {id}"),
        Step::Read(Query::Tlds) => "read the endings".to_owned(),
        Step::Read(Query::Offer(name, _)) => format!("ask for {name}"),
        Step::Read(Query::Contact(fresh)) => {
            format!("look for the contact{}", if fresh.is_some() { " anew" } else { "" })
        }
        Step::Read(Query::ContactDetail(handle)) => format!("read contact {handle}"),
        Step::Read(Query::Domain(name)) => format!("read {name}"),
        Step::Read(Query::Zone(name)) => format!("read the zone of {name}"),
        Step::Read(Query::Sites) => "read the sites".to_owned(),
        Step::Read(Query::OrderIds { n }) => format!("read the ids above placement {n}"),
        Step::Read(Query::Alternatives(parts)) => format!("ask for others than {}", parts.sld),
        Step::Make(effect) if effect.step == EffectStep::PlaceOrder => {
            format!("place {} as number {}", effect.tag, effect.n)
        }
        Step::Make(effect) => format!("{} {}", effect.step, effect.tag),
        Step::Record(change) => told_change(change),
    }
}

fn told_change(change: &Change) -> String {
    let progress = &change.progress;
    let then = match change.then {
        Then::Rest => "rest".to_owned(),
        Then::Poll(true) => "poll anew".to_owned(),
        Then::Poll(false) => "poll".to_owned(),
        Then::PollTransfer => "poll as a transfer".to_owned(),
        Then::Retry => "retry".to_owned(),
        Then::After(wait) => format!("after {wait:?}"),
        Then::At(at) => format!("at minute {}", (at - minute(0)).num_minutes()),
    };
    let overdue = if change.overdue { ", overdue" } else { "" };
    let reason = progress.reason.as_deref().map_or(String::new(), |why| format!(": {why}"));
    format!("{}, {then}{overdue}{reason}", progress.status)
}

//! POST /api/v1/orders and GET /api/v1/orders/{id}.

use std::time::Instant;

use chrono::{DateTime, Utc};
use http::StatusCode;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Call, Facts,
    answer::{Answer, json_number},
    book::Ownership,
    cart::{self, CartKind, OrderLine},
    record::{Fate, Order, Stage, laravel_time},
};
use crate::{
    clock,
    order::{SiteId, UpstreamOrderId},
    sandbox::state::World,
};

#[derive(Serialize)]
struct Placed<'a> {
    order: PlacedOrder<'a>,
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "as documented")]
struct PlacedOrder<'a> {
    #[serde(flatten)]
    order: ShownOrder<'a>,
    send_invoice: bool,
    send_quote: bool,
    auto_deliver: bool,
    needs_subscription: bool,
    needs_payment: bool,
    #[serde(serialize_with = "laravel_time")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "laravel_time")]
    updated_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct ShownOrder<'a> {
    id: UpstreamOrderId,
    status: &'static str,
    source: &'static str,
    summary: Option<&'a str>,
    order_lines: Vec<ShownLine<'a>>,
    #[serde(serialize_with = "json_number")]
    total_price: Decimal,
}

#[derive(Serialize)]
struct ShownLine<'a> {
    description: &'a str,
    #[serde(serialize_with = "json_number")]
    price: Decimal,
    period: u8,
    cart_item: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Detail<'a> {
    order: ShownOrder<'a>,
    simple_status: Stage,
    provisioning: Provisioning<'a>,
}

#[derive(Serialize)]
struct Provisioning<'a> {
    overall: Stage,
    lines: Vec<LineProgress<'a>>,
}

#[derive(Serialize)]
struct LineProgress<'a> {
    index: usize,
    #[serde(rename = "type")]
    kind: &'static str,
    state: &'static str,
    site_id: Option<SiteId>,
    domain: Option<&'a str>,
}

/// Places an order.
pub(super) fn place(world: &World, call: &Call<'_>, fate: Fate) -> Answer {
    let new = match cart::read(call.body) {
        Ok(new) => new,
        Err(message) => return Answer::unprocessable(&message),
    };
    let mut book = world.book();
    match book.place(new, fate, Instant::now(), clock::now()) {
        Ok(order) => {
            let charged = !order.total.is_zero();
            let placed = PlacedOrder {
                order: shown(order, Stage::Pending),
                send_invoice: false,
                send_quote: false,
                auto_deliver: true,
                needs_subscription: charged,
                needs_payment: charged,
                created_at: order.created_at,
                updated_at: order.created_at,
            };
            Answer::data(StatusCode::CREATED, &Placed { order: placed })
        }
        Err(error) => Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// How an order is getting on.
pub(super) fn show(world: &World, call: &Call<'_>) -> Answer {
    let Some(id) = order_id(call) else { return Answer::not_found("Order not found") };
    let now = Instant::now();
    let mut book = world.book();
    book.advance(now);
    match book.find(id) {
        Ownership::Ours(order) => {
            let stage = book.stage(order, now);
            let lines = order.lines.iter().zip(&order.site_ids).enumerate();
            let lines = lines.map(|(at, (line, site))| progress(at, line, *site, stage)).collect();
            let provisioning = Provisioning { overall: stage, lines };
            let order = shown(order, stage);
            Answer::data(StatusCode::OK, &Detail { order, simple_status: stage, provisioning })
        }
        Ownership::Foreign => {
            Answer::refusal(StatusCode::FORBIDDEN, "This order does not belong to you")
        }
        Ownership::Unknown => Answer::not_found("Order not found"),
    }
}

/// The domains and the reference of the order that is asked for.
pub(super) fn facts(world: &World, call: &Call<'_>) -> Facts {
    let book = world.book();
    order_id(call).and_then(|id| book.order(id)).map_or_else(Facts::default, |order| Facts {
        domains: order.lines.iter().map(|line| line.domain.clone()).collect(),
        reference: order.tag().map(str::to_owned),
        recipients: Vec::new(),
    })
}

fn order_id(call: &Call<'_>) -> Option<UpstreamOrderId> {
    call.parameter?.parse().ok().map(UpstreamOrderId)
}

fn shown(order: &Order, stage: Stage) -> ShownOrder<'_> {
    ShownOrder {
        id: order.id,
        // The raw status is a word of LJPc's own, of which the document shows only `pending`. Here it lags behind
        // `simple_status` while an order is processed, so that nobody mistakes one for the other.
        status: match stage {
            Stage::Pending | Stage::Processing => "pending",
            Stage::Completed => "completed",
            Stage::Failed => "failed",
        },
        source: "reseller-api",
        summary: order.summary.as_deref(),
        order_lines: order.lines.iter().map(shown_line).collect(),
        total_price: order.total,
    }
}

fn shown_line(line: &OrderLine) -> ShownLine<'_> {
    ShownLine {
        description: &line.description,
        price: line.price,
        period: line.period,
        cart_item: &line.cart_item,
    }
}

fn progress(
    index: usize,
    line: &OrderLine,
    site: Option<SiteId>,
    stage: Stage,
) -> LineProgress<'_> {
    let done = stage == Stage::Completed;
    LineProgress {
        index,
        kind: line.kind.name(),
        state: match stage {
            Stage::Pending | Stage::Processing => "pending",
            Stage::Completed => "done",
            Stage::Failed => "failed",
        },
        site_id: site.filter(|_| done),
        // A hosting line's `domain` is never promised: only `site_id` is.
        domain: (done && line.kind == CartKind::Domain).then_some(line.domain.as_str()),
    }
}

//! What an order would do: judged by the database, decided by the worker's own rules, with safe GETs alone. Nothing is
//! stored, claimed or sent.

mod read;
mod render;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use crate::{
    app,
    config::Settings,
    db::{
        Database,
        operators::{DocumentFault, Submitter},
    },
    jobs::carry_out_line::requests::prepare,
    order::{
        LineStatus, Money,
        effect::Request,
        rehearsal::{LineOutlook, Rehearsal, Rehearsed},
    },
    upstream::{Secret, ljpc::Ljpc},
};

pub(super) use render::{render, render_diff};

/// Stands where an auth code would be sent.
const AUTH_CODE: &str = "<auth code>";

/// More readings than this are asked for no order: the longest has 50 lines, each with a handful.
const READINGS_MAX: usize = 1000;

/// What an order would do.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    /// The shop's reference.
    pub(super) reference: String,
    /// An order with this reference is there already, so that it would do nothing, or be refused.
    is_submitted: bool,
    /// The lines, and where each would end up.
    pub(super) lines: Vec<PlannedLine>,
    /// What would be sent, in order.
    pub(super) requests: Vec<PlannedRequest>,
    /// What it would cost in all, EUR without VAT, as far as prices are known.
    pub(super) total_cost: Money,
    /// Whether a line buys something whose price nobody knows.
    is_total_incomplete: bool,
}

/// A line of a plan.
#[derive(Debug, Serialize)]
pub(super) struct PlannedLine {
    /// Index in the order, from 0.
    pub(super) line: i32,
    kind: &'static str,
    domain: Option<String>,
    /// Where it would stand at last: `completed`, or what keeps it from that.
    pub(super) status: &'static str,
    /// Why.
    pub(super) reason: Option<String>,
    /// What it would wait for on its way.
    waits: Vec<String>,
    /// EUR without VAT.
    pub(super) cost: Option<Money>,
    /// It buys something whose price nobody knows.
    is_price_unknown: bool,
    max_cost: Option<Money>,
    /// What is left of `max_cost`.
    margin: Option<Money>,
}

/// A request of a plan.
#[derive(Debug, Serialize)]
pub(super) struct PlannedRequest {
    line: i32,
    method: String,
    path: String,
    body: Value,
    /// EUR without VAT.
    price: Option<Money>,
    #[serde(skip)]
    pub(super) request: Request,
}

/// A plan, or what is wrong with the document.
pub(super) enum Planned {
    Plan(Box<Plan>),
    Faults(Vec<DocumentFault>),
}

impl Plan {
    /// The first line that would not be completed.
    pub(super) fn obstacle(&self) -> Option<&PlannedLine> {
        self.lines.iter().find(|line| line.status != LineStatus::Completed.as_str())
    }
}

/// Plans a document.
pub(super) async fn plan(
    db: &Database,
    ljpc: &Ljpc,
    settings: &Settings,
    document: &Value,
    submitter: Submitter,
) -> anyhow::Result<Planned> {
    let faults = db.document_faults(document, submitter).await?;
    if !faults.is_empty() {
        return Ok(Planned::Faults(faults));
    }
    let draft = db.draft_order(document).await?;
    let mut rehearsal = Rehearsal::new(draft.lines, app::patience(settings));
    let mut readings: usize = 0;
    while let Some((index, query)) = rehearsal.advance() {
        readings = readings.saturating_add(1);
        anyhow::ensure!(readings <= READINGS_MAX, "the order asks for more and more readings");
        let facts = rehearsal.facts(index).context("a line that is not there")?;
        let known = read::read(db, ljpc, facts, &query).await?;
        rehearsal.learn(index, &query, known);
    }
    let (requests, outlooks) = rehearsal.finish();
    let mut costs = outlooks.iter().filter_map(|line| line.cost);
    let total =
        costs.try_fold(rust_decimal::Decimal::ZERO, |sum, Money(cost)| sum.checked_add(cost));
    let reference = document.get("reference").and_then(Value::as_str).unwrap_or_default();
    Ok(Planned::Plan(Box::new(Plan {
        reference: reference.to_owned(),
        is_submitted: draft.is_submitted,
        is_total_incomplete: outlooks.iter().any(|line| line.is_price_unknown),
        lines: outlooks.into_iter().map(planned_line).collect(),
        requests: requests.into_iter().map(planned_request).collect::<anyhow::Result<_>>()?,
        total_cost: Money(total.context("the prices can't be added up")?),
    })))
}

fn planned_line(line: LineOutlook) -> PlannedLine {
    let left = |Money(max): Money, Money(cost): Money| max.checked_sub(cost).map(Money);
    PlannedLine {
        line: line.line,
        kind: line.kind.as_str(),
        domain: line.domain,
        status: line.status.as_str(),
        reason: line.reason,
        waits: line.waits,
        cost: line.cost,
        is_price_unknown: line.is_price_unknown,
        max_cost: line.cost_limit,
        margin: line.cost_limit.zip(line.cost).and_then(|(max, cost)| left(max, cost)),
    }
}

fn planned_request(Rehearsed { line, effect }: Rehearsed) -> anyhow::Result<PlannedRequest> {
    // The code itself is not even read.
    let code = Some(Secret::new(AUTH_CODE.to_owned()));
    let prepared = prepare(&effect, code).context("a request that can't be made")?;
    Ok(PlannedRequest {
        line,
        method: prepared.endpoint().method().to_string(),
        path: prepared.path().to_owned(),
        body: serde_json::from_slice(prepared.body())?,
        price: effect.price,
        request: effect.request,
    })
}

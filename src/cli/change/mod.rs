//! The commands that buy or change something: each shows what it would do, asks, and hands an order of one's own over to
//! the ledger, which a running daemon carries out.

mod ask;
mod follow;
mod input;
mod whose;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::{
    Failed, output,
    plan::{self, Plan, Planned},
    report::render_order,
    said::SaidArgs,
    unobserved,
};
use crate::{
    app,
    config::Settings,
    db::{Database, operators::Submitter},
    order::Money,
};

pub(super) use ask::{demand_agreement, demand_somebody};
pub(super) use input::{read_auth_code, read_json, read_records};
pub(super) use whose::{Whose, operator};

/// The kinds of lines that bear a `max_cost`.
const BOUGHT: [&str; 3] = ["hosting", "domain_register", "domain_transfer"];

/// How a command that buys or changes something asks, and waits.
#[derive(Args, Clone, Debug)]
pub(super) struct ChangeArgs {
    /// Don't ask. Needed where nobody can answer: without a terminal, or when something is read from standard input.
    #[arg(long)]
    pub(super) yes: bool,
    /// Don't wait for its end.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Wait for its end for at most so many seconds. The order goes on all the same.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, conflicts_with = "no_wait",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: u64,
    #[command(flatten)]
    pub(super) said: SaidArgs,
}

impl ChangeArgs {
    /// For how long its end is waited for.
    pub(super) const fn patience(&self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

/// What is to be done.
pub(super) struct Wanted {
    /// The order's lines.
    pub(super) lines: Vec<Value>,
    /// The order's customer.
    pub(super) customer: Value,
    /// By whose rules.
    pub(super) submitter: Submitter,
    /// What must be known before one agrees.
    pub(super) warning: Option<String>,
}

/// Shows what would be done, asks, submits it, and waits for its end.
pub(super) async fn carry_out(
    mut wanted: Wanted,
    args: ChangeArgs,
    settings: &Settings,
    is_json: bool,
) -> Result<(), Failed> {
    demand_somebody(args.yes)?;
    let by = args.said.who()?;
    let db = app::connect_now(settings).await?;
    let reference = format!("ops-{}", uuid::Uuid::now_v7());
    let document = |wanted: &Wanted| json!({ "reference": reference, "customer": wanted.customer, "lines": wanted.lines });
    let ljpc = app::connect_ljpc(settings, unobserved())?;
    let planned = plan::plan(&db, &ljpc, settings, &document(&wanted), wanted.submitter).await?;
    let plan = match planned {
        Planned::Plan(plan) => plan,
        Planned::Faults(faults) => {
            let faults: Vec<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
            return Err(anyhow!("this can't be ordered:\n{}", faults.join("\n")).into());
        }
    };
    output::note(&plan::render(&plan));
    if let Some(line) = plan.obstacle() {
        let reason = line.reason.as_deref().unwrap_or("it would not be completed");
        return Err(anyhow!("nothing is done: {reason}").into());
    }
    if plan.requests.is_empty() {
        return nothing_to_do(&plan, is_json);
    }
    output::note(&format!("\n{}", whose::told(&wanted.customer)));
    if let Some(warning) = &wanted.warning {
        output::note(&format!("\n{warning}"));
    }
    demand_agreement(args.yes)?;
    limit_costs(&mut wanted.lines, &plan);
    let deed = args.said.deed(&by);
    let submitted = db.submit_by_operator(&document(&wanted), wanted.submitter, deed).await;
    submitted.map_err(|error| super::order::explain(&error))?;
    if args.no_wait {
        return tell_submitted(&reference, is_json);
    }
    end(&db, &reference, args.patience(), is_json).await
}

/// All is so already.
fn nothing_to_do(plan: &Plan, is_json: bool) -> Result<(), Failed> {
    let said = plan.lines.iter().find_map(|line| line.reason.clone());
    let said = said.unwrap_or_else(|| "it is so already".to_owned());
    if is_json {
        return Ok(output::json(&json!({ "changed": false, "reason": said }))?);
    }
    output::line(&format!("Nothing to do: {said}."));
    Ok(())
}

/// What was shown is the most that it may cost, where no other limit was given.
fn limit_costs(lines: &mut [Value], plan: &Plan) {
    for (line, planned) in lines.iter_mut().zip(&plan.lines) {
        let Some(line) = line.as_object_mut() else { continue };
        let kind = line.get("kind").and_then(Value::as_str);
        let is_bought = kind.is_some_and(|kind| BOUGHT.contains(&kind));
        let is_free = line.get("max_cost").is_none_or(Value::is_null);
        if let (true, true, Some(cost)) = (is_bought, is_free, planned.cost) {
            let strategy = rust_decimal::RoundingStrategy::ToPositiveInfinity;
            let cents = cost.0.round_dp_with_strategy(2, strategy);
            line.insert("max_cost".to_owned(), Money(cents).to_string().into());
        }
    }
}

fn tell_submitted(reference: &str, is_json: bool) -> Result<(), Failed> {
    if is_json {
        return Ok(output::json(&json!({ "reference": reference }))?);
    }
    output::line(&format!(
        "Order {reference} is submitted. Follow it: provisor order show {reference}"
    ));
    Ok(())
}

/// Waits, and tells how it ended.
async fn end(
    db: &Database,
    reference: &str,
    patience: Duration,
    is_json: bool,
) -> Result<(), Failed> {
    output::note(&format!(
        "\nOrder {reference} is submitted. Ctrl-C ends the waiting, not the order: provisor order show {reference}"
    ));
    let report = follow::follow(db, reference, patience).await?;
    let report = report.with_context(|| format!("the order {reference} is gone"))?;
    if is_json {
        output::json(&report)?;
    } else {
        output::line(&render_order(&report));
    }
    if report.status == "completed" { Ok(()) } else { Err(Failed::Told) }
}

//! `provisor order …`

mod resolve;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Value, json};

use super::{
    Failed,
    change::read_json,
    output,
    plan::{self, Planned, render},
    report::render_order,
    said::SaidArgs,
    unobserved,
};
use crate::{
    app,
    config::{Need, Settings},
    db::{Database, DbError, operators::Submitter},
    order::{OrderStatus, Reference},
};

#[derive(Subcommand, Debug)]
pub(super) enum OrderCommand {
    /// Submits an order document, as a shop does by SQL. Submitting the same one again changes nothing.
    Submit {
        /// The document, JSON; `-` for standard input.
        file: PathBuf,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Shows what an order would do: requests in order, prices, margins, what waits for what. Sends nothing but safe GETs.
    ///
    /// The document is judged as a submission would judge it, all its faults at once. Nothing is stored, claimed or sent.
    #[command(after_help = "Examples:\n  \
        provisor order plan order.json\n  \
        provisor order plan - --json < order.json")]
    Plan {
        /// The document, JSON; `-` for standard input.
        file: PathBuf,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Lists orders, the newest first.
    List {
        /// Only those with this status.
        #[arg(long, value_parser = statuses())]
        status: Option<OrderStatus>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Shows what happened to an order, what comes next and when, and what to type.
    Show {
        /// The shop's reference.
        reference: String,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Withdraws an order, if nothing has been sent upstream for it. Its timeline tells who did it, and why.
    Cancel {
        /// The shop's reference.
        reference: String,
        #[command(flatten)]
        said: SaidArgs,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Decides a held line anew, perhaps with a higher limit. It is then bought, if nothing is against it.
    ///
    /// A line in doubt on which the worker failed too often, and whose purchase is known, goes on from where it was.
    #[command(after_help = "Examples:\n  \
        provisor order retry SHOP-1001 --line 0 --max-cost 6.50\n  \
        provisor order retry SHOP-1001 --line 1 --allow-premium --why 'the customer agreed'")]
    Retry(resolve::RetryArgs),
    /// Says what became of a line in doubt, or ends one that is held or in doubt.
    ///
    /// `provisor order show REF` tells what to look for, and which of these fits. What is said is held against what LJPc
    /// shows, asked, and stored in the timeline with who said it and why.
    #[command(after_help = "Examples:\n  \
        provisor order resolve SHOP-1001 --line 0 --upstream-order 1234   it is there: LJPc's panel shows this number\n  \
        provisor order resolve SHOP-1001 --line 0 --site 567              it was delivered as this site\n  \
        provisor order resolve SHOP-1001 --line 0 --absent --placement 1  it is not there: place it again\n  \
        provisor order resolve SHOP-1001 --line 0 --abandon               end it as failed")]
    Resolve(resolve::ResolveArgs),
}

/// The statuses by name, so that help and errors list them.
fn statuses() -> impl TypedValueParser<Value = OrderStatus> {
    PossibleValuesParser::new(OrderStatus::ALL.iter().map(|status| status.as_str()))
        .try_map(|name| name.parse::<OrderStatus>())
}

impl OrderCommand {
    /// What of the configuration it needs.
    pub(super) fn needs(&self) -> &'static [Need] {
        match self {
            Self::Plan { .. } => &[Need::Database, Need::Ljpc],
            Self::Resolve(args) => args.needs(),
            Self::Submit { .. }
            | Self::List { .. }
            | Self::Show { .. }
            | Self::Cancel { .. }
            | Self::Retry(_) => &[Need::Database],
        }
    }
}

pub(super) async fn order(command: OrderCommand, settings: &Settings) -> Result<(), Failed> {
    let db = app::connect_now(settings).await?;
    match command {
        OrderCommand::Submit { file, json } => {
            let document = read_json(&file)?;
            let id = db.submit_order(&document).await.map_err(|error| explain(&error))?;
            let reference = document.get("reference").and_then(Value::as_str).unwrap_or_default();
            if json {
                output::json(&json!({ "order_id": id, "reference": reference }))?;
            } else {
                output::line(&format!(
                    "Order {reference} is submitted (id {id}). Follow it: provisor order show {}",
                    Reference(reference.to_owned()).operand()
                ));
            }
        }
        OrderCommand::Retry(args) => resolve::retry(&db, args, settings).await?,
        OrderCommand::Resolve(args) => resolve::resolve_line(&db, args, settings).await?,
        OrderCommand::Plan { file, json } => plan_order(&db, &file, settings, json).await?,
        OrderCommand::List { status, limit, json } => {
            let orders = db.list_orders(status.map(OrderStatus::as_str), limit).await;
            let orders = orders.map_err(|error| explain(&error))?;
            if json {
                return Ok(output::json(&orders)?);
            }
            let mut table = output::table(&["REFERENCE", "STATUS", "LINES", "SUBMITTED", "REASON"]);
            for order in &orders {
                table.add_row([
                    order.reference.clone(),
                    order.status.clone(),
                    order.lines.to_string(),
                    order.submitted_at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
                    order.reason.clone().unwrap_or_default(),
                ]);
            }
            output::line(&table.to_string());
            if i64::try_from(orders.len()).is_ok_and(|shown| shown == limit) {
                output::note(&format!("These are the newest {limit}; there may be more: --limit"));
            }
        }
        OrderCommand::Show { reference, json } => {
            let report = db.report_order(&reference).await.map_err(|error| explain(&error))?;
            let report = report.with_context(|| format!("there is no order {reference}"))?;
            if json {
                return Ok(output::json(&report)?);
            }
            output::line(&render_order(&report));
        }
        OrderCommand::Cancel { reference, said, json } => {
            cancel(&db, &reference, &said, json).await?;
        }
    }
    Ok(())
}

async fn cancel(
    db: &Database,
    reference: &str,
    said: &SaidArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    let by = said.who()?;
    let result = db.cancel_by_operator(reference, said.deed(&by)).await;
    let result = result.map_err(|error| explain(&error))?;
    if is_json {
        output::json(&json!({ "reference": reference, "result": result }))?;
    }
    anyhow::ensure!(
        result == "cancelled",
        "order {reference} can't be cancelled any more: something has been sent for it, or it has ended (provisor order \
         show {})",
        Reference(reference.to_owned()).operand()
    );
    if !is_json {
        output::line(&format!(
            "Order {reference} is cancelled; nothing was or will be sent for it."
        ));
    }
    Ok(())
}

/// The server's own words where it refused the content, the cure where the schema is missing, the whole chain else.
pub(super) fn explain(error: &DbError) -> anyhow::Error {
    // An unknown schema, table or function.
    if error.sqlstate().is_some_and(|code| ["3F000", "42P01", "42883"].contains(&code.as_str())) {
        return anyhow::anyhow!(
            "the database has no schema `provisor` that this version knows: run `provisor migrate`"
        );
    }
    let refusal = error
        .sqlstate()
        .filter(|code| ["22023", "23505", "P0002", "22P02"].contains(&code.as_str()))
        .and(error.server_message());
    match refusal {
        Some(message) => anyhow::anyhow!("{message}"),
        None => anyhow::Error::new(error.clone()),
    }
}

async fn plan_order(
    db: &Database,
    file: &std::path::Path,
    settings: &Settings,
    is_json: bool,
) -> Result<(), Failed> {
    let document = read_json(file)?;
    let ljpc = app::connect_ljpc(settings, unobserved())?;
    match plan::plan(db, &ljpc, settings, &document, Submitter::Shop).await? {
        Planned::Plan(plan) if is_json => Ok(output::json(&plan)?),
        Planned::Plan(plan) => {
            output::line(&format!(
                "Order {}: what it would do. Nothing is stored or sent.\n",
                plan.reference
            ));
            output::line(&render(&plan));
            Ok(())
        }
        Planned::Faults(faults) => {
            if is_json {
                output::json(&json!({ "faults": faults }))?;
                return Err(Failed::Told);
            }
            let faults: Vec<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
            Err(anyhow::anyhow!("this can't be submitted:\n{}", faults.join("\n")).into())
        }
    }
}

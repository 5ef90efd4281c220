//! Making a customer known to Leanstack.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    app,
    cli::{
        Failed,
        change::{ChangeArgs, demand_agreement, demand_somebody, read_json},
        order::explain,
        output::{self, cell, time},
    },
    config::Settings,
    db::{Database, operators::Introduction},
    jobs::CUSTOMERS_WAKE,
    upstream::leanstack::{AddCustomer, Leanstack, Phone},
};

/// How often it is looked whether Leanstack knows him.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// After how long a word is said of a customer whom nobody takes up; a daemon looks every 5 s.
const PICKED_UP_MAX: Duration = Duration::from_secs(8);

#[derive(Args, Debug)]
#[command(
    after_help = "The customer is one of Provisor's own from then on, known by his reference.\n\nExample:\n  \
    echo '{\"reference\": \"C-77\", \"first_name\": \"Bob\", \"last_name\": \"Brown\",\n    \
    \"email\": \"bob@example.com\", \"phone\": \"+31612345678\", \"address\": \"Teststreet 1\",\n    \
    \"postal_code\": \"1234AB\", \"city\": \"Testcity\", \"country\": \"NL\"}' |\n    \
    provisor leanstack add-customer - --yes"
)]
pub(super) struct AddCustomerArgs {
    /// The customer, JSON as in an order document, with a reference and all of his address; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(super) async fn add(
    args: AddCustomerArgs,
    leanstack: &Leanstack,
    settings: &Settings,
    is_json: bool,
) -> Result<(), Failed> {
    demand_somebody(args.change.yes)?;
    let by = args.change.said.who()?;
    if !settings.leanstack.enabled {
        return Err(Failed::Usage(
            "leanstack.enabled is false, so no daemon would make him known: set it for them and here".to_owned(),
        ));
    }
    let customer = read_json(&args.file)?;
    let reference = text(&customer, "reference").context("reference: is required")?;
    let db = app::connect_now(settings).await?;
    let before = db.introduction(&reference).await.map_err(|error| explain(&error))?;
    if let Some(Introduction { known_at: Some(at), .. }) = before {
        return end(&reference, &Introduction { known_at: Some(at), refused: None }, is_json);
    }
    let prepared = to_request(&customer)?.prepare(leanstack.contract());
    let body: Value = serde_json::from_slice(prepared.body()).map_err(anyhow::Error::from)?;
    output::note(&format!(
        "Would be sent to Leanstack\n  POST {}\n       {}",
        prepared.path(),
        cell(Some(body))
    ));
    demand_agreement(args.change.yes)?;
    let deed = args.change.said.deed(&by);
    let stored = db.introduce_customer(&customer, CUSTOMERS_WAKE, deed).await;
    stored.map_err(|error| explain(&error))?;
    if args.change.no_wait {
        if is_json {
            return Ok(output::json(&json!({ "reference": reference }))?);
        }
        output::line(&format!("Customer {reference} is stored; a daemon makes him known."));
        return Ok(());
    }
    let known = follow(&db, &reference, args.change.patience()).await?;
    end(&reference, &known, is_json)
}

/// Waits until Leanstack knows him, or has refused him.
async fn follow(db: &Database, reference: &str, limit: Duration) -> anyhow::Result<Introduction> {
    let (began, mut is_told) = (Instant::now(), false);
    loop {
        let known = db.introduction(reference).await.map_err(|error| explain(&error))?;
        let known = known.with_context(|| format!("the customer {reference} is gone"))?;
        if known.known_at.is_some() || known.refused.is_some() {
            return Ok(known);
        }
        if !is_told && began.elapsed() >= PICKED_UP_MAX {
            is_told = true;
            output::note("Not yet: is `provisor run` running, with Leanstack enabled?");
        }
        if began.elapsed() >= limit {
            return Ok(known);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn end(reference: &str, known: &Introduction, is_json: bool) -> Result<(), Failed> {
    if is_json {
        output::json(&json!({
            "reference": reference, "known_at": known.known_at, "refused": known.refused }))?;
    }
    match (known.known_at, &known.refused) {
        (Some(_), _) if is_json => Ok(()),
        (Some(at), _) => {
            let at = time(Some(at));
            output::line(&format!("Leanstack knows the customer {reference} since {at}."));
            Ok(())
        }
        (None, Some(why)) => {
            Err(anyhow!("Leanstack refused the customer {reference}: {why}").into())
        }
        (None, None) => Err(anyhow!(
            "Leanstack does not know the customer {reference} yet; a daemon goes on trying"
        )
        .into()),
    }
}

fn text(customer: &Value, key: &str) -> Option<String> {
    customer.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn to_request(customer: &Value) -> anyhow::Result<AddCustomer> {
    let demand = |key: &str| {
        text(customer, key).with_context(|| format!("{key}: is required for Leanstack"))
    };
    Ok(AddCustomer {
        first_name: demand("first_name")?,
        last_name: demand("last_name")?,
        email: demand("email")?,
        phone: Phone::parse(&demand("phone")?)
            .context("phone: must be an international phone number such as +31612345678")?,
        address: demand("address")?,
        country: demand("country")?,
        city: demand("city")?,
        postal_code: demand("postal_code")?,
    })
}

//! `provisor leanstack …`: Leanstack's API, as a person asks it. What makes a customer known goes through his row in the
//! database, which a daemon carries out.

mod customer;

use clap::{Args, Subcommand};

use super::{
    Failed,
    cure::LEANSTACK,
    output::{self, cell, yes_no},
    unobserved,
};
use crate::{
    app,
    config::{Need, Settings},
    order::name::DomainName,
    upstream::{UpstreamError, leanstack::Leanstack},
};

#[derive(Args, Debug)]
pub(super) struct LeanstackArgs {
    /// For scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: LeanstackCommand,
}

#[derive(Subcommand, Debug)]
enum LeanstackCommand {
    /// Tells whether a name is free, and what it costs at Leanstack (`POST /v1/enterprise/domain_availability`).
    Availability {
        /// A domain name, in Unicode or as A-labels. What follows its first dot is taken for the TLD.
        #[arg(value_parser = DomainName::parse)]
        name: DomainName,
    },
    /// Suggests names that are like a word (`POST /v1/enterprise/domain_suggestion`).
    Suggest {
        /// One label, without a dot.
        #[arg(value_parser = label)]
        word: String,
    },
    /// Makes a customer known to Leanstack, once (`POST /v1/enterprise/add_customer`, or …/customer in the edition 2022).
    AddCustomer(customer::AddCustomerArgs),
}

impl LeanstackArgs {
    /// What of the configuration it needs.
    pub(super) fn needs(&self) -> &'static [Need] {
        match &self.command {
            LeanstackCommand::Availability { .. } | LeanstackCommand::Suggest { .. } => {
                &[Need::LeanstackToken]
            }
            LeanstackCommand::AddCustomer(_) => &[Need::Database, Need::LeanstackToken],
        }
    }
}

/// One label, in its normal form.
fn label(text: &str) -> Result<String, String> {
    if text.contains('.') {
        return Err("it has a dot: give the part before it alone".to_owned());
    }
    let name = DomainName::parse(&format!("{text}.example")).map_err(|error| error.why)?;
    Ok(split(&name).0.to_owned())
}

/// The first label, and what follows it.
fn split(name: &DomainName) -> (&str, &str) {
    name.as_str().split_once('.').unwrap_or((name.as_str(), ""))
}

pub(super) async fn leanstack(args: LeanstackArgs, settings: &Settings) -> Result<(), Failed> {
    let leanstack = app::connect_leanstack(settings, unobserved())?;
    match args.command {
        LeanstackCommand::Availability { name } => availability(&leanstack, &name, args.json).await,
        LeanstackCommand::Suggest { word } => suggest(&leanstack, &word, args.json).await,
        LeanstackCommand::AddCustomer(customer) => {
            customer::add(customer, &leanstack, settings, args.json).await
        }
    }
}

async fn availability(leanstack: &Leanstack, name: &DomainName, json: bool) -> Result<(), Failed> {
    let (sld, tld) = split(name);
    let said = leanstack.availability(sld, tld).await.map_err(told)?;
    if json {
        return Ok(output::json(&said)?);
    }
    let mut table = output::table(&["NAME", "TLD SOLD", "FREE", "USD", "NGN"]);
    table.add_row([
        cell(Some(name)),
        yes_no(Some(said.tld_available)),
        yes_no(said.domain_name_available),
        cell(said.dollar_price),
        cell(said.naira_price),
    ]);
    output::line(&table.to_string());
    Ok(())
}

async fn suggest(leanstack: &Leanstack, word: &str, json: bool) -> Result<(), Failed> {
    let suggestions = leanstack.suggestions(word).await.map_err(told)?;
    if json {
        return Ok(output::json(&suggestions)?);
    }
    let mut table = output::table(&["NAME", "USD", "NGN"]);
    for suggestion in &suggestions {
        table.add_row([
            cell(Some(&suggestion.name)),
            cell(suggestion.dollar_price),
            cell(suggestion.naira_price),
        ]);
    }
    output::line(&table.to_string());
    Ok(())
}

fn told(error: UpstreamError) -> Failed {
    LEANSTACK.explain(error).into()
}

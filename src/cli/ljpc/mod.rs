//! `provisor ljpc …`: LJPc's API, as a person asks it. Each question is a safe GET of its own, outside the budget that the
//! daemons share.

mod account;
mod catalogue;
mod hosting;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Failed, cure::LJPC, output, unobserved};
use crate::{
    app,
    config::Settings,
    order::{SiteId, UpstreamOrderId, name::DomainName},
    upstream::UpstreamError,
};

#[derive(Args, Debug)]
pub(super) struct LjpcArgs {
    /// For scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: LjpcCommand,
}

#[derive(Subcommand, Debug)]
enum LjpcCommand {
    /// Lists the TLDs that are sold, with their list prices of a year (GET /api/hosting/v1/tlds).
    Tlds,
    /// Tells whether names can be had: only `available` can be registered (GET /api/hosting/v1/domain-names/check).
    Check(Names),
    /// Tells what names cost this account for a year, without VAT (GET /api/hosting/v1/domain-names/price).
    Price(Names),
    /// The account's domains.
    #[command(subcommand)]
    Domains(DomainsCommand),
    /// The account's WHOIS contacts.
    #[command(subcommand)]
    Contacts(ContactsCommand),
    /// The records of the account's domains.
    #[command(subcommand)]
    Dns(DnsCommand),
    /// The account's hosting sites.
    #[command(subcommand)]
    Sites(SitesCommand),
    /// Lists the products, at the prices that this account pays, without VAT (GET /api/v1/products).
    Products,
    /// Orders, which can be shown by their ids alone.
    #[command(subcommand)]
    Orders(OrdersCommand),
}

#[derive(Args, Debug)]
struct Names {
    /// Domain names, in Unicode or as A-labels.
    #[arg(required = true, value_name = "NAME", value_parser = DomainName::parse)]
    names: Vec<DomainName>,
}

#[derive(Args, Debug)]
struct Name {
    /// A domain name, in Unicode or as A-labels.
    #[arg(value_name = "NAME", value_parser = DomainName::parse)]
    name: DomainName,
}

#[derive(Subcommand, Debug)]
enum DomainsCommand {
    /// Lists them all (GET /api/hosting/v1/domain-names).
    List,
    /// Shows one (GET /api/hosting/v1/domain-names/{domain}).
    Show(Name),
    /// Prints a domain's auth code, a secret: whoever has it can take the domain to another registrar.
    Authcode(Name),
}

#[derive(Subcommand, Debug)]
enum ContactsCommand {
    /// Lists them all: personal data (GET /api/hosting/v1/contacts).
    List,
    /// Shows one: personal data (GET /api/hosting/v1/contacts/{handle}).
    Show {
        /// As a domain names it.
        handle: String,
    },
}

#[derive(Subcommand, Debug)]
enum DnsCommand {
    /// Lists a domain's records, but those of type NS (GET /api/hosting/v1/dns/zones/{domain}/records).
    Get(Name),
}

#[derive(Subcommand, Debug)]
enum SitesCommand {
    /// Lists them all (GET /api/hosting/v1/sites).
    List,
    /// Shows one, and what it uses (GET /api/hosting/v1/sites/{id}).
    Show {
        /// Its number.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
    },
    /// Prints a URL that opens a site's control panel once: a secret (GET /api/hosting/v1/sites/{id}/login).
    Login {
        /// Its number.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
    },
}

#[derive(Subcommand, Debug)]
enum OrdersCommand {
    /// Shows one, and how far it is (GET /api/v1/orders/{id}).
    Show {
        /// LJPc's number, as `provisor order show` tells it.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
    },
}

pub(super) async fn ljpc(args: LjpcArgs, settings: &Settings) -> Result<(), Failed> {
    let ljpc = app::connect_ljpc(settings, unobserved())?;
    let json = args.json;
    match args.command {
        LjpcCommand::Tlds => catalogue::tlds(&ljpc, json).await,
        LjpcCommand::Check(Names { names }) => catalogue::check(&ljpc, &names, json).await,
        LjpcCommand::Price(Names { names }) => catalogue::price(&ljpc, &names, json).await,
        LjpcCommand::Products => catalogue::products(&ljpc, json).await,
        LjpcCommand::Domains(DomainsCommand::List) => account::list_domains(&ljpc, json).await,
        LjpcCommand::Domains(DomainsCommand::Show(Name { name })) => {
            account::show_domain(&ljpc, &name, json).await
        }
        LjpcCommand::Domains(DomainsCommand::Authcode(Name { name })) => {
            account::print_auth_code(&ljpc, &name, json).await
        }
        LjpcCommand::Contacts(ContactsCommand::List) => account::list_contacts(&ljpc, json).await,
        LjpcCommand::Contacts(ContactsCommand::Show { handle }) => {
            account::show_contact(&ljpc, &handle, json).await
        }
        LjpcCommand::Dns(DnsCommand::Get(Name { name })) => {
            account::list_records(&ljpc, &name, json).await
        }
        LjpcCommand::Sites(SitesCommand::List) => hosting::list_sites(&ljpc, json).await,
        LjpcCommand::Sites(SitesCommand::Show { id }) => {
            hosting::show_site(&ljpc, SiteId(id), json).await
        }
        LjpcCommand::Sites(SitesCommand::Login { id }) => {
            hosting::print_login(&ljpc, SiteId(id), json).await
        }
        LjpcCommand::Orders(OrdersCommand::Show { id }) => {
            hosting::show_order(&ljpc, UpstreamOrderId(id), json).await
        }
    }
}

/// The error as a person should read it.
fn told(error: UpstreamError) -> Failed {
    LJPC.explain(error).into()
}

/// Prints a listing: all of it for a script, the given columns for a person.
fn listing<T: Serialize, const COLUMNS: usize>(
    items: &[T],
    json: bool,
    header: [&str; COLUMNS],
    row: impl Fn(&T) -> [String; COLUMNS],
) -> Result<(), Failed> {
    if json {
        return Ok(output::json(&items)?);
    }
    let mut table = output::table(&header);
    for item in items {
        table.add_row(row(item));
    }
    output::line(&table.to_string());
    Ok(())
}

/// Prints one thing: all of it for a script, a fact on each line for a person.
fn facts(data: &impl Serialize, json: bool, facts: &[(&str, String)]) -> Result<(), Failed> {
    if json {
        return Ok(output::json(data)?);
    }
    for (what, fact) in facts {
        output::line(&format!("{what:<16}  {fact}"));
    }
    Ok(())
}

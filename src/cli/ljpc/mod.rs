//! `provisor ljpc …`: LJPc's API, as a person asks it. Each question is a safe GET of its own, outside the budget that the
//! daemons share. What buys or changes something goes through the ledger, as an order that a daemon carries out.

mod account;
mod catalogue;
mod changes;
mod hosting;
mod zones;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Failed, cure::LJPC, output, unobserved};
use crate::{
    app,
    config::{Need, Settings},
    order::{SiteId, UpstreamOrderId, name::DomainName},
    upstream::{UpstreamError, ljpc::Ljpc},
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
    /// Registers a name (POST /api/hosting/v1/domain-names).
    Register(changes::RegisterArgs),
    /// Transfers a name in, by its auth code (POST /api/hosting/v1/domain-names/{domain}/transfer).
    Transfer(changes::TransferArgs),
    /// Changes what is given (PATCH /api/hosting/v1/domain-names/{domain}).
    Update(changes::UpdateArgs),
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
    /// Makes one, unless one with these details is there (POST /api/hosting/v1/contacts).
    Create(changes::CreateContactArgs),
    /// Changes what is given, for every domain that bears the handle (PATCH /api/hosting/v1/contacts/{handle}).
    Update(changes::UpdateContactArgs),
}

#[derive(Subcommand, Debug)]
enum DnsCommand {
    /// Lists a domain's records, but those of type NS (GET /api/hosting/v1/dns/zones/{domain}/records).
    Get(Name),
    /// Compares a domain's records with wished ones, and changes nothing.
    Diff(zones::RecordsArgs),
    /// Replaces all of a domain's records, but those of type NS (PUT /api/hosting/v1/dns/zones/{domain}/records).
    Put(zones::PutArgs),
    /// Brings back what a domain's records were before a change that Provisor made.
    Rollback(zones::RollbackArgs),
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
    /// Orders hosting, or what a file says (POST /api/v1/orders).
    Create(Box<changes::CreateOrderArgs>),
}

impl LjpcArgs {
    /// What of the configuration it needs: an order goes through the database.
    pub(super) fn needs(&self) -> &'static [Need] {
        match &self.command {
            LjpcCommand::Domains(
                DomainsCommand::Register(_)
                | DomainsCommand::Transfer(_)
                | DomainsCommand::Update(_),
            )
            | LjpcCommand::Contacts(ContactsCommand::Create(_) | ContactsCommand::Update(_))
            | LjpcCommand::Dns(DnsCommand::Put(_) | DnsCommand::Rollback(_))
            | LjpcCommand::Orders(OrdersCommand::Create(_)) => &[Need::Database, Need::Ljpc],
            LjpcCommand::Check(_) => &[Need::Ljpc, Need::Leanstack],
            LjpcCommand::Tlds
            | LjpcCommand::Price(_)
            | LjpcCommand::Domains(_)
            | LjpcCommand::Contacts(_)
            | LjpcCommand::Dns(_)
            | LjpcCommand::Sites(_)
            | LjpcCommand::Products
            | LjpcCommand::Orders(_) => &[Need::Ljpc],
        }
    }
}

pub(super) async fn ljpc(args: LjpcArgs, settings: &Settings) -> Result<(), Failed> {
    let json = args.json;
    match args.command {
        LjpcCommand::Domains(command) => domains(command, settings, json).await,
        LjpcCommand::Contacts(command) => contacts(command, settings, json).await,
        LjpcCommand::Dns(command) => dns(command, settings, json).await,
        LjpcCommand::Sites(command) => sites(command, settings, json).await,
        LjpcCommand::Orders(OrdersCommand::Show { id }) => {
            hosting::show_order(&connect(settings)?, UpstreamOrderId(id), json).await
        }
        LjpcCommand::Orders(OrdersCommand::Create(args)) => {
            changes::create_order(*args, settings, json).await
        }
        LjpcCommand::Tlds => catalogue::tlds(&connect(settings)?, json).await,
        LjpcCommand::Check(Names { names }) => {
            let advisor = settings
                .leanstack
                .enabled
                .then(|| app::connect_leanstack(settings, unobserved()))
                .transpose()?;
            catalogue::check(&connect(settings)?, advisor.as_ref(), &names, json).await
        }
        LjpcCommand::Price(Names { names }) => {
            catalogue::price(&connect(settings)?, &names, json).await
        }
        LjpcCommand::Products => catalogue::products(&connect(settings)?, json).await,
    }
}

fn connect(settings: &Settings) -> anyhow::Result<Ljpc> {
    app::connect_ljpc(settings, unobserved())
}

async fn domains(command: DomainsCommand, settings: &Settings, json: bool) -> Result<(), Failed> {
    match command {
        DomainsCommand::List => account::list_domains(&connect(settings)?, json).await,
        DomainsCommand::Show(Name { name }) => {
            account::show_domain(&connect(settings)?, &name, json).await
        }
        DomainsCommand::Register(args) => changes::register(args, settings, json).await,
        DomainsCommand::Transfer(args) => changes::transfer(args, settings, json).await,
        DomainsCommand::Update(args) => changes::update(args, settings, json).await,
        DomainsCommand::Authcode(Name { name }) => {
            account::print_auth_code(&connect(settings)?, &name, json).await
        }
    }
}

async fn contacts(command: ContactsCommand, settings: &Settings, json: bool) -> Result<(), Failed> {
    match command {
        ContactsCommand::List => account::list_contacts(&connect(settings)?, json).await,
        ContactsCommand::Show { handle } => {
            account::show_contact(&connect(settings)?, &handle, json).await
        }
        ContactsCommand::Create(args) => changes::create_contact(args, settings, json).await,
        ContactsCommand::Update(args) => changes::update_contact(args, settings, json).await,
    }
}

async fn dns(command: DnsCommand, settings: &Settings, json: bool) -> Result<(), Failed> {
    match command {
        DnsCommand::Get(Name { name }) => {
            account::list_records(&connect(settings)?, &name, json).await
        }
        DnsCommand::Diff(args) => zones::diff(args, settings, json).await,
        DnsCommand::Put(args) => zones::put(args, settings, json).await,
        DnsCommand::Rollback(args) => zones::rollback(args, settings, json).await,
    }
}

async fn sites(command: SitesCommand, settings: &Settings, json: bool) -> Result<(), Failed> {
    let ljpc = connect(settings)?;
    match command {
        SitesCommand::List => hosting::list_sites(&ljpc, json).await,
        SitesCommand::Show { id } => hosting::show_site(&ljpc, SiteId(id), json).await,
        SitesCommand::Login { id } => hosting::print_login(&ljpc, SiteId(id), json).await,
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

//! What is bought or changed at LJPc: each command is an order of one line.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    app,
    cli::{
        Failed,
        change::{
            self, ChangeArgs, Wanted, Whose, operator, read_auth_code, read_json, read_records,
        },
    },
    config::Settings,
    db::operators::Submitter,
    order::name::DomainName,
};

/// What a name that is bought may be told.
#[derive(Args, Debug)]
pub(super) struct NameArgs {
    /// A domain name, in Unicode or as A-labels.
    #[arg(value_name = "NAME", value_parser = DomainName::parse)]
    name: DomainName,
    /// The WHOIS contact that it shall bear; else one is made of --customer.
    #[arg(long, value_name = "HANDLE")]
    contact_handle: Option<String>,
    /// A name server, two at least; else LJPc's own (register), or those that it has (transfer).
    #[arg(long = "nameserver", value_name = "HOST")]
    nameservers: Vec<String>,
    /// Whether it shall be renewed by itself; else as LJPc sets it.
    #[arg(long, value_name = "BOOL")]
    auto_renew: Option<bool>,
    /// Whether it shall be locked against being transferred away; else as LJPc sets it.
    #[arg(long, value_name = "BOOL")]
    transfer_lock: Option<bool>,
    /// Its records afterwards: JSON, as `ljpc dns put` takes them.
    #[arg(long, value_name = "FILE")]
    dns: Option<PathBuf>,
    /// The most that it may cost, EUR without VAT; else what is shown before you agree.
    #[arg(long, value_name = "EUR")]
    max_cost: Option<String>,
    /// It may be a premium name, for which the registry asks more.
    #[arg(long)]
    allow_premium: bool,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    provisor ljpc domains register example.nl --contact-handle apitest-owned-0001\n  \
    provisor ljpc domains register example.nl --customer bob.json --years 2 --auto-renew true --yes")]
pub(super) struct RegisterArgs {
    #[command(flatten)]
    name: NameArgs,
    /// For how long.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    years: u8,
}

#[derive(Args, Debug)]
#[command(
    after_help = "A transfer takes days: with --no-wait it is left to the daemon.\n\nExamples:\n  \
    provisor ljpc domains transfer example.nl --contact-handle apitest-owned-0001 --auth-code-file code.txt\n  \
    pass show example.nl | provisor ljpc domains transfer example.nl --customer bob.json \\\n    \
    --auth-code-file - --yes --no-wait"
)]
pub(super) struct TransferArgs {
    #[command(flatten)]
    name: NameArgs,
    /// The auth code, a secret: a file that holds it, `-` for standard input; else
    /// `PROVISOR_AUTH_CODE`.
    #[arg(long, value_name = "FILE")]
    auth_code_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    provisor ljpc domains update example.nl --auto-renew false\n  \
    provisor ljpc domains update example.nl --nameserver ns1.example.com --nameserver ns2.example.com --yes")]
pub(super) struct UpdateArgs {
    /// A domain name of this account, in Unicode or as A-labels.
    #[arg(value_name = "NAME", value_parser = DomainName::parse)]
    name: DomainName,
    /// A name server, two to four: they replace those that it has.
    #[arg(long = "nameserver", value_name = "HOST")]
    nameservers: Vec<String>,
    /// Whether it shall be renewed by itself.
    #[arg(long, value_name = "BOOL")]
    auto_renew: Option<bool>,
    /// Whether it shall be locked against being transferred away.
    #[arg(long, value_name = "BOOL")]
    transfer_lock: Option<bool>,
    /// The WHOIS contact that it shall bear.
    #[arg(long, value_name = "HANDLE")]
    contact_handle: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// The details of a WHOIS contact.
#[derive(Args, Debug)]
pub(super) struct ContactArgs {
    /// First and last name, or an organization's.
    #[arg(long)]
    name: Option<String>,
    /// The organization, if it is one.
    #[arg(long)]
    organization: Option<String>,
    /// Street and number.
    #[arg(long)]
    address: Option<String>,
    /// Postal code.
    #[arg(long)]
    postal_code: Option<String>,
    /// City.
    #[arg(long)]
    city: Option<String>,
    /// Two letters, ISO 3166: NL.
    #[arg(long)]
    country: Option<String>,
    /// Email address.
    #[arg(long)]
    email: Option<String>,
    /// A telephone number: +31612345678.
    #[arg(long)]
    phone: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  \
    provisor ljpc contacts create --name 'Bob Brown' --address 'Teststreet 1' --postal-code 1234AB \\\n    \
    --city Testcity --country NL --email bob@example.com --phone +31612345678")]
pub(super) struct CreateContactArgs {
    #[command(flatten)]
    contact: ContactArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "The change reaches EVERY domain that bears the handle.\n\nExample:\n  \
    provisor ljpc contacts update apitest-owned-0001 --email new@example.com")]
pub(super) struct UpdateContactArgs {
    /// As a domain names it.
    handle: String,
    #[command(flatten)]
    contact: ContactArgs,
}

pub(super) async fn register(
    args: RegisterArgs,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    let mut line = args.name.line("domain_register")?;
    line.insert("years".to_owned(), args.years.into());
    buy(args.name, line, settings, json).await
}

pub(super) async fn transfer(
    args: TransferArgs,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    let mut line = args.name.line("domain_transfer")?;
    let code = read_auth_code(args.auth_code_file.as_ref())
        .map_err(|error| Failed::Usage(format!("{error:#}")))?;
    line.insert("auth_code".to_owned(), code.into());
    buy(args.name, line, settings, json).await
}

async fn buy(
    args: NameArgs,
    line: Map<String, Value>,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    if args.contact_handle.is_none() && args.whose.customer.is_none() {
        return Err(Failed::Usage(
            "whose shall it be? Give --contact-handle HANDLE, or --customer FILE with the registrant's details"
                .to_owned(),
        ));
    }
    let customer = args.whose.customer(settings)?;
    let wanted =
        Wanted { lines: vec![line.into()], customer, submitter: Submitter::Shop, warning: None };
    change::carry_out(wanted, args.change, settings, json).await
}

impl NameArgs {
    fn line(&self, kind: &str) -> Result<Map<String, Value>, Failed> {
        let mut line = object(json!({
            "kind": kind, "domain": self.name, "contact_handle": self.contact_handle,
            "auto_renew": self.auto_renew, "transfer_lock": self.transfer_lock,
            "max_cost": self.max_cost, "nameservers": some(&self.nameservers),
        }));
        if self.allow_premium {
            line.insert("allow_premium".to_owned(), true.into());
        }
        if let Some(file) = &self.dns {
            line.insert("dns".to_owned(), read_records(file)?.0);
        }
        Ok(line)
    }
}

/// The fields of a line that is written down here.
fn object(line: Value) -> Map<String, Value> {
    if let Value::Object(fields) = line { fields } else { Map::new() }
}

/// What was given; an empty list is none.
fn some(names: &[String]) -> Option<&[String]> {
    (!names.is_empty()).then_some(names)
}

pub(super) async fn update(
    args: UpdateArgs,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    let line = json!({
        "kind": "domain_update", "domain": args.name, "nameservers": some(&args.nameservers),
        "auto_renew": args.auto_renew, "transfer_lock": args.transfer_lock,
        "contact_handle": args.contact_handle,
    });
    change::carry_out(Wanted::of_operator(line, settings)?, args.change, settings, json).await
}

pub(super) async fn create_contact(
    args: CreateContactArgs,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    let line = args.contact.line("contact_create");
    let mut wanted = Wanted::of_operator(line.into(), settings)?;
    wanted.submitter = Submitter::Operator;
    wanted.warning = Some("A WHOIS contact can't be taken back: LJPc deletes none.".to_owned());
    change::carry_out(wanted, args.contact.change, settings, json).await
}

pub(super) async fn update_contact(
    args: UpdateContactArgs,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    let mut line = args.contact.line("contact_update");
    line.insert("contact_handle".to_owned(), args.handle.clone().into());
    let mut wanted = Wanted::of_operator(line.into(), settings)?;
    wanted.submitter = Submitter::Operator;
    wanted.warning = Some(reach_of(&args.handle, settings).await?);
    change::carry_out(wanted, args.contact.change, settings, json).await
}

/// What a change of a contact reaches.
async fn reach_of(handle: &str, settings: &Settings) -> Result<String, Failed> {
    let db = app::connect_now(settings).await?;
    let names = db.names_of_contact(handle).await;
    let (names, in_all) = names.map_err(|error| crate::cli::order::explain(&error))?;
    let told = i64::try_from(names.len()).unwrap_or(i64::MAX);
    let more = match in_all.saturating_sub(told) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let known = match names.as_slice() {
        [] => "Provisor knows of none; there may be others".to_owned(),
        names => format!("those that Provisor knows of: {}{more}", names.join(", ")),
    };
    Ok(format!("This changes EVERY domain that bears the WHOIS contact {handle} ({known})."))
}

impl ContactArgs {
    fn line(&self, kind: &str) -> Map<String, Value> {
        object(json!({
            "kind": kind, "name": self.name, "organization": self.organization,
            "address": self.address, "postal_code": self.postal_code, "city": self.city,
            "country": self.country, "email": self.email, "phone": self.phone,
        }))
    }
}

impl Wanted {
    /// One line of a shop's kinds, for the operator himself.
    pub(super) fn of_operator(line: Value, settings: &Settings) -> Result<Self, Failed> {
        let customer = operator(settings)?;
        Ok(Self { lines: vec![line], customer, submitter: Submitter::Shop, warning: None })
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    provisor ljpc orders create --domain example.nl --package hosting_5gb --billing-period monthly\n  \
    provisor ljpc orders create --domain example.nl --package hosting_forward --billing-period yearly \\\n    \
    --target-url https://example.com/ --yes\n  \
    provisor ljpc orders create --domain example.nl --space-id 7\n  \
    provisor ljpc orders create lines.json --customer bob.json\n\n\
    FILE holds a line, or an array of lines, as in an order document.")]
pub(super) struct CreateOrderArgs {
    /// A line or several, JSON; `-` for standard input. Instead of the options for hosting.
    #[arg(value_name = "FILE", required_unless_present = "domain")]
    file: Option<PathBuf>,
    /// The name that is hosted.
    #[arg(long, value_name = "NAME", conflicts_with = "file", value_parser = DomainName::parse)]
    domain: Option<DomainName>,
    /// A package, as `ljpc products` names it.
    #[arg(long, conflicts_with = "file")]
    package: Option<String>,
    /// Instead of a package: the product's UUID, which may change from day to day.
    #[arg(long, value_name = "UUID", conflicts_with_all = ["file", "package"])]
    product_uuid: Option<String>,
    /// Instead of a package: a space of one's own, by its number at LJPc.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "package", "product_uuid"])]
    space_id: Option<i64>,
    /// monthly or yearly, where the product lets one choose.
    #[arg(long, value_name = "PERIOD", conflicts_with = "file")]
    billing_period: Option<String>,
    /// Where a `hosting_forward` sends its visitors.
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    target_url: Option<String>,
    /// The most that it may cost, EUR without VAT; else what is shown before you agree.
    #[arg(long, value_name = "EUR", conflicts_with_all = ["file", "space_id"])]
    max_cost: Option<String>,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(super) async fn create_order(
    args: CreateOrderArgs,
    settings: &Settings,
    json: bool,
) -> Result<(), Failed> {
    let lines = match (&args.file, args.space_id) {
        (Some(file), _) => {
            let document = read_json(file)?;
            document.as_array().cloned().unwrap_or_else(|| vec![document])
        }
        (None, Some(space_id)) => {
            vec![json!({ "kind": "hosting_own", "domain": args.domain, "space_id": space_id })]
        }
        (None, None) => vec![json!({
            "kind": "hosting", "domain": args.domain, "package": args.package,
            "product_uuid": args.product_uuid, "billing_period": args.billing_period,
            "target_url": args.target_url, "max_cost": args.max_cost,
        })],
    };
    let customer = args.whose.customer(settings)?;
    let wanted = Wanted { lines, customer, submitter: Submitter::Shop, warning: None };
    change::carry_out(wanted, args.change, settings, json).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// What of a line is something.
    fn given(line: Result<Map<String, Value>, Failed>) -> Map<String, Value> {
        let fields = line.unwrap_or_else(|_| panic!("a line"));
        fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    #[derive(Parser)]
    struct Names {
        #[command(flatten)]
        name: NameArgs,
    }

    #[test]
    fn a_line_says_what_was_given_and_nothing_else() {
        let bare = Names::try_parse_from(["register", "B\u{fc}cher.example"]).unwrap();
        let line = Value::from(given(bare.name.line("domain_register")));
        let expected = json!({ "kind": "domain_register", "domain": "xn--bcher-kva.example" });
        assert_eq!(line, expected);
        let all = Names::try_parse_from([
            "register",
            "example.nl",
            "--auto-renew=false",
            "--transfer-lock=true",
            "--nameserver=ns1.example.com",
            "--nameserver=ns2.example.com",
            "--max-cost=5",
            "--allow-premium",
            "--contact-handle=h-1",
        ])
        .unwrap();
        assert_eq!(given(all.name.line("domain_transfer")).len(), 8);
    }
}

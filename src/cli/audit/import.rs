//! `provisor audit import`: what was sold before Provisor came.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Failed, SaidArgs, output};
use crate::{
    app,
    config::Settings,
    db::{
        Database,
        audit::{AssetKind, ImportedAsset, ImportedOwner, Importing, ListedAsset},
        operators::pauses::Deed,
    },
    jobs::audit::Auditor,
    lifecycle::Lifecycle,
    order::name::DomainName,
};

/// The most rows of a list.
const ROWS_MAX: usize = 1_000_000;

/// The mistakes that are told at a time.
const TOLD_MAX: usize = 50;

/// Assets of one transaction.
const BATCH: usize = 500;

#[derive(Args, Debug)]
#[command(
    after_help = "The list is a CSV with a header. Each row names a `domain` or a `site_id`, and its owner: `reference` \
    (how the shop knows the customer), `first_name`, `last_name`, `email`; and, if wished, `organization`, `phone`, \
    `address`, `postal_code`, `city`, `country`, `locale` (en, nl) and `auto_renew` (true, false). A customer who is known \
    already keeps his details. Importing again changes nothing but `auto_renew`."
)]
pub(super) struct ImportArgs {
    /// Who has what.
    #[arg(long, value_name = "FILE")]
    owners: Option<PathBuf>,
    /// Leave out what the account does not have, and what another customer has, instead of refusing the whole list.
    #[arg(long, requires = "owners")]
    skip: bool,
    /// Only check the list.
    #[arg(long, requires = "owners")]
    dry_run: bool,
    #[command(flatten)]
    said: SaidArgs,
}

/// A row of the list.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    domain: String,
    #[serde(default)]
    site_id: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    #[serde(default)]
    organization: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    postal_code: String,
    #[serde(default)]
    city: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    locale: String,
    #[serde(default)]
    auto_renew: String,
}

/// A row that was understood.
struct Owned {
    /// Its line in the file.
    line: u64,
    kind: AssetKind,
    key: String,
    reference: String,
    owner: Value,
    auto_renew: Option<bool>,
}

/// What came of an import.
#[derive(Default, Serialize)]
struct Outcome {
    dry_run: bool,
    domains: u64,
    sites: u64,
    known: u64,
    skipped: Vec<String>,
}

/// What the account has, by key.
struct Account {
    domains: HashMap<String, ListedAsset>,
    sites: HashMap<String, ListedAsset>,
}

impl Account {
    fn of(&self, kind: AssetKind) -> &HashMap<String, ListedAsset> {
        match kind {
            AssetKind::Domain => &self.domains,
            AssetKind::Site => &self.sites,
        }
    }
}

pub(super) async fn import(
    args: ImportArgs,
    settings: &Settings,
    db: &Database,
    is_json: bool,
) -> Result<(), Failed> {
    let rows = args.owners.as_deref().map(read_list).transpose()?;
    let lifecycle = Lifecycle::by_signals().map_err(anyhow::Error::from)?;
    let auditor = app::connect_auditor(settings, &lifecycle, db)?;
    let account = list(&auditor).await?;
    let Some(rows) = rows else {
        return Ok(tell_unowned(db, &account, is_json).await?);
    };
    let (mut rows, skipped) = sort_out(db, &account, rows).await?;
    // In one order, so that two imports can't wait for each other.
    rows.sort_by(|one, other| (one.kind, &one.key).cmp(&(other.kind, &other.key)));
    if !skipped.is_empty() && !args.skip {
        return Err(anyhow!(
            "nothing is imported:\n{}\nMend the list, or leave these rows out by --skip.",
            told(&skipped)
        )
        .into());
    }
    let by = args.said.who()?;
    // All rows are tried before the first one is written.
    let mut outcome = Outcome::default();
    let passes: &[bool] = if args.dry_run { &[true] } else { &[true, false] };
    for &dry_run in passes {
        outcome = Outcome { dry_run, skipped: skipped.clone(), ..Outcome::default() };
        for batch in rows.chunks(BATCH) {
            let deed = (!dry_run).then(|| args.said.deed(&by));
            take_over(db, &account, batch, deed, &mut outcome).await?;
        }
    }
    if is_json {
        return Ok(output::json(&outcome)?);
    }
    for skipped in &outcome.skipped {
        output::note(&format!("left out: {skipped}"));
    }
    let would = if outcome.dry_run { "would be " } else { "" };
    output::line(&format!(
        "{} domains and {} sites {would}imported; {} were known already. The next audit looks at them.",
        outcome.domains, outcome.sites, outcome.known
    ));
    Ok(())
}

fn told(mistakes: &[String]) -> String {
    let more = mistakes.len().saturating_sub(TOLD_MAX);
    let rest = (more > 0).then(|| format!("and {more} more"));
    mistakes.iter().take(TOLD_MAX).cloned().chain(rest).collect::<Vec<_>>().join("\n")
}

/// Reads the list; all mistakes are told at once, each with its line.
fn read_list(path: &Path) -> anyhow::Result<Vec<Owned>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("{shown} can't be read"))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let (mut rows, mut mistakes, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let header = reader.headers().with_context(|| format!("{shown} can't be read"))?.clone();
    for record in reader.records() {
        if rows.len() >= ROWS_MAX {
            bail!("{shown} has more than {ROWS_MAX} rows: import it in parts");
        }
        // A header that is wrong makes every row wrong.
        if mistakes.len() > TOLD_MAX {
            break;
        }
        let line_of = |at: Option<&csv::Position>| at.map_or(0, csv::Position::line);
        let read = record.map_err(|error| (line_of(error.position()), error)).and_then(|record| {
            let line = line_of(record.position());
            let row = record.deserialize::<Row>(Some(&header));
            row.map(|row| (line, row)).map_err(|error| (line, error))
        });
        let (line, row) = match read {
            Ok(read) => read,
            Err((line, error)) => {
                let why = if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
                    err.to_string()
                } else {
                    error.to_string()
                };
                mistakes.push(format!("line {line}: {why}"));
                continue;
            }
        };
        match understand(&row, line) {
            Ok(owned) if seen.insert((owned.kind, owned.key.clone())) => rows.push(owned),
            Ok(owned) => mistakes.push(format!("line {line}: {} comes twice", owned.key)),
            Err(why) => mistakes.push(format!("line {line}: {why}")),
        }
    }
    if !mistakes.is_empty() {
        bail!("{shown} can't be used, and nothing is imported:\n{}", told(&mistakes));
    }
    Ok(rows)
}

fn understand(row: &Row, line: u64) -> Result<Owned, String> {
    let (kind, key) = match (row.domain.as_str(), row.site_id.as_str()) {
        ("", "") => return Err("neither domain nor site_id is given".to_owned()),
        (domain, "") => {
            let name = DomainName::parse(domain).map_err(|error| format!("domain: {error}"))?;
            (AssetKind::Domain, name.as_str().to_owned())
        }
        ("", id) => {
            let id: u64 = id.parse().map_err(|_| format!("site_id: {id} is no number"))?;
            (AssetKind::Site, format!("{id:020}"))
        }
        _ => return Err("domain and site_id are both given".to_owned()),
    };
    let auto_renew = match (row.auto_renew.as_str(), kind) {
        ("", _) => None,
        ("true" | "yes" | "1", AssetKind::Domain) => Some(true),
        ("false" | "no" | "0", AssetKind::Domain) => Some(false),
        (_, AssetKind::Domain) => return Err("auto_renew: write true or false".to_owned()),
        (_, AssetKind::Site) => return Err("auto_renew: a site has none".to_owned()),
    };
    let mut owner = json!({
        "reference": row.reference, "first_name": row.first_name, "last_name": row.last_name,
        "organization": row.organization, "email": row.email, "phone": row.phone, "address": row.address,
        "postal_code": row.postal_code, "city": row.city, "country": row.country, "locale": row.locale,
    });
    for required in ["reference", "first_name", "last_name", "email"] {
        if owner.get(required).and_then(Value::as_str) == Some("") {
            return Err(format!("{required} is required"));
        }
    }
    if let Some(fields) = owner.as_object_mut() {
        fields.retain(|_, value| value.as_str() != Some(""));
    }
    Ok(Owned { line, kind, key, reference: row.reference.clone(), owner, auto_renew })
}

/// What the account has.
async fn list(auditor: &Auditor) -> anyhow::Result<Account> {
    let by_key = |listed: Vec<ListedAsset>| {
        listed.into_iter().map(|asset| (asset.key.clone(), asset)).collect::<HashMap<_, _>>()
    };
    let domains = by_key(auditor.all(AssetKind::Domain).await?);
    let sites = by_key(auditor.all(AssetKind::Site).await?);
    Ok(Account { domains, sites })
}

/// Which rows can be imported, and why not the others.
async fn sort_out(
    db: &Database,
    account: &Account,
    rows: Vec<Owned>,
) -> anyhow::Result<(Vec<Owned>, Vec<String>)> {
    let mut owners = BTreeMap::new();
    for kind in [AssetKind::Domain, AssetKind::Site] {
        let keys: Vec<String> =
            rows.iter().filter(|row| row.kind == kind).map(|row| row.key.clone()).collect();
        for keys in keys.chunks(BATCH) {
            let known = db.owners_of(kind, keys).await?;
            owners.extend(known.into_iter().map(|(key, owner)| ((kind, key), owner)));
        }
    }
    let (mut good, mut skipped) = (Vec::new(), Vec::new());
    for row in rows {
        let shown = shown(row.kind, &row.key);
        let owner = owners.get(&(row.kind, row.key.clone()));
        if !account.of(row.kind).contains_key(&row.key) {
            skipped.push(format!("line {}: the account does not have {shown}", row.line));
        } else if owner.is_some_and(|owner| owner.as_deref() != Some(row.reference.as_str())) {
            skipped.push(format!("line {}: {shown} is another customer's already", row.line));
        } else {
            good.push(row);
        }
    }
    Ok((good, skipped))
}

fn shown(kind: AssetKind, key: &str) -> String {
    match kind {
        AssetKind::Domain => key.to_owned(),
        AssetKind::Site => format!("site {}", key.trim_start_matches('0')),
    }
}

async fn take_over(
    db: &Database,
    account: &Account,
    batch: &[Owned],
    deed: Option<Deed<'_>>,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let asset = |row: &Owned| {
        Some(ImportedAsset {
            kind: row.kind,
            listed: account.of(row.kind).get(&row.key)?.clone(),
            owner: ImportedOwner(row.owner.clone()),
            auto_renew: row.auto_renew,
        })
    };
    let assets: Vec<ImportedAsset> = batch.iter().filter_map(asset).collect();
    let answers = db.import_assets(&assets, deed).await.map_err(|error| {
        let said = error
            .server_message()
            .map_or_else(|| crate::causes::causes(&error).to_string(), str::to_owned);
        let key = error.server_detail();
        match batch.iter().find(|row| Some(row.key.as_str()) == key) {
            Some(row) if outcome.dry_run => {
                anyhow!("nothing is imported: line {}: {said}", row.line)
            }
            Some(row) => anyhow!("the import stopped at line {}, begin it again: {said}", row.line),
            None => anyhow!("the import stopped, begin it again: {said}"),
        }
    })?;
    for (row, answer) in batch.iter().zip(answers) {
        match (answer, row.kind) {
            (Importing::Imported, AssetKind::Domain) => outcome.domains += 1,
            (Importing::Imported, AssetKind::Site) => outcome.sites += 1,
            (Importing::Known, _) => outcome.known += 1,
            (Importing::Foreign, _) => outcome.skipped.push(format!(
                "line {}: {} is another customer's already",
                row.line,
                shown(row.kind, &row.key)
            )),
        }
    }
    Ok(())
}

/// What the account has and nobody is known to have bought, as a list to be filled in.
async fn tell_unowned(db: &Database, account: &Account, is_json: bool) -> anyhow::Result<()> {
    let mut unowned = Vec::new();
    for kind in [AssetKind::Domain, AssetKind::Site] {
        let mut keys: Vec<String> = account.of(kind).keys().cloned().collect();
        keys.sort();
        for keys in keys.chunks(BATCH) {
            let known: BTreeSet<String> =
                db.owners_of(kind, keys).await?.into_iter().map(|(key, _)| key).collect();
            let free = keys.iter().filter(|key| !known.contains(*key));
            unowned.extend(free.map(|key| match kind {
                AssetKind::Domain => Row { domain: key.clone(), ..Row::default() },
                AssetKind::Site => {
                    let site_id = key.trim_start_matches('0').to_owned();
                    Row { site_id, ..Row::default() }
                }
            }));
        }
    }
    if is_json {
        let of = |row: &Row| {
            if row.domain.is_empty() {
                json!({ "site_id": row.site_id.parse::<i64>().ok() })
            } else {
                json!({ "domain": row.domain })
            }
        };
        return output::json(&unowned.iter().map(of).collect::<Vec<_>>());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in &unowned {
        writer.serialize(row)?;
    }
    let text = String::from_utf8(writer.into_inner().map_err(|error| anyhow!("{error}"))?)?;
    if unowned.is_empty() {
        output::note("Whatever the account has is somebody's.");
    } else {
        output::line(text.trim_end());
    }
    Ok(())
}

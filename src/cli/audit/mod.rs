//! `provisor audit …`

mod import;
mod progress;
mod run;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failed, output, said::SaidArgs};
use crate::{
    app,
    config::{Need, Settings},
    db::{
        Database,
        audit::{AssetKind, ListedFinding, ReminderRow},
    },
    order::name::DomainName,
};

/// The most rows of one listing.
const LISTED_MAX: i64 = 100_000;

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// For scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand, Debug)]
enum AuditCommand {
    /// Audits now, as the schedule does: reads what the account has, compares it with what is wished, reminds customers.
    ///
    /// It may take a while: an audit leaves most of the budget to orders. What was begun is gone on with, by the daemon or
    /// by the next `audit run`, if this is interrupted. Exit status 1: it could not read everything, or has braked.
    Run(run::RunArgs),
    /// Lists what audits have found, the gravest first.
    Findings {
        /// Only what is still so.
        #[arg(long)]
        open: bool,
    },
    /// Brings in domains and sites that were sold before Provisor came, by a list of their owners.
    ///
    /// Without --owners it prints what the account has and nobody is known to have bought, as a CSV to be filled in.
    Import(import::ImportArgs),
    /// Says that nobody has a domain or a site any more that was sold: it was transferred away, or ended by agreement.
    ///
    /// It is no longer missed, and nobody is reminded of it. If the account still has it, it is found as unknown.
    Disown {
        /// The domain, or the site's id.
        #[arg(value_name = "DOMAIN|SITE_ID", required = true)]
        assets: Vec<String>,
        #[command(flatten)]
        said: SaidArgs,
    },
    /// Lists which reminders of expiries went out when: the proof, which is kept for three years.
    Reminders {
        /// Only of this name.
        #[arg(value_name = "DOMAIN", value_parser = DomainName::parse)]
        domain: Option<DomainName>,
    },
}

impl AuditArgs {
    /// What must be configured.
    pub(super) const fn needs(&self) -> &'static [Need] {
        match self.command {
            AuditCommand::Run(_) | AuditCommand::Import(_) => &[Need::Database, Need::Ljpc],
            AuditCommand::Findings { .. }
            | AuditCommand::Disown { .. }
            | AuditCommand::Reminders { .. } => &[Need::Database],
        }
    }
}

pub(super) async fn audit(args: AuditArgs, settings: &Settings) -> Result<(), Failed> {
    let db = app::connect_now(settings).await?;
    match args.command {
        AuditCommand::Run(run) => run::run(run, settings, &db, args.json).await,
        AuditCommand::Findings { open } => Ok(findings(&db, open, args.json).await?),
        AuditCommand::Import(import) => import::import(import, settings, &db, args.json).await,
        AuditCommand::Disown { assets, said } => Ok(disown(&db, &assets, &said, args.json).await?),
        AuditCommand::Reminders { domain } => {
            let rows = db.reminders(domain.as_ref().map(DomainName::as_str), LISTED_MAX).await;
            let rows = rows.map_err(anyhow::Error::from)?;
            if args.json {
                output::json(&rows)?;
            } else {
                show_reminders(&rows);
            }
            Ok(())
        }
    }
}

/// Each that can be; what could not be is told at the end.
async fn disown(
    db: &Database,
    assets: &[String],
    said: &SaidArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    let by = said.who()?;
    let deed = said.deed(&by);
    let mut named = Vec::new();
    for asset in assets {
        named.push(match asset.parse::<u64>() {
            Ok(id) => (AssetKind::Site, format!("{id:020}")),
            Err(_) => (AssetKind::Domain, DomainName::parse(asset)?.as_str().to_owned()),
        });
    }
    let mut unknown = Vec::new();
    for ((kind, key), asset) in named.iter().zip(assets) {
        if !db.disown(*kind, key, deed).await? {
            unknown.push(asset.as_str());
        }
    }
    anyhow::ensure!(
        unknown.is_empty(),
        "nobody is known to have {}, or its order is still under way: it stays as it is",
        unknown.join(", ")
    );
    if is_json {
        return output::json(&json!({ "disowned": assets }));
    }
    output::line(&format!(
        "Nobody has {} any more; the next audit closes what it found.",
        assets.join(", ")
    ));
    Ok(())
}

async fn findings(db: &Database, open: bool, is_json: bool) -> anyhow::Result<()> {
    let findings = db.findings(open, LISTED_MAX).await?;
    if is_json {
        return output::json(&findings);
    }
    if findings.is_empty() {
        output::line("No findings: what the last audit has read is what is wished.");
        return Ok(());
    }
    output::line(&table(findings.iter()));
    Ok(())
}

/// Findings as a table.
fn table<'a>(findings: impl Iterator<Item = &'a ListedFinding>) -> String {
    let mut table = output::table(&["SEVERITY", "KIND", "SUBJECT", "SINCE", "CLOSED", "DETAIL"]);
    for finding in findings {
        table.add_row([
            finding.severity.clone(),
            finding.kind.clone(),
            output::cell(Some(&finding.subject)),
            output::time(Some(finding.first_seen)),
            output::time(finding.closed_at),
            output::cell(Some(&finding.detail)),
        ]);
    }
    table.to_string()
}

fn show_reminders(rows: &[ReminderRow]) {
    if rows.is_empty() {
        output::line("No reminder was due yet.");
        return;
    }
    let mut table = output::table(&[
        "DOMAIN",
        "EXPIRES",
        "DAYS BEFORE",
        "OUTCOME",
        "DECIDED",
        "EMAIL",
        "STATUS",
        "AT",
        "MESSAGE-ID",
    ]);
    for row in rows {
        table.add_row([
            output::cell(Some(&row.domain)),
            row.expires_on.to_string(),
            row.threshold.to_string(),
            row.outcome.clone(),
            output::time(Some(row.decided_at)),
            output::cell(row.template.as_ref()),
            output::cell(row.email_status.as_ref()),
            output::time(row.settled_at),
            output::cell(row.message_id.as_ref()),
        ]);
    }
    output::line(&table.to_string());
}

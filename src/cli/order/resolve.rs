//! `provisor order retry` and `provisor order resolve`: a person decides about a line that is held or in doubt.
//!
//! What he says is held against what LJPc shows (`look.rs`), shown, asked, and carried out in one transaction, which fails
//! if the line has moved meanwhile. A daemon takes the line up from there.

mod look;

use anyhow::{Context as _, anyhow, bail};
use clap::{ArgGroup, Args};
use serde_json::json;

use crate::{
    app,
    cli::{
        Failed,
        change::{demand_agreement, demand_somebody},
        order::explain,
        output,
        said::SaidArgs,
        unobserved,
    },
    config::{Need, Settings},
    db::{
        Database,
        lines::LoadedLine,
        records::{LineFound, Verdict, Waits},
    },
    order::{
        LineStatus, Money, Reference, SiteId, UpstreamOrderId,
        resolution::{
            Consequence, PlacementNamed, Refusal, Resolution, Resolved, Said, Standing, Stuck,
            resolve,
        },
    },
};

use look::Look;

/// Which line is meant, and who says so.
#[derive(Args, Debug)]
struct Which {
    /// The shop's reference.
    reference: String,
    /// Which line, as `order show` numbers them, from 0.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    line: i32,
    #[command(flatten)]
    said: SaidArgs,
    /// Don't ask. Needed where nobody can answer: without a terminal.
    #[arg(long)]
    yes: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct RetryArgs {
    #[command(flatten)]
    which: Which,
    /// The most that it may cost from now on, EUR without VAT. Else as it was.
    #[arg(long, value_name = "EUR", value_parser = amount)]
    max_cost: Option<Money>,
    /// A premium name may be bought.
    #[arg(long)]
    allow_premium: bool,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("resolution").required(true))]
pub(in crate::cli) struct ResolveArgs {
    #[command(flatten)]
    which: Which,
    /// It is this LJPc order, which is then followed. It is looked at first: it must bear the line's tag and name.
    #[arg(long, value_name = "ID", group = "resolution", value_parser = clap::value_parser!(i64).range(1..))]
    upstream_order: Option<i64>,
    /// It was delivered as this site. It is looked at first: it must be of the line's name.
    #[arg(long, value_name = "ID", group = "resolution", value_parser = clap::value_parser!(i64).range(1..))]
    site: Option<i64>,
    /// It does not exist at LJPc: it is made again, under a new tag. If you are wrong, it is bought twice.
    #[arg(long, group = "resolution")]
    absent: bool,
    /// Which of its placements does not exist, as `order show` has it in the command. Needed if it was sent more than once.
    #[arg(long, value_name = "N", requires = "absent", value_parser = str::parse::<PlacementNamed>)]
    placement: Option<PlacementNamed>,
    /// The line ends as failed. Should an answer still come that LJPc has accepted it, it is followed all the same.
    #[arg(long, group = "resolution")]
    abandon: bool,
    /// Although LJPc shows something else, or nothing.
    #[arg(long)]
    force: bool,
}

impl ResolveArgs {
    /// What of the configuration it needs: giving up asks nobody.
    pub(in crate::cli) const fn needs(&self) -> &'static [Need] {
        if self.abandon { &[Need::Database] } else { &[Need::Database, Need::Ljpc] }
    }

    fn resolution(&self) -> Option<Resolution> {
        let order = self.upstream_order.map(|id| Resolution::UpstreamOrder {
            id: UpstreamOrderId(id),
            n: None,
            cost: None,
        });
        let site = self.site.map(|id| Resolution::Site(SiteId(id)));
        let absent = self.absent.then_some(Resolution::Absent { of: self.placement });
        let abandon = self.abandon.then_some(Resolution::Abandon { force: self.force });
        order.or(site).or(absent).or(abandon)
    }
}

pub(super) async fn retry(
    db: &Database,
    args: RetryArgs,
    settings: &Settings,
) -> Result<(), Failed> {
    let what = Resolution::Retry { max_cost: args.max_cost, allow_premium: args.allow_premium };
    decide(db, &args.which, what, false, settings).await
}

pub(super) async fn resolve_line(
    db: &Database,
    args: ResolveArgs,
    settings: &Settings,
) -> Result<(), Failed> {
    let what = args.resolution().context("nothing is said of the line")?;
    decide(db, &args.which, what, args.force, settings).await
}

async fn decide(
    db: &Database,
    which: &Which,
    what: Resolution,
    force: bool,
    settings: &Settings,
) -> Result<(), Failed> {
    demand_somebody(which.yes)?;
    let waits =
        Waits { grace: settings.ljpc.in_doubt_grace, progress_after: settings.poll.progress_after };
    let (found, loaded) = find(db, which, waits).await?;
    let mut said = Said { what, by: which.said.who()?, why: which.said.why().map(str::to_owned) };
    match resolve(&loaded.facts, &said) {
        Err(refusal) => return Err(refused(&refusal, &loaded).into()),
        Ok(Consequence::Already(so)) => return already(which, &so, &loaded),
        Ok(Consequence::Changes(_)) => {}
    }
    compare(db, &loaded, &mut said, force, settings).await?;
    // What LJPc shows says more of which placement it came of, and what it costs.
    match resolve(&loaded.facts, &said) {
        Ok(Consequence::Changes(resolved)) => output::note(&preview(which, &said, &resolved)),
        Ok(Consequence::Already(so)) => return already(which, &so, &loaded),
        Err(refusal) => return Err(refused(&refusal, &loaded).into()),
    }
    demand_agreement(which.yes)?;
    if matches!(said.what, Resolution::Absent { .. }) {
        // The question may have stood for long: what is said to be absent is looked for once more.
        compare(db, &loaded, &mut said, force, settings).await?;
    }
    let seen = Standing::of(&loaded.facts);
    let verdict = db.resolve_line(found, &said, seen, waits).await;
    tell(which, verdict.map_err(|error| explain(&error))?, &loaded)
}

/// Holds what is said against what LJPc shows.
async fn compare(
    db: &Database,
    loaded: &LoadedLine,
    said: &mut Said,
    force: bool,
    settings: &Settings,
) -> Result<(), Failed> {
    if matches!(said.what, Resolution::Retry { .. } | Resolution::Abandon { .. }) {
        return Ok(());
    }
    let ljpc = app::connect_ljpc(settings, unobserved())?;
    let look = Look { db, ljpc: &ljpc, facts: &loaded.facts };
    let differences = look.at(&mut said.what).await?;
    if differences.is_empty() {
        return Ok(());
    }
    let listed = differences.join("\n  ");
    if !force {
        return Err(anyhow!(
            "nothing is done: what LJPc shows does not bear it out:\n  {listed}\n\
             Give --force if it is right all the same."
        )
        .into());
    }
    output::note(&format!("By --force, although:\n  {listed}"));
    Ok(())
}

async fn find(
    db: &Database,
    which: &Which,
    waits: Waits,
) -> anyhow::Result<(LineFound, LoadedLine)> {
    let (reference, line) = (&which.reference, which.line);
    let found = db.find_line(reference, line).await.map_err(|error| explain(&error))?;
    let (found, lines) = found.with_context(|| format!("there is no order {reference}"))?;
    let Some(found) = found else {
        bail!(
            "order {reference} has no line {line}: its lines are numbered from 0 to {}",
            lines - 1
        );
    };
    let mut loaded =
        db.load_lines(&[found.line], waits.grace).await.map_err(|error| explain(&error))?;
    let loaded = loaded.remove(&found.line).context("the line is gone")?;
    Ok((found, loaded))
}

/// The refusal, and what may be said instead.
fn refused(refusal: &Refusal, loaded: &LoadedLine) -> anyhow::Error {
    let exits = Stuck::of(&loaded.facts).exits();
    let reference = loaded.facts.reference.operand();
    if exits.is_empty() {
        return anyhow!("{refusal} (provisor order show {reference})");
    }
    let exits: Vec<String> =
        exits.iter().map(|exit| format!("  {}: {}", exit.when, exit.command)).collect();
    anyhow!("{refusal}. What may be said of it:\n{}", exits.join("\n"))
}

/// What is about to be done.
fn preview(which: &Which, said: &Said, resolved: &Resolved) -> String {
    let line = format!("Order {}, line {}", which.reference, which.line);
    let then = match &said.what {
        Resolution::Retry { .. } if resolved.change.progress.status == LineStatus::Pending => {
            "is decided anew, and bought if nothing is against it.".to_owned()
        }
        Resolution::Retry { .. } => {
            "goes on where its handler failed; nothing is bought.".to_owned()
        }
        Resolution::UpstreamOrder { id, .. } => {
            format!("is LJPc order {id}, which is followed from now on.")
        }
        Resolution::Site(id) => format!("is completed, with site {id}."),
        Resolution::Absent { .. } => {
            "is made again, under a new tag. If it is at LJPc after all, it is bought twice."
                .to_owned()
        }
        Resolution::Abandon { .. } => "ends as failed.".to_owned(),
    };
    let twice = if resolved.bought_twice {
        "\nAnother placement of the line has bought something too, or may have: it is told as bought twice."
    } else {
        ""
    };
    format!("{line} {then}{twice}")
}

fn already(which: &Which, so: &str, loaded: &LoadedLine) -> Result<(), Failed> {
    let status = loaded.facts.progress.status;
    if which.json {
        return Ok(output::json(&json!({
            "reference": which.reference, "line": which.line, "changed": false,
            "status": status.as_str(), "reason": so,
        }))?);
    }
    output::line(&format!("Nothing to do: {so}."));
    Ok(())
}

fn tell(which: &Which, verdict: Verdict, loaded: &LoadedLine) -> Result<(), Failed> {
    let reference = Reference(which.reference.clone()).operand();
    match verdict {
        Verdict::Done(status) if which.json => Ok(output::json(&json!({
            "reference": which.reference, "line": which.line, "changed": true,
            "status": status.as_str(),
        }))?),
        Verdict::Done(status) => {
            output::line(&format!(
                "Line {} of order {} is {status}. Follow it: provisor order show {reference}",
                which.line, which.reference
            ));
            Ok(())
        }
        Verdict::Already(so) => already(which, &so, loaded),
        Verdict::Refused(refusal) => Err(refused(&refusal, loaded).into()),
        Verdict::Moved => Err(anyhow!(
            "nothing is done: the line has moved meanwhile (provisor order show {reference})"
        )
        .into()),
        Verdict::Taken(line) => {
            Err(anyhow!("nothing is done: what was named is line {line}'s (reference/line)").into())
        }
    }
}

/// An amount as `max_cost` has it (contract, "The order document").
fn amount(text: &str) -> Result<Money, String> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str, max: usize| {
        (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_digits(whole, 8) || !is_digits(cents, 2) {
        return Err("must be an amount such as 5.50: up to 8 digits, and up to 2 behind the point"
            .to_owned());
    }
    text.parse().map_err(|_| "must be an amount such as 5.50".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_a_max_cost() {
        for (text, read) in
            [("5.50", "5.50"), ("5", "5.00"), ("0", "0.00"), ("99999999.99", "99999999.99")]
        {
            assert_eq!(amount(text).unwrap().to_string(), read);
        }
        for text in ["", "-1", "5,50", "5.", ".5", "5.505", "123456789", "1e3", " 5", "5.5 "] {
            assert!(amount(text).is_err(), "{text:?}");
        }
    }
}

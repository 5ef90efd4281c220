//! A zone's records: compared, replaced, brought back.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Name, listing, told};
use crate::{
    app,
    cli::{
        Failed,
        change::{self, ChangeArgs, Wanted, read_records},
        output::{self, cell, time},
        plan::render_diff,
        unobserved,
    },
    config::Settings,
    db::operators::PreImage,
    order::{
        domain::{check_records, diff_records},
        name::DomainName,
    },
};

#[derive(Args, Debug)]
#[command(
    after_help = "What is not in FILE goes; `[]` clears the zone. Records of type NS are never touched.\n\n\
    Examples:\n  \
    provisor ljpc dns get example.nl --json > zone.json\n  \
    provisor ljpc dns put example.nl zone.json\n  \
    echo '[{\"type\":\"A\",\"name\":\"@\",\"content\":\"192.0.2.10\",\"ttl\":3600}]' |\n    \
    provisor ljpc dns put example.nl - --yes"
)]
pub(super) struct PutArgs {
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Args, Debug)]
pub(super) struct RecordsArgs {
    #[command(flatten)]
    zone: Name,
    /// All records that shall be there: JSON, an array, or what `ljpc dns get --json` prints; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args, Debug)]
#[command(
    after_help = "A rollback is a change like any other: it can be rolled back.\n\nExamples:\n  \
    provisor ljpc dns rollback example.nl --list\n  \
    provisor ljpc dns rollback example.nl\n  \
    provisor ljpc dns rollback example.nl --to SHOP-1001/0/dns --yes"
)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    zone: Name,
    /// Take back this change and all after it: a tag as --list shows it. Else the latest.
    #[arg(long, value_name = "TAG")]
    to: Option<String>,
    /// Lists what there is to go back to, and does nothing.
    #[arg(long, conflicts_with = "to")]
    list: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(super) async fn put(args: PutArgs, settings: &Settings, json: bool) -> Result<(), Failed> {
    let RecordsArgs { zone, file } = args.records;
    let (records, _) = read_records(&file)?;
    let line = json!({ "kind": "dns", "domain": zone.name, "records": records });
    change::carry_out(Wanted::of_operator(line, settings)?, args.change, settings, json).await
}

pub(super) async fn diff(
    args: RecordsArgs,
    settings: &Settings,
    is_json: bool,
) -> Result<(), Failed> {
    let RecordsArgs { zone: Name { name }, file } = args;
    let (_, wished) = read_records(&file)?;
    check_records(&wished).map_err(|fault| anyhow!("records{fault}"))?;
    let ljpc = app::connect_ljpc(settings, unobserved())?;
    let zone = ljpc.zone(&name).await.map_err(told)?;
    let present = zone.map(|zone| zone.records).unwrap_or_default();
    let diff = diff_records(&present, &wished);
    if is_json {
        return Ok(output::json(&json!({
            "domain": name, "same": diff.is_empty(), "removed": diff.removed, "added": diff.added }))?);
    }
    if diff.is_empty() {
        output::line(&format!("The zone {name} is the same."));
    } else {
        output::line(&render_diff(&present, &wished));
        let (removed, added) = (diff.removed.len(), diff.added.len());
        output::note(&format!(
            "The zone {name} is different: {removed} would go, {added} would come."
        ));
    }
    Ok(())
}

pub(super) async fn rollback(
    args: RollbackArgs,
    settings: &Settings,
    is_json: bool,
) -> Result<(), Failed> {
    let Name { name } = args.zone;
    let db = app::connect_now(settings).await?;
    let images = db.zone_pre_images(name.as_str()).await;
    let images = images.map_err(|error| crate::cli::order::explain(&error))?;
    if args.list {
        return list(&images, is_json);
    }
    let image = choose(&name, images, args.to.as_deref())?;
    let (tag, at) = (&image.tag, time(Some(image.replaced_at)));
    output::note(&format!("The zone {name} as it was before {tag} ({at})\n"));
    let line = json!({ "kind": "dns", "domain": name, "records": image.records });
    change::carry_out(Wanted::of_operator(line, settings)?, args.change, settings, is_json).await
}

fn list(images: &[PreImage], is_json: bool) -> Result<(), Failed> {
    listing(images, is_json, ["TAG", "REPLACED", "RECORDS BEFORE"], |image| {
        [cell(Some(&image.tag)), time(Some(image.replaced_at)), image.records.len().to_string()]
    })
}

/// The zone before the change of this tag, or before the latest.
fn choose(name: &DomainName, images: Vec<PreImage>, tag: Option<&str>) -> Result<PreImage, Failed> {
    let mut images = images.into_iter();
    let Some(tag) = tag else {
        return images.next().ok_or_else(|| {
            anyhow!("Provisor has not changed the zone {name}: there is nothing to go back to")
                .into()
        });
    };
    images.find(|image| image.tag == tag).ok_or_else(|| {
        anyhow!("no change of the zone {name} bears the tag {tag}: provisor ljpc dns rollback {name} --list").into()
    })
}

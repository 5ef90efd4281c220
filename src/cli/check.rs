//! `provisor check`: on one screen, what is well and what is not.

use serde::Serialize;

use super::{Failed, output, unobserved};
use crate::{
    app,
    config::{self, Need, Settings, Sources},
    db::schema::SchemaState,
    mail::Templates,
};

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(super) async fn check(sources: &Sources, json: bool) -> Result<(), Failed> {
    let settings = config::load(sources, &[Need::Database, Need::Ljpc, Need::Email])
        .map_err(Failed::Configuration)?;
    let findings = [
        Finding { what: "configuration", ok: true, detail: "complete and consistent".to_owned() },
        finding("database", database(&settings).await),
        finding("schema", schema(&settings).await),
        finding("LJPc", ljpc(&settings).await),
        finding("email templates", templates(&settings)),
        finding("mail server", mail_server(&settings).await),
    ];
    if json {
        output::json(&findings)?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok  " } else { "FAIL" };
            output::line(&format!("{mark}  {:<16}  {}", finding.what, finding.detail));
        }
    }
    if findings.iter().all(|finding| finding.ok) { Ok(()) } else { Err(Failed::Told) }
}

fn finding(what: &'static str, result: anyhow::Result<String>) -> Finding {
    match result {
        Ok(detail) => Finding { what, ok: true, detail },
        Err(error) => Finding { what, ok: false, detail: format!("{error:#}") },
    }
}

async fn database(settings: &Settings) -> anyhow::Result<String> {
    let db = app::connect(settings)?;
    let version = db.server_version().await?;
    Ok(format!("PostgreSQL {version} answers"))
}

async fn schema(settings: &Settings) -> anyhow::Result<String> {
    match app::connect(settings)?.schema_state().await? {
        SchemaState::Serves => Ok("serves this version".to_owned()),
        SchemaState::Lacking(reason) => Err(anyhow::anyhow!(reason)),
    }
}

async fn ljpc(settings: &Settings) -> anyhow::Result<String> {
    app::connect_ljpc(settings, unobserved())?.ping().await?;
    Ok(format!("{} answers and knows the key", settings.ljpc.base_url))
}

fn templates(settings: &Settings) -> anyhow::Result<String> {
    Templates::load(settings.email.templates_dir.as_deref())?;
    Ok("all can be rendered".to_owned())
}

async fn mail_server(settings: &Settings) -> anyhow::Result<String> {
    let (mailer, _) = app::email_sender(settings)?;
    mailer.probe().await?;
    Ok("takes mail from us".to_owned())
}

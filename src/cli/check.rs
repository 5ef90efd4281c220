//! `provisor check`: on one screen, what is well and what is not.

use anyhow::bail;
use serde::Serialize;

use super::{Failed, cure, output, unobserved};
use crate::{
    app,
    causes::causes,
    config::{self, Need, Settings, Sources},
    db::{Database, schema::SchemaState},
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
    let database = app::connect_to_any_schema(&settings).await;
    let findings = [
        Finding { what: "configuration", ok: true, detail: "complete and consistent".to_owned() },
        finding("database", "database.url", version(&database).await),
        finding("schema", "", schema(&database).await),
        finding("LJPc", "", ljpc(&settings).await),
        finding("email templates", "email.templates_dir", templates(&settings)),
        finding("mail server", "email.smtp_url", mail_server(&settings).await),
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

/// What was found, and, if that is not well, the key at which to look (empty: the error says what to do).
fn finding(what: &'static str, key: &str, result: anyhow::Result<String>) -> Finding {
    match result {
        Ok(detail) => Finding { what, ok: true, detail },
        Err(error) => {
            let error = causes(error.as_ref());
            let detail =
                if key.is_empty() { error.to_string() } else { format!("{error}. Look at {key}") };
            Finding { what, ok: false, detail }
        }
    }
}

async fn version(database: &anyhow::Result<Database>) -> anyhow::Result<String> {
    match database {
        Ok(db) => Ok(format!("PostgreSQL {} answers", db.server_version().await?)),
        Err(error) => Err(anyhow::anyhow!("{}", causes(error.as_ref()))),
    }
}

async fn schema(database: &anyhow::Result<Database>) -> anyhow::Result<String> {
    let Ok(db) = database else { bail!("not looked at, since the database does not answer") };
    match db.schema_state().await? {
        SchemaState::Serves => Ok("serves this version".to_owned()),
        SchemaState::ServesStill(applied) => Ok(format!(
            "serves this version, although a newer one has migrated it (migration {applied})"
        )),
        SchemaState::Lacking(reason) => Err(anyhow::anyhow!(reason)),
    }
}

async fn ljpc(settings: &Settings) -> anyhow::Result<String> {
    let pinged = app::connect_ljpc(settings, unobserved())?.ping().await;
    pinged.map_err(|error| cure::LJPC.explain(error))?;
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

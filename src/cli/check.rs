//! `provisor check`: on one screen, what is well and what is not.

use anyhow::{anyhow, bail};
use serde::Serialize;

use super::{Failed, cure, output, queue, unobserved};
use crate::{
    app,
    causes::causes,
    config::{self, ConfigErrors, Need, Settings, Sources},
    db::{
        Database, DbError,
        schema::{SchemaState, Standing},
    },
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
    let needs = [Need::Database, Need::Ljpc, Need::Leanstack, Need::Email];
    let (settings, errors) = match config::load(sources, &needs) {
        Ok(settings) => (Some(settings), None),
        Err(errors) => (config::load_despite(sources, &errors), Some(errors)),
    };
    let errors = errors.as_ref();
    let mut findings = configuration(errors);
    findings.extend(parts(settings.as_ref(), errors).await);
    if json {
        output::json(&findings)?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok  " } else { "FAIL" };
            output::line(&format!("{mark}  {:<16}  {}", finding.what, finding.detail));
        }
    }
    match errors {
        Some(_) => Err(Failed::ToldOfConfiguration),
        None if findings.iter().all(|finding| finding.ok) => Ok(()),
        None => Err(Failed::Told),
    }
}

/// Each mistake for itself: they are told in full, for a script too.
fn configuration(errors: Option<&ConfigErrors>) -> Vec<Finding> {
    let what = "configuration";
    match errors {
        None => vec![Finding { what, ok: true, detail: "complete and consistent".to_owned() }],
        Some(errors) => errors
            .iter()
            .map(|error| Finding { what, ok: false, detail: error.to_string() })
            .collect(),
    }
}

/// Looks at each part that no mistake of the configuration concerns.
async fn parts(settings: Option<&Settings>, errors: Option<&ConfigErrors>) -> Vec<Finding> {
    let wrong = match settings {
        Some(_) => "its configuration is wrong",
        None => "it can't be told whether its configuration is right",
    };
    let concern =
        |keys: &[&str]| errors.is_some_and(|errors| keys.iter().any(|key| errors.concern(key)));
    let unless_wrong = |keys: &[&str]| settings.filter(|_| !concern(keys));
    let mut findings = match unless_wrong(&["database."]) {
        Some(settings) => database(settings).await,
        None => ["database", "rights", "schema", "purchases"].map(|it| unseen(it, wrong)).into(),
    };
    findings.push(match unless_wrong(&["ljpc."]) {
        Some(settings) => finding("LJPc", "", ljpc(settings).await),
        None => unseen("LJPc", wrong),
    });
    match unless_wrong(&["leanstack."]) {
        Some(settings) if settings.leanstack.enabled => {
            findings.push(finding("Leanstack", "", leanstack(settings).await));
        }
        None if concern(&["leanstack."]) => findings.push(unseen("Leanstack", wrong)),
        Some(_) | None => {}
    }
    findings.push(match unless_wrong(&["email.templates_dir"]) {
        Some(settings) => finding("email templates", "email.templates_dir", templates(settings)),
        None => unseen("email templates", wrong),
    });
    findings.push(match unless_wrong(&["email.smtp_url", "email.from"]) {
        Some(settings) => finding("mail server", "email.smtp_url", mail_server(settings).await),
        None => unseen("mail server", wrong),
    });
    findings
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

/// What can't be well, since what it stands on is not.
fn unseen(what: &'static str, why: &str) -> Finding {
    Finding { what, ok: false, detail: format!("not looked at, since {why}") }
}

/// The server, what its user may do there, the schema, and what keeps it from sending.
async fn database(settings: &Settings) -> Vec<Finding> {
    let reached = async {
        let db = app::connect_to_any_schema(settings).await?;
        let standing = db.standing().await?;
        anyhow::Ok((db, standing))
    };
    let (db, standing) = match reached.await {
        Ok(reached) => reached,
        Err(error) => {
            let away = ["rights", "schema", "purchases"]
                .map(|what| unseen(what, "the database does not answer"));
            return std::iter::once(finding("database", "database.url", Err(error)))
                .chain(away)
                .collect();
        }
    };
    let schema = schema(db.schema_state().await);
    let purchases = match &schema {
        _ if standing.is_standby => unseen("purchases", "the database only reads"),
        Ok(_) => finding("purchases", "", purchases(&db, settings).await),
        Err(_) => unseen("purchases", "the schema is not well"),
    };
    vec![
        finding("database", "database.url", is_primary(&standing)),
        finding("rights", "", may_work(&standing)),
        finding("schema", "", schema),
        purchases,
    ]
}

fn is_primary(standing: &Standing) -> anyhow::Result<String> {
    let Standing { version, .. } = standing;
    if standing.is_standby {
        bail!("PostgreSQL {version} answers, but is a standby, which only reads; name the primary");
    }
    Ok(format!("PostgreSQL {version} answers"))
}

fn may_work(standing: &Standing) -> anyhow::Result<String> {
    let Standing { user, .. } = standing;
    match standing.may_work {
        Some(true) => Ok(format!("{user} may do what the daemon does")),
        Some(false) => Err(anyhow!(
            "{user} has not the rights of provisor_worker: as a superuser, GRANT provisor_worker TO \"{}\"",
            user.replace('"', "\"\"")
        )),
        None => Err(anyhow!("there is no role provisor_worker yet: run `provisor migrate`")),
    }
}

fn schema(state: Result<SchemaState, DbError>) -> anyhow::Result<String> {
    match state? {
        SchemaState::Serves => Ok("serves this version".to_owned()),
        SchemaState::ServesStill(applied) => Ok(format!(
            "serves this version, although a newer one has migrated it (migration {applied})"
        )),
        SchemaState::Lacking(reason) => Err(anyhow!(reason)),
    }
}

/// A failover or a restore that nobody has looked at is not well: nothing is bought. A pause is somebody's will, and an open
/// circuit is tried again by itself: they are told, and are no failure.
async fn purchases(db: &Database, settings: &Settings) -> anyhow::Result<String> {
    if let Some(why) = queue::told_unconfirmed(&db.timeline().await?) {
        bail!("{why}");
    }
    let held = queue::held(db, settings).await?;
    if held.is_empty() {
        return Ok("nothing holds them".to_owned());
    }
    Ok(format!("go on, but for what waits here: {}", held.join("; ")))
}

async fn ljpc(settings: &Settings) -> anyhow::Result<String> {
    let pinged = app::connect_ljpc(settings, unobserved())?.ping().await;
    pinged.map_err(|error| cure::LJPC.explain(error))?;
    Ok(format!("{} answers and knows the key", settings.ljpc.base_url))
}

/// By the question that an open circuit is tried by: it has no effect, and what is answered does not matter.
async fn leanstack(settings: &Settings) -> anyhow::Result<String> {
    let asked =
        app::connect_leanstack(settings, unobserved())?.availability("example", "com").await;
    asked.map_err(|error| cure::LEANSTACK.explain(error))?;
    Ok(format!("{} answers and knows the token", settings.leanstack.base_url))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_no_database_to_work_on() {
        let primary = Standing {
            version: "18.1".to_owned(),
            is_standby: false,
            user: "bob".to_owned(),
            may_work: Some(true),
        };
        assert!(finding("database", "database.url", is_primary(&primary)).ok);
        let standby = Standing { is_standby: true, ..primary };
        let found = finding("database", "database.url", is_primary(&standby));
        assert!(!found.ok && found.detail.contains("standby"), "{}", found.detail);
        assert!(
            found.detail.ends_with("name the primary. Look at database.url"),
            "{}",
            found.detail
        );
    }
}

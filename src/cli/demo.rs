//! `provisor demo`: the main job, from SQL to delivered, beside a private PostgreSQL, the sandbox and a daemon of its own.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;
use tokio::process::{Child, Command};

mod examples;
mod screen;
mod summary;

use self::{
    examples::{EXAMPLES, Example},
    screen::Screen,
    summary::summarise,
};
use super::{Failed, output};
use crate::{
    db::{Database, Purpose, reports::OrderReport},
    lifecycle::Lifecycle,
    sandbox::{self, Sandbox, SandboxOptions, args::parse_duration, postgres::PrivatePostgres},
};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often the orders are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long the daemon may take to drain.
const DRAIN: Duration = Duration::from_mins(1);

/// Shows the main job, from SQL to delivered.
///
/// Starts a private PostgreSQL in a folder of its own (or uses the one that `DATABASE_URL` names), the sandbox and a daemon,
/// submits the example orders by SQL, shows them moving, and ends by itself with a summary. Nothing leaves this machine.
#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Leave it running until Ctrl-C, to submit orders of your own.
    #[arg(long)]
    keep: bool,
    /// How long the sandbox takes to deliver an order.
    #[arg(long, value_name = "D", default_value = "3s", value_parser = parse_duration)]
    delay: Duration,
    /// The folder of the demo: database, mails, logs. A new one in the system's folder for temporary files by default.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What the demo has started.
struct Stage {
    dir: PathBuf,
    postgres: Option<PrivatePostgres>,
    psql: String,
    db: Database,
    sandbox: Sandbox,
    daemon: Child,
}

pub(super) async fn demo(args: DemoArgs) -> Result<(), Failed> {
    let lifecycle = Lifecycle::by_signals().map_err(anyhow::Error::from)?;
    let mut stage = set(&args).await?;
    let shown = tokio::select! {
        shown = show(&mut stage) => shown,
        () = lifecycle.stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    if args.keep && shown.is_ok() {
        output::line(&invitation(&stage));
        lifecycle.stop.cancelled().await;
    }
    clear(stage).await?;
    match shown {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failed::Told),
        Err(error) => Err(error.into()),
    }
}

/// Starts everything.
async fn set(args: &DemoArgs) -> anyhow::Result<Stage> {
    let dir = folder(args.dir.as_deref())?;
    output::line(&format!("The demo's folder: {}", dir.display()));
    let (postgres, url, psql) = if let Ok(url) = std::env::var("DATABASE_URL") {
        output::line("PostgreSQL: the server that DATABASE_URL names");
        (None, url, "psql \"$DATABASE_URL\"".to_owned())
    } else {
        output::line("PostgreSQL: starting a private server …");
        let postgres = PrivatePostgres::start(&dir.join("postgres")).await?;
        let (url, psql) = (postgres.url(), postgres.psql_command());
        (Some(postgres), url, psql)
    };
    let db = Database::new(&url, 4, Purpose::General)?;
    db.migrate().await?;
    let sandbox = sandbox::start(SandboxOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        leanstack_listen: ([127, 0, 0, 1], 0).into(),
        smtp_listen: ([127, 0, 0, 1], 0).into(),
        mail_dir: dir.join("mails"),
        delay: args.delay,
        ..SandboxOptions::default()
    })
    .await?;
    examples::prepare(&sandbox)?;
    output::line(&format!(
        "Sandbox: LJPc at http://{}, Leanstack at http://{}, mail at smtp://{}",
        sandbox.ljpc_addr(),
        sandbox.leanstack_addr(),
        sandbox.smtp_addr()
    ));
    let log = dir.join("daemon.log");
    let daemon = start_daemon(&url, &sandbox, &log)?;
    output::line(&format!("Daemon: provisor run, its log in {}\n", log.display()));
    Ok(Stage { dir, postgres, psql, db, sandbox, daemon })
}

fn folder(dir: Option<&Path>) -> anyhow::Result<PathBuf> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => {
            std::env::temp_dir().join(format!("provisor-demo-{}", uuid::Uuid::new_v4().simple()))
        }
    };
    fs::create_dir_all(&dir).with_context(|| format!("{} can't be made", dir.display()))?;
    fs::canonicalize(&dir).with_context(|| format!("{} can't be used", dir.display()))
}

/// The daemon is this program, as a process of its own: what the demo shows is what runs in production.
fn start_daemon(url: &str, sandbox: &Sandbox, log: &Path) -> anyhow::Result<Child> {
    let log = File::create(log).with_context(|| format!("{} can't be written", log.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    // Nothing of the caller's settings: the demo must not reach a real upstream.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PROVISOR_") {
            command.env_remove(name);
        }
    }
    command
        .arg("run")
        .env("PROVISOR_CONFIG_DIR", "/nonexistent")
        .env_remove("CREDENTIALS_DIRECTORY")
        .env("DATABASE_URL", url)
        .env("PROVISOR_LJPC__BASE_URL", format!("http://{}", sandbox.ljpc_addr()))
        .env("PROVISOR_LJPC__API_KEY", SandboxOptions::default().api_key)
        .env("PROVISOR_LJPC__TIMEOUT", "5s")
        .env("PROVISOR_LJPC__IN_DOUBT_GRACE", "3s")
        // The order in doubt stays so, for whoever wants to see one and to resolve it: its site would tell by itself.
        .env("PROVISOR_LJPC__EVIDENCE_INTERVAL", "1h")
        .env("PROVISOR_LEANSTACK__ENABLED", "true")
        .env("PROVISOR_LEANSTACK__BASE_URL", format!("http://{}", sandbox.leanstack_addr()))
        .env("PROVISOR_LEANSTACK__ACCESS_TOKEN", SandboxOptions::default().leanstack_token)
        .env("PROVISOR_POLL__INITIAL_INTERVAL", "1s")
        .env("PROVISOR_EMAIL__SMTP_URL", format!("smtp://{}", sandbox.smtp_addr()))
        .env("PROVISOR_EMAIL__FROM", "Example Hosting <shop@example.com>")
        .env("PROVISOR_EMAIL__OPS_TO", "ops@example.com")
        .env("PROVISOR_EMAIL__DISABLED", "")
        .env("PROVISOR_HTTP__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().context("the daemon can't be started")
}

/// Submits the examples and shows them until they have ended as expected, or time is up. Whether they have.
async fn show(stage: &mut Stage) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut expected = BTreeMap::new();
    for Example { document, ends } in EXAMPLES {
        let document: Value = serde_json::from_str(document).context("an example is no JSON")?;
        let reference = document.get("reference").and_then(Value::as_str).unwrap_or_default();
        stage.db.submit_order(&document).await?;
        output::line(&format!("Submitted by provisor.submit_order: {reference}"));
        expected.insert(reference.to_owned(), *ends);
    }
    output::line("");
    let mut screen = Screen::new();
    let reports = loop {
        if let Some(status) = stage.daemon.try_wait()? {
            bail!(
                "the daemon has ended ({status}); its log: {}",
                stage.dir.join("daemon.log").display()
            );
        }
        let reports = read(&stage.db, expected.keys()).await?;
        screen.draw(&reports, began);
        let settled = reports.iter().all(|report| {
            expected.get(&report.reference) == Some(&report.status.as_str())
                && report.emails.iter().all(|email| email.status != "queued")
        });
        if settled || began.elapsed() > PATIENCE {
            break reports;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    screen.end();
    let bought = stage.sandbox.state().summary();
    Ok(summarise(&reports, &expected, &bought, &stage.dir.join("mails")))
}

async fn read(
    db: &Database,
    references: impl Iterator<Item = &String>,
) -> anyhow::Result<Vec<OrderReport>> {
    let mut reports = Vec::new();
    for reference in references {
        reports.extend(db.report_order(reference).await?);
    }
    Ok(reports)
}

fn invitation(stage: &Stage) -> String {
    format!(
        "\nIt goes on running. Submit an order of your own:\n\n\
         \x20   {}\n\
         \x20   SELECT provisor.submit_order('{{\"reference\": \"MINE-1\",\n\
         \x20       \"customer\": {{\"first_name\": \"Bob\", \"last_name\": \"Brown\", \"email\": \"bob@example.com\"}},\n\
         \x20       \"lines\": [{{\"kind\": \"hosting\", \"package\": \"hosting_5gb\", \"domain\": \"example.org\",\n\
         \x20                   \"billing_period\": \"monthly\"}}]}}');\n\
         \x20   SELECT * FROM provisor.line_status WHERE reference = 'MINE-1';\n\n\
         What the sandbox was asked: curl http://{}/_sandbox/journal\n\
         Ctrl-C ends it.",
        stage.psql,
        stage.sandbox.ljpc_addr(),
    )
}

/// Ends everything that was started. Mails and logs stay.
async fn clear(mut stage: Stage) -> anyhow::Result<()> {
    if let Some(id) = stage.daemon.id() {
        // SIGTERM, as an operator would: the daemon drains.
        let _ = Command::new("kill").arg(id.to_string()).status().await;
    }
    if tokio::time::timeout(DRAIN, stage.daemon.wait()).await.is_err() {
        let _ = stage.daemon.kill().await;
    }
    stage.sandbox.stop().await;
    stage.db.close().await;
    if let Some(postgres) = stage.postgres {
        postgres.stop().await?;
    }
    Ok(())
}

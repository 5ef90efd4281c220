//! A sandbox for many rooms, each with a database and daemons of its own.

use std::{
    future::Future,
    path::PathBuf,
    process::{Output, Stdio},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use provisor::{
    db::{Database, Purpose},
    sandbox::{self, Sandbox, SandboxOptions},
};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::daemon::Daemon;

/// How often is looked.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// How long a condition may take to come true, by the test's own pace.
const PATIENCE: Duration = Duration::from_mins(2);

/// The sandbox, and the database that the rooms' are cloned from.
pub(crate) struct House {
    pub(crate) sandbox: Sandbox,
    template: String,
    folder: PathBuf,
}

/// A database with its daemons.
pub(crate) struct Room<'a> {
    pub(crate) house: &'a House,
    pub(crate) pool: PgPool,
    name: String,
    folder: PathBuf,
    lives: AtomicU32,
}

impl House {
    /// A sandbox that delivers at once.
    pub(crate) async fn new() -> Self {
        Self::with(Duration::ZERO).await
    }

    /// A sandbox that delivers after this time.
    pub(crate) async fn with(delay: Duration) -> Self {
        let id = uuid::Uuid::new_v4().simple();
        let folder = std::env::temp_dir().join(format!("provisor-crash-{id}"));
        std::fs::create_dir_all(&folder).expect("a folder for logs and mails");
        let sandbox = sandbox::start(SandboxOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            leanstack_listen: ([127, 0, 0, 1], 0).into(),
            smtp_listen: ([127, 0, 0, 1], 0).into(),
            mail_dir: folder.join("mails"),
            delay,
            ..SandboxOptions::default()
        })
        .await
        .expect("the sandbox starts");
        let template = format!("provisor_crash_{id}");
        administer(&format!("CREATE DATABASE {template}")).await;
        let migrating = Database::new(&url_of(&template), 1, Purpose::General);
        let migrating = migrating.expect("DATABASE_URL is a URL");
        migrating.migrate().await.expect("the migrations run");
        // A database that somebody is connected to can't be cloned.
        migrating.close().await;
        Self { sandbox, template, folder }
    }

    /// A room of this name.
    pub(crate) async fn room(&self, label: &str) -> Room<'_> {
        let name = format!("{}_{label}", self.template);
        administer(&format!("CREATE DATABASE {name} TEMPLATE {}", self.template)).await;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(server().database(&name))
            .await
            .expect("the new database can be connected to");
        let folder = self.folder.join(label);
        std::fs::create_dir_all(&folder).expect("a folder for logs");
        Room { house: self, pool, name, folder, lives: AtomicU32::new(0) }
    }

    /// Makes the next requests go wrong, as POST /_sandbox/faults takes it.
    pub(crate) fn fault(&self, spec: &Value) {
        self.sandbox.state().add_fault(spec).expect("a fault");
    }

    /// The requests with an effect that LJPc has received since `after` and that speak of `label`: method and path.
    pub(crate) fn effects_of(&self, label: &str, after: u64) -> Vec<String> {
        let journal = self.sandbox.state().journal(after);
        let ours = journal.iter().filter(|entry| {
            entry.method != "GET"
                && entry.path.starts_with("/api/")
                && (entry.path.contains(label) || entry.body.as_str().contains(label))
        });
        ours.map(|entry| format!("{} {}", entry.method, entry.path)).collect()
    }

    /// How many requests were received until now.
    pub(crate) fn now_in_journal(&self) -> u64 {
        self.sandbox.state().journal(0).last().map_or(0, |entry| entry.seq)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop_database(&self.template);
        if std::thread::panicking() {
            eprintln!("logs and mails are kept in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Room<'_> {
    /// Starts a daemon with these failpoints and changes of its settings.
    pub(crate) fn daemon(&self, failpoints: &str, changes: &[(&str, &str)]) -> Daemon {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let mut env = self.environment();
        env.extend(changes.iter().map(|(key, value)| (variable(key), (*value).to_owned())));
        Daemon::start(&env, failpoints, self.folder.join(format!("{life}.log")))
    }

    /// Runs one of an operator's commands with these failpoints.
    pub(crate) async fn command(&self, failpoints: &str, arguments: &[&str]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_provisor"))
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .env(provisor::failpoints::VARIABLE, failpoints)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the binary starts")
    }

    /// Everything that a crash may hold up is looked at again soon.
    fn environment(&self) -> Vec<(String, String)> {
        let sandbox = &self.house.sandbox;
        [
            ("DATABASE__URL", url_of(&self.name)),
            ("LJPC__BASE_URL", format!("http://{}", sandbox.ljpc_addr())),
            ("LJPC__API_KEY", SandboxOptions::default().api_key),
            ("LJPC__TIMEOUT", "2s".to_owned()),
            ("LJPC__REQUESTS_PER_SECOND", "1000".to_owned()),
            ("LJPC__IN_DOUBT_GRACE", "1s".to_owned()),
            ("LJPC__EVIDENCE_INTERVAL", "300ms".to_owned()),
            ("LEANSTACK__BASE_URL", format!("http://{}", sandbox.leanstack_addr())),
            ("LEANSTACK__ACCESS_TOKEN", SandboxOptions::default().leanstack_token),
            ("POLL__INITIAL_INTERVAL", "200ms".to_owned()),
            ("POLL__MAX_INTERVAL", "1s".to_owned()),
            ("POLL__TRANSFER_MAX_INTERVAL", "1s".to_owned()),
            ("POLL__FAILED_RECHECK", "1s".to_owned()),
            ("QUEUE__LEASE", "8s".to_owned()),
            ("QUEUE__SHUTDOWN_GRACE", "20s".to_owned()),
            ("EMAIL__SMTP_URL", format!("smtp://{}", sandbox.smtp_addr())),
            ("EMAIL__FROM", "shop@example.com".to_owned()),
            ("EMAIL__OPS_TO", "ops@example.com".to_owned()),
            ("EMAIL__RETRY_INITIAL", "500ms".to_owned()),
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("CONFIG_DIR", "/nonexistent".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (variable(key), value))
        .collect()
    }

    /// Runs statements that return nothing.
    pub(crate) async fn run(&self, sql: &str) {
        let ran = self.pool.execute(AssertSqlSafe(sql.to_owned())).await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The one value that a query returns.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Submits an order by this function of the schema.
    pub(crate) async fn submit(&self, function: &str, document: &Value) {
        sqlx::query(AssertSqlSafe(format!("SELECT provisor.{function}($1)")))
            .bind(document)
            .execute(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{document}: {error}"));
    }

    /// The status of the room's one line.
    pub(crate) async fn line(&self) -> String {
        self.value("SELECT status FROM provisor.order_lines").await
    }

    /// Waits until the line has this status, and answers for how long: see [`eventually`].
    pub(crate) async fn until_line(&self, status: &str) -> Duration {
        eventually(&format!("the line is {status}"), async || self.line().await == status).await
    }

    /// Waits until the room's one order has this status.
    pub(crate) async fn until_order(&self, status: &str) {
        eventually(&format!("the order is {status}"), async || {
            self.value::<String>("SELECT status FROM provisor.orders").await == status
        })
        .await;
    }

    /// How many events of this name there are.
    pub(crate) async fn events(&self, event: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM provisor.events WHERE event = '{event}'")).await
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        drop_database(&self.name);
    }
}

/// Waits for a condition. Answers for how long, by the test's own pace: so many looks. A machine that can't keep up is late
/// with them as well, so that a daemon isn't blamed for it; on one that can, they are a clock.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    condition: impl Fn() -> F,
) -> Duration {
    let mut waited = Duration::ZERO;
    while !condition().await {
        assert!(waited < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    waited
}

fn variable(key: &str) -> String {
    format!("PROVISOR_{key}")
}

fn url_of(database: &str) -> String {
    let mut url = url::Url::parse(&server_url()).expect("DATABASE_URL is a URL");
    url.set_path(database);
    url.into()
}

fn server() -> PgConnectOptions {
    PgConnectOptions::from_str(&server_url()).expect("DATABASE_URL is a PostgreSQL URL")
}

fn server_url() -> String {
    std::env::var("DATABASE_URL")
        .expect("DATABASE_URL: run the tests by script/test, which brings a PostgreSQL along")
}

async fn administer(sql: &str) {
    let mut connection =
        PgConnection::connect_with(&server()).await.expect("the server of DATABASE_URL answers");
    connection
        .execute(AssertSqlSafe(sql.to_owned()))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The test's runtime can't be waited on from a drop, and it may be unwinding: hence a thread with its own.
fn drop_database(name: &str) {
    let statement = format!("DROP DATABASE {name} WITH (FORCE)");
    let dropped = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(administer(&statement));
    })
    .join();
    if dropped.is_err() {
        eprintln!("the database {name} could not be dropped");
    }
}

//! A PostgreSQL server of its own, which may be hurt, a sandbox, and what daemons are told of both.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use provisor::sandbox::{Sandbox, SandboxOptions, postgres::PrivatePostgres};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};

use super::{pipe::Pipe, weather::OPERATOR};
use crate::house::{migrate, open_sandbox};

const CONNECTIONS_MAX: u32 = 12;

/// How long the database may be away after a blow.
const AWAY_MAX: Duration = Duration::from_mins(2);

/// Longer than this no request of a daemon lasts.
pub(crate) const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(3);

/// A daemon that stands still for longer has lost what it held.
pub(crate) const LEASE: Duration = Duration::from_secs(6);

pub(crate) struct House {
    pub(crate) pool: PgPool,
    pub(crate) sandbox: Sandbox,
    pub(crate) pipe: Pipe,
    /// Whether orders in doubt are looked for by their number.
    pub(crate) order_id_probe: bool,
    server: PrivatePostgres,
    folder: PathBuf,
}

impl House {
    pub(crate) async fn build(seed: u64) -> Self {
        let id = uuid::Uuid::new_v4().simple();
        let folder = std::env::temp_dir().join(format!("provisor-ordeal-{id}"));
        std::fs::create_dir_all(folder.join("logs")).expect("a folder for logs and mails");
        let sandbox = open_sandbox(&folder, Duration::from_millis(500), seed).await;
        let server = PrivatePostgres::start(&folder.join("postgres")).await.expect("a server");
        let url = server.url();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect(&url)
            .await
            .expect("the server answers");
        migrate(&url).await;
        let pipe = Pipe::open(socket_of(&url)).await;
        let house = Self { pool, sandbox, pipe, order_id_probe: seed % 2 == 1, server, folder };
        // What is tested is logic, not the disk: the machine itself does not crash.
        house.run("ALTER SYSTEM SET fsync = off").await;
        house.run("SELECT pg_reload_conf()").await;
        house
    }

    /// The environment of a daemon: everything that a blow may hold up is looked at again soon.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        let database =
            format!("postgres://provisor@{}/provisor?sslmode=disable", self.pipe.address);
        [
            ("DATABASE__URL", database),
            ("LJPC__BASE_URL", format!("http://{}", self.sandbox.ljpc_addr())),
            ("LJPC__API_KEY", SandboxOptions::default().api_key),
            ("LJPC__TIMEOUT", seconds(UPSTREAM_TIMEOUT)),
            ("LJPC__REQUESTS_PER_SECOND", "2000".to_owned()),
            ("LJPC__MAX_IN_FLIGHT", "24".to_owned()),
            ("LJPC__IN_DOUBT_GRACE", "5s".to_owned()),
            ("LJPC__EVIDENCE_INTERVAL", "500ms".to_owned()),
            ("LJPC__ORDER_ID_PROBE", self.order_id_probe.to_string()),
            ("LJPC__CIRCUIT_PROBE_INTERVAL", "500ms".to_owned()),
            ("POLL__INITIAL_INTERVAL", "200ms".to_owned()),
            ("POLL__MAX_INTERVAL", "1s".to_owned()),
            ("POLL__TRANSFER_MAX_INTERVAL", "1s".to_owned()),
            ("POLL__FAILED_RECHECK", "1s".to_owned()),
            ("POLL__SITE_ID_WAIT", "3s".to_owned()),
            ("QUEUE__CONCURRENCY", "48".to_owned()),
            ("QUEUE__LEASE", seconds(LEASE)),
            ("QUEUE__SHUTDOWN_GRACE", "20s".to_owned()),
            ("EMAIL__SMTP_URL", format!("smtp://{}", self.sandbox.smtp_addr())),
            ("EMAIL__FROM", "shop@example.com".to_owned()),
            ("EMAIL__OPS_TO", OPERATOR.to_owned()),
            ("EMAIL__RETRY_INITIAL", "500ms".to_owned()),
            ("EMAIL__RETRY_MAX", "2s".to_owned()),
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("CONFIG_DIR", "/nonexistent".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (format!("PROVISOR_{key}"), value))
        .collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the daemons' logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Runs a statement, again and again while the database is away.
    pub(crate) async fn run(&self, sql: &str) {
        self.repeat(sql, async || {
            sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.map(drop)
        })
        .await;
    }

    /// The one value that a query returns.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.repeat(sql, async || {
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await
        })
        .await
    }

    /// All rows that a query returns.
    pub(crate) async fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        self.repeat(sql, async || {
            sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&self.pool).await
        })
        .await
    }

    /// Tries again while the database is away: what a shop does, too. What it refuses is a mistake of the test.
    pub(crate) async fn repeat<T>(
        &self,
        what: &str,
        attempt: impl AsyncFn() -> Result<T, sqlx::Error>,
    ) -> T {
        let began = Instant::now();
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(error) if is_away(&error) && began.elapsed() < AWAY_MAX => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }

    /// Writes down, for whoever looks for the cause, the timelines of these orders and the requests with an effect; answers
    /// where.
    pub(crate) async fn explain(&self, references: &[String]) -> String {
        let orders = self.folder.join("orders");
        std::fs::create_dir_all(&orders).expect("a folder");
        for reference in references {
            let shown = tokio::process::Command::new(env!("CARGO_BIN_EXE_provisor"))
                .args(["order", "show", reference])
                .env_clear()
                .envs(self.environment())
                .env("PROVISOR_DATABASE__URL", self.server.url())
                .output();
            let shown = shown.await.expect("the binary starts");
            std::fs::write(orders.join(format!("{reference}.txt")), shown.stdout).expect("written");
        }
        let journal = self.sandbox.state().journal(0);
        let asked: Vec<_> = journal.iter().filter(|entry| entry.method != "GET").collect();
        let journal = serde_json::to_vec_pretty(&asked).expect("entries are JSON");
        std::fs::write(self.folder.join("journal.json"), journal).expect("written");
        let folder = self.folder.display();
        format!(
            "look at the orders' timelines:   less {folder}/orders/*.txt\n\
             at what LJPc was asked:          less {folder}/journal.json\n\
             at what the workers logged:      grep REFERENCE {folder}/logs/*.log\n\
             at the database, as its owner:   pg_ctl -D {folder}/postgres/data start\n"
        )
    }

    /// Stops the server. Logs, mails and data are kept where somebody will want to look at them.
    pub(crate) async fn leave(self, keep: bool) {
        self.pool.close().await;
        self.sandbox.stop().await;
        self.server.stop().await.expect("the server stops");
        if !keep {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether the connection, or the server, is gone or going, and not the statement wrong.
fn is_away(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Database, Io, PoolTimedOut, Protocol, WorkerCrashed};

    if let Database(refused) = error {
        // Class 57: the server is shutting down, crashing or starting; 53: full; 40: a deadlock, or a rollback.
        let code = refused.code().unwrap_or_default();
        return ["40", "53", "57"].iter().any(|class| code.starts_with(class));
    }
    matches!(error, Io(_) | Protocol(_) | PoolTimedOut | WorkerCrashed)
}

fn socket_of(url: &str) -> PathBuf {
    let url = url::Url::parse(url).expect("it is a URL");
    let folder = url.query_pairs().find(|(key, _)| key == "host").expect("it names its socket").1;
    Path::new(folder.as_ref()).join(".s.PGSQL.5432")
}

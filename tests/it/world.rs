//! A database of its own for each test, cloned from a template that is migrated once per run.

use std::str::FromStr;

use provisor::db::{Database, Purpose};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::sync::OnceCell;

/// The name of this run's template, once it is there.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// Connections that one test may hold; the server is shared by as many tests as there are cores.
const CONNECTIONS_MAX: u32 = 24;

/// A test's own database, which is dropped with it.
pub(crate) struct World {
    /// Connections as the owner, who may do everything.
    pub(crate) pool: PgPool,
    /// The database's name.
    pub(crate) name: String,
}

impl World {
    /// A migrated database.
    pub(crate) async fn new() -> Self {
        let template = TEMPLATE.get_or_init(make_template).await;
        Self::create(&format!(" TEMPLATE {template}")).await
    }

    /// A database without anything in it.
    pub(crate) async fn empty() -> Self {
        Self::create("").await
    }

    async fn create(template: &str) -> Self {
        let name = fresh_name("test");
        administer(&format!("CREATE DATABASE {name}{template}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(server().database(&name))
            .await
            .expect("the new database can be connected to");
        Self { pool, name }
    }

    /// A connection that acts as `role`.
    pub(crate) async fn acting_as(&self, role: &str) -> PgConnection {
        let mut connection = self.connection().await;
        connection
            .execute(AssertSqlSafe(format!("SET SESSION AUTHORIZATION {role}")))
            .await
            .expect("the role exists");
        connection
    }

    /// The URL of this database.
    pub(crate) fn url(&self) -> String {
        let mut url = url::Url::parse(&server_url()).expect("DATABASE_URL is a URL");
        url.set_path(&self.name);
        url.into()
    }

    /// The same as `login`, who may log in.
    pub(crate) fn url_as(&self, login: &str) -> String {
        let mut url = url::Url::parse(&self.url()).expect("a URL");
        let others: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(key, _)| key != "user").collect();
        url.query_pairs_mut().clear().extend_pairs(others).append_pair("user", login);
        url.into()
    }

    /// Leaves the schema as a newer release would, that serves this binary or does not.
    pub(crate) async fn migrated_by_a_newer_release(&self, oldest_binary: &str) {
        self.run(&format!(
            "INSERT INTO provisor.schema_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'what is to come', true, '', 0);
             UPDATE provisor.schema_info SET oldest_binary = '{oldest_binary}'"
        ))
        .await;
    }

    /// A connection outside the pool.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect_with(&server().database(&self.name))
            .await
            .expect("the test's database can be connected to")
    }

    /// Submits a document and returns the order's id.
    pub(crate) async fn submit(&self, document: &Value) -> Result<i64, sqlx::Error> {
        self.submit_text(&document.to_string()).await
    }

    /// Submits a document that is written as the test wants it.
    pub(crate) async fn submit_text(&self, document: &str) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT provisor.submit_order($1::text::jsonb)")
            .bind(document)
            .fetch_one(&self.pool)
            .await
    }

    /// The one value that a query without parameters returns.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Takes the database away, or brings it back, without harm to any other test.
    pub(crate) async fn allow_connections(&self, allowed: bool) {
        // A database can't be closed from within.
        let name = &self.name;
        administer(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}")).await;
        if !allowed {
            administer(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ))
            .await;
        }
    }

    /// Runs statements that return nothing.
    pub(crate) async fn run(&self, sql: &str) {
        self.pool
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let name = self.name.clone();
        // The test's runtime can't be waited on from here, and it may be unwinding: hence a thread with its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .expect("a runtime")
                .block_on(administer(&format!("DROP DATABASE {name} WITH (FORCE)")));
        })
        .join();
        if dropped.is_err() {
            eprintln!("the database {} could not be dropped", self.name);
        }
    }
}

/// The server that the tests use, as `DATABASE_URL` names it.
fn server() -> PgConnectOptions {
    PgConnectOptions::from_str(&server_url()).expect("DATABASE_URL is a PostgreSQL URL")
}

fn server_url() -> String {
    std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        panic!(
            "DATABASE_URL is not set: run the tests by script/test, which brings a PostgreSQL along"
        )
    })
}

/// A connection to the database of `DATABASE_URL`, from which a test's own is managed.
pub(crate) async fn administrator() -> PgConnection {
    PgConnection::connect_with(&server()).await.expect("the server of DATABASE_URL answers")
}

/// Runs one statement there.
async fn administer(sql: &str) {
    administrator()
        .await
        .execute(AssertSqlSafe(sql.to_owned()))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A name that no other database has, also if runs share the server.
fn fresh_name(what: &str) -> String {
    format!("provisor_it_{what}_{}", uuid::Uuid::new_v4().simple())
}

/// Makes this run's template. What earlier runs left behind goes: templates live as long as their process, and nobody is
/// told when that ends.
async fn make_template() -> String {
    let name = format!("provisor_it_template_{}", std::process::id());
    let mut connection =
        PgConnection::connect_with(&server()).await.expect("the server of DATABASE_URL answers");
    let earlier: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database WHERE datname LIKE 'provisor\\_it\\_template\\_%'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("databases can be listed");
    for database in earlier {
        let pid = database.trim_start_matches("provisor_it_template_");
        if pid == std::process::id().to_string()
            || !std::path::Path::new("/proc").join(pid).exists()
        {
            administer(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await;
        }
    }
    administer(&format!("CREATE DATABASE {name}")).await;
    let mut url = url::Url::parse(&server_url()).expect("DATABASE_URL is a URL");
    url.set_path(&name);
    let template = Database::new(url.as_str(), 1, Purpose::General).expect("a database URL");
    template.migrate().await.expect("the migrations run");
    // A database that somebody is connected to can't be cloned.
    template.close().await;
    name
}

//! The private server that `script/bench` has started, and databases on it.

use std::time::Duration;

use anyhow::Context as _;
use provisor::db::{Database, Purpose};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

/// The settings that a run states.
const STATED: &[&str] = &[
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum_naptime",
    "jit",
];

/// The server.
pub(crate) struct Server {
    url: String,
    /// The process id of its postmaster.
    pub(crate) postmaster: u32,
}

/// What a database's sessions have done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// Statements, BEGIN and COMMIT among them; not those within functions.
    pub(crate) statements: i64,
    /// Pages that they have asked for, found or read.
    pub(crate) buffers: i64,
    /// Bytes of WAL, of the whole server.
    pub(crate) wal: i64,
}

impl Server {
    pub(crate) async fn from_environment() -> anyhow::Result<Self> {
        let url = std::env::var("DATABASE_URL")
            .context("DATABASE_URL is missing: run this by script/bench")?;
        let mut connection = PgConnection::connect(&url).await?;
        // The first line of postmaster.pid; the server's user may read its own folder.
        let pid: String =
            sqlx::query_scalar("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
                .fetch_one(&mut connection)
                .await?;
        let server = Self { url, postmaster: pid.parse()? };
        // Each database that is made afterwards has it.
        run(&server.url("template1"), &["CREATE EXTENSION IF NOT EXISTS pg_stat_statements"])
            .await?;
        Ok(server)
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url.replace("/provisor?", &format!("/{database}?"))
    }

    /// What the server is set to.
    pub(crate) async fn settings(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut connection = PgConnection::connect(&self.url).await?;
        let rows = sqlx::query(
            "SELECT name, current_setting(name) AS value FROM unnest($1::text[]) WITH ORDINALITY AS s (name, n)
             ORDER BY n",
        )
        .bind(STATED)
        .fetch_all(&mut connection)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("value")?))).collect()
    }

    /// An empty database.
    pub(crate) async fn empty(&self, name: &str) -> anyhow::Result<String> {
        self.drop(name).await?;
        let mut connection = PgConnection::connect(&self.url).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        Ok(self.url(name))
    }

    /// A database with Provisor's schema.
    pub(crate) async fn migrated(&self, name: &str) -> anyhow::Result<String> {
        let url = self.empty(name).await?;
        let db = Database::new(&url, 1, Purpose::General)?;
        db.migrate().await?;
        db.close().await;
        Ok(url)
    }

    /// Drops a database, if it is there.
    pub(crate) async fn drop(&self, name: &str) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        connection.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }
}

/// Runs statements one by one.
pub(crate) async fn run(url: &str, statements: &[&str]) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for sql in statements {
        connection.execute(AssertSqlSafe(*sql)).await.with_context(|| (*sql).to_owned())?;
    }
    connection.close().await?;
    Ok(())
}

/// One number.
pub(crate) async fn value(url: &str, sql: &str) -> anyhow::Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    let value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(value)
}

/// What the sessions of a database have done. Unlike the statistics of tables, which a session tells late, these are told
/// at once.
pub(crate) async fn counters(url: &str) -> anyhow::Result<Counters> {
    let mut connection = PgConnection::connect(url).await?;
    let row = sqlx::query(
        "SELECT coalesce(sum(s.calls), 0)::bigint AS statements,
                coalesce(sum(s.shared_blks_hit + s.shared_blks_read), 0)::bigint AS buffers,
                (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS wal
         FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
         WHERE d.datname = current_database() AND s.toplevel",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(Counters {
        statements: row.try_get("statements")?,
        buffers: row.try_get("buffers")?,
        wal: row.try_get("wal")?,
    })
}

/// Sequential scans of the table of wakes so far. A session that falls silent tells its last ones after ten seconds.
pub(crate) async fn scans(url: &str) -> anyhow::Result<i64> {
    tokio::time::sleep(Duration::from_secs(11)).await;
    value(
        url,
        "SELECT coalesce(max(seq_scan), 0) FROM pg_stat_user_tables WHERE schemaname = 'provisor' AND relname = 'wakes'",
    )
    .await
}

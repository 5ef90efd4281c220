//! A server of a test's own with a migrated database, to which daemons come by way of a proxy, and the test does not.

use std::str::FromStr;

use provisor::db::{Database, Purpose};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{proxy::Proxy, server::Server};

/// The database.
pub(crate) const NAME: &str = "provisor";

/// A server, the way to it, and its database.
pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) server: Server,
    pub(crate) proxy: Proxy,
}

impl World {
    /// A migrated database.
    pub(crate) async fn new() -> Self {
        Self::on(Server::new()).await
    }

    /// A migrated database of this server.
    pub(crate) async fn on(server: Server) -> Self {
        let mut connection = connect(&server.url("postgres")).await.expect("a new server answers");
        let create = format!("CREATE DATABASE {NAME}");
        connection.execute(AssertSqlSafe(create)).await.expect("it can be made");
        let migrating = Database::new(&server.url(NAME), 1, Purpose::General).expect("a URL");
        migrating.migrate().await.expect("the migrations run");
        migrating.close().await;
        let proxy = Proxy::to(server.socket()).await;
        Self { pool: pool_of(&server), server, proxy }
    }

    /// The database's URL for daemons.
    pub(crate) fn url(&self) -> String {
        format!("postgres://provisor@{}/{NAME}?sslmode=disable", self.proxy.address())
    }

    /// The database's URL past the proxy.
    pub(crate) fn direct_url(&self) -> String {
        self.server.url(NAME)
    }

    /// A connection outside the pool.
    pub(crate) async fn connection(&self) -> Result<PgConnection, sqlx::Error> {
        connect(&self.direct_url()).await
    }

    /// Submits a document and returns the order's id.
    pub(crate) async fn submit(&self, document: &Value) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT provisor.submit_order($1)")
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

    /// Runs statements that return nothing.
    pub(crate) async fn run(&self, sql: &str) {
        let ran = self.pool.execute(AssertSqlSafe(sql.to_owned())).await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Ends all sessions of daemons, and answers how many that were.
    pub(crate) async fn terminate_daemons(&self) -> i64 {
        self.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'provisor'",
        )
        .await
    }

    /// Ends the server as a crash does, and starts it again.
    pub(crate) async fn crash(&mut self) {
        self.server.stop_immediately();
        self.server.start();
        self.reconnect().await;
    }

    /// Stops the server and starts it, so that settings take hold which need that.
    pub(crate) async fn restart(&mut self) {
        self.server.stop();
        self.server.start();
        self.reconnect().await;
    }

    /// The server is gone, and this one takes its place: daemons are led to it.
    pub(crate) async fn take_over(&mut self, server: Server) {
        self.proxy.lead_to(server.socket());
        self.server = server;
        self.reconnect().await;
    }

    /// The test's own connections anew: it is not what is tested here.
    pub(crate) async fn reconnect(&mut self) {
        self.pool.close().await;
        self.pool = pool_of(&self.server);
    }
}

fn pool_of(server: &Server) -> PgPool {
    let options = PgConnectOptions::from_str(&server.url(NAME)).expect("a URL");
    // Whatever a test makes of the database's default.
    let options = options.options([("default_transaction_isolation", "read committed")]);
    PgPoolOptions::new().max_connections(4).connect_lazy_with(options)
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect_with(&PgConnectOptions::from_str(url).expect("a URL")).await
}

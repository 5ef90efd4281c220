//! A database of its own, a sandbox, and orders.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};

use provisor::{
    db::{Database, Purpose},
    sandbox::{self, Sandbox, SandboxOptions},
};
use serde_json::json;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Shops that submit at the same time.
const SHOPS: usize = 4;

/// One for each shop, and one that looks.
const CONNECTIONS_MAX: u32 = 5;

/// How long the orders may take to settle. A rate of ten a second would be a defect even on a busy machine.
const PATIENCE_PER_ORDER: Duration = Duration::from_millis(100);

/// What the orders that a kill holds up may take beyond that: leases, graces, retries.
const PATIENCE: Duration = Duration::from_mins(2);

/// What each customer is called: whoever logs it logs personal data.
pub(crate) const CUSTOMER_NAME: &str = "Quetzalcoatl";

/// The domain of the customers' mailboxes.
pub(crate) const CUSTOMER_DOMAIN: &str = "customers.example.com";

pub(crate) struct House {
    pub(crate) pool: PgPool,
    pub(crate) sandbox: Sandbox,
    name: String,
    folder: PathBuf,
}

/// An LJPc of which two orders in a hundred fail, and which delivers the others after the delay.
pub(crate) async fn open_sandbox(folder: &Path, delay: Duration, seed: u64) -> Sandbox {
    let started = sandbox::start(SandboxOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        leanstack_listen: ([127, 0, 0, 1], 0).into(),
        smtp_listen: ([127, 0, 0, 1], 0).into(),
        mail_dir: folder.join("mails"),
        delay,
        failure_rate: "0.02".parse().expect("a probability"),
        seed,
        ..SandboxOptions::default()
    });
    started.await.expect("the sandbox starts")
}

/// Brings a database's schema up to date.
pub(crate) async fn migrate(url: &str) {
    let migrating = Database::new(url, 1, Purpose::General).expect("it is a URL");
    migrating.migrate().await.expect("the migrations run");
    migrating.close().await;
}

impl House {
    pub(crate) async fn new(seed: u64) -> Self {
        let id = uuid::Uuid::new_v4().simple();
        let (name, folder) = (
            format!("provisor_chaos_{id}"),
            std::env::temp_dir().join(format!("provisor-chaos-{id}")),
        );
        std::fs::create_dir_all(folder.join("logs")).expect("a folder for logs and mails");
        let sandbox = open_sandbox(&folder, Duration::from_millis(300), seed).await;
        administer(&format!("CREATE DATABASE {name}")).await;
        let options = server().database(&name);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(options)
            .await
            .expect("the new database can be connected to");
        let house = Self { pool, sandbox, name, folder };
        migrate(&house.url()).await;
        house
    }

    fn url(&self) -> String {
        let mut url = url::Url::parse(&server_url()).expect("DATABASE_URL is a URL");
        url.set_path(&self.name);
        url.into()
    }

    /// The environment of a daemon: everything that a kill may hold up is looked at again soon.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("DATABASE__URL", self.url()),
            ("LJPC__BASE_URL", format!("http://{}", self.sandbox.ljpc_addr())),
            ("LJPC__API_KEY", SandboxOptions::default().api_key),
            ("LJPC__TIMEOUT", "2s".to_owned()),
            ("LJPC__REQUESTS_PER_SECOND", "10000".to_owned()),
            ("LJPC__MAX_IN_FLIGHT", "32".to_owned()),
            ("LJPC__IN_DOUBT_GRACE", "1s".to_owned()),
            ("POLL__INITIAL_INTERVAL", "200ms".to_owned()),
            ("POLL__MAX_INTERVAL", "1s".to_owned()),
            ("POLL__FAILED_RECHECK", "1s".to_owned()),
            ("QUEUE__CONCURRENCY", "64".to_owned()),
            ("QUEUE__LEASE", "6s".to_owned()),
            ("EMAIL__SMTP_URL", format!("smtp://{}", self.sandbox.smtp_addr())),
            ("EMAIL__FROM", "shop@example.com".to_owned()),
            ("EMAIL__OPS_TO", "ops@example.com".to_owned()),
            ("EMAIL__RETRY_INITIAL", "500ms".to_owned()),
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("CONFIG_DIR", "/nonexistent".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (format!("PROVISOR_{key}"), value))
        .collect()
    }

    /// The folder of the daemons' logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// All that daemons have logged.
    pub(crate) fn logged(&self) -> String {
        let logs = std::fs::read_dir(self.logs()).expect("the folder is there");
        logs.map(|log| std::fs::read_to_string(log.expect("listed").path()).expect("logs are text"))
            .collect()
    }

    /// Submits so many orders, as several shops would, each order for a customer and a name of its own.
    pub(crate) async fn submit_orders(&self, orders: u32) {
        let shops = (0..orders).take(SHOPS).map(async |first| {
            for n in (first..orders).step_by(SHOPS) {
                self.submit(n).await;
            }
        });
        futures_util::future::join_all(shops).await;
    }

    async fn submit(&self, n: u32) {
        let document = json!({
            "reference": format!("CHAOS-{n}"),
            "customer": { "reference": format!("C-{n}"), "first_name": CUSTOMER_NAME,
                          "last_name": format!("Number {n}"), "email": mailbox(n) },
            "lines": [{ "kind": "hosting", "package": "hosting_5gb", "billing_period": "monthly",
                        "domain": format!("chaos-{n}.nl") }],
        });
        sqlx::query("SELECT provisor.submit_order($1)")
            .bind(document)
            .execute(&self.pool)
            .await
            .expect("the order is well formed");
    }

    /// Waits until each order has ended or asks for a person, and no email is left to be sent.
    pub(crate) async fn until_settled(&self) {
        let orders: i64 = self.value("SELECT count(*) FROM provisor.orders").await;
        let patience = PATIENCE + PATIENCE_PER_ORDER * u32::try_from(orders).expect("a number");
        let began = Instant::now();
        loop {
            let open: i64 = self
                .value(
                    "SELECT (SELECT count(*) FROM provisor.orders
                             WHERE finished_at IS NULL AND status <> 'attention')
                          + (SELECT count(*) FROM provisor.email_outbox WHERE status = 'queued')",
                )
                .await;
            if open == 0 {
                return;
            }
            if began.elapsed() >= patience {
                let lines = self.open_lines().await;
                panic!("{open} orders and emails not settled within {patience:?}: {lines}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Some of what is still open, for the message of a test that fails.
    async fn open_lines(&self) -> String {
        self.value(
            "SELECT coalesce(string_agg(line, E'\\n'), '') FROM (
                 SELECT l.id || ' ' || l.status || ' ' || coalesce(l.reason, '') || ' ' || w AS line
                 FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
                 LEFT JOIN provisor.wakes w ON w.id = l.id * 16 + 1
                 WHERE o.finished_at IS NULL AND o.status <> 'attention' LIMIT 20) AS open",
        )
        .await
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
}

impl Drop for House {
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
        if std::thread::panicking() {
            eprintln!("logs and mails are kept in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Where the customer of an order gets mail.
pub(crate) fn mailbox(n: u32) -> String {
    format!("number-{n}@{CUSTOMER_DOMAIN}")
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

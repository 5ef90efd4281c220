//! A database, a sandbox and daemons, all in the test's own process.

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use provisor::{
    app,
    config::{self, Need, Settings, Sources},
    lifecycle::Lifecycle,
    sandbox::{self, Sandbox, SandboxOptions},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::world::World;

/// How long a condition may take to come true on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// A database with its sandbox.
pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) sandbox: Sandbox,
    mails: PathBuf,
}

/// A daemon in this process, on a runtime of its own.
pub(crate) struct Daemon {
    pub(crate) lifecycle: Lifecycle,
    running: JoinHandle<anyhow::Result<()>>,
    runtime: Option<Runtime>,
}

impl House {
    /// A migrated database and a sandbox that delivers at once.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other options for the sandbox.
    pub(crate) async fn with(options: impl FnOnce(&mut SandboxOptions)) -> Self {
        let mails = std::env::temp_dir().join(format!("provisor-it-{}", uuid::Uuid::new_v4()));
        let mut chosen = SandboxOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            leanstack_listen: ([127, 0, 0, 1], 0).into(),
            smtp_listen: ([127, 0, 0, 1], 0).into(),
            mail_dir: mails.clone(),
            delay: Duration::ZERO,
            ..SandboxOptions::default()
        };
        options(&mut chosen);
        let sandbox = sandbox::start(chosen).await.expect("the sandbox starts");
        Self { world: World::new().await, sandbox, mails }
    }

    /// The environment of a daemon of this house: quick, and with `changes` such as `("LJPC__TIMEOUT", "2s")`.
    pub(crate) fn environment(&self, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = [
            ("LJPC__BASE_URL", format!("http://{}", self.sandbox.ljpc_addr())),
            ("LJPC__API_KEY", SandboxOptions::default().api_key),
            ("LJPC__TIMEOUT", "2s".to_owned()),
            ("LJPC__REQUESTS_PER_SECOND", "1000".to_owned()),
            ("LJPC__IN_DOUBT_GRACE", "1s".to_owned()),
            ("LJPC__CIRCUIT_PROBE_INTERVAL", "500ms".to_owned()),
            ("POLL__INITIAL_INTERVAL", "100ms".to_owned()),
            ("POLL__MAX_INTERVAL", "500ms".to_owned()),
            ("QUEUE__LEASE", "10s".to_owned()),
            ("QUEUE__POLL_INTERVAL", "200ms".to_owned()),
            ("QUEUE__SHUTDOWN_GRACE", "5s".to_owned()),
            ("EMAIL__SMTP_URL", format!("smtp://{}", self.sandbox.smtp_addr())),
            ("EMAIL__FROM", "Example Hosting <shop@example.com>".to_owned()),
            ("EMAIL__OPS_TO", "ops@example.com".to_owned()),
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("CONFIG_DIR", "/nonexistent".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (format!("PROVISOR_{key}"), value))
        .collect();
        env.insert("PROVISOR_DATABASE__URL".to_owned(), self.world.url());
        for (key, value) in changes {
            env.insert(format!("PROVISOR_{key}"), (*value).to_owned());
        }
        env
    }

    /// The settings of such a daemon.
    pub(crate) fn settings(&self, changes: &[(&str, &str)]) -> Settings {
        let env = self.environment(changes);
        let needs = [Need::Database, Need::Ljpc, Need::Email];
        config::load(&Sources { env, config_file: None }, &needs).expect("the settings are good")
    }

    /// Starts a daemon with these changes of its settings.
    pub(crate) fn daemon(&self, changes: &[(&str, &str)]) -> Daemon {
        let (settings, lifecycle) = (self.settings(changes), Lifecycle::default());
        let own = lifecycle.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let running = runtime.spawn(async move { app::run(&settings, &own).await });
        Daemon { lifecycle, running, runtime: Some(runtime) }
    }

    /// Submits an order of these lines.
    pub(crate) async fn submit(&self, reference: &str, lines: Value) -> i64 {
        self.world.submit(&order(reference, lines)).await.expect("the order is well formed")
    }

    /// The status of an order's line.
    pub(crate) async fn line_status(&self, reference: &str, line: i32) -> String {
        sqlx::query_scalar(
            "SELECT status FROM provisor.line_status WHERE reference = $1 AND line = $2",
        )
        .bind(reference)
        .bind(line)
        .fetch_one(&self.world.pool)
        .await
        .expect("the line is there")
    }

    /// Waits until an order's line has this status.
    pub(crate) async fn until_line(&self, reference: &str, line: i32, status: &str) {
        eventually(&format!("{reference}/{line} is {status}"), async || {
            self.line_status(reference, line).await == status
        })
        .await;
    }

    /// Waits until an order has this status.
    pub(crate) async fn until_order(&self, reference: &str, status: &str) {
        eventually(&format!("{reference} is {status}"), async || {
            let now: String =
                sqlx::query_scalar("SELECT status FROM provisor.order_status WHERE reference = $1")
                    .bind(reference)
                    .fetch_one(&self.world.pool)
                    .await
                    .expect("the order is there");
            now == status
        })
        .await;
    }

    /// Waits until no email is left to be sent.
    pub(crate) async fn until_emailed(&self) {
        eventually("all emails are sent", async || {
            let left: i64 = self
                .world
                .value("SELECT count(*) FROM provisor.email_outbox WHERE status = 'queued'")
                .await;
            left == 0
        })
        .await;
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.mails);
    }
}

impl Daemon {
    /// Stops it as SIGTERM does, and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.lifecycle.stop.cancel();
        let ended = in_time("the daemon ends", &mut self.running).await;
        let ended = ended.expect("the daemon does not panic");
        ended.expect("the daemon ends well");
    }

    /// Ends it without any farewell: all its tasks are gone at their next await, its leases stay.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A runtime may not be waited on from within another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An order document with these lines.
#[expect(clippy::needless_pass_by_value, reason = "it is called with json!(…)")]
pub(crate) fn order(reference: &str, lines: Value) -> Value {
    json!({
        "reference": reference,
        "customer": { "reference": "C-77", "first_name": "Bob", "last_name": "Brown",
                      "email": "bob@example.com" },
        "lines": lines,
    })
}

/// A hosting line for this domain.
pub(crate) fn hosting(domain: &str) -> Value {
    json!({ "kind": "hosting", "package": "hosting_5gb", "domain": domain, "billing_period": "monthly" })
}

/// What must come to its end in time, or else the test would wait for ever.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

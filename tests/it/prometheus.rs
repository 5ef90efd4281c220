//! A real Prometheus scrapes Provisor and judges it by the rules that are shipped: each fault that is injected raises its
//! alert.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::{
    binary::{Environment, Process, get, provisor},
    commands::closed_port,
    house::{House, eventually, hosting},
};

/// What the contract says is told, and two of our own.
const SERIES: [&str; 19] = [
    "provisor_audit_findings",
    "provisor_audit_last_success_timestamp_seconds",
    "provisor_build_info",
    "provisor_emails_total",
    "provisor_in_doubt_lines",
    "provisor_job_duration_seconds_bucket",
    "provisor_jobs_total",
    "provisor_lines",
    "provisor_order_duration_seconds_bucket",
    "provisor_orders_total",
    "provisor_outbox_oldest_seconds",
    "provisor_pickup_seconds_bucket",
    "provisor_purchases_held",
    "provisor_queue_depth",
    "provisor_queue_oldest_due_seconds",
    "provisor_ready",
    "provisor_upstream_circuit_open",
    "provisor_upstream_request_duration_seconds_bucket",
    "provisor_upstream_requests_total",
];

/// A Prometheus that scrapes twice a second, and has the rules that are shipped, but for their patience: an alert fires as
/// soon as its expression holds.
struct Prometheus {
    address: SocketAddr,
    folder: PathBuf,
    process: Option<Process>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // First, for what is being written comes back.
        drop(self.process.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Prometheus {
    async fn start(targets: &[SocketAddr]) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let found = Command::new(root.join("script/tool-bin")).args(["prometheus"; 2]).output();
        let found = found.expect("a script");
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let program = String::from_utf8(found.stdout).unwrap().trim().to_owned();

        let folder = std::env::temp_dir().join(format!("provisor-it-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let rules = std::fs::read_to_string(root.join("deploy/prometheus/alerts.yaml")).unwrap();
        let hasty: Vec<&str> =
            rules.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
        std::fs::write(folder.join("alerts.yaml"), hasty.join("\n")).unwrap();
        let config = json!({
            "global": { "scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms" },
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{
                "job_name": "provisor",
                "static_configs": [{ "targets": targets.iter().map(ToString::to_string).collect::<Vec<_>>() }],
            }],
        });
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yaml"), config.to_string()).unwrap();
        let args = [
            format!("--config.file={}", folder.join("prometheus.yaml").display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        let process = Process::start_other(
            &program,
            &args.each_ref().map(String::as_str),
            &Environment::new(),
        );
        let listens = || {
            let printed = process.printed();
            let line = printed.iter().find(|line| line.contains("\"Listening on\""))?;
            line.split_once("address=")?.1.parse().ok()
        };
        eventually("Prometheus listens", async || listens().is_some()).await;
        let address = listens().expect("it listens");
        let prometheus = Self { address, folder, process: Some(process) };
        eventually("Prometheus is ready", async || get(address, "/-/ready").await.0 == 200).await;
        prometheus
    }

    async fn asked(&self, path: &str) -> Value {
        let (status, body) = get(self.address, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        let answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        answer["data"].clone()
    }

    /// The alerts that fire.
    async fn firing(&self) -> BTreeSet<String> {
        let alerts = self.asked("/api/v1/alerts").await;
        let alerts = alerts["alerts"].as_array().expect("a list").iter();
        alerts
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| alert["labels"]["alertname"].as_str().expect("a name").to_owned())
            .collect()
    }

    async fn until_fires(&self, alert: &str) {
        eventually(alert, async || self.firing().await.contains(alert)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_raises_its_alert() {
    let house = House::new().await;
    let closed = closed_port();
    let no_mail = format!("smtp://{}", closed.1);
    let changes = [("LJPC__IN_DOUBT_GRACE", "1h"), ("EMAIL__SMTP_URL", no_mail.as_str())];
    let mut daemon = Process::start(&["run"], &house.environment(&changes));
    let address = daemon.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    let audited = house.environment(&[]);
    assert_eq!(provisor(&["audit", "run"], &audited).await.code, Some(0));
    let prometheus = Prometheus::start(&[address]).await;
    eventually("all is scraped", async || {
        let names = prometheus.asked("/api/v1/label/__name__/values").await;
        SERIES.iter().all(|series| names.as_array().expect("a list").contains(&json!(series)))
    })
    .await;
    // An email waits already, for its server is away, but not for long.
    eventually("nothing fires", async || prometheus.firing().await.is_empty()).await;

    let world = &house.world;
    world.run("UPDATE provisor.email_outbox SET created_at = now() - interval '1 hour' WHERE status = 'queued'").await;
    prometheus.until_fires("ProvisorEmailsStuck").await;

    let lost = json!({ "endpoint": "POST /api/v1/orders", "fault": "process_then_drop" });
    house.sandbox.state().add_fault(&lost).unwrap();
    house.submit("SHOP-2", json!([hosting("example.org")])).await;
    prometheus.until_fires("ProvisorInDoubt").await;

    world.run("UPDATE provisor.audit_runs SET ended_at = ended_at - interval '3 days'").await;
    prometheus.until_fires("ProvisorAuditStale").await;

    let paused = provisor(
        &["queue", "pause", "--lane", "place", "--by", "test", "--why", "a test"],
        &audited,
    )
    .await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    house.submit("SHOP-3", json!([hosting("example.com")])).await;
    world
        .run("UPDATE provisor.wakes SET due_at = due_at - interval '10 minutes' WHERE lane = 0")
        .await;
    prometheus.until_fires("ProvisorQueueStuck").await;
    let before = prometheus.firing().await;
    assert!(
        !before.contains("ProvisorUpstreamAway") && !before.contains("ProvisorDown"),
        "{before:?}"
    );

    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    prometheus.until_fires("ProvisorDown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_dead_raises_its_alert() {
    let house = House::new().await;
    let closed = closed_port();
    let dead = format!("http://{}", closed.1);
    let mut daemon = Process::start(&["run"], &house.environment(&[("LJPC__BASE_URL", &dead)]));
    let address = daemon.until_ready().await;
    for n in 0..6 {
        house.submit(&format!("SHOP-{n}"), json!([hosting(&format!("example-{n}.nl"))])).await;
    }
    let prometheus = Prometheus::start(&[address]).await;
    prometheus.until_fires("ProvisorUpstreamAway").await;
    let firing = prometheus.firing().await;
    assert!(!firing.contains("ProvisorInDoubt"), "what was not sent is not in doubt: {firing:?}");
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

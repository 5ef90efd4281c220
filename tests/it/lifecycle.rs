//! The daemon's life, from outside: it waits, works, tells how it is, and ends.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    binary::{Environment, Process, get, provisor},
    commands::closed_port,
    house::{House, eventually, hosting, in_time},
    world::World,
};

async fn until_answer(address: std::net::SocketAddr, path: &str, status: u16, body: &str) {
    eventually(&format!("{path} is {status} {body:?}"), async || {
        let (now, text) = get(address, path).await;
        now == status && text.contains(body)
    })
    .await;
}

/// The value of a series, as /metrics shows it.
pub(crate) async fn metric(address: std::net::SocketAddr, series: &str) -> Option<f64> {
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

#[tokio::test]
async fn a_daemon_waits_for_its_schema_and_then_works() {
    let mut house = House::new().await;
    house.world = World::empty().await;
    let env = house.environment(&[]);
    let mut daemon = Process::start(&["run"], &env);
    let address = daemon.address().await;
    until_answer(address, "/readyz", 503, "run `provisor migrate`").await;
    assert_eq!(get(address, "/livez").await, (200, "alive\n".to_owned()));

    assert_eq!(provisor(&["migrate"], &env).await.code, Some(0));
    until_answer(address, "/readyz", 200, "ready").await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn a_binary_that_the_schema_serves_no_more_writes_nothing_into_it() {
    let house = House::new().await;
    let env = house.environment(&[]);
    let mut daemon = Process::start(&["run"], &env);
    daemon.until_ready().await;
    // A newer release migrates, and can no longer live with this one.
    house.world.run("UPDATE provisor.schema_info SET oldest_binary = '99.0.0'").await;
    assert!(!in_time("it ends", daemon.ended()).await.success());
    let said = daemon.printed().join("\n");
    assert!(said.contains("serves this binary no more") && said.contains("99.0.0"), "{said}");

    let asked = house.requests("GET", "/").len();
    let mut daemon = Process::start(&["run"], &env);
    let address = daemon.address().await;
    until_answer(address, "/readyz", 503, "this is 0.1.0: install a newer one").await;
    assert_eq!(get(address, "/livez").await, (200, "alive\n".to_owned()));
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(house.requests("GET", "/").len(), asked);
    assert_eq!(house.line_status("SHOP-1", 0).await, "pending");
    let checked = provisor(&["check"], &env).await;
    assert!(checked.code == Some(1) && checked.stdout.contains("99.0.0"), "{checked:?}");

    house.world.run("UPDATE provisor.schema_info SET oldest_binary = '0.1.0'").await;
    house.until_order("SHOP-1", "completed").await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn a_daemon_that_waits_can_be_stopped() {
    let mut house = House::new().await;
    house.world = World::empty().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    daemon.until_logged("waiting").await;
    daemon.signal("INT").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn a_daemon_that_can_not_work_logs_why_once_and_tells_strangers_little() {
    let house = House::new().await;
    let stranger = format!("it_{}", uuid::Uuid::new_v4().simple());
    house.world.run(&format!("CREATE ROLE {stranger} LOGIN")).await;
    let missing = house.world.url().replace(&house.world.name, "provisor_it_missing");
    let (_kept, closed) = closed_port();
    let unreachable = format!("postgres://x:marker-of-the-password@{closed}/x");
    for (url, why) in [
        (missing, "\"provisor_it_missing\" does not exist"),
        (unreachable, "Connection refused"),
        (house.world.url_as(&stranger), "permission denied for schema provisor"),
    ] {
        let mut daemon = Process::start(&["run"], &house.environment(&[("DATABASE__URL", &url)]));
        let waiting = daemon.until_logged("waiting").await;
        assert_eq!(waiting["level"], "WARN");
        assert!(waiting["cause"].as_str().is_some_and(|it| it.contains(why)), "{why}: {waiting}");
        let (status, told) = get(daemon.address().await, "/readyz").await;
        assert_eq!(status, 503);
        assert!(told.contains("the database does not answer") && !told.contains(why), "{told}");
        // Two more looks, at least.
        tokio::time::sleep(Duration::from_secs(5)).await;
        daemon.signal("TERM").await;
        assert!(daemon.ended().await.success());
        let printed = daemon.printed();
        let times = printed.iter().filter(|line| line.contains("\"waiting\"")).count();
        assert_eq!(times, 1, "{printed:?}");
        assert!(!printed.join("\n").contains("marker"), "{printed:?}");
    }
    house.world.run(&format!("DROP ROLE {stranger}")).await;
}

#[tokio::test]
async fn a_supervisor_is_told_of_start_state_and_end_and_hears_it_breathe() {
    let mut house = House::new().await;
    house.world = World::empty().await;
    let folder = std::env::temp_dir().join(format!("provisor-notify-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).expect("a folder");
    let path = folder.join("socket");
    let socket = tokio::net::UnixDatagram::bind(&path).expect("a socket");
    let mut env = house.environment(&[]);
    env.insert("NOTIFY_SOCKET".to_owned(), path.to_str().expect("a path").to_owned());
    env.insert("WATCHDOG_USEC".to_owned(), "30000000".to_owned());
    let mut daemon = Process::start(&["run"], &env);
    let mut heard: Vec<String> = Vec::new();
    let mut until = async |wanted: &str| {
        while !heard.iter().any(|it| it.contains(wanted)) {
            let mut buffer = [0; 512];
            let got = in_time(wanted, socket.recv(&mut buffer)).await.expect("it is told");
            heard.push(String::from_utf8_lossy(&buffer[..got]).into_owned());
        }
        std::mem::take(&mut heard)
    };
    // The start does not wait for the database: that would have it killed and started anew for ever.
    until("READY=1").await;
    until("STATUS=").await;
    until("run `provisor migrate`").await;
    assert_eq!(provisor(&["migrate"], &house.environment(&[])).await.code, Some(0));
    until("STATUS=works").await;
    for _ in 0..2 {
        until("WATCHDOG=1").await;
    }
    daemon.signal("TERM").await;
    until("STOPPING=1").await;
    assert!(daemon.ended().await.success());
    std::fs::remove_dir_all(&folder).expect("it goes");
}

/// The contract's metrics, section 5, each with its type, and two of our own.
const METRICS: &[(&str, &str)] = &[
    ("provisor_build_info", "gauge"),
    ("provisor_orders_total", "counter"),
    ("provisor_lines", "gauge"),
    ("provisor_order_duration_seconds", "histogram"),
    ("provisor_pickup_seconds", "histogram"),
    ("provisor_jobs_total", "counter"),
    ("provisor_job_duration_seconds", "histogram"),
    ("provisor_queue_depth", "gauge"),
    ("provisor_queue_oldest_due_seconds", "gauge"),
    ("provisor_upstream_requests_total", "counter"),
    ("provisor_upstream_request_duration_seconds", "histogram"),
    ("provisor_upstream_circuit_open", "gauge"),
    ("provisor_emails_total", "counter"),
    ("provisor_outbox_oldest_seconds", "gauge"),
    ("provisor_in_doubt_lines", "gauge"),
    ("provisor_audit_findings", "gauge"),
    ("provisor_audit_last_success_timestamp_seconds", "gauge"),
    ("provisor_ready", "gauge"),
    ("provisor_purchases_held", "gauge"),
];

#[tokio::test]
async fn metrics_have_the_contracts_names_and_move() {
    let house = House::new().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    let address = daemon.until_ready().await;
    let (_, text) = get(address, "/metrics").await;
    for (name, kind) in METRICS {
        let line = format!("# TYPE {name} {kind}");
        assert!(text.lines().any(|is| is == line), "{line} is missing in\n{text}");
    }
    let counted = [
        ("provisor_orders_total{status=\"completed\"}", 1.0),
        ("provisor_order_duration_seconds_count", 1.0),
        ("provisor_pickup_seconds_count", 1.0),
        (
            "provisor_upstream_requests_total{endpoint=\"POST /api/v1/orders\",outcome=\"ok\",\
             provider=\"ljpc\"}",
            1.0,
        ),
        ("provisor_emails_total{outcome=\"sent\",template=\"order_completed\"}", 1.0),
    ];
    assert_eq!(metric(address, "provisor_ready").await, Some(1.0));
    for (series, _) in counted {
        assert_eq!(metric(address, series).await, Some(0.0), "{series} exists from the start");
    }
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    for (series, value) in counted {
        eventually(&format!("{series} is {value}"), async || {
            metric(address, series).await == Some(value)
        })
        .await;
    }
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn readiness_follows_the_database_and_liveness_does_not() {
    let house = House::new().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    let address = daemon.until_ready().await;
    until_answer(address, "/readyz", 200, "ready").await;

    house.world.allow_connections(false).await;
    until_answer(address, "/readyz", 503, "the database does not answer").await;
    assert_eq!(get(address, "/livez").await.0, 200);
    assert_eq!(get(address, "/metrics").await.0, 200);

    house.world.allow_connections(true).await;
    until_answer(address, "/readyz", 200, "ready").await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn a_daemon_without_its_database_ends_within_its_grace() {
    let house = House::new().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    let address = daemon.until_ready().await;
    house.world.allow_connections(false).await;
    until_answer(address, "/readyz", 503, "").await;
    let began = Instant::now();
    daemon.signal("TERM").await;
    let status = daemon.ended().await;
    let took = began.elapsed();
    house.world.allow_connections(true).await;
    assert!(status.success(), "{status}");
    // The grace of five seconds, and a busy machine.
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_drain_waits_for_the_answer_under_way_and_claims_nothing_more() {
    let house = House::new().await;
    let slow = json!({ "endpoint": "POST /api/v1/orders", "fault": "slow", "delay_ms": 2000 });
    house.sandbox.state().add_fault(&slow).unwrap();
    let changes =
        [("LJPC__TIMEOUT", "9s"), ("QUEUE__LEASE", "20s"), ("QUEUE__SHUTDOWN_GRACE", "20s")];
    let mut daemon = Process::start(&["run"], &house.environment(&changes));
    daemon.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the order is under way", async || house.sandbox.state().orders().len() == 1).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "placing", "the answer takes its time");

    daemon.signal("TERM").await;
    daemon.until_logged("draining: nothing more is claimed").await;
    house.submit("SHOP-2", json!([hosting("example.org")])).await;
    assert!(daemon.ended().await.success());
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning", "the answer is recorded");
    assert_eq!(house.line_status("SHOP-2", 0).await, "pending");
    assert_eq!(house.sandbox.state().summary().orders, 1);
    let held: i64 = house
        .world
        .value("SELECT count(*) FROM provisor.wakes WHERE owner IS NOT NULL OR lease_until > now()")
        .await;
    let processes: i64 = house.world.value("SELECT count(*) FROM provisor.processes").await;
    assert_eq!((held, processes), (0, 0), "it has taken its leave");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let house = House::new().await;
    let slow = json!({ "endpoint": "POST /api/v1/orders", "fault": "slow", "delay_ms": 20_000 });
    house.sandbox.state().add_fault(&slow).unwrap();
    let changes =
        [("LJPC__TIMEOUT", "25s"), ("QUEUE__LEASE", "30s"), ("QUEUE__SHUTDOWN_GRACE", "30s")];
    let mut daemon = Process::start(&["run"], &house.environment(&changes));
    daemon.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the order is under way", async || house.sandbox.state().orders().len() == 1).await;
    let began = Instant::now();
    daemon.signal("TERM").await;
    daemon.until_logged("draining: nothing more is claimed").await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(10), "it did not wait for the answer");
    assert_eq!(house.line_status("SHOP-1", 0).await, "placing", "who comes next finds the doubt");
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_clear_error() {
    let house = House::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = provisor(&["run"], &house.environment(&[("HTTP__LISTEN", &address)])).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let message =
        format!("provisor: http.listen: can't listen on {address}: Address already in use");
    assert!(ended.stderr.contains(&message), "{ended:?}");
}

#[tokio::test]
async fn the_demo_shows_the_main_job_with_a_database_of_its_own() {
    demo(&Environment::new()).await;
}

#[tokio::test]
async fn the_demo_uses_the_database_that_is_named() {
    let world = World::empty().await;
    demo(&Environment::from([("DATABASE_URL".to_owned(), world.url())])).await;
    let orders: i64 = world.value("SELECT count(*) FROM provisor.orders").await;
    let folder = format!("{}/examples/orders", env!("CARGO_MANIFEST_DIR"));
    let examples = std::fs::read_dir(folder).expect("the examples are there").count();
    assert_eq!(usize::try_from(orders), Ok(examples), "each example is submitted");
}

/// The demo ends by itself, and well.
async fn demo(env: &Environment) {
    let folder = std::env::temp_dir().join(format!("provisor-it-{}", uuid::Uuid::new_v4()));
    let args = ["demo", "--delay", "500ms", "--dir", folder.to_str().unwrap()];
    let mut demo = Process::start(&args, env);
    let status = demo.ended().await;
    let printed = demo.printed();
    assert!(status.success(), "{status}\n{}", printed.join("\n"));
    assert!(printed.contains(&"Everything ended as expected.".to_owned()), "{printed:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_is_shipped_has_no_failpoints() {
    let binary = tokio::fs::read(env!("CARGO_BIN_EXE_provisor")).await.expect("it can be read");
    let holds = |text: &str| binary.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("PROVISOR_CONFIG_DIR"), "its texts can be found");
    // Without the feature neither the variable nor a name is compiled in; with it both are, so that this can fail.
    for text in ["PROVISOR_FAILPOINTS", "effect.before_first_byte", "commit.before_commit"] {
        assert_eq!(holds(text), cfg!(feature = "failpoints"), "{text}");
    }
}

/// Whatever keeps a part alive would make each restart wait for the end of the grace.
#[tokio::test]
async fn an_idle_daemon_ends_at_once() {
    let house = House::new().await;
    let mut daemon =
        Process::start(&["run"], &house.environment(&[("QUEUE__SHUTDOWN_GRACE", "60s")]));
    daemon.until_ready().await;
    let began = std::time::Instant::now();
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!daemon.printed().iter().any(|line| line.contains("took no leave")));
}

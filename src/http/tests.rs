//! Real requests over TCP.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::serve::{Limits, serve_within};
use super::*;
use crate::telemetry::{KnownLabels, Metrics};

/// Longer than anything here takes, so that a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(1);
const LIMITS: Limits = Limits { connections: 64, head: LONG, connection: LONG, drain: LONG };

/// A server on a port of its own.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move { stopped.await.unwrap_or_default() };
        let ended = tokio::spawn(serve_within(limits, listener, router, shutdown));
        Self { address, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request, and the whole answer.
    async fn ask(&self, method: &str, path: &str) -> Answer {
        Answer::parse(&talk(self.connect().await, &request(method, path)).await)
    }
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: example.nl\r\n\r\n")
}

async fn talk(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_all(stream).await
}

/// Whatever comes until the server closes; a reset, after a limit was passed, closes too.
async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let _closed_or_reset = tokio::time::timeout(PATIENCE, read).await.expect("no end in sight");
    String::from_utf8(bytes).unwrap()
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

/// A source that does what the test says.
#[derive(Default)]
struct Scripted {
    refreshes: AtomicUsize,
    fails: bool,
    /// Waits for `release` when set.
    waits: bool,
    entered: Notify,
    release: Notify,
    metrics: Option<Arc<Metrics>>,
}

#[async_trait]
impl GaugeSource for Arc<Scripted> {
    async fn refresh(&self) -> Result<(), GaugeError> {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        self.entered.notify_one();
        if self.waits {
            self.release.notified().await;
        }
        if self.fails {
            return Err("the database is away".into());
        }
        self.metrics.as_ref().unwrap().set_in_doubt_lines(42);
        Ok(())
    }
}

fn metrics() -> Arc<Metrics> {
    let known = KnownLabels {
        job_kinds: &["email"],
        lanes: &["place"],
        endpoints: &[],
        templates: &["ops_audit"],
        finding_kinds: &["line_stuck"],
    };
    Arc::new(Metrics::new(&known, "1.2.3").unwrap())
}

/// Everything that a test may turn.
struct House {
    state: HealthState,
    readiness: ReadinessSender,
    scripted: Arc<Scripted>,
}

fn house(beat_within: Duration, scripted: Scripted, scrape_within: Duration) -> House {
    let metrics = metrics();
    let scripted = Arc::new(Scripted { metrics: Some(Arc::clone(&metrics)), ..scripted });
    let (readiness, receiver) = Readiness::channel();
    let scraper = Scraper::new(metrics, Box::new(Arc::clone(&scripted)));
    let state = HealthState {
        heartbeat: Heartbeat::new(beat_within),
        readiness: receiver,
        scraper: Arc::new(scraper.with_deadline(scrape_within)),
    };
    House { state, readiness, scripted }
}

#[tokio::test]
async fn livez_tells_whether_the_process_turns_over() {
    let alive = house(LONG, Scripted::default(), LONG);
    let server = Server::start(router(alive.state), LIMITS).await;
    let answer = server.ask("GET", "/livez").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alive\n"));

    let stuck = house(Duration::ZERO, Scripted::default(), LONG);
    let server = Server::start(router(stuck.state), LIMITS).await;
    let answer = server.ask("GET", "/livez").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "the process last turned over 0 s ago\n");
}

#[tokio::test]
async fn livez_never_asks_the_database() {
    let house = house(LONG, Scripted { waits: true, ..Scripted::default() }, LONG);
    let server = Server::start(router(house.state), LIMITS).await;
    let stuck_scrape = server.connect().await;
    let scrape = tokio::spawn(async move { talk(stuck_scrape, &request("GET", "/metrics")).await });
    house.scripted.entered.notified().await;
    house.readiness.send_replace(Readiness::NotReady("the database is away".to_owned()));
    assert_eq!(server.ask("GET", "/livez").await.status, 200);
    assert_eq!(server.ask("GET", "/readyz").await.status, 503);
    assert_eq!(house.scripted.refreshes.load(Ordering::SeqCst), 1);
    scrape.abort();
}

#[tokio::test]
async fn readyz_follows_what_it_was_told() {
    let house = house(LONG, Scripted::default(), LONG);
    let server = Server::start(router(house.state), LIMITS).await;
    let steps = [
        (None, 503, "starting\n"),
        (Some(Readiness::Ready), 200, "ready\n"),
        (Some(Readiness::NotReady("the schema is newer".to_owned())), 503, "the schema is newer\n"),
        (Some(Readiness::Draining), 503, "draining\n"),
    ];
    for (told, status, body) in steps {
        if let Some(told) = told {
            house.readiness.send_replace(told);
        }
        let answer = server.ask("GET", "/readyz").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
}

#[tokio::test]
async fn metrics_are_refreshed_and_served_in_the_classic_format() {
    let house = house(LONG, Scripted::default(), LONG);
    let server = Server::start(router(house.state), LIMITS).await;
    let answer = server.ask("GET", "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4\r\n"), "{}", answer.head);
    assert!(answer.body.contains("\nprovisor_in_doubt_lines 42\n"), "{}", answer.body);
    // Nothing of it may be kept open: the answer ended because the server closed.
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
}

#[tokio::test]
async fn without_the_database_the_counters_are_served_all_the_same() {
    let slow = Scripted { waits: true, ..Scripted::default() };
    let failing = Scripted { fails: true, ..Scripted::default() };
    for scripted in [slow, failing] {
        let house = house(LONG, scripted, Duration::from_millis(50));
        let server = Server::start(router(house.state), LIMITS).await;
        let answer = server.ask("GET", "/metrics").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("\nprovisor_orders_total{status=\"failed\"} 0\n"));
        assert_eq!(house.scripted.refreshes.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn scrapes_at_the_same_time_share_one_refresh() {
    let house = house(LONG, Scripted { waits: true, ..Scripted::default() }, LONG);
    let scrapes: Vec<_> = (0..10)
        .map(|_| {
            let scraper = Arc::clone(&house.state.scraper);
            tokio::spawn(async move { scraper.scrape(true).await.unwrap() })
        })
        .collect();
    house.scripted.entered.notified().await;
    house.scripted.release.notify_one();
    for scrape in scrapes {
        assert!(scrape.await.unwrap().contains("\nprovisor_in_doubt_lines 42\n"));
    }
    assert_eq!(house.scripted.refreshes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn head_has_a_head_only_and_other_paths_are_not_there() {
    let house = house(LONG, Scripted::default(), LONG);
    let server = Server::start(router(house.state), LIMITS).await;
    for path in ["/livez", "/metrics"] {
        let answer = server.ask("HEAD", path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    assert_eq!(server.ask("HEAD", "/readyz").await.status, 503);
    for path in ["/", "/livez/", "/metrics/x", "/debug", "/..%2fmetrics"] {
        assert_eq!(server.ask("GET", path).await.status, 404, "{path}");
    }
    assert_eq!(server.ask("POST", "/metrics").await.status, 405);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let limits = Limits { head: Duration::from_millis(50), ..LIMITS };
    let server = Server::start(Router::new(), limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: exa").await.unwrap();
    let text = read_all(stream).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start(Router::new(), LIMITS).await;
    let mut stream = server.connect().await;
    let line = format!("X-Long: {}\r\n", "x".repeat(1_000));
    let text = format!("GET / HTTP/1.1\r\nHost: example.nl\r\n{}", line.repeat(40));
    // The server may close before all is written.
    let _sent_or_refused = stream.write_all(text.as_bytes()).await;
    let answer = read_all(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_cut_off() {
    let limits = Limits { connection: Duration::from_millis(50), ..LIMITS };
    let stuck = Router::new().route("/", get(pending::<()>));
    let server = Server::start(stuck, limits).await;
    let text = talk(server.connect().await, &request("GET", "/")).await;
    assert_eq!(text, "");
}

#[tokio::test]
async fn no_more_connections_than_the_limit_are_served() {
    let limits = Limits { connections: 2, ..LIMITS };
    let hello = Router::new().route("/", get(|| async { "hello" }));
    let server = Server::start(hello, limits).await;
    let (first, second) = (server.connect().await, server.connect().await);
    let mut third = server.connect().await;
    third.write_all(request("GET", "/").as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), third.peek(&mut byte)).await;
    assert!(early.is_err(), "the third was served beside two");
    drop(first);
    assert!(read_all(third).await.ends_with("hello"));
    drop(second);
}

async fn panic_on_purpose() {
    panic!("on purpose");
}

#[tokio::test]
async fn a_handlers_panic_harms_no_other_request() {
    let panics =
        Router::new().route("/", get(panic_on_purpose)).route("/well", get(|| async { "well" }));
    let server = Server::start(panics, LIMITS).await;
    assert_eq!(talk(server.connect().await, &request("GET", "/")).await, "");
    assert_eq!(server.ask("GET", "/well").await.body, "well");
}

#[tokio::test]
async fn a_stop_lets_the_answer_under_way_end() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        move || async move {
            entered.notify_one();
            release.notified().await;
            "done"
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)), LIMITS).await;
    let stream = server.connect().await;
    let answer = tokio::spawn(async move { talk(stream, &request("GET", "/")).await });
    entered.notified().await;
    server.stop.send(()).unwrap();
    // The listener is closed first; only then can a new connection be refused.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.notify_one();
    assert!(answer.await.unwrap().ends_with("done"));
    tokio::time::timeout(PATIENCE, server.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let limits = Limits { drain: Duration::from_millis(50), ..LIMITS };
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = Arc::clone(&entered);
        move || async move {
            entered.notify_one();
            pending::<()>().await;
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)), limits).await;
    let stream = server.connect().await;
    let answer = tokio::spawn(async move { talk(stream, &request("GET", "/")).await });
    entered.notified().await;
    server.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server.ended).await.unwrap().unwrap();
    assert_eq!(answer.await.unwrap(), "");
}

#[tokio::test]
async fn the_public_server_stops_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = serve(listener, Router::new(), std::future::ready(()));
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

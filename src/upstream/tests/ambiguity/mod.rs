//! The ambiguity table: everything that can become of a request with an effect, each with the class that it must be read
//! as, done on a wire to every call that has one. `docs/AMBIGUITY.md` is this table, printed.

mod bodies;
mod calls;
mod document;
mod statuses;
mod table;
mod wire;

use std::sync::LazyLock;

use futures_util::{StreamExt as _, stream};
use rustls::ClientConfig;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use self::{
    calls::Call,
    table::{Class, Deed, Row, sections},
};
use super::*;
use crate::upstream::{Transport, Unobserved, tls};

/// What this system trusts: read once, for it takes longer than all that a client does with it here.
static TLS: LazyLock<ClientConfig> = LazyLock::new(|| tls::system().unwrap());

/// How many exchanges are under way at a time.
const AT_A_TIME: usize = 24;

/// How long a server that never ends its answer is waited for: long enough for the request to arrive on a busy machine.
const SILENCE: Duration = Duration::from_secs(2);

/// The least number of rows: fewer, and somebody has lost a section.
const ROWS_MIN: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_outcome_has_its_class_for_every_call() {
    let rows: Vec<Row> = sections().into_iter().flat_map(|section| section.rows).collect();
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    let mut exchanges = Vec::new();
    for row in &rows {
        for &call in row.calls {
            let deeds = (row.deeds)(call);
            assert!(!deeds.is_empty(), "{}: nothing is done", row.what);
            exchanges.extend(deeds.into_iter().map(|deed| (row, call, deed)));
        }
    }
    let judged = stream::iter(exchanges).map(|(row, call, deed)| async move {
        let done = format!("{deed:?}");
        // A task of its own, or one that is flooded would take the others' turns.
        let result = tokio::spawn(happens(call, deed)).await.unwrap();
        let class = Class::of(&result);
        (class != row.class).then(|| {
            let done: String = done.chars().take(300).collect();
            format!(
                "{} ({call:?}): {class:?} instead of {:?}\n  {done}\n  {result:?}",
                row.what, row.class
            )
        })
    });
    let wrong: Vec<String> =
        judged.buffer_unordered(AT_A_TIME).filter_map(async |wrong| wrong).collect().await;
    assert!(wrong.is_empty(), "{} are misread:\n{}", wrong.len(), wrong.join("\n"));
}

/// A client of its own for each exchange.
fn client(base_url: &str, timeout: Duration) -> Ljpc {
    let settings = Ljpc::transport_settings(settings(base_url, timeout));
    Ljpc::over(Transport::with_tls(settings, Arc::new(Unobserved), TLS.clone()).unwrap())
}

/// What the client makes of it. The server sees one connection and one request, or, where the class depends on it, none.
async fn happens(call: Call, deed: Deed) -> Result<(), UpstreamError> {
    match deed {
        Deed::NoAddress => before(call, "https://upstream.invalid", PATIENCE).await,
        Deed::Refused => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            drop(listener);
            before(call, &url, PATIENCE).await
        }
        Deed::NoTls => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://{}", listener.local_addr().unwrap());
            let speaking = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                stream
            };
            tokio::join!(before(call, &url, PATIENCE), speaking).0
        }
        Deed::NoHandshake => {
            // The kernel accepts, and nobody speaks.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://{}", listener.local_addr().unwrap());
            before(call, &url, IMPATIENCE).await
        }
        Deed::Meanwhile { says, closes } => Box::pin(meanwhile(call, &says, closes)).await,
        Deed::Late => Box::pin(late(call)).await,
        Deed::Wire(act) => served(call, act, PATIENCE).await,
        Deed::Silence(act) => served(call, act, SILENCE).await,
    }
}

/// A request to where no connection comes about.
async fn before(call: Call, url: &str, patience: Duration) -> Result<(), UpstreamError> {
    let client = client(url, patience);
    let deadline = Deadline::after(PATIENCE);
    let connected = client.connect(call.endpoint(), deadline).await?;
    call.send(&client, connected, deadline).await
}

/// A connection to which something happens between connecting and sending, while the intent is being committed.
async fn meanwhile(call: Call, says: &[u8], closes: bool) -> Result<(), UpstreamError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()), PATIENCE);
    let deadline = Deadline::after(PATIENCE);
    let connected = client.connect(call.endpoint(), deadline).await?;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(says).await.unwrap();
    if closes {
        stream.shutdown().await.unwrap();
    }
    let result = call.send(&client, connected, deadline).await;
    assert_eq!(heard(stream).await, 0, "something was sent: {result:?}");
    result
}

/// How many bytes had arrived when the client closed.
async fn heard(mut stream: TcpStream) -> usize {
    let mut bytes = Vec::new();
    // A close with unread bytes is a reset; what came before it is read all the same.
    let _: std::io::Result<usize> =
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
    bytes.len()
}

/// A request whose time is up before its first byte.
async fn late(call: Call) -> Result<(), UpstreamError> {
    let server = Server::start([]).await;
    let client = client(&server.url(), PATIENCE);
    let connected = client.connect(call.endpoint(), Deadline::after(PATIENCE)).await?;
    let result = call.send(&client, connected, Deadline::after(Duration::ZERO)).await;
    assert!(server.requests().is_empty(), "something was sent: {result:?}");
    result
}

/// A request that arrives, and to which the server does this.
async fn served(call: Call, act: Act, patience: Duration) -> Result<(), UpstreamError> {
    let server = Server::start([act]).await;
    let client = client(&server.url(), PATIENCE);
    let connected = client.connect(call.endpoint(), Deadline::after(PATIENCE)).await?;
    let result = call.send(&client, connected, Deadline::after(patience)).await;
    assert_eq!((server.connections(), server.requests().len()), (1, 1), "{result:?}");
    result
}

#[test]
fn the_document_is_the_table() {
    let printed = document::print(&sections());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/AMBIGUITY.md");
    if std::env::var_os("PROVISOR_WRITE_AMBIGUITY").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let differs = printed.lines().zip(kept.lines()).find(|(printed, kept)| printed != kept);
    assert!(
        printed == kept,
        "docs/AMBIGUITY.md differs, first in {differs:?}; PROVISOR_WRITE_AMBIGUITY=1 prints it anew"
    );
}

#[test]
fn no_outcome_is_listed_twice() {
    let mut seen = std::collections::BTreeSet::new();
    for row in sections().into_iter().flat_map(|section| section.rows) {
        assert!(seen.insert((row.what, format!("{:?}", row.calls))), "{}", row.what);
    }
}

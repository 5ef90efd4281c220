//! The client against a scripted server, which does on the wire whatever a test says.

mod ambiguity;
mod contacts;
mod dns;
mod domains;
mod irreversible;
mod leanstack;
mod lookups;
mod reads;
mod server;
mod tls;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use server::{Act, Server};
use url::Url;

use super::{
    Connected, Observer, PreparedRequest, Secret, UpstreamError,
    ljpc::{
        BillingPeriod, CartItem, Ljpc, LjpcSettings, PlaceOrder, PlacedOrder,
        endpoints::PLACE_ORDER,
    },
};
use crate::{
    clock::Deadline,
    order::{Reference, Tag, name::DomainName},
};

const KEY: &str = "key-of-a-test";

/// Long enough for a loaded machine; no test that succeeds waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// For tests in which the server never answers.
const IMPATIENCE: Duration = Duration::from_millis(150);

const CREATED: &str = include_str!("../../../tests/fixtures/ljpc_client/order_created.json");
const ERROR: &str = include_str!("../../../tests/fixtures/ljpc/post_orders_422.json");
const FORBIDDEN: &str = include_str!("../../../tests/fixtures/ljpc/post_orders_403.json");
const SITES: &str = include_str!("../../../tests/fixtures/ljpc/get_sites_200.json");

/// Notes what it is told: endpoint and outcome.
#[derive(Default)]
struct Recorder(Mutex<Vec<(&'static str, &'static str)>>);

impl Observer for Recorder {
    fn request(
        &self,
        provider: &'static str,
        endpoint: &'static str,
        outcome: &'static str,
        _: Duration,
    ) {
        let of_leanstack = endpoint.contains("/v1/enterprise/");
        assert_eq!(provider, if of_leanstack { "leanstack" } else { "ljpc" });
        self.0.lock().unwrap().push((endpoint, outcome));
    }
}

impl Recorder {
    fn told(&self) -> Vec<(&'static str, &'static str)> {
        self.0.lock().unwrap().clone()
    }
}

fn settings(base_url: &str, timeout: Duration) -> LjpcSettings {
    LjpcSettings {
        base_url: Url::parse(base_url).unwrap(),
        api_key: Secret::new(KEY.to_owned()),
        timeout,
        allow_http: false,
    }
}

/// A client, and what its observer is told.
fn client(base_url: &str, timeout: Duration) -> (Ljpc, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    (Ljpc::new(settings(base_url, timeout), recorder.clone()).unwrap(), recorder)
}

fn tag() -> Tag {
    Tag::new(&Reference("SHOP-1001".to_owned()), 1, 1)
}

fn hosting() -> PlaceOrder {
    PlaceOrder {
        tag: tag(),
        description: "Hosting 5 GB for example.nl".to_owned(),
        item: CartItem::Hosting {
            product_uuid: "afe29fe6-0000-4000-8000-000000000001".to_owned(),
            domain: "example.nl".to_owned(),
            billing_period: Some(BillingPeriod::Monthly),
            target_url: None,
        },
    }
}

/// Connects and places `order`, as the ledger would.
async fn place(
    client: &Ljpc,
    order: &PlaceOrder,
    patience: Duration,
) -> Result<PlacedOrder, UpstreamError> {
    let deadline = Deadline::after(patience);
    let connected = client.connect(&PLACE_ORDER, deadline).await?;
    client.place_order(connected, &order.prepare(), &order.tag, deadline).await
}

/// One of the samples of LJPc's document: `get_tlds_200`.
fn fixture(name: &str) -> String {
    sample("ljpc", name)
}

fn sample(provider: &str, name: &str) -> String {
    let path = format!("{}/tests/fixtures/{provider}/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What `call` makes of this one answer, and what it asked for: the request's first line, and its body if it had one.
async fn exchange<T>(
    status: &str,
    body: &str,
    call: impl AsyncFnOnce(&Ljpc) -> Result<T, UpstreamError>,
) -> (Result<T, UpstreamError>, String) {
    let server = Server::start([Act::Answer(answer(status, "", body))]).await;
    let (client, recorder) = client(&server.url(), PATIENCE);
    let result = call(&client).await;
    let requests = server.requests();
    assert_eq!((server.connections(), requests.len()), (1, 1));
    let outcome = result.as_ref().map_or_else(UpstreamError::outcome, |_| "ok");
    let told: Vec<_> = recorder.told().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(told, [outcome]);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    (result, format!("{}\n{body}", head.lines().next().unwrap()).trim_end().to_owned())
}

/// An irreversible request as the ledger makes it: prepared, connected, sent by `send`.
async fn change<T>(
    client: &Ljpc,
    prepared: PreparedRequest,
    send: impl AsyncFnOnce(Connected, &PreparedRequest, Deadline) -> Result<T, UpstreamError>,
) -> Result<T, UpstreamError> {
    let deadline = Deadline::after(PATIENCE);
    let connected = client.connect(prepared.endpoint(), deadline).await?;
    send(connected, &prepared, deadline).await
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(result: &Result<T, UpstreamError>, what: &str) {
    assert!(matches!(result, Err(UpstreamError::Unavailable { .. })), "{what}: {result:?}");
}

#[track_caller]
fn assert_in_doubt<T: std::fmt::Debug>(result: &Result<T, UpstreamError>, what: &str) {
    assert!(matches!(result, Err(UpstreamError::InDoubt { .. })), "{what}: {result:?}");
}

/// An answer with a body, as a server that closes would write it.
fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

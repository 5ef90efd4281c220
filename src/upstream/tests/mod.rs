//! The client against a scripted server, which does on the wire whatever a test says.

mod irreversible;
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
    Observer, Secret, UpstreamError,
    ljpc::{
        BillingPeriod, CartItem, Ljpc, LjpcSettings, PlaceOrder, PlacedOrder,
        endpoints::PLACE_ORDER,
    },
};
use crate::{
    clock::Deadline,
    order::{Reference, Tag},
};

const KEY: &str = "key-of-a-test";

/// Long enough for a loaded machine; no test that succeeds waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// For tests in which the server never answers.
const IMPATIENCE: Duration = Duration::from_millis(150);

const CREATED: &str = include_str!("../../../tests/fixtures/ljpc_client/order_created.json");
const ERROR: &str = include_str!("../../../tests/fixtures/ljpc_client/error.json");
const FORBIDDEN: &str = include_str!("../../../tests/fixtures/ljpc_client/forbidden.json");
const SITES: &str = include_str!("../../../tests/fixtures/ljpc_client/sites.json");

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
        assert_eq!(provider, "ljpc");
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

/// An answer with a body, as a server that closes would write it.
fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

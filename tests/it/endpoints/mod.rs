//! Each endpoint of both upstreams' documents, each answer that they show, and those that they don't: through the real
//! clients, from the sandbox.

mod calls;
mod documented;
mod undocumented;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use provisor::{
    sandbox::SandboxOptions,
    upstream::{
        Observer, Secret, UpstreamError,
        leanstack::{Contract, Leanstack, LeanstackSettings},
        ljpc::{Ljpc, LjpcSettings},
    },
};

use crate::house::House;

/// What came of a call, in words.
type Told = Result<String, UpstreamError>;

/// Both upstreams, Leanstack in both editions.
struct Upstreams {
    house: House,
    ljpc: Ljpc,
    seed: Leanstack,
    edition_2022: Leanstack,
    timeout: Duration,
    seen: Arc<Seen>,
}

/// The outcomes of each endpoint, as the clients tell their observer.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<&'static str, BTreeSet<&'static str>>>);

impl Observer for Seen {
    fn request(&self, _: &'static str, endpoint: &'static str, outcome: &'static str, _: Duration) {
        self.0.lock().unwrap().entry(endpoint).or_default().insert(outcome);
    }
}

impl Seen {
    /// The outcomes of an endpoint.
    fn of(&self, endpoint: &str) -> BTreeSet<&'static str> {
        self.0.lock().unwrap().get(endpoint).cloned().unwrap_or_default()
    }
}

impl Upstreams {
    /// The sandbox with clients that it knows.
    async fn new() -> Self {
        let options = SandboxOptions::default();
        Self::with(Duration::from_secs(20), &options.api_key, &options.leanstack_token).await
    }

    /// The same with other patience, and with these keys.
    async fn with(timeout: Duration, key: &str, token: &str) -> Self {
        let house = House::new().await;
        let addresses = [house.sandbox.ljpc_addr(), house.sandbox.leanstack_addr()];
        Self::at(house, addresses, timeout, (key, token))
    }

    /// The same with clients that look for LJPc and Leanstack at these addresses.
    fn at(house: House, addresses: [SocketAddr; 2], timeout: Duration, keys: (&str, &str)) -> Self {
        let observer = Arc::new(Seen::default());
        let [ljpc_url, leanstack_url] =
            addresses.map(|address| format!("http://{address}").parse().expect("a URL"));
        let ljpc = Ljpc::new(
            LjpcSettings {
                base_url: ljpc_url,
                api_key: Secret::new(keys.0.to_owned()),
                timeout,
                allow_http: false,
            },
            observer.clone(),
        );
        let leanstack = |contract| {
            let settings = LeanstackSettings {
                base_url: url::Url::clone(&leanstack_url),
                access_token: Secret::new(keys.1.to_owned()),
                contract,
                timeout,
                allow_http: false,
            };
            Leanstack::new(settings, observer.clone()).expect("a client")
        };
        let (seed, edition_2022) = (leanstack(Contract::Seed), leanstack(Contract::Edition2022));
        Self { ljpc: ljpc.expect("a client"), seed, edition_2022, house, timeout, seen: observer }
    }
}

/// What came of it, in a line: what was promised, or the error.
fn line(told: &Told) -> String {
    match told {
        Ok(text) => format!("ok: {text}"),
        Err(error) => format!("{}: {error}", error.outcome()),
    }
}

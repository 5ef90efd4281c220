//! Leanstack: another supplier of domain names. Its advice on names is advice alone, and its failure blocks no order.
//!
//! Its document has two editions, which differ in a header's name, a path and a field: [`Contract`].

mod answer;
mod availability;
mod customer;
pub mod endpoints;
mod phone;
mod suggestions;

use std::{sync::Arc, time::Duration};

use http::HeaderName;
use serde::Serialize;
use url::Url;

pub use availability::Availability;
pub use customer::{AddCustomer, AddedCustomer, CustomerOutcome};
pub use endpoints::ENDPOINTS;
pub use phone::Phone;
pub use suggestions::Suggestion;

use super::{
    Answer, BuildError, Connected, Endpoint, Observer, PreparedRequest, Secret, Transport,
    TransportSettings, UpstreamError, answer::BODY_BYTES_MAX,
};
use crate::clock::Deadline;

/// The upstream's name in metrics.
pub const PROVIDER: &str = "leanstack";

/// Names a request for their support. It is sent in exactly this spelling; some proxies drop names with an underscore, and
/// then nothing is lost but that.
const DEBUG_ID: HeaderName = HeaderName::from_static("debug_id");

/// The document's edition (contract, section 3, `leanstack.contract`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contract {
    /// The first: header `access_token`, `POST /v1/enterprise/add_customer`, field `postcode`.
    Seed,
    /// That of January 2022: header `access-token`, `POST /v1/enterprise/customer`, field `post_code`.
    Edition2022,
}

impl Contract {
    fn key_header(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::Seed => "access_token",
            Self::Edition2022 => "access-token",
        })
    }
}

/// What the client is configured with (contract, section 3, `leanstack.*`).
#[derive(Clone, Debug)]
pub struct LeanstackSettings {
    /// `leanstack.base_url`.
    pub base_url: Url,
    /// `leanstack.access_token`.
    pub access_token: Secret,
    /// `leanstack.contract`.
    pub contract: Contract,
    /// The whole of one request.
    pub timeout: Duration,
    /// `leanstack.allow_http`.
    pub allow_http: bool,
}

/// The client. Each request bears a fresh `debug_id`, which stands as `jti` in the errors.
#[derive(Debug)]
pub struct Leanstack {
    transport: Transport,
    contract: Contract,
}

impl Leanstack {
    /// Builds a client. Nothing is sent.
    pub fn new(
        settings: LeanstackSettings,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, BuildError> {
        let transport = TransportSettings {
            provider: PROVIDER,
            base_url: settings.base_url,
            key_header: settings.contract.key_header(),
            key: settings.access_token,
            timeout: settings.timeout,
            allow_http: settings.allow_http,
        };
        Ok(Self { transport: Transport::new(transport, observer)?, contract: settings.contract })
    }

    /// The edition that is spoken.
    #[must_use]
    pub fn contract(&self) -> Contract {
        self.contract
    }

    /// Opens the connection that one irreversible request to `endpoint` will use. Nothing of the request is sent.
    ///
    /// # Errors
    /// Always `NotSent`.
    pub async fn connect(
        &self,
        endpoint: &'static Endpoint,
        deadline: Deadline,
    ) -> Result<Connected, UpstreamError> {
        self.transport.connect(endpoint, deadline).await
    }

    /// One question without an effect: asked once, read by `read`, told to the observer.
    async fn ask<T>(
        &self,
        endpoint: &'static Endpoint,
        question: &impl Serialize,
        read: impl FnOnce(&PreparedRequest, &Answer) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let path = endpoint.template().to_owned();
        let prepared = PreparedRequest::json(endpoint, path, question, vec![]).identified(DEBUG_ID);
        let request = async {
            let answer = self.transport.ask(&prepared, BODY_BYTES_MAX).await;
            read(&prepared, &answer.map_err(|error| answer::identified(error, &prepared))?)
        };
        self.transport.observed(endpoint, Duration::ZERO, request).await
    }
}

/// Reads one answer as every call would. An irreversible one must never be read as something that was not sent, and a safe
/// one never as doubt.
#[cfg(any(test, fuzzing))]
pub(super) fn read_as_everything(answer: &Answer) {
    let request = |endpoint| PreparedRequest::new(endpoint, "/".to_owned(), vec![], vec![]);
    let added = customer::read(&request(&endpoints::ADD_CUSTOMER), answer);
    let unfit =
        matches!(added, Err(UpstreamError::NotSent { .. } | UpstreamError::Unavailable { .. }));
    assert!(!unfit, "{added:?}");
    let safe = [
        availability::read(&request(&endpoints::CHECK_AVAILABILITY), answer).err(),
        suggestions::read(&request(&endpoints::SUGGEST_NAMES), answer).err(),
    ];
    for error in safe.into_iter().flatten() {
        let unfit = matches!(error, UpstreamError::NotSent { .. } | UpstreamError::InDoubt { .. });
        assert!(!unfit, "{error:?}");
    }
}

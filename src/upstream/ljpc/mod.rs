//! LJPc's reseller API: hosting and domain names.
//!
//! Its document says what each call promises; what it does not say aloud, the comments here do. No call is ever repeated by
//! this client, not even a safe one.

mod by_name;
mod check;
mod contacts;
mod dns;
mod domains;
pub mod endpoints;
mod envelope;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod orders;
mod pages;
mod place;
mod price;
mod products;
mod sites;
#[cfg(test)]
mod tests;
mod tlds;
mod wire;

use std::{sync::Arc, time::Duration};

use http::HeaderName;
use url::Url;

pub use check::Checks;
pub use contacts::{Contact, CreateContact, CreatedContact, UpdateContact};
pub use dns::{ReplaceRecords, ReplacedRecords, Zone};
pub use domains::{
    Domain, DomainDetail, RegisterDomain, Registered, TransferDomain, TransferStarted,
    UpdateDomain, Updated,
};
pub use endpoints::ENDPOINTS;
pub use orders::{OrderDetail, OrderLine, ProvisionedLine, SimpleStatus};
pub use pages::{PER_PAGE, Page};
pub use place::{BillingPeriod, CartItem, DomainAction, PlaceOrder, PlacedOrder, tag_of};
pub use price::{DomainPrice, Price, Prices};
pub use products::{BillingPeriodType, Product};
pub use sites::{Site, SiteDetail, SitesPage};
pub use tlds::Tld;

use super::{
    Answer, BuildError, Connected, Endpoint, Observer, PreparedRequest, Secret, Transport,
    TransportSettings, UpstreamError,
};
use crate::clock::Deadline;

/// The upstream's name in metrics.
pub const PROVIDER: &str = "ljpc";

/// What the client is configured with (contract, section 3, `ljpc.*`).
#[derive(Clone, Debug)]
pub struct LjpcSettings {
    /// `ljpc.base_url`.
    pub base_url: Url,
    /// `ljpc.api_key`.
    pub api_key: Secret,
    /// `ljpc.timeout`: the whole of one request.
    pub timeout: Duration,
    /// `ljpc.allow_http`.
    pub allow_http: bool,
}

/// The client. Calls are methods, one file for each group of the document.
#[derive(Debug)]
pub struct Ljpc {
    transport: Transport,
}

impl Ljpc {
    /// Builds a client. Nothing is sent.
    pub fn new(settings: LjpcSettings, observer: Arc<dyn Observer>) -> Result<Self, BuildError> {
        Transport::new(Self::transport_settings(settings), observer).map(Self::over)
    }

    /// A client over a transport that stands already.
    pub(super) fn over(transport: Transport) -> Self {
        Self { transport }
    }

    pub(super) fn transport_settings(settings: LjpcSettings) -> TransportSettings {
        TransportSettings {
            provider: PROVIDER,
            base_url: settings.base_url,
            key_header: HeaderName::from_static("x-api-key"),
            key: settings.api_key,
            timeout: settings.timeout,
            allow_http: settings.allow_http,
        }
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

    /// One safe GET: asked once, read by `read`, told to the observer.
    async fn get<T>(
        &self,
        endpoint: &'static Endpoint,
        path: &str,
        body_bytes_max: usize,
        read: impl FnOnce(&Answer) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let request = async { read(&self.transport.get(path, body_bytes_max).await?) };
        self.transport.observed(endpoint, Duration::ZERO, request).await
    }

    /// One irreversible request over a connection that was opened for it: sent once, read by `read`, told to the observer.
    async fn send<T>(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        deadline: Deadline,
        read: impl FnOnce(&Answer) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let before = connected.took();
        let request = async { read(&connected.send(prepared, deadline).await?) };
        self.transport.observed(prepared.endpoint(), before, request).await
    }
}

//! The way to one upstream: its address, its key, its deadlines, and the client for safe GETs.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use rustls::ClientConfig;
use tracing::Instrument as _;
use url::Url;

use super::{
    Answer, BuildError, Endpoint, Observer, PreparedRequest, Secret, UpstreamError,
    answer::read_body, origin::Origin, tls,
};
use crate::causes::causes;

/// Connecting gets no more than this, however long the whole request may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The longest timeout that makes sense.
const TIMEOUT_MAX: Duration = Duration::from_hours(1);

/// How long an unused connection of safe GETs is kept: shorter than most servers keep theirs.
const IDLE_MAX: Duration = Duration::from_secs(20);

const USER_AGENT: &str = concat!("provisor/", env!("CARGO_PKG_VERSION"));

/// What a [`Transport`] is made of.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// The upstream's name in metrics: `ljpc`, `leanstack`.
    pub provider: &'static str,
    /// Scheme, host, port and, if need be, a path before all paths.
    pub base_url: Url,
    /// The header that bears the key.
    pub key_header: HeaderName,
    /// The key.
    pub key: Secret,
    /// The whole of one request, connecting included.
    pub timeout: Duration,
    /// Whether http is accepted to a host that is not this machine.
    pub allow_http: bool,
}

/// The way to one upstream. It never goes through a proxy named by the environment: a request that buys something must
/// take the way that was looked at, and safe GETs must vouch for that same way.
pub struct Transport {
    pub(super) provider: &'static str,
    pub(super) origin: Origin,
    pub(super) headers: HeaderMap,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) key: Secret,
    client: reqwest::Client,
    observer: Arc<dyn Observer>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("provider", &self.provider)
            .field("origin", &self.origin)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport that trusts the certificates that this system trusts.
    pub fn new(
        settings: TransportSettings,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, BuildError> {
        Self::with_tls(settings, observer, tls::system()?)
    }

    /// A transport with a TLS configuration of the caller's.
    pub(super) fn with_tls(
        settings: TransportSettings,
        observer: Arc<dyn Observer>,
        tls: ClientConfig,
    ) -> Result<Self, BuildError> {
        let origin = Origin::new(&settings.base_url, settings.allow_http)?;
        if settings.timeout.is_zero() || settings.timeout > TIMEOUT_MAX {
            return Err(BuildError::Timeout);
        }
        let connect_timeout = settings.timeout.min(CONNECT_MAX);
        let headers = headers(settings.key_header, &settings.key)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .https_only(origin.https)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .default_headers(headers.clone())
            .connect_timeout(connect_timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_MAX)
            .build()
            .map_err(BuildError::Client)?;
        Ok(Self {
            provider: settings.provider,
            origin,
            headers,
            tls: Arc::new(tls),
            connect_timeout,
            timeout: settings.timeout,
            key: settings.key,
            client,
            observer,
        })
    }

    /// Asks for `path` (with its query) once, and reads the answer to its end. Whatever status it has, it is an answer.
    ///
    /// # Errors
    /// `NotSent` if no connection came about, `Unavailable` if no head of an answer came back.
    pub async fn get(&self, path: &str, body_bytes_max: usize) -> Result<Answer, UpstreamError> {
        let response = self.client.get(self.origin.url(path)).send().await.map_err(unanswered)?;
        let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = read_body(body, body_bytes_max).await;
        Ok(Answer::new(&head, body, vec![self.key.clone()]))
    }

    /// Sends a request that has a body and yet no effect, once, and reads the answer to its end. Whatever status it has, it
    /// is an answer.
    ///
    /// # Errors
    /// `NotSent` if no connection came about, and for a request that may have an effect: its way is [`Transport::connect`].
    /// `Unavailable` if no head of an answer came back.
    pub async fn ask(
        &self,
        request: &PreparedRequest,
        body_bytes_max: usize,
    ) -> Result<Answer, UpstreamError> {
        let endpoint = request.endpoint();
        if endpoint.is_irreversible() {
            return Err(UpstreamError::not_sent("what may have an effect is not asked for"));
        }
        let sending = self
            .client
            .request(endpoint.method(), self.origin.url(request.path()))
            .headers(request.headers())
            .body(request.body().to_vec())
            .send();
        let response = sending.await.map_err(unanswered)?;
        let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = read_body(body, body_bytes_max).await;
        Ok(Answer::new(&head, body, request.secrets_with(&self.key)))
    }

    /// Awaits a request's reading and tells the observer how it ended. `before` is what connecting took, if that was apart.
    pub(super) async fn observed<T>(
        &self,
        endpoint: &'static Endpoint,
        before: Duration,
        request: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let begun = Instant::now();
        let span = tracing::info_span!(
            "request",
            provider = self.provider,
            endpoint = endpoint.name,
            outcome = tracing::field::Empty
        );
        let result = Box::pin(request).instrument(span.clone()).await;
        let outcome = result.as_ref().map_or_else(UpstreamError::outcome, |_| "ok");
        span.record("outcome", outcome);
        self.observer.request(self.provider, endpoint.name, outcome, before + begun.elapsed());
        result
    }
}

/// The headers of every request. The key is marked sensitive, so that no Debug of them shows it.
fn headers(key_header: HeaderName, key: &Secret) -> Result<HeaderMap, BuildError> {
    let mut value = HeaderValue::from_str(key.expose()).map_err(|_| BuildError::Key)?;
    if value.is_empty() {
        return Err(BuildError::Key);
    }
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(key_header, value);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    Ok(headers)
}

/// A safe request that brought no head of an answer. The URL is left out of the detail: it may name a customer's domain.
fn unanswered(error: reqwest::Error) -> UpstreamError {
    let connecting = error.is_connect() || error.is_builder();
    let detail = causes(&error.without_url()).to_string();
    if connecting {
        UpstreamError::not_sent(detail)
    } else {
        UpstreamError::Unavailable { detail, status: None, jti: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_not_shown_with_the_headers() {
        let key = Secret::new("hunter2".to_owned());
        let headers = headers(HeaderName::from_static("x-api-key"), &key).unwrap();
        assert_eq!(headers["x-api-key"], "hunter2");
        assert!(!format!("{headers:?}").contains("hunter2"));
    }
}

//! Requests that buy or change something: connect first, send later, once.
//!
//! The ledger's sequence is: permit, connect and TLS, intent committed, a last look at deadline and lease, write. An HTTP
//! client with a pool can't do that: it connects when it is told to send. So this uses a connection of its own for each
//! request.

use std::{
    fmt,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Answer, Endpoint, Secret, Transport, UpstreamError,
    connection::{Connection, Message},
};
use crate::clock::Deadline;

/// A request whose every byte that matters is fixed, so that its hash can be committed before it is sent.
#[derive(Clone)]
pub struct PreparedRequest {
    endpoint: &'static Endpoint,
    path: String,
    body: Bytes,
    secrets: Vec<Secret>,
    id: Option<(HeaderName, Uuid)>,
}

impl PreparedRequest {
    /// `secrets` are those that the body bears: they are masked wherever the upstream quotes them.
    #[must_use]
    pub fn new(
        endpoint: &'static Endpoint,
        path: String,
        body: Vec<u8>,
        secrets: Vec<Secret>,
    ) -> Self {
        Self { endpoint, path, body: body.into(), secrets, id: None }
    }

    /// A request whose body is this JSON.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "what is sent holds only text, integers and booleans, under names that are text"
    )]
    pub(super) fn json(
        endpoint: &'static Endpoint,
        path: String,
        body: &impl Serialize,
        secrets: Vec<Secret>,
    ) -> Self {
        let body = serde_json::to_vec(body).expect("a request's body is plain JSON");
        Self::new(endpoint, path, body, secrets)
    }

    /// The same request with a fresh id in this header, by which the upstream's support finds it. The hash leaves it out: it
    /// changes nothing of what is asked.
    #[must_use]
    pub fn identified(self, header: HeaderName) -> Self {
        Self { id: Some((header, Uuid::new_v4())), ..self }
    }

    /// The request's id, if it bears one.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.id.as_ref().map(|(_, id)| *id)
    }

    /// The headers of this request alone.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, id)) = &self.id
            && let Ok(id) = HeaderValue::from_str(&id.to_string())
        {
            headers.insert(name, id);
        }
        headers
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The secrets that it bears, and `key` with them.
    pub(super) fn secrets_with(&self, key: &Secret) -> Vec<Secret> {
        self.secrets.iter().chain([key]).cloned().collect()
    }

    /// Where it goes.
    #[must_use]
    pub fn endpoint(&self) -> &'static Endpoint {
        self.endpoint
    }

    /// The body as it will be sent. It may bear secrets.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// SHA-256 of method, path and body. Two lines separate them, which neither method nor path can hold.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.endpoint.method().as_str());
        hash.update("\n");
        hash.update(&self.path);
        hash.update("\n");
        hash.update(&self.body);
        hash.finalize().into()
    }
}

impl fmt::Debug for PreparedRequest {
    /// Without the body, which may bear an auth code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedRequest")
            .field("endpoint", &self.endpoint.name)
            .field("path", &self.path)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A connection over which nothing of HTTP has been said yet. It carries one request, and closes when it is dropped.
pub struct Connected {
    connection: Connection,
    headers: HeaderMap,
    target: String,
    key: Secret,
    timeout: Duration,
    took: Duration,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("took", &self.took).finish_non_exhaustive()
    }
}

impl Transport {
    /// DNS, TCP, TLS and HTTP's handshake, which is silent: the upstream sees a connection and no request. A failure is told
    /// to the observer as one of `endpoint`; a connection that is never used is no request.
    ///
    /// # Errors
    /// Always `NotSent`.
    pub async fn connect(
        &self,
        endpoint: &'static Endpoint,
        deadline: Deadline,
    ) -> Result<Connected, UpstreamError> {
        let begun = Instant::now();
        let patience = deadline.left().min(self.connect_timeout);
        let opened = match timeout(patience, Connection::open(&self.origin, &self.tls, patience))
            .await
        {
            Ok(opened) => opened.map_err(UpstreamError::not_sent),
            Err(_) => Err(UpstreamError::not_sent(format!("no connection within {patience:?}"))),
        };
        match opened {
            Ok(connection) => Ok(Connected {
                connection,
                headers: self.headers_to_send(),
                target: self.origin.target(""),
                key: self.key.clone(),
                timeout: self.timeout,
                took: begun.elapsed(),
            }),
            Err(error) => self.observed(endpoint, begun.elapsed(), async { Err(error) }).await,
        }
    }

    fn headers_to_send(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        // A host that was parsed as a URL's is printable ASCII.
        if let Ok(host) = HeaderValue::from_str(&self.origin.authority) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers
    }
}

impl Connected {
    /// What connecting took.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// Sends the request, once, and reads the answer to its end. Whatever status it has, it is an answer.
    ///
    /// # Errors
    /// `NotSent` only while provably no byte was written: the upstream had closed the connection, or time was up.
    /// From the first byte on, whatever goes wrong is `InDoubt`.
    pub async fn send(
        self,
        request: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<Answer, UpstreamError> {
        let message = self.message(request).map_err(UpstreamError::not_sent)?;
        let Self { mut connection, key, timeout: whole, .. } = self;
        let patience = deadline.left().min(whole);
        if !timeout(patience, connection.is_still_open()).await.unwrap_or(false) {
            let detail = "the upstream closed the connection before it was used";
            return Err(UpstreamError::not_sent(detail));
        }
        let patience = deadline.left().min(whole);
        if patience.is_zero() {
            return Err(UpstreamError::not_sent("the deadline passed before the first byte"));
        }
        // From here on everything is doubt.
        failpoint!("effect.before_first_byte");
        let exchanged = connection.exchange(message, patience).await;
        failpoint!("effect.answer_read");
        match exchanged {
            Ok((head, body)) => Ok(Answer::new(&head, body, request.secrets_with(&key))),
            Err(detail) => {
                let id = request.id().map(|id| id.to_string());
                Err(UpstreamError::unclear(request.endpoint, detail, None, id.as_deref()))
            }
        }
    }

    fn message(&self, request: &PreparedRequest) -> Result<Message, http::Error> {
        let mut message = Request::builder()
            .method(request.endpoint.method())
            .uri(format!("{}{}", self.target, request.path))
            .body(Full::new(request.body.clone()))?;
        *message.headers_mut() = self.headers.clone();
        message.headers_mut().extend(request.headers());
        Ok(message)
    }
}

//! Requests that buy or change something: connect first, send later, once.
//!
//! The ledger's sequence is: permit, connect and TLS, intent committed, a last look at deadline and lease, write. An HTTP
//! client with a pool can't do that: it connects when it is told to send. So this drives hyper's HTTP/1.1 connection
//! itself. Nothing is spawned: the connection is polled beside the request and dropped with it, whoever gives up first.

use std::{
    fmt,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Request, header, response};
use http_body_util::Full;
use hyper::{
    body::Bytes,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    Answer, Endpoint, Secret, Transport, UpstreamError,
    answer::{BODY_BYTES_MAX, read_body},
    text::chain,
};
use crate::clock::Deadline;

/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

type Sender = SendRequest<Full<Bytes>>;
type Conn = Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A request whose every byte that matters is fixed, so that its hash can be committed before it is sent.
#[derive(Clone)]
pub struct PreparedRequest {
    endpoint: &'static Endpoint,
    path: String,
    body: Bytes,
    secrets: Vec<Secret>,
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
        Self { endpoint, path, body: body.into(), secrets }
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
    sender: Sender,
    connection: Conn,
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
        let opened = match timeout(patience, self.open(patience)).await {
            Ok(opened) => opened.map_err(UpstreamError::not_sent),
            Err(_) => Err(UpstreamError::not_sent(format!("no connection within {patience:?}"))),
        };
        match opened {
            Ok((sender, connection)) => Ok(Connected {
                sender,
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

    async fn open(&self, patience: Duration) -> Result<(Sender, Conn), String> {
        let addresses = self.origin.addresses().await.map_err(|e| format!("DNS: {e}"))?;
        let tcp = reach(&addresses, patience).await?;
        // A request is one write, and what is small must not wait for an acknowledgement.
        tcp.set_nodelay(true).map_err(|e| format!("TCP: {e}"))?;
        let stream: Box<dyn Stream> = if self.origin.https {
            // Brackets are how a URL writes an IPv6 address; a certificate's name has none.
            let host = self.origin.host.to_string();
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                .map_err(|e| format!("TLS: {e}"))?;
            let connector = TlsConnector::from(self.tls.clone());
            Box::new(connector.connect(name, tcp).await.map_err(|e| format!("TLS: {e}"))?)
        } else {
            Box::new(tcp)
        };
        http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| chain(&e))
    }

    fn headers_to_send(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        // A host that was parsed as a URL's is printable ASCII.
        if let Ok(host) = HeaderValue::from_str(&self.origin.authority) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers
    }
}

/// The first address that answers. Each gets its share of what time is left, so that one that swallows packets leaves some
/// to the others.
async fn reach(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, String> {
    let until = Deadline::after(patience);
    let mut failure = "DNS: the name has no address".to_owned();
    let untried = (1..=u32::try_from(addresses.len()).unwrap_or(u32::MAX)).rev();
    for (address, untried) in addresses.iter().zip(untried) {
        failure = match timeout(until.left() / untried, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => format!("TCP to {address}: {error}"),
            Err(_) => format!("TCP to {address}: no answer"),
        };
    }
    Err(failure)
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
        let Self { mut sender, mut connection, key, timeout: whole, .. } = self;
        look_again(&mut sender, &mut connection).await?;
        let left = deadline.left().min(whole);
        if left.is_zero() {
            return Err(UpstreamError::not_sent("the deadline passed before the first byte"));
        }
        // From here on everything is doubt.
        match drive(connection, exchange(sender, message, left)).await {
            Ok((head, body)) => {
                let secrets = request.secrets.iter().cloned().chain([key]).collect();
                Ok(Answer::new(&head, body, secrets))
            }
            Err(detail) => Err(UpstreamError::unclear(request.endpoint, detail, None, None)),
        }
    }

    fn message(&self, request: &PreparedRequest) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut message = Request::builder()
            .method(request.endpoint.method())
            .uri(format!("{}{}", self.target, request.path))
            .body(Full::new(request.body.clone()))?;
        *message.headers_mut() = self.headers.clone();
        Ok(message)
    }
}

/// Whether the connection, unwatched since it was opened, is still open. The runtime is given one turn first, so that it
/// notices a close that has arrived meanwhile.
async fn look_again(sender: &mut Sender, connection: &mut Conn) -> Result<(), UpstreamError> {
    tokio::task::yield_now().await;
    let open = std::future::poll_fn(|cx| {
        let over = Pin::new(&mut *connection).poll(cx).is_ready();
        Poll::Ready(!over && matches!(sender.poll_ready(cx), Poll::Ready(Ok(()))))
    })
    .await;
    if open && !sender.is_closed() {
        Ok(())
    } else {
        Err(UpstreamError::not_sent("the upstream closed the connection before it was used"))
    }
}

/// Polls a connection beside the work that needs it. When the connection is over, what it has delivered is still read.
async fn drive<T>(connection: Conn, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        // Its error, if any, reaches the work by way of the request.
        _ = connection => {}
    }
    work.await
}

/// Writes, and reads head and body. The body has a fate of its own: a head that has come says much without it.
async fn exchange(
    mut sender: Sender,
    message: Request<Full<Bytes>>,
    left: Duration,
) -> Result<(response::Parts, Result<Bytes, String>), String> {
    let until = tokio::time::Instant::now() + left;
    let response = timeout_at(until, sender.send_request(message))
        .await
        .map_err(|_| format!("no answer within {left:?}"))?
        .map_err(|e| format!("no answer: {}", chain(&e)))?;
    let (head, body) = response.into_parts();
    let body = timeout_at(until, read_body(body, BODY_BYTES_MAX))
        .await
        .unwrap_or_else(|_| Err(format!("the body did not end within {left:?}")));
    Ok((head, body))
}

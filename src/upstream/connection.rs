//! One connection for one request: opened in silence, looked at again, used once, closed.
//!
//! Nothing is spawned: hyper's connection is polled beside the request and dropped with it, whoever gives up first.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{Request, response};
use http_body_util::Full;
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    answer::{BODY_BYTES_MAX, read_body},
    origin::Origin,
};
use crate::{causes::causes, clock::Deadline};

/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request as hyper takes it.
pub(super) type Message = Request<Full<Bytes>>;

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection over which nothing of HTTP has been said yet.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>,
    /// The same socket a second time, to ask the kernel what has arrived: the runtime's own picture of it may be older.
    socket: std::net::TcpStream,
}

impl Connection {
    /// DNS, TCP, TLS and HTTP's handshake, which is silent. The caller bounds the whole by `patience`, too.
    pub(super) async fn open(
        origin: &Origin,
        tls: &Arc<ClientConfig>,
        patience: Duration,
    ) -> Result<Self, String> {
        let addresses = origin.addresses().await.map_err(|e| format!("DNS: {e}"))?;
        let (tcp, socket) =
            twice(reach(&addresses, patience).await?).map_err(|e| format!("TCP: {e}"))?;
        let stream: Box<dyn Stream> = if origin.https {
            // Brackets are how a URL writes an IPv6 address; a certificate's name has none.
            let host = origin.host.to_string();
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                .map_err(|e| format!("TLS: {e}"))?;
            let connector = TlsConnector::from(tls.clone());
            Box::new(connector.connect(name, tcp).await.map_err(|e| format!("TLS: {e}"))?)
        } else {
            Box::new(tcp)
        };
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| causes(&e).to_string())?;
        Ok(Self { sender, driver, socket })
    }

    /// Whether the connection, unwatched since it was opened, can still be used: not closed, and nothing unasked said over
    /// it (a proxy that is tired of waiting says 408 and closes). Writes nothing of HTTP.
    pub(super) async fn is_still_open(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            if Pin::new(&mut self.driver).poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            match self.socket.peek(&mut [0]) {
                Ok(0) => Poll::Ready(false),
                // The driver has yet to be told of these bytes, which may be TLS's own. It is woken for them.
                Ok(_) => Poll::Pending,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    Poll::Ready(matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
                }
                Err(_) => Poll::Ready(false),
            }
        })
        .await
    }

    /// Writes the request, and reads head and body within `patience`. The body has a fate of its own: a head that has come
    /// says much without it.
    pub(super) async fn exchange(
        self,
        message: Message,
        patience: Duration,
    ) -> Result<(response::Parts, Result<Bytes, String>), String> {
        let Self { mut sender, mut driver, socket } = self;
        drop(socket);
        let until = tokio::time::Instant::now() + patience;
        let exchange = async move {
            let response = timeout_at(until, sender.send_request(message))
                .await
                .map_err(|_| format!("no answer within {patience:?}"))?
                .map_err(|e| format!("no answer: {}", causes(&e)))?;
            let (head, body) = response.into_parts();
            let body = timeout_at(until, read_body(body, BODY_BYTES_MAX))
                .await
                .unwrap_or_else(|_| Err(format!("the body did not end within {patience:?}")));
            Ok((head, body))
        };
        let mut exchange = pin!(exchange);
        let driven = std::future::poll_fn(|cx| {
            let polled = Pin::new(&mut driver).poll(cx);
            failpoint!("effect.after_first_byte");
            polled
        });
        tokio::select! {
            biased;
            done = &mut exchange => return done,
            // Its error, if any, reaches the exchange by way of the request; what it has delivered is still read.
            _ = driven => {}
        }
        exchange.await
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

/// The stream, and the same socket for looking at.
fn twice(tcp: TcpStream) -> std::io::Result<(TcpStream, std::net::TcpStream)> {
    // A request is one write, and what is small must not wait for an acknowledgement.
    tcp.set_nodelay(true)?;
    let tcp = tcp.into_std()?;
    let socket = tcp.try_clone()?;
    Ok((TcpStream::from_std(tcp)?, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_is_tried_and_the_last_failure_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let patience = Duration::from_secs(20);
        let tcp = reach(&[closed, closed, open], patience).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), open);
        let failure = reach(&[closed, closed], patience).await.unwrap_err();
        assert!(failure.starts_with(&format!("TCP to {closed}: ")), "{failure}");
        assert_eq!(reach(&[], patience).await.unwrap_err(), "DNS: the name has no address");
    }
}

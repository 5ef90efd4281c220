//! The stream under lettre: bounded in what one answer may bring, and careful before STARTTLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that an answer may have. lettre allows far more, bounds a line only once it has read
/// all of it, and parses all of an answer again with each of its lines.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The most bytes that a TLS handshake and the answer to EHLO behind it may have: certificates are long.
const HANDSHAKE_BYTES_MAX: usize = 128 * 1024;

/// As much as is read at once.
const CHUNK_BYTES: usize = 4096;

/// What the session may tell its stream, which lettre owns.
#[derive(Debug)]
pub(super) struct Gauge {
    bytes_left: AtomicUsize,
    one_by_one: AtomicBool,
}

impl Gauge {
    /// A new gauge. `one_by_one`: read single bytes until told otherwise. So lettre's buffer never
    /// holds more than the answer that it waits for, and what somebody smuggles in behind the answer
    /// to STARTTLS ends in the handshake, not in the encrypted conversation.
    pub(super) fn new(one_by_one: bool) -> Arc<Self> {
        Arc::new(Self {
            bytes_left: AtomicUsize::new(ANSWER_BYTES_MAX),
            one_by_one: AtomicBool::new(one_by_one),
        })
    }

    /// An answer is awaited.
    pub(super) fn expect_answer(&self) {
        self.bytes_left.store(ANSWER_BYTES_MAX, Ordering::Relaxed);
    }

    /// A handshake is awaited.
    pub(super) fn expect_handshake(&self) {
        self.bytes_left.store(HANDSHAKE_BYTES_MAX, Ordering::Relaxed);
    }

    /// The connection is encrypted now.
    pub(super) fn read_freely(&self) {
        self.one_by_one.store(false, Ordering::Relaxed);
    }
}

/// A stream with a gauge.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    pub(super) peer: SocketAddr,
    pub(super) gauge: Arc<Gauge>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.gauge.bytes_left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("the server's answer has no end")));
        }
        let one_by_one = self.gauge.one_by_one.load(Ordering::Relaxed);
        let wanted = if one_by_one { 1 } else { left.min(buf.remaining()) };
        let mut bytes = [0; CHUNK_BYTES];
        let mut chunk = ReadBuf::new(bytes.get_mut(..wanted.min(CHUNK_BYTES)).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        buf.put_slice(chunk.filled());
        self.gauge.bytes_left.store(left - chunk.filled().len(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> AsyncTokioStream for Wire<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

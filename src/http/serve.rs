//! A small server with a limit on everything: connections, the head of a request, the whole of a connection.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

/// What one server allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// At the same time; the next waits in the kernel's queue.
    pub(super) connections: usize,
    /// From the connection to the end of the request's head.
    pub(super) head: Duration,
    /// From the connection to the end of the answer: a client that doesn't read holds its place no longer.
    pub(super) connection: Duration,
    /// For the answers under way once the server stops.
    pub(super) drain: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    head: Duration::from_secs(5),
    connection: Duration::from_secs(10),
    drain: Duration::from_secs(2),
};

/// The most that a request's head may have. hyper allows no less than 8 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// After an error of accept, which most often is a lack of file descriptors: at once it would fail again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is done, then ends what is under way, within two seconds. One request a connection: probes and
/// scrapes come seldom, and a connection that is kept open would only have to be bounded too.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, router, shutdown).await;
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    // Dropped with this future, it ends every connection.
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let has_room = connections.len() < limits.connections;
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => log_panic(ended),
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(limits, stream, router.clone()));
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!("connections were cut off for the server to stop");
    }
}

async fn answer(limits: Limits, stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(limits.connection, connection).await {
        Ok(Ok(())) => {}
        // The client's doing: it went away, was too slow, or spoke something else.
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection took too long and was cut off"),
    }
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// A handler's panic ends its own connection only. The panic hook has told where it was.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("an answer was not finished, for its handler panicked");
    }
}

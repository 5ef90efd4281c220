//! A mail catcher: an SMTP server of its own that delivers nothing and writes every mail to a file.
//!
//! Written here rather than taken: mailin-embedded (0.8.3), the one embeddable server that is still
//! released, blocks a thread for each session, reads lines without a limit, can't be stopped, and closes
//! a connection only after a reply, while a close without one is the very fault that a mailer must be
//! tested against. smtp-proto is well kept, but a parser alone, and parsing is the least of it.

mod command;
mod index;
mod line;
mod message;
mod session;
mod store;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;

pub use self::index::Mail;
use self::session::Session;
pub(super) use self::{index::MailIndex, store::Store};
use super::state::World;

/// What one client may ask of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) message_bytes: usize,
    /// How long a client may be silent.
    pub(super) idle: Duration,
    pub(super) recipients: usize,
    pub(super) commands: usize,
}

impl Limits {
    /// RFC 5321, 4.5.3.1.8, has servers take 100 recipients.
    pub(super) const USUAL: Self = Self {
        connections: 256,
        message_bytes: 10 * 1024 * 1024,
        idle: Duration::from_mins(1),
        recipients: 100,
        commands: 10_000,
    };
}

/// Serves until the world is stopping, then waits for the sessions to end.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>, store: Store, limits: Limits) {
    let store = Arc::new(store);
    let places = Arc::new(Semaphore::new(limits.connections));
    let sessions = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = world.stopping.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: to try again at once would only spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            sessions.spawn(turn_away(stream));
            continue;
        };
        let session = Session::new(stream, Arc::clone(&world), Arc::clone(&store), limits);
        let stopping = world.stopping.clone();
        sessions.spawn(async move {
            tokio::select! {
                // A client that broke off is its own affair.
                ended = session.run() => drop(ended),
                () = stopping.cancelled() => {}
            }
            drop(place);
        });
    }
    sessions.close();
    sessions.wait().await;
}

async fn turn_away(mut stream: TcpStream) {
    // RFC 5321, 3.1: a server may refuse a session by its greeting. Whether the client still reads it is its affair.
    drop(stream.write_all(b"421 4.3.2 too many connections\r\n").await);
}

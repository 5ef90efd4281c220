//! The way from the daemons to the database: it can be cut, so that nobody knows whether the last COMMIT came through.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// A listener whose connections all lead to one socket.
pub(crate) struct Pipe {
    pub(crate) address: SocketAddr,
    way: Arc<Mutex<Way>>,
    listening: JoinHandle<()>,
}

struct Way {
    /// Cancelled, it ends the connections that there are.
    whole: CancellationToken,
    /// Until then none can be made.
    shut_until: Instant,
}

impl Pipe {
    pub(crate) async fn open(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let way = Way { whole: CancellationToken::new(), shut_until: Instant::now() };
        let way = Arc::new(Mutex::new(way));
        let current = Arc::clone(&way);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let way = current.lock().expect("no panic");
                // Dropped, the stream is closed.
                if Instant::now() >= way.shut_until {
                    tokio::spawn(carry(stream, socket.clone(), way.whole.clone()));
                }
            }
        });
        Self { address, way, listening }
    }

    /// Cuts all connections, whatever is under way on them, and lets none be made for so long.
    pub(crate) fn cut(&self, away: Duration) {
        let mut way = self.way.lock().expect("no panic");
        way.shut_until = Instant::now() + away;
        std::mem::take(&mut way.whole).cancel();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut(Duration::ZERO);
    }
}

async fn carry(mut from: TcpStream, socket: PathBuf, whole: CancellationToken) {
    // Where no server answers, the connection ends, as it would without the pipe.
    let Ok(mut to) = UnixStream::connect(socket).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
        () = whole.cancelled() => {}
    }
}

//! The way from the daemons to the database: it can be cut, so that nobody knows whether the last COMMIT came through.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// A listener whose connections all lead to one socket.
pub(crate) struct Pipe {
    pub(crate) address: SocketAddr,
    /// Cancelled, it ends the connections that there are.
    whole: Arc<Mutex<CancellationToken>>,
    listening: JoinHandle<()>,
}

impl Pipe {
    pub(crate) async fn open(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let whole = Arc::new(Mutex::new(CancellationToken::new()));
        let current = Arc::clone(&whole);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let whole = current.lock().expect("no panic").clone();
                tokio::spawn(carry(stream, socket.clone(), whole));
            }
        });
        Self { address, whole, listening }
    }

    /// Cuts all connections, whatever is under way on them. New ones can be made at once.
    pub(crate) fn cut(&self) {
        let mut whole = self.whole.lock().expect("no panic");
        std::mem::take(&mut *whole).cancel();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
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

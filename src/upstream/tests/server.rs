//! A TCP server that reads one request at a time and then does what its script says next.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The pause before each byte that drips.
const DRIP: Duration = Duration::from_millis(25);

/// What is done with a request, once it has been read.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// These bytes, and the connection is closed.
    Answer(Vec<u8>),
    /// These bytes, and the connection stays open for another request.
    Keep(Vec<u8>),
    /// These bytes, and then silence until the client gives up.
    Stall(Vec<u8>),
    /// These bytes first, then the second ones over and over until the client gives up.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, one by one and with pauses, until the client gives up.
    Drip(Vec<u8>),
    /// The connection is reset.
    Reset,
    /// The same after these bytes.
    ThenReset(Vec<u8>),
}

#[derive(Default)]
struct Log {
    connections: usize,
    requests: Vec<String>,
}

/// The server. It ends when it is dropped.
pub(super) struct Server {
    addr: SocketAddr,
    log: Arc<Mutex<Log>>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let accepting = tokio::spawn(accept(listener, script, log.clone()));
        Self { addr, log, accepting }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every request so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().requests.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<VecDeque<Act>>>, log: Arc<Mutex<Log>>) {
    let mut serving = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        log.lock().unwrap().connections += 1;
        serving.spawn(serve(stream, script.clone(), log.clone()));
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<VecDeque<Act>>>, log: Arc<Mutex<Log>>) {
    while let Some(request) = read_request(&mut stream).await {
        log.lock().unwrap().requests.push(request);
        let act = script.lock().unwrap().pop_front().expect("a request too many");
        match act {
            Act::Keep(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Answer(bytes) => {
                let _: std::io::Result<()> = stream.write_all(&bytes).await;
                let _: std::io::Result<()> = stream.shutdown().await;
                return;
            }
            Act::Stall(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                // Ends when the client closes.
                let _: std::io::Result<usize> = stream.read(&mut [0]).await;
                return;
            }
            Act::Endless(head, again) => {
                stream.write_all(&head).await.unwrap();
                while stream.write_all(&again).await.is_ok() {}
                return;
            }
            Act::Drip(bytes) => {
                let mut pace = tokio::time::interval(DRIP);
                for byte in bytes {
                    pace.tick().await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Act::Reset => return stream.set_zero_linger().unwrap(),
            Act::ThenReset(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return stream.set_zero_linger().unwrap();
            }
        }
    }
}

/// One request, or `None` when the client has closed.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8(read.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                })
                .map_or(0, |l| l.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

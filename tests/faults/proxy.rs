//! The way from a daemon to its server, which may fall silent, break, or lose the answer to a COMMIT.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// The most bytes of one message: the daemon's are far smaller.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;

/// A proxy on loopback.
pub(crate) struct Proxy {
    address: SocketAddr,
    way: Arc<Way>,
    accepting: JoinHandle<()>,
}

/// How the answer to a COMMIT gets lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// The connection is closed.
    Closed,
    /// Nothing comes any more.
    Silent,
}

struct Way {
    server: Mutex<PathBuf>,
    /// Which generation of connections is let through; older ones are silent for ever.
    open_from: watch::Sender<usize>,
    /// The generation of new connections; the largest number while these are silent too.
    generation: AtomicUsize,
    cut: AtomicBool,
    /// In the transaction of which statement a COMMIT's answer gets lost, and how.
    loss: Mutex<Option<(String, Loss)>>,
    losses: AtomicUsize,
}

impl Proxy {
    /// A proxy to the server behind this socket.
    pub(crate) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let way = Arc::new(Way {
            server: Mutex::new(socket),
            open_from: watch::Sender::new(0),
            generation: AtomicUsize::new(0),
            cut: AtomicBool::new(false),
            loss: Mutex::new(None),
            losses: AtomicUsize::new(0),
        });
        let address = listener.local_addr().expect("it is bound");
        let own = Arc::clone(&way);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&own)));
            }
        });
        Self { address, way, accepting }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, socket: PathBuf) {
        *self.way.server.lock().expect("no panic under the lock") = socket;
    }

    /// All connections fall silent for ever, without a word to either side. New ones, too, until [`Self::heal`].
    pub(crate) fn cut(&self) {
        self.way.cut.store(true, Ordering::SeqCst);
        self.silence_old_ones();
    }

    /// The connections that there are fall silent for ever; new ones are carried.
    pub(crate) fn silence_old_ones(&self) {
        let next = self.way.generation.fetch_add(1, Ordering::SeqCst) + 1;
        self.way.open_from.send_replace(next);
    }

    /// New connections are carried again.
    pub(crate) fn heal(&self) {
        // Those that were made during the cut stay silent.
        self.silence_old_ones();
        self.way.cut.store(false, Ordering::SeqCst);
    }

    /// Loses the answer to the next COMMIT of a transaction that has a statement with this text.
    pub(crate) fn lose_commit_after(&self, statement: &str, loss: Loss) {
        *self.way.loss.lock().expect("no panic under the lock") =
            Some((statement.to_owned(), loss));
    }

    /// How many answers were lost.
    pub(crate) fn losses(&self) -> usize {
        self.way.losses.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Way {
    /// Takes the order to lose an answer, if these statements are those of its transaction.
    fn take_loss(&self, statements: &HashSet<String>) -> Option<Loss> {
        let mut wanted = self.loss.lock().expect("no panic under the lock");
        let (part, loss) = wanted.clone()?;
        let found = statements.iter().any(|statement| statement.contains(&part));
        found.then(|| {
            *wanted = None;
            loss
        })
    }
}

/// Carries one connection, until it ends or falls silent.
async fn carry(client: TcpStream, way: Arc<Way>) {
    let generation = way.generation.load(Ordering::SeqCst);
    if way.cut.load(Ordering::SeqCst) {
        // Accepted by the kernel, and never answered. It is held as long as the test's runtime lives.
        return hold(client).await;
    }
    let socket = way.server.lock().expect("no panic under the lock").clone();
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let mut open_from = way.open_from.subscribe();
    let (teller, told) = watch::channel(None);
    let silenced = async move {
        // The sender lives as long as the proxy.
        let _ = open_from.wait_for(|open_from| *open_from > generation).await;
    };
    let questions = carry_questions(client_in, server_out, &way, &teller);
    let answers = carry_answers(server_in, client_out, told, &way);
    let ended = tokio::select! {
        ended = async { tokio::join!(questions, answers) } => Some(ended),
        () = silenced => None,
    };
    if ended.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn hold(client: TcpStream) {
    std::future::pending::<()>().await;
    drop(client);
}

/// Messages of the client, of which each is read: PostgreSQL, "Message Formats".
async fn carry_questions(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: &Way,
    teller: &watch::Sender<Option<Loss>>,
) {
    let mut prepared = std::collections::HashMap::new();
    let mut transaction = HashSet::new();
    let mut is_startup = true;
    while let Some((kind, message)) = read_message(&mut from, is_startup).await {
        is_startup = false;
        let body = message.get(5..).unwrap_or_default();
        match kind {
            b'P' => {
                let (name, rest) = text(body);
                prepared.insert(name, text(rest).0);
            }
            b'B' => {
                let (_, rest) = text(body);
                transaction.extend(prepared.get(&text(rest).0).cloned());
            }
            b'Q' => {
                let statement = text(body).0;
                if statement == "COMMIT" {
                    if let Some(loss) = way.take_loss(&transaction) {
                        teller.send_replace(Some(loss));
                    }
                    transaction.clear();
                } else if statement.starts_with("BEGIN") {
                    transaction.clear();
                }
            }
            _ => {}
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Bytes of the server, until an answer is to be lost: that one is waited for, so that the COMMIT was carried out.
async fn carry_answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    told: watch::Receiver<Option<Loss>>,
    way: &Way,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let loss = *told.borrow();
        if let Some(loss) = loss {
            way.losses.fetch_add(1, Ordering::SeqCst);
            if loss == Loss::Silent {
                std::future::pending::<()>().await;
            }
            break;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// A whole message with its head; the first one of a connection has no kind.
async fn read_message(
    from: &mut (impl AsyncRead + Unpin),
    is_startup: bool,
) -> Option<(u8, Vec<u8>)> {
    let mut message = Vec::new();
    let kind = if is_startup { 0 } else { from.read_u8().await.ok()? };
    if !is_startup {
        message.push(kind);
    }
    let length = from.read_u32().await.ok()?;
    message.extend(length.to_be_bytes());
    let left = usize::try_from(length).ok()?.checked_sub(4).filter(|left| *left <= MESSAGE_MAX)?;
    let head = message.len();
    message.resize(head + left, 0);
    from.read_exact(&mut message[head..]).await.ok()?;
    Some((kind, message))
}

/// A text that ends with a zero byte, and what comes after it.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    (String::from_utf8_lossy(text).into_owned(), rest.get(1..).unwrap_or_default())
}

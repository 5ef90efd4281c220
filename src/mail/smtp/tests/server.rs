//! An SMTP server that does, connection by connection, what a test has written down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What the server does at one point of the conversation.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Answers; CRLF is added.
    Say(String),
    /// Closes the connection.
    Drop,
    /// Says nothing more and waits until the client goes.
    Hang,
}

/// One connection: what the client is expected to begin its command with ("" for the greeting, "." for
/// a body), and what then happens. After the last step the connection is closed.
pub(super) type Script = Vec<(&'static str, Act)>;

pub(super) fn say(answer: &str) -> Act {
    Act::Say(answer.to_owned())
}

pub(super) const EHLO: &str = "250-mail.example.com\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN";

/// The greeting and EHLO.
pub(super) fn hello() -> Script {
    vec![("", say("220 mail.example.com ESMTP")), ("EHLO shop.example", say(EHLO))]
}

/// One mail, taken over.
pub(super) fn mail() -> Script {
    vec![
        ("MAIL FROM:<noreply@example.com>", say("250 2.1.0 Ok")),
        ("RCPT TO:<bob@example.nl>", say("250-2.1.5 Ok\r\n250 2.1.5 really")),
        ("DATA", say("354 End data with <CR><LF>.<CR><LF>")),
        (".", say("250 2.0.0 Ok: queued as 4F1C2 for <bob@example.nl>")),
    ]
}

/// What a server sees before a further mail.
pub(super) fn rset() -> Script {
    vec![("RSET", say("250 2.0.0 Ok"))]
}

pub(super) fn quit() -> Script {
    vec![("QUIT", say("221 2.0.0 Bye"))]
}

/// A server on a port of its own.
pub(super) struct Server {
    pub(super) port: u16,
    task: JoinHandle<Vec<Vec<u8>>>,
}

impl Server {
    /// Serves one connection for each script, one after another as they come.
    pub(super) async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut connections = Vec::new();
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                connections.push(tokio::spawn(serve(stream, script)));
            }
            let mut received = Vec::new();
            for connection in connections {
                received.push(connection.await.unwrap());
            }
            received
        });
        Self { port, task }
    }

    /// Everything that each connection received. Fails if a script was not gone through to its end.
    pub(super) async fn finish(self) -> Vec<String> {
        let received = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        let received = received.expect("the server still waits for the client").unwrap();
        received.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }
}

async fn serve(stream: TcpStream, script: Script) -> Vec<u8> {
    let mut stream = BufReader::new(stream);
    let mut received = Vec::new();
    for (expected, act) in script {
        let begun = received.len();
        match expected {
            "" => {}
            "." => {
                while !received.ends_with(b"\r\n.\r\n") {
                    assert!(read_line(&mut stream, &mut received).await, "the body has no end");
                }
            }
            _ => {
                assert!(read_line(&mut stream, &mut received).await, "no {expected}");
                let line = String::from_utf8_lossy(&received[begun..]).into_owned();
                assert!(line.starts_with(expected), "{expected} was expected, {line} came");
            }
        }
        match act {
            Act::Say(answer) => {
                let answer = format!("{answer}\r\n");
                // The client may have gone, as it does when an answer has no end.
                drop(stream.get_mut().write_all(answer.as_bytes()).await);
            }
            Act::Drop => return received,
            Act::Hang => {
                drop(stream.read_to_end(&mut received).await);
                return received;
            }
        }
    }
    received
}

/// One line, or false at the end of the stream.
async fn read_line(stream: &mut BufReader<TcpStream>, received: &mut Vec<u8>) -> bool {
    stream.read_until(b'\n', received).await.is_ok_and(|read| read > 0)
}

/// A server that greets nobody before `wanted` connections are open at once, then takes every mail.
/// Gives the port and the greatest number of connections that there were at once.
pub(super) async fn crowded(wanted: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peak = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&peak);
    tokio::spawn(async move {
        let (open, _) = watch::channel(0_usize);
        let open = Arc::new(open);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            open.send_modify(|open| *open += 1);
            counted.fetch_max(*open.borrow(), Ordering::SeqCst);
            let (open, counted) = (Arc::clone(&open), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut seen = open.subscribe();
                seen.wait_for(|_| counted.load(Ordering::SeqCst) >= wanted).await.unwrap();
                serve(stream, [hello(), mail()].concat()).await;
                open.send_modify(|open| *open -= 1);
            });
        }
    });
    (port, peak)
}

//! A mail server that fails at one step of a conversation, in one manner, as often as a test wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A step of a conversation: what is answered, or within the body what comes instead of reading on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Body,
    Dot,
}

/// What the server does there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Act {
    /// Closes the connection.
    Drop,
    /// 451.
    Temporary,
    /// 554.
    Final,
    /// Something that is no answer.
    Garbage,
    /// Nothing, until the client goes.
    Silence,
    /// The usual answer, a moment later.
    Late,
}

/// A message that the server took over.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) message_id: String,
    pub(super) recipient: String,
}

/// The server. It takes one message on a connection, so that each begins with a greeting.
pub(super) struct Postman {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    fault: Mutex<Option<(Step, Act, usize)>>,
    letters: Mutex<Vec<Letter>>,
}

impl Postman {
    /// One on a free port.
    pub(super) async fn new() -> Self {
        Self::at(([127, 0, 0, 1], 0).into()).await
    }

    /// One at this address.
    pub(super) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move { serve(stream, &own).await });
            }
        });
        Self { address, state, accepting }
    }

    /// Fails at this step so many times.
    pub(super) fn fail(&self, step: Step, act: Act, times: usize) {
        *lock(&self.state.fault) = Some((step, act, times));
    }

    /// Whether it has failed as often as it was asked to.
    pub(super) fn has_failed(&self) -> bool {
        lock(&self.state.fault).is_none()
    }

    /// All that it took over.
    pub(super) fn letters(&self) -> Vec<Letter> {
        lock(&self.state.letters).clone()
    }
}

impl Drop for Postman {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    /// What is to be done at this step.
    fn take(&self, step: Step) -> Option<Act> {
        let mut fault = lock(&self.fault);
        let (at, act, times) = (*fault)?;
        if at != step {
            return None;
        }
        *fault = (times > 1).then_some((at, act, times - 1));
        Some(act)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under the lock")
}

/// One connection.
struct Call<'a> {
    stream: BufReader<TcpStream>,
    state: &'a State,
}

async fn serve(stream: TcpStream, state: &State) {
    let mut call = Call { stream: BufReader::new(stream), state };
    // However it ends, the connection is closed.
    let _ = call.converse().await;
}

impl Call<'_> {
    /// A conversation; `None`: it ended before its time.
    async fn converse(&mut self) -> Option<()> {
        self.answer(Step::Greeting, "220 mail.example.com ESMTP").await?;
        let mut recipient = String::new();
        loop {
            let line = self.line().await?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let offers = "250-mail.example.com\r\n250-AUTH PLAIN\r\n250 STARTTLS";
                    self.answer(Step::Ehlo, offers).await?;
                }
                "STARTTLS" => self.answer(Step::StartTls, "454 4.7.0 no certificate").await?,
                "AUTH" => self.answer(Step::Auth, "235 2.7.0 welcome").await?,
                "MAIL" => self.answer(Step::Mail, "250 2.1.0 ok").await?,
                "RCPT" => {
                    recipient = line.trim_start_matches("RCPT TO:<").trim_end_matches('>').into();
                    self.answer(Step::Rcpt, "250 2.1.5 ok").await?;
                }
                "DATA" => {
                    self.answer(Step::Data, "354 go on").await?;
                    self.take_over(&recipient).await?;
                    // One message on a connection.
                    return Some(());
                }
                _ => self.say("250 ok").await?,
            }
        }
    }

    /// The body, up to and with the answer to the final dot.
    async fn take_over(&mut self, recipient: &str) -> Option<()> {
        let mut message_id = String::new();
        let first = self.line().await?;
        let early = self.state.take(Step::Body);
        match early {
            Some(Act::Drop) => return None,
            Some(act) => self.act(act, "250 ok").await?,
            None => {}
        }
        let mut line = first;
        while line != "." {
            if let Some(id) = line.strip_prefix("Message-ID: ") {
                message_id = id.to_owned();
            }
            line = self.line().await?;
        }
        if early.is_some_and(|act| act != Act::Late) {
            return None;
        }
        let act = self.state.take(Step::Dot);
        // Whatever the client gets to hear of it.
        if !matches!(act, Some(Act::Temporary | Act::Final)) {
            let letter = Letter { message_id, recipient: recipient.to_owned() };
            lock(&self.state.letters).push(letter);
        }
        match act {
            Some(act) => self.act(act, "250 2.0.0 queued").await,
            None => self.say("250 2.0.0 queued").await,
        }
    }

    /// Answers at a step, or does what was wanted of it there.
    async fn answer(&mut self, step: Step, usual: &str) -> Option<()> {
        match self.state.take(step) {
            Some(act) => self.act(act, usual).await,
            None => self.say(usual).await,
        }
    }

    async fn act(&mut self, act: Act, usual: &str) -> Option<()> {
        match act {
            Act::Drop => None,
            Act::Temporary => self.say("451 4.3.0 not now").await,
            Act::Final => self.say("554 5.0.0 never").await,
            Act::Garbage => self.say("what do you want?").await,
            Act::Silence => {
                let mut rest = Vec::new();
                let _ = self.stream.read_to_end(&mut rest).await;
                None
            }
            Act::Late => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.say(usual).await
            }
        }
    }

    async fn say(&mut self, answer: &str) -> Option<()> {
        self.stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

//! One SMTP session.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{
    Limits, Mail, Store,
    command::{self, Command, NEEDS_UTF8, Sender},
    line::{Line, read_line},
    message::{Body, header, read_body},
};
use crate::{
    clock,
    sandbox::{
        faults::{FaultKind, FaultSpec, Phase, Point},
        ljpc::Facts,
        state::World,
    },
};

/// RFC 5321, 4.5.3.1.4, asks for 512; SMTPUTF8 and other extensions for more.
const COMMAND_LINE_MAX: usize = 2_048;
const SLOW_DEFAULT: Duration = Duration::from_secs(1);

/// A client and what it has said so far.
pub(super) struct Session {
    stream: BufReader<TcpStream>,
    world: Arc<World>,
    store: Arc<Store>,
    limits: Limits,
    greeted: bool,
    sender: Option<Sender>,
    recipients: Vec<String>,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Go,
    Close,
}

/// What a fault has left of a step.
enum Step {
    /// To be done as usual.
    Usual,
    /// Answered already.
    Answered,
    /// The connection is to be closed without a word.
    Cut,
}

impl Session {
    pub(super) fn new(
        stream: TcpStream,
        world: Arc<World>,
        store: Arc<Store>,
        limits: Limits,
    ) -> Self {
        Self {
            stream: BufReader::new(stream),
            world,
            store,
            limits,
            greeted: false,
            sender: None,
            recipients: Vec::new(),
        }
    }

    /// Talks to the client until either has had enough. Dropping the stream closes the connection.
    pub(super) async fn run(mut self) -> io::Result<()> {
        match self.meddle(Phase::Connect).await? {
            Step::Usual => {
                self.say("220 sandbox.example.com ESMTP Provisor's mail catcher").await?;
            }
            Step::Answered | Step::Cut => return Ok(()),
        }
        for _ in 0..self.limits.commands {
            let line = read_line(&mut self.stream, COMMAND_LINE_MAX, self.limits.idle).await?;
            let next = match line {
                Line::Whole(line) => self.obey(&line).await?,
                Line::TooLong => {
                    self.say("500 5.5.2 the line is too long").await?;
                    Next::Go
                }
                Line::Bare => return self.say("500 5.5.2 a line ends with CR LF").await,
                Line::Idle => return self.say("421 4.4.2 silent for too long").await,
                Line::Gone => return Ok(()),
            };
            if next == Next::Close {
                return Ok(());
            }
        }
        self.say("421 4.7.0 too many commands").await
    }

    async fn obey(&mut self, line: &[u8]) -> io::Result<Next> {
        let command = match command::read(line) {
            Ok(command) => command,
            Err((code, why)) => return self.refuse(code, why).await,
        };
        match command {
            Command::Ehlo | Command::Helo => self.greet(&command).await,
            Command::Mail(sender) => self.mail(sender).await,
            Command::Rcpt(recipient) => self.rcpt(recipient).await,
            Command::Data => self.data().await,
            Command::Rset => {
                self.forget();
                self.accept("250 2.0.0 forgotten").await
            }
            Command::Noop => self.accept("250 2.0.0 fine").await,
            Command::Vrfy => self.accept("252 2.5.0 try it").await,
            Command::Quit => {
                self.say("221 2.0.0 goodbye").await?;
                Ok(Next::Close)
            }
        }
    }

    async fn greet(&mut self, command: &Command) -> io::Result<Next> {
        match self.meddle(Phase::Ehlo).await? {
            Step::Usual => {}
            Step::Answered => return Ok(Next::Go),
            Step::Cut => return Ok(Next::Close),
        }
        self.greeted = true;
        self.forget();
        if *command == Command::Helo {
            return self.accept("250 sandbox.example.com").await;
        }
        let size = self.limits.message_bytes;
        self.accept(&format!(
            "250-sandbox.example.com\r\n250-SIZE {size}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES"
        ))
        .await
    }

    async fn mail(&mut self, sender: Sender) -> io::Result<Next> {
        match self.meddle(Phase::Mail).await? {
            Step::Usual => {}
            Step::Answered => return Ok(Next::Go),
            Step::Cut => return Ok(Next::Close),
        }
        if !self.greeted {
            return self.refuse(503, "5.5.1 say EHLO first").await;
        }
        if self.sender.is_some() {
            return self.refuse(503, "5.5.1 one mail at a time").await;
        }
        if sender.size.is_some_and(|size| size > self.limits.message_bytes) {
            return self.refuse(552, "5.3.4 the message is too big").await;
        }
        self.sender = Some(sender);
        self.accept("250 2.1.0 sender noted").await
    }

    async fn rcpt(&mut self, recipient: String) -> io::Result<Next> {
        // A fault may be meant for this recipient, so it counts before it is accepted.
        self.recipients.push(recipient);
        let step = self.meddle(Phase::Rcpt).await;
        let recipient = self.recipients.pop().unwrap_or_default();
        match step? {
            Step::Usual => {}
            Step::Answered => return Ok(Next::Go),
            Step::Cut => return Ok(Next::Close),
        }
        let Some(sender) = &self.sender else {
            return self.refuse(503, "5.5.1 say MAIL first").await;
        };
        if !recipient.is_ascii() && !sender.utf8 {
            return self.refuse(NEEDS_UTF8.0, NEEDS_UTF8.1).await;
        }
        if self.recipients.len() >= self.limits.recipients {
            return self.refuse(452, "4.5.3 too many recipients").await;
        }
        self.recipients.push(recipient);
        self.accept("250 2.1.5 recipient noted").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        match self.meddle(Phase::Data).await? {
            Step::Usual => {}
            Step::Answered => return Ok(Next::Go),
            Step::Cut => return Ok(Next::Close),
        }
        let Some(sender) = self.sender.clone() else {
            return self.refuse(503, "5.5.1 say MAIL first").await;
        };
        if self.recipients.is_empty() {
            return self.refuse(503, "5.5.1 say RCPT first").await;
        }
        self.say("354 go ahead, end with a lone dot").await?;
        let Limits { message_bytes, idle, .. } = self.limits;
        match read_body(&mut self.stream, message_bytes, sender.eight_bit, idle).await? {
            Body::Whole(message) => self.receive(&sender, &message).await,
            Body::Refused(code, why) => {
                self.forget();
                self.refuse(code, why).await
            }
            Body::Hopeless(last_word) => {
                self.say(last_word).await?;
                Ok(Next::Close)
            }
            Body::Gone => Ok(Next::Close),
        }
    }

    /// The moment that matters: from here on the client can't know whether the mail was taken until it is told.
    async fn receive(&mut self, sender: &Sender, message: &[u8]) -> io::Result<Next> {
        let fault = self.fault(Phase::Final);
        let recipients = std::mem::take(&mut self.recipients);
        self.forget();
        match fault.as_deref() {
            Some(spec) if spec.fault == FaultKind::Drop => return Ok(Next::Close),
            Some(spec) if spec.fault == FaultKind::Status => {
                self.say(&made_up(spec)).await?;
                return Ok(Next::Go);
            }
            Some(_) | None => {}
        }
        let Ok(seq) = self.keep(sender, recipients, message).await else {
            return self.refuse(451, "4.3.0 the mail could not be written").await;
        };
        match fault.as_deref() {
            Some(spec) if spec.fault == FaultKind::ProcessThenDrop => return Ok(Next::Close),
            Some(spec) => self.wait(spec).await,
            None => {}
        }
        self.accept(&format!("250 2.0.0 caught as {seq:06}")).await
    }

    async fn keep(
        &self,
        from: &Sender,
        recipients: Vec<String>,
        message: &[u8],
    ) -> io::Result<u64> {
        let first = recipients.first().map(String::as_str).unwrap_or_default();
        let (seq, path) = self.store.write(first, message).await?;
        self.world.mails.enter(Mail {
            seq,
            at: clock::now(),
            from: from.address.clone(),
            recipients,
            message_id: header(message, "Message-ID"),
            subject: header(message, "Subject"),
            path,
        });
        Ok(seq)
    }

    fn fault(&self, phase: Phase) -> Option<Arc<FaultSpec>> {
        let facts = || {
            let recipients = match phase {
                // Of those named before, the last is the one at issue.
                Phase::Rcpt => self.recipients.last().cloned().into_iter().collect(),
                Phase::Connect | Phase::Ehlo | Phase::Mail | Phase::Data | Phase::Final => {
                    self.recipients.clone()
                }
            };
            Facts { recipients, ..Facts::default() }
        };
        self.world.faults.take(Point::Smtp(phase), facts)
    }

    async fn meddle(&mut self, phase: Phase) -> io::Result<Step> {
        let Some(spec) = self.fault(phase) else { return Ok(Step::Usual) };
        if spec.fault == FaultKind::Status {
            self.say(&made_up(&spec)).await?;
            return Ok(Step::Answered);
        }
        if spec.fault == FaultKind::Slow {
            self.wait(&spec).await;
            return Ok(Step::Usual);
        }
        Ok(Step::Cut)
    }

    async fn wait(&self, spec: &FaultSpec) {
        tokio::time::sleep(spec.delay_ms.map_or(SLOW_DEFAULT, Duration::from_millis)).await;
    }

    fn forget(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    async fn accept(&mut self, reply: &str) -> io::Result<Next> {
        self.say(reply).await?;
        Ok(Next::Go)
    }

    async fn refuse(&mut self, code: u16, why: &str) -> io::Result<Next> {
        self.accept(&format!("{code} {why}")).await
    }

    /// One write for a reply, so that no half of one is ever seen; within the idle limit, for a client that won't read.
    async fn say(&mut self, reply: &str) -> io::Result<()> {
        let reply = format!("{reply}\r\n");
        let write = self.stream.get_mut().write_all(reply.as_bytes());
        tokio::time::timeout(self.limits.idle, write).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

/// The reply that a fault of the kind `status` gives.
fn made_up(spec: &FaultSpec) -> String {
    let code = spec.status.unwrap_or(451);
    let message = spec.message.as_deref().unwrap_or("made up by the sandbox");
    // RFC 2034: where enhanced codes are offered, each reply bears one of its own class.
    format!("{code} {}.0.0 {message}", code / 100)
}

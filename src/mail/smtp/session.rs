//! One connection to the server: opened, used for mails one after another, left.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lettre::transport::smtp::{
    self,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters},
    commands::{Data, Mail, Rcpt, Rset},
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    response::Response,
};
use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    Deadlines, Encryption, SendError, SettingsError, SmtpSettings,
    error::{Blame, Phase, Trouble, presentable},
    settings::is_name,
    wire::{Gauge, Wire},
};
use crate::mail::message::Composed;

/// Of a host's addresses, so many are tried.
const ADDRESSES_MAX: usize = 4;

/// How long a goodbye may take: nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(1);

/// The body is written in pieces of this size, each waiting for the one before.
const BODY_CHUNK_BYTES: usize = 16 * 1024;

/// Everything that opening a connection needs, worked out once.
pub(super) struct Target {
    pub(super) settings: SmtpSettings,
    pub(super) deadlines: Deadlines,
    hello: ClientId,
    tls: Tls,
}

enum Tls {
    None,
    Start(TlsParameters),
    Implicit(TlsConnector, ServerName<'static>),
}

impl Target {
    pub(super) fn new(
        settings: SmtpSettings,
        hello_name: &str,
        deadlines: Deadlines,
    ) -> Result<Self, SettingsError> {
        if !is_name(hello_name) {
            return Err(SettingsError::HelloName);
        }
        let tls = match settings.encryption {
            Encryption::ClearToLoopback | Encryption::ClearAnywhere => Tls::None,
            Encryption::StartTls => Tls::Start(
                TlsParameters::new(settings.host.clone())
                    .map_err(|error| SettingsError::Tls(error.to_string()))?,
            ),
            Encryption::Implicit => implicit_tls(&settings.host)?,
        };
        Ok(Self { settings, deadlines, hello: ClientId::Domain(hello_name.to_owned()), tls })
    }
}

fn implicit_tls(host: &str) -> Result<Tls, SettingsError> {
    let failed = |error: rustls::Error| SettingsError::Tls(error.to_string());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_platform_verifier()
        .map_err(failed)?
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| SettingsError::Host)?;
    Ok(Tls::Implicit(TlsConnector::from(Arc::new(config)), name))
}

/// A connection on which mails may be sent.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    gauge: Arc<Gauge>,
    /// Mails carried, or refused, so far.
    pub(super) mails: u32,
}

impl Session {
    /// Connects, greets, encrypts and logs in. All of it fails for the moment only, whatever the
    /// server answers: nothing of it is about a mail.
    pub(super) async fn open(target: &Target, until: Instant) -> Result<Self, SendError> {
        let gauge = Gauge::new(matches!(target.tls, Tls::Start(_)));
        let stream = connect(target, until).await?;
        let stream = encrypt(target, stream, &gauge, until).await?;
        let limit = limit(target.deadlines.command, until);
        let connection =
            within(limit, AsyncSmtpConnection::connect_with_transport(stream, &target.hello))
                .await
                .map_err(|trouble| trouble.at(Phase::Hello, Blame::Server, None))?;
        let mut session = Self { connection, gauge, mails: 0 };
        session.start_tls(target, until).await?;
        session.log_in(target, until).await?;
        failpoint!("email.connected");
        Ok(session)
    }

    async fn start_tls(&mut self, target: &Target, until: Instant) -> Result<(), SendError> {
        let Tls::Start(parameters) = &target.tls else {
            return Ok(());
        };
        if !self.connection.can_starttls() {
            return Err(SendError::temporary(
                Phase::Tls,
                "the server offers no STARTTLS, and without it nothing is sent",
            ));
        }
        self.gauge.expect_handshake();
        let limit = limit(target.deadlines.command, until);
        // After a failure the session must only be dropped: lettre has taken its stream apart.
        within(limit, self.connection.starttls(parameters.clone(), &target.hello))
            .await
            .map_err(|trouble| trouble.at(Phase::Tls, Blame::Server, None))?;
        self.gauge.read_freely();
        Ok(())
    }

    async fn log_in(&mut self, target: &Target, until: Instant) -> Result<(), SendError> {
        let Some((user, password)) = &target.settings.credentials else {
            return Ok(());
        };
        self.gauge.expect_answer();
        let limit = limit(target.deadlines.command, until);
        let credentials = Credentials::new(user.clone(), password.clone());
        within(limit, self.connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials))
            .await
            .and_then(completed)
            .map_err(|trouble| trouble.at(Phase::Auth, Blame::Server, None))?;
        Ok(())
    }

    /// RSET: whether a connection that was idle still is one.
    pub(super) async fn is_alive(&mut self, target: &Target, until: Instant) -> bool {
        self.gauge.expect_answer();
        let limit = limit(target.deadlines.command, until);
        within(limit, self.connection.command(Rset)).await.and_then(completed).is_ok()
    }

    /// MAIL. Up to here nothing has been said about a recipient. A refusal is about the sender, who is
    /// the same for all mails, so it is for the moment only.
    pub(super) async fn mail_from(
        &mut self,
        target: &Target,
        mail: &Composed,
        until: Instant,
    ) -> Result<(), SendError> {
        self.mails += 1;
        let mut parameters = Vec::new();
        if !mail.bytes.is_ascii() {
            let server = self.connection.server_info();
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(SendError {
                    kind: super::Kind::Permanent,
                    ..SendError::temporary(
                        Phase::Envelope,
                        "the server can't send to an address that is not all ASCII",
                    )
                });
            }
            parameters.push(MailParameter::SmtpUtfEight);
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        self.gauge.expect_answer();
        let command = Mail::new(Some(mail.envelope_from.lettre().clone()), parameters);
        let limit = limit(target.deadlines.command, until);
        within(limit, self.connection.command(command))
            .await
            .and_then(completed)
            .map_err(|trouble| trouble.at(Phase::Envelope, Blame::Server, Some(mail)))?;
        Ok(())
    }

    /// RCPT, DATA, the body, the dot. Gives the server's last answer, fit to be logged.
    pub(super) async fn rest(
        &mut self,
        target: &Target,
        mail: &Composed,
        until: Instant,
    ) -> Result<String, SendError> {
        self.gauge.expect_answer();
        let command = Rcpt::new(mail.envelope_to.lettre().clone(), Vec::new());
        within(limit(target.deadlines.command, until), self.connection.command(command))
            .await
            .and_then(completed)
            .map_err(|trouble| trouble.at(Phase::Envelope, Blame::Mail, Some(mail)))?;
        self.gauge.expect_answer();
        within(limit(target.deadlines.command, until), self.connection.command(Data))
            .await
            .and_then(intermediate)
            .map_err(|trouble| trouble.at(Phase::Data, Blame::Mail, Some(mail)))?;
        self.body(target, mail).await
    }

    async fn body(&mut self, target: &Target, mail: &Composed) -> Result<String, SendError> {
        self.gauge.expect_answer();
        // lettre puts a line end before the dot; the message has one already.
        let bytes = mail.bytes.strip_suffix(b"\r\n").unwrap_or(&mail.bytes);
        let dot_begun = AtomicBool::new(false);
        let pieces = Pieces { left: bytes.chunks(BODY_CHUNK_BYTES), all_taken: &dot_begun };
        let answer = within(target.deadlines.final_dot, self.connection.message_iter(pieces))
            .await
            .and_then(completed);
        failpoint!("email.after_dot");
        let phase = if dot_begun.load(Ordering::Relaxed) { Phase::AfterDot } else { Phase::Data };
        let answer = answer.map_err(|trouble| trouble.at(phase, Blame::Mail, Some(mail)))?;
        let words: Vec<&str> = answer.message().collect();
        Ok(presentable(&words.join(" "), Some(mail)))
    }

    /// QUIT, if the server still listens.
    pub(super) async fn leave(mut self) {
        self.gauge.expect_answer();
        // Whether the server says goodbye as well changes nothing.
        drop(timeout(GOODBYE, self.connection.quit()).await);
    }
}

/// The pieces of a body. lettre takes the next one only when it has written the one before, and writes
/// the final dot when there is none left: so `all_taken` is set just before the dot may leave.
struct Pieces<'a> {
    left: std::slice::Chunks<'a, u8>,
    all_taken: &'a AtomicBool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.left.next();
        if piece.is_none() {
            failpoint!("email.before_dot");
            self.all_taken.store(true, Ordering::Relaxed);
        }
        piece
    }
}

/// A TCP connection to the first of the host's addresses that answers; each has its share of the time.
async fn connect(target: &Target, until: Instant) -> Result<TcpStream, SendError> {
    let failed = |detail: &str| SendError::temporary(Phase::Connect, detail);
    let settings = &target.settings;
    let by = until.min(Instant::now() + target.deadlines.connect);
    let addresses: Vec<SocketAddr> =
        tokio::time::timeout_at(by, lookup_host((settings.host.as_str(), settings.port)))
            .await
            .map_err(|_| failed("the host's name was not resolved within the deadline"))?
            .map_err(|error| failed(&format!("the host's name can't be resolved: {error}")))?
            .take(ADDRESSES_MAX)
            .collect();
    let mut last = failed("the host has no address");
    for (tried, address) in addresses.iter().enumerate() {
        if settings.encryption == Encryption::ClearToLoopback
            && !address.ip().to_canonical().is_loopback()
        {
            last = failed("clear text is for this machine only, and the host is another one");
            continue;
        }
        let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = by.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Each command waits for its answer: nothing is gained by waiting for more to send.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => last = failed(&error.to_string()),
            Err(_) => last = failed("no connection within the deadline"),
        }
    }
    Err(last)
}

/// The stream for lettre, encrypted already if it is to be so from the first byte.
async fn encrypt(
    target: &Target,
    stream: TcpStream,
    gauge: &Arc<Gauge>,
    until: Instant,
) -> Result<Box<dyn AsyncTokioStream>, SendError> {
    let peer = stream
        .peer_addr()
        .map_err(|error| SendError::temporary(Phase::Connect, &error.to_string()))?;
    let gauge = Arc::clone(gauge);
    let Tls::Implicit(connector, name) = &target.tls else {
        return Ok(Box::new(Wire { stream, peer, gauge }));
    };
    let limit = limit(target.deadlines.command, until);
    match timeout(limit, connector.connect(name.clone(), stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(Wire { stream, peer, gauge })),
        Ok(Err(error)) => Err(SendError::temporary(Phase::Tls, &error.to_string())),
        Err(_) => Err(SendError::temporary(Phase::Tls, "no TLS within the deadline")),
    }
}

/// The lesser of a step's own limit and what is left of all.
fn limit(own: Duration, until: Instant) -> Duration {
    own.min(until.saturating_duration_since(Instant::now()))
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, smtp::Error>>,
) -> Result<T, Trouble> {
    timeout(limit, step).await.map_err(|_| Trouble::TimedOut)?.map_err(Trouble::Smtp)
}

/// Only 2xx completes a step; lettre takes 3xx for good as well.
fn completed(response: Response) -> Result<Response, Trouble> {
    expect_class(response, 200..300)
}

/// Only 3xx asks for the body.
fn intermediate(response: Response) -> Result<Response, Trouble> {
    expect_class(response, 300..400)
}

fn expect_class(response: Response, class: std::ops::Range<u16>) -> Result<Response, Trouble> {
    let code = u16::from(response.code());
    if class.contains(&code) { Ok(response) } else { Err(Trouble::OutOfStep(code)) }
}

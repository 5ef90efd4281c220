//! Sending. One mail per call, over a small pool of connections, driven command by command, so that
//! an error says in which phase it happened: "after the final dot" is the one that leaves a doubt
//! (RFC 5321, 6.1; RFC 1047).

mod error;
mod pool;
mod session;
mod settings;
mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use self::{
    error::{Kind, Phase, SendError},
    pool::SmtpPool,
    settings::{Encryption, SettingsError, SmtpSettings},
};
use super::message::Composed;

/// How long each phase of a send may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadlines {
    /// Resolving the name and connecting, over all addresses of the name.
    pub connect: Duration,
    /// Each command with its answer; the greeting with EHLO, TLS and AUTH count as one each.
    pub command: Duration,
    /// The body, the final dot and the answer to it.
    pub final_dot: Duration,
    /// Everything before the body, waiting for a free connection included. What runs out here is
    /// harmless; the body is not cut short by it, for that would leave a doubt.
    pub before_body: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(30),
            final_dot: Duration::from_mins(1),
            before_body: Duration::from_mins(1),
        }
    }
}

impl Deadlines {
    /// The longest that [`Mailer::send`] takes. A lease on a mail must outlive it, or be prolonged:
    /// else a second worker sends the same mail meanwhile.
    #[must_use]
    pub fn send_max(&self) -> Duration {
        self.before_body + self.final_dot
    }
}

/// What a server said when it took a mail over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SentReceipt {
    /// Its answer after the final dot, cleaned and without addresses: mostly its queue id.
    pub answer: String,
    /// Whether the connection had carried a mail before.
    pub reused_connection: bool,
}

/// Mails kept in memory instead of sent, for tests.
pub type Mailbox = Arc<Mutex<Vec<Composed>>>;

/// Where mails go. An enum and not a trait: there are two, and none is to come from outside.
#[expect(clippy::large_enum_variant, reason = "there is one for the life of the process")]
pub enum Mailer {
    /// To an SMTP server.
    Smtp(SmtpPool),
    /// Into memory.
    Memory(Mailbox),
}

impl Mailer {
    /// A mailer that keeps what it is given, and the box in which it does.
    #[must_use]
    pub fn memory() -> (Self, Mailbox) {
        let mailbox = Mailbox::default();
        (Self::Memory(Arc::clone(&mailbox)), mailbox)
    }

    /// Sends one mail. Cancelling this after the body has begun leaves the same doubt as
    /// [`Kind::InDoubt`]; the connection is closed, not reused.
    pub async fn send(&self, mail: &Composed) -> Result<SentReceipt, SendError> {
        match self {
            Self::Smtp(pool) => pool.send(mail).await,
            Self::Memory(mailbox) => {
                mailbox.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
                Ok(SentReceipt { answer: "kept in memory".to_owned(), reused_connection: false })
            }
        }
    }

    /// Connects, says EHLO, encrypts and logs in as configured, and leaves. Sends no mail.
    pub async fn probe(&self) -> Result<(), SendError> {
        match self {
            Self::Smtp(pool) => pool.probe().await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// Takes leave on all idle connections, for an orderly shutdown.
    pub async fn close(&self) {
        match self {
            Self::Smtp(pool) => pool.close().await,
            Self::Memory(_) => {}
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp(pool) => pool.fmt(f),
            Self::Memory(_) => f.write_str("Memory"),
        }
    }
}

#[cfg(test)]
mod tests;

//! A few connections, kept for a moment: a burst of mails then needs few handshakes, and a quiet hour
//! holds no connection open.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Deadlines, SendError, SentReceipt, SettingsError, SmtpSettings,
    error::Phase,
    session::{Session, Target},
};
use crate::mail::message::Composed;

/// Connections at the same time, used or being opened; so many at most are kept idle, too.
const CONNECTIONS_MAX: usize = 4;

/// An idle connection is kept no longer.
const IDLE_FOR: Duration = Duration::from_secs(10);

/// After so many mails a connection is left: many servers count, and refuse the next one.
const MAILS_PER_CONNECTION_MAX: u32 = 100;

/// An SMTP server and the connections to it.
pub struct SmtpPool {
    target: Target,
    slots: Semaphore,
    idle: Arc<Mutex<Idle>>,
    idle_for: Duration,
}

#[derive(Default)]
struct Idle {
    /// The most recently used last.
    sessions: Vec<Parked>,
    /// Whether a task is about that ends what has been idle for too long.
    is_watched: bool,
}

struct Parked {
    session: Session,
    until: Instant,
}

impl SmtpPool {
    /// A pool that connects on demand. `hello_name`: by which it greets the server, mostly the domain
    /// of `email.from`.
    pub fn new(
        settings: SmtpSettings,
        hello_name: &str,
        deadlines: Deadlines,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            target: Target::new(settings, hello_name, deadlines)?,
            slots: Semaphore::new(CONNECTIONS_MAX),
            idle: Arc::default(),
            idle_for: IDLE_FOR,
        })
    }

    /// The same, with idle connections kept for another time than ten seconds.
    #[must_use]
    pub fn with_idle_for(mut self, idle_for: Duration) -> Self {
        self.idle_for = idle_for;
        self
    }

    /// See [`super::Mailer::send`].
    pub(super) async fn send(&self, mail: &Composed) -> Result<SentReceipt, SendError> {
        let until = Instant::now() + self.target.deadlines.before_body;
        let _slot = self.slot(until).await?;
        let (mut session, reused_connection) =
            if let Some(session) = self.revived(mail, until).await? {
                (session, true)
            } else {
                let mut session = Session::open(&self.target, until).await?;
                if let Err(error) = session.mail_from(&self.target, mail, until).await {
                    self.keep_after(session, &error).await;
                    return Err(error);
                }
                (session, false)
            };
        match session.rest(&self.target, mail, until).await {
            Ok(answer) => {
                self.park(session).await;
                Ok(SentReceipt { answer, reused_connection })
            }
            Err(error) => {
                self.keep_after(session, &error).await;
                Err(error)
            }
        }
    }

    /// See [`super::Mailer::probe`].
    pub(super) async fn probe(&self) -> Result<(), SendError> {
        let until = Instant::now() + self.target.deadlines.before_body;
        let _slot = self.slot(until).await?;
        Session::open(&self.target, until).await?.leave().await;
        Ok(())
    }

    /// See [`super::Mailer::close`].
    pub(super) async fn close(&self) {
        let parked = std::mem::take(&mut lock(&self.idle).sessions);
        leave_all(parked).await;
    }

    async fn slot(&self, until: Instant) -> Result<SemaphorePermit<'_>, SendError> {
        let busy = || SendError::temporary(Phase::Connect, "all connections are in use");
        // The semaphore is never closed, so only the deadline can fail.
        timeout_at(until, self.slots.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// An idle connection on which MAIL has been accepted. One that turns out to be dead before that
    /// is no failure: a fresh one takes its place, and the other idle ones, likely dead too, are not
    /// tried for this mail.
    async fn revived(&self, mail: &Composed, until: Instant) -> Result<Option<Session>, SendError> {
        let Some(mut session) = self.take_idle() else {
            return Ok(None);
        };
        if !session.is_alive(&self.target, until).await {
            return Ok(None);
        }
        match session.mail_from(&self.target, mail, until).await {
            Ok(()) => Ok(Some(session)),
            Err(error) if error.kind == super::Kind::Permanent || error.leaves_session_usable() => {
                self.keep_after(session, &error).await;
                Err(error)
            }
            Err(_) => Ok(None),
        }
    }

    fn take_idle(&self) -> Option<Session> {
        let now = Instant::now();
        let mut idle = lock(&self.idle);
        // Those that are overdue are left by their watcher, in a moment.
        let parked = idle.sessions.pop_if(|parked| parked.until > now)?;
        Some(parked.session)
    }

    /// After a failure a connection is only kept if the server is known to be at the start of a command.
    async fn keep_after(&self, session: Session, error: &SendError) {
        if error.leaves_session_usable() {
            self.park(session).await;
        }
    }

    async fn park(&self, session: Session) {
        if session.mails >= MAILS_PER_CONNECTION_MAX {
            return session.leave().await;
        }
        let until = Instant::now() + self.idle_for;
        let surplus = {
            let mut idle = lock(&self.idle);
            idle.sessions.push(Parked { session, until });
            if !idle.is_watched {
                idle.is_watched = true;
                tokio::spawn(watch(Arc::downgrade(&self.idle)));
            }
            let surplus = idle.sessions.len().saturating_sub(CONNECTIONS_MAX);
            idle.sessions.drain(..surplus).collect()
        };
        leave_all(surplus).await;
    }
}

/// Leaves what has been idle for too long, until nothing is idle or the pool is gone.
async fn watch(idle: Weak<Mutex<Idle>>) {
    loop {
        let (overdue, next) = {
            let Some(idle) = idle.upgrade() else { return };
            let mut idle = lock(&idle);
            let now = Instant::now();
            // The oldest come first.
            let overdue = idle.sessions.iter().take_while(|parked| parked.until <= now).count();
            let overdue: Vec<Parked> = idle.sessions.drain(..overdue).collect();
            let next = idle.sessions.first().map(|parked| parked.until);
            idle.is_watched = next.is_some();
            (overdue, next)
        };
        leave_all(overdue).await;
        match next {
            Some(next) => sleep_until(next).await,
            None => return,
        }
    }
}

async fn leave_all(parked: Vec<Parked>) {
    futures_util::future::join_all(parked.into_iter().map(|parked| parked.session.leave())).await;
}

/// Nothing under this lock can panic half-way, so a poisoned one is as good as another.
fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for SmtpPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpPool").field("settings", &self.target.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_for_a_free_connection_has_an_end() {
        let before_body = Duration::from_millis(50);
        let deadlines = Deadlines { before_body, ..Deadlines::default() };
        let settings = "smtp://127.0.0.1:1".parse().unwrap();
        let pool = SmtpPool::new(settings, "shop.example", deadlines).unwrap();
        let used = pool.slots.acquire_many(4).await.unwrap();
        let error = pool.probe().await.unwrap_err();
        assert_eq!(
            (error.phase, error.detail.as_str()),
            (Phase::Connect, "all connections are in use")
        );
        drop(used);
        // Nobody listens there, but it was tried.
        assert_ne!(pool.probe().await.unwrap_err().detail, error.detail);
    }
}

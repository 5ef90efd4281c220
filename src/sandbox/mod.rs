//! Simulated upstreams, a mail catcher and a private PostgreSQL, for trying an integration out.
//!
//! What a shop's programmer needs and no reseller account gives: an API that may be ordered from all
//! day, that goes wrong on demand, and that says afterwards what was really asked of it.
//! `GET /_sandbox/summary` answers the one question that matters: was anything bought twice?

pub mod args;
mod dice;
mod faults;
mod http;
mod journal;
mod leanstack;
mod ljpc;
mod mail;
pub mod postgres;
mod provider;
mod state;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinHandle};

pub use self::{
    dice::{NotAProbability, Probability},
    faults::{FaultError, FaultKind, Listed},
    journal::{Answered, Entry, Text},
    leanstack::CustomerSeen,
    ljpc::{
        BookError, ContactSeen, Delivery, DnsRecord, DomainError, DomainSeen, Drive, DrivenSite,
        OrderSeen, SiteError, SiteSeen, Stage,
    },
    mail::Mail,
    provider::Provider,
    state::{Handle, Summary},
};
use self::{mail::Limits, mail::Store, state::World};

/// How long the servers get to end when the sandbox stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How a sandbox shall be. No `Debug`: it holds a key.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where the simulated LJPc API and the controls listen. Whoever reaches it may use it; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the simulated Leanstack API listens.
    pub leanstack_listen: SocketAddr,
    /// Where the mail catcher listens.
    pub smtp_listen: SocketAddr,
    /// Where caught mails are written; made if it is missing.
    pub mail_dir: PathBuf,
    /// How long an order takes to be delivered: pending for the first half, then processing.
    pub delay: Duration,
    /// The share of orders that fail.
    pub failure_rate: Probability,
    /// The one X-API-Key that is known.
    pub api_key: String,
    /// The one token that Leanstack knows.
    pub leanstack_token: String,
    /// What chance is drawn from: with the same seed the same orders fail, and ids have the same gaps.
    pub seed: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9480).into(),
            leanstack_listen: (Ipv4Addr::LOCALHOST, 9481).into(),
            smtp_listen: (Ipv4Addr::LOCALHOST, 9425).into(),
            mail_dir: PathBuf::from("sandbox-mail"),
            delay: Duration::from_secs(3),
            failure_rate: Probability::NEVER,
            api_key: "sandbox-key".to_owned(),
            leanstack_token: "sandbox-token".to_owned(),
            seed: 1,
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An address can't be listened on.
    #[error("the sandbox can't listen on {address} for {what}")]
    Listen {
        /// What for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The folder for mails can't be used.
    #[error("the folder {} for caught mails can't be used", dir.display())]
    MailDir {
        /// The folder.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A running sandbox. Dropping it stops it as well, but does not wait.
pub struct Sandbox {
    ljpc: SocketAddr,
    leanstack: SocketAddr,
    smtp: SocketAddr,
    world: Arc<World>,
    servers: Vec<JoinHandle<()>>,
}

/// Starts a sandbox; once this returns, its addresses answer.
pub async fn start(options: SandboxOptions) -> Result<Sandbox, SandboxError> {
    let store = Store::open(&options.mail_dir)
        .await
        .map_err(|source| SandboxError::MailDir { dir: options.mail_dir.clone(), source })?;
    let (http, ljpc) = listen("the simulated API", options.listen).await?;
    let (http_leanstack, leanstack) = listen("Leanstack", options.leanstack_listen).await?;
    let (smtp_listener, smtp) = listen("mail", options.smtp_listen).await?;
    let world = Arc::new(World::new(&options));
    let servers = vec![
        serve(http, &world, Provider::Ljpc),
        serve(http_leanstack, &world, Provider::Leanstack),
        tokio::spawn(mail::serve(smtp_listener, Arc::clone(&world), store, Limits::USUAL)),
    ];
    Ok(Sandbox { ljpc, leanstack, smtp, world, servers })
}

fn serve(listener: TcpListener, world: &Arc<World>, provider: Provider) -> JoinHandle<()> {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        if let Err(error) = http::serve(listener, world, provider).await {
            tracing::error!(%error, ?provider, "the sandbox's HTTP server has ended");
        }
    })
}

async fn listen(
    what: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), SandboxError> {
    let refused = |source| SandboxError::Listen { what, address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

impl Sandbox {
    /// Where the simulated LJPc API and the controls answer.
    #[must_use]
    pub fn ljpc_addr(&self) -> SocketAddr {
        self.ljpc
    }

    /// Where the simulated Leanstack API answers.
    #[must_use]
    pub fn leanstack_addr(&self) -> SocketAddr {
        self.leanstack
    }

    /// Where the mail catcher answers.
    #[must_use]
    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp
    }

    /// A view inside, for tests.
    #[must_use]
    pub fn state(&self) -> Handle {
        Handle(Arc::clone(&self.world))
    }

    /// Ends all servers and waits for them; whoever is kept waiting on purpose is cut off.
    pub async fn stop(mut self) {
        self.world.stopping.cancel();
        for server in std::mem::take(&mut self.servers) {
            let abort = server.abort_handle();
            if tokio::time::timeout(STOP_MAX, server).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.world.stopping.cancel();
    }
}

//! The settings, typed, and how they are loaded.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::address::Mailbox;
use super::error::{ConfigErrors, Origin};
use super::keys;
use super::layers::Layers;
use super::reader::Reader;
use super::secret::Secret;
use super::sources::Sources;
use super::{checks, sections};

/// Everything that can be set. Each part of the program is handed its own section, never the whole.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PostgreSQL.
    pub database: Database,
    /// The supplier of hosting and domains.
    pub ljpc: Ljpc,
    /// The supplier of alternatives.
    pub leanstack: Leanstack,
    /// Emails to customers and to the operator.
    pub email: Email,
    /// How orders under way are asked about.
    pub poll: Poll,
    /// Jobs.
    pub queue: Queue,
    /// The comparison of what is with what is wished.
    pub audit: Audit,
    /// Health and metrics.
    pub http: Http,
    /// Logs.
    pub log: Log,
    /// Traces.
    pub trace: Trace,
    pub(super) explained: Vec<Explained>,
}

/// Section `database`.
#[derive(Clone, Debug)]
pub struct Database {
    /// There whenever [`Need::Database`] was asked for.
    pub url: Option<Secret>,
}

/// Section `ljpc`.
#[derive(Clone, Debug)]
pub struct Ljpc {
    /// https, or http where that is allowed; without credentials, query and fragment.
    pub base_url: Url,
    /// Fit for a header; there whenever [`Need::Ljpc`] was asked for.
    pub api_key: Option<Secret>,
    /// Is http accepted beyond loopback?
    pub allow_http: bool,
    /// For one whole request.
    pub timeout: Duration,
    /// For all replicas together, at least 1.
    pub requests_per_second: u32,
    /// For this replica, at least 1.
    pub max_in_flight: u32,
    /// For how long evidence is looked for before a person is asked.
    pub in_doubt_grace: Duration,
    /// How often evidence is looked for.
    pub evidence_interval: Duration,
    /// May an order in doubt be looked for by reading order ids?
    pub order_id_probe: bool,
    /// How often an open circuit is tried.
    pub circuit_probe_interval: Duration,
}

/// Section `leanstack`.
#[derive(Clone, Debug)]
pub struct Leanstack {
    /// Is it used at all?
    pub enabled: bool,
    /// As [`Ljpc::base_url`].
    pub base_url: Url,
    /// Fit for a header; [`Need::Leanstack`] and [`Need::LeanstackToken`] say when it is there.
    pub access_token: Option<Secret>,
    /// Is http accepted beyond loopback?
    pub allow_http: bool,
    /// The edition of their document.
    pub contract: LeanstackContract,
}

/// The edition of Leanstack's document that their server follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeanstackContract {
    /// The one beside which Provisor was written: header `access_token`.
    Seed,
    /// January 2022: header `access-token`, `POST /v1/enterprise/customer`, `post_code`.
    Edition2022,
}

/// Section `email`.
#[derive(Clone, Debug)]
pub struct Email {
    /// `smtp` or `smtps`, clear text only where that is allowed; there whenever [`Need::Email`] was asked for.
    pub smtp_url: Option<Secret>,
    /// The sender; there whenever [`Need::Email`] was asked for.
    pub from: Option<Mailbox>,
    /// Who is told what a person must decide.
    pub ops_to: Vec<Mailbox>,
    /// Names of templates that are not sent, out of [`super::EMAIL_TEMPLATES`].
    pub disabled: Vec<String>,
    /// The wait before the first retry.
    pub retry_initial: Duration,
    /// The longest wait between two retries, at least `retry_initial`.
    pub retry_max: Duration,
    /// The age at which an email is given up.
    pub give_up_after: Duration,
    /// Whose templates replace the built-in ones.
    pub templates_dir: Option<PathBuf>,
}

/// Section `poll`.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The first interval.
    pub initial_interval: Duration,
    /// By which each interval is longer than the one before; 1 to 10. A float, for the backoff schedule takes one.
    pub multiplier: f64,
    /// The longest interval, at least `initial_interval`.
    pub max_interval: Duration,
    /// The longest interval for a transfer, at least `initial_interval`.
    pub transfer_max_interval: Duration,
    /// For how long a failed order is looked at again.
    pub failed_recheck: Duration,
    /// For how long a completed order's site id is waited for.
    pub site_id_wait: Duration,
    /// When a half-done order gets `order_progress`.
    pub progress_after: Duration,
    /// When an unfinished order is told of.
    pub overdue_after: Duration,
}

/// Section `queue`.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Jobs at the same time, at least 1.
    pub concurrency: u32,
    /// Longer than [`Ljpc::timeout`].
    pub lease: Duration,
    /// How often due jobs are asked for without a notification.
    pub poll_interval: Duration,
    /// Is LISTEN used?
    pub listen: bool,
    /// Longer than [`Ljpc::timeout`].
    pub shutdown_grace: Duration,
}

/// Section `audit`.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Five fields.
    pub cron: String,
    /// A name of the time zone database.
    pub timezone: String,
    /// 1 to 20 different numbers of days before expiry; negative: after.
    pub reminder_days: Vec<i32>,
    /// Does the audit carry wishes out, or only report?
    pub apply_auto_renew: bool,
}

/// Section `http`.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where health and metrics are served.
    pub listen: SocketAddr,
}

/// Section `log`.
#[derive(Clone, Debug)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Which lines there are: a filter that tracing-subscriber understands.
    pub filter: String,
}

/// Section `trace`.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The base of a collector's OTLP over HTTP; none: no traces are exported.
    pub otlp_endpoint: Option<Url>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What a command can't do without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// `database.url`.
    Database,
    /// `ljpc.api_key`.
    Ljpc,
    /// `leanstack.access_token`, if `leanstack.enabled`.
    Leanstack,
    /// `leanstack.access_token`, enabled or not: the command itself calls Leanstack.
    LeanstackToken,
    /// `email.smtp_url` and `email.from`.
    Email,
}

/// One key, for `config show`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explained {
    /// The key, dotted.
    pub key: &'static str,
    /// Its value as it was written, a mask instead of a secret, and nothing if it is not set.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

/// Loads the settings that a command with these needs runs by, or tells everything that is wrong with them.
pub fn load(sources: &Sources, needs: &[Need]) -> Result<Settings, ConfigErrors> {
    let mut reader = Reader::new(Layers::load(sources));
    let settings = sections::read(&mut reader);
    checks::require(&mut reader, needs);
    let errors = reader.into_errors();
    match settings {
        Some(settings) if errors.is_empty() => Ok(settings),
        Some(_) | None => Err(ConfigErrors::new(errors)),
    }
}

/// The settings by which the parts can be looked at that no mistake concerns: every key that one stands against is as if
/// nobody had set it. `None` if a mistake is of no known key, for then it can't be told which parts it concerns: a slip in
/// the name of `ljpc.base_url` would have the key shown to another server.
#[must_use]
pub fn load_despite(sources: &Sources, errors: &ConfigErrors) -> Option<Settings> {
    let mut layers = Layers::load(sources);
    for error in errors.iter() {
        layers.unset(keys::find(&error.key)?);
    }
    sections::read(&mut Reader::new(layers))
}

impl Settings {
    /// Every key with its value and source, in the order of default.toml; secrets masked.
    #[must_use]
    pub fn explain(&self) -> &[Explained] {
        &self.explained
    }
}

//! Building the parts from the settings.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio_util::task::TaskTracker;

use super::{auditing, told::Told};
use crate::{
    audit::FindingKind,
    config::{EMAIL_TEMPLATES, LeanstackContract, Mailbox, Settings},
    db::{Database, Purpose, Sessions, records::Waits, schema::SchemaState, wakes::Lane},
    jobs::{
        self,
        carry_out_line::{CarryOutLine, Waiting},
        guest::{Guest, GuestLimits},
        keep_house::KeepHouse,
        keep_wish::KeepWish,
        ledger::Ledger,
        list_sites::ListSites,
        review_order::ReviewOrder,
        send_email::{EmailSettings, SendEmail},
        sync_customers::SyncCustomers,
    },
    lifecycle::Lifecycle,
    mail::{Address, Deadlines, Mailer, SmtpPool, SmtpSettings, Templates},
    order::facts::Patience,
    queue::{self, Alarm, Budget, Crowd, Engine, EngineSettings, Handler, Parts, Presence},
    telemetry::{KnownLabels, Metrics, Traces},
    upstream::{
        self, Observer, Secret,
        leanstack::{self, Contract, Leanstack, LeanstackSettings},
        ljpc::{self, Ljpc, LjpcSettings},
    },
};

/// The SQLSTATE of what the user may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// The whole of one request to Leanstack: its advice is not waited for as LJPc's answers are.
const LEANSTACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The parts that the daemon drives.
pub(super) struct Daemon {
    pub(super) engine: Engine,
    pub(super) guest: Arc<Guest>,
    /// Leanstack, if it is used.
    pub(super) advisor: Option<Arc<Guest<Leanstack>>>,
    pub(super) mailer: Arc<Mailer>,
}

/// The traces that the settings ask for, if they ask for any.
pub fn traces(settings: &Settings) -> anyhow::Result<Option<Traces>> {
    let Some(endpoint) = &settings.trace.otlp_endpoint else { return Ok(None) };
    Ok(Some(Traces::to(endpoint, upstream::system_tls()?)?))
}

/// A pool to the database that the settings name.
pub fn connect(settings: &Settings) -> anyhow::Result<Database> {
    let sessions = sessions(settings);
    Ok(Database::over(
        sessions,
        database_url(settings)?,
        Purpose::General.connections_max(),
        Purpose::General,
    )?)
}

/// The same for a command that a person waits for: it tells at once why the database can't be reached, or that its schema
/// is none that this binary may work on, as the daemon would.
pub async fn connect_now(settings: &Settings) -> anyhow::Result<Database> {
    let db = connect_to_any_schema(settings).await?;
    match db.schema_state().await {
        Ok(SchemaState::Serves | SchemaState::ServesStill(_)) => Ok(db),
        Ok(SchemaState::Lacking(reason)) => bail!("{reason}"),
        // Who has a shop's rights alone can't look. What he may call, he may call.
        Err(error) if error.sqlstate().as_deref() == Some(INSUFFICIENT_PRIVILEGE) => Ok(db),
        Err(error) => Err(error.into()),
    }
}

/// The same, whatever schema is there: for what brings it up to date, and what tells how it is.
pub async fn connect_to_any_schema(settings: &Settings) -> anyhow::Result<Database> {
    let db = connect(settings)?;
    db.probe().await?;
    Ok(db)
}

/// Whoever can't LISTEN is behind a pooler that lends sessions by the transaction (`config/default.toml`, `queue.listen`).
const fn sessions(settings: &Settings) -> Sessions {
    if settings.queue.listen { Sessions::Own } else { Sessions::Lent }
}

fn database_url(settings: &Settings) -> anyhow::Result<&str> {
    settings
        .database
        .url
        .as_ref()
        .map(crate::config::Secret::expose)
        .context("database.url is not set")
}

/// The client of LJPc.
pub fn connect_ljpc(settings: &Settings, observer: Arc<dyn Observer>) -> anyhow::Result<Ljpc> {
    let ljpc = &settings.ljpc;
    let key = ljpc.api_key.as_ref().context("ljpc.api_key is not set")?;
    Ok(Ljpc::new(
        LjpcSettings {
            base_url: ljpc.base_url.clone(),
            api_key: Secret::new(key.expose().to_owned()),
            timeout: ljpc.timeout,
            allow_http: ljpc.allow_http,
        },
        observer,
    )?)
}

/// The client of Leanstack.
pub fn connect_leanstack(
    settings: &Settings,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Leanstack> {
    let leanstack = &settings.leanstack;
    let token = leanstack.access_token.as_ref().context("leanstack.access_token is not set")?;
    Ok(Leanstack::new(
        LeanstackSettings {
            base_url: leanstack.base_url.clone(),
            access_token: Secret::new(token.expose().to_owned()),
            contract: match leanstack.contract {
                LeanstackContract::Seed => Contract::Seed,
                LeanstackContract::Edition2022 => Contract::Edition2022,
            },
            timeout: LEANSTACK_TIMEOUT,
            allow_http: leanstack.allow_http,
        },
        observer,
    )?)
}

/// The mailer, and by whom its mails are sent.
pub fn email_sender(settings: &Settings) -> anyhow::Result<(Mailer, Address)> {
    let from = settings.email.from.as_ref().context("email.from is not set")?;
    let from = to_address(from).context("email.from")?;
    let url = settings.email.smtp_url.as_ref().context("email.smtp_url is not set")?;
    let smtp: SmtpSettings = url.expose().parse().context("email.smtp_url")?;
    let deadlines = deadlines(settings.queue.lease);
    let pool = SmtpPool::new(smtp, from.domain(), deadlines).context("email.smtp_url")?;
    Ok((Mailer::Smtp(pool), from))
}

/// A mail's lease must outlive its sending, or a second worker would send it too.
fn deadlines(lease: Duration) -> Deadlines {
    Deadlines {
        connect: (lease / 6).min(Duration::from_secs(10)),
        command: (lease / 4).min(Duration::from_secs(30)),
        before_body: lease * 2 / 5,
        final_dot: lease * 2 / 5,
    }
}

fn to_address(mailbox: &Mailbox) -> anyhow::Result<Address> {
    Ok(Address::new(mailbox.name.as_deref(), &mailbox.address)?)
}

/// The metrics, every series at its beginning.
pub(super) fn metrics() -> anyhow::Result<Metrics> {
    let lanes: Vec<&str> = Lane::ALL.iter().map(|lane| lane.as_str()).collect();
    let endpoints: Vec<&str> = ljpc::ENDPOINTS.iter().map(|endpoint| endpoint.name).collect();
    let findings: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let advice: Vec<&str> = leanstack::ENDPOINTS.iter().map(|endpoint| endpoint.name).collect();
    let known = KnownLabels {
        job_kinds: jobs::NAMES,
        lanes: &lanes,
        endpoints: &[(ljpc::PROVIDER, &endpoints), (leanstack::PROVIDER, &advice)],
        templates: EMAIL_TEMPLATES,
        finding_kinds: &findings,
    };
    Ok(Metrics::new(&known, env!("CARGO_PKG_VERSION"))?)
}

/// The engine with its handlers.
pub(super) fn parts(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    metrics: &Arc<Metrics>,
    presence: &Presence,
    alarm: &Alarm,
    tasks: &TaskTracker,
) -> anyhow::Result<Daemon> {
    let told = Arc::new(Told(Arc::clone(metrics)));
    let waits =
        Waits { grace: settings.ljpc.in_doubt_grace, progress_after: settings.poll.progress_after };
    let guest = Arc::new(guest(settings, lifecycle, db, &told, alarm, tasks)?);
    let ledger = Ledger::start(tasks, db, waits, alarm.clone(), told.clone());
    let advisor = leanstack_guest(settings, lifecycle, db, &told, alarm, tasks)?;
    let waits_of_lines = waiting(settings);
    let retries = waits_of_lines.retries;
    let crowd = Crowd::start(
        tasks,
        lifecycle.stopped.clone(),
        db.clone(),
        settings.ljpc.requests_per_second,
        waits_of_lines.polls,
    );
    let lines = CarryOutLine::new(ledger, Arc::clone(&guest), presence.clone(), waits_of_lines)
        .advised_by(advisor.clone())
        .among(crowd);
    let (mailer, from) = email_sender(settings)?;
    let mailer = Arc::new(mailer);
    let templates = Templates::load(settings.email.templates_dir.as_deref())?;
    let email = email_settings(settings, from)?;
    let mails = SendEmail::new(
        email,
        templates,
        Arc::clone(&mailer),
        presence.clone(),
        db,
        told.clone(),
        tasks,
    );
    let orders = ReviewOrder::new(db.clone(), waits, alarm.clone(), told.clone());
    let mut handlers: HashMap<u8, Arc<dyn Handler>> = HashMap::new();
    handlers.insert(jobs::LINE, Arc::new(lines));
    handlers.insert(jobs::EMAIL, Arc::new(mails));
    handlers.insert(jobs::ORDER, Arc::new(orders));
    let wishes = keep_wish(settings, db, &guest, retries);
    handlers.insert(jobs::NAME, Arc::new(wishes));
    handlers.insert(jobs::HOUSE, Arc::new(KeepHouse::new(db.clone())));
    let customers = SyncCustomers::new(db.clone(), advisor.clone(), retries, LEANSTACK_TIMEOUT);
    handlers.insert(jobs::CUSTOMERS, Arc::new(customers));
    let sites = ListSites::new(db.clone(), Arc::clone(&guest), retries, settings.ljpc.timeout);
    handlers.insert(jobs::SITES, Arc::new(sites));
    let audits = auditing::handler(settings, lifecycle, db, Arc::clone(&guest))?;
    handlers.insert(jobs::AUDIT, Arc::new(audits));
    let (sessions, url) = (sessions(settings), database_url(settings)?);
    let queue = Database::over(sessions, url, Purpose::Queue.connections_max(), Purpose::Queue)?;
    let engine = Engine::new(
        Parts {
            settings: EngineSettings {
                concurrency: usize::try_from(settings.queue.concurrency)?,
                lease: settings.queue.lease,
                poll_interval: settings.queue.poll_interval,
            },
            db: queue,
            presence: presence.clone(),
            alarm: alarm.clone(),
            handlers,
            gate: guest.clone(),
            observer: told,
        },
        tasks,
    );
    Ok(Daemon { engine, guest, advisor, mailer })
}

fn keep_wish(
    settings: &Settings,
    db: &Database,
    guest: &Arc<Guest>,
    retries: queue::Schedule,
) -> KeepWish {
    let ljpc = &settings.ljpc;
    KeepWish::new(db.clone(), Arc::clone(guest), retries, ljpc.evidence_interval, ljpc.timeout)
}

pub(super) fn guest(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    told: &Arc<Told>,
    alarm: &Alarm,
    tasks: &TaskTracker,
) -> anyhow::Result<Guest> {
    let budget = Budget::start(
        tasks,
        lifecycle.stopped.clone(),
        db.clone(),
        ljpc::PROVIDER,
        settings.ljpc.requests_per_second,
        alarm.clone(),
    );
    let limits = GuestLimits {
        max_in_flight: usize::try_from(settings.ljpc.max_in_flight)?,
        probe_interval: settings.ljpc.circuit_probe_interval,
    };
    let client = connect_ljpc(settings, told.clone())?;
    Ok(Guest::new(client, db.clone(), budget, limits, told.clone(), alarm.clone()))
}

/// How long is waited for what.
#[must_use]
pub fn patience(settings: &Settings) -> Patience {
    Patience {
        failed_recheck: settings.poll.failed_recheck,
        site_id_wait: settings.poll.site_id_wait,
        overdue_after: settings.poll.overdue_after,
        in_doubt_grace: settings.ljpc.in_doubt_grace,
        poll_interval: settings.poll.initial_interval.min(settings.ljpc.evidence_interval),
        evidence_interval: settings.ljpc.evidence_interval,
        order_id_probe: settings.ljpc.order_id_probe,
        offers_alternatives: settings.leanstack.enabled,
    }
}

/// Requests a second and at a time to Leanstack, of which its document says nothing: it is asked for little.
const LEANSTACK_REQUESTS_PER_SECOND: u32 = 5;
const LEANSTACK_IN_FLIGHT_MAX: usize = 2;

/// The upstreams that are used, each with its requests a second at the most.
#[must_use]
pub fn budgets(settings: &Settings) -> Vec<(&'static str, u32)> {
    let ljpc = (ljpc::PROVIDER, settings.ljpc.requests_per_second);
    let leanstack = (leanstack::PROVIDER, LEANSTACK_REQUESTS_PER_SECOND);
    std::iter::once(ljpc).chain(settings.leanstack.enabled.then_some(leanstack)).collect()
}

/// The way to Leanstack, where it is used.
fn leanstack_guest(
    settings: &Settings,
    lifecycle: &Lifecycle,
    db: &Database,
    told: &Arc<Told>,
    alarm: &Alarm,
    tasks: &TaskTracker,
) -> anyhow::Result<Option<Arc<Guest<Leanstack>>>> {
    if !settings.leanstack.enabled {
        return Ok(None);
    }
    let budget = Budget::start(
        tasks,
        lifecycle.stopped.clone(),
        db.clone(),
        leanstack::PROVIDER,
        LEANSTACK_REQUESTS_PER_SECOND,
        alarm.clone(),
    );
    let limits = GuestLimits {
        max_in_flight: LEANSTACK_IN_FLIGHT_MAX,
        probe_interval: settings.ljpc.circuit_probe_interval,
    };
    let client = connect_leanstack(settings, told.clone())?;
    let guest = Guest::new(client, db.clone(), budget, limits, told.clone(), alarm.clone());
    Ok(Some(Arc::new(guest)))
}

pub(super) fn waiting(settings: &Settings) -> Waiting {
    let poll = &settings.poll;
    let polls = queue::Schedule {
        initial: poll.initial_interval,
        multiplier: poll.multiplier,
        max: poll.max_interval,
    };
    Waiting {
        patience: patience(settings),
        polls,
        transfers: queue::Schedule { max: poll.transfer_max_interval, ..polls },
        // The same pace: both ask an upstream again.
        retries: polls,
        timeout: settings.ljpc.timeout,
    }
}

fn email_settings(settings: &Settings, from: Address) -> anyhow::Result<EmailSettings> {
    let email = &settings.email;
    Ok(EmailSettings {
        from,
        ops_to: email
            .ops_to
            .iter()
            .map(to_address)
            .collect::<anyhow::Result<_>>()
            .context("email.ops_to")?,
        disabled: email.disabled.clone(),
        retries: queue::Schedule {
            initial: email.retry_initial,
            multiplier: 2.0,
            max: email.retry_max,
        },
        give_up_after: email.give_up_after,
        zone: auditing::schedule(settings)?.zone(),
        send_max: deadlines(settings.queue.lease).send_max(),
    })
}

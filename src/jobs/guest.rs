//! Being a good guest at an upstream: circuits, the shared budget and its pace, the number of requests at a time.

mod failover;
mod gate;
mod host;
mod known;
mod looks;
mod places;
mod watch;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub(super) use self::failover::FAILED_OVER;
pub use self::host::Host;
use self::{
    known::{KnownCircuits, Shut},
    looks::{LOOK_INTERVAL, Looks},
    places::{Place, Places},
};
use crate::{
    db::{
        Database,
        guests::{Cause, Trials},
    },
    queue::{Alarm, Budget},
    upstream::{Scope, UpstreamError, ljpc::Ljpc},
};

/// After so many requests in a row, of all processes, that brought no usable answer, the upstream is left alone but for
/// trials; so is an endpoint whose requests have an effect, whatever the others answer. Few enough that an outage puts few
/// purchases in doubt, and more than bad luck brings about.
pub const OUTAGE_FAILURES: i32 = 5;

/// The longest wait for a place in the budget, in the midst of a run: longer than an upstream's pause, shorter than a
/// lease.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// When a request is asked for again while an operator has paused its upstream.
const PAUSED_FOR: Duration = Duration::from_secs(10);

/// Is told of circuits.
pub trait CircuitObserver: Send + Sync {
    /// The circuit of an endpoint, or of the whole upstream (empty), is open or closed.
    fn circuit(&self, provider: &'static str, endpoint: &str, open: bool);
}

/// Why a request can't be made now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotNow {
    /// When to ask again.
    pub after: Duration,
    /// What stands in the way.
    pub why: Why,
}

/// What stands in a request's way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The upstream does not take our key, or not for this.
    Key,
    /// The upstream gives no usable answers.
    Outage,
    /// The upstream wants to be left alone for a while.
    Pause,
    /// An operator wants it to be left alone.
    Operator,
}

/// The permission to make one request. It counts as one of those at a time until it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    _in_flight: Place<'a>,
}

/// What a guest may do.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// `ljpc.max_in_flight`: requests at a time.
    pub max_in_flight: usize,
    /// `ljpc.circuit_probe_interval`
    pub probe_interval: Duration,
}

/// The way to an upstream, for all handlers of this process.
pub struct Guest<U = Ljpc> {
    host: U,
    db: Database,
    budget: Budget,
    in_flight: Places,
    trials: Trials,
    circuits: KnownCircuits,
    /// Some process has had requests without a usable answer, as far as this one knows: the next answer ends their row.
    troubled: AtomicBool,
    /// The same of some endpoint whose requests have an effect.
    endpoints_troubled: AtomicBool,
    /// An operator has paused the upstream.
    paused: AtomicBool,
    looks: Mutex<Looks>,
    observer: Arc<dyn CircuitObserver>,
    alarm: Alarm,
}

impl Guest<Ljpc> {
    /// The client.
    pub const fn ljpc(&self) -> &Ljpc {
        &self.host
    }
}

impl<U: Host> Guest<U> {
    /// Makes the way.
    pub fn new(
        host: U,
        db: Database,
        budget: Budget,
        limits: GuestLimits,
        observer: Arc<dyn CircuitObserver>,
        alarm: Alarm,
    ) -> Self {
        Self {
            host,
            db,
            budget,
            in_flight: Places::new(limits.max_in_flight, alarm.clone()),
            trials: Trials { interval: limits.probe_interval },
            circuits: KnownCircuits::default(),
            troubled: AtomicBool::new(false),
            endpoints_troubled: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            looks: Mutex::new(Looks::begin(Instant::now())),
            observer,
            alarm,
        }
    }

    /// Whether an operator has paused the upstream, as of the last look.
    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// The client.
    pub const fn host(&self) -> &U {
        &self.host
    }

    /// Waits for the permission to make a request to `endpoint`. The first request of a run has its place in the budget
    /// already (`prepaid`): its wake was not claimed without.
    pub async fn permit(&self, endpoint: &str, prepaid: &mut bool) -> Result<Permit<'_>, NotNow> {
        self.look_whether_shut("")?;
        self.look_whether_untried(endpoint)?;
        if !*prepaid {
            let place = self.budget.one_within(WAIT_MAX).await;
            place.map_err(|after| NotNow { after, why: Why::Pause })?;
        }
        let in_flight = self.in_flight.take().await;
        // Those that went before may have found it shut while this one waited.
        let mut shut = self.look_whether_shut("");
        if shut.is_ok() {
            shut = self.take_trial(endpoint).await;
        }
        if let Err(not_now) = shut {
            if !*prepaid {
                self.budget.give_back(1);
            }
            return Err(not_now);
        }
        *prepaid = false;
        Ok(Permit { _in_flight: in_flight })
    }

    /// A trial that is due just now is not everybody's to make. Whoever waits for an endpoint looks again sooner than that
    /// may be tried: it may be open by then.
    fn look_whether_shut(&self, endpoint: &str) -> Result<(), NotNow> {
        if self.is_paused() {
            return Err(NotNow { after: PAUSED_FOR, why: Why::Operator });
        }
        let Some(shut) = self.circuits.get(endpoint) else { return Ok(()) };
        let why = if shut.cause == Cause::Outage { Why::Outage } else { Why::Key };
        let after = if endpoint.is_empty() {
            shut.trial_in().max(LOOK_INTERVAL)
        } else {
            self.trials.interval
        };
        Err(NotNow { after, why })
    }

    fn look_whether_untried(&self, endpoint: &str) -> Result<(), NotNow> {
        let is_due = self.circuits.get(endpoint).is_some_and(|shut| shut.trial_in().is_zero());
        if is_due { Ok(()) } else { self.look_whether_shut(endpoint) }
    }

    /// No GET can vouch for an endpoint: when it is time, one waiting request is its trial. Taken last, since one that is
    /// not made is missed for long.
    async fn take_trial(&self, endpoint: &str) -> Result<(), NotNow> {
        self.look_whether_untried(endpoint)?;
        if self.circuits.get(endpoint).is_none() {
            return Ok(());
        }
        match self.db.take_trial(U::PROVIDER, endpoint, self.trials).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => self.look_whether_shut(endpoint),
        }
    }

    /// A run made no request after all: its place in the budget is another's.
    pub fn unused(&self) {
        self.budget.give_back(1);
    }

    /// Learns from what became of a request: opens the circuit that it says is shut, or that too many failures in a row show
    /// to be, closes the one that it shows to be open, and slows down where the upstream has had enough. Called before the
    /// permit is dropped, so that whoever waits for its place already knows.
    pub async fn learn<T>(&self, endpoint: &str, answer: &Result<T, UpstreamError>) {
        match answer {
            Ok(_) | Err(UpstreamError::Rejected { .. }) => {
                self.answered().await;
                self.endpoint_answered(endpoint).await;
                if self.circuits.get(endpoint).is_some() {
                    self.close(endpoint).await;
                }
            }
            Err(UpstreamError::RateLimited { after }) => {
                self.answered().await;
                Box::pin(self.slow_down(*after)).await;
            }
            Err(error @ UpstreamError::Unauthorized { scope, .. }) => {
                self.answered().await;
                let shut = match scope {
                    Scope::Upstream => "",
                    Scope::Endpoint => endpoint,
                };
                Box::pin(self.open(shut, Cause::Key, &reason_of(error))).await;
            }
            Err(
                error @ (UpstreamError::NotSent { .. }
                | UpstreamError::InDoubt { .. }
                | UpstreamError::Unavailable { .. }),
            ) => {
                Box::pin(self.failed(error)).await;
                if has_effect(endpoint) {
                    Box::pin(self.endpoint_failed(endpoint, error)).await;
                }
            }
        }
    }

    async fn endpoint_answered(&self, endpoint: &str) {
        if has_effect(endpoint)
            && self.endpoints_troubled.load(Ordering::Relaxed)
            && let Err(error) = self.db.forget_endpoint_failures(U::PROVIDER, endpoint).await
        {
            tracing::warn!(error = %crate::causes::causes(&error), "failures were not forgotten");
        }
    }

    /// Where purchases fail while everything else is answered, each would become a doubt.
    async fn endpoint_failed(&self, endpoint: &str, error: &UpstreamError) {
        self.endpoints_troubled.store(true, Ordering::Relaxed);
        match self.db.count_endpoint_failure(U::PROVIDER, endpoint).await {
            Ok(in_a_row) if in_a_row >= OUTAGE_FAILURES => {
                self.open(endpoint, Cause::Outage, &reason_of(error)).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = %crate::causes::causes(&error),
                "a failed request was not counted"
            ),
        }
    }

    /// The upstream is there. If requests failed before, by anybody, they were no outage.
    async fn answered(&self) {
        if self.troubled.swap(false, Ordering::Relaxed)
            && let Err(error) = self.db.forget_failures(U::PROVIDER).await
        {
            self.troubled.store(true, Ordering::Relaxed);
            tracing::warn!(error = %crate::causes::causes(&error), "failures were not forgotten");
        }
    }

    async fn failed(&self, error: &UpstreamError) {
        self.troubled.store(true, Ordering::Relaxed);
        if self.circuits.get("").is_some() {
            return;
        }
        match self.db.count_failure(U::PROVIDER).await {
            Ok(in_a_row) if in_a_row >= OUTAGE_FAILURES => {
                self.open("", Cause::Outage, &reason_of(error)).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = %crate::causes::causes(&error),
                "a failed request was not counted"
            ),
        }
    }

    async fn slow_down(&self, pause: Duration) {
        if let Err(error) = self.budget.slow_down(pause).await {
            tracing::warn!(error = %crate::causes::causes(&error), "no slower pace was shared");
        }
    }

    async fn open(&self, endpoint: &str, cause: Cause, reason: &str) {
        self.set(endpoint, Some(Shut::new(cause, self.trials.interval)));
        let opened = self.db.open_circuit(U::PROVIDER, endpoint, cause, reason, self.trials).await;
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    endpoint,
                    "an open circuit was not shared"
                );
                return;
            }
        };
        if self.circuits.get(endpoint).is_some() {
            self.circuits.set(endpoint, Some(Shut::new(cause, opened.probe_in)));
        }
        if opened.newly {
            tracing::error!(
                provider = U::PROVIDER,
                endpoint,
                cause = cause.as_str(),
                reason,
                "circuit opened: requests wait, no order fails by this"
            );
        }
        // The whole upstream's outage is told when it lasts (watch.rs); a key does not mend itself, and an endpoint that
        // fails alone has failed for long.
        let told = match cause {
            Cause::Key if endpoint.is_empty() => format!("{} answers {reason}", U::NAME),
            Cause::Key => format!("{endpoint} answers {reason}"),
            Cause::Outage if endpoint.is_empty() => return,
            Cause::Outage => format!("{endpoint} gives no usable answer ({reason})"),
        };
        self.tell_operator("circuit_open", &opened.episode, &format!("{told}; {}", U::SHUT)).await;
    }

    /// Something has come due that nobody has heard of.
    pub(super) fn ring(&self) {
        self.alarm.ring();
    }

    /// Owes the operator an email that is about no order. If even that fails, the log has it.
    pub(super) async fn tell_operator(&self, about: &'static str, episode: &str, reason: &str) {
        if let Err(error) = self.db.tell_operator(about, episode, reason).await {
            tracing::warn!(error = %crate::causes::causes(&error), about, "the operator was not told");
        }
        self.alarm.ring();
    }

    async fn close(&self, endpoint: &str) {
        match self.db.close_circuit(U::PROVIDER, endpoint).await {
            Ok(true) => tracing::info!(provider = U::PROVIDER, endpoint, "circuit closed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(
                error = %crate::causes::causes(&error),
                endpoint,
                "a closed circuit was not shared"
            ),
        }
        // Only now, when the slower pace is in force, may anybody reserve anew.
        if endpoint.is_empty() {
            self.budget.forget_slots();
        }
        self.set(endpoint, None);
        self.alarm.ring();
    }

    fn set(&self, endpoint: &str, shut: Option<Shut>) {
        self.circuits.set(endpoint, shut);
        self.observer.circuit(U::PROVIDER, endpoint, shut.is_some());
    }

    fn with_looks<T>(&self, f: impl FnOnce(&mut Looks) -> T) -> T {
        f(&mut self.looks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a request to an endpoint may have an effect, as its name says.
fn has_effect(endpoint: &str) -> bool {
    !endpoint.starts_with("GET ")
}

/// What is told of a failure: what else the answer said may be about a customer.
fn reason_of(error: &UpstreamError) -> String {
    match (error, error.status()) {
        (_, Some(status)) => format!("HTTP {status}"),
        (UpstreamError::NotSent { .. }, None) => "no connection".to_owned(),
        _ => "no answer".to_owned(),
    }
}

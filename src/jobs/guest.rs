//! Being a good guest at an upstream: circuits, the shared budget, the number of requests at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    db::Database,
    queue::{Alarm, Budget, Gate},
    upstream::{
        Scope, UpstreamError,
        leanstack::{self, Leanstack},
        ljpc::{self, Ljpc},
    },
};

/// An upstream whose guest a process is.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Its name in metrics and in the tables.
    const PROVIDER: &'static str;
    /// Its name for people.
    const NAME: &'static str;
    /// What it means that it does not take our key, for people.
    const SHUT: &'static str;

    /// One request that asks for nothing but whether the key is good.
    async fn ping(&self) -> Result<(), UpstreamError>;
}

#[async_trait]
impl Host for Ljpc {
    const PROVIDER: &'static str = ljpc::PROVIDER;
    const NAME: &'static str = "LJPc";
    const SHUT: &'static str = "orders wait, and none fails by this";

    async fn ping(&self) -> Result<(), UpstreamError> {
        Self::ping(self).await
    }
}

#[async_trait]
impl Host for Leanstack {
    const PROVIDER: &'static str = leanstack::PROVIDER;
    const NAME: &'static str = "Leanstack";
    const SHUT: &'static str =
        "no alternatives are offered, and no customer is made known, until it does";

    async fn ping(&self) -> Result<(), UpstreamError> {
        // It has no request that asks for less.
        self.availability("example", "com").await.map(drop)
    }
}

/// How often the circuits that other processes opened or closed are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// While the upstream is shut, so many lines are looked at in each [`LOOK_INTERVAL`] all the same: each says why it waits,
/// and whoever waits for too long is told of. No request is made for it.
const LOOKS_WHILE_SHUT_MAX: usize = 8;

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
}

/// The permission to make one request. It counts as one of those at a time until it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    _in_flight: Option<SemaphorePermit<'a>>,
}

/// What a guest may do.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// `ljpc.max_in_flight`: requests at a time.
    pub max_in_flight: usize,
    /// `ljpc.circuit_probe_interval`
    pub probe_interval: Duration,
}

/// The looks at lines while the upstream is shut, of the interval that began `since`.
#[derive(Debug)]
struct Looks {
    left: usize,
    since: Instant,
}

impl Looks {
    fn left(&mut self, now: Instant) -> usize {
        if now.saturating_duration_since(self.since) >= LOOK_INTERVAL {
            *self = Self { left: LOOKS_WHILE_SHUT_MAX, since: now };
        }
        self.left
    }

    fn give_back(&mut self, n: usize) {
        self.left = self.left.saturating_add(n).min(LOOKS_WHILE_SHUT_MAX);
    }
}

/// The way to an upstream, for all handlers of this process.
pub struct Guest<U = Ljpc> {
    host: U,
    db: Database,
    budget: Budget,
    in_flight: Semaphore,
    probe_interval: Duration,
    /// Open circuits by endpoint (empty: all of them), with the time of the next trial.
    circuits: Mutex<HashMap<String, Instant>>,
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
            in_flight: Semaphore::new(limits.max_in_flight),
            probe_interval: limits.probe_interval,
            circuits: Mutex::default(),
            looks: Mutex::new(Looks { left: LOOKS_WHILE_SHUT_MAX, since: Instant::now() }),
            observer,
            alarm,
        }
    }

    /// The client.
    pub const fn host(&self) -> &U {
        &self.host
    }

    /// Waits for the permission to make a request to `endpoint`. The first request of a run has its place in the budget
    /// already (`prepaid`): its wake was not claimed without.
    pub async fn permit(&self, endpoint: &str, prepaid: &mut bool) -> Result<Permit<'_>, NotNow> {
        if let Some(after) = self.wait_of("") {
            // A trial that is due just now is not this line's to make.
            return Err(NotNow { after: after.max(LOOK_INTERVAL) });
        }
        if let Some(after) = self.wait_of(endpoint) {
            // No GET can vouch for an endpoint: when it is time, one waiting request is its trial.
            let trial = after.is_zero()
                && self
                    .db
                    .take_trial(U::PROVIDER, endpoint, self.probe_interval)
                    .await
                    .unwrap_or(false);
            if !trial {
                return Err(NotNow { after: after.max(self.probe_interval) });
            }
        }
        if !std::mem::take(prepaid) {
            self.budget.one().await;
        }
        Ok(Permit { _in_flight: self.in_flight.acquire().await.ok() })
    }

    /// A run made no request after all: its place in the budget is another's.
    pub fn unused(&self) {
        self.budget.give_back(1);
    }

    /// Learns from an answer: opens the circuit that it says is shut, and closes the one that it shows to be open.
    pub async fn learn<T>(&self, endpoint: &str, answer: &Result<T, UpstreamError>) {
        match answer {
            Err(UpstreamError::Unauthorized { scope, status, message, .. }) => {
                let shut = match scope {
                    Scope::Upstream => "",
                    Scope::Endpoint => endpoint,
                };
                self.open(shut, &format!("HTTP {status} {message}")).await;
            }
            Ok(_) | Err(UpstreamError::Rejected { .. }) if self.wait_of(endpoint).is_some() => {
                self.close(endpoint).await;
            }
            _ => {}
        }
    }

    async fn open(&self, endpoint: &str, reason: &str) {
        self.set(endpoint, Some(Instant::now() + self.probe_interval));
        match self.db.open_circuit(U::PROVIDER, endpoint, reason, self.probe_interval).await {
            Ok(true) => {
                tracing::error!(
                    provider = U::PROVIDER,
                    endpoint,
                    reason,
                    "circuit opened: requests wait, no order fails by this; check the upstream's key and its permissions"
                );
                let what = if endpoint.is_empty() { U::NAME } else { endpoint };
                let told = format!("{what} answers {reason}; {}", U::SHUT);
                self.tell_operator("circuit_open", &uuid::Uuid::now_v7().to_string(), &told).await;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(
                error = %crate::causes::causes(&error),
                endpoint,
                "an open circuit was not shared"
            ),
        }
    }

    /// Owes the operator an email that is about no order. If even that fails, the log has it.
    pub(super) async fn tell_operator(&self, about: &'static str, episode: &str, reason: &str) {
        if let Err(error) = self.db.tell_operator(about, episode, reason).await {
            tracing::warn!(error = %crate::causes::causes(&error), about, "the operator was not told");
        }
        self.alarm.ring();
    }

    async fn close(&self, endpoint: &str) {
        self.set(endpoint, None);
        match self.db.close_circuit(U::PROVIDER, endpoint).await {
            Ok(true) => tracing::info!(provider = U::PROVIDER, endpoint, "circuit closed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(
                error = %crate::causes::causes(&error),
                endpoint,
                "a closed circuit was not shared"
            ),
        }
        self.alarm.ring();
    }

    /// Looks at the circuits now and then, and tries the upstream's by one safe GET when it is open. Runs for ever.
    pub async fn watch(&self) {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    "circuits were not looked at"
                );
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look(&self) -> Result<(), crate::db::DbError> {
        let open = self.db.open_circuits().await?;
        let now = Instant::now();
        let known: HashMap<String, Instant> = open
            .into_iter()
            .filter(|circuit| circuit.provider == U::PROVIDER)
            .map(|circuit| (circuit.endpoint, now + circuit.probe_in))
            .collect();
        let before = {
            let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *circuits, known.clone())
        };
        for open in known.keys() {
            self.observer.circuit(U::PROVIDER, open, true);
        }
        for closed in before.keys().filter(|endpoint| !known.contains_key(*endpoint)) {
            self.observer.circuit(U::PROVIDER, closed, false);
            self.alarm.ring();
        }
        let time_for_a_trial = self.wait_of("").is_some_and(|wait| wait.is_zero());
        if time_for_a_trial && self.db.take_trial(U::PROVIDER, "", self.probe_interval).await? {
            self.budget.one().await;
            match self.host.ping().await {
                Ok(())
                | Err(UpstreamError::RateLimited { .. } | UpstreamError::Rejected { .. }) => {
                    self.close("").await;
                }
                Err(error) => tracing::warn!(
                    provider = U::PROVIDER,
                    error = %crate::causes::causes(&error),
                    "the upstream is still shut"
                ),
            }
        }
        Ok(())
    }

    /// How long until the trial of this circuit; `None` when it is closed.
    fn wait_of(&self, endpoint: &str) -> Option<Duration> {
        let circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.get(endpoint).map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn with_looks<T>(&self, f: impl FnOnce(&mut Looks) -> T) -> T {
        f(&mut self.looks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, endpoint: &str, trial_at: Option<Instant>) {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        match trial_at {
            Some(at) => circuits.insert(endpoint.to_owned(), at),
            None => circuits.remove(endpoint),
        };
        drop(circuits);
        self.observer.circuit(U::PROVIDER, endpoint, trial_at.is_some());
    }
}

impl Gate for Guest<Ljpc> {
    fn admit(&self, max: usize) -> usize {
        // A line that would wait for its place among the requests would only use up its lease.
        let max = max.min(self.in_flight.available_permits());
        if self.wait_of("").is_none() {
            return self.budget.take(max);
        }
        // Also a line that is only looked at has its place in the budget: the circuit may close meanwhile.
        let now = Instant::now();
        self.with_looks(|looks| {
            let taken = self.budget.take(max.min(looks.left(now)));
            looks.left = looks.left.saturating_sub(taken);
            taken
        })
    }

    fn give_back(&self, n: usize) {
        self.budget.give_back(n);
        self.with_looks(|looks| looks.give_back(n));
    }

    fn lack(&self) {
        // A circuit rings the alarm itself when it closes.
        if self.wait_of("").is_none() || self.with_looks(|looks| looks.left(Instant::now())) > 0 {
            self.budget.want();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_while_shut_are_so_many_in_each_interval() {
        let start = Instant::now();
        let mut looks = Looks { left: LOOKS_WHILE_SHUT_MAX, since: start };
        looks.give_back(5);
        assert_eq!(looks.left(start), LOOKS_WHILE_SHUT_MAX, "never more");
        looks.left = 0;
        looks.give_back(2);
        assert_eq!(looks.left(start + LOOK_INTERVAL / 2), 2, "what was not used can be");
        looks.left = 0;
        assert_eq!(looks.left(start + LOOK_INTERVAL / 2), 0);
        assert_eq!(looks.left(start + LOOK_INTERVAL), LOOKS_WHILE_SHUT_MAX);
    }
}

//! The watch over the circuits: what other processes have seen, and the trials of an upstream that is shut.

use std::{collections::HashMap, sync::atomic::Ordering};

use super::{Guest, Host, WAIT_MAX, known::Shut, looks::LOOK_INTERVAL, reason_of};
use crate::{
    db::{
        DbError,
        guests::{Cause, OpenCircuit},
    },
    upstream::UpstreamError,
};

impl<U: Host> Guest<U> {
    /// Looks at the circuits and the pace now and then, and tries the upstream by one safe GET when it is shut. Runs for
    /// ever.
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

    /// One look, with the trial that is due, if one is.
    pub async fn look(&self) -> Result<(), DbError> {
        let state = self.db.upstream_state(U::PROVIDER).await?;
        self.budget.note_pace(state.pace);
        if state.failures > 0 {
            self.troubled.store(true, Ordering::Relaxed);
        }
        self.endpoints_troubled.store(state.endpoints_fail, Ordering::Relaxed);
        if self.paused.swap(state.is_paused, Ordering::Relaxed) && !state.is_paused {
            self.alarm.ring();
        }
        let mut open = Vec::new();
        if state.has_open_circuits {
            open = self.db.open_circuits(self.trials).await?;
            open.retain(|circuit| circuit.provider == U::PROVIDER);
        }
        self.learn_circuits(&open);
        match open.iter().find(|circuit| circuit.endpoint.is_empty()) {
            Some(shut) if shut.probe_in.is_zero() && !state.is_paused => {
                self.try_upstream(shut).await
            }
            _ => Ok(()),
        }
    }

    fn learn_circuits(&self, open: &[OpenCircuit]) {
        let known: HashMap<String, Shut> = open
            .iter()
            .map(|circuit| (circuit.endpoint.clone(), Shut::new(circuit.cause, circuit.probe_in)))
            .collect();
        let before = self.circuits.replace(known);
        for circuit in open {
            self.observer.circuit(U::PROVIDER, &circuit.endpoint, true);
        }
        let is_open = |endpoint: &str| open.iter().any(|circuit| circuit.endpoint == endpoint);
        for closed in before.keys().filter(|endpoint| !is_open(endpoint)) {
            self.observer.circuit(U::PROVIDER, closed, false);
            if closed.is_empty() {
                self.budget.forget_slots();
            }
            self.alarm.ring();
        }
    }

    /// One safe GET, by one of all processes, that finds out whether the upstream is there again.
    async fn try_upstream(&self, shut: &OpenCircuit) -> Result<(), DbError> {
        // An upstream that wants to be left alone is tried another time.
        if self.budget.one_within(self.trials.interval.max(WAIT_MAX)).await.is_err() {
            return Ok(());
        }
        if !self.db.take_trial(U::PROVIDER, "", self.trials).await? {
            self.budget.give_back(1);
            return Ok(());
        }
        match self.host.ping().await {
            Ok(()) | Err(UpstreamError::Rejected { .. }) => self.close("").await,
            Err(UpstreamError::RateLimited { after }) => {
                self.close("").await;
                self.slow_down(after).await;
            }
            Err(error @ UpstreamError::Unauthorized { .. }) => {
                self.open("", Cause::Key, &reason_of(&error)).await;
            }
            Err(error) => {
                tracing::warn!(
                    provider = U::PROVIDER,
                    error = error.logged(),
                    "the upstream is still shut"
                );
                if shut.cause == Cause::Outage {
                    self.tell_of_outage(shut).await;
                }
            }
        }
        Ok(())
    }

    /// An outage is told when a trial has shown that it lasts, once: what has passed within
    /// `ljpc.circuit_probe_interval` is no news.
    async fn tell_of_outage(&self, shut: &OpenCircuit) {
        let told = format!("{} gives no usable answer ({}); {}", U::NAME, shut.reason, U::SHUT);
        self.tell_operator("circuit_open", &shut.episode, &told).await;
    }
}

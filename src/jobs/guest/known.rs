//! The open circuits that this process knows of.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::db::guests::Cause;

/// An open circuit, as this process knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shut {
    pub(super) cause: Cause,
    trial_at: Instant,
}

impl Shut {
    pub(super) fn new(cause: Cause, trial_in: Duration) -> Self {
        Self { cause, trial_at: Instant::now() + trial_in }
    }

    /// How long until the next trial is allowed.
    pub(super) fn trial_in(&self) -> Duration {
        self.trial_at.saturating_duration_since(Instant::now())
    }
}

/// Open circuits by endpoint (empty: the whole upstream).
#[derive(Debug, Default)]
pub(super) struct KnownCircuits {
    open: Mutex<HashMap<String, Shut>>,
}

impl KnownCircuits {
    /// The circuit of this endpoint, if it is open.
    pub(super) fn get(&self, endpoint: &str) -> Option<Shut> {
        self.with(|open| open.get(endpoint).copied())
    }

    pub(super) fn set(&self, endpoint: &str, shut: Option<Shut>) {
        self.with(|open| match shut {
            Some(shut) => open.insert(endpoint.to_owned(), shut),
            None => open.remove(endpoint),
        });
    }

    /// Learns which are open now, and answers which were.
    pub(super) fn replace(&self, open: HashMap<String, Shut>) -> HashMap<String, Shut> {
        self.with(|known| std::mem::replace(known, open))
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, Shut>) -> T) -> T {
        f(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! A process's own clock, for what the database's time can't be asked for: deadlines of requests,
//! ages of caches.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// The wall clock of this machine. What is stored takes the database's time instead.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A point in time by which something must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `after` from now.
    #[must_use]
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// What is left, zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

//! The metrics at the moment they are asked for.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::telemetry::Metrics;

/// A scrape waits so long for the database, then does without.
const REFRESH_WITHIN: Duration = Duration::from_secs(2);
/// For so long one reading of the database serves every scrape.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// Why the gauges could not be read. It is logged: no URL, no data.
pub type GaugeError = Box<dyn Error + Send + Sync>;

/// Whoever can read from the database what the gauges shall tell.
#[async_trait]
pub trait GaugeSource: Send + Sync {
    /// Reads it, and sets the gauges. It may be dropped at any `.await`: after two seconds, or when the client has gone.
    async fn refresh(&self) -> Result<(), GaugeError>;
}

/// Serves the metrics, with gauges as fresh as the database allows.
pub struct Scraper {
    metrics: Arc<Metrics>,
    source: Box<dyn GaugeSource>,
    refresh_within: Duration,
    /// When the last refresh began or ended, whatever came of it. Held during one, so that there is one at a time.
    refreshed_at: Mutex<Option<Instant>>,
}

impl Scraper {
    /// Serves these metrics, with the gauges that `source` sets.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, source: Box<dyn GaugeSource>) -> Self {
        Self { metrics, source, refresh_within: REFRESH_WITHIN, refreshed_at: Mutex::default() }
    }

    #[cfg(test)]
    pub(super) fn with_deadline(self, refresh_within: Duration) -> Self {
        Self { refresh_within, ..self }
    }

    /// The metrics as text. When the database fails, the counters are as right as ever, and the gauges keep their last
    /// reading: that they may be old is told by `provisor_ready`, by the log and by /readyz.
    pub(super) async fn scrape(&self, is_ready: bool) -> Result<String, prometheus::Error> {
        self.metrics.set_ready(is_ready);
        // The wait for another scrape's refresh counts as well.
        match tokio::time::timeout(self.refresh_within, self.refresh_if_due()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(
                error = %crate::causes::causes(error.as_ref()),
                "the gauges could not be read"
            ),
            Err(_) => tracing::warn!("the gauges could not be read in time"),
        }
        self.metrics.encode()
    }

    async fn refresh_if_due(&self) -> Result<(), GaugeError> {
        let mut refreshed_at = self.refreshed_at.lock().await;
        if refreshed_at.is_some_and(|at| at.elapsed() < SHARED_FOR) {
            return Ok(());
        }
        // Now, in case that this is dropped halfway: whoever waits behind must not begin the same at once.
        *refreshed_at = Some(Instant::now());
        let outcome = self.source.refresh().await;
        *refreshed_at = Some(Instant::now());
        outcome
    }
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraper").finish_non_exhaustive()
    }
}

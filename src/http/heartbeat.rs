//! Whether the process turns over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time since the loop that keeps the process going last came round. Clones are of the same heart.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    born: Instant,
    /// Nanoseconds from `born` to the last beat: enough for centuries.
    last_beat_ns: Arc<AtomicU64>,
    limit: Duration,
}

impl Heartbeat {
    /// A heart that beat just now, and counts as stopped once it hasn't for longer than `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { born: Instant::now(), last_beat_ns: Arc::default(), limit }
    }

    /// Beats. To be called by a loop that comes round several times within the limit, whatever it finds to do.
    pub fn beat(&self) {
        self.beat_at(Instant::now());
    }

    /// The time since the last beat.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age_at(Instant::now())
    }

    /// Is the last beat within the limit?
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.age() <= self.limit
    }

    fn beat_at(&self, now: Instant) {
        let since_born = now.saturating_duration_since(self.born).as_nanos();
        let since_born_ns = u64::try_from(since_born).unwrap_or(u64::MAX);
        // The latest beat counts, in whatever order two of them arrive.
        self.last_beat_ns.fetch_max(since_born_ns, Ordering::Relaxed);
    }

    fn age_at(&self, now: Instant) -> Duration {
        let last_beat = Duration::from_nanos(self.last_beat_ns.load(Ordering::Relaxed));
        now.saturating_duration_since(self.born).saturating_sub(last_beat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_makes_it_young_again_for_every_clone() {
        let heartbeat = Heartbeat::new(Duration::from_secs(30));
        let at = |seconds| heartbeat.born + Duration::from_secs(seconds);
        assert_eq!(heartbeat.age_at(at(31)), Duration::from_secs(31));
        heartbeat.clone().beat_at(at(20));
        assert_eq!(heartbeat.age_at(at(31)), Duration::from_secs(11));
        // A beat that was late to arrive takes nothing back, and a clock read a little earlier does no harm.
        heartbeat.beat_at(at(10));
        assert_eq!(heartbeat.age_at(at(31)), Duration::from_secs(11));
        assert_eq!(heartbeat.age_at(at(19)), Duration::ZERO);
    }

    #[test]
    fn it_lives_up_to_its_limit() {
        let patient = Heartbeat::new(Duration::MAX);
        let hasty = Heartbeat::new(Duration::ZERO);
        while hasty.age().is_zero() {}
        assert!(patient.is_alive() && !hasty.is_alive());
    }
}

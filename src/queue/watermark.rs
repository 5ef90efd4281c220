//! The watermark: below which due time a lane's claim need not look.
//!
//! Claimed and parked rows leave dead entries at the head of the index, which each claim would step over again: under a
//! held snapshot they eat nearly all of the rate (`docs/QUEUE_SPIKE.md`). So each process remembers where it was. What comes
//! due below the mark all the same, an expired lease or a commit that took very long, is found by a full scan; and so is
//! what somebody had locked while a full claim passed it.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// How far behind the clock a drained lane's mark stays: no wake may be committed later than this after its due time was
/// stamped. The stamp is taken in a deferred trigger, just before the commit.
const COMMIT_SLACK: TimeDelta = TimeDelta::seconds(2);

/// The least time between two full scans.
const SCAN_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// The most: what expired is waited for no longer, and a claim that was held up once says little of the next one.
const SCAN_INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Between the two, a full scan takes at most this part of the time.
const SCAN_SHARE: u32 = 50;

/// One lane's mark.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watermark(Option<DateTime<Utc>>);

impl Watermark {
    /// Where the next claim begins; `None` for everything.
    #[must_use]
    pub(super) const fn get(self) -> Option<DateTime<Utc>> {
        self.0
    }

    /// A claim at `now` took all that it asked for: there may be more, from the last claimed due time on. But not from later
    /// than a commit may lag behind.
    ///
    /// A full scan goes on from there even backwards: else what it found below the mark would wait for one scan after the
    /// other, each of which takes no more than one claim does.
    pub(super) fn filled(
        &mut self,
        last_due_at: DateTime<Utc>,
        now: DateTime<Utc>,
        full_scan: bool,
    ) {
        if full_scan {
            self.0 = None;
        }
        self.rise(last_due_at.min(now - COMMIT_SLACK));
    }

    /// A claim at `now`, by the database's clock, found less than it asked for, and a look after it nothing that is due.
    pub(super) fn drained(&mut self, now: DateTime<Utc>) {
        self.rise(now - COMMIT_SLACK);
    }

    fn rise(&mut self, mark: DateTime<Utc>) {
        self.0 = Some(self.0.map_or(mark, |before| before.max(mark)));
    }
}

/// When everything is looked at again.
#[derive(Clone, Copy, Debug)]
pub(super) struct FullScan {
    next: Instant,
}

impl FullScan {
    /// The first one is due at once.
    #[must_use]
    pub(super) const fn due(now: Instant) -> Self {
        Self { next: now }
    }

    /// Whether it is time for one.
    #[must_use]
    pub(super) fn is_due(self, now: Instant) -> bool {
        now >= self.next
    }

    /// One was made, and cost this much.
    pub(super) fn made(&mut self, now: Instant, cost: Duration) {
        let pause = (cost * SCAN_SHARE).clamp(SCAN_INTERVAL_MIN, SCAN_INTERVAL_MAX);
        self.next = now + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_mark_rises() {
        let mut mark = Watermark::default();
        assert_eq!(mark.get(), None);
        mark.drained(at(100));
        assert_eq!(mark.get(), Some(at(98)));
        mark.filled(at(50), at(101), false);
        assert_eq!(mark.get(), Some(at(98)));
        // Never within the slack, where an earlier row may still be uncommitted.
        mark.filled(at(110), at(111), false);
        assert_eq!(mark.get(), Some(at(109)));
        mark.filled(at(120), at(500), false);
        assert_eq!(mark.get(), Some(at(120)));
        mark.drained(at(90));
        assert_eq!(mark.get(), Some(at(120)));
    }

    #[test]
    fn a_full_scan_that_found_much_goes_on_where_it_was() {
        let mut mark = Watermark::default();
        mark.drained(at(1000));
        mark.filled(at(50), at(1001), true);
        assert_eq!(mark.get(), Some(at(50)));
        mark.drained(at(1001));
        assert_eq!(mark.get(), Some(at(999)));
    }

    #[test]
    fn full_scans_keep_their_share() {
        let start = Instant::now();
        let mut scan = FullScan::due(start);
        assert!(scan.is_due(start));
        scan.made(start, Duration::from_millis(1));
        assert!(!scan.is_due(start + Duration::from_secs(9)));
        assert!(scan.is_due(start + Duration::from_secs(10)));
        scan.made(start, Duration::from_secs(1));
        assert!(!scan.is_due(start + Duration::from_secs(49)));
        assert!(scan.is_due(start + Duration::from_secs(50)));
        // It was held up: by a network that fell silent, or a server that went down.
        scan.made(start, Duration::from_secs(14));
        assert!(!scan.is_due(start + Duration::from_secs(59)));
        assert!(scan.is_due(start + Duration::from_mins(1)));
    }
}

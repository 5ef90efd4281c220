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

/// So long claims at full speed go on from what was claimed last, instead of from the mark, between which and the clock lies
/// all that was claimed within the slack: to step over it, time after time, takes a fifth of the rate. What is committed
/// late, behind the last claimed one, waits so much longer at most.
const AHEAD_MAX: Duration = Duration::from_millis(250);

/// The least time between two full scans.
const SCAN_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// The most: what expired is waited for no longer, and a claim that was held up once says little of the next one.
const SCAN_INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Between the two, a full scan takes at most this part of the time.
const SCAN_SHARE: u32 = 50;

/// One lane's mark.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watermark {
    mark: Option<DateTime<Utc>>,
    ahead: Option<Ahead>,
}

/// Where a claim took all that it asked for.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    last_due_at: DateTime<Utc>,
    /// When it was last claimed from the mark on.
    since: Instant,
}

impl Watermark {
    /// Below it nothing can have come due since; `None` if nothing is known.
    #[must_use]
    pub(super) const fn get(self) -> Option<DateTime<Utc>> {
        self.mark
    }

    /// Where a claim at `now` begins; `None` for everything.
    #[must_use]
    pub(super) fn claimed_from(self, now: Instant) -> Option<DateTime<Utc>> {
        self.ahead_at(now).map_or(self.mark, |ahead| Some(ahead.last_due_at))
    }

    /// Whether a claim at `now` goes on from the last one, ahead of the mark.
    #[must_use]
    pub(super) fn is_ahead(self, now: Instant) -> bool {
        self.ahead_at(now).is_some()
    }

    fn ahead_at(self, now: Instant) -> Option<Ahead> {
        self.ahead.filter(|ahead| now.duration_since(ahead.since) < AHEAD_MAX)
    }

    /// A claim, which began at `began` and at `now` by the database's clock, took all that it asked for: there may be more,
    /// from the last claimed due time on. But for long not from later than a commit may lag behind.
    ///
    /// A full scan goes on from there even backwards: else what it found below the mark would wait for one scan after the
    /// other, each of which takes no more than one claim does.
    pub(super) fn filled(
        &mut self,
        last_due_at: DateTime<Utc>,
        (began, now): (Instant, DateTime<Utc>),
        full_scan: bool,
    ) {
        let before = self.ahead_at(began).filter(|_| !full_scan);
        self.ahead = Some(Ahead { last_due_at, since: before.map_or(began, |ahead| ahead.since) });
        if full_scan {
            self.mark = None;
        }
        self.rise(last_due_at.min(now - COMMIT_SLACK));
    }

    /// A claim found less than it asked for: the next one begins at the mark.
    pub(super) const fn short(&mut self) {
        self.ahead = None;
    }

    /// A claim at `now`, by the database's clock, found less than it asked for, and a look after it nothing that is due.
    pub(super) fn drained(&mut self, now: DateTime<Utc>) {
        self.rise(now - COMMIT_SLACK);
    }

    fn rise(&mut self, mark: DateTime<Utc>) {
        self.mark = Some(self.mark.map_or(mark, |before| before.max(mark)));
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
        let (mut mark, began) = (Watermark::default(), Instant::now());
        assert_eq!(mark.get(), None);
        mark.drained(at(100));
        assert_eq!(mark.get(), Some(at(98)));
        mark.filled(at(50), (began, at(101)), false);
        assert_eq!(mark.get(), Some(at(98)));
        // Never within the slack, where an earlier row may still be uncommitted.
        mark.filled(at(110), (began, at(111)), false);
        assert_eq!(mark.get(), Some(at(109)));
        mark.filled(at(120), (began, at(500)), false);
        assert_eq!(mark.get(), Some(at(120)));
        mark.drained(at(90));
        assert_eq!(mark.get(), Some(at(120)));
    }

    #[test]
    fn a_full_scan_that_found_much_goes_on_where_it_was() {
        let (mut mark, began) = (Watermark::default(), Instant::now());
        mark.drained(at(1000));
        mark.filled(at(50), (began, at(1001)), true);
        assert_eq!(mark.get(), Some(at(50)));
        assert_eq!(mark.claimed_from(began), Some(at(50)));
        mark.drained(at(1001));
        assert_eq!(mark.get(), Some(at(999)));
    }

    #[test]
    fn at_full_speed_claims_go_on_from_the_last_one_but_not_for_long() {
        let (mut mark, start) = (Watermark::default(), Instant::now());
        mark.drained(at(100));
        let mut last = 0;
        for claim in 0..500 {
            let began = start + Duration::from_millis(claim);
            let from_mark = claim == 0 || claim == 250;
            assert_eq!(mark.is_ahead(began), !from_mark, "{claim}");
            let from = if from_mark { 98 } else { last };
            assert_eq!(mark.claimed_from(began), Some(at(from)), "{claim}");
            last = 99 + i64::try_from(claim).unwrap() / 499;
            mark.filled(at(last), (began, at(100)), false);
            assert_eq!(mark.get(), Some(at(98)));
        }
        mark.short();
        assert_eq!(mark.claimed_from(start + Duration::from_millis(500)), Some(at(98)));
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

//! When the audit is due: `audit.cron`, read in `audit.timezone`.
//!
//! Where clocks are put forward, an hour that does not exist is made up for right after it; where they are put back, an hour
//! that comes twice counts once.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

/// A schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

/// Why a schedule can't be used.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
pub enum UnusableSchedule {
    /// It is no schedule.
    #[error("is no schedule of five fields: {0}")]
    Cron(String),
    /// There is no such zone.
    #[error("is no name of the time zone database, such as Europe/Amsterdam")]
    Zone,
}

impl Schedule {
    /// Reads `audit.cron` and `audit.timezone`.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, UnusableSchedule> {
        let zone = Tz::from_str(zone).map_err(|_| UnusableSchedule::Zone)?;
        let cron =
            Cron::from_str(cron).map_err(|error| UnusableSchedule::Cron(error.to_string()))?;
        Ok(Self { cron, zone })
    }

    /// The time zone, in which days are counted too.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// The first time after `last`; none: never again.
    #[must_use]
    pub fn next_after(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = last.with_timezone(&self.zone);
        let mut next = self.cron.find_next_occurrence(&local, false).ok()?;
        // The second pass of an hour that comes twice.
        for _ in 0..120 {
            if next.naive_local() > local.naive_local() {
                break;
            }
            next = self.cron.find_next_occurrence(&next, false).ok()?;
        }
        Some(next.with_timezone(&Utc))
    }

    /// The run that is due, if one has come up after `last`: of several that were missed, the latest alone.
    #[must_use]
    pub fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = self.next_after(last).filter(|first| *first <= now)?;
        let local = now.with_timezone(&self.zone);
        let latest = self.cron.find_previous_occurrence(&local, true).ok();
        Some(latest.map_or(first, |latest| latest.with_timezone(&Utc)).max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str) -> Schedule {
        Schedule::parse(cron, "Europe/Amsterdam").unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The times of a schedule after one, as UTC.
    fn times(cron: &str, after: &str, n: usize) -> Vec<String> {
        let (schedule, mut last, mut times) = (schedule(cron), at(after), Vec::new());
        for _ in 0..n {
            last = schedule.next_after(last).unwrap();
            times.push(last.format("%m-%d %H:%M").to_string());
        }
        times
    }

    #[test]
    fn it_keeps_its_local_hour_over_changes_of_the_clock() {
        assert_eq!(
            times("0 6 * * *", "2026-03-27T12:00:00Z", 3),
            ["03-28 05:00", "03-29 04:00", "03-30 04:00"]
        );
        assert_eq!(
            times("0 6 * * *", "2026-10-23T12:00:00Z", 3),
            ["10-24 04:00", "10-25 05:00", "10-26 05:00"]
        );
    }

    #[test]
    fn an_hour_that_does_not_exist_is_made_up_for_and_one_that_comes_twice_counts_once() {
        // 2026-03-29 02:30 does not exist in Amsterdam.
        let spring = times("30 2 * * *", "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring.len(), 2);
        assert!(spring[0].starts_with("03-29 01:"), "{spring:?}");
        assert_eq!(spring[1], "03-30 00:30");
        // 2026-10-25 02:30 comes twice.
        assert_eq!(times("30 2 * * *", "2026-10-24T12:00:00Z", 2), ["10-25 00:30", "10-26 01:30"]);
    }

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let daily = schedule("0 6 * * *");
        let last = at("2026-06-01T04:00:00Z");
        assert_eq!(daily.due(last, at("2026-06-02T03:59:59Z")), None);
        assert_eq!(daily.due(last, at("2026-06-02T04:00:00Z")), Some(at("2026-06-02T04:00:00Z")));
        assert_eq!(daily.due(last, at("2026-06-09T12:00:00Z")), Some(at("2026-06-09T04:00:00Z")));
        assert_eq!(daily.due(at("2026-06-09T04:00:00Z"), at("2026-06-09T12:00:00Z")), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for cron in ["", "0 6 * *", "99 6 * * *", "x y z a b"] {
            assert!(Schedule::parse(cron, "Europe/Amsterdam").is_err(), "{cron:?}");
        }
        assert_eq!(
            Schedule::parse("0 6 * * *", "Europe/Nowhere").unwrap_err(),
            UnusableSchedule::Zone
        );
    }
}

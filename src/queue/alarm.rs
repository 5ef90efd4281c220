//! The fetcher's alarm: everything that may make a wake due rings it, now or for later.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::share::Groups;
use crate::db::wakes::Lane;

/// How many different times are kept; later ones are dropped, since the poll interval finds their wakes too.
const TIMES_MAX: usize = 64;

/// When the fetcher comes round again, and of which groups it claims then without looking first. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    times: Arc<Mutex<BTreeMap<Instant, Groups>>>,
    changed: Arc<Notify>,
}

impl Alarm {
    /// Rings now: anything may be due.
    pub fn ring(&self) {
        self.ring_in(Duration::ZERO);
    }

    /// Rings after this time, too: anything may be due then.
    pub fn ring_in(&self, after: Duration) {
        self.set(after, Groups::ALL);
    }

    /// Rings after this time, too: something is due in this lane then.
    pub fn ring_for(&self, lane: Lane, after: Duration) {
        self.set(after, Groups::of(lane));
    }

    /// Rings after this time, too: perhaps something is due then, and perhaps not. One look at all lanes is cheaper than to
    /// claim nothing of each.
    pub fn look_in(&self, after: Duration) {
        self.set(after, Groups::NONE);
    }

    fn set(&self, after: Duration, groups: Groups) {
        // Beyond the end of time nothing rings; an addition would panic.
        let Some(at) = Instant::now().checked_add(after) else { return };
        let mut times = self.times();
        let earliest = times.first_key_value().is_none_or(|(&first, _)| at < first);
        times.entry(at).and_modify(|before| *before = before.or(groups)).or_insert(groups);
        if times.len() > TIMES_MAX {
            times.pop_last();
        }
        drop(times);
        if earliest {
            self.changed.notify_one();
        }
    }

    /// Forgets what has rung so far, and tells for what: called before a claim begins, so that what comes while it runs is
    /// not missed.
    pub(super) fn take_rung(&self) -> Groups {
        let now = Instant::now();
        let mut times = self.times();
        let mut due = Groups::NONE;
        while let Some(first) = times.first_entry().filter(|first| *first.key() <= now) {
            due = due.or(first.remove());
        }
        due
    }

    /// Waits until it rings.
    pub(super) async fn rung(&self) {
        loop {
            let changed = self.changed.notified();
            let first = self.times().first_key_value().map(|(&at, _)| at);
            match first {
                Some(at) if at <= Instant::now() => return,
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at.into()) => {}
                },
                None => changed.await,
            }
        }
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<Instant, Groups>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_later_time_outlives_an_earlier_one() {
        let alarm = Alarm::default();
        alarm.ring_in(Duration::from_millis(5));
        alarm.ring();
        alarm.rung().await;
        assert_eq!(alarm.take_rung(), Groups::ALL);
        tokio::time::timeout(Duration::from_secs(5), alarm.rung()).await.unwrap();
    }

    #[test]
    fn what_has_rung_is_told_once() {
        let alarm = Alarm::default();
        alarm.look_in(Duration::ZERO);
        assert_eq!(alarm.take_rung(), Groups::NONE);
        alarm.ring_for(Lane::Poll, Duration::ZERO);
        alarm.look_in(Duration::ZERO);
        alarm.ring_for(Lane::Email, Duration::from_hours(1));
        assert_eq!(alarm.take_rung(), Groups::of(Lane::Poll));
        assert_eq!(alarm.take_rung(), Groups::NONE);
        assert_eq!(alarm.times().len(), 1);
    }

    #[test]
    fn the_number_of_times_is_bounded() {
        let alarm = Alarm::default();
        for n in 0..1000 {
            alarm.ring_in(Duration::from_secs(1000 + n));
        }
        assert_eq!(alarm.times().len(), TIMES_MAX);
    }
}

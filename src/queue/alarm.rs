//! The fetcher's alarm: everything that may make a wake due rings it, now or for later.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// How many different times are kept; later ones are dropped, since the poll interval finds their wakes too.
const TIMES_MAX: usize = 64;

/// When the fetcher looks again. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    times: Arc<Mutex<BTreeSet<Instant>>>,
    changed: Arc<Notify>,
}

impl Alarm {
    /// Rings now.
    pub fn ring(&self) {
        self.ring_in(Duration::ZERO);
    }

    /// Rings after this time, too.
    pub fn ring_in(&self, after: Duration) {
        // Beyond the end of time nothing rings; an addition would panic.
        let Some(at) = Instant::now().checked_add(after) else { return };
        let mut times = self.times();
        let earliest = times.first().is_none_or(|&first| at < first);
        times.insert(at);
        if times.len() > TIMES_MAX {
            times.pop_last();
        }
        drop(times);
        if earliest {
            self.changed.notify_one();
        }
    }

    /// Forgets what has rung so far: called before a claim begins, so that what comes while it runs is not missed.
    pub(super) fn clear_rung(&self) {
        let now = Instant::now();
        let mut times = self.times();
        while times.first().is_some_and(|&at| at <= now) {
            times.pop_first();
        }
    }

    /// Waits until it rings.
    pub(super) async fn rung(&self) {
        loop {
            let changed = self.changed.notified();
            let first = self.times().first().copied();
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

    fn times(&self) -> MutexGuard<'_, BTreeSet<Instant>> {
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
        alarm.clear_rung();
        tokio::time::timeout(Duration::from_secs(5), alarm.rung()).await.unwrap();
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

//! The budget of requests that all processes share with each other: slots in time, reserved in the database, a few ahead.
//!
//! Architecture invariant: nobody hoards. A slot that is not used within two seconds of its time is gone.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alarm::Alarm;
use crate::db::Database;

/// How long after its time a slot may still be used.
const KEEP: Duration = Duration::from_secs(2);

/// How much time one reservation covers: long enough to be rare, short enough to be fair between processes.
const AHEAD: Duration = Duration::from_millis(100);

/// The most slots of one reservation.
const RESERVED_MAX: u32 = 1000;

/// Slots in hand.
#[derive(Debug)]
struct Slots {
    step: Duration,
    ready_at: VecDeque<Instant>,
    /// The times of those that were taken lately: what is given back is as old as it was.
    taken: VecDeque<Instant>,
    /// The fetcher waits for the next slot.
    ring: bool,
}

impl Slots {
    const fn new(step: Duration) -> Self {
        Self { step, ready_at: VecDeque::new(), taken: VecDeque::new(), ring: false }
    }

    fn push(&mut self, first: Instant, n: u32) {
        let mut at = first;
        for _ in 0..n {
            self.ready_at.push_back(at);
            at += self.step;
        }
    }

    /// Takes up to `max` slots whose time has come and is not long past.
    fn take(&mut self, max: usize, now: Instant) -> usize {
        for times in [&mut self.ready_at, &mut self.taken] {
            while times.front().is_some_and(|&at| at + KEEP < now) {
                times.pop_front();
            }
        }
        let ready = self.ready_at.iter().take(max).take_while(|&&at| at <= now).count();
        self.taken.extend(self.ready_at.drain(..ready));
        ready
    }

    fn give_back(&mut self, n: usize) {
        for _ in 0..n {
            // One that is no longer known was too old to be used again.
            let Some(at) = self.taken.pop_back() else { return };
            self.ready_at.push_front(at);
        }
    }
}

/// One upstream's budget, as this process sees it.
#[derive(Clone, Debug)]
pub struct Budget {
    slots: Arc<Mutex<Slots>>,
    wanted: Arc<Notify>,
    ready: Arc<Notify>,
    alarm: Alarm,
}

impl Budget {
    /// Starts the task that reserves slots while some are wanted. `alarm` is rung when there is one that was
    /// asked for by [`Self::want`].
    #[must_use]
    pub fn start(
        tasks: &TaskTracker,
        stop: CancellationToken,
        db: Database,
        provider: &'static str,
        requests_per_second: u32,
        alarm: Alarm,
    ) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        let budget = Self {
            slots: Arc::new(Mutex::new(Slots::new(interval))),
            wanted: Arc::new(Notify::new()),
            ready: Arc::new(Notify::new()),
            alarm,
        };
        let filling = budget.clone();
        tasks.spawn(async move {
            let filled = filling.fill(&db, provider, interval);
            tokio::select! {
                () = filled => {}
                () = stop.cancelled() => {}
            }
        });
        budget
    }

    async fn fill(&self, db: &Database, provider: &'static str, step: Duration) {
        let n = u32::try_from(AHEAD.as_nanos() / step.as_nanos().max(1))
            .unwrap_or(RESERVED_MAX)
            .clamp(1, RESERVED_MAX);
        loop {
            self.wanted.notified().await;
            match db.reserve_slots(provider, n, step).await {
                Ok(wait) => {
                    let ring = self.with_slots(|slots| {
                        slots.push(Instant::now() + wait, n);
                        std::mem::take(&mut slots.ring)
                    });
                    if ring {
                        self.alarm.ring_in(wait);
                    }
                    self.ready.notify_waiters();
                    // The next reservation only when this one's time has begun, or else it would reach ever further ahead.
                    tokio::time::sleep(wait).await;
                }
                Err(error) => {
                    tracing::warn!(
                        provider,
                        error = %crate::causes::causes(&error),
                        "no requests could be reserved"
                    );
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Takes up to `max` slots of those in hand that can be used now. None is reserved for this: who merely looks whether
    /// there is something to do must not take slots from those who have.
    #[must_use]
    pub fn take(&self, max: usize) -> usize {
        self.with_slots(|slots| slots.take(max, Instant::now()))
    }

    /// Sees to it that the alarm is rung as soon as there is a slot.
    pub fn want(&self) {
        let next = self.with_slots(|slots| {
            let next = slots.ready_at.front().copied();
            slots.ring = next.is_none();
            next
        });
        match next {
            Some(at) => self.alarm.ring_in(at.saturating_duration_since(Instant::now())),
            None => self.wanted.notify_one(),
        }
    }

    /// Waits for one slot.
    pub async fn one(&self) {
        loop {
            let ready = self.ready.notified();
            if self.take(1) == 1 {
                return;
            }
            self.wanted.notify_one();
            let next = self.with_slots(|slots| slots.ready_at.front().copied());
            let wait = next.map_or(AHEAD, |at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = ready => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Gives slots back that were taken for nothing. They do not last longer for it.
    pub fn give_back(&self, n: usize) {
        if n > 0 {
            self.with_slots(|slots| slots.give_back(n));
            self.ready.notify_waiters();
        }
    }

    fn with_slots<T>(&self, f: impl FnOnce(&mut Slots) -> T) -> T {
        f(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_at_their_time_and_expire() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut slots = Slots::new(second);
        slots.push(start, 5);
        assert_eq!(slots.take(10, start), 1);
        assert_eq!(slots.take(10, start), 0);
        assert_eq!(slots.take(1, start + 2 * second), 1);
        assert_eq!(slots.take(10, start + 2 * second), 1);
        // The slots of second 3 and 4 are long past in second 7.
        assert_eq!(slots.take(10, start + 7 * second), 0);
    }
    #[test]
    fn what_is_given_back_does_not_last_longer() {
        let start = Instant::now();
        let mut slots = Slots::new(Duration::from_millis(20));
        slots.push(start, 5);
        for looks in 0..100 {
            let now = start + Duration::from_millis(40 * looks);
            let taken = slots.take(100, now);
            slots.give_back(taken);
        }
        assert_eq!(slots.take(100, start + 2 * KEEP), 0);
        slots.give_back(5);
        assert_eq!(slots.take(100, start + 2 * KEEP), 0, "nothing was taken, nothing comes back");
    }
}

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
use crate::db::{
    Database, DbError,
    guests::{Pace, Reserving},
};

/// How long after its time a slot may still be used.
const KEEP: Duration = Duration::from_secs(2);

/// How much time one reservation covers: long enough to be rare, short enough to be fair between processes.
const AHEAD: Duration = Duration::from_millis(100);

/// The most slots of one reservation.
const RESERVED_MAX: u32 = 1000;

/// How often a slot that nobody wants is looked for.
const SPARE_LOOK_MIN: Duration = Duration::from_millis(20);
const SPARE_LOOK_MAX: Duration = Duration::from_millis(200);

/// Slots in hand.
#[derive(Debug)]
struct Slots {
    ready_at: VecDeque<Instant>,
    /// The times of those that were taken lately: what is given back is as old as it was.
    taken: VecDeque<Instant>,
    /// Runs that wait for a slot in the midst of their work. The first slots are theirs: at a slow pace, what is newly begun
    /// would else keep everybody from finishing.
    waiting: usize,
    /// The fetcher waits for the next slot.
    ring: bool,
    /// The pace that was last heard of.
    pace: Pace,
}

impl Slots {
    const fn new() -> Self {
        Self {
            ready_at: VecDeque::new(),
            taken: VecDeque::new(),
            waiting: 0,
            ring: false,
            pace: Pace::WHOLE,
        }
    }

    fn push(&mut self, first: Instant, step: Duration, n: u32) {
        let mut at = first;
        for _ in 0..n {
            self.ready_at.push_back(at);
            at += step;
        }
    }

    /// How many there are whose time has come and is not long past, up to `max`.
    fn ready(&mut self, max: usize, now: Instant) -> usize {
        for times in [&mut self.ready_at, &mut self.taken] {
            while times.front().is_some_and(|&at| at + KEEP < now) {
                times.pop_front();
            }
        }
        self.ready_at.iter().take(max).take_while(|&&at| at <= now).count()
    }

    /// Takes up to `max` slots that can be used now, beyond those of the runs that wait.
    fn take(&mut self, max: usize, now: Instant) -> usize {
        let ready = self.ready(max.saturating_add(self.waiting), now);
        let free = ready.saturating_sub(self.waiting);
        self.taken.extend(self.ready_at.drain(..free));
        free
    }

    /// Takes one, for a run that waits.
    fn take_one(&mut self, now: Instant) -> bool {
        let there = self.ready(1, now) == 1;
        if there {
            self.taken.extend(self.ready_at.pop_front());
        }
        there
    }

    fn give_back(&mut self, n: usize) {
        for _ in 0..n {
            // One that is no longer known was too old to be used again.
            let Some(at) = self.taken.pop_back() else { return };
            self.ready_at.push_front(at);
        }
    }

    /// None in hand may be used any more, nor given back to be used.
    fn clear(&mut self) {
        self.ready_at.clear();
        self.taken.clear();
    }
}

/// One upstream's budget, as this process sees it.
#[derive(Clone, Debug)]
pub struct Budget {
    db: Database,
    provider: &'static str,
    requests_per_second: u32,
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
        let budget = Self {
            db,
            provider,
            requests_per_second: requests_per_second.max(1),
            slots: Arc::new(Mutex::new(Slots::new())),
            wanted: Arc::new(Notify::new()),
            ready: Arc::new(Notify::new()),
            alarm,
        };
        let filling = budget.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = filling.fill() => {}
                () = stop.cancelled() => {}
            }
        });
        budget
    }

    async fn fill(&self) {
        let step = Duration::from_secs(1) / self.requests_per_second;
        let wished = Reserving { step, ahead: AHEAD, max: RESERVED_MAX };
        loop {
            self.wanted.notified().await;
            match self.db.reserve_slots(self.provider, wished).await {
                Ok(reserved) => {
                    let wait = reserved.wait;
                    let ring = self.with_slots(|slots| {
                        slots.push(Instant::now() + wait, reserved.step, reserved.count);
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
                        provider = self.provider,
                        error = %crate::causes::causes(&error),
                        "no requests could be reserved"
                    );
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// The upstream has had enough, and asks to be left alone for so long: the pace of all processes is halved, and what
    /// this one has in hand is worth nothing any more.
    pub async fn slow_down(&self, pause: Duration) -> Result<(), DbError> {
        self.forget_slots();
        let pace = self.db.slow_down(self.provider, pause).await?;
        self.note_pace(pace);
        Ok(())
    }

    /// The pace was lowered, by whomever: what this process has in hand was reserved before that, and is worth nothing.
    pub fn forget_slots(&self) {
        self.with_slots(Slots::clear);
    }

    /// The pace that is in force, as it was just seen: changes are logged, but not its growth.
    pub fn note_pace(&self, pace: Pace) {
        let before = self.with_slots(|slots| std::mem::replace(&mut slots.pace, pace));
        let per_minute = i64::from(self.requests_per_second) * i64::from(pace.0) * 60 / 1000;
        let (provider, requests_per_minute) = (self.provider, per_minute);
        if pace < before {
            tracing::info!(provider, requests_per_minute, "fewer requests are made, for a while");
        } else if pace == Pace::WHOLE && before < pace {
            tracing::info!(provider, requests_per_minute, "as many requests as configured again");
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
            let next = slots.ready_at.get(slots.waiting).copied();
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
        // No slot is further away than this.
        let _ = self.one_within(Duration::MAX).await;
    }

    /// Waits for one slot, unless the next one is further away than `max`, as it is while the upstream wants to be left
    /// alone: then it answers how far.
    pub async fn one_within(&self, max: Duration) -> Result<(), Duration> {
        let _waiting = Waiting::begin(self);
        loop {
            let ready = self.ready.notified();
            if self.with_slots(|slots| slots.take_one(Instant::now())) {
                return Ok(());
            }
            self.wanted.notify_one();
            let next = self.with_slots(|slots| slots.ready_at.front().copied());
            let wait = next.map_or(AHEAD, |at| at.saturating_duration_since(Instant::now()));
            if wait > max {
                return Err(wait);
            }
            tokio::select! {
                () = ready => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Waits for one slot that nobody wants, of all processes: of whoever else wants one, all come before. Answers whether
    /// there was one.
    pub async fn spare_within(&self, max: Duration) -> Result<bool, DbError> {
        let step = Duration::from_secs(1) / self.requests_per_second;
        let pause = step.clamp(SPARE_LOOK_MIN, SPARE_LOOK_MAX);
        let until = Instant::now() + max;
        loop {
            if self.db.take_spare_slot(self.provider, step).await? {
                return Ok(true);
            }
            if Instant::now() + pause > until {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
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

/// Counts as one that waits until it is dropped, however that comes about.
struct Waiting<'a>(&'a Budget);

impl<'a> Waiting<'a> {
    fn begin(budget: &'a Budget) -> Self {
        budget.with_slots(|slots| slots.waiting = slots.waiting.saturating_add(1));
        Self(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.with_slots(|slots| slots.waiting = slots.waiting.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_at_their_time_and_expire() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut slots = Slots::new();
        slots.push(start, second, 5);
        assert_eq!(slots.take(10, start), 1);
        assert_eq!(slots.take(10, start), 0);
        assert_eq!(slots.take(1, start + 2 * second), 1);
        assert_eq!(slots.take(10, start + 2 * second), 1);
        // The slots of second 3 and 4 are long past in second 7.
        assert_eq!(slots.take(10, start + 7 * second), 0);
    }

    #[test]
    fn who_waits_in_the_midst_of_its_work_comes_before_what_is_new() {
        let start = Instant::now();
        let mut slots = Slots::new();
        slots.push(start, Duration::ZERO, 4);
        slots.waiting = 3;
        assert_eq!(slots.take(10, start), 1);
        assert_eq!(slots.take(10, start), 0);
        for left in [2, 1, 0] {
            assert!(slots.take_one(start));
            slots.waiting = left;
        }
        assert!(!slots.take_one(start), "there were four");
    }

    #[test]
    fn what_was_in_hand_when_the_upstream_had_enough_is_gone() {
        let start = Instant::now();
        let mut slots = Slots::new();
        slots.push(start, Duration::ZERO, 4);
        assert_eq!(slots.take(2, start), 2);
        slots.clear();
        slots.give_back(2);
        assert_eq!(slots.take(10, start), 0);
    }

    #[test]
    fn what_is_given_back_does_not_last_longer() {
        let start = Instant::now();
        let mut slots = Slots::new();
        slots.push(start, Duration::from_millis(20), 5);
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

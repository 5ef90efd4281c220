//! Many polls at a time: their intervals stretch, so that all of them together take no more than half of the budget.
//!
//! Young polls, of what was accepted lately and is likely to change soon, and old ones may each have a half of that, and
//! what the other leaves: neither makes the other wait. A thousand orders that a supplier has got stuck on cost the next
//! customer nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::backoff::Schedule;
use crate::db::{Database, DbError, wakes::Polls};

/// How often the polls are counted, at the most; and the part of the time that this may take.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);
const COUNT_PART: u32 = 100;

/// A poll that was made less often than this before is young.
const YOUNG_TRIES: i32 = 12;

/// No interval is stretched beyond this.
const STRETCHED_MAX: Duration = Duration::from_hours(24);

/// Rates are counted in requests in so many seconds, so that whole numbers do.
const RATE_SECONDS: u128 = 1_000_000;

/// How polls are spread: none is made sooner than this after the last one of its line. The default stretches nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stretch {
    young: Duration,
    old: Duration,
}

/// Polls of one age.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    count: u128,
    /// How many the schedule would make in [`RATE_SECONDS`].
    wished: u128,
}

impl Class {
    fn add(&mut self, count: i64, interval: Duration) {
        let count = u128::try_from(count).unwrap_or(0);
        let each = RATE_SECONDS * 1_000_000 / interval.as_micros().max(1);
        self.count = self.count.saturating_add(count);
        self.wished = self.wished.saturating_add(count.saturating_mul(each));
    }

    /// The interval at which all of them fit into `room`; none if they do so by themselves.
    fn spacing(&self, room: u128) -> Duration {
        if self.wished <= room {
            return Duration::ZERO;
        }
        let micros = self.count.saturating_mul(RATE_SECONDS * 1_000_000) / room.max(1);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(STRETCHED_MAX)
    }
}

impl Stretch {
    /// How to spread so many polls (how many of each count of earlier ones) over a half of this many requests in 1,000 s.
    #[must_use]
    pub fn of(by_tries: &[(i32, i64)], schedule: &Schedule, requests_in_1000_s: u64) -> Self {
        let room = u128::from(requests_in_1000_s) * (RATE_SECONDS / 1000) / 2;
        let (mut young, mut old) = (Class::default(), Class::default());
        for &(tries, count) in by_tries {
            let class = if tries < YOUNG_TRIES { &mut young } else { &mut old };
            class.add(count, schedule.middle(tries));
        }
        let share = room / 2;
        Self {
            young: young.spacing(room.saturating_sub(old.wished.min(share))),
            old: old.spacing(room.saturating_sub(young.wished.min(share))),
        }
    }

    /// The interval of a poll that was made so often before, where the schedule says this one. A schedule that is slower by
    /// itself stays so.
    #[must_use]
    pub fn apply(&self, tries: i32, interval: Duration) -> Duration {
        interval.max(if tries < YOUNG_TRIES { self.young } else { self.old })
    }

    /// Whether it changes anything.
    fn is_felt(&self) -> bool {
        *self != Self::default()
    }
}

/// How the polls of all processes are to be spread, as this one saw it last. Clones share it. The default is alone.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    stretch: Arc<Mutex<Stretch>>,
}

impl Crowd {
    /// Starts the task that counts the polls now and then. `requests_per_second` is the whole budget.
    #[must_use]
    pub fn start(
        tasks: &TaskTracker,
        stop: CancellationToken,
        db: Database,
        requests_per_second: u32,
        schedule: Schedule,
    ) -> Self {
        let crowd = Self::default();
        let counting = crowd.clone();
        tasks.spawn(async move {
            loop {
                let began = Instant::now();
                let polls = db.open_polls().await;
                let pause = COUNT_INTERVAL.max(began.elapsed() * COUNT_PART);
                counting.learn(polls, &schedule, requests_per_second);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
            }
        });
        crowd
    }

    fn learn(&self, polls: Result<Polls, DbError>, schedule: &Schedule, requests_per_second: u32) {
        let by_tries = match polls {
            // By the whole budget: a pace that is slowed down is back within a minute, and intervals are longer.
            Ok(polls) => polls.by_tries,
            Err(error) => {
                tracing::warn!(error = %crate::causes::causes(&error), "polls were not counted");
                return;
            }
        };
        let requests_in_1000_s = u64::from(requests_per_second) * 1000;
        let now = Stretch::of(&by_tries, schedule, requests_in_1000_s);
        let before = self.with(|stretch| std::mem::replace(stretch, now));
        if before.is_felt() != now.is_felt() {
            let polls: i64 = by_tries.iter().map(|(_, count)| count).sum();
            tracing::info!(polls, stretched = now.is_felt(), "how often is polled has changed");
        }
    }

    /// The interval of a poll that was made so often before, where the schedule says this one.
    #[must_use]
    pub fn stretch(&self, tries: i32, interval: Duration) -> Duration {
        self.with(|stretch| stretch.apply(tries, interval))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Stretch) -> T) -> T {
        f(&mut self.stretch.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLLS: Schedule =
        Schedule { initial: Duration::from_secs(2), multiplier: 1.5, max: Duration::from_mins(5) };

    /// The budget of the default configuration, 10 requests a second.
    const TEN: u64 = 10_000;

    fn seconds(stretch: &Stretch, tries: i32) -> u64 {
        stretch.apply(tries, POLLS.middle(tries)).as_secs()
    }

    /// Polls a second of this crowd, in thousandths.
    fn taken(by_tries: &[(i32, i64)], stretch: &Stretch) -> u128 {
        let each = by_tries.iter().map(|&(tries, count)| {
            let interval = stretch.apply(tries, POLLS.middle(tries)).as_micros();
            u128::try_from(count).unwrap() * 1_000_000_000 / interval
        });
        each.sum()
    }

    #[test]
    fn a_few_polls_keep_their_schedule() {
        for crowd in [&[][..], &[(0, 6), (13, 500)], &[(13, 1400)]] {
            let stretch = Stretch::of(crowd, &POLLS, TEN);
            assert_eq!((seconds(&stretch, 0), seconds(&stretch, 20)), (2, 300), "{crowd:?}");
            assert!(!stretch.is_felt());
        }
    }

    #[test]
    fn ten_thousand_take_half_of_the_budget() {
        let old = [(20, 10_000)];
        let stretch = Stretch::of(&old, &POLLS, TEN);
        assert_eq!(seconds(&stretch, 20), 2000);
        assert_eq!(taken(&old, &stretch), 5000);
        // Who comes after them does not feel it, and what is slower by itself neither.
        assert_eq!(seconds(&stretch, 0), 2);
        assert_eq!(stretch.apply(30, Duration::from_hours(1)), Duration::from_hours(1));

        let young = [(0, 10_000)];
        let stretch = Stretch::of(&young, &POLLS, TEN);
        assert_eq!(seconds(&stretch, 0), 2000);
        assert_eq!(taken(&young, &stretch), 5000);
        assert_eq!(seconds(&stretch, 20), 300);

        let both = [(0, 10_000), (20, 10_000)];
        let stretch = Stretch::of(&both, &POLLS, TEN);
        assert_eq!((seconds(&stretch, 0), seconds(&stretch, 20)), (4000, 4000));
        // With half the budget, half as often.
        let stretch = Stretch::of(&both, &POLLS, TEN / 2);
        assert_eq!((seconds(&stretch, 0), seconds(&stretch, 20)), (8000, 8000));
    }

    #[test]
    fn no_interval_is_longer_than_a_day() {
        for crowd in [[(0, i64::MAX)], [(20, i64::MAX)], [(i32::MAX, i64::MAX)]] {
            for budget in [0, 1, u64::MAX] {
                let stretch = Stretch::of(&crowd, &POLLS, budget);
                for tries in [i32::MIN, 0, 11, 12, i32::MAX] {
                    assert!(seconds(&stretch, tries) <= 24 * 60 * 60, "{crowd:?} {budget}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn together_they_take_at_most_half(
            by_tries in prop::collection::vec((0..40, 0..5_000_i64), 0..8),
            requests_per_second in 5_u64..1000,
        ) {
            let budget = requests_per_second * 1000;
            let stretch = Stretch::of(&by_tries, &POLLS, budget);
            // Whole microseconds are left over here and there.
            let taken = taken(&by_tries, &stretch);
            prop_assert!(taken * 1000 <= u128::from(budget) / 2 * 1001, "{} of {}", taken, budget);
        }
    }
}

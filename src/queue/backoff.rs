//! The exponential schedule of polls and retries, computed from the persisted count: the delay is in the row, not in a
//! sleeping task. The only place that knows the `backoff` crate.

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};

/// After so many steps every schedule has reached its longest interval.
const STEPS_MAX: i32 = 64;

/// A schedule of growing intervals.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The first interval.
    pub initial: Duration,
    /// What each next one is multiplied with.
    pub multiplier: f64,
    /// No interval is longer than this, but for the jitter.
    pub max: Duration,
}

impl Schedule {
    /// The interval after `count` earlier ones, with a jitter of up to a quarter either way.
    #[must_use]
    pub fn interval(&self, count: i32) -> Duration {
        self.jittered(count, 0.25)
    }

    /// The same without the jitter.
    #[must_use]
    pub fn middle(&self, count: i32) -> Duration {
        self.jittered(count, 0.0)
    }

    fn jittered(&self, count: i32, randomization_factor: f64) -> Duration {
        let mut backoff = ExponentialBackoff {
            current_interval: self.initial,
            initial_interval: self.initial,
            randomization_factor,
            multiplier: self.multiplier,
            max_interval: self.max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        for _ in 0..count.clamp(0, STEPS_MAX) {
            let _ = backoff.next_backoff();
        }
        backoff.next_backoff().unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLLS: Schedule =
        Schedule { initial: Duration::from_secs(2), multiplier: 1.5, max: Duration::from_mins(5) };

    #[test]
    fn intervals_grow_to_the_longest_and_stay_there() {
        for (count, middle) in
            [(0, 2.0), (1, 3.0), (2, 4.5), (20, 300.0), (i32::MAX, 300.0), (-1, 2.0)]
        {
            for _ in 0..50 {
                let seconds = POLLS.interval(count).as_secs_f64();
                assert!((middle * 0.74..=middle * 1.26).contains(&seconds), "{count}: {seconds}");
            }
        }
    }
}

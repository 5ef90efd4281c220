//! Looks at lines while the upstream is shut.

use std::time::{Duration, Instant};

/// How often the circuits that other processes opened or closed are looked at.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// While the upstream is shut, so many lines are looked at in each [`LOOK_INTERVAL`] all the same: each says why it waits,
/// and whoever waits for too long is told of. No request is made for it.
const LOOKS_WHILE_SHUT_MAX: usize = 8;

/// The looks at lines while the upstream is shut, of the interval that began `since`.
#[derive(Debug)]
pub(super) struct Looks {
    left: usize,
    since: Instant,
}

impl Looks {
    pub(super) const fn begin(now: Instant) -> Self {
        Self { left: LOOKS_WHILE_SHUT_MAX, since: now }
    }

    pub(super) fn left(&mut self, now: Instant) -> usize {
        if now.saturating_duration_since(self.since) >= LOOK_INTERVAL {
            *self = Self::begin(now);
        }
        self.left
    }

    pub(super) const fn take(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n);
    }

    pub(super) fn give_back(&mut self, n: usize) {
        self.left = self.left.saturating_add(n).min(LOOKS_WHILE_SHUT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_while_shut_are_so_many_in_each_interval() {
        let start = Instant::now();
        let mut looks = Looks::begin(start);
        looks.give_back(5);
        assert_eq!(looks.left(start), LOOKS_WHILE_SHUT_MAX, "never more");
        looks.take(LOOKS_WHILE_SHUT_MAX + 1);
        looks.give_back(2);
        assert_eq!(looks.left(start + LOOK_INTERVAL / 2), 2, "what was not used can be");
        looks.take(2);
        assert_eq!(looks.left(start + LOOK_INTERVAL / 2), 0);
        assert_eq!(looks.left(start + LOOK_INTERVAL), LOOKS_WHILE_SHUT_MAX);
    }
}

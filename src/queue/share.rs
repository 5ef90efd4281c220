//! How the slots of a process are shared between the lanes.

use crate::db::wakes::Lane;

/// What runs, by lane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running([usize; Lane::ALL.len()]);

impl Running {
    fn index(lane: Lane) -> usize {
        usize::try_from(lane.number()).unwrap_or(0)
    }

    /// One more runs in this lane.
    pub(super) fn started(&mut self, lane: Lane) {
        if let Some(count) = self.0.get_mut(Self::index(lane)) {
            *count += 1;
        }
    }

    /// One less.
    pub(super) fn ended(&mut self, lane: Lane) {
        if let Some(count) = self.0.get_mut(Self::index(lane)) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many run in this lane.
    #[must_use]
    pub(super) fn of(&self, lane: Lane) -> usize {
        self.0.get(Self::index(lane)).copied().unwrap_or(0)
    }

    /// How many run in all.
    #[must_use]
    pub(super) fn total(&self) -> usize {
        self.0.iter().sum()
    }
}

/// The most that may run of a lane at a time. Their sum is more than the slots, so that none stands idle; none has them
/// all, so that no lane waits for another's backlog. A quarter is for new orders alone.
const fn lane_max(lane: Lane, concurrency: usize) -> usize {
    let share = match lane {
        Lane::Place => concurrency - concurrency / 4,
        Lane::Poll => concurrency / 2,
        Lane::Retry | Lane::Email => concurrency / 4,
        Lane::Audit => concurrency / 8,
    };
    if share == 0 { 1 } else { share }
}

/// How many more of a lane may be claimed, and how many in all.
#[must_use]
pub(super) fn free_slots(running: &Running, concurrency: usize) -> (Vec<(Lane, usize)>, usize) {
    let free = concurrency.saturating_sub(running.total());
    let others = running.total() - running.of(Lane::Place);
    let free_of_others = (concurrency - concurrency / 4).max(1).saturating_sub(others).min(free);
    let lanes = Lane::ALL
        .into_iter()
        .map(|lane| {
            let room = lane_max(lane, concurrency).saturating_sub(running.of(lane));
            let room = if lane == Lane::Place { room.min(free) } else { room.min(free_of_others) };
            (lane, room)
        })
        .collect();
    (lanes, free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(running: &Running, lane: Lane, concurrency: usize) -> usize {
        free_slots(running, concurrency).0.into_iter().find(|(l, _)| *l == lane).unwrap().1
    }

    #[test]
    fn a_quarter_is_kept_for_new_orders() {
        let mut running = Running::default();
        for _ in 0..16 {
            running.started(Lane::Poll);
        }
        for _ in 0..8 {
            running.started(Lane::Retry);
        }
        assert_eq!(room(&running, Lane::Email, 32), 0);
        assert_eq!(room(&running, Lane::Place, 32), 8);
    }

    #[test]
    fn new_orders_leave_a_quarter_to_the_rest() {
        let mut running = Running::default();
        for _ in 0..24 {
            running.started(Lane::Place);
        }
        assert_eq!(room(&running, Lane::Place, 32), 0);
        assert_eq!(room(&running, Lane::Poll, 32), 8);
    }

    #[test]
    fn one_slot_serves_every_lane() {
        for lane in Lane::ALL {
            assert_eq!(room(&Running::default(), lane, 1), 1, "{lane:?}");
        }
    }
}

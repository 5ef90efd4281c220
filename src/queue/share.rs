//! How the slots of a process are shared between the lanes.

use crate::db::wakes::Lane;

/// So many wakes may be on their way to being parked, beside those that run. A run that has ended leaves its slot before its
/// wake is parked: while one group of parks goes to the disk the next runs are under way.
const PARKING_MAX: usize = 1000;

/// What runs, by lane; and how many wakes are being parked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    lanes: [usize; Lane::ALL.len()],
    parking: usize,
}

impl Running {
    fn index(lane: Lane) -> usize {
        usize::try_from(lane.number()).unwrap_or(0)
    }

    /// One more runs in this lane.
    pub(super) fn started(&mut self, lane: Lane) {
        if let Some(count) = self.lanes.get_mut(Self::index(lane)) {
            *count += 1;
        }
    }

    /// One less.
    pub(super) fn ended(&mut self, lane: Lane) {
        if let Some(count) = self.lanes.get_mut(Self::index(lane)) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many run in this lane.
    #[must_use]
    pub(super) fn of(&self, lane: Lane) -> usize {
        self.lanes.get(Self::index(lane)).copied().unwrap_or(0)
    }

    /// How many run in all.
    #[must_use]
    pub(super) fn total(&self) -> usize {
        self.lanes.iter().sum()
    }

    /// A wake is about to be parked.
    pub(super) fn parks(&mut self) {
        self.parking += 1;
    }

    /// One is parked. Answers whether nothing was claimed for want of that.
    pub(super) fn parked(&mut self) -> bool {
        let was_full = self.parking >= PARKING_MAX;
        self.parking = self.parking.saturating_sub(1);
        was_full
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

/// Lanes that are claimed together, as they share a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Group {
    /// New orders. A quarter of the slots is theirs alone.
    New,
    /// What else goes upstream.
    Underway,
    /// What does not.
    Inward,
}

impl Group {
    /// Its lanes.
    #[must_use]
    pub(super) const fn lanes(self) -> &'static [Lane] {
        match self {
            Self::New => &[Lane::Place],
            Self::Underway => &[Lane::Retry, Lane::Poll],
            Self::Inward => &[Lane::Email, Lane::Audit],
        }
    }

    /// Whether its wakes are claimed only when the gate admits them.
    #[must_use]
    pub(super) fn is_gated(self) -> bool {
        self.lanes().iter().any(|lane| lane.goes_upstream())
    }
}

/// Groups in which something is thought to be due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Groups {
    new: bool,
    underway: bool,
    inward: bool,
}

impl Groups {
    /// Nobody knows: whether anything is due is looked at first.
    pub(super) const NONE: Self = Self { new: false, underway: false, inward: false };
    /// Anything may be.
    pub(super) const ALL: Self = Self { new: true, underway: true, inward: true };

    /// The group of a lane.
    #[must_use]
    pub(super) const fn of(lane: Lane) -> Self {
        match lane {
            Lane::Place => Self { new: true, ..Self::NONE },
            Lane::Retry | Lane::Poll => Self { underway: true, ..Self::NONE },
            Lane::Email | Lane::Audit => Self { inward: true, ..Self::NONE },
        }
    }

    /// Those of either.
    #[must_use]
    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            new: self.new || other.new,
            underway: self.underway || other.underway,
            inward: self.inward || other.inward,
        }
    }

    /// Whether this one is among them.
    #[must_use]
    pub(super) const fn has(self, group: Group) -> bool {
        match group {
            Group::New => self.new,
            Group::Underway => self.underway,
            Group::Inward => self.inward,
        }
    }
}

/// How many more may be claimed of a group.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Of each lane, without those that are full.
    pub(super) lanes: Vec<(Lane, usize)>,
    /// Of all its lanes together.
    pub(super) total: usize,
}

impl Running {
    /// How many more of a group may be claimed.
    #[must_use]
    pub(super) fn room(&self, group: Group, concurrency: usize) -> Room {
        let free = self.free(group == Group::New, concurrency);
        let lanes: Vec<(Lane, usize)> = group
            .lanes()
            .iter()
            .map(|&lane| (lane, self.room_of(lane, concurrency).min(free)))
            .filter(|(_, room)| *room > 0)
            .collect();
        let total = lanes.iter().map(|(_, room)| room).sum::<usize>().min(free);
        Room { lanes, total }
    }

    /// The slots that are free: for new orders, or for all else.
    fn free(&self, for_new: bool, concurrency: usize) -> usize {
        if self.parking >= PARKING_MAX {
            return 0;
        }
        let free = concurrency.saturating_sub(self.total());
        if for_new {
            return free;
        }
        let others = self.total() - self.of(Lane::Place);
        (concurrency - concurrency / 4).max(1).saturating_sub(others).min(free)
    }

    fn room_of(&self, lane: Lane, concurrency: usize) -> usize {
        lane_max(lane, concurrency).saturating_sub(self.of(lane))
    }

    /// Whether a lane could not be claimed from for want of slots.
    #[must_use]
    pub(super) fn is_full_somewhere(&self, concurrency: usize) -> bool {
        self.free(false, concurrency) == 0
            || Lane::ALL.into_iter().any(|lane| self.room_of(lane, concurrency) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_in_its_group() {
        for group in [Group::New, Group::Underway, Group::Inward] {
            assert!(Groups::ALL.has(group) && !Groups::NONE.has(group));
            for lane in Lane::ALL {
                assert_eq!(Groups::of(lane).has(group), group.lanes().contains(&lane), "{lane:?}");
            }
        }
        let both = Groups::of(Lane::Poll).or(Groups::of(Lane::Email));
        assert!(both.has(Group::Underway) && both.has(Group::Inward) && !both.has(Group::New));
    }

    fn room(running: &Running, lane: Lane, concurrency: usize) -> usize {
        [Group::New, Group::Underway, Group::Inward]
            .into_iter()
            .flat_map(|group| running.room(group, concurrency).lanes)
            .find(|(of, _)| *of == lane)
            .map_or(0, |(_, room)| room)
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
        assert!(running.is_full_somewhere(32));
    }

    #[test]
    fn nothing_is_claimed_while_too_many_are_being_parked() {
        let mut running = Running::default();
        for _ in 0..PARKING_MAX {
            assert_eq!(room(&running, Lane::Place, 32), 24);
            assert!(!running.is_full_somewhere(32));
            running.parks();
        }
        assert_eq!((room(&running, Lane::Place, 32), room(&running, Lane::Audit, 32)), (0, 0));
        assert!(running.is_full_somewhere(32));
        assert!(running.parked(), "whoever waits for it is to be told");
        assert!(!running.parked());
        assert_eq!(room(&running, Lane::Place, 32), 24);
    }

    #[test]
    fn lanes_that_are_claimed_together_have_no_more_together() {
        assert_eq!(Running::default().room(Group::Underway, 32).total, 24);
        let mut running = Running::default();
        for _ in 0..8 {
            running.started(Lane::Email);
        }
        let underway = running.room(Group::Underway, 32);
        assert_eq!(
            (underway.lanes, underway.total),
            (vec![(Lane::Retry, 8), (Lane::Poll, 16)], 16)
        );
        assert!(!Running::default().is_full_somewhere(32));
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

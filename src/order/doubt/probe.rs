//! Looking for an LJPc order in doubt by its number: ids are read upward from the highest of ours that was known at the
//! intent (`ljpc.order_id_probe`).
//!
//! The numbers of all of LJPc's customers are one sequence: 403 is somebody else's order, 404 none, or one that is not
//! shown yet. So an id that was unknown is read once more, `ljpc.in_doubt_grace` after all were read once, and only an order
//! that is in none of the ids up to the end, then, is called absent. Each handful of readings ends with one of an order that
//! is known to be ours: if even that one is not shown, what was read before it says nothing.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::order::{
    Money, Tag, UpstreamOrderId,
    facts::{Facts, Placement},
    wish::Wish,
};

/// So many unknown ids in a row are the end of the sequence.
pub const UNKNOWN_IN_A_ROW: usize = 20;

/// The most ids that are read for one placement, those that are read twice counted twice. What is not found by then is a
/// person's to find.
pub const READINGS_MAX: u32 = 4_000;

/// How often an id may give no answer, while the order that is known to be ours does, before it is gone on without it.
const FAILURES_MAX: u32 = 5;

/// By how much the two clocks may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// How far the reading of ids is: kept with its placement, so that it goes on where it was.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Probe {
    /// The id that is read next, where no earlier one is read again.
    next: i64,
    /// The ids below it that were unknown when they were read last.
    unknown: BTreeSet<i64>,
    /// Those of them that are still to be read again; none before the grace is over.
    again: Option<BTreeSet<i64>>,
    /// When it was known that all ids had been read once.
    #[serde(default)]
    first_ended_at: Option<DateTime<Utc>>,
    /// How many readings there were.
    readings: u32,
    /// An order that may be this one, and that only a person can judge.
    differs: Option<i64>,
    /// The order that is known to be ours is not shown: reading ids proves nothing.
    #[serde(default)]
    is_blind: bool,
    /// How often the id that is read next gave no answer, while others did.
    #[serde(default)]
    failures: u32,
    /// An id gave no answer however often it was read: that no other is this order proves nothing.
    #[serde(default)]
    skipped: Option<i64>,
}

/// What the reading of ids goes on with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeStep {
    /// This id is read.
    Read(UpstreamOrderId),
    /// All ids were read once; the unknown ones are read again when the grace is over.
    Waits,
    /// All were read, and the unknown ones again after the grace.
    Absent,
    /// There are too many, or one that nobody understands: a person must look.
    GivesUp,
}

/// What an id stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdSeen {
    /// No order, as far as LJPc shows (404).
    Unknown,
    /// Another order, ours or somebody else's.
    Other,
    /// It may be this one: it bears the tag of this or of an earlier placement of the line and is not what was ordered, or
    /// it is what was ordered and bears no tag that can be read.
    Differs,
}

impl Probe {
    /// Begins above the highest id of ours that was known at the intent.
    #[must_use]
    pub const fn above(floor: UpstreamOrderId) -> Self {
        Self {
            next: floor.0.saturating_add(1),
            unknown: BTreeSet::new(),
            again: None,
            first_ended_at: None,
            readings: 0,
            differs: None,
            is_blind: false,
            failures: 0,
            skipped: None,
        }
    }

    /// Notes that all ids have been read once, if they have: by readings of runs before this one, which began at `now`. So
    /// `now` is not older than the last of them.
    pub fn note_end(&mut self, now: DateTime<Utc>) {
        if self.first_ended_at.is_none() && self.is_at_end() {
            self.first_ended_at = Some(now);
            self.again = None;
        }
    }

    /// When all ids had been read once, as far as it was noted.
    #[must_use]
    pub const fn first_ended_at(&self) -> Option<DateTime<Utc>> {
        self.first_ended_at
    }

    /// Whether the unknown ids may be read again: a second look straight after the first one, as after a long outage, would
    /// see no more than that one did.
    #[must_use]
    pub fn has_rested(&self, now: DateTime<Utc>, grace: Duration) -> bool {
        let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
        self.first_ended_at.is_some_and(|at| now.signed_duration_since(at) >= grace)
    }

    /// The order that is known to be ours is not shown.
    pub const fn go_blind(&mut self) {
        self.is_blind = true;
    }

    /// What comes next; `may_repeat` lets the unknown ids be read again.
    pub fn step(&mut self, may_repeat: bool) -> ProbeStep {
        if self.readings >= READINGS_MAX || self.differs.is_some() || self.is_blind {
            return ProbeStep::GivesUp;
        }
        let at_end = self.is_at_end();
        if at_end && may_repeat && self.again.is_none() {
            self.again = Some(self.unknown.clone());
        }
        match self.again.as_ref().map(BTreeSet::first) {
            Some(Some(id)) => ProbeStep::Read(UpstreamOrderId(*id)),
            Some(None) if at_end && self.skipped.is_some() => ProbeStep::GivesUp,
            Some(None) if at_end => ProbeStep::Absent,
            None if at_end => ProbeStep::Waits,
            Some(None) | None => ProbeStep::Read(UpstreamOrderId(self.next)),
        }
    }

    /// Notes that an id gave no answer; after some times it is gone on without it.
    pub fn fail(&mut self, id: UpstreamOrderId) {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            self.readings = self.readings.saturating_add(1);
            return;
        }
        self.learn(id, IdSeen::Other);
        self.skipped = self.skipped.or(Some(id.0));
    }

    /// Notes what an id stands for.
    pub fn learn(&mut self, id: UpstreamOrderId, seen: IdSeen) {
        self.readings = self.readings.saturating_add(1);
        self.failures = 0;
        if let Some(again) = &mut self.again {
            again.remove(&id.0);
        }
        match seen {
            IdSeen::Unknown => drop(self.unknown.insert(id.0)),
            IdSeen::Other => drop(self.unknown.remove(&id.0)),
            IdSeen::Differs => self.differs = Some(id.0),
        }
        self.next = self.next.max(id.0.saturating_add(1));
    }

    /// An order that may be the one that is looked for.
    #[must_use]
    pub fn differs(&self) -> Option<UpstreamOrderId> {
        self.differs.map(UpstreamOrderId)
    }

    fn is_at_end(&self) -> bool {
        self.unknown_at_the_end() >= UNKNOWN_IN_A_ROW
    }

    /// How many ids just below the next one are unknown.
    fn unknown_at_the_end(&self) -> usize {
        let below = (0..self.next).rev().take(UNKNOWN_IN_A_ROW);
        below.take_while(|id| self.unknown.contains(id)).count()
    }

    /// For people: "ids up to 144 read, 12 of them unknown".
    #[must_use]
    pub fn told(&self) -> String {
        if let Some(id) = self.differs {
            return format!("LJPc order {id} may be this one: it is like it, but not in all");
        }
        if self.is_blind {
            return "LJPc does not show the order that ids are counted from: they prove nothing"
                .to_owned();
        }
        let up_to = self.next.saturating_sub(1);
        let again = if self.again.is_some() { ", those read twice" } else { "" };
        let skipped = self.skipped.map_or_else(String::new, |id| format!("; {id} gives no answer"));
        format!(
            "order ids up to {up_to} read, {} of them unknown{again}{skipped}",
            self.unknown.len()
        )
    }
}

/// An LJPc order as it is compared with what was sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OrderSeen {
    /// The tags that its summary and its line's description bear.
    pub tags: Vec<String>,
    /// The `type` of its one cart item; none where it has several, or shows none.
    pub item_type: Option<String>,
    /// The name that the cart item is for.
    pub domain: Option<String>,
    /// Of an item on one's own space.
    pub space_id: Option<i64>,
    /// Where the cart item has one.
    pub billing_period: Option<String>,
    /// When it was placed, where LJPc tells.
    pub created_at: Option<DateTime<Utc>>,
    /// What the account is charged.
    pub cost: Option<Money>,
}

/// Whether an order is the one that the placement asked for (`None`: it is): by its tag; then it must be what was ordered,
/// and younger than the intent.
#[must_use]
pub fn compare(facts: &Facts, placement: &Placement, seen: &OrderSeen) -> Option<IdSeen> {
    let is_of = |n: i32| {
        let tag = Tag::of_step(&facts.reference, facts.line, placement.step, n);
        seen.tags.iter().any(|seen| seen == tag.as_str())
    };
    if !is_of(placement.n) {
        let of_step = facts.placements.iter().filter(|it| it.step == placement.step);
        let is_earlier = of_step.map(|it| it.n).any(is_of);
        // LJPc may have rewritten the text that bore the tag.
        let is_nameless = seen.tags.is_empty() && is_what_was_ordered(facts, seen);
        return Some(if is_earlier || is_nameless { IdSeen::Differs } else { IdSeen::Other });
    }
    let is_younger = seen.created_at.is_none_or(|at| at >= placement.intended_at - CLOCKS_DIFFER);
    (!is_younger || !is_what_was_ordered(facts, seen)).then_some(IdSeen::Differs)
}

fn is_what_was_ordered(facts: &Facts, seen: &OrderSeen) -> bool {
    let is_of_type = |name: &str| seen.item_type.as_deref() == Some(name);
    let is_for_the_name = seen.domain.is_some() && seen.domain == facts.progress.domain;
    let is_ordered = match &facts.wish {
        Ok(Wish::Hosting(hosting)) => {
            let same_period = match (hosting.billing_period, seen.billing_period.as_deref()) {
                (Some(wished), Some(shown)) => wished.as_str() == shown,
                (None, _) | (_, None) => true,
            };
            is_of_type("hosting") && same_period
        }
        Ok(Wish::HostingOwn { space_id }) => {
            is_of_type("hosting_own") && seen.space_id == Some(*space_id)
        }
        Ok(Wish::Register(_) | Wish::Transfer(_)) => is_of_type("domain"),
        Ok(
            Wish::Update(_) | Wish::Dns(_) | Wish::CreateContact(_) | Wish::UpdateContact { .. },
        )
        | Err(_) => false,
    };
    is_for_the_name && is_ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads ids until something else comes; `known` are orders.
    fn read(probe: &mut Probe, past_grace: bool, known: &[i64]) -> (Vec<i64>, ProbeStep) {
        let mut ids = Vec::new();
        loop {
            match probe.step(past_grace) {
                ProbeStep::Read(id) => {
                    ids.push(id.0);
                    let is_known = known.contains(&id.0);
                    probe.learn(id, if is_known { IdSeen::Other } else { IdSeen::Unknown });
                }
                other @ (ProbeStep::Waits | ProbeStep::Absent | ProbeStep::GivesUp) => {
                    return (ids, other);
                }
            }
        }
    }

    #[test]
    fn ids_are_read_up_to_the_end_and_the_unknown_ones_again_after_the_grace() {
        let mut probe = Probe::above(UpstreamOrderId(100));
        let (ids, then) = read(&mut probe, false, &[101, 103]);
        assert_eq!((ids, then), ((101..=123).collect(), ProbeStep::Waits));
        assert_eq!(probe.step(false), ProbeStep::Waits, "nothing is read before the grace is over");

        // One of them was not shown at first, and a new one has come.
        let (ids, then) = read(&mut probe, true, &[101, 103, 105, 124]);
        let again = [102].into_iter().chain(104..=123).chain(124..=144);
        assert_eq!((ids, then), (again.collect(), ProbeStep::Absent));
        assert_eq!(probe.told(), "order ids up to 144 read, 40 of them unknown, those read twice");
    }

    #[test]
    fn the_second_reading_begins_a_grace_after_the_first_one_has_ended() {
        let minute = |n| DateTime::UNIX_EPOCH + TimeDelta::minutes(n);
        let grace = Duration::from_mins(15);
        let mut probe = Probe::above(UpstreamOrderId(100));
        // An outage was longer than the grace: nothing has been read yet.
        probe.note_end(minute(60));
        assert_eq!(probe.first_ended_at(), None);
        assert!(!probe.has_rested(minute(60), grace));
        assert_eq!(read(&mut probe, false, &[]).1, ProbeStep::Waits);
        for now in [61, 62] {
            probe.note_end(minute(now));
            assert_eq!(probe.first_ended_at(), Some(minute(61)));
        }
        assert!(!probe.has_rested(minute(75), grace));
        assert!(probe.has_rested(minute(76), grace));
        // A second reading of which nobody knows when the first one had ended is made anew.
        let mut stored = serde_json::to_value(&probe).unwrap();
        stored["first_ended_at"] = serde_json::Value::Null;
        stored["again"] = serde_json::json!([]);
        let mut probe: Probe = serde_json::from_value(stored).unwrap();
        probe.note_end(minute(90));
        assert_eq!(probe.step(probe.clone().has_rested(minute(90), grace)), ProbeStep::Waits);
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let mut probe = Probe::above(UpstreamOrderId(7));
        for _ in 0..5 {
            let ProbeStep::Read(id) = probe.step(false) else { panic!("there is more") };
            probe.learn(id, IdSeen::Unknown);
        }
        let stored = serde_json::to_value(&probe).unwrap();
        let mut again: Probe = serde_json::from_value(stored).unwrap();
        assert_eq!(again, probe);
        assert_eq!(again.step(false), ProbeStep::Read(UpstreamOrderId(13)));
    }

    #[test]
    fn an_id_that_gives_no_answer_is_gone_on_without_and_nothing_is_called_absent_then() {
        let mut probe = Probe::above(UpstreamOrderId(100));
        for _ in 0..FAILURES_MAX {
            assert_eq!(probe.step(false), ProbeStep::Read(UpstreamOrderId(101)));
            probe.fail(UpstreamOrderId(101));
        }
        assert_eq!(read(&mut probe, false, &[]).1, ProbeStep::Waits);
        assert_eq!(read(&mut probe, true, &[]).1, ProbeStep::GivesUp);
        assert!(probe.told().ends_with("; 101 gives no answer"), "{}", probe.told());
    }

    #[test]
    fn it_has_an_end_however_many_orders_there_are() {
        let mut probe = Probe::above(UpstreamOrderId(0));
        let mut read = 0;
        while let ProbeStep::Read(id) = probe.step(true) {
            probe.learn(id, IdSeen::Other);
            read += 1;
        }
        assert_eq!((read, probe.step(true)), (READINGS_MAX, ProbeStep::GivesUp));
        let mut probe = Probe::above(UpstreamOrderId(i64::MAX - 1));
        for _ in 0..3 {
            let ProbeStep::Read(id) = probe.step(false) else { break };
            probe.learn(id, IdSeen::Unknown);
        }
        assert_eq!(probe.step(false), ProbeStep::Read(UpstreamOrderId(i64::MAX)));
    }

    #[test]
    fn who_is_not_shown_what_is_known_to_be_ours_concludes_nothing() {
        let mut probe = Probe::above(UpstreamOrderId(7));
        probe.go_blind();
        assert_eq!(probe.step(true), ProbeStep::GivesUp);
        assert!(probe.told().contains("prove nothing"));
        // What an earlier release stored is read.
        let mut stored = serde_json::to_value(Probe::above(UpstreamOrderId(7))).unwrap();
        stored.as_object_mut().unwrap().remove("is_blind");
        assert_eq!(
            serde_json::from_value::<Probe>(stored).unwrap(),
            Probe::above(UpstreamOrderId(7))
        );
    }

    #[test]
    fn what_bears_the_tag_and_differs_is_a_persons() {
        let mut probe = Probe::above(UpstreamOrderId(7));
        probe.learn(UpstreamOrderId(8), IdSeen::Differs);
        assert_eq!(probe.step(true), ProbeStep::GivesUp);
        assert_eq!(probe.told(), "LJPc order 8 may be this one: it is like it, but not in all");
    }
}

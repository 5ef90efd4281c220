//! The fetcher: claims what is due, and knows how long there is nothing more to claim.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    engine::Inner,
    share::{Group, Groups, Room},
    watermark::{FullScan, Watermark},
};
use crate::{
    clock::Deadline,
    db::{
        DbError,
        wakes::{ClaimedWake, Lane, LaneDemand, LaneLook},
    },
};

/// How long the fetcher waits after the database has failed it.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What is due and could not be claimed is locked by somebody: so long it is left alone.
const LOCKED_WAIT: Duration = Duration::from_millis(20);

/// Of so many claims that the gate limits, one begins with what is under way already, and one with what goes no way
/// upstream: where slots are few, new orders may hold them all.
const TURNS: usize = 4;

/// A group that had nothing is not claimed of for so long while others have plenty, whatever rings: at full speed asking for
/// nothing, time after time, costs more than so small a delay. For a new order somebody waits.
const fn empty_rest(group: Group) -> Duration {
    match group {
        Group::New => Duration::from_millis(5),
        Group::Underway | Group::Inward => Duration::from_millis(50),
    }
}

/// When the fetcher comes round again if nothing rings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    /// After this time; zero if something is due already.
    pub(super) sleep: Duration,
    /// Groups in which something is due then.
    pub(super) due: Groups,
}

impl Next {
    /// Nobody knows of anything that is due.
    pub(super) const fn look_in(sleep: Duration) -> Self {
        Self { sleep, due: Groups::NONE }
    }

    /// Something is due in this lane after this time.
    fn note(&mut self, lane: Lane, after: Duration) {
        if after < self.sleep {
            *self = Self { sleep: after, due: Groups::of(lane) };
        } else if after == self.sleep {
            self.due = self.due.or(Groups::of(lane));
        }
    }
}

/// What the fetcher remembers of a lane.
#[derive(Clone, Copy, Debug)]
struct LaneMemory {
    mark: Watermark,
    scan: FullScan,
}

/// What the claims of one fetch have shown.
#[derive(Debug, Default)]
struct Round {
    /// Lanes of which all that was due was claimed.
    drained: Vec<Lane>,
    /// Those of them that were claimed from ahead of their marks: between the two there may be more.
    hasty: Vec<Lane>,
    /// Lanes with a free slot of which the gate admitted nothing.
    shut: Vec<Lane>,
    /// Lanes with a free slot of which nothing was claimed, as nothing was thought to be due, or as they lately had nothing.
    passed: Vec<Lane>,
    /// As many were claimed as were asked for: there may be more.
    filled: bool,
}

/// The fetcher's memory.
pub(super) struct Fetcher {
    inner: Arc<Inner>,
    lanes: HashMap<Lane, LaneMemory>,
    /// Counts the fetches that claimed something the gate limits, or in its turn what goes no way upstream.
    gated_turn: usize,
    /// Counts the fetches that claimed anything but new orders.
    other_turn: usize,
    /// Groups that had nothing when another filled its claim, and since when.
    empty: Vec<(Group, Instant)>,
}

impl Fetcher {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let memory = LaneMemory { mark: Watermark::default(), scan: FullScan::due(Instant::now()) };
        let lanes = Lane::ALL.into_iter().map(|lane| (lane, memory)).collect();
        Self { inner, lanes, gated_turn: 0, other_turn: 0, empty: Vec::new() }
    }

    /// Claims what can be run now of the groups in which something is thought to be due, and looks at the others.
    pub(super) async fn fetch(&mut self, mut due: Groups) -> Result<Next, DbError> {
        if !self.inner.presence.is_known() {
            return Ok(Next::look_in(AFTER_FAILURE));
        }
        // Each new order rings for new orders alone; they must not take all of the budget for that.
        if due.has(Group::New) && self.is_underway_first() {
            due = due.or(Groups::of(Lane::Poll));
        }
        let began = Instant::now();
        let mut round = Round::default();
        let (mut gated, mut others) = (false, false);
        self.empty.retain(|(group, since)| began.duration_since(*since) < empty_rest(*group));
        for group in self.order() {
            if !due.has(group) || self.empty.iter().any(|(empty, _)| *empty == group) {
                let room = self.inner.running().room(group, self.inner.settings.concurrency);
                round.passed.extend(room.lanes.into_iter().map(|(lane, _)| lane));
                continue;
            }
            let claimed = self.claim(group, &mut round).await?;
            gated |= claimed > 0 && (group.is_gated() || self.is_inward_first());
            others |= claimed > 0 && group != Group::New;
        }
        if !round.filled {
            self.empty.clear();
        }
        // Turns that got nothing are not counted: a rhythm of full and empty fetches would pass a group over for ever.
        self.gated_turn = self.gated_turn.wrapping_add(usize::from(gated));
        self.other_turn = self.other_turn.wrapping_add(usize::from(others));
        self.look(&round, began).await
    }

    /// The mark of a lane; none where all of it is to be gone through.
    fn mark(&self, lane: Lane, now: Instant) -> Option<Watermark> {
        let memory = self.lanes.get(&lane).filter(|memory| !memory.scan.is_due(now));
        memory.map(|memory| memory.mark)
    }

    /// New orders come first, but for a turn now and then: where the upstream's budget is the limit, they would leave
    /// nothing to the polls, and where slots are, nothing to the emails. The others take turns.
    fn order(&self) -> [Group; 3] {
        let inward_before_underway = self.other_turn % 2 == 1;
        if self.is_underway_first() {
            [Group::Underway, Group::New, Group::Inward]
        } else if self.is_inward_first() {
            [Group::Inward, Group::New, Group::Underway]
        } else if inward_before_underway {
            [Group::New, Group::Inward, Group::Underway]
        } else {
            [Group::New, Group::Underway, Group::Inward]
        }
    }

    fn is_underway_first(&self) -> bool {
        self.gated_turn % TURNS == TURNS - 1
    }

    /// Once it has claimed something, its turn is over: else a backlog of it would keep a slot that is the only one.
    fn is_inward_first(&self) -> bool {
        self.gated_turn % TURNS == 1
    }

    /// Claims of one group, and starts what was claimed. Answers how many that were.
    async fn claim(&mut self, group: Group, round: &mut Round) -> Result<usize, DbError> {
        let settings = self.inner.settings;
        let Room { mut lanes, total } = self.inner.running().room(group, settings.concurrency);
        if total == 0 {
            return Ok(0);
        }
        let admitted = if group.is_gated() { self.inner.gate.admit(total) } else { total };
        if admitted == 0 {
            round.shut.extend(lanes.into_iter().map(|(lane, _)| lane));
            return Ok(0);
        }
        let turns = lanes.len().max(1);
        lanes.rotate_left((self.other_turn / 2) % turns);
        let began = Instant::now();
        let demands = self.demands(&lanes, admitted, began);
        let lease = Deadline::after(settings.lease);
        let owner = self.inner.presence.owner();
        failpoint!("queue.before_claim");
        let result = self.inner.db.claim_wakes(&demands, admitted, settings.lease, owner).await;
        let got = result.as_ref().map_or(0, |(wakes, _)| wakes.len());
        let unused = admitted.saturating_sub(got);
        if group.is_gated() {
            self.inner.gate.give_back(unused);
        }
        let (claimed, took) = result?;
        self.learn(&demands, &claimed, admitted, (began, took), round);
        if got == 0 {
            self.empty.push((group, began));
        }
        for wake in claimed {
            failpoint!("queue.claimed");
            self.inner.start(wake, lease);
        }
        // What was claimed begins before the database is asked for more: else its run waits in this thread's queue.
        if got > 0 {
            tokio::task::yield_now().await;
        }
        Ok(got)
    }

    fn demands(&self, lanes: &[(Lane, usize)], total: usize, now: Instant) -> Vec<LaneDemand> {
        lanes
            .iter()
            .map(|&(lane, room)| {
                let watermark = self.mark(lane, now).and_then(|mark| mark.claimed_from(now));
                LaneDemand { lane, max: room.min(total), watermark }
            })
            .collect()
    }

    /// Moves the watermarks by what a claim has shown.
    fn learn(
        &mut self,
        demands: &[LaneDemand],
        claimed: &[ClaimedWake],
        total: usize,
        (began, took): (Instant, Duration),
        round: &mut Round,
    ) {
        let cut = claimed.len() >= total;
        round.filled |= cut;
        for demand in demands {
            let Some(memory) = self.lanes.get_mut(&demand.lane) else { continue };
            let of_lane = || claimed.iter().filter(|wake| wake.lane == demand.lane);
            let full_scan = memory.scan.is_due(began);
            let last = of_lane().max_by_key(|wake| wake.due_at);
            match last {
                Some(last) if cut || of_lane().count() >= demand.max => {
                    round.filled = true;
                    memory.mark.filled(last.due_at, (began, last.claimed_at), full_scan);
                }
                // The total was reached before this lane: nothing is known of it.
                None if cut => continue,
                _ => {
                    if memory.mark.is_ahead(began) && !full_scan {
                        round.hasty.push(demand.lane);
                    }
                    memory.mark.short();
                    round.drained.push(demand.lane);
                }
            }
            if full_scan {
                memory.scan.made(Instant::now(), took);
            }
        }
    }

    /// Looks when the next wake is due: of the lanes that were drained or passed over, and of those that the gate has shut,
    /// which it is told if something waits there.
    async fn look(&mut self, round: &Round, began: Instant) -> Result<Next, DbError> {
        // A stream of other work must not keep the gate from learning what it lacks.
        let (drained, passed, mut next) = if round.filled {
            (&[][..], &[][..], Next { sleep: Duration::ZERO, due: Groups::ALL })
        } else {
            let poll_interval = self.inner.settings.poll_interval;
            (&round.drained[..], &round.passed[..], Next::look_in(poll_interval))
        };
        let asked = Instant::now();
        let mark = |lane| self.lanes.get(&lane).and_then(|memory| memory.mark.get());
        let of_drained = drained.iter().map(|&lane| LaneLook { lane, watermark: mark(lane) });
        // A lane of which nothing is claimed is scanned in full by looking: else nobody would hear of a lease that has
        // expired below the mark, and the gate would never learn that something waits.
        let unclaimed = || passed.iter().chain(&round.shut).copied();
        let of_unclaimed = unclaimed().map(|lane| LaneLook {
            lane,
            watermark: self.mark(lane, asked).and_then(Watermark::get),
        });
        let looks: Vec<LaneLook> = of_drained.chain(of_unclaimed).collect();
        if looks.is_empty() {
            return Ok(next);
        }
        let seen = self.inner.db.next_wakes(&looks).await?;
        let is_due = |lane| seen.waits.iter().any(|(of, wait)| *of == lane && wait.is_zero());
        // A mark that rose past what is due all the same, since somebody has it locked or it has come after the claim, would
        // hide it until the next full scan.
        let empty = |lanes: &[Lane]| -> Vec<Lane> {
            lanes.iter().copied().filter(|&lane| !is_due(lane)).collect()
        };
        if let Some(now) = seen.now {
            self.drained(&empty(drained), now, began.elapsed());
            self.drained(&empty(passed), now, asked.elapsed());
        }
        self.scanned(unclaimed().filter(|&lane| !is_due(lane)), asked);
        let mut in_vain = Groups::NONE;
        for (lane, wait) in seen.waits {
            if !wait.is_zero() || passed.contains(&lane) {
                next.note(lane, wait);
                continue;
            }
            in_vain = in_vain.or(Groups::of(lane));
            if round.shut.contains(&lane) {
                self.inner.gate.lack();
            } else {
                let wait = if round.hasty.contains(&lane) { Duration::ZERO } else { LOCKED_WAIT };
                next.note(lane, wait);
            }
        }
        // What was claimed of in vain is claimed of again: were it passed over in the next round, it would be found due
        // there, and the fetcher would go from one group to the other without a pause.
        next.due = next.due.or(in_vain);
        Ok(next)
    }

    /// Notes the full scans among the looks of lanes at `asked` that have found nothing. Where one has found something, the
    /// claim is to find it, too.
    fn scanned(&mut self, empty: impl Iterator<Item = Lane>, asked: Instant) {
        for lane in empty {
            if let Some(memory) = self.lanes.get_mut(&lane)
                && memory.scan.is_due(asked)
            {
                memory.scan.made(Instant::now(), asked.elapsed());
            }
        }
    }

    /// Nothing was left in these lanes when they were claimed from, which was not before `ago` before the database's `now`.
    fn drained(&mut self, lanes: &[Lane], now: DateTime<Utc>, ago: Duration) {
        let then = TimeDelta::from_std(ago).map_or(now, |ago| now - ago);
        for lane in lanes {
            if let Some(memory) = self.lanes.get_mut(lane) {
                memory.mark.drained(then);
            }
        }
    }
}

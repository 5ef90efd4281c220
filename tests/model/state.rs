//! What there is: the rows of the database, the runs of the workers, the upstream, and what has happened.
//!
//! Counters that only serve to be compared are kept as the result of the comparison, which makes the space finite: the
//! fence (`run_token`, `owner`) is the run that it belongs to, and `kicks` is whether a run has missed one.

use chrono::{DateTime, Utc};
use provisor::order::{
    LineKind, LineStatus, Reference, SiteId, Tag, UpstreamOrderId,
    decide::PANICS_MAX,
    effect::EffectStep,
    facts::{Facts, NameFacts, Placement, Progress},
    ledger::{EffectState, Outcome},
    wish::{BillingPeriod, HostingWish, ProductKey, Wish},
};

use crate::{Budget, Limits};

/// More placements of one line than any limit of the searches allows: one, and one for each `--absent`.
pub(crate) const PLACEMENTS_MAX: usize = 3;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) lines: Vec<Line>,
    /// What each worker is at; none: idle.
    pub(crate) workers: Vec<Option<Run>>,
    /// What may still go wrong, or be done by a person.
    pub(crate) left: Budget,
}

/// A line with its ledger and its wake, and what the upstream has of it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Line {
    pub(crate) row: Row,
    pub(crate) placements: Vec<Placed>,
    pub(crate) wake: Wake,
    /// How often the upstream has carried out an order, by the number of its tag.
    pub(crate) bought: [u8; PLACEMENTS_MAX],
    /// Requests under way to the upstream for whose answer nobody waits any more, by the number of their tag.
    pub(crate) orphans: [u8; PLACEMENTS_MAX],
    pub(crate) history: History,
}

/// `order_lines`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Row {
    pub(crate) status: LineStatus,
    pub(crate) sent: bool,
    /// `upstream_order_id`
    pub(crate) borne: Option<i64>,
    /// `site_id`, where it was found, or named by a person, before its order was.
    pub(crate) has_site: bool,
    pub(crate) panics: i32,
}

/// `effects`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Placed {
    pub(crate) n: i32,
    pub(crate) state: EffectState,
    pub(crate) live: bool,
    pub(crate) id: Option<i64>,
}

/// `wakes`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Wake {
    /// `due_at` is now or at some time; false: `infinity`.
    pub(crate) due: bool,
    /// `lease_until` is in the future.
    pub(crate) leased: bool,
    /// The worker whose run bears the row's `run_token` and `owner`.
    pub(crate) holder: Option<usize>,
}

/// What no table holds, but the properties speak of.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub(crate) struct History {
    /// How often a person said "absent" of an order that was there or on its way.
    pub(crate) wrongly_absent: u8,
    /// Purchases whose answer was lost, by the number of their tag.
    pub(crate) unheard: [bool; PLACEMENTS_MAX],
    /// Evidence has named the order.
    pub(crate) found_by_id: bool,
    /// Evidence has named the site alone.
    pub(crate) found_by_site: bool,
    /// The event `bought_twice` was written.
    pub(crate) told_twice: bool,
    /// A byte was written without its intent in the ledger.
    pub(crate) wrote_unintended: bool,
    /// An intent was committed although the ledger knew of something bought, or maybe bought.
    pub(crate) sent_against_ledger: bool,
    /// A placement was accepted and then something else.
    pub(crate) unlearnt: bool,
    /// A transition was recorded that `LineStatus::may_become` does not allow.
    pub(crate) leapt: bool,
}

/// One run of a worker on a line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Run {
    pub(crate) line: usize,
    /// The facts as the run has read them; none before that, and none once they no longer matter.
    pub(crate) seen: Option<Seen>,
    /// The line was poked since the claim: `kicks` is no longer what was seen.
    pub(crate) poked: bool,
    pub(crate) at: At,
}

/// What the facts of a line are made of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Seen {
    pub(crate) row: Row,
    pub(crate) placement: Option<Placed>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum At {
    Claimed,
    ReadingCatalogue,
    ReadingOrder,
    /// Evidence: the next order ids, and the account's sites.
    ReadingIds,
    ReadingSites,
    /// The order is made up; TCP and TLS come first.
    Connecting(Request),
    Connected(Request),
    /// The intent's commit was confirmed.
    Committed(Request),
    /// The lease had not ended at the look. From here on, nothing can keep the bytes back.
    Looked(Request),
    Written(Request),
    /// The outcome is known to this run alone; `settled`: its attempt has an outcome in the ledger, but the run does
    /// not know, since the commit's answer was lost.
    Answered {
        request: Request,
        outcome: Outcome,
        settled: bool,
    },
    /// The ledger knows; the line does not yet.
    Recording(Record),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Request {
    /// Which placement.
    pub(crate) n: i32,
    /// The number in its tag, by which the upstream knows it.
    pub(crate) tag: i32,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Record {
    pub(crate) expected: LineStatus,
    pub(crate) to: Row,
    /// The line is looked at again, sooner or later.
    pub(crate) again: bool,
    /// What evidence says of which placement, and by which order.
    pub(crate) evidence: Option<(i32, EffectState, Option<i64>)>,
    /// Only a mutation: the doubtful placement is called not sent.
    pub(crate) blindly: bool,
}

impl State {
    pub(crate) fn new(limits: &Limits) -> Self {
        let line = Line {
            row: Row {
                status: LineStatus::Pending,
                sent: false,
                borne: None,
                has_site: false,
                // The next panic is the last one, so that one is enough to see what follows.
                panics: PANICS_MAX - 1,
            },
            placements: Vec::new(),
            wake: Wake { due: true, leased: false, holder: None },
            bought: [0; PLACEMENTS_MAX],
            orphans: [0; PLACEMENTS_MAX],
            history: History::default(),
        };
        Self {
            lines: vec![line; limits.lines],
            workers: vec![None; limits.workers],
            left: limits.budget,
        }
    }

    /// Whether the fence lets this worker's run through.
    pub(crate) fn is_fenced_in(&self, worker: usize) -> bool {
        self.workers[worker].is_some_and(|run| self.lines[run.line].wake.holder == Some(worker))
    }

    /// The runs on a line.
    pub(crate) fn runs_on(&self, line: usize) -> impl Iterator<Item = &Run> {
        self.workers.iter().flatten().filter(move |run| run.line == line)
    }

    /// Whether a request of the line is on its way, or can't be kept back any more.
    pub(crate) fn is_in_flight(&self, line: usize, tag: i32) -> bool {
        self.lines[line].orphans[slot(tag)] > 0
            || self.runs_on(line).any(|run| {
                matches!(run.at, At::Looked(request) | At::Written(request) if request.tag == tag)
            })
    }
}

impl Line {
    /// How much was bought for the line.
    pub(crate) fn bought_in_all(&self) -> u8 {
        self.bought.iter().sum()
    }

    /// The placement by which the line goes on.
    pub(crate) fn counting(&self) -> Option<Placed> {
        let placements: Vec<_> = self.placements.iter().map(Placed::as_placement).collect();
        let counts = Placement::that_counts(&placements, self.row.borne.map(UpstreamOrderId))?.n;
        self.placements.iter().find(|placed| placed.n == counts).copied()
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen { row: self.row, placement: self.counting() }
    }

    pub(crate) fn placed_mut(&mut self, n: i32) -> Option<&mut Placed> {
        self.placements.iter_mut().find(|placed| placed.n == n)
    }

    /// An answer has come late, and the line has not followed it yet.
    pub(crate) fn has_news(&self) -> bool {
        self.has_accepted() && self.row.borne.is_none() && !self.row.has_site
    }

    pub(crate) fn has_accepted(&self) -> bool {
        self.placements.iter().any(|placed| placed.state == EffectState::Accepted)
    }
}

impl Placed {
    fn as_placement(&self) -> Placement {
        Placement {
            step: EffectStep::PlaceOrder,
            n: self.n,
            state: self.state,
            live: self.live,
            upstream_order_id: self.id.map(UpstreamOrderId),
            site_id: None,
            price: None,
            contact_handle: None,
            detail: None,
            intended_at: DateTime::<Utc>::UNIX_EPOCH,
            order_id_floor: Some(UpstreamOrderId(0)),
            probe: None,
        }
    }
}

impl Seen {
    /// Whether a request was interrupted, or its outcome is in doubt.
    pub(crate) fn is_open(&self) -> bool {
        self.row.status == LineStatus::Placing
            && self.placement.is_some_and(|placed| placed.state.may_have_bought())
    }

    /// As `decide` wants them.
    pub(crate) fn facts(&self, line: usize) -> Facts {
        Facts {
            reference: Reference("SHOP-1001".to_owned()),
            line: i32::try_from(line).unwrap(),
            kind: LineKind::Hosting,
            wish: Ok(Wish::Hosting(HostingWish {
                product: ProductKey::Package("hosting_5gb".to_owned()),
                billing_period: Some(BillingPeriod::Monthly),
                target_url: None,
            })),
            cost_limit: None,
            allow_premium: false,
            progress: Progress {
                upstream_order_id: self.row.borne.map(UpstreamOrderId),
                site_id: self.row.has_site.then_some(SiteId(1)),
                panics: self.row.panics,
                ..Progress::new(self.row.status, Some("example.nl".to_owned()))
            },
            placements: self.placement.as_ref().map(Placed::as_placement).into_iter().collect(),
            lines: Vec::new(),
            name: NameFacts::default(),
            submitted_at: DateTime::<Utc>::UNIX_EPOCH,
            is_older_than_restore: false,
            now: DateTime::<Utc>::UNIX_EPOCH,
        }
    }
}

/// The index of a tag's number.
pub(crate) fn slot(tag: i32) -> usize {
    usize::try_from(tag - 1).unwrap()
}

/// The number in a tag: what stands behind `#`, or 1.
pub(crate) fn number(tag: &Tag) -> i32 {
    tag.as_str().split_once('#').map_or(1, |(_, n)| n.parse().unwrap())
}

/// The id of the LJPc order that a tag of a line bought.
pub(crate) fn order_id(line: usize, tag: i32) -> i64 {
    i64::try_from(line).unwrap() * 10 + i64::from(tag)
}

//! What there is: rows, runs, what LJPc has, and what has happened.

use chrono::{DateTime, TimeDelta, Utc};
use provisor::order::{
    ContactHandle, LineKind, LineStatus, Milestone, Reference,
    decide::{Change, PANICS_MAX},
    domain::{Record as DnsRecord, Registrant},
    effect::EffectStep,
    facts::{Facts, NameFacts, Placement, Progress},
    ledger::{EffectState, Outcome},
    wish::{NameWish, Route, Wish},
};

use super::{
    Limits, Plan,
    upstream::{Ask, Heard, Upstream},
};

/// What a line buys, whichever it is.
pub(crate) const fn purchase(plan: Plan) -> EffectStep {
    if plan.is_transfer { EffectStep::Transfer } else { EffectStep::Register }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) lines: Vec<Line>,
    /// Sorted.
    pub(crate) runs: Vec<Run>,
    pub(crate) upstream: Upstream,
    /// `contacts` has the customer's.
    pub(crate) contact_is_known: bool,
    /// How often a contact was in doubt, and was found or given up.
    pub(crate) contacts_doubted: u8,
    /// What may still go wrong.
    pub(crate) mishaps: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Line {
    pub(crate) plan: Plan,
    pub(crate) row: Row,
    /// The one that was intended last at the end.
    pub(crate) placements: Vec<Placed>,
    pub(crate) wake: Wake,
    pub(crate) history: History,
}

/// `order_lines`
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub(crate) struct Row {
    pub(crate) status: LineStatus,
    pub(crate) sent: bool,
    /// `contact_handle`
    pub(crate) has_handle: bool,
    pub(crate) milestone: Option<Milestone>,
    /// `accepted_at`
    pub(crate) is_accepted: bool,
    /// Its name was seen in the account once.
    pub(crate) is_sighted: bool,
    /// `failed_seen_at`: it was looked for once, and not seen.
    pub(crate) is_missed: bool,
    /// `simple_status`: LJPc has last said that it is here.
    pub(crate) is_said_here: bool,
    /// `refused`
    pub(crate) is_refused: bool,
    /// And says that the zone's records were.
    pub(crate) zone_is_told: bool,
    pub(crate) panics: i32,
}

/// `effects`
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Placed {
    pub(crate) step: EffectStep,
    pub(crate) n: i32,
    pub(crate) state: EffectState,
    pub(crate) live: bool,
    /// `contact_handle`
    pub(crate) has_handle: bool,
    /// LJPc has said that the name exists already.
    pub(crate) said_to_exist: bool,
}

/// `wakes`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Wake {
    pub(crate) due: bool,
    pub(crate) leased: bool,
}

/// What no table holds, but the properties speak of.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub(crate) struct History {
    /// The placements under which LJPc has bought.
    pub(crate) bought: Vec<i32>,
    /// How often a person said of a purchase that was there, or on its way, that there is none or that it does not matter.
    pub(crate) wrongly: u8,
    /// Evidence has told of a purchase.
    pub(crate) found: bool,
    /// The event `bought_twice` was written.
    pub(crate) told_twice: bool,
    pub(crate) wrote_unintended: bool,
    pub(crate) sent_against_ledger: bool,
    pub(crate) unlearnt: bool,
    pub(crate) leapt: bool,
}

/// One run on a line.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Run {
    pub(crate) line: usize,
    /// It bears the wake's `run_token`.
    pub(crate) is_fenced_in: bool,
    pub(crate) is_poked: bool,
    pub(crate) seen: Seen,
    pub(crate) heard: Heard,
    pub(crate) at: At,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum At {
    Asking(Ask),
    /// The request is made up, and the connection stands.
    Connected(Request),
    Committed(Request),
    Written(Request),
    /// `said_to_exist`: of a refusal.
    Answered {
        request: Request,
        outcome: Outcome,
        said_to_exist: bool,
    },
    Recording(Record),
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Request {
    pub(crate) step: EffectStep,
    pub(crate) n: i32,
    /// The line while it is under way.
    pub(crate) during: Row,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Record {
    pub(crate) expected: LineStatus,
    pub(crate) to: Row,
    pub(crate) evidence: Option<(EffectStep, i32, EffectState)>,
    /// The line is looked at again, sooner or later.
    pub(crate) again: bool,
}

/// The facts as a run has read them.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Seen {
    pub(crate) row: Row,
    pub(crate) placements: Vec<Placed>,
    pub(crate) has_rival: bool,
    pub(crate) is_owned: bool,
    pub(crate) contact_is_known: bool,
    pub(crate) zone_is_anothers: bool,
}

impl State {
    pub(crate) fn new(limits: &Limits) -> Self {
        let line = |&plan: &Plan| Line {
            plan,
            row: Row {
                status: LineStatus::Pending,
                sent: false,
                has_handle: false,
                milestone: None,
                is_accepted: false,
                is_sighted: false,
                is_missed: false,
                is_said_here: false,
                is_refused: false,
                zone_is_told: false,
                // The next panic is the last one, so that one is enough to see what follows.
                panics: PANICS_MAX - 1,
            },
            placements: Vec::new(),
            wake: Wake { due: true, leased: false },
            history: History::default(),
        };
        Self {
            lines: limits.lines.iter().map(line).collect(),
            runs: Vec::new(),
            upstream: Upstream::default(),
            contact_is_known: false,
            contacts_doubted: 0,
            mishaps: limits.mishaps,
        }
    }

    /// The lines of the same name, but for this one.
    pub(crate) fn others(&self, line: usize) -> impl Iterator<Item = (usize, &Line)> {
        let name = self.lines[line].plan.name;
        let all = self.lines.iter().enumerate();
        all.filter(move |&(index, other)| index != line && other.plan.name == name)
    }

    /// An older line of the name has not ended: `rival`.
    pub(crate) fn has_rival(&self, line: usize) -> bool {
        self.others(line).any(|(index, other)| index < line && !other.row.status.is_ended())
    }

    /// What loading a line reads.
    pub(crate) fn load(&self, line: usize) -> Seen {
        let row = self.lines[line].row;
        let has_brought = |other: &Line| {
            other.row.status == LineStatus::Completed || other.row.milestone.is_some()
        };
        let has_written = |other: &Line| {
            other.placements.iter().any(|placed| {
                placed.step == EffectStep::ReplaceRecords && placed.state == EffectState::Accepted
            })
        };
        let asks = matches!(row.status, LineStatus::Pending | LineStatus::InDoubt);
        Seen {
            row,
            placements: self.lines[line].placements.clone(),
            has_rival: self.has_rival(line),
            is_owned: asks && self.others(line).any(|(_, other)| has_brought(other)),
            contact_is_known: self.contact_is_known,
            zone_is_anothers: self
                .others(line)
                .any(|(index, other)| index > line && has_written(other)),
        }
    }

    /// Whether a request of the line is on its way.
    pub(crate) fn is_in_flight(&self, line: usize, step: EffectStep, n: i32) -> bool {
        let written = |run: &Run| match run.at {
            At::Written(request) => run.line == line && (request.step, request.n) == (step, n),
            _ => false,
        };
        self.upstream.on_their_way.contains(&(line, step, n)) || self.runs.iter().any(written)
    }

    /// Nothing will happen to the line by itself.
    pub(crate) fn is_at_rest(&self, line: usize) -> bool {
        let wake = self.lines[line].wake;
        !wake.due
            && !wake.leased
            && !self.runs.iter().any(|run| run.line == line)
            && !self.upstream.on_their_way.iter().any(|&(of, ..)| of == line)
    }
}

impl Line {
    pub(crate) fn placed_mut(&mut self, step: EffectStep, n: i32) -> Option<&mut Placed> {
        self.placements.iter_mut().find(|placed| (placed.step, placed.n) == (step, n))
    }

    /// The placements of a step.
    pub(crate) fn of_step(&self, step: EffectStep) -> impl Iterator<Item = &Placed> {
        self.placements.iter().filter(move |placed| placed.step == step)
    }
}

impl Row {
    /// The row that a change makes of this one.
    pub(crate) fn after(self, change: &Change) -> Self {
        let progress = &change.progress;
        Self {
            status: progress.status,
            sent: self.sent,
            has_handle: progress.contact_handle.is_some(),
            milestone: progress.milestone,
            is_accepted: progress.accepted_at.is_some(),
            is_sighted: progress.completed_seen_at.is_some(),
            is_missed: progress.failed_seen_at.is_some(),
            is_said_here: progress.simple_status.as_deref() == Some("active"),
            is_refused: progress.refused.is_some(),
            zone_is_told: progress.refused.as_deref().is_some_and(|t| t.contains("DNS records")),
            panics: progress.panics,
        }
    }
}

/// The one contact that all lines want.
pub(crate) fn handle() -> ContactHandle {
    ContactHandle("handle-1".to_owned())
}

pub(crate) fn domain_of(plan: Plan) -> String {
    ["example.nl", "example.com"][plan.name].to_owned()
}

/// The zone's one record.
pub(crate) fn record() -> DnsRecord {
    DnsRecord {
        kind: "A".to_owned(),
        name: "@".to_owned(),
        content: "192.0.2.1".to_owned(),
        ttl: 3600,
        prio: None,
    }
}

impl Seen {
    /// As `decide` wants them.
    pub(crate) fn facts(&self, line: usize, plan: Plan) -> Facts {
        let wish = NameWish {
            years: 1,
            nameservers: Vec::new(),
            contact_handle: None,
            auto_renew: Some(false),
            transfer_lock: None,
            dns: Some(vec![record()]),
            route: Route::Direct,
        };
        let epoch = DateTime::<Utc>::UNIX_EPOCH;
        let row = self.row;
        Facts {
            reference: Reference(format!("SHOP-{line}")),
            line: 0,
            kind: if plan.is_transfer {
                LineKind::DomainTransfer
            } else {
                LineKind::DomainRegister
            },
            wish: Ok(if plan.is_transfer { Wish::Transfer(wish) } else { Wish::Register(wish) }),
            cost_limit: None,
            allow_premium: false,
            progress: Progress {
                contact_handle: row.has_handle.then(handle),
                milestone: row.milestone,
                accepted_at: row.is_accepted.then_some(epoch),
                completed_seen_at: row.is_sighted.then_some(epoch),
                failed_seen_at: row.is_missed.then_some(epoch),
                simple_status: row.is_said_here.then(|| "active".to_owned()),
                refused: self.refusal(),
                in_doubt_at: (row.status == LineStatus::InDoubt).then_some(epoch),
                panics: row.panics,
                ..Progress::new(row.status, Some(domain_of(plan)))
            },
            placements: self.placements.iter().map(Placed::as_placement).collect(),
            lines: Vec::new(),
            name: NameFacts {
                rival: self.has_rival.then(|| "SHOP-0/0".to_owned()),
                is_owned: self.is_owned,
                zone_written_by: self.zone_is_anothers.then(|| "SHOP-1/0".to_owned()),
                registrant: Some(registrant()),
                contact_handle: self.contact_is_known.then(handle),
                ..NameFacts::default()
            },
            submitted_at: epoch,
            is_older_than_restore: false,
            now: epoch,
        }
    }
}

impl Seen {
    /// What a refused wish is told by: the zone's names its step, and the settings' need not.
    fn refusal(&self) -> Option<String> {
        let row = self.row;
        row.is_refused.then(|| {
            let of_zone = if row.zone_is_told { "LJPc refused the DNS records: No" } else { "" };
            format!("LJPc refused the change of the name: No; {of_zone}")
        })
    }
}

fn registrant() -> Registrant {
    Registrant {
        name: "Bob Example".to_owned(),
        organization: None,
        address: "Teststreet 1".to_owned(),
        postal_code: "1234AB".to_owned(),
        city: "Testcity".to_owned(),
        country: "NL".to_owned(),
        email: "bob@example.com".to_owned(),
        phone: "+31612345678".to_owned(),
    }
}

impl Placed {
    pub(crate) fn as_placement(&self) -> Placement {
        Placement {
            step: self.step,
            n: self.n,
            state: self.state,
            live: self.live,
            upstream_order_id: None,
            site_id: None,
            price: None,
            contact_handle: self.has_handle.then(handle),
            detail: self.said_to_exist.then(|| "The domain already exists".to_owned()),
            // Long ago: what LJPc accepted and does not show is sent once more.
            intended_at: DateTime::<Utc>::UNIX_EPOCH - TimeDelta::hours(1),
            order_id_floor: None,
            probe: None,
        }
    }
}

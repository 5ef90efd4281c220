//! What is known of a line when its next step is decided.

use chrono::{DateTime, Utc};
use std::time::Duration;

use super::{
    LineKind, LineStatus, Money, Reference, SiteId, Tag, UpstreamOrderId,
    catalogue::Product,
    ledger::{EffectState, NextPlacement, next_placement},
    status::LineState,
    text_enum::text_enum,
    wish::Wish,
};

/// What of a line changes while it is worked on: read at the start of a run, written back whole at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Where it stands.
    pub status: LineStatus,
    /// One sentence, where there is something to say.
    pub reason: Option<String>,
    /// As submitted, lower case; an A-label once normalised.
    pub domain: Option<String>,
    /// The LJPc order that delivers it.
    pub upstream_order_id: Option<UpstreamOrderId>,
    /// What was delivered.
    pub site_id: Option<SiteId>,
    /// What the account is charged.
    pub cost: Option<Money>,
    /// The upstream's `simple_status`, as last read.
    pub simple_status: Option<String>,
    /// When the upstream accepted it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it was first read as failed, since it last was anything else.
    pub failed_seen_at: Option<DateTime<Utc>>,
    /// When it was first read as completed without a site.
    pub completed_seen_at: Option<DateTime<Utc>>,
    /// When its outcome became unknown.
    pub in_doubt_at: Option<DateTime<Utc>>,
    /// When the operator and the customer were told that it takes long.
    pub overdue_told_at: Option<DateTime<Utc>>,
    /// How often its handler has panicked since a person last looked.
    pub panics: i32,
}

/// A placement of the line's order, from the ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placement {
    /// 1, 2, …
    pub n: i32,
    /// What is known of it.
    pub state: EffectState,
    /// It keeps other placements of the line, and of its domain, out of the ledger. Nothing is decided by it: an
    /// acceptance that comes late counts, even if the placement was given up.
    pub live: bool,
    /// Where the upstream accepted it.
    pub upstream_order_id: Option<UpstreamOrderId>,
    /// What the upstream said last, cleaned.
    pub detail: Option<String>,
}

impl Placement {
    /// The placement by which the line's next step is decided: the one whose order the line bears, or else one that the
    /// upstream has accepted, or else the latest.
    ///
    /// Not simply the latest: a person may have said of an earlier one that it does not exist, and been wrong. Once the
    /// truth is known, the line must neither send again nor fail by what came of the later one.
    #[must_use]
    pub fn that_counts(placements: &[Self], borne: Option<UpstreamOrderId>) -> Option<&Self> {
        placements.iter().max_by_key(|placement| {
            let is_borne = borne.is_some() && placement.upstream_order_id == borne;
            (is_borne, placement.state == EffectState::Accepted, placement.n)
        })
    }
}

/// A line and all that its next step depends on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The shop's reference of the order.
    pub reference: Reference,
    /// Index in the order, from 0.
    pub line: i32,
    /// What it is.
    pub kind: LineKind,
    /// What it asks for; the error's text where this version can't read it.
    pub wish: Result<Wish, String>,
    /// `max_cost`, or what a person has allowed since.
    pub cost_limit: Option<Money>,
    /// Where it stands.
    pub progress: Progress,
    /// The placement that counts, if there is one.
    pub placement: Option<Placement>,
    /// All lines of the order, this one too.
    pub lines: Vec<LineState>,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

impl Facts {
    /// Which placement the next request would be, and under which tag.
    #[must_use]
    pub fn next_placement(&self) -> Option<(i32, Tag)> {
        let latest = self.placement.as_ref().map(|placement| (placement.n, placement.state));
        match next_placement(latest) {
            NextPlacement::New(n) | NextPlacement::Again(n) => {
                Some((n, Tag::new(&self.reference, self.line, n)))
            }
            NextPlacement::Forbidden => None,
        }
    }
}

text_enum! {
    /// `simple_status` of GET /api/v1/orders/{id}.
    SimpleStatus {
        /// Not begun.
        Pending = "pending",
        /// Begun.
        Processing = "processing",
        /// Delivered.
        Completed = "completed",
        /// Not delivered; their staff may still repair it.
        Failed = "failed",
        /// A word that the document does not have: polled on.
        Unknown = "unknown",
    }
}

/// What a poll of the line's LJPc order has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reading {
    /// The order, as it stands.
    Order {
        /// Decides.
        simple_status: SimpleStatus,
        /// Of the order's one line.
        site_id: Option<SiteId>,
    },
    /// An answer that should not be: 404 just after the creation, 403 for an order of ours. Looked at again.
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
    /// No answer that can be used: an outage. It says nothing of the order, but time passes all the same.
    Unanswered,
}

/// What a run has read upstream so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The catalogue.
    pub catalogue: Option<&'a [Product]>,
    /// The line's order.
    pub reading: Option<&'a Reading>,
}

/// How long the contract's configuration waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `poll.failed_recheck`
    pub failed_recheck: Duration,
    /// `poll.site_id_wait`
    pub site_id_wait: Duration,
    /// `poll.overdue_after`
    pub overdue_after: Duration,
}

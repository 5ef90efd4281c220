//! What is known of a line when its next step is decided.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    Cause, ContactHandle, LineKind, LineStatus, Milestone, Money, Reference, SiteId, Tag,
    UpstreamOrderId,
    domain::{Alternative, DomainSeen, Offer, Record, Registrant, Tld, UpstreamContact},
    effect::EffectStep,
    kinds::catalogue::Product,
    ledger::{EffectState, NextPlacement, next_placement},
    status::LineState,
    text_enum::text_enum,
    wish::{Route, Wish},
};

pub use super::ledger::Placement;

/// What of a line changes while it is worked on: read at the start of a run, written back whole at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Where it stands.
    pub status: LineStatus,
    /// One sentence, where there is something to say.
    pub reason: Option<String>,
    /// As submitted, lower case; an A-label once normalised.
    pub domain: Option<String>,
    /// Why, as far as its customer may read of it.
    pub cause: Option<Cause>,
    /// How far a name has come.
    pub milestone: Option<Milestone>,
    /// What of the wishes was refused: the reason of a line that is completed all the same.
    pub refused: Option<String>,
    /// The WHOIS contact of the name.
    pub contact_handle: Option<ContactHandle>,
    /// Until when the name is registered.
    pub expires_at: Option<DateTime<Utc>>,
    /// Names that may be had instead of one that is taken.
    pub alternatives: Option<Vec<Alternative>>,
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
    /// Since when readings show what would end the line, and is not believed at once: completed without a site, a name.
    pub completed_seen_at: Option<DateTime<Utc>>,
    /// When its outcome became unknown.
    pub in_doubt_at: Option<DateTime<Utc>>,
    /// When the operator and the customer were told that it takes long.
    pub overdue_told_at: Option<DateTime<Utc>>,
    /// How often its handler has panicked since a person last looked.
    pub panics: i32,
}

impl Progress {
    /// A line of which nothing is known yet but where it stands and for which name.
    #[must_use]
    pub fn new(status: LineStatus, domain: Option<String>) -> Self {
        Self {
            status,
            reason: None,
            domain,
            cause: None,
            milestone: None,
            refused: None,
            contact_handle: None,
            expires_at: None,
            alternatives: None,
            upstream_order_id: None,
            site_id: None,
            cost: None,
            simple_status: None,
            accepted_at: None,
            failed_seen_at: None,
            completed_seen_at: None,
            in_doubt_at: None,
            overdue_told_at: None,
            panics: 0,
        }
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
    /// A premium name may be bought.
    pub allow_premium: bool,
    /// All placements of the line, the one that was intended last at the end.
    pub placements: Vec<Placement>,
    /// All lines of the order, this one too.
    pub lines: Vec<LineState>,
    /// What else is known of its name.
    pub name: NameFacts,
    /// When the order was submitted.
    pub submitted_at: DateTime<Utc>,
    /// The database has failed over or was restored since, or nobody has confirmed yet that it has not: it may have
    /// forgotten what was sent for the line.
    pub is_older_than_restore: bool,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

/// What is known of a line's name and of its customer, beside the line.
#[derive(Clone, Debug, Default)]
pub struct NameFacts {
    /// Another live line that registers or transfers the name and came first: `SHOP-1000/2`.
    pub rival: Option<String>,
    /// Another line of ours has brought it, and it has not failed since.
    pub is_owned: bool,
    /// A younger line that has written its zone: `SHOP-1002/1`.
    pub zone_written_by: Option<String>,
    /// The customer's latest wish for its renewal.
    pub auto_renew_wished: Option<bool>,
    /// Who registers it, by the order; none where the order does not say enough.
    pub registrant: Option<Registrant>,
    /// That registrant's WHOIS contact, where there is one already.
    pub contact_handle: Option<ContactHandle>,
}

impl Facts {
    /// The step that is what the line is for.
    #[must_use]
    pub fn main_step(&self) -> EffectStep {
        match (&self.wish, self.kind) {
            (Ok(Wish::Register(name) | Wish::Transfer(name)), _) if name.route == Route::Order => {
                EffectStep::PlaceOrder
            }
            (_, LineKind::Hosting | LineKind::HostingOwn) => EffectStep::PlaceOrder,
            (_, LineKind::DomainRegister) => EffectStep::Register,
            (_, LineKind::DomainTransfer) => EffectStep::Transfer,
            (_, LineKind::DomainUpdate) => EffectStep::UpdateDomain,
            (_, LineKind::Dns) => EffectStep::ReplaceRecords,
            (_, LineKind::ContactCreate) => EffectStep::CreateContact,
            (_, LineKind::ContactUpdate) => EffectStep::UpdateContact,
        }
    }

    /// The placement of a step that counts, if there is one.
    #[must_use]
    pub fn placement(&self, step: EffectStep) -> Option<&Placement> {
        let of_step = self.placements.iter().filter(|placement| placement.step == step);
        if step.is_repeatable() {
            of_step.max_by_key(|placement| placement.n)
        } else {
            Placement::that_counts(of_step, self.progress.upstream_order_id)
        }
    }

    /// Whether what the line is for may have been bought by a placement that the database has forgotten: none is known that
    /// has bought anything, or may have. One that was not sent, or was refused, may have been sent again.
    #[must_use]
    pub fn may_be_forgotten(&self) -> bool {
        let is_settled = |placement: &Placement| {
            matches!(placement.state, EffectState::NotSent | EffectState::Rejected)
        };
        self.is_older_than_restore && self.main_placement().is_none_or(is_settled)
    }

    /// The placement of the line's main step that counts.
    #[must_use]
    pub fn main_placement(&self) -> Option<&Placement> {
        self.placement(self.main_step())
    }

    /// The placement that was under way last, which an interrupted run has left open: of the main step, the one that
    /// counts.
    #[must_use]
    pub fn latest(&self) -> Option<&Placement> {
        let latest = self.placements.last()?;
        self.placement(latest.step)
    }

    /// Which placement the next request of a step would be, and under which tag.
    #[must_use]
    pub fn next_placement(&self, step: EffectStep) -> Option<(i32, Tag)> {
        let latest = self.placement(step).map(|placement| (placement.n, placement.state));
        match next_placement(latest, step.is_repeatable()) {
            NextPlacement::New(n) | NextPlacement::Again(n) => {
                Some((n, Tag::of_step(&self.reference, self.line, step, n)))
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

/// What a reading of a name has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DomainReading {
    /// The name, as it stands.
    Seen(DomainSeen),
    /// LJPc says that it is not ours, or not there (404).
    NotOurs,
    /// No answer that can be used.
    Unanswered,
}

/// What a reading of a zone has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ZoneReading {
    /// Its records of the managed types.
    Records(Vec<Record>),
    /// There is no zone yet (404).
    None,
    /// No answer that can be used.
    Unanswered,
}

/// What a reading of a WHOIS contact has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ContactReading {
    /// The contact, as it stands.
    Seen(Box<UpstreamContact>),
    /// LJPc says that it is not ours, or not there (404).
    NotOurs,
    /// No answer that can be used.
    Unanswered,
}

/// What a reading of the account's sites has shown of an order in doubt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SitesReading {
    /// Sites for its name that no listing older than its intent shows, and that are no line's.
    New {
        /// Their ids.
        sites: Vec<SiteId>,
        /// Another line waits for a site of this name, so that it may be that one's.
        others_wait: bool,
        /// When the listing that shows this was begun.
        listed_at: DateTime<Utc>,
    },
    /// There is no listing from shortly before the intent, so that none of the sites can be called new.
    NothingBefore,
    /// No answer that can be used.
    Unanswered,
}

/// What the reading of the next order ids has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeReading {
    /// The order.
    Found {
        /// Its id.
        id: UpstreamOrderId,
        /// What the account is charged.
        cost: Option<Money>,
    },
    /// There are more ids to be read.
    More,
    /// The same, but the upstream's budget is wanted for orders.
    Yields,
    /// All were read once; the unknown ones are read again when the grace is over.
    Waits,
    /// None is the order, though the unknown ones were read again after the grace.
    Absent {
        /// When all had been read once.
        first_ended_at: DateTime<Utc>,
    },
    /// It can't be told by ids: a person must look.
    GivesUp,
    /// No answer that can be used.
    Unanswered,
}

/// What a run has read upstream so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The catalogue of products.
    pub catalogue: Option<Arc<Vec<Product>>>,
    /// The line's order.
    pub reading: Option<Reading>,
    /// The endings that LJPc sells.
    pub tlds: Option<Arc<Vec<Tld>>>,
    /// Whether the name can be had, and for how much.
    pub offer: Option<Offer>,
    /// Whether the registrant's WHOIS contact is there; inside: its handle.
    pub contact: Option<Option<ContactHandle>>,
    /// The WHOIS contact that the line names.
    pub contact_seen: Option<ContactReading>,
    /// The name.
    pub domain: Option<DomainReading>,
    /// Its zone.
    pub zone: Option<ZoneReading>,
    /// Names that may be had instead, perhaps none.
    pub alternatives: Option<Vec<Alternative>>,
    /// The account's sites.
    pub sites: Option<SitesReading>,
    /// The next order ids.
    pub probe: Option<ProbeReading>,
}

/// How long the contract's configuration waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `poll.initial_interval`, or `ljpc.evidence_interval` if that is shorter.
    pub poll_interval: Duration,
    /// `poll.failed_recheck`
    pub failed_recheck: Duration,
    /// `poll.site_id_wait`
    pub site_id_wait: Duration,
    /// `poll.overdue_after`
    pub overdue_after: Duration,
    /// `ljpc.in_doubt_grace`
    pub in_doubt_grace: Duration,
    /// `ljpc.evidence_interval`
    pub evidence_interval: Duration,
    /// `ljpc.order_id_probe`: an order in doubt may be looked for by reading ids.
    pub order_id_probe: bool,
    /// `leanstack.enabled`: it is asked for names that may be had instead of one that is taken.
    pub offers_alternatives: bool,
}

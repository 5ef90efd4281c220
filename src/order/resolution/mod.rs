//! What a person says of a line that is held or in doubt, and what the line becomes by it.
//!
//! Pure, as all of this floor: the commands show by it what would follow, and the transaction that carries it out
//! (`db/records/resolve.rs`) asks it once more under the order's lock, so that what has moved meanwhile is not run over.

mod exits;
mod named;
mod purchase;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    LineKind, LineStatus, Money, SiteId, UpstreamOrderId,
    decide::{Change, Event, Evidence, PANICS_MAX, Then, adopt},
    effect::EffectStep,
    facts::{Facts, Placement},
    ledger::EffectState,
};

pub use exits::{Exit, Stuck};
pub use named::PlacementNamed;

/// What a person says, who it is, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// What.
    pub what: Resolution,
    /// Who: a user of the operator's system, or a name that was given.
    pub by: String,
    /// Why, in words of his own.
    pub why: Option<String>,
}

/// What is said of a line (contract, section 4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// `order retry`: a held line is decided anew. A line that was given up for its handler's panics goes on where it was.
    Retry {
        /// The most that the account may be charged, EUR without VAT; none leaves the limit as it is.
        max_cost: Option<Money>,
        /// A premium name may be bought from now on.
        allow_premium: bool,
    },
    /// `order resolve --upstream-order`: the line's order is this one.
    UpstreamOrder {
        /// LJPc's number of it.
        id: UpstreamOrderId,
        /// Which placement it came of, by the tag that it bears; none: the one that counts.
        n: Option<i32>,
        /// What the account is charged for it, where that is known.
        cost: Option<Money>,
    },
    /// `order resolve --site`: the line was delivered as this site.
    Site(SiteId),
    /// `order resolve --absent`: what is in doubt does not exist, and is placed again under a new tag.
    Absent {
        /// Which placement it is said of; none: the line has but one.
        of: Option<PlacementNamed>,
    },
    /// `order resolve --abandon`: the line ends as failed.
    Abandon {
        /// Although it is known that it has bought something.
        force: bool,
    },
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Consequence {
    /// Nothing: it is so already. Saying it again is harmless.
    Already(String),
    /// The line changes.
    Changes(Box<Resolved>),
}

/// How a line is resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The line afterwards, and what its timeline tells.
    pub change: Change,
    /// What becomes of its placements.
    pub placements: Vec<Evidence>,
    /// Another placement has bought something too, or may have: the operator is told.
    pub bought_twice: bool,
    /// The placement is unknown here, and enters the ledger first: a failover or a restore has lost it.
    pub forgotten: Option<Placement>,
}

/// Why a line can't be resolved so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It stands where this can't be said of it.
    #[error("the line is {status}: {instead}")]
    Status {
        /// Where it stands.
        status: LineStatus,
        /// What a person may do, or need not do.
        instead: &'static str,
    },
    /// Another order is known to be the line's.
    #[error("the line bears LJPc order {borne} already, which is not the one that was named")]
    BearsOrder {
        /// That one.
        borne: UpstreamOrderId,
    },
    /// It buys by no LJPc order.
    #[error(
        "a {kind} line of this route is bought without an LJPc order, so none can be adopted; whether the name is there is \
         looked for by itself"
    )]
    NoOrder {
        /// Its kind.
        kind: LineKind,
    },
    /// It brings no site.
    #[error("a {kind} line brings no site")]
    NoSite {
        /// Its kind.
        kind: LineKind,
    },
    /// Nothing may have been bought for it.
    #[error("nothing was sent for it that could have brought that")]
    NothingSent,
    /// What is in doubt of it has been settled meanwhile, by an answer that came late: the line follows by itself.
    #[error(
        "its placement is no longer in doubt: an answer has come late, and the line follows it by itself"
    )]
    Settled,
    /// What was said is of a placement that is not the one in doubt.
    #[error("placement {named} is not in doubt")]
    NotDoubted {
        /// As it was named.
        named: PlacementNamed,
    },
    /// The line has several placements, and it was not said which one is meant.
    #[error("it was sent more than once: say which placement does not exist, by --placement")]
    WhichPlacement,
    /// It is known to have bought something.
    #[error(
        "what it asks for has been bought, as far as is known; it only can't be followed any more"
    )]
    Bought,
    /// Its kind has no such limit.
    #[error("a {kind} line has no {limit}")]
    NoLimit {
        /// Its kind.
        kind: LineKind,
        /// `max_cost` or `allow_premium`.
        limit: &'static str,
    },
}

/// Where a line stood when a person looked at it: what is said of it holds for nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    status: LineStatus,
    doubted: Option<(EffectStep, i32, DateTime<Utc>)>,
}

impl Standing {
    /// Where a line stands.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let doubted = doubted(facts).map(|it| (it.step, it.n, it.intended_at));
        Self { status: facts.progress.status, doubted }
    }
}

/// The placement of a line whose outcome is unknown, if there is one.
#[must_use]
pub fn doubted(facts: &Facts) -> Option<&Placement> {
    let open = |placement: &&Placement| placement.state.is_open();
    facts.latest().filter(open).or_else(|| facts.main_placement().filter(open))
}

/// What follows from what a person says of a line.
pub fn resolve(facts: &Facts, said: &Said) -> Result<Consequence, Refusal> {
    match &said.what {
        Resolution::Retry { max_cost, allow_premium } => {
            retry(facts, said, *max_cost, *allow_premium)
        }
        Resolution::UpstreamOrder { id, n, cost } => {
            purchase::adopt(facts, *n, |facts| purchase::adopt_order(facts, said, *id, *n, *cost))
        }
        Resolution::Site(id) => {
            purchase::adopt(facts, None, |facts| purchase::adopt_site(facts, said, *id))
        }
        Resolution::Absent { of } => say_absent(facts, said, *of),
        Resolution::Abandon { force } => abandon(facts, said, *force),
    }
}

/// Whether it is known that what the line asks for has been bought, or set.
fn is_bought(facts: &Facts) -> bool {
    let accepted = |placement: &Placement| placement.state == EffectState::Accepted;
    facts.progress.upstream_order_id.is_some() || facts.main_placement().is_some_and(accepted)
}

/// Whether its handler has panicked so often that nothing more is tried by itself.
const fn is_given_up(facts: &Facts) -> bool {
    facts.progress.panics >= PANICS_MAX
}

fn retry(
    facts: &Facts,
    said: &Said,
    max_cost: Option<Money>,
    allow_premium: bool,
) -> Result<Consequence, Refusal> {
    let (kind, status) = (facts.kind, facts.progress.status);
    let is_name = matches!(kind, LineKind::DomainRegister | LineKind::DomainTransfer);
    if max_cost.is_some() && !is_name && kind != LineKind::Hosting {
        return Err(Refusal::NoLimit { kind, limit: "max_cost" });
    }
    if allow_premium && !is_name {
        return Err(Refusal::NoLimit { kind, limit: "allow_premium" });
    }
    let (status, reason) = match status {
        LineStatus::Held => (LineStatus::Pending, None),
        LineStatus::InDoubt if is_bought(facts) => (LineStatus::Provisioning, None),
        // What became of it is looked for again.
        LineStatus::InDoubt if is_given_up(facts) => {
            (LineStatus::InDoubt, facts.progress.reason.clone())
        }
        // Typed again, after it was done or beside somebody else.
        LineStatus::Pending | LineStatus::Placing | LineStatus::Provisioning
            if max_cost.is_none_or(|limit| facts.cost_limit == Some(limit))
                && (!allow_premium || facts.allow_premium) =>
        {
            let so = format!("the line is {status}, and goes on by itself");
            return Ok(Consequence::Already(so));
        }
        LineStatus::Pending
        | LineStatus::Placing
        | LineStatus::InDoubt
        | LineStatus::Provisioning
        | LineStatus::Completed
        | LineStatus::Failed
        | LineStatus::Cancelled => return Err(wrong_status(status)),
    };
    let mut detail = Map::new();
    if let Some(limit) = max_cost {
        detail.insert("max_cost".to_owned(), json!(limit));
    }
    if allow_premium {
        detail.insert("allow_premium".to_owned(), true.into());
    }
    let mut change = Change::to(facts, status, reason, Then::Rest);
    if status == LineStatus::InDoubt {
        // Should its handler fail on it again, that is told again.
        change.progress.in_doubt_at = Some(facts.now);
    }
    // He has looked at the contacts that came to nothing: as many may be asked for anew.
    let came_to_nothing =
        |it: &&Placement| it.step == EffectStep::CreateContact && it.state == EffectState::Absent;
    let contacts = facts.placements.iter().filter(came_to_nothing);
    let given_up = contacts.map(|contact| settled(contact, EffectState::Abandoned)).collect();
    Ok(resolved(change, event("retried", said, detail), given_up))
}

/// What a person says of one placement holds for no other: he may say it again long after it has led to the next one, which
/// is in doubt by now and may well exist.
fn say_absent(
    facts: &Facts,
    said: &Said,
    of: Option<PlacementNamed>,
) -> Result<Consequence, Refusal> {
    let status = facts.progress.status;
    if let Some(named) = of
        && named.find(facts).is_some_and(|it| it.state == EffectState::Absent)
    {
        return Ok(Consequence::Already(format!("placement {named} is said to be absent already")));
    }
    let latest = facts.latest();
    if status == LineStatus::Pending
        && latest.is_some_and(|placement| placement.state == EffectState::Absent)
    {
        return Ok(Consequence::Already(
            "it is said to be absent already, and is placed again".to_owned(),
        ));
    }
    if status != LineStatus::InDoubt {
        return Err(wrong_status(status));
    }
    if is_bought(facts) {
        return Err(Refusal::Bought);
    }
    let placement = doubted(facts).ok_or(Refusal::Settled)?;
    match of {
        Some(named) if named != PlacementNamed::new(placement.step, placement.n) => {
            return Err(Refusal::NotDoubted { named });
        }
        None if facts.placements.len() > 1 => return Err(Refusal::WhichPlacement),
        Some(_) | None => {}
    }
    let noun = placement.step.noun();
    let reason = format!("a person says that the {noun} in doubt does not exist; it is made again");
    let change = Change::to(facts, LineStatus::Pending, Some(reason), Then::Rest);
    let event = event("resolved", said, told("absent", placement));
    Ok(resolved(change, event, vec![settled(placement, EffectState::Absent)]))
}

fn abandon(facts: &Facts, said: &Said, force: bool) -> Result<Consequence, Refusal> {
    let status = facts.progress.status;
    if adopt(facts).is_some() {
        return Err(Refusal::Settled);
    }
    match status {
        LineStatus::InDoubt if is_bought(facts) && !force => return Err(Refusal::Bought),
        LineStatus::Held | LineStatus::InDoubt => {}
        LineStatus::Failed => {
            return Ok(Consequence::Already("it has failed already".to_owned()));
        }
        LineStatus::Pending
        | LineStatus::Placing
        | LineStatus::Provisioning
        | LineStatus::Completed
        | LineStatus::Cancelled => return Err(wrong_status(status)),
    }
    let given_up = |placement: &&Placement| {
        placement.state.is_open() || placement.state == EffectState::NotSent
    };
    let placements: Vec<Evidence> = facts
        .placements
        .iter()
        .filter(given_up)
        .map(|placement| settled(placement, EffectState::Abandoned))
        .collect();
    let reason = match &facts.progress.reason {
        Some(earlier) => format!("given up by a person: {earlier}"),
        None => "given up by a person".to_owned(),
    };
    let change = Change::fail(facts, reason, None);
    let detail = doubted(facts).map_or_else(
        || Map::from_iter([("as".to_owned(), "abandoned".into())]),
        |placement| told("abandoned", placement),
    );
    Ok(resolved(change, event("resolved", said, detail), placements))
}

/// The line afterwards: what a person says comes first in the timeline, and what follows from it behind it. He has looked
/// at it, so that its handler's panics count anew.
fn resolved(mut change: Change, event: Event, placements: Vec<Evidence>) -> Consequence {
    change.progress.panics = 0;
    change.events.insert(0, event);
    let resolved = Resolved { change, placements, bought_twice: false, forgotten: None };
    Consequence::Changes(Box::new(resolved))
}

const fn settled(placement: &Placement, state: EffectState) -> Evidence {
    Evidence { step: placement.step, n: placement.n, state, upstream_order_id: None, site_id: None }
}

/// What is said of a placement, for the timeline.
fn told(what: &'static str, placement: &Placement) -> Map<String, Value> {
    Map::from_iter([
        ("as".to_owned(), what.into()),
        ("step".to_owned(), placement.step.as_str().into()),
        ("placement".to_owned(), placement.n.into()),
    ])
}

/// Who, and why.
fn event(name: &'static str, said: &Said, mut detail: Map<String, Value>) -> Event {
    detail.insert("by".to_owned(), said.by.clone().into());
    if let Some(why) = &said.why {
        detail.insert("why".to_owned(), why.clone().into());
    }
    Event { name, detail: detail.into() }
}

const fn wrong_status(status: LineStatus) -> Refusal {
    let instead = match status {
        LineStatus::Pending => "it goes on by itself; its reason says what it waits for",
        LineStatus::Placing => "its request is under way; look again in a moment",
        LineStatus::InDoubt => "say what became of what was sent",
        LineStatus::Provisioning => "LJPc has accepted it, and it is followed by itself",
        LineStatus::Completed => "it is delivered",
        LineStatus::Failed => "it has ended; what is still wanted is a new order",
        LineStatus::Held => "nothing of it is in doubt; decide it anew or give it up",
        LineStatus::Cancelled => "it was withdrawn before anything was sent",
    };
    Refusal::Status { status, instead }
}

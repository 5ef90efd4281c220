//! The rules of the effect ledger: what may be learnt about a placement, and when there may be another.
//!
//! A *placement* is one row of `effects`: one thing that a line may have bought. Each time that its request may have been
//! written to the wire is an *attempt*. The rules are pure, and `tests/model` searches their interleavings.

use chrono::{DateTime, Utc};

use super::{
    ContactHandle, Money, SiteId, UpstreamOrderId, doubt::probe::Probe, effect::EffectStep,
    text_enum::text_enum,
};

text_enum! {
    /// What is known of a placement.
    EffectState {
        /// The intent is committed; the request may be on its way.
        Sending = "sending",
        /// The request may have been carried out. Never sent again blindly.
        InDoubt = "in_doubt",
        /// The upstream has it. Nothing that is learnt later changes that.
        Accepted = "accepted",
        /// The upstream refused it for good.
        Rejected = "rejected",
        /// It provably had no effect: it may be sent again under the same tag.
        NotSent = "not_sent",
        /// A person, or evidence, says that it does not exist upstream.
        Absent = "absent",
        /// A person gave it up.
        Abandoned = "abandoned",
    }
}

text_enum! {
    /// How the answer to an attempt is read (contract, section 2).
    Outcome {
        /// A 2xx with what the document promises.
        Accepted = "accepted",
        /// Refused, for good.
        Rejected = "rejected",
        /// 429: not carried out, to be sent again later.
        RateLimited = "rate_limited",
        /// 401, or a permission that the key lacks: not carried out.
        Unauthorized = "unauthorized",
        /// Provably never written to the wire.
        NotSent = "not_sent",
        /// Anything else.
        InDoubt = "in_doubt",
    }
}

impl EffectState {
    /// The state after an attempt's outcome became known, however late and by whomever.
    ///
    /// Accepted absorbs: an acceptance enters from every state, and none leaves it. All else is believed only while the
    /// outcome is open, since what a person or evidence has decided stands until the upstream itself says otherwise.
    #[must_use]
    pub const fn learn(self, outcome: Outcome) -> Self {
        match (self, outcome) {
            (_, Outcome::Accepted) => Self::Accepted,
            (Self::Sending | Self::InDoubt, Outcome::Rejected) => Self::Rejected,
            (
                Self::Sending | Self::InDoubt,
                Outcome::RateLimited | Outcome::Unauthorized | Outcome::NotSent,
            ) => Self::NotSent,
            (Self::Sending, Outcome::InDoubt) => Self::InDoubt,
            (state, _) => state,
        }
    }

    /// Whether it has bought something, or may have: nothing else may be placed for the line meanwhile, and a second
    /// acceptance beside it is told to the operator as a second purchase.
    #[must_use]
    pub const fn may_have_bought(self) -> bool {
        matches!(self, Self::Sending | Self::InDoubt | Self::Accepted)
    }

    /// Whether what was asked for may still be under way, and nobody knows what became of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Sending | Self::InDoubt)
    }

    /// Whether the placement stands in the way of another one of the same line and step.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Sending | Self::InDoubt | Self::Accepted | Self::NotSent)
    }
}

/// Which placement the next request of a step belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextPlacement {
    /// The `n`th: a new row, and from the second on a new tag.
    New(i32),
    /// The latest one, which provably had no effect, under its own tag.
    Again(i32),
    /// None: the latest has bought something, or may have.
    Forbidden,
}

/// Whether a step may send (again), given its latest placement.
///
/// What is repeatable sets something to a wished value: sent twice it is as if sent once, and it is only sent after a
/// reading that showed another value. So an acceptance or a doubt forbids no further one.
#[must_use]
pub const fn next_placement(
    latest: Option<(i32, EffectState)>,
    is_repeatable: bool,
) -> NextPlacement {
    match latest {
        Some((n, state)) if is_repeatable && !matches!(state, EffectState::NotSent) => {
            match n.checked_add(1) {
                Some(n) => NextPlacement::New(n),
                None => NextPlacement::Forbidden,
            }
        }
        None => NextPlacement::New(1),
        Some((n, EffectState::NotSent)) => NextPlacement::Again(n),
        Some((n, EffectState::Rejected | EffectState::Absent | EffectState::Abandoned)) => {
            match n.checked_add(1) {
                Some(n) => NextPlacement::New(n),
                None => NextPlacement::Forbidden,
            }
        }
        Some((_, EffectState::Sending | EffectState::InDoubt | EffectState::Accepted)) => {
            NextPlacement::Forbidden
        }
    }
}

/// A placement of a step of the line, from the ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placement {
    /// Which step.
    pub step: EffectStep,
    /// 1, 2, …
    pub n: i32,
    /// What is known of it.
    pub state: EffectState,
    /// It keeps other placements of the line, and of its domain, out of the ledger. Nothing is decided by it: an
    /// acceptance that comes late counts, even if the placement was given up.
    pub live: bool,
    /// Where the upstream accepted it.
    pub upstream_order_id: Option<UpstreamOrderId>,
    /// The site that it has brought, once that is known.
    pub site_id: Option<SiteId>,
    /// What the account was going to be charged for it.
    pub price: Option<Money>,
    /// The WHOIS contact that it made.
    pub contact_handle: Option<ContactHandle>,
    /// What the upstream said last, cleaned.
    pub detail: Option<String>,
    /// When its latest intent was committed.
    pub intended_at: DateTime<Utc>,
    /// The highest LJPc order of ours that was known then: the order is above it.
    pub order_id_floor: Option<UpstreamOrderId>,
    /// How far it was looked for by its number.
    pub probe: Option<Probe>,
}

impl Placement {
    /// The placement by which the line's next step is decided: the one whose order the line bears, or else one that the
    /// upstream has accepted, or else the latest.
    ///
    /// Not simply the latest: a person may have said of an earlier one that it does not exist, and been wrong. Once the
    /// truth is known, the line must neither send again nor fail by what came of the later one.
    #[must_use]
    pub fn that_counts<'a>(
        placements: impl IntoIterator<Item = &'a Self>,
        borne: Option<UpstreamOrderId>,
    ) -> Option<&'a Self> {
        placements.into_iter().max_by_key(|placement| {
            let is_borne = borne.is_some() && placement.upstream_order_id == borne;
            (is_borne, placement.state == EffectState::Accepted, placement.n)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_absorbs() {
        for &outcome in Outcome::ALL {
            assert_eq!(EffectState::Accepted.learn(outcome), EffectState::Accepted);
        }
        for &state in EffectState::ALL {
            assert_eq!(state.learn(Outcome::Accepted), EffectState::Accepted);
        }
    }

    #[test]
    fn doubt_ends_only_by_knowledge() {
        assert_eq!(EffectState::InDoubt.learn(Outcome::InDoubt), EffectState::InDoubt);
        assert_eq!(EffectState::InDoubt.learn(Outcome::Rejected), EffectState::Rejected);
        assert_eq!(EffectState::Absent.learn(Outcome::InDoubt), EffectState::Absent);
        assert_eq!(EffectState::Abandoned.learn(Outcome::Rejected), EffectState::Abandoned);
    }

    #[test]
    fn what_may_have_bought_is_never_placed_again() {
        for state in [EffectState::Sending, EffectState::InDoubt, EffectState::Accepted] {
            assert_eq!(next_placement(Some((1, state)), false), NextPlacement::Forbidden);
            assert_eq!(next_placement(Some((1, state)), true), NextPlacement::New(2));
        }
        for is_repeatable in [false, true] {
            let next = |latest| next_placement(latest, is_repeatable);
            assert_eq!(next(Some((1, EffectState::NotSent))), NextPlacement::Again(1));
            assert_eq!(next(Some((1, EffectState::Absent))), NextPlacement::New(2));
            assert_eq!(next(None), NextPlacement::New(1));
        }
    }
}

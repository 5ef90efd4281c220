//! What LJPc has, and what it shows of that.

use std::{collections::BTreeSet, sync::Arc};

use provisor::order::{
    domain::{Availability, DomainSeen, Offer, Tld},
    effect::EffectStep,
    facts::{DomainReading, Known, ZoneReading},
};

use super::{
    Plan,
    state::{State, handle, record},
};

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Upstream {
    /// WHOIS contacts of the customer.
    pub(crate) contacts: u8,
    pub(crate) names: [Option<Name>; 2],
    /// Requests for whose answer nobody waits any more: line, step and placement.
    pub(crate) on_their_way: BTreeSet<(usize, EffectStep, i32)>,
}

/// A name of the account.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name {
    /// The line that bought it last.
    pub(crate) of: usize,
    /// Else it is being transferred.
    pub(crate) is_active: bool,
    /// It renews as it was wished.
    pub(crate) renews_as_wished: bool,
    /// Its zone is as it was wished.
    pub(crate) has_records: bool,
}

/// What a run asks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Ask {
    Offer,
    Contact,
    Domain,
    Zone,
}

/// What a run has heard.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Heard {
    pub(crate) is_free: Option<bool>,
    pub(crate) has_contact: Option<bool>,
    pub(crate) name: Option<Shown>,
    pub(crate) has_records: Option<bool>,
}

/// What LJPc says of a name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Shown {
    NotOurs,
    Row(Name),
}

impl From<Option<Name>> for Shown {
    fn from(name: Option<Name>) -> Self {
        name.map_or(Self::NotOurs, Self::Row)
    }
}

impl Upstream {
    /// Carries a request out.
    pub(crate) fn carry_out(&mut self, line: usize, plan: Plan, step: EffectStep) {
        let name = &mut self.names[plan.name];
        match step {
            EffectStep::CreateContact => self.contacts += 1,
            EffectStep::Register | EffectStep::Transfer => {
                let before = *name;
                *name = Some(Name {
                    of: line,
                    is_active: step == EffectStep::Register || before.is_some_and(|n| n.is_active),
                    renews_as_wished: before.is_some_and(|name| name.renews_as_wished),
                    has_records: before.is_some_and(|name| name.has_records),
                });
            }
            EffectStep::UpdateDomain => {
                if let Some(name) = name {
                    name.renews_as_wished = true;
                }
            }
            EffectStep::ReplaceRecords => {
                if let Some(name) = name {
                    name.has_records = true;
                }
            }
            EffectStep::PlaceOrder | EffectStep::UpdateContact => unreachable!("{step}"),
        }
    }

    /// Whether LJPc may take a purchase: a registration of a name that another line has brought is refused for sure.
    pub(crate) fn may_take(&self, line: usize, plan: Plan, step: EffectStep) -> bool {
        let owner = self.names[plan.name].map(|name| name.of);
        step != EffectStep::Register || owner.is_none_or(|owner| owner == line)
    }
}

impl State {
    /// What LJPc says: the truth, or, `is_stale`, what was so before; none where that is the same.
    pub(crate) fn hear(
        &self,
        line: usize,
        ask: Ask,
        heard: Heard,
        is_stale: bool,
    ) -> Option<Heard> {
        let plan = self.lines[line].plan;
        let name = self.upstream.names[plan.name];
        let true_one = match ask {
            Ask::Offer => Heard { is_free: Some(plan.is_transfer || name.is_none()), ..heard },
            Ask::Contact => Heard { has_contact: Some(self.upstream.contacts > 0), ..heard },
            Ask::Domain => Heard { name: Some(name.into()), ..heard },
            Ask::Zone => Heard { has_records: Some(name.is_some_and(|n| n.has_records)), ..heard },
        };
        if !is_stale {
            return Some(true_one);
        }
        let stale_one = match ask {
            Ask::Offer => return None,
            Ask::Contact => Heard { has_contact: Some(false), ..heard },
            Ask::Domain => Heard { name: Some(self.stored(line).into()), ..heard },
            Ask::Zone => Heard { has_records: Some(false), ..heard },
        };
        (stale_one != true_one).then_some(stale_one)
    }

    /// A stored row of a name: one without its settings; before it has arrived, none. Of a name that nobody has bought yet
    /// there is no row that could be stored.
    fn stored(&self, line: usize) -> Option<Name> {
        let target = &self.lines[line];
        let name = self.upstream.names[target.plan.name]?;
        let has_arrived = target.row.milestone.is_some();
        let asks_first = target.row.status == provisor::order::LineStatus::Pending;
        (has_arrived || asks_first)
            .then_some(Name { renews_as_wished: asks_first && name.renews_as_wished, ..name })
    }
}

impl Heard {
    /// As `decide` wants it.
    pub(crate) fn known(&self, plan: Plan) -> Known {
        let tlds =
            ["nl", "com"].map(|name| Tld { name: name.to_owned(), transfer_supported: true });
        let word = |is_free| {
            if is_free { Availability::Available } else { Availability::Other("taken".to_owned()) }
        };
        Known {
            tlds: Some(Arc::new(tlds.to_vec())),
            offer: self.is_free.map(|is_free| Offer {
                availability: (!plan.is_transfer).then(|| word(is_free)),
                price: None,
            }),
            contact: self.has_contact.map(|has_contact| has_contact.then(handle)),
            domain: self.name.map(as_seen),
            zone: self.has_records.map(|has_records| {
                ZoneReading::Records(if has_records { vec![record()] } else { Vec::new() })
            }),
            ..Known::default()
        }
    }
}

fn as_seen(shown: Shown) -> DomainReading {
    let Shown::Row(name) = shown else { return DomainReading::NotOurs };
    let status = if name.is_active { "active" } else { "pending_transfer" };
    DomainReading::Seen(DomainSeen {
        status: Some(status.to_owned()),
        // `false` is wished.
        auto_renew: Some(!name.renews_as_wished),
        // A transfer that is under way may show none yet.
        contact_handle: name.is_active.then(handle),
        ..DomainSeen::default()
    })
}

//! What became of an LJPc order in doubt. It can't be asked about: it is looked for by what it has brought, a site, and by
//! its number, where that is allowed.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{evidence, look_again};
use crate::order::{
    LineStatus,
    decide::{Change, Event, Evidence, Query, Step, Then},
    effect::{Acceptance, EffectStep},
    facts::{Facts, Known, Patience, Placement, ProbeReading, SitesReading},
    ledger::EffectState,
    outcome::{accepted, delivered},
    wish::Wish,
};

/// How soon the next ids are read.
const NEXT_IDS_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

pub(super) fn look(facts: &Facts, known: &Known, patience: &Patience, latest: &Placement) -> Step {
    let by_id = patience.order_id_probe && latest.order_id_floor.is_some();
    let by_site = matches!(facts.wish, Ok(Wish::Hosting(_) | Wish::HostingOwn { .. }));
    if by_id && known.probe.is_none() {
        return Step::Read(Query::OrderIds { n: latest.n });
    }
    match &known.probe {
        Some(ProbeReading::Found { id, cost }) => {
            let cost = cost.or(latest.price);
            let change = accepted(facts, latest.step, &Acceptance::Order { id: *id, cost });
            let what = json!({ "upstream_order_id": id });
            return found(facts, change, |it| it.upstream_order_id = Some(*id), what).step();
        }
        Some(
            // Not before the sites have been looked at as well.
            ProbeReading::Absent { .. }
            | ProbeReading::More
            | ProbeReading::Yields
            | ProbeReading::Waits
            | ProbeReading::GivesUp
            | ProbeReading::Unanswered,
        )
        | None => {}
    }
    if by_site {
        match &known.sites {
            None => return Step::Read(Query::Sites),
            Some(SitesReading::New { sites, others_wait: false, .. }) => {
                // It was not there before the intent, is no other line's, and no other line waits for it.
                if let [site] = sites.as_slice() {
                    let change = delivered(facts, latest, *site);
                    let what = json!({ "site_id": site });
                    return found(facts, change, |it| it.site_id = Some(*site), what).step();
                }
            }
            Some(
                SitesReading::New { others_wait: true, .. }
                | SitesReading::NothingBefore
                | SitesReading::Unanswered,
            ) => {}
        }
    }
    if let Some(ProbeReading::Absent { first_ended_at }) = known.probe
        && is_absence_believed(known, by_site, latest, first_ended_at)
    {
        return absent(facts).step();
    }
    if known.probe == Some(ProbeReading::More) {
        return Change::unchanged(facts, Then::After(NEXT_IDS_AFTER)).step();
    }
    if known.probe == Some(ProbeReading::Yields) {
        return Change::unchanged(facts, Then::After(patience.evidence_interval)).step();
    }
    if by_id || by_site { look_again(facts, patience) } else { rest(facts) }
}

/// Whether an order that is in none of the ids is called absent without a person: once for a line, for should reading ids
/// ever be wrong it would be wrong each time; and never beside a new site of its name, nor by a listing that was begun
/// before all ids had been read once.
fn is_absence_believed(
    known: &Known,
    by_site: bool,
    latest: &Placement,
    first_ended_at: DateTime<Utc>,
) -> bool {
    let shows_none = match &known.sites {
        Some(SitesReading::New { sites, listed_at, .. }) => {
            sites.is_empty() && *listed_at > first_ended_at
        }
        Some(SitesReading::NothingBefore | SitesReading::Unanswered) | None => false,
    };
    latest.n == 1 && (shows_none || !by_site)
}

/// Nothing that LJPc shows could tell: its evidence is a person's to find.
fn rest(facts: &Facts) -> Step {
    Change::unchanged(facts, Then::Rest).step()
}

fn found(
    facts: &Facts,
    mut change: Change,
    name: impl FnOnce(&mut Evidence),
    what: serde_json::Value,
) -> Change {
    change.evidence = evidence(facts, EffectStep::PlaceOrder, EffectState::Accepted);
    change.evidence.as_mut().map(name);
    change.events.insert(0, Event { name: "found_upstream", detail: what });
    change
}

/// No order bears the tag: it is placed again, under a new one.
fn absent(facts: &Facts) -> Change {
    let reason = "no LJPc order bears the tag of the order in doubt; it is placed again".to_owned();
    let mut change = Change::to(facts, LineStatus::Pending, Some(reason), Then::Retry);
    change.evidence = evidence(facts, EffectStep::PlaceOrder, EffectState::Absent);
    change
}

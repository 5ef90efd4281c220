//! Buying a name: lines of the kinds `domain_register` and `domain_transfer`, up to the request that costs money.
//!
//! First all that can be looked at (whose turn it is, the ending, whether the name is free, its price), then the WHOIS
//! contact, then the purchase. What comes afterwards is in `arrival.rs`.

use serde_json::json;

use super::{
    contact,
    hosting::order,
    making::{make, placing},
    poll::waiting,
};
use crate::order::{
    Cause, LineKind, Money,
    decide::{Change, Query, Step, Then},
    domain::{
        DomainSeen, Purpose, SplitName, Transfer, Verdict, check_records, judge, split, transfer_of,
    },
    doubt::{found_name, seen_twice},
    effect::{EffectStep, Item, Request},
    facts::{DomainReading, Facts, Known, Patience, Progress},
    ledger::EffectState,
    name::DomainName,
    outcome::{given_up_wrongly, says_exists, was_ever_doubted},
    wish::{NameWish, Route},
};

/// Decides what a pending line that brings a name does next.
pub(in crate::order) fn decide(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: DomainName,
    wish: &NameWish,
    purpose: Purpose,
) -> Step {
    if facts.progress.domain.as_deref() != Some(domain.as_str()) {
        // Whose turn it is for a name goes by its one spelling.
        let mut change = Change::unchanged(facts, Then::After(std::time::Duration::ZERO));
        change.progress.domain = Some(domain.as_str().to_owned());
        return change.step();
    }
    if let Some(fault) = wish.dns.as_deref().and_then(|records| check_records(records).err()) {
        return Change::fail(facts, format!("dns{fault}"), None).step();
    }
    if let Some(rival) = &facts.name.rival {
        let reason = format!("waits: {domain} is being registered or transferred by line {rival}");
        return waiting(facts, reason, Then::Retry, patience).step();
    }
    if let Some(found) = find_earlier(facts, known, patience, &domain) {
        return found;
    }
    let Some(tlds) = &known.tlds else { return Step::Read(Query::Tlds) };
    let Some(parts) = split(&domain, tlds) else {
        let reason = format!("LJPc sells no ending of {domain}");
        return Change::fail(facts, reason, Some(Cause::NameUnavailable)).step();
    };
    if purpose == Purpose::Transfer && !parts.transfer_supported {
        let reason = format!("LJPc can't transfer names under .{}", parts.tld);
        return Change::fail(facts, reason, Some(Cause::NameUnavailable)).step();
    }
    if is_said_to_exist(facts) {
        return find_existing(facts, known, patience, &domain, parts);
    }
    let Some(offer) = &known.offer else { return Step::Read(Query::Offer(domain, purpose)) };
    match judge(&domain, offer, wish.years, facts.cost_limit, facts.allow_premium) {
        Verdict::Hold(reason) => Change::hold(facts, reason).step(),
        Verdict::Unavailable(reason) => {
            Change::fail(facts, reason, Some(Cause::NameUnavailable)).step()
        }
        Verdict::Taken(reason) if is_doubted(facts) => given_up_wrongly(facts, &reason).step(),
        Verdict::Taken(reason) => taken(facts, known, patience, parts, reason),
        Verdict::Buy(_)
            if purpose == Purpose::Transfer
                && let Some(step) = find_ours(facts, known, patience, &domain) =>
        {
            step
        }
        Verdict::Buy(price) => buy(facts, known, domain, wish, purpose, parts, price),
    }
}

/// A person has said of an earlier placement that it does not exist, or the database has forgotten some. The name is looked
/// for once more before it is bought again, for a purchase of ours would else be read as "taken".
fn find_earlier(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: &DomainName,
) -> Option<Step> {
    if !is_doubted(facts) {
        return None;
    }
    let step = facts.main_step();
    match &known.domain {
        None => Some(Step::Read(Query::Domain(domain.clone()))),
        Some(DomainReading::Unanswered) => Some(Change::unchanged(facts, Then::Retry).step()),
        Some(DomainReading::Seen(_)) if lacks_forgotten_contact(facts, known) => {
            Some(Step::Read(Query::Contact(None)))
        }
        Some(DomainReading::Seen(seen)) if is_ours(facts, known, seen) => {
            Some(found_twice(facts, patience, step, seen))
        }
        // A transfer of somebody else's, which has brought nothing. Where no handle tells whose, a person does.
        Some(DomainReading::Seen(seen))
            if step == EffectStep::Transfer
                && transfer_of(seen.status.as_deref().unwrap_or_default()) == Transfer::Failed =>
        {
            None
        }
        // By an order, whose handle is the account's own: it may be this one's.
        Some(DomainReading::Seen(_)) if facts.progress.contact_handle.is_none() => {
            let reason = format!("{domain} is a name of this account already");
            Some(given_up_wrongly(facts, &reason).step())
        }
        // Nothing else is looked at before a transfer is sent, and one that LJPc has just taken may not show yet.
        Some(DomainReading::NotOurs)
            if facts.kind == LineKind::DomainTransfer
                && facts.progress.failed_seen_at.is_none() =>
        {
            let mut change = Change::unchanged(facts, Then::After(patience.poll_interval));
            let reason = "an earlier transfer may have been forgotten; it is looked for once more";
            change.progress.reason = Some(format!("{domain} is not in the account: {reason}"));
            change.progress.failed_seen_at = Some(facts.now);
            Some(change.step())
        }
        Some(DomainReading::Seen(_) | DomainReading::NotOurs) => None,
    }
}

/// The customer's WHOIS contact may be forgotten as its purchase is, and has not been looked for in LJPc's list.
fn lacks_forgotten_contact(facts: &Facts, known: &Known) -> bool {
    facts.may_be_forgotten()
        && facts.main_step() != EffectStep::PlaceOrder
        && facts.progress.contact_handle.is_none()
        && facts.name.contact_handle.is_none()
        && facts.name.registrant.is_some()
        && known.contact.is_none()
}

/// It bears the handle that this line asked for, and no other line of ours has brought it.
fn is_ours(facts: &Facts, known: &Known, seen: &DomainSeen) -> bool {
    // Where the line's is forgotten, too: the customer's own, which nobody shares.
    let found = known.contact.as_ref().and_then(Option::as_ref);
    let of_customer = facts.name.contact_handle.as_ref().or(found);
    let of_customer = of_customer.filter(|_| facts.may_be_forgotten());
    let handle = facts.progress.contact_handle.as_ref().or(of_customer);
    handle.is_some() && seen.contact_handle.as_ref() == handle && !facts.name.is_owned
}

/// The name is adopted when it is still shown as ours a while later.
fn found_twice(facts: &Facts, patience: &Patience, step: EffectStep, seen: &DomainSeen) -> Step {
    let status = seen.status.clone().unwrap_or_default();
    match seen_twice(facts, patience) {
        Ok(()) => found_name(facts, step, status).step(),
        Err(mut wait) => {
            wait.progress.failed_seen_at = None;
            wait.step()
        }
    }
}

/// LJPc has refused the registration because the name exists already.
fn is_said_to_exist(facts: &Facts) -> bool {
    facts.placement(EffectStep::Register).is_some_and(|placement| {
        placement.state == EffectState::Rejected
            && placement.detail.as_deref().is_some_and(says_exists)
    })
}

/// The name exists: by an earlier request of this line, whose answer was lost, or as somebody else's. It is looked at
/// before its customer is told that it is taken, and adopted only where the handle and our own records agree.
fn find_existing(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: &DomainName,
    parts: SplitName,
) -> Step {
    let reason = format!("{domain} can't be registered: LJPc says that it exists already");
    match &known.domain {
        None => Step::Read(Query::Domain(domain.clone())),
        Some(DomainReading::Unanswered) => Change::unchanged(facts, Then::Retry).step(),
        Some(DomainReading::Seen(seen)) if is_ours(facts, known, seen) => {
            found_twice(facts, patience, EffectStep::Register, seen)
        }
        Some(DomainReading::Seen(_) | DomainReading::NotOurs) if was_ever_doubted(facts) => {
            given_up_wrongly(facts, &reason).step()
        }
        Some(DomainReading::Seen(_) | DomainReading::NotOurs)
            if facts.progress.failed_seen_at.is_none() =>
        {
            let mut change = Change::unchanged(facts, Then::After(patience.poll_interval));
            change.progress.reason =
                Some(format!("{reason}; the name is read once more before that is believed"));
            change.progress.failed_seen_at = Some(facts.now);
            change.step()
        }
        Some(DomainReading::Seen(_) | DomainReading::NotOurs) => {
            taken(facts, known, patience, parts, reason)
        }
    }
}

/// An earlier placement may have bought the name, though somebody has said that it did not, or the database knows of none.
fn is_doubted(facts: &Facts) -> bool {
    let earlier = facts.main_placement().map(|placement| placement.state);
    facts.may_be_forgotten()
        || matches!(earlier, Some(EffectState::Absent | EffectState::Abandoned))
}

/// A name that is here already is not transferred: LJPc takes an order for it all the same, and after a doubt the name
/// would be taken for the transfer's evidence. One whose transfer has failed may be asked for anew.
fn find_ours(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    domain: &DomainName,
) -> Option<Step> {
    let status = match &known.domain {
        None => return Some(Step::Read(Query::Domain(domain.clone()))),
        Some(DomainReading::Unanswered) => {
            return Some(Change::unchanged(facts, Then::Retry).step());
        }
        Some(DomainReading::NotOurs) => return None,
        Some(DomainReading::Seen(seen)) => seen.status.as_deref().unwrap_or_default(),
    };
    if transfer_of(status) == Transfer::Failed {
        return None;
    }
    let reason = format!("{domain} is a name of this account already: LJPc says {status}");
    Some(if is_doubted(facts) {
        given_up_wrongly(facts, &reason).step()
    } else if let Err(mut wait) = seen_twice(facts, patience) {
        wait.progress.reason =
            Some(format!("{reason}; it is read once more before it is believed"));
        wait.step()
    } else {
        Change::fail(facts, reason, Some(Cause::TransferRefused)).step()
    })
}

/// Somebody has the name. Its customer is told of others, where somebody can name some.
fn taken(
    facts: &Facts,
    known: &Known,
    patience: &Patience,
    parts: SplitName,
    reason: String,
) -> Step {
    if patience.offers_alternatives && known.alternatives.is_none() {
        return Step::Read(Query::Alternatives(parts));
    }
    let mut change = Change::fail(facts, reason, Some(Cause::NameTaken));
    let alternatives = known.alternatives.clone().filter(|names| !names.is_empty());
    if let (Some(names), Some(event)) = (&alternatives, change.events.last_mut()) {
        event.detail = json!({ "reason": change.progress.reason, "alternatives": names });
    }
    change.progress.alternatives = alternatives;
    change.step()
}

fn buy(
    facts: &Facts,
    known: &Known,
    domain: DomainName,
    wish: &NameWish,
    purpose: Purpose,
    parts: SplitName,
    price: Option<Money>,
) -> Step {
    // What was not seen before the purchase says nothing of what comes afterwards.
    let progress = Progress { failed_seen_at: None, ..facts.progress.clone() };
    let facts = &Facts { progress, ..facts.clone() };
    let is_transfer = purpose == Purpose::Transfer;
    if wish.route == Route::Order {
        let verb = if is_transfer { "transfer" } else { "registration" };
        let item = Item::Domain { is_transfer, sld: parts.sld, tld: parts.tld };
        return order(facts, domain, verb.to_owned(), item, price);
    }
    let known_handle = known.contact.clone().flatten();
    let made = facts.placement(EffectStep::CreateContact);
    let made = made.and_then(|placement| placement.contact_handle.clone());
    let handle = wish
        .contact_handle
        .clone()
        .or(made)
        .or_else(|| facts.progress.contact_handle.clone())
        .or_else(|| facts.name.contact_handle.clone())
        .or(known_handle);
    let Some(handle) = handle else { return make_contact(facts, known) };
    let contact_handle = handle.clone();
    let nameservers = wish.nameservers.clone();
    let (step, request) = if is_transfer {
        (EffectStep::Transfer, Request::Transfer { contact_handle, nameservers })
    } else {
        let years = wish.years;
        (EffectStep::Register, Request::Register { contact_handle, years, nameservers })
    };
    let mut during = placing(facts, Some(&domain));
    during.progress.contact_handle = Some(handle);
    make(facts, step, Some(domain), request, price, during)
}

/// The customer's WHOIS contact: looked for before it is made, since nobody can take one back.
fn make_contact(facts: &Facts, known: &Known) -> Step {
    let Some(registrant) = &facts.name.registrant else {
        let reason = "the order's customer lacks what a WHOIS contact needs".to_owned();
        return Change::hold(facts, reason).step();
    };
    if known.contact.is_none() {
        return Step::Read(Query::Contact(None));
    }
    contact::make_new(facts, registrant)
}

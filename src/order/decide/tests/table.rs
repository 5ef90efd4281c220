//! The contract's sentences about a line and its ledger, one by one.

use super::*;
use LineStatus::{Cancelled, Completed, Failed, Held, InDoubt, Pending, Placing, Provisioning};

/// What is decided before anything was read.
fn first(facts: &Facts) -> String {
    told(&decide(facts, &Known::default(), &PATIENCE))
}

fn with_catalogue(facts: &Facts) -> String {
    told(&decide(facts, &catalogue(), &PATIENCE))
}

fn with(status: LineStatus, placement: Placement) -> Facts {
    Facts { placements: vec![placement], ..facts(status) }
}

const IN_DOUBT: &str = "in_doubt, after 0ns: the worker stopped after the order may have been sent, before an answer was \
                        recorded";
const AGAIN: &str = "pending, retry: the order provably had no effect; it will be sent again";
const REFUSED: &str = "failed, rest: LJPc refused the order: no message was given";
const OPEN: &str = "in_doubt, after 0ns: an earlier placement of this line is still open";

#[test]
fn every_status_with_every_state_of_the_ledger() {
    use EffectState::{
        Abandoned, Absent, Accepted, InDoubt as Doubtful, NotSent, Rejected, Sending,
    };
    for (status, state, expected) in [
        (Pending, None, "place SHOP-1001/0 as number 1"),
        (Pending, Some(Sending), OPEN),
        (Pending, Some(Doubtful), OPEN),
        (Pending, Some(Accepted), "provisioning, poll anew"),
        (Pending, Some(Rejected), "place SHOP-1001/0#2 as number 2"),
        (Pending, Some(NotSent), "place SHOP-1001/0 as number 1"),
        (Pending, Some(Absent), "place SHOP-1001/0#2 as number 2"),
        (Pending, Some(Abandoned), "place SHOP-1001/0#2 as number 2"),
        (
            Placing,
            None,
            "pending, retry: the ledger has no placement for a line that was being placed",
        ),
        (Placing, Some(Sending), IN_DOUBT),
        (Placing, Some(Doubtful), IN_DOUBT),
        (Placing, Some(Accepted), "provisioning, poll anew"),
        (Placing, Some(Rejected), REFUSED),
        (Placing, Some(NotSent), AGAIN),
        (Placing, Some(Absent), IN_DOUBT),
        (Placing, Some(Abandoned), IN_DOUBT),
        (InDoubt, None, "in_doubt, rest"),
        (InDoubt, Some(Sending), "read the sites"),
        (InDoubt, Some(Doubtful), "read the sites"),
        (InDoubt, Some(Accepted), "provisioning, poll anew"),
        (InDoubt, Some(Rejected), REFUSED),
        (InDoubt, Some(NotSent), AGAIN),
        (Held, None, "held, rest"),
        (Held, Some(NotSent), "held, rest"),
        (Held, Some(Accepted), "provisioning, poll anew"),
        (Failed, Some(Rejected), "failed, rest"),
        (Failed, Some(Abandoned), "failed, rest"),
        (Failed, Some(Accepted), "provisioning, poll anew"),
        (Completed, Some(Accepted), "completed, rest"),
        (Cancelled, None, "cancelled, rest"),
        (Cancelled, Some(Accepted), "cancelled, rest"),
        (
            Provisioning,
            None,
            "in_doubt, after 0ns: the line is provisioning, but bears no LJPc order",
        ),
        (Provisioning, Some(Accepted), "provisioning, poll anew"),
    ] {
        let mut facts = facts(status);
        facts.placements = state
            .map(|state| if state == Accepted { bought(1, 7) } else { placement(1, state) })
            .into_iter()
            .collect();
        assert_eq!(with_catalogue(&facts), expected, "{status} {state:?}");
    }
}

#[test]
fn an_acceptance_is_followed_even_if_the_placement_was_given_up() {
    let given_up = Placement { live: false, ..bought(1, 7) };
    let Step::Record(change) = decide(&with(Failed, given_up), &Known::default(), &PATIENCE) else {
        panic!("nothing is read or sent for it");
    };
    assert_eq!(change.progress.upstream_order_id, Some(UpstreamOrderId(7)));
    assert_eq!(change.progress.accepted_at, Some(minute(0)));
    assert_eq!(change.events.iter().map(|event| event.name).collect::<Vec<_>>(), ["accepted"]);
}

#[test]
fn a_line_follows_one_order_to_its_end() {
    for status in [Provisioning, Failed] {
        let mut facts = with(status, bought(2, 8));
        facts.progress.upstream_order_id = Some(UpstreamOrderId(7));
        let expected = if status == Failed { "failed, rest" } else { "read order 7" };
        assert_eq!(first(&facts), expected);
    }
}

#[test]
fn the_placement_that_counts() {
    let rejected = placement(2, EffectState::Rejected);
    let absent = placement(1, EffectState::Absent);
    let count = |placements: &[Placement], borne| {
        Placement::that_counts(placements, borne).map(|placement| placement.n)
    };
    assert_eq!(count(&[], None), None);
    assert_eq!(count(&[absent, rejected.clone()], None), Some(2), "the latest");
    assert_eq!(count(&[bought(1, 7), rejected], None), Some(1), "not the refused one");
    let twice = [bought(1, 7), bought(2, 8)];
    assert_eq!(count(&twice, None), Some(2));
    assert_eq!(count(&twice, Some(UpstreamOrderId(7))), Some(1), "the one that the line bears");
}

#[test]
fn what_can_not_be_carried_out_is_held_and_what_is_wrong_fails() {
    let mut unreadable = facts(Pending);
    unreadable.wish = Err("the line's document can't be read".to_owned());
    assert_eq!(first(&unreadable), "held, rest: the line's document can't be read");
    for domain in [None, Some("192.0.2.1".to_owned())] {
        let mut wrong = facts(Pending);
        wrong.progress.domain = domain;
        assert!(first(&wrong).starts_with("failed, rest: "), "{}", first(&wrong));
    }
    // But never while something may have been bought.
    unreadable.placements = vec![placement(1, EffectState::InDoubt)];
    assert_eq!(first(&unreadable), OPEN);
}

#[test]
fn the_catalogue_is_read_first_and_judged() {
    assert_eq!(first(&facts(Pending)), "read the catalogue");
    let mut own = facts(Pending);
    own.wish = Ok(Wish::HostingOwn { space_id: 5 });
    assert_eq!(first(&own), "place SHOP-1001/0 as number 1");
    let mut dear = facts(Pending);
    dear.cost_limit = "4.98".parse().ok();
    assert_eq!(
        with_catalogue(&dear),
        "held, rest: hosting_5gb costs 4.99 EUR monthly, more than max_cost 4.98 EUR"
    );
    let mut vague = facts(Pending);
    let Ok(Wish::Hosting(wish)) = &mut vague.wish else { panic!("hosting is asked for") };
    wish.billing_period = None;
    assert_eq!(with_catalogue(&vague), "failed, rest: billing_period is required for hosting_5gb");
}

#[test]
fn an_order_says_what_is_bought() {
    let known = catalogue();
    let mut facts = facts(Pending);
    facts.progress.domain = Some("BÜCHER.example".to_owned());
    let Step::Make(effect) = decide(&facts, &known, &PATIENCE) else { panic!("it can be placed") };
    assert_eq!(effect.domain.as_ref().map(DomainName::as_str), Some("xn--bcher-kva.example"));
    assert_eq!(effect.price, "4.99".parse().ok());
    assert_eq!(effect.during.progress.status, Placing);
    let Request::Order { title, item: Item::Hosting { product_uuid, billing_period, target_url } } =
        effect.request
    else {
        panic!("hosting is asked for");
    };
    assert_eq!(title, "5GB hosting");
    assert_eq!(product_uuid, "00000000-0000-4000-8000-000000000005");
    assert_eq!((billing_period, target_url), (Some(BillingPeriod::Monthly), None));
}

#[test]
fn hosting_waits_for_its_registration_and_fails_with_it() {
    use LineKind::{DomainRegister, DomainTransfer};
    const WAITS: &str = "pending, rest: waits for line 1 (domain_register) to have its name";
    for (kind, status, expected) in [
        (DomainRegister, Pending, WAITS),
        (DomainRegister, Placing, WAITS),
        (DomainRegister, InDoubt, WAITS),
        (DomainRegister, Provisioning, WAITS),
        (DomainRegister, Held, WAITS),
        (DomainRegister, Completed, "read the catalogue"),
        (
            DomainRegister,
            Failed,
            "failed, rest: line 1 (domain_register), which it needs, is failed",
        ),
        (
            DomainRegister,
            Cancelled,
            "failed, rest: line 1 (domain_register), which it needs, is cancelled",
        ),
        (DomainTransfer, Pending, "read the catalogue"),
        (DomainTransfer, Failed, "read the catalogue"),
    ] {
        let mut facts = facts(Pending);
        facts.lines.push(line(1, kind, status));
        assert_eq!(first(&facts), expected, "{kind} {status}");
        facts.lines[1].domain = Some("example.com".to_owned());
        assert_eq!(first(&facts), "read the catalogue", "another name is waited for by nobody");
    }
}

#[test]
fn a_line_that_waits_on_says_so_once() {
    let mut facts = facts(Pending);
    facts.lines.push(line(1, LineKind::DomainRegister, Provisioning));
    let decided = |facts: &Facts| {
        let Step::Record(change) = decide(facts, &Known::default(), &PATIENCE) else {
            panic!("it waits");
        };
        *change
    };
    let waits = decided(&facts);
    assert_eq!(waits.events.len(), 1);
    facts.progress = waits.progress;
    assert_eq!(decided(&facts).events, []);
}

#[test]
fn the_third_panic_is_the_last() {
    use EffectState::{Absent, InDoubt as Doubtful, NotSent, Rejected, Sending};
    const PANICS: &str = "the worker failed 3 times on this line; its log says why";
    let third = |status, placement: Option<Placement>| {
        let mut facts = facts(status);
        facts.placements = placement.into_iter().collect();
        facts.progress.panics = PANICS_MAX - 2;
        let second = panicked(&facts);
        assert_eq!((second.progress.status, second.then), (status, Then::Retry));
        facts.progress = second.progress;
        let third = panicked(&facts);
        assert_eq!(third.progress.panics, PANICS_MAX);
        told_change(&third)
    };
    for (status, state, expected) in [
        (Pending, None, format!("held, rest: {PANICS}")),
        (Pending, Some(NotSent), format!("held, rest: {PANICS}")),
        (Pending, Some(Absent), format!("held, rest: {PANICS}")),
        (Pending, Some(Doubtful), format!("in_doubt, rest: {PANICS}")),
        (Placing, Some(Sending), IN_DOUBT.replace("after 0ns", "rest")),
        (Placing, Some(NotSent), AGAIN.to_owned()),
        (Placing, Some(Rejected), REFUSED.to_owned()),
        (Provisioning, None, format!("in_doubt, rest: {PANICS}")),
        (InDoubt, Some(Doubtful), "in_doubt, rest".to_owned()),
    ] {
        let placement = state.map(|state| placement(1, state));
        assert_eq!(third(status, placement), expected, "{status} {state:?}");
    }
    assert_eq!(third(Placing, Some(bought(1, 7))), "provisioning, poll anew");
}

#[test]
fn doubt_has_its_time_and_leaves_it_behind() {
    let doubtful = in_doubt(&facts(Placing), "no answer".to_owned());
    assert_eq!(doubtful.progress.in_doubt_at, Some(minute(0)));
    let mut facts = with(InDoubt, placement(1, EffectState::NotSent));
    facts.progress = doubtful.progress;
    for (state, status) in [(EffectState::NotSent, Pending), (EffectState::Rejected, Failed)] {
        facts.placements = vec![placement(1, state)];
        let Step::Record(change) = decide(&facts, &Known::default(), &PATIENCE) else {
            panic!("a doubt is never sent again");
        };
        assert_eq!((change.progress.status, change.progress.in_doubt_at), (status, None));
    }
}

//! Lines of WHOIS contacts: made once, changed where they differ, doubted.

use super::*;
use crate::order::{
    ContactHandle,
    domain::{ContactChange, Registrant, UpstreamContact},
    facts::ContactReading,
    outcome::{accepted, unknown},
};
use EffectState::{Absent, Accepted, InDoubt as Doubtful, NotSent, Rejected};
use LineStatus::{InDoubt, Pending, Placing, Provisioning};

fn bob() -> Registrant {
    Registrant::of_contact(&json!({
        "name": "Bob Brown", "address": "Teststreet 1", "postal_code": "1234AB", "city": "Testcity",
        "country": "NL", "email": "bob@example.com", "phone": "+31612345678" }))
    .unwrap()
}

fn handle() -> ContactHandle {
    ContactHandle("h-1".to_owned())
}

fn of_no_name(status: LineStatus, kind: LineKind, wish: Wish) -> Facts {
    let mut facts = facts(status);
    facts.kind = kind;
    facts.wish = Ok(wish);
    facts.progress.domain = None;
    facts.lines = vec![LineState { domain: None, ..line(0, kind, status) }];
    facts
}

fn creates(status: LineStatus) -> Facts {
    let mut facts = of_no_name(status, LineKind::ContactCreate, Wish::CreateContact(bob()));
    facts.name.registrant = Some(bob());
    facts
}

fn updates(status: LineStatus) -> Facts {
    let change = ContactChange { city: Some("Otherville".to_owned()), ..ContactChange::default() };
    let wish = Wish::UpdateContact { contact_handle: handle(), change };
    of_no_name(status, LineKind::ContactUpdate, wish)
}

fn with(facts: Facts, step: EffectStep, state: EffectState) -> Facts {
    Facts { placements: vec![of_step(step, 1, state)], ..facts }
}

fn listed(found: Option<ContactHandle>) -> Known {
    Known { contact: Some(found), ..Known::default() }
}

fn seen(city: &str) -> Known {
    let contact = UpstreamContact { city: Some(city.to_owned()), ..UpstreamContact::default() };
    let reading = ContactReading::Seen(Box::new(contact));
    Known { contact_seen: Some(reading), ..Known::default() }
}

fn decided(facts: &Facts, known: &Known) -> String {
    told(&decide(facts, known, &PATIENCE))
}

#[test]
fn a_contact_is_looked_for_before_it_is_made_and_made_once() {
    let new = creates(Pending);
    assert_eq!(decided(&new, &Known::default()), "look for the contact");
    assert_eq!(decided(&new, &listed(None)), "create_contact SHOP-1001/0/contact");
    let there = "completed, rest: a WHOIS contact with these details was there already";
    assert_eq!(decided(&new, &listed(Some(handle()))), there);
    let mut known_here = creates(Pending);
    known_here.name.contact_handle = Some(handle());
    assert_eq!(decided(&known_here, &Known::default()), there);

    let step = EffectStep::CreateContact;
    let mut made = with(creates(Pending), step, Accepted);
    made.placements[0].contact_handle = Some(handle());
    assert_eq!(decided(&made, &Known::default()), "completed, rest");
    for state in [Doubtful, Accepted] {
        let open = with(creates(Pending), step, state);
        let expected = "in_doubt, after 0ns: an earlier WHOIS contact is still open";
        assert_eq!(decided(&open, &listed(None)), expected, "{state}");
    }
    let unsent = with(creates(Pending), step, NotSent);
    assert_eq!(decided(&unsent, &listed(None)), "create_contact SHOP-1001/0/contact");
    let absent = with(creates(Pending), step, Absent);
    assert_eq!(decided(&absent, &listed(None)), "create_contact SHOP-1001/0/contact#2");
}

#[test]
fn a_contact_in_doubt_is_looked_for_anew() {
    let mut doubtful = with(creates(InDoubt), EffectStep::CreateContact, Doubtful);
    doubtful.progress.in_doubt_at = Some(minute(0));
    assert_eq!(decided(&doubtful, &Known::default()), "look for the contact anew");
    let found = decide(&doubtful, &listed(Some(handle())), &PATIENCE);
    let Step::Record(change) = found else { panic!("{found:?}") };
    assert_eq!(change.progress.contact_handle, Some(handle()));
    assert_eq!(change.evidence.map(|evidence| evidence.state), Some(Accepted));
}

#[test]
fn after_three_that_came_to_nothing_a_person_looks_and_as_many_are_asked_for_anew() {
    use EffectState::{Abandoned, Sending};
    let step = EffectStep::CreateContact;
    let after = |states: &[EffectState]| {
        let placements = (1..).zip(states).map(|(n, state)| of_step(step, n, *state)).collect();
        decided(&Facts { placements, ..creates(Pending) }, &listed(None))
    };
    let held = "held, rest: no WHOIS contact came of 3 requests; look at LJPc's list";
    assert_eq!(after(&[Absent, Absent]), "create_contact SHOP-1001/0/contact#3");
    assert_eq!(after(&[Absent, Absent, NotSent]), "create_contact SHOP-1001/0/contact#3");
    assert_eq!(after(&[Absent; 3]), held);
    assert_eq!(after(&[Abandoned; 3]), "create_contact SHOP-1001/0/contact#4");
    let anew = [Abandoned, Abandoned, Abandoned, Absent, Absent];
    assert_eq!(after(&anew), "create_contact SHOP-1001/0/contact#6");
    assert_eq!(after(&[anew.as_slice(), &[Absent]].concat()), held);
    // One that may be there already is nobody's to hold.
    let open = after(&[Absent, Absent, Absent, Sending]);
    assert!(open.starts_with("in_doubt"), "{open}");
}

#[test]
fn a_contact_is_changed_where_it_differs() {
    let step = EffectStep::UpdateContact;
    let new = updates(Pending);
    assert_eq!(decided(&new, &Known::default()), "read contact h-1");
    assert_eq!(decided(&new, &seen("Testcity")), "update_contact SHOP-1001/0/contact-update");
    assert_eq!(decided(&new, &seen("Otherville")), "completed, rest");
    let foreign = Known { contact_seen: Some(ContactReading::NotOurs), ..Known::default() };
    assert_eq!(
        decided(&new, &foreign),
        "pending, poll anew: LJPc does not show h-1; it is asked again"
    );
    let mut again = new.clone();
    again.progress.failed_seen_at = Some(again.now);
    assert_eq!(
        decided(&again, &foreign),
        "failed, rest: h-1 is not a WHOIS contact of this account"
    );
    let sent = with(updates(Provisioning), step, Accepted);
    assert_eq!(
        decided(&sent, &foreign),
        "provisioning, poll: LJPc does not show h-1; it is asked again"
    );
    assert_eq!(
        decided(&sent, &seen("Testcity")),
        "provisioning, poll: LJPc accepted city, and does not show it yet"
    );
    let mut old = with(updates(Provisioning), step, Accepted);
    old.now = minute(2);
    assert_eq!(decided(&old, &seen("Testcity")), "update_contact SHOP-1001/0/contact-update#2");
    let latest = old.placements[0].clone();
    old.placements = vec![latest; 3];
    assert_eq!(
        decided(&old, &seen("Testcity")),
        "failed, rest: LJPc accepted city 3 times, and does not show it"
    );
    let away = Known { contact_seen: Some(ContactReading::Unanswered), ..Known::default() };
    assert_eq!(
        decided(&new, &away),
        "pending, poll: LJPc gives no answer about h-1; it is asked again"
    );
}

#[test]
fn a_change_in_doubt_is_read_back() {
    let step = EffectStep::UpdateContact;
    let doubtful = with(updates(InDoubt), step, Doubtful);
    assert_eq!(decided(&doubtful, &Known::default()), "read contact h-1");
    let so = decide(&doubtful, &seen("Otherville"), &PATIENCE);
    let Step::Record(change) = so else { panic!("{so:?}") };
    assert_eq!(change.progress.status, Provisioning);
    assert_eq!(change.evidence.map(|evidence| evidence.state), Some(Accepted));
    let not_so = decided(&doubtful, &seen("Testcity"));
    assert!(
        not_so.starts_with("pending, retry: the change of the WHOIS contact had no effect"),
        "{not_so}"
    );
}

#[test]
fn what_becomes_of_an_answer() {
    let made = Acceptance::Contact(handle());
    let after = accepted(&creates(Placing), EffectStep::CreateContact, &made);
    assert_eq!((after.progress.status, after.progress.contact_handle), (Pending, Some(handle())));
    let changed = Acceptance::Changed { synced: None };
    let after = accepted(&updates(Placing), EffectStep::UpdateContact, &changed);
    assert_eq!(after.progress.status, Provisioning);
    for (facts, step) in [
        (creates(Placing), EffectStep::CreateContact),
        (updates(Placing), EffectStep::UpdateContact),
    ] {
        let refused = rejected(&facts, step, Some("The country field must be 2 characters."));
        assert_eq!(refused.progress.status, LineStatus::Failed);
        assert_eq!(unknown(&facts, step, "a timeout").progress.status, InDoubt);
        let interrupted = with(facts, step, Rejected);
        assert!(decided(&interrupted, &Known::default()).starts_with("failed, rest: LJPc refused"));
    }
}

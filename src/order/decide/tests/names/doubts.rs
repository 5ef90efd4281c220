//! What may have been bought, and what is found of it.

use super::*;

#[test]
fn a_doubtful_registration_is_found_by_our_handle_alone() {
    let mut facts = registers(InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    facts.progress.contact_handle = Some(handle("h-1"));
    facts.placements = vec![of_step(EffectStep::Register, 1, Doubtful)];
    facts.placements[0].price = "7.76".parse().ok();
    assert_eq!(next(&facts, &Known::default()), "read example.nl");
    // Out of a stored row, perhaps: it must still be so a while later.
    facts.now = minute(1);
    let once = change(&facts, &shown(seen(true)));
    assert_eq!(
        (once.progress.status, once.evidence.clone(), once.then),
        (InDoubt, None, Then::After(PATIENCE.evidence_interval))
    );
    let gone = Known { domain: Some(DomainReading::NotOurs), ..Known::default() };
    let mut stale = facts.clone();
    stale.progress = once.progress;
    assert_eq!(change(&stale, &shown(seen(true))).evidence, None, "not yet");
    stale.progress = change(&stale, &gone).progress;
    assert_eq!(stale.progress.completed_seen_at, None, "it was a stored row");
    facts.progress.completed_seen_at = Some(minute(0));
    let found = change(&facts, &shown(seen(true)));
    assert_eq!((found.progress.status, found.progress.cost), (Provisioning, "7.76".parse().ok()));
    assert_eq!(found.progress.completed_seen_at, None);
    assert_eq!(found.evidence.map(|evidence| evidence.state), Some(Accepted));
    let absent = Known { domain: Some(DomainReading::NotOurs), ..Known::default() };
    let foreign = shown(DomainSeen { contact_handle: Some(handle("h-9")), ..seen(true) });
    let nobodys = shown(DomainSeen { contact_handle: None, ..seen(true) });
    for unclear in [&absent, &foreign, &nobodys] {
        assert_eq!(next(&facts, unclear), "in_doubt, after 30s");
    }
    // Absence proves nothing: a person is asked, and it is looked at on and on.
    facts.now = minute(15);
    assert_eq!(next(&facts, &absent), "in_doubt, poll");
}

#[test]
fn a_doubtful_transfer_is_found_while_it_is_pending() {
    let mut facts = transfers(InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    facts.progress.contact_handle = Some(handle("h-1"));
    facts.placements = vec![of_step(EffectStep::Transfer, 1, Doubtful)];
    let pending = DomainSeen {
        status: Some("pending_transfer".to_owned()),
        contact_handle: None,
        ..seen(false)
    };
    facts.now = minute(1);
    facts.progress.completed_seen_at = Some(minute(0));
    assert_eq!(change(&facts, &shown(pending)).progress.status, Provisioning);
}

#[test]
fn a_doubtful_contact_is_looked_for_and_then_made_anew() {
    let mut facts = registers(InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    facts.placements = vec![of_step(EffectStep::CreateContact, 1, Doubtful)];
    assert_eq!(next(&facts, &Known::default()), "look for the contact anew");
    let found = Known { contact: Some(Some(handle("h-1"))), ..Known::default() };
    let made = change(&facts, &found);
    assert_eq!(
        (made.progress.status, made.progress.contact_handle),
        (Pending, Some(handle("h-1")))
    );
    let missing = Known { contact: Some(None), ..Known::default() };
    assert_eq!(next(&facts, &missing), "in_doubt, after 30s");
    facts.now = minute(15);
    let anew = change(&facts, &missing);
    assert_eq!(anew.evidence.map(|evidence| evidence.state), Some(Absent));
    facts.progress = anew.progress;
    facts.placements[0].state = Absent;
    let known = Known { contact: Some(None), ..offered("available", "3.88") };
    assert_eq!(next(&facts, &known), "create_contact SHOP-1001/0/contact#2");
}

#[test]
fn a_name_that_a_person_declared_absent_is_looked_for_once_more() {
    let mut facts = registers(Pending);
    facts.progress.contact_handle = Some(handle("h-1"));
    facts.placements = vec![of_step(EffectStep::Register, 1, Absent)];
    assert_eq!(next(&facts, &Known::default()), "read example.nl");
    // He was wrong: it is not "taken", it is ours.
    let found = twice(&mut facts.clone(), &shown(seen(false)));
    assert_eq!(found.progress.status, Provisioning);
    let gone = Known { domain: Some(DomainReading::NotOurs), ..offered("available", "3.88") };
    assert_eq!(next(&facts, &gone), "register SHOP-1001/0#2");
}

#[test]
fn a_contact_that_was_made_is_no_doubt_about_the_purchase() {
    let mut facts = registers(Placing);
    facts.placements = vec![of_step(EffectStep::CreateContact, 1, Accepted)];
    assert_eq!(next(&facts, &Known::default()), "pending, retry");
    facts.placements[0].state = Rejected;
    facts.placements[0].detail = Some("The country field must be 2 characters.".to_owned());
    assert_eq!(
        next(&facts, &Known::default()),
        "failed, rest: LJPc refused the WHOIS contact: The country field must be 2 characters."
    );
}

#[test]
fn a_name_that_is_here_already_is_not_transferred() {
    for route in [Route::Direct, Route::Order] {
        let mut facts = transfers(Pending);
        facts.wish = Ok(Wish::Transfer(name_wish(route)));
        facts.name.contact_handle = Some(handle("h-1"));
        let known = |domain| Known { domain, ..offered("", "3.88") };
        assert_eq!(next(&facts, &known(None)), "read example.nl");
        let buys = |known: &Known| matches!(decide(&facts, known, &PATIENCE), Step::Make(_));
        assert!(buys(&known(Some(DomainReading::NotOurs))));
        let failed = DomainSeen { status: Some("transfer_rejected".to_owned()), ..seen(true) };
        assert!(buys(&known(Some(DomainReading::Seen(failed)))), "it may be asked for anew");
        let waits = change(&facts, &known(Some(DomainReading::Unanswered)));
        assert_eq!((waits.progress.status, waits.then), (Pending, Then::Retry));
        let once = change(&facts, &known(Some(DomainReading::Seen(seen(true)))));
        assert_eq!(once.progress.status, Pending, "{:?}", once.progress.reason);
        facts.progress = once.progress;
        facts.now += PATIENCE.evidence_interval;
        let ours = change(&facts, &known(Some(DomainReading::Seen(seen(true)))));
        assert_eq!(
            (ours.progress.status, ours.progress.cause),
            (Failed, Some(Cause::TransferRefused))
        );
    }
}

#[test]
fn what_an_earlier_placement_may_have_bought_is_not_called_taken() {
    let mut facts = registers(Pending);
    facts.wish = Ok(Wish::Register(name_wish(Route::Order)));
    facts.placements = vec![of_step(EffectStep::PlaceOrder, 1, Absent)];
    // By an order there is no handle of ours to know it by: a person looks.
    let ours = Known { domain: shown(seen(true)).domain, ..offered("available", "3.88") };
    assert_eq!(change(&facts, &ours).progress.status, LineStatus::Held);
    let gone = Known { domain: Some(DomainReading::NotOurs), ..offered("taken", "3.88") };
    let held = change(&facts, &gone);
    assert_eq!(held.progress.status, LineStatus::Held);
    assert!(held.progress.reason.unwrap().ends_with("may have bought it"));
    let mut facts = transfers(Pending);
    facts.placements = vec![of_step(EffectStep::Transfer, 1, Absent)];
    let known = Known { domain: shown(seen(true)).domain, ..offered("", "3.88") };
    assert_eq!(change(&facts, &known).progress.status, LineStatus::Held);
}

#[test]
fn what_a_restored_database_may_have_forgotten_is_not_called_taken() {
    let mut facts = registers(Pending);
    facts.is_older_than_restore = true;
    assert_eq!(next(&facts, &offered("taken", "3.88")), "read example.nl");
    let gone = Known { domain: Some(DomainReading::NotOurs), ..offered("taken", "3.88") };
    assert_eq!(change(&facts, &gone).progress.status, LineStatus::Held);
    let free = Known { domain: Some(DomainReading::NotOurs), ..offered("available", "3.88") };
    let known = crate::order::facts::NameFacts {
        contact_handle: Some(handle("h-1")),
        ..facts.name.clone()
    };
    let known = Facts { name: known, ..facts.clone() };
    assert!(matches!(decide(&known, &free, &PATIENCE), Step::Make(_)));
    // With the contact that is its customer's alone it is this line's. The contact may be forgotten, too.
    let ours = Known { domain: shown(seen(true)).domain, ..offered("taken", "3.88") };
    assert!(matches!(decide(&facts, &ours, &PATIENCE), Step::Read(Query::Contact(None))));
    let found =
        |contact: Option<&str>| Known { contact: Some(contact.map(handle)), ..ours.clone() };
    for stranger in [None, Some("h-9")] {
        assert_eq!(change(&facts, &found(stranger)).progress.status, LineStatus::Held);
    }
    assert_eq!(twice(&mut facts.clone(), &found(Some("h-1"))).progress.status, Provisioning);
    facts.name.contact_handle = Some(handle("h-1"));
    assert_eq!(twice(&mut facts.clone(), &ours).progress.status, Provisioning);
    facts.name.is_owned = true;
    assert_eq!(change(&facts, &ours).progress.status, LineStatus::Held);
    // What may have bought it is not forgotten. What has not may have been sent once more since.
    for (state, is_forgotten) in
        [(Doubtful, false), (Accepted, false), (Absent, false), (NotSent, true), (Rejected, true)]
    {
        facts.placements = vec![of_step(EffectStep::Register, 1, state)];
        assert_eq!(facts.may_be_forgotten(), is_forgotten, "{state:?}");
    }
}

#[test]
fn a_transfer_that_a_restored_database_may_have_forgotten_is_not_sent_again() {
    let failed = |handle_shown| DomainSeen {
        status: Some("transfer_rejected".to_owned()),
        contact_handle: Some(handle(handle_shown)),
        ..seen(true)
    };
    let known = |domain| Known { domain: Some(domain), ..offered("", "3.88") };
    let mut facts = transfers(Pending);
    facts.is_older_than_restore = true;
    facts.name.contact_handle = Some(handle("h-1"));
    // It may be the one that was forgotten: it is followed, and ends as it would have.
    let ours = known(DomainReading::Seen(failed("h-1")));
    assert_eq!(twice(&mut facts.clone(), &ours).progress.status, Provisioning);
    let foreign = known(DomainReading::Seen(failed("h-9")));
    assert!(matches!(decide(&facts, &foreign, &PATIENCE), Step::Make(_)));
    let mut by_order = facts.clone();
    by_order.wish = Ok(Wish::Transfer(name_wish(Route::Order)));
    assert_eq!(change(&by_order, &foreign).progress.status, LineStatus::Held, "no handle tells");
    // One answer that does not show it is not believed, for what was just taken may not show yet.
    let gone = known(DomainReading::NotOurs);
    let once = change(&facts, &gone);
    assert_eq!((once.progress.status, once.then), (Pending, Then::After(PATIENCE.poll_interval)));
    facts.progress = once.progress;
    let Step::Make(effect) = decide(&facts, &gone, &PATIENCE) else { panic!("it is sent now") };
    assert_eq!(effect.during.progress.failed_seen_at, None);
}

#[test]
fn a_name_that_is_said_to_exist_is_looked_at_before_it_is_called_taken() {
    const EXISTS: &str = "Domain already exists";
    let refused = rejected(&registers(Placing), EffectStep::Register, Some(EXISTS));
    assert_eq!((refused.progress.status, refused.then), (Pending, Then::After(Duration::ZERO)));
    let mut facts = registers(Pending);
    facts.progress.contact_handle = Some(handle("h-1"));
    let mut placed = of_step(EffectStep::Register, 1, Rejected);
    placed.detail = Some(EXISTS.to_owned());
    facts.placements = vec![placed];
    assert_eq!(next(&facts, &tlds()), "read example.nl");
    let ours = Known { domain: shown(seen(true)).domain, ..tlds() };
    let found = twice(&mut facts.clone(), &ours);
    assert_eq!(found.progress.status, Provisioning, "our own earlier success");
    // Not by the handle alone: another line of ours may have brought it.
    facts.name.is_owned = true;
    let failed = twice(&mut facts.clone(), &ours);
    assert_eq!((failed.progress.status, failed.progress.cause), (Failed, Some(Cause::NameTaken)));
    facts.name.is_owned = false;
    let foreign = Known { domain: Some(DomainReading::NotOurs), ..tlds() };
    let failed = twice(&mut facts.clone(), &foreign);
    assert_eq!(failed.progress.cause, Some(Cause::NameTaken));
    // One reading that shows it as ours, and one that does not, say nothing.
    let mut unsure = facts.clone();
    for known in [&foreign, &ours, &foreign, &ours] {
        let once = change(&unsure, known);
        assert_eq!(once.progress.status, Pending, "{:?}", once.progress.reason);
        unsure.progress = once.progress;
    }
    // Unless a person has given up a placement that may have been the one.
    facts.placements.insert(0, of_step(EffectStep::Register, 1, Absent));
    facts.placements[1].n = 2;
    assert_eq!(change(&facts, &foreign).progress.status, LineStatus::Held);
}

#[test]
fn the_row_of_an_earlier_transfer_is_no_evidence() {
    let failed = shown(DomainSeen { status: Some("transfer_rejected".to_owned()), ..seen(false) });
    let mut doubtful = transfers(InDoubt);
    doubtful.progress.in_doubt_at = Some(minute(0));
    doubtful.progress.contact_handle = Some(handle("h-1"));
    doubtful.placements = vec![of_step(EffectStep::Transfer, 1, Doubtful)];
    assert_eq!(next(&doubtful, &failed), "in_doubt, after 30s");
}

#[test]
fn another_lines_name_is_no_evidence() {
    let mut facts = registers(InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    facts.progress.contact_handle = Some(handle("h-1"));
    facts.placements = vec![of_step(EffectStep::Register, 1, Doubtful)];
    facts.name.is_owned = true;
    assert_eq!(next(&facts, &shown(seen(true))), "in_doubt, after 30s");
}

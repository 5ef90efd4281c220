//! Lines of names, step by step: buying, arriving, wishes, DNS, doubts.

mod doubts;
mod readings;

use std::sync::Arc;

use super::*;
use crate::order::{
    ContactHandle, Milestone,
    domain::{
        Alternative, Availability, DomainChange, DomainSeen, Offer, Price, Record, Registrant, Tld,
    },
    facts::{DomainReading, Reading, SimpleStatus, ZoneReading},
    wish::{NameWish, Route},
};
use EffectState::{Absent, Accepted, InDoubt as Doubtful, NotSent, Rejected};
use LineKind::{Dns, DomainRegister, DomainTransfer, DomainUpdate, Hosting};
use LineStatus::{Completed, Failed, InDoubt, Pending, Placing, Provisioning};

fn name_wish(route: Route) -> NameWish {
    NameWish {
        years: 2,
        nameservers: Vec::new(),
        contact_handle: None,
        auto_renew: Some(false),
        transfer_lock: None,
        dns: None,
        route,
    }
}

fn bob() -> Registrant {
    let customer = json!({
        "first_name": "Bob", "last_name": "Brown", "email": "bob@example.com", "phone": "+31612345678",
        "address": "Teststreet 1", "postal_code": "1234AB", "city": "Testcity", "country": "NL",
    });
    Registrant::of_customer(&customer).unwrap()
}

fn handle(text: &str) -> ContactHandle {
    ContactHandle(text.to_owned())
}

/// A line that registers example.nl for two years, and shall not renew it.
fn registers(status: LineStatus) -> Facts {
    let mut facts = facts(status);
    facts.kind = DomainRegister;
    facts.wish = Ok(Wish::Register(name_wish(Route::Direct)));
    facts.lines = vec![line(0, DomainRegister, status)];
    facts.name.registrant = Some(bob());
    facts.name.auto_renew_wished = Some(false);
    facts
}

fn transfers(status: LineStatus) -> Facts {
    let mut facts = registers(status);
    facts.kind = DomainTransfer;
    facts.wish = Ok(Wish::Transfer(name_wish(Route::Direct)));
    facts
}

/// What follows when a reading shows the same once more, a while later: the first is not believed.
fn twice(facts: &mut Facts, known: &Known) -> Change {
    let once = change(facts, known);
    assert_eq!(
        (once.progress.status, once.evidence),
        (facts.progress.status, None),
        "by one reading"
    );
    let Then::After(interval) = once.then else { panic!("{:?}", once.then) };
    facts.progress = once.progress;
    facts.now += interval;
    change(facts, known)
}

fn tlds() -> Known {
    let tlds = [("nl", true), ("hu", false)];
    let tlds = tlds.iter().filter_map(|(name, transfers)| Tld::new(name, *transfers)).collect();
    Known { tlds: Some(Arc::new(tlds)), ..Known::default() }
}

/// With an offer: LJPc's word, and the price of a year.
fn offered(word: &str, eur: &str) -> Known {
    let price = Some(Price { premium: false, eur: eur.parse().ok() });
    let availability = (!word.is_empty()).then(|| Availability::read(word));
    Known { offer: Some(Offer { availability, price }), ..tlds() }
}

fn seen(auto_renew: bool) -> DomainSeen {
    DomainSeen {
        status: Some("active".to_owned()),
        expires_at: Some(minute(525_600)),
        nameservers: vec!["ns1.example.com".to_owned(), "ns2.example.com".to_owned()],
        auto_renew: Some(auto_renew),
        transfer_lock: Some(true),
        contact_handle: Some(handle("h-1")),
    }
}

fn shown(seen: DomainSeen) -> Known {
    Known { domain: Some(DomainReading::Seen(seen)), ..Known::default() }
}

fn next(facts: &Facts, known: &Known) -> String {
    told(&decide(facts, known, &PATIENCE))
}

fn effect(facts: &Facts, known: &Known) -> Effect {
    match decide(facts, known, &PATIENCE) {
        Step::Make(effect) => *effect,
        other @ (Step::Read(_) | Step::Record(_)) => panic!("nothing is made: {}", told(&other)),
    }
}

fn change(facts: &Facts, known: &Known) -> Change {
    match decide(facts, known, &PATIENCE) {
        Step::Record(change) => *change,
        other @ (Step::Read(_) | Step::Make(_)) => panic!("nothing is recorded: {}", told(&other)),
    }
}

#[test]
fn a_registration_looks_before_it_buys() {
    let facts = registers(Pending);
    assert_eq!(next(&facts, &Known::default()), "read the endings");
    assert_eq!(next(&facts, &tlds()), "ask for example.nl");
    assert_eq!(next(&facts, &offered("available", "3.88")), "look for the contact");
    let without = Known { contact: Some(None), ..offered("available", "3.88") };
    assert_eq!(next(&facts, &without), "create_contact SHOP-1001/0/contact");
    let found = Known { contact: Some(Some(handle("h-1"))), ..offered("available", "3.88") };
    let made = effect(&facts, &found);
    assert_eq!((made.step, made.tag.as_str()), (EffectStep::Register, "SHOP-1001/0"));
    assert_eq!(made.price, "7.76".parse().ok(), "two years");
    assert_eq!(
        (made.during.progress.status, made.during.progress.contact_handle),
        (Placing, Some(handle("h-1")))
    );
    let expected =
        Request::Register { contact_handle: handle("h-1"), years: 2, nameservers: Vec::new() };
    assert_eq!(made.request, expected);
    assert!(made.request.brings_name() && !made.request.brings_site());
}

#[test]
fn a_handle_that_is_known_or_named_needs_no_listing() {
    let offer = offered("available", "3.88");
    let mut known = registers(Pending);
    known.name.contact_handle = Some(handle("h-2"));
    assert_eq!(next(&known, &offer), "register SHOP-1001/0");
    let mut named = registers(Pending);
    named.wish = Ok(Wish::Register(NameWish {
        contact_handle: Some(handle("h-3")),
        ..name_wish(Route::Direct)
    }));
    named.name.registrant = None;
    assert_eq!(effect(&named, &offer).during.progress.contact_handle, Some(handle("h-3")));
}

#[test]
fn what_can_not_be_had_fails_and_what_is_dear_is_held() {
    let facts = registers(Pending);
    for (word, cause) in [
        ("taken", Cause::NameTaken),
        ("Available", Cause::NameTaken),
        ("unknown", Cause::NameUnavailable),
    ] {
        let failed = change(&facts, &offered(word, "3.88"));
        assert_eq!(
            (failed.progress.status, failed.progress.cause),
            (Failed, Some(cause)),
            "{word}"
        );
    }
    let mut limited = registers(Pending);
    limited.cost_limit = "7.75".parse().ok();
    assert_eq!(change(&limited, &offered("available", "3.88")).progress.status, LineStatus::Held);
    let mut foreign = registers(Pending);
    foreign.progress.domain = Some("example.xyz".to_owned());
    assert_eq!(next(&foreign, &tlds()), "failed, rest: LJPc sells no ending of example.xyz");
    let mut stuck = transfers(Pending);
    stuck.progress.domain = Some("example.hu".to_owned());
    assert_eq!(next(&stuck, &tlds()), "failed, rest: LJPc can't transfer names under .hu");
    let mut wrong = registers(Pending);
    wrong.wish = Ok(Wish::Register(NameWish {
        dns: Some(vec![record("2001:db8::1")]),
        ..name_wish(Route::Direct)
    }));
    assert_eq!(
        next(&wrong, &Known::default()),
        "failed, rest: dns[0].content: must be an IPv4 address"
    );
}

#[test]
fn alternatives_are_asked_for_where_somebody_can_name_some() {
    let facts = registers(Pending);
    let generous = Patience { offers_alternatives: true, ..PATIENCE };
    let taken = offered("taken", "3.88");
    assert_eq!(told(&decide(&facts, &taken, &generous)), "ask for others than example");
    let other = Alternative { domain: "example2.nl".to_owned(), price: "3.88".parse().unwrap() };
    for (names, told) in [(vec![other], true), (vec![], false)] {
        let known = Known { alternatives: Some(names.clone()), ..taken.clone() };
        let Step::Record(failed) = decide(&facts, &known, &generous) else { panic!("it fails") };
        assert_eq!(failed.progress.alternatives, told.then_some(names));
    }
}

#[test]
fn one_line_at_a_time_brings_a_name() {
    let mut facts = registers(Pending);
    facts.name.rival = Some("SHOP-1000/0".to_owned());
    assert_eq!(
        next(&facts, &Known::default()),
        "pending, retry: waits: example.nl is being registered or transferred by line SHOP-1000/0"
    );
    // Its one spelling comes before everything: whose turn it is goes by it.
    let mut spelt = registers(Pending);
    spelt.progress.domain = Some("BÜCHER.nl".to_owned());
    let respelt = change(&spelt, &Known::default());
    assert_eq!(respelt.progress.domain.as_deref(), Some("xn--bcher-kva.nl"));
    assert_eq!((respelt.progress.status, respelt.then), (Pending, Then::After(Duration::ZERO)));
}

#[test]
fn a_registered_name_is_read_back_then_arranged_then_done() {
    let mut facts = registers(Provisioning);
    facts.placements = vec![of_step(EffectStep::Register, 1, Accepted)];
    facts.progress.accepted_at = Some(minute(0));
    assert_eq!(next(&facts, &Known::default()), "read example.nl");
    let slow = Known { domain: Some(DomainReading::NotOurs), ..Known::default() };
    assert_eq!(
        next(&facts, &slow),
        "provisioning, poll: LJPc does not show the name yet; it is asked again"
    );
    // It renews by itself, and shall not.
    let wished = effect(&facts, &shown(seen(true)));
    let off = DomainChange { auto_renew: Some(false), ..DomainChange::default() };
    assert_eq!(wished.request, Request::UpdateDomain(off));
    assert_eq!(wished.tag.as_str(), "SHOP-1001/0/update");
    assert_eq!(wished.during.progress.status, Provisioning);
    assert_eq!(wished.during.progress.milestone, Some(Milestone::Named));
    assert_eq!(wished.during.progress.expires_at, Some(minute(525_600)));
    // Once it shows what was wished, and still does, the line has nothing more to do.
    let arranged = twice(&mut facts, &shown(seen(false)));
    assert_eq!(arranged.progress.milestone, Some(Milestone::Arranged));
    assert_eq!(arranged.seen, Some(seen(false)));
    facts.progress = arranged.progress;
    assert_eq!(next(&facts, &Known::default()), "completed, rest");
}

#[test]
fn a_wish_that_is_not_shown_is_sent_again_and_not_for_ever() {
    let mut facts = registers(Provisioning);
    facts.placements = vec![
        of_step(EffectStep::Register, 1, Accepted),
        of_step(EffectStep::UpdateDomain, 1, Accepted),
    ];
    facts.progress.accepted_at = Some(minute(0));
    let known = shown(seen(true));
    assert_eq!(
        next(&facts, &known),
        "provisioning, poll: LJPc accepted auto_renew, and does not show it yet"
    );
    facts.now = minute(2);
    assert_eq!(next(&facts, &known), "update_domain SHOP-1001/0/update#2");
    // In doubt: it was read back and is not so, so it is sent again at once.
    facts.now = minute(0);
    facts.placements[1] = of_step(EffectStep::UpdateDomain, 1, Doubtful);
    assert_eq!(next(&facts, &known), "update_domain SHOP-1001/0/update#2");
    // However often an answer was lost, up to a limit.
    facts.placements.truncate(1);
    facts.placements.extend((1..=9).map(|n| of_step(EffectStep::UpdateDomain, n, Doubtful)));
    assert_eq!(next(&facts, &known), "update_domain SHOP-1001/0/update#10");
    facts.placements.push(of_step(EffectStep::UpdateDomain, 10, Doubtful));
    let given_up = change(&facts, &known).progress;
    assert_eq!(given_up.milestone, Some(Milestone::Arranged));
    let refused = "LJPc gave no answer to auto_renew 10 times, and does not show it";
    assert_eq!(given_up.refused.as_deref(), Some(refused));
    facts.placements.truncate(1);
    facts.placements.extend((1..=3).map(|n| of_step(EffectStep::UpdateDomain, n, Accepted)));
    facts.now = minute(9);
    let given_up = change(&facts, &known);
    assert_eq!(given_up.progress.milestone, Some(Milestone::Arranged));
    facts.progress = given_up.progress;
    let done = change(&facts, &Known::default());
    assert_eq!(done.progress.status, Completed, "the name is there");
    assert_eq!(done.progress.cause, Some(Cause::WishRefused));
    assert!(done.progress.reason.is_some_and(|reason| reason.contains("auto_renew")));
}

#[test]
fn a_doubtful_wish_that_shows_is_accepted() {
    let mut facts = registers(Provisioning);
    facts.placements = vec![
        of_step(EffectStep::Register, 1, Accepted),
        of_step(EffectStep::UpdateDomain, 1, Doubtful),
    ];
    facts.progress.accepted_at = Some(minute(0));
    let evidence = twice(&mut facts, &shown(seen(false))).evidence;
    let accepted = Evidence {
        step: EffectStep::UpdateDomain,
        n: 1,
        state: Accepted,
        upstream_order_id: None,
        site_id: None,
    };
    assert_eq!(evidence, Some(accepted));
}

#[test]
fn a_name_may_come_by_an_order() {
    let mut facts = registers(Pending);
    facts.wish = Ok(Wish::Register(NameWish {
        nameservers: vec!["ns1.example.org".to_owned(), "ns2.example.org".to_owned()],
        ..name_wish(Route::Order)
    }));
    let placed = effect(&facts, &offered("available", "3.88"));
    assert_eq!((placed.step, placed.tag.as_str()), (EffectStep::PlaceOrder, "SHOP-1001/0"));
    assert!(placed.request.brings_name() && !placed.request.brings_site());
    facts.progress.status = Provisioning;
    facts.placements = vec![bought(1, 7)];
    facts.progress.upstream_order_id = Some(UpstreamOrderId(7));
    facts.progress.accepted_at = Some(minute(0));
    assert_eq!(next(&facts, &Known::default()), "read order 7");
    let completed = Reading::Order { simple_status: SimpleStatus::Completed, site_id: None };
    let known = Known { reading: Some(completed), ..Known::default() };
    let delivered = change(&facts, &known);
    assert_eq!(delivered.then, Then::After(Duration::ZERO), "no site is waited for");
    facts.progress = delivered.progress;
    assert_eq!(next(&facts, &Known::default()), "read example.nl");
    // The cart item takes no name servers, so they are a wish.
    let Request::UpdateDomain(wish) = effect(&facts, &shown(seen(false))).request else {
        panic!("the name servers are changed");
    };
    // All that is wished is sent: what is not missing may come out of a stored row.
    assert_eq!(wish.fields(), ["nameservers", "auto_renew"]);
}

fn record(address: &str) -> Record {
    let [kind, name] = ["A", "@"].map(str::to_owned);
    Record { kind, name, content: address.to_owned(), ttl: 3600, prio: None }
}

/// A registration with DNS of its own, whose name is arranged.
fn with_dns() -> Facts {
    let mut facts = registers(Provisioning);
    let dns = Some(vec![record("192.0.2.10")]);
    facts.wish = Ok(Wish::Register(NameWish { dns, ..name_wish(Route::Direct) }));
    facts.placements = vec![of_step(EffectStep::Register, 1, Accepted)];
    facts.progress.accepted_at = Some(minute(0));
    facts.progress.milestone = Some(Milestone::Arranged);
    facts.lines[0].milestone = Some(Milestone::Arranged);
    facts.lines[0].has_dns = true;
    facts
}

#[test]
fn dns_waits_until_hosting_has_ended_however() {
    let mut facts = with_dns();
    facts.lines.push(line(1, Hosting, Provisioning));
    let waiting = change(&facts, &Known::default());
    assert_eq!(waiting.then, Then::Rest);
    assert_eq!(
        waiting.progress.reason.as_deref(),
        Some("its DNS waits for line 1 (hosting) to end")
    );
    for ended in [Completed, Failed] {
        facts.lines[1].status = ended;
        assert_eq!(next(&facts, &Known::default()), "read the zone of example.nl");
    }
}

#[test]
fn dns_is_written_where_it_differs_and_its_refusal_is_no_failure() {
    let mut facts = with_dns();
    let empty = Known { zone: Some(ZoneReading::Records(Vec::new())), ..Known::default() };
    let written = effect(&facts, &empty);
    assert_eq!(written.tag.as_str(), "SHOP-1001/0/dns");
    let records = vec![record("192.0.2.10")];
    assert_eq!(
        written.request,
        Request::ReplaceRecords { records: records.clone(), before: Vec::new() }
    );
    let same = Known { zone: Some(ZoneReading::Records(records)), ..Known::default() };
    assert_eq!(next(&facts, &same), "completed, rest");
    let refused = rejected(&facts, EffectStep::ReplaceRecords, Some("managed by the panel"));
    assert_eq!(refused.progress.status, Provisioning);
    facts.progress = refused.progress;
    facts.placements.push(of_step(EffectStep::ReplaceRecords, 1, Rejected));
    assert_eq!(
        next(&facts, &Known::default()),
        "completed, rest: LJPc refused the DNS records: managed by the panel"
    );
}

#[test]
fn what_is_accepted_and_shown_otherwise_is_not_written_for_ever() {
    let mut facts = with_dns();
    facts.placements.push(of_step(EffectStep::ReplaceRecords, 1, Accepted));
    let other =
        Known { zone: Some(ZoneReading::Records(vec![record("192.0.2.99")])), ..Known::default() };
    assert_eq!(next(&facts, &other), "completed, rest");
    let mut own = facts_of(Dns, Wish::Dns(vec![record("192.0.2.10")]), Provisioning);
    own.placements = vec![of_step(EffectStep::ReplaceRecords, 1, Accepted)];
    assert!(next(&own, &other).starts_with("completed, rest: LJPc accepted the records"));
}

fn facts_of(kind: LineKind, wish: Wish, status: LineStatus) -> Facts {
    let mut facts = facts(status);
    facts.kind = kind;
    facts.wish = Ok(wish);
    facts.lines = vec![line(0, kind, status)];
    facts
}

fn renewing(auto_renew: bool, status: LineStatus) -> Facts {
    let change = DomainChange { auto_renew: Some(auto_renew), ..DomainChange::default() };
    facts_of(DomainUpdate, Wish::Update(change), status)
}

#[test]
fn an_update_is_sent_where_anything_differs() {
    let facts = renewing(true, Pending);
    assert_eq!(next(&facts, &Known::default()), "read example.nl");
    assert_eq!(next(&facts, &shown(seen(false))), "update_domain SHOP-1001/0/update");
    // What is so already ends the line without a request, but not by one reading.
    let once = change(&facts, &shown(seen(true)));
    assert_eq!(
        told_change(&once),
        "pending, after 30s: LJPc shows it as wished; it is read once more before that is believed"
    );
    let stale = Facts { progress: once.progress, ..facts.clone() };
    let sent = effect(&stale, &shown(seen(false)));
    assert_eq!(sent.tag.as_str(), "SHOP-1001/0/update", "it was a stored row");
    assert_eq!(told_change(&twice(&mut facts.clone(), &shown(seen(true)))), "completed, rest");
    let foreign = Known { domain: Some(DomainReading::NotOurs), ..Known::default() };
    // It may be missing for a moment, so it is read twice.
    let once = change(&facts, &foreign);
    assert_eq!(
        told_change(&once),
        "pending, poll anew: LJPc does not show example.nl; it is asked again"
    );
    let later = Facts { progress: once.progress, ..facts.clone() };
    assert_eq!(next(&later, &foreign), "failed, rest: example.nl is not a name of this account");
    let away = Known { domain: Some(DomainReading::Unanswered), ..Known::default() };
    assert_eq!(
        next(&facts, &away),
        "pending, poll: LJPc gives no answer about example.nl; it is asked again"
    );
    let late = Facts { now: minute(24 * 60), ..facts.clone() };
    assert!(change(&late, &away).overdue, "whoever waits for long is told of");
    // The customer has changed his mind since.
    let mut late = renewing(true, Pending);
    late.name.auto_renew_wished = Some(false);
    assert_eq!(told_change(&twice(&mut late, &shown(seen(false)))), "completed, rest");
}

#[test]
fn a_doubtful_change_is_read_back_and_made_again() {
    let mut facts = renewing(true, InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    facts.placements = vec![of_step(EffectStep::UpdateDomain, 1, Doubtful)];
    assert_eq!(next(&facts, &Known::default()), "read example.nl");
    let shows = twice(&mut facts.clone(), &shown(seen(true)));
    assert_eq!(shows.progress.status, Provisioning);
    assert_eq!(shows.evidence.map(|evidence| evidence.state), Some(Accepted));
    let lacks = change(&facts, &shown(seen(false)));
    assert_eq!(lacks.progress.status, Pending);
    assert_eq!(lacks.evidence.map(|evidence| evidence.state), Some(Absent));
    facts.progress = lacks.progress;
    facts.placements[0].state = Absent;
    assert_eq!(next(&facts, &shown(seen(false))), "update_domain SHOP-1001/0/update#2");
}

#[test]
fn a_zone_that_never_takes_is_left_to_a_person() {
    let wanted = Wish::Dns(vec![record("192.0.2.10")]);
    let mut facts = facts_of(Dns, wanted, InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    let other =
        Known { zone: Some(ZoneReading::Records(vec![record("192.0.2.99")])), ..Known::default() };
    facts.placements = vec![of_step(EffectStep::ReplaceRecords, 1, Doubtful)];
    assert!(next(&facts, &other).starts_with("pending, retry: "), "by the schedule, not at once");
    let mut given_up: Vec<_> =
        (1..=3).map(|n| of_step(EffectStep::ReplaceRecords, n, Absent)).collect();
    given_up.push(of_step(EffectStep::ReplaceRecords, 4, Doubtful));
    facts.placements = given_up;
    assert_eq!(next(&facts, &other), "in_doubt, poll", "it stays in doubt, past its grace");
    let same =
        Known { zone: Some(ZoneReading::Records(vec![record("192.0.2.10")])), ..Known::default() };
    let shows = change(&facts, &same);
    assert_eq!(shows.evidence.map(|evidence| evidence.n), Some(4));
}

#[test]
fn a_younger_line_has_the_last_word_on_a_zone() {
    let other =
        Known { zone: Some(ZoneReading::Records(vec![record("192.0.2.99")])), ..Known::default() };
    let mut own = facts_of(Dns, Wish::Dns(vec![record("192.0.2.10")]), Pending);
    own.name.zone_written_by = Some("SHOP-1002/0".to_owned());
    assert_eq!(
        next(&own, &other),
        "completed, rest: line SHOP-1002/0, which is younger, has written the zone meanwhile"
    );
    let mut registered = with_dns();
    registered.name.zone_written_by = Some("SHOP-1002/0".to_owned());
    assert_eq!(next(&registered, &other), "completed, rest");
    // Of two lines of one order, the later one comes later.
    let mut later = facts_of(Dns, Wish::Dns(vec![record("192.0.2.10")]), Pending);
    later.line = 1;
    later.lines = vec![line(0, Dns, Provisioning), line(1, Dns, Pending)];
    assert_eq!(next(&later, &other), "pending, rest: waits for line 0 (dns) to end");
}

#[test]
fn an_empty_zone_of_a_name_that_is_not_ours_is_none() {
    let facts = facts_of(Dns, Wish::Dns(Vec::new()), Pending);
    let none = Known { zone: Some(ZoneReading::None), ..Known::default() };
    assert_eq!(next(&facts, &none), "read example.nl");
    let foreign = Known { domain: Some(DomainReading::NotOurs), ..none.clone() };
    let once = change(&facts, &foreign);
    assert_eq!(
        told_change(&once),
        "pending, poll anew: LJPc does not show example.nl; it is asked again"
    );
    let second = Facts { progress: once.progress, ..facts.clone() };
    assert_eq!(next(&second, &foreign), "failed, rest: example.nl is not a name of this account");
    let ours = Known { domain: shown(seen(true)).domain, ..none };
    assert_eq!(told_change(&twice(&mut facts.clone(), &ours)), "completed, rest");
}

#[test]
fn contacts_are_not_made_for_ever() {
    let mut facts = registers(Pending);
    facts.placements = (1..=3).map(|n| of_step(EffectStep::CreateContact, n, Absent)).collect();
    let known = Known { contact: Some(None), ..offered("available", "3.88") };
    assert_eq!(change(&facts, &known).progress.status, LineStatus::Held);
}

#[test]
fn what_a_line_needs_and_why_it_failed_is_told() {
    let mut facts = facts(Pending);
    facts.lines.push(LineState {
        reason: Some("example.nl can't be registered: LJPc says taken".to_owned()),
        ..line(1, DomainRegister, Failed)
    });
    assert_eq!(
        next(&facts, &Known::default()),
        "failed, rest: line 1 (domain_register), which it needs, is failed: example.nl can't be registered: LJPc says taken"
    );
}

//! Every form of a person's word, of a line that stands anywhere.

use chrono::{DateTime, Utc};

use super::*;
use crate::order::{
    Reference,
    facts::{NameFacts, Progress},
    wish::{BillingPeriod, HostingWish, NameWish, ProductKey, Route, Wish},
};

/// The line's order, where it is known.
const OWN: i64 = 7;

fn facts(status: LineStatus, placements: Vec<Placement>) -> Facts {
    let wish = HostingWish {
        product: ProductKey::Package("hosting_5gb".to_owned()),
        billing_period: Some(BillingPeriod::Monthly),
        target_url: None,
    };
    Facts {
        reference: Reference("SHOP-1001".to_owned()),
        line: 0,
        kind: LineKind::Hosting,
        wish: Ok(Wish::Hosting(wish)),
        cost_limit: None,
        allow_premium: false,
        progress: Progress::new(status, Some("example.nl".to_owned())),
        placements,
        lines: Vec::new(),
        name: NameFacts::default(),
        submitted_at: DateTime::<Utc>::UNIX_EPOCH,
        is_older_than_restore: false,
        now: DateTime::<Utc>::UNIX_EPOCH,
    }
}

fn placement(n: i32, state: EffectState) -> Placement {
    of_step(EffectStep::PlaceOrder, n, state)
}

fn of_step(step: EffectStep, n: i32, state: EffectState) -> Placement {
    Placement {
        step,
        n,
        state,
        live: state.is_live(),
        upstream_order_id: (state == EffectState::Accepted).then_some(UpstreamOrderId(OWN)),
        site_id: None,
        price: "4.49".parse().ok(),
        contact_handle: None,
        detail: None,
        intended_at: DateTime::<Utc>::UNIX_EPOCH,
        order_id_floor: None,
        probe: None,
    }
}

/// A line whose order is known.
fn borne(status: LineStatus, panics: i32) -> Facts {
    let mut facts = facts(status, vec![placement(1, EffectState::Accepted)]);
    facts.progress.upstream_order_id = Some(UpstreamOrderId(OWN));
    facts.progress.panics = panics;
    facts
}

fn given_up(facts: Facts) -> Facts {
    let progress = Progress { panics: PANICS_MAX, ..facts.progress.clone() };
    Facts { progress, ..facts }
}

/// A line of a name that is bought by its own endpoint.
fn registration(status: LineStatus, placements: Vec<Placement>) -> Facts {
    let wish = NameWish {
        years: 1,
        nameservers: Vec::new(),
        contact_handle: None,
        auto_renew: None,
        transfer_lock: None,
        dns: None,
        route: Route::Direct,
    };
    let kind = LineKind::DomainRegister;
    Facts { kind, wish: Ok(Wish::Register(wish)), ..facts(status, placements) }
}

fn saying(what: Resolution) -> Said {
    Said { what, by: "alice".to_owned(), why: Some("she looked".to_owned()) }
}

const RETRY: Resolution = Resolution::Retry { max_cost: None, allow_premium: false };
const ABSENT: Resolution = Resolution::Absent { of: None };
const ABANDON: Resolution = Resolution::Abandon { force: false };

fn order(id: i64) -> Resolution {
    Resolution::UpstreamOrder { id: UpstreamOrderId(id), n: None, cost: None }
}

/// What follows, in words: the status, and what becomes of the placements.
fn told(facts: &Facts, what: Resolution) -> String {
    match resolve(facts, &saying(what)) {
        Ok(Consequence::Already(_)) => "already".to_owned(),
        Ok(Consequence::Changes(resolved)) => {
            let progress = &resolved.change.progress;
            assert_eq!(progress.panics, 0, "a person has looked");
            assert!(
                facts.progress.status == progress.status
                    || facts.progress.status.may_become(progress.status),
                "{} to {}",
                facts.progress.status,
                progress.status
            );
            let first = &resolved.change.events[0];
            assert!(["retried", "resolved"].contains(&first.name), "{first:?}");
            assert_eq!(
                (&first.detail["by"], &first.detail["why"]),
                (&json!("alice"), &json!("she looked"))
            );
            let mut words = vec![progress.status.to_string()];
            words.extend(progress.upstream_order_id.map(|id| format!("order {id}")));
            words.extend(progress.site_id.map(|id| format!("site {id}")));
            let placements = resolved.placements.iter();
            words.extend(placements.map(|it| format!("{} {} {}", it.step, it.n, it.state)));
            words.extend(resolved.bought_twice.then(|| "bought twice".to_owned()));
            words.join(", ")
        }
        Err(Refusal::Status { status, .. }) => {
            assert_eq!(status, facts.progress.status);
            "no: stands elsewhere".to_owned()
        }
        Err(Refusal::BearsOrder { borne }) => format!("no: bears {borne}"),
        Err(Refusal::NoOrder { .. }) => "no: has no order".to_owned(),
        Err(Refusal::NoSite { .. }) => "no: has no site".to_owned(),
        Err(Refusal::NothingSent) => "no: nothing sent".to_owned(),
        Err(Refusal::Settled) => "no: settled".to_owned(),
        Err(Refusal::NotDoubted { .. }) => "no: not that one".to_owned(),
        Err(Refusal::WhichPlacement) => "no: which one".to_owned(),
        Err(Refusal::Bought) => "no: bought".to_owned(),
        Err(Refusal::NoLimit { limit, .. }) => format!("no: no {limit}"),
    }
}

/// How a line may stand, and what follows from: retry, its own order, another order, a site, absent, abandon.
type Row = (&'static str, Facts, [&'static str; 6]);

const NO: &str = "no: stands elsewhere";
const NOTHING: &str = "no: nothing sent";
const BEARS: &str = "no: bears 7";
const ADOPTED: &str = "provisioning, order 7, place_order 1 accepted";
const OTHER: &str = "provisioning, order 8, place_order 1 accepted";
const SITE: &str = "completed, site 9, place_order 1 accepted";
const BORNE_SITE: &str = "completed, order 7, site 9, place_order 1 accepted";

/// A line of one placement.
fn one(status: LineStatus, state: EffectState) -> Facts {
    facts(status, vec![placement(1, state)])
}

/// How lines may stand that are in doubt.
fn in_doubt() -> Vec<Row> {
    use EffectState::{Absent, InDoubt as Doubtful, Rejected};
    use LineStatus::InDoubt;
    let twice = facts(InDoubt, vec![placement(1, Absent), placement(2, Doubtful)]);
    vec![
        (
            "in doubt",
            one(InDoubt, Doubtful),
            [
                NO,
                ADOPTED,
                OTHER,
                SITE,
                "pending, place_order 1 absent",
                "failed, place_order 1 abandoned",
            ],
        ),
        (
            "in doubt, given up",
            given_up(one(InDoubt, Doubtful)),
            [
                "in_doubt",
                ADOPTED,
                OTHER,
                SITE,
                "pending, place_order 1 absent",
                "failed, place_order 1 abandoned",
            ],
        ),
        (
            "in doubt a second time",
            twice,
            [
                NO,
                "provisioning, order 7, place_order 2 accepted",
                "provisioning, order 8, place_order 2 accepted",
                "completed, site 9, place_order 2 accepted",
                "no: which one",
                "failed, place_order 2 abandoned",
            ],
        ),
        (
            "in doubt, given up with its order known",
            borne(InDoubt, PANICS_MAX),
            [
                "provisioning, order 7",
                "provisioning, order 7",
                BEARS,
                BORNE_SITE,
                "no: bought",
                "no: bought",
            ],
        ),
        (
            "in doubt, a refusal has come late",
            one(InDoubt, Rejected),
            [NO, NOTHING, NOTHING, NOTHING, "no: settled", "failed"],
        ),
        (
            "in doubt, an acceptance has come late",
            one(InDoubt, EffectState::Accepted),
            ["provisioning", "already", BEARS, SITE, "no: bought", "no: settled"],
        ),
    ]
}

/// How all others may stand.
fn elsewhere() -> Vec<Row> {
    use EffectState::{Abandoned, Absent, NotSent, Rejected, Sending};
    use LineStatus::{Cancelled, Completed, Failed, Held, Pending, Placing, Provisioning};
    vec![
        ("pending", facts(Pending, Vec::new()), ["already", NOTHING, NOTHING, NOTHING, NO, NO]),
        ("not sent", one(Pending, NotSent), ["already", NOTHING, NOTHING, NOTHING, NO, NO]),
        (
            "said to be absent",
            one(Pending, Absent),
            ["already", ADOPTED, OTHER, SITE, "already", NO],
        ),
        ("placing", one(Placing, Sending), ["already", NO, NO, NO, NO, NO]),
        ("provisioning", borne(Provisioning, 0), ["already", "already", BEARS, NO, NO, NO]),
        ("held", facts(Held, Vec::new()), ["pending", NOTHING, NOTHING, NOTHING, NO, "failed"]),
        (
            "held after an absence",
            one(Held, Absent),
            ["pending", ADOPTED, OTHER, SITE, NO, "failed"],
        ),
        (
            "held, never sent",
            one(Held, NotSent),
            ["pending", NOTHING, NOTHING, NOTHING, NO, "failed, place_order 1 abandoned"],
        ),
        (
            "held, an acceptance has come late",
            one(Held, EffectState::Accepted),
            ["pending", "already", BEARS, SITE, NO, "no: settled"],
        ),
        ("completed", borne(Completed, 0), [NO, "already", BEARS, NO, NO, NO]),
        ("failed", one(Failed, Rejected), [NO, NOTHING, NOTHING, NOTHING, NO, "already"]),
        ("given up by a person", one(Failed, Abandoned), [NO, ADOPTED, OTHER, SITE, NO, "already"]),
        (
            "failed upstream",
            borne(Failed, 0),
            [NO, "provisioning, order 7", BEARS, BORNE_SITE, NO, "already"],
        ),
        ("cancelled", facts(Cancelled, Vec::new()), [NO; 6]),
    ]
}

fn table() -> Vec<Row> {
    in_doubt().into_iter().chain(elsewhere()).collect()
}

#[test]
fn every_form_of_a_line_that_stands_anywhere() {
    let forms = [RETRY, order(OWN), order(8), Resolution::Site(SiteId(9)), ABSENT, ABANDON];
    let table = table();
    for status in LineStatus::ALL {
        assert!(table.iter().any(|(_, facts, _)| facts.progress.status == *status), "{status}");
    }
    for (stands, facts, expected) in table {
        for (form, expected) in forms.iter().zip(expected) {
            assert_eq!(told(&facts, form.clone()), expected, "{stands}: {form:?}");
        }
    }
}

#[test]
fn what_is_said_again_of_what_it_has_led_to_changes_nothing() {
    let doubted = facts(LineStatus::InDoubt, vec![placement(1, EffectState::InDoubt)]);
    for form in [order(OWN), Resolution::Site(SiteId(9)), ABSENT, ABANDON] {
        let Ok(Consequence::Changes(resolved)) = resolve(&doubted, &saying(form.clone())) else {
            panic!("{form:?} can't be said");
        };
        let mut after = Facts { progress: resolved.change.progress, ..doubted.clone() };
        for (placement, said) in after.placements.iter_mut().zip(&resolved.placements) {
            placement.state = said.state;
            placement.upstream_order_id = said.upstream_order_id;
        }
        assert_eq!(told(&after, form.clone()), "already", "{form:?}");
    }
}

#[test]
fn what_has_been_bought_is_given_up_by_force_alone() {
    let force = Resolution::Abandon { force: true };
    assert_eq!(told(&borne(LineStatus::InDoubt, PANICS_MAX), force.clone()), "failed, order 7");
    // An acceptance that the line has not followed yet: who forced this would stop it for ever.
    let late = facts(LineStatus::InDoubt, vec![placement(1, EffectState::Accepted)]);
    assert_eq!(told(&late, force), "no: settled");
}

#[test]
fn an_order_is_adopted_for_the_placement_whose_tag_it_bears() {
    let placements = vec![placement(1, EffectState::Absent), placement(2, EffectState::InDoubt)];
    let facts = facts(LineStatus::InDoubt, placements);
    let adopt = |n| Resolution::UpstreamOrder { id: UpstreamOrderId(OWN), n: Some(n), cost: None };
    // The second may have been carried out as well.
    let first = "provisioning, order 7, place_order 1 accepted, bought twice";
    assert_eq!(told(&facts, adopt(1)), first);
    assert_eq!(told(&facts, adopt(2)), "provisioning, order 7, place_order 2 accepted");
    assert_eq!(told(&facts, adopt(3)), "no: nothing sent");
}

#[test]
fn what_a_restored_database_has_forgotten_is_adopted_where_nothing_else_is_known() {
    use LineStatus::{Failed, Held, InDoubt, Pending};
    let forgetful = |facts: Facts| Facts { is_older_than_restore: true, ..facts };
    for (status, placements, n) in [
        (Pending, Vec::new(), 1),
        (Held, Vec::new(), 1),
        (Pending, vec![placement(1, EffectState::NotSent)], 1),
        (Failed, vec![placement(1, EffectState::Rejected)], 2),
    ] {
        let facts = forgetful(facts(status, placements));
        let adopted = format!("place_order {n} accepted");
        assert_eq!(told(&facts, order(OWN)), format!("provisioning, order 7, {adopted}"));
        assert_eq!(
            told(&facts, Resolution::Site(SiteId(9))),
            format!("completed, site 9, {adopted}")
        );
        let Ok(Consequence::Changes(resolved)) = resolve(&facts, &saying(order(OWN))) else {
            panic!("{status}");
        };
        let forgotten = resolved.forgotten.expect("it enters the ledger first");
        assert_eq!((forgotten.n, forgotten.state), (n, EffectState::InDoubt));
    }
    // The tag of what was found names a placement that followed a known one.
    let second = |state| {
        let found = Resolution::UpstreamOrder { id: UpstreamOrderId(OWN), n: Some(2), cost: None };
        let status = if state == EffectState::Absent { Pending } else { InDoubt };
        let facts = facts(status, vec![placement(1, state)]);
        assert_eq!(told(&facts, found.clone()), "no: nothing sent", "not without a restore");
        told(&forgetful(facts), found)
    };
    let adopted = "provisioning, order 7, place_order 2 accepted";
    assert_eq!(second(EffectState::Absent), adopted);
    assert_eq!(second(EffectState::InDoubt), format!("{adopted}, bought twice"));
    // What has never run is still spelt as the shop wrote it.
    let mut spelt = forgetful(facts(Pending, Vec::new()));
    spelt.progress.domain = Some("bücher.example".to_owned());
    let Ok(Consequence::Changes(resolved)) = resolve(&spelt, &saying(order(OWN))) else {
        panic!("it is adopted");
    };
    assert_eq!(resolved.change.progress.domain.as_deref(), Some("xn--bcher-kva.example"));
    let doubted = forgetful(facts(InDoubt, vec![placement(1, EffectState::InDoubt)]));
    let Ok(Consequence::Changes(resolved)) = resolve(&doubted, &saying(order(OWN))) else {
        panic!("it is known");
    };
    assert_eq!(resolved.forgotten, None);
}

#[test]
fn a_name_that_is_bought_directly_has_neither_order_nor_site() {
    let registering = of_step(EffectStep::Register, 1, EffectState::InDoubt);
    let facts = registration(LineStatus::InDoubt, vec![registering]);
    assert_eq!(told(&facts, order(OWN)), "no: has no order");
    assert_eq!(told(&facts, Resolution::Site(SiteId(9))), "no: has no site");
    assert_eq!(told(&facts, ABSENT), "pending, register 1 absent");
    assert_eq!(told(&facts, ABANDON), "failed, register 1 abandoned");
    // Its contact in doubt is a doubt of its own, and nothing is bought by it.
    let contact = of_step(EffectStep::CreateContact, 1, EffectState::InDoubt);
    let facts = registration(LineStatus::InDoubt, vec![contact]);
    assert_eq!(told(&facts, ABSENT), "pending, create_contact 1 absent");
}

#[test]
fn what_is_said_of_one_placement_condemns_no_other() {
    use EffectState::{Absent, Accepted, InDoubt as Doubtful};
    let absent = |name: &str| Resolution::Absent { of: Some(name.parse().unwrap()) };
    let once = one(LineStatus::InDoubt, Doubtful);
    assert_eq!(told(&once, absent("1")), "pending, place_order 1 absent");
    assert_eq!(told(&once, absent("2")), "no: not that one");
    let twice = facts(LineStatus::InDoubt, vec![placement(1, Absent), placement(2, Doubtful)]);
    assert_eq!(told(&twice, ABSENT), "no: which one");
    assert_eq!(told(&twice, absent("1")), "already");
    assert_eq!(told(&twice, absent("2")), "pending, place_order 2 absent");
    let done = facts(LineStatus::Completed, vec![placement(1, Absent), placement(2, Accepted)]);
    assert_eq!(told(&done, absent("1")), "already");
    assert_eq!(told(&done, absent("2")), NO);
    // Each step counts its own placements.
    let step = |step, n, state| of_step(step, n, state);
    let placements = vec![
        step(EffectStep::CreateContact, 1, Absent),
        step(EffectStep::CreateContact, 2, Accepted),
        step(EffectStep::Register, 1, Doubtful),
    ];
    let name = registration(LineStatus::InDoubt, placements);
    assert_eq!(told(&name, ABSENT), "no: which one");
    assert_eq!(told(&name, absent("create_contact:1")), "already");
    assert_eq!(told(&name, absent("create_contact:2")), "no: not that one");
    assert_eq!(told(&name, absent("1")), "pending, register 1 absent");
    for wrong in ["0", "-1", "x", "", "create_contact", "create_contact:", "nothing:1"] {
        assert!(wrong.parse::<PlacementNamed>().is_err(), "{wrong}");
    }
    for right in ["1", "create_contact:2"] {
        assert_eq!(right.parse::<PlacementNamed>().unwrap().to_string(), right);
    }
    assert_eq!("register:1".parse(), "1".parse::<PlacementNamed>());
}

#[test]
fn contacts_that_came_to_nothing_are_given_up_when_the_line_is_decided_anew() {
    let placements = (1..=3).map(|n| of_step(EffectStep::CreateContact, n, EffectState::Absent));
    let facts = registration(LineStatus::Held, placements.collect());
    let given_up =
        "create_contact 1 abandoned, create_contact 2 abandoned, create_contact 3 abandoned";
    assert_eq!(told(&facts, RETRY), format!("pending, {given_up}"));
}

#[test]
fn a_limit_is_raised_where_there_is_one() {
    let limit = |max_cost: Option<&str>, allow_premium| Resolution::Retry {
        max_cost: max_cost.and_then(|text| text.parse().ok()),
        allow_premium,
    };
    let hosting = facts(LineStatus::Held, Vec::new());
    let name = registration(LineStatus::Held, Vec::new());
    let own = Facts { kind: LineKind::HostingOwn, ..hosting.clone() };
    for (facts, form, expected) in [
        (&hosting, limit(Some("5.50"), false), "pending"),
        (&hosting, limit(None, true), "no: no allow_premium"),
        (&own, limit(Some("5.50"), false), "no: no max_cost"),
        (&own, limit(None, false), "pending"),
        (&name, limit(Some("5.50"), true), "pending"),
    ] {
        assert_eq!(told(facts, form.clone()), expected, "{} {form:?}", facts.kind);
    }
    let Ok(Consequence::Changes(raised)) = resolve(&name, &saying(limit(Some("5.50"), true)))
    else {
        panic!("it can be raised");
    };
    let detail = &raised.change.events[0].detail;
    assert_eq!((&detail["max_cost"], &detail["allow_premium"]), (&json!("5.50"), &json!(true)));
}

#[test]
fn what_is_said_holds_only_for_what_was_seen() {
    let doubted = |n, state| facts(LineStatus::InDoubt, vec![placement(n, state)]);
    let seen = Standing::of(&doubted(1, EffectState::InDoubt));
    assert_eq!(Standing::of(&doubted(1, EffectState::InDoubt)), seen);
    for moved in [
        doubted(2, EffectState::InDoubt),
        doubted(1, EffectState::Accepted),
        facts(LineStatus::Pending, vec![placement(1, EffectState::InDoubt)]),
    ] {
        assert_ne!(Standing::of(&moved), seen);
    }
}

#[test]
fn whoever_waits_for_a_person_is_told_a_way_out_that_is_open() {
    let forms = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        match (words[2], words.last().copied().unwrap_or_default()) {
            ("retry", _) => RETRY,
            (_, named) if command.contains("--absent --placement ") => {
                Resolution::Absent { of: Some(named.parse().unwrap()) }
            }
            (_, "--abandon") => ABANDON,
            (_, "ID") if command.contains("--site") => Resolution::Site(SiteId(9)),
            (_, "ID") => order(OWN),
            other => panic!("{other:?}"),
        }
    };
    for (stands, facts, _) in table() {
        let exits = Stuck::of(&facts).exits();
        let waits = matches!(facts.progress.status, LineStatus::Held | LineStatus::InDoubt);
        assert_eq!(exits.is_empty(), !waits, "{stands}");
        // A late answer is followed by itself, so that its line is stuck for no more than a moment.
        for exit in exits.iter().filter(|_| !stands.contains("has come late")) {
            let follows = told(&facts, forms(&exit.command));
            assert!(!follows.starts_with("no: "), "{stands}: {} {follows}", exit.command);
        }
    }
}

#[test]
fn a_reference_like_an_option_comes_last() {
    let mut facts = facts(LineStatus::Held, Vec::new());
    facts.reference = Reference("-x".to_owned());
    let exits = Stuck::of(&facts).exits();
    assert!(exits.iter().all(|exit| exit.command.ends_with(" -- -x")), "{exits:?}");
    assert!(!exits.is_empty());
}

//! LJPc orders in doubt: what is looked at, what is believed, and what is a person's.

use super::*;
use crate::order::{
    SiteId,
    doubt::probe::{IdSeen, OrderSeen, compare},
    facts::{ProbeReading, SitesReading},
    wish::{NameWish, Route},
};

const PROBING: Patience = Patience { order_id_probe: true, ..PATIENCE };

/// A hosting line whose order may have been placed, at minute 0.
fn doubted() -> Facts {
    let mut facts = facts(LineStatus::InDoubt);
    facts.progress.in_doubt_at = Some(minute(0));
    facts.placements = vec![Placement {
        order_id_floor: Some(UpstreamOrderId(100)),
        price: "4.49".parse().ok(),
        ..placement(1, EffectState::InDoubt)
    }];
    facts
}

fn new_sites(sites: &[i64], others_wait: bool) -> Known {
    let sites = sites.iter().copied().map(SiteId).collect();
    let listed_at = minute(20);
    Known { sites: Some(SitesReading::New { sites, others_wait, listed_at }), ..Known::default() }
}

/// All ids had been read once at minute 2.
fn absent() -> ProbeReading {
    ProbeReading::Absent { first_ended_at: minute(2) }
}

fn probed(probe: ProbeReading) -> Known {
    Known { probe: Some(probe), ..Known::default() }
}

fn change(facts: &Facts, known: &Known, patience: &Patience) -> Change {
    match decide(facts, known, patience) {
        Step::Record(change) => *change,
        other @ (Step::Read(_) | Step::Make(_)) => panic!("nothing is recorded: {}", told(&other)),
    }
}

#[test]
fn one_new_site_is_what_the_order_has_brought() {
    let facts = doubted();
    assert_eq!(told(&decide(&facts, &Known::default(), &PATIENCE)), "read the sites");
    let found = change(&facts, &new_sites(&[2019], false), &PATIENCE);
    assert_eq!(found.progress.status, LineStatus::Completed);
    assert_eq!(found.progress.site_id, Some(SiteId(2019)));
    assert_eq!(found.progress.cost, "4.49".parse().ok(), "as it was going to be charged");
    let evidence = found.evidence.expect("the ledger is told");
    assert_eq!((evidence.n, evidence.state), (1, EffectState::Accepted));
    let events: Vec<_> = found.events.iter().map(|event| event.name).collect();
    assert_eq!(events, ["found_upstream", "completed"]);
}

#[test]
fn what_may_be_somebody_elses_is_no_evidence() {
    let unclear = [
        new_sites(&[], false),
        new_sites(&[2019, 2020], false),
        new_sites(&[2019], true),
        Known { sites: Some(SitesReading::NothingBefore), ..Known::default() },
        Known { sites: Some(SitesReading::Unanswered), ..Known::default() },
    ];
    for known in unclear {
        let mut facts = doubted();
        let soon = change(&facts, &known, &PATIENCE);
        assert_eq!(soon.progress, facts.progress, "{known:?}");
        assert_eq!(soon.evidence, None, "{known:?}");
        assert_eq!(soon.then, Then::After(PATIENCE.evidence_interval), "{known:?}");
        facts.now = minute(60);
        let late = change(&facts, &known, &PATIENCE);
        assert_eq!((late.then, late.evidence), (Then::Poll(false), None), "{known:?}");
    }
}

#[test]
fn ids_are_read_where_that_is_allowed_and_they_have_a_beginning() {
    let facts = doubted();
    let next = |facts: &Facts| told(&decide(facts, &Known::default(), &PROBING));
    assert_eq!(next(&facts), "read the ids above placement 1");
    let mut first = doubted();
    first.placements[0].order_id_floor = None;
    assert_eq!(next(&first), "read the sites", "no order of ours is known");

    for reading in [ProbeReading::Waits, ProbeReading::GivesUp, ProbeReading::Unanswered] {
        let known = probed(reading);
        assert_eq!(told(&decide(&facts, &known, &PROBING)), "read the sites", "{reading:?}");
        let known = Known { sites: new_sites(&[], false).sites, ..known };
        assert_eq!(change(&facts, &known, &PROBING).evidence, None, "{reading:?}");
    }
    let more = Known { sites: new_sites(&[], false).sites, ..probed(ProbeReading::More) };
    assert_eq!(change(&facts, &more, &PROBING).then, Then::After(Duration::from_secs(1)));
    let yields = Known { sites: new_sites(&[], false).sites, ..probed(ProbeReading::Yields) };
    let later = change(&facts, &yields, &PROBING);
    assert_eq!((later.then, later.evidence), (Then::After(PROBING.evidence_interval), None));
}

#[test]
fn an_order_that_was_found_by_its_id_is_followed() {
    let (facts, id) = (doubted(), UpstreamOrderId(104));
    let known = probed(ProbeReading::Found { id, cost: "4.99".parse().ok() });
    let found = change(&facts, &known, &PROBING);
    assert_eq!(found.progress.status, LineStatus::Provisioning);
    assert_eq!(found.progress.upstream_order_id, Some(id));
    assert_eq!(found.progress.cost, "4.99".parse().ok());
    let evidence = found.evidence.expect("the ledger is told");
    assert_eq!((evidence.state, evidence.upstream_order_id), (EffectState::Accepted, Some(id)));
}

#[test]
fn what_is_in_none_of_the_ids_is_placed_again_under_a_new_tag() {
    let mut facts = doubted();
    let next = told(&decide(&facts, &probed(absent()), &PROBING));
    assert_eq!(next, "read the sites", "which may show what no id does");
    let with_sites = |sites: Known| Known { sites: sites.sites, ..probed(absent()) };
    let listed_at = |listed_at| {
        let sites = SitesReading::New { sites: Vec::new(), others_wait: false, listed_at };
        Known { sites: Some(sites), ..Known::default() }
    };
    let none = with_sites(new_sites(&[], false));
    for sites in [
        new_sites(&[2019, 2020], false),
        new_sites(&[2019], true),
        // A list that is older than the first reading of all ids.
        listed_at(minute(2)),
        Known { sites: Some(SitesReading::NothingBefore), ..Known::default() },
        Known { sites: Some(SitesReading::Unanswered), ..Known::default() },
    ] {
        let kept = change(&facts, &with_sites(sites), &PROBING);
        assert_eq!((kept.evidence, kept.progress.status), (None, LineStatus::InDoubt));
    }
    let mut second = doubted();
    second.placements[0].n = 2;
    assert_eq!(change(&second, &none, &PROBING).evidence, None, "that is a person's to say");
    let absent = change(&facts, &none, &PROBING);
    assert_eq!(absent.progress.status, LineStatus::Pending);
    assert_eq!(absent.evidence.map(|evidence| evidence.state), Some(EffectState::Absent));
    facts.progress = absent.progress;
    facts.placements[0].state = EffectState::Absent;
    let next = told(&decide(&facts, &catalogue(), &PROBING));
    assert_eq!(next, "place SHOP-1001/0#2 as number 2");
}

#[test]
fn what_is_refused_after_an_absence_is_for_a_person_to_judge() {
    let mut again = facts(LineStatus::Placing);
    again.placements = vec![placement(1, EffectState::Absent)];
    let refused = rejected(&again, EffectStep::PlaceOrder, Some("a site exists"));
    assert_eq!(
        refused.progress.status,
        LineStatus::Pending,
        "its customer is not told that it failed"
    );
    again.progress = refused.progress;
    again.placements.push(placement(2, EffectState::Rejected));
    again.placements[1].detail = Some("a site exists".to_owned());
    let held = change(&again, &Known::default(), &PATIENCE).progress;
    let why = "LJPc refused the order: a site exists; an earlier placement of this line may have bought it";
    assert_eq!((held.status, held.reason.as_deref()), (LineStatus::Held, Some(why)));
    // Without a doubt before, it is a refusal.
    let first =
        rejected(&facts(LineStatus::Placing), EffectStep::PlaceOrder, Some("a site exists"));
    assert_eq!(first.progress.status, LineStatus::Failed);
}

#[test]
fn a_name_that_was_ordered_brings_no_site() {
    let mut facts = doubted();
    facts.kind = LineKind::DomainRegister;
    facts.wish = Ok(Wish::Register(NameWish {
        years: 1,
        nameservers: Vec::new(),
        contact_handle: None,
        auto_renew: None,
        transfer_lock: None,
        dns: None,
        route: Route::Order,
    }));
    assert_eq!(change(&facts, &Known::default(), &PATIENCE).then, Then::Rest);
    let next = told(&decide(&facts, &Known::default(), &PROBING));
    assert_eq!(next, "read the ids above placement 1");
}

#[test]
fn an_order_is_ours_by_tag_item_and_time() {
    let facts = doubted();
    let ours = OrderSeen {
        tags: vec!["SHOP-1001/0".to_owned()],
        item_type: Some("hosting".to_owned()),
        domain: Some("example.nl".to_owned()),
        billing_period: Some("monthly".to_owned()),
        created_at: Some(minute(0)),
        ..OrderSeen::default()
    };
    let seen = |order: &OrderSeen| compare(&facts, &facts.placements[0], order);
    let with = |change: fn(&mut OrderSeen)| {
        let mut order = ours.clone();
        change(&mut order);
        order
    };
    assert_eq!(seen(&ours), None);
    assert_eq!(seen(&with(|order| order.created_at = None)), None, "LJPc's sample has none");
    assert_eq!(seen(&with(|order| order.billing_period = None)), None);
    let another = [
        with(|order| order.tags = vec!["SHOP-1001/0#2".to_owned()]),
        with(|order| order.tags = vec!["SHOP-1001/01".to_owned()]),
        with(|order| (order.tags, order.domain) = (Vec::new(), Some("example.com".to_owned()))),
    ];
    for order in another {
        assert_eq!(seen(&order), Some(IdSeen::Other), "{order:?}");
    }
    // LJPc may have rewritten what bore the tag.
    assert_eq!(seen(&with(|order| order.tags = Vec::new())), Some(IdSeen::Differs));
    // An earlier placement of the line is there after all.
    let mut again = facts.clone();
    again.placements.push(Placement { n: 2, ..again.placements[0].clone() });
    assert_eq!(compare(&again, &again.placements[1], &ours), Some(IdSeen::Differs));
    let not_what_was_ordered = [
        with(|order| order.domain = None),
        with(|order| order.domain = Some("example.com".to_owned())),
        with(|order| order.item_type = None),
        with(|order| order.item_type = Some("domain".to_owned())),
        with(|order| order.billing_period = Some("yearly".to_owned())),
        with(|order| order.created_at = Some(minute(-60))),
    ];
    for order in not_what_was_ordered {
        assert_eq!(seen(&order), Some(IdSeen::Differs), "{order:?}");
    }
}

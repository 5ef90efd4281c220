//! Orders in rehearsal: what would be sent, in which order, and what would wait for what.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::order::{
    Reference,
    domain::{Availability, DomainSeen, Offer, Price, Registrant, Tld, UpstreamContact},
    facts::{ContactReading, DomainReading, NameFacts, Progress, ZoneReading},
    kinds::catalogue::Product,
};

const PATIENCE: Patience = Patience {
    failed_recheck: Duration::from_mins(15),
    site_id_wait: Duration::from_mins(10),
    overdue_after: Duration::from_hours(24),
    in_doubt_grace: Duration::from_mins(15),
    poll_interval: Duration::from_secs(2),
    evidence_interval: Duration::from_secs(30),
    order_id_probe: false,
    offers_alternatives: true,
};

fn bob() -> Registrant {
    Registrant::of_contact(&json!({
        "name": "Bob Brown", "address": "Teststreet 1", "postal_code": "1234AB", "city": "Testcity",
        "country": "NL", "email": "bob@example.com", "phone": "+31612345678" }))
    .unwrap()
}

fn facts(line: i32, kind: LineKind, wish: &Value) -> Facts {
    let domain = wish.get("domain").and_then(Value::as_str).map(str::to_owned);
    let limit = wish.get("max_cost").and_then(Value::as_str);
    Facts {
        reference: Reference("SHOP-1".to_owned()),
        line,
        kind,
        wish: Wish::parse(kind, wish).map_err(|error| error.to_string()),
        cost_limit: limit.map(|limit| limit.parse().unwrap()),
        progress: Progress::new(LineStatus::Pending, domain),
        allow_premium: false,
        placements: Vec::new(),
        lines: Vec::new(),
        name: NameFacts {
            registrant: Some(bob()),
            auto_renew_wished: wish.get("auto_renew").and_then(Value::as_bool),
            ..NameFacts::default()
        },
        submitted_at: chrono::DateTime::UNIX_EPOCH,
        is_older_than_restore: false,
        now: chrono::DateTime::UNIX_EPOCH,
    }
}

/// Answers as an upstream that knows only what is named here; the questions are told.
fn read(query: &Query) -> Known {
    let mut known = Known::default();
    match query {
        Query::Catalogue => {
            known.catalogue = Some(Arc::new(vec![Product {
                uuid: "00000000-0000-4000-8000-000000000005".to_owned(),
                name: "5GB hosting".to_owned(),
                category_identifier: "hosting_5gb".to_owned(),
                client_choice: true,
                monthly_price: "4.99".parse().ok(),
                yearly_price: None,
            }]));
        }
        Query::Tlds => known.tlds = Some(Arc::new(Tld::new("nl", true).into_iter().collect())),
        Query::Offer(..) => {
            let price = Some(Price { premium: false, eur: "3.88".parse().ok() });
            known.offer = Some(Offer { availability: Some(Availability::Available), price });
        }
        Query::Contact(_) => known.contact = Some(None),
        Query::Domain(_) => {
            let seen = DomainSeen { auto_renew: Some(true), ..DomainSeen::default() };
            known.domain = Some(DomainReading::Seen(seen));
        }
        Query::Zone(_) => known.zone = Some(ZoneReading::Records(Vec::new())),
        Query::ContactDetail(handle) => {
            let contact =
                UpstreamContact { handle: handle.0.clone(), ..UpstreamContact::default() };
            known.contact_seen = Some(ContactReading::Seen(Box::new(contact)));
        }
        Query::Order(_) | Query::Alternatives(_) | Query::Sites | Query::OrderIds { .. } => {
            panic!("{query:?} is not asked")
        }
    }
    known
}

/// The requests as lines of text, and the outlooks.
fn rehearse(lines: Vec<Facts>) -> (Vec<String>, Vec<LineOutlook>) {
    let mut rehearsal = Rehearsal::new(lines, PATIENCE);
    for _ in 0..200 {
        let Some((index, query)) = rehearsal.advance() else {
            let (requests, outlooks) = rehearsal.finish();
            let told = |it: &Rehearsed| format!("{} {}", it.line, it.effect.step);
            return (requests.iter().map(told).collect(), outlooks);
        };
        rehearsal.learn(index, &query, read(&query));
    }
    panic!("it goes on and on");
}

#[test]
fn a_name_with_everything_and_hosting_for_it() {
    let records = json!([{ "type": "A", "name": "@", "content": "192.0.2.1", "ttl": 3600 }]);
    let name = json!({ "domain": "example.nl", "years": 2, "auto_renew": false, "dns": records, "max_cost": "10" });
    let hosting =
        json!({ "domain": "example.nl", "package": "hosting_5gb", "billing_period": "monthly" });
    let (requests, outlooks) = rehearse(vec![
        facts(0, LineKind::DomainRegister, &name),
        facts(1, LineKind::Hosting, &hosting),
    ]);
    assert_eq!(
        requests,
        ["0 create_contact", "0 register", "0 update_domain", "1 place_order", "0 replace_records"]
    );
    assert!(outlooks.iter().all(|it| it.status == LineStatus::Completed), "{outlooks:?}");
    let costs: Vec<_> = outlooks.iter().map(|it| it.cost.unwrap().to_string()).collect();
    assert_eq!(costs, ["7.76", "4.99"]);
    assert_eq!(outlooks[0].waits, ["its DNS waits for line 1 (hosting) to end"]);
}

#[test]
fn what_waits_is_told_and_a_customer_gets_one_contact() {
    let name = |domain: &str| json!({ "domain": domain });
    let hosting =
        json!({ "domain": "example.nl", "package": "hosting_5gb", "billing_period": "monthly" });
    let (requests, outlooks) = rehearse(vec![
        facts(0, LineKind::Hosting, &hosting),
        facts(1, LineKind::DomainRegister, &name("example.nl")),
        facts(2, LineKind::DomainRegister, &name("second.nl")),
    ]);
    assert_eq!(requests, ["1 create_contact", "1 register", "0 place_order", "2 register"]);
    assert_eq!(outlooks[0].waits, ["waits for line 1 (domain_register) to have its name"]);
}

#[test]
fn what_would_be_held_or_fail_says_why() {
    let dear = json!({ "domain": "example.nl", "max_cost": "3" });
    let foreign = json!({ "domain": "example.com" });
    let hosting =
        json!({ "domain": "example.nl", "package": "hosting_5gb", "billing_period": "yearly" });
    let update = json!({ "domain": "example.com", "auto_renew": true });
    let (requests, outlooks) = rehearse(vec![
        facts(0, LineKind::DomainRegister, &dear),
        facts(1, LineKind::DomainRegister, &foreign),
        facts(2, LineKind::Hosting, &hosting),
        facts(3, LineKind::DomainUpdate, &update),
    ]);
    assert_eq!(requests, <[&str; 0]>::default());
    let ends: Vec<_> =
        outlooks.iter().map(|it| (it.status, it.reason.clone().unwrap_or_default())).collect();
    assert_eq!(ends[0].0, LineStatus::Held);
    assert!(ends[0].1.contains("more than max_cost 3.00"), "{ends:?}");
    assert_eq!(ends[1].0, LineStatus::Failed);
    // It waits for the one that is held.
    assert_eq!(ends[2].0, LineStatus::Pending);
    assert_eq!(ends[3].0, LineStatus::Failed);
    assert!(ends[3].1.contains("line 1 (domain_register), which it needs"), "{ends:?}");
}

#[test]
fn a_contact_is_changed_where_it_differs_and_only_there() {
    let change = json!({ "contact_handle": "h-1", "email": "new@example.com", "organization": "" });
    let (requests, outlooks) = rehearse(vec![
        facts(0, LineKind::ContactUpdate, &change),
        facts(1, LineKind::ContactUpdate, &change),
        facts(
            2,
            LineKind::ContactCreate,
            &json!({
            "name": "Bob Brown", "address": "Teststreet 1", "postal_code": "1234AB", "city": "Testcity",
            "country": "NL", "email": "bob@example.com", "phone": "+31612345678" }),
        ),
    ]);
    assert_eq!(requests, ["0 update_contact", "2 create_contact"]);
    assert!(outlooks.iter().all(|it| it.status == LineStatus::Completed), "{outlooks:?}");
}

#[test]
fn no_line_takes_steps_for_ever() {
    let update = json!({ "domain": "example.nl", "auto_renew": false });
    let mut rehearsal = Rehearsal::new(vec![facts(0, LineKind::DomainUpdate, &update)], PATIENCE);
    // An upstream that never answers usefully: each answer leaves the line where it was.
    let mut asked = 0;
    while let Some((index, query)) = rehearsal.advance() {
        asked += 1;
        assert!(asked < 100, "it asks for ever");
        let known = Known { domain: Some(DomainReading::Unanswered), ..Known::default() };
        rehearsal.learn(index, &query, known);
    }
    assert_eq!(rehearsal.finish().1[0].status, LineStatus::Pending);
}

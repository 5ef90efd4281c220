//! LJPc orders in doubt, and what is found of them: a site, or the order itself by its number.

use std::{collections::BTreeMap, time::Duration};

use provisor::{order::ledger::Outcome, sandbox::Entry};
use serde_json::{Value, json};

use crate::{
    binary::provisor,
    doubt::answer_late,
    house::{House, eventually, hosting},
    order_show::show,
};

const POST: &str = "POST /api/v1/orders";

/// Evidence is looked for often, and the list of sites is read anew as often.
const OFTEN: &[(&str, &str)] =
    &[("LJPC__EVIDENCE_INTERVAL", "200ms"), ("LJPC__IN_DOUBT_GRACE", "60s")];

/// The same, and ids are read; the grace is soon over.
const PROBING: &[(&str, &str)] = &[
    ("LJPC__EVIDENCE_INTERVAL", "200ms"),
    ("LJPC__IN_DOUBT_GRACE", "1s"),
    ("LJPC__ORDER_ID_PROBE", "true"),
];

impl House {
    /// Strikes the first order of a reference.
    fn lose(&self, reference: &str, fault: &str) {
        let of = json!({ "reference": format!("{reference}/") });
        self.fault(&json!({ "endpoint": POST, "fault": fault, "match": of }));
    }

    /// What was seen last at a place.
    async fn seen(&self, tag: &str, at: &str) -> String {
        self.world
            .value(&format!(
                "SELECT coalesce(max(looks -> '{at}' ->> 'seen'), '') FROM provisor.effects WHERE tag = '{tag}'"
            ))
            .await
    }

    /// Puts a site where nobody ordered one.
    fn put_site(&self, domain: &str) {
        let site = json!({ "domain": domain });
        drop(self.sandbox.state().put_site(&site).expect("a site"));
    }
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_by_its_site() {
    let house = House::new().await;
    let daemon = house.daemon(OFTEN);
    house.until_listed().await;
    house.lose("SHOP-1", "process_then_drop");
    house.submit("SHOP-1", json!([hosting("Example.nl")])).await;
    house.until_line("SHOP-1", 0, "completed").await;

    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.upstream_order_id, line.cost.as_deref()), (None, Some("4.49")));
    assert!(line.site_id.is_some());
    assert_eq!((house.bought("SHOP-1/0"), house.posts("SHOP-1").len()), (1, 1));
    let events = house.events("SHOP-1").await;
    let of_line = ["placing", "in_doubt", "found_upstream", "completed"];
    assert!(of_line.iter().all(|event| events.contains(&(*event).to_owned())), "{events:?}");
    let (state, site): (String, Option<i64>) =
        sqlx::query_as("SELECT state, site_id FROM provisor.effects")
            .fetch_one(&house.world.pool)
            .await
            .expect("one placement");
    assert_eq!((state.as_str(), site), ("accepted", line.site_id));
    house.until_emailed().await;
    let emails = house.emails("SHOP-1").await;
    let completed = emails.iter().filter(|(template, ..)| template == "order_completed").count();
    assert_eq!(completed, 1, "{emails:?}");
    daemon.stop().await;
    // Should its answer come after all, the line has its number, and nobody is alarmed.
    let id = house.upstream_orders("SHOP-1/0")[0].0;
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, Some(id))).await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.status.as_str(), line.upstream_order_id), ("completed", Some(id)));
    assert!(!house.events("SHOP-1").await.contains(&"bought_twice".to_owned()));
}

#[tokio::test]
async fn a_site_that_was_there_before_is_no_evidence() {
    let house = House::new().await;
    house.put_site("old.nl");
    let daemon = house.daemon(OFTEN);
    house.until_listed().await;
    house.lose("SHOP-1", "drop");
    house.submit("SHOP-1", json!([hosting("old.nl")])).await;
    house.until_looked("SHOP-1/0", "the sites", 4).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    assert_eq!(house.seen("SHOP-1/0", "the sites").await, "new for old.nl among 1 sites: none");
    assert_eq!((house.bought("SHOP-1/0"), house.posts("SHOP-1").len()), (0, 1), "nor sent again");
    let shown = show(&house, "SHOP-1").await;
    let look =
        shown.lines().find(|line| line.contains("looked [the time, in UTC]  at the sites, "));
    let look = look.unwrap_or_else(|| panic!("no look at the sites is shown:\n{shown}"));
    assert!(look.ends_with(" times: new for old.nl among 1 sites: none"), "{look}");
    daemon.stop().await;
}

#[tokio::test]
async fn of_two_new_sites_neither_is_believed() {
    let house = House::new().await;
    let daemon = house.daemon(OFTEN);
    house.until_listed().await;
    house.lose("SHOP-1", "drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "in_doubt").await;
    // Between two listings, so that the first is not believed before the second is there.
    house.fault(&json!({ "endpoint": "GET /api/hosting/v1/sites", "fault": "status", "status": 500, "times": 1000 }));
    house.put_site("example.nl");
    house.put_site("example.nl");
    house.no_more_faults();
    eventually("both are seen", async || {
        house.seen("SHOP-1/0", "the sites").await.contains("among 2 sites: 2")
    })
    .await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    daemon.stop().await;
}

#[tokio::test]
async fn a_line_that_ended_long_ago_without_a_site_awaits_none() {
    let house = House::new().await;
    let daemon = house.daemon(OFTEN);
    house.until_listed().await;
    house.lose("OLD", "drop");
    house.submit("OLD", json!([hosting("example.nl")])).await;
    house.until_line("OLD", 0, "in_doubt").await;
    let abandon = ["order", "resolve", "OLD", "--line", "0", "--abandon", "--yes"];
    let given_up = provisor(&abandon, &house.environment(&[])).await;
    assert_eq!(given_up.code, Some(0), "{given_up:?}");
    house.lose("SHOP-1", "process_then_drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the site may be either's", async || {
        house.seen("SHOP-1/0", "the sites").await.contains("another line waits")
    })
    .await;
    house
        .world
        .run("UPDATE provisor.effects SET intended_at = now() - interval '40 days' WHERE tag = 'OLD/0'")
        .await;
    house.until_line("SHOP-1", 0, "completed").await;
    assert_eq!((house.bought("SHOP-1/0"), house.posts("SHOP-1").len()), (1, 1));
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_listing_from_before_no_site_is_new() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "GET /api/hosting/v1/sites", "fault": "status", "status": 500, "times": 1000 }));
    let daemon = house.daemon(OFTEN);
    house.lose("SHOP-1", "process_then_drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "in_doubt").await;
    house.no_more_faults();
    house.until_listed().await;
    house.until_looked("SHOP-1/0", "the sites", 4).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    let seen = house.seen("SHOP-1/0", "the sites").await;
    assert_eq!(seen, "no listing from before the order was sent");
    daemon.stop().await;
}

#[tokio::test]
async fn who_may_not_list_sites_sells_all_the_same() {
    let house = House::new().await;
    house
        .fault(&json!({ "endpoint": "GET /api/hosting/v1/sites", "fault": "status", "status": 403,
                         "message": "no permission", "times": 1000 }));
    let daemon = house.daemon(OFTEN);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "completed").await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_order_is_found_by_its_site_while_orders_can_not_be_asked_about() {
    let house = House::new().await;
    let daemon = house.daemon(PROBING);
    known_order(&house).await;
    daemon.stop().await;
    let shut = "INSERT INTO provisor.circuits (provider, endpoint, reason, cause, probe_at)
                VALUES ('ljpc', 'GET /api/v1/orders/{id}', 'shut on purpose', 'key', now() + interval '9 minutes')";
    house.world.run(shut).await;
    // A daemon looks at the circuits when it starts, and does not try this one while the test lasts.
    let patient = [PROBING, &[("LJPC__CIRCUIT_PROBE_INTERVAL", "1m")]].concat();
    let daemon = house.daemon(&patient);
    house.submit("SECOND", json!([hosting("second.nl")])).await;
    house.until_line("SECOND", 0, "provisioning").await;
    house.lose("SHOP-1", "process_then_drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "completed").await;
    let seen = house.seen("SHOP-1/0", "the order ids").await;
    assert!(seen.starts_with("no answer now; "), "{seen}");
    assert_eq!(house.posts("SHOP-1").len(), 1);
    daemon.stop().await;
}

/// An order that is delivered, so that a number of ours is known.
async fn known_order(house: &House) {
    house.submit("FIRST", json!([hosting("first.nl")])).await;
    house.until_line("FIRST", 0, "completed").await;
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_by_its_number() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let daemon = house.daemon(PROBING);
    house.submit("FIRST", json!([hosting("first.nl")])).await;
    house.until_line("FIRST", 0, "provisioning").await;
    house.lose("SHOP-1", "process_then_drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "provisioning").await;

    let line = house.line("SHOP-1", 0).await;
    let there = house.upstream_orders("SHOP-1/0");
    assert_eq!((there.len(), line.upstream_order_id), (1, Some(there[0].0)));
    let bundle = house.seen("SHOP-1/0", "the order ids").await;
    assert_eq!(bundle, format!("LJPc order {} is this one", there[0].0));
    daemon.stop().await;
}

#[tokio::test]
async fn an_order_that_is_in_none_of_the_numbers_is_placed_again_under_a_new_tag() {
    let house = House::new().await;
    let daemon = house.daemon(PROBING);
    known_order(&house).await;
    house.lose("SHOP-1", "drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "completed").await;

    assert_eq!((house.bought("SHOP-1/0"), house.bought("SHOP-1/0#2")), (0, 1));
    let states: Vec<(String, String)> = sqlx::query_as(
        "SELECT tag, state FROM provisor.effects WHERE tag LIKE 'SHOP-1/%' ORDER BY n",
    )
    .fetch_all(&house.world.pool)
    .await
    .expect("the ledger can be read");
    let states: Vec<(&str, &str)> = states.iter().map(|(tag, state)| (&**tag, &**state)).collect();
    assert_eq!(states, [("SHOP-1/0", "absent"), ("SHOP-1/0#2", "accepted")]);
    // The unknown ones were read twice, once after the grace; and none beyond the end.
    let first = house.upstream_orders("FIRST/0")[0].0;
    let mut reads: BTreeMap<i64, usize> = BTreeMap::new();
    for entry in house.requests("GET", "/api/v1/orders/") {
        let id: i64 = entry.path.rsplit('/').next().expect("an id").parse().expect("a number");
        *reads.entry(id).or_default() += 1;
    }
    for id in first + 1..=first + 20 {
        assert!(reads.get(&id).is_some_and(|times| *times >= 2), "{id}: {reads:?}");
    }
    let last = reads.keys().max().expect("ids were read");
    assert!(*last <= first + 24, "{last} is beyond the end: {reads:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn who_is_not_shown_his_own_orders_concludes_nothing_from_numbers() {
    let house = House::new().await;
    let daemon = house.daemon(PROBING);
    known_order(&house).await;
    house.fault(&json!({ "endpoint": "GET /api/v1/orders/{id}", "fault": "status", "status": 403,
                         "message": "This key may not view orders", "times": 1000 }));
    house.lose("SHOP-1", "drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("it is blind", async || {
        house.seen("SHOP-1/0", "the order ids").await.ends_with("they prove nothing")
    })
    .await;
    house.until_order("SHOP-1", "attention").await;
    assert_eq!((house.bought("SHOP-1/0#2"), house.posts("SHOP-1").len()), (0, 1));
    daemon.stop().await;
}

#[tokio::test]
async fn the_reading_of_numbers_goes_on_where_another_worker_left_it() {
    let house = House::new().await;
    let changes = [PROBING[0], ("LJPC__IN_DOUBT_GRACE", "1h"), PROBING[2]];
    let daemon = house.daemon(&changes);
    known_order(&house).await;
    house.lose("SHOP-1", "drop");
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_looked("SHOP-1/0", "the order ids", 1).await;
    daemon.stop().await;
    let again = house.daemon(&changes);
    eventually("all are read", async || {
        let probe: Option<Value> = house
            .world
            .value("SELECT max(probe::text)::jsonb FROM provisor.effects WHERE tag = 'SHOP-1/0'")
            .await;
        probe.is_some_and(|it| it["unknown"].as_array().is_some_and(|ids| ids.len() >= 20))
    })
    .await;
    house.until_looked("SHOP-1/0", "the order ids", 4).await;
    let asked = house.requests("GET", "/api/v1/orders/").len();
    // Each once, and the polls of the first order.
    assert!(asked <= 20 + 10, "{asked}");
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    again.stop().await;
}

/// Four orders in doubt whose numbers are to be read, in a house whose daemon has stopped.
async fn much_to_look_for() -> House {
    let house = House::new().await;
    let daemon = house.daemon(&[("LJPC__EVIDENCE_INTERVAL", "1h"), ("LJPC__IN_DOUBT_GRACE", "1h")]);
    known_order(&house).await;
    for n in 0..4 {
        let reference = format!("LOST-{n}");
        house.lose(&reference, "drop");
        house.submit(&reference, json!([own(&format!("lost{n}.example"))])).await;
        house.until_line(&reference, 0, "in_doubt").await;
    }
    daemon.stop().await;
    house
        .world
        .run(
            "SELECT provisor.poke(id * 16 + 1) FROM provisor.order_lines WHERE status = 'in_doubt'",
        )
        .await;
    house
}

fn own(domain: &str) -> Value {
    json!({ "kind": "hosting_own", "space_id": 7, "domain": domain })
}

/// Ten requests a second, and numbers are read.
const SLOWLY: &[(&str, &str)] = &[
    ("LJPC__REQUESTS_PER_SECOND", "10"),
    ("LJPC__EVIDENCE_INTERVAL", "10s"),
    ("LJPC__IN_DOUBT_GRACE", "1h"),
    ("LJPC__ORDER_ID_PROBE", "true"),
];

/// The readings of numbers that nobody has.
fn readings(house: &House) -> Vec<Entry> {
    let all = house.requests("GET", "/api/v1/orders/").into_iter();
    all.filter(|entry| entry.answer.as_ref().is_some_and(|it| it.status == 404)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reading_of_numbers_leaves_the_budget_to_new_orders() {
    let house = much_to_look_for().await;
    let daemon = house.daemon(SLOWLY);
    eventually("it has begun", async || !readings(&house).is_empty()).await;
    let before = readings(&house).len();
    for n in 0..15 {
        house.submit(&format!("NEW-{n}"), json!([own(&format!("new{n}.example"))])).await;
    }
    eventually("all are placed", async || {
        (0..15).all(|n| house.posts(&format!("NEW-{n}")).len() == 1)
    })
    .await;
    // Each line may begin a run; else they would read on, one for each order and more, before anything new is claimed.
    let read = readings(&house).len() - before;
    assert!(read <= 8, "{read} readings before the last order");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reading_of_numbers_goes_on_at_the_rate_that_was_configured() {
    let house = much_to_look_for().await;
    let daemon = house.daemon(SLOWLY);
    eventually("enough is read", async || readings(&house).len() >= 40).await;
    let asked: Vec<_> =
        house.requests("GET", "/api/v1/orders/").into_iter().map(|it| it.at).collect();
    let asked: Vec<_> = asked.into_iter().skip_while(|at| *at < readings(&house)[0].at).collect();
    for (n, first) in asked.iter().enumerate() {
        let within =
            asked[n..].iter().take_while(|at| **at - *first < chrono::TimeDelta::seconds(2));
        let within = within.count();
        // What a process has in hand may be two seconds old.
        assert!(within <= 20 + 20, "{within} in two seconds, of 20");
    }
    let took = asked[asked.len() - 1] - asked[0];
    let most = 10 * (took.num_seconds() + 1) + 20;
    assert!(i64::try_from(asked.len()).expect("a few") <= most, "{} in {took}", asked.len());
    daemon.stop().await;
}

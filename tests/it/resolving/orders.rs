//! An LJPc order in doubt: adopted by its number or its site, placed again, given up.

use provisor::order::ledger::Outcome;
use serde_json::json;

use super::{BLIND, POST, in_doubt, only_order};
use crate::{
    binary::provisor,
    doubt::answer_late,
    house::{House, hosting},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_found_is_followed_to_its_delivery() {
    let house = in_doubt("process_then_drop").await;
    let id = only_order(&house, "SHOP-1/0");
    let options = ["--upstream-order", &id, "--why", "LJPc's support found it"];
    let ended = house.say_well("resolve", "SHOP-1", &options).await;
    assert!(ended.stderr.contains(&format!("LJPc order {id}: SHOP-1/0: 5GB hosting")), "{ended:?}");
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.status.as_str(), line.upstream_order_id), ("provisioning", id.parse().ok()));
    assert_eq!(line.cost.as_deref(), Some("4.49"));
    assert_eq!(house.order("SHOP-1").await, ("in_progress".to_owned(), None));
    let told = house.details("SHOP-1", "resolved").await;
    let expected = json!({ "as": "accepted", "by": "alice", "placement": 1, "step": "place_order",
                           "upstream_order_id": line.upstream_order_id, "why": "LJPc's support found it" });
    assert_eq!(told, [expected]);

    // Before it is delivered and after: it was said already.
    let again = house.say_well("resolve", "SHOP-1", &options).await;
    assert_eq!(again.stdout, format!("Nothing to do: LJPc order {id} is the line's already.\n"));
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    house.say_well("resolve", "SHOP-1", &options).await;
    assert_eq!((house.posts("SHOP-1").len(), house.bought("SHOP-1/0")), (1, 1));
    assert_eq!(house.count_events("SHOP-1", "resolved").await, 1);
    // Its own answer, should it come: nothing new.
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, id.parse().ok())).await;
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ljpc_does_not_bear_out_is_not_believed_without_force() {
    let house = in_doubt("process_then_drop").await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-2", json!([hosting("example.com")])).await;
    house.until_order("SHOP-2", "completed").await;
    daemon.stop().await;
    let (own, other) = (only_order(&house, "SHOP-1/0"), only_order(&house, "SHOP-2/0"));
    let before = house.all_of_it().await;
    for (options, words) in [
        (["--upstream-order", &other], ["another line's tag: SHOP-2/0", "is for example.com"]),
        (["--upstream-order", "987654"], ["order 987654: LJPc does not show it", "(HTTP 404)"]),
        (["--site", "987654"], ["site 987654: LJPc does not show it", "(HTTP 404)"]),
    ] {
        house.say_in_vain("resolve", "SHOP-1", &options, &words).await;
    }
    let site = house.line("SHOP-2", 0).await.site_id.expect("it was delivered").to_string();
    house.say_in_vain("resolve", "SHOP-1", &["--site", &site], &["is of example.com"]).await;
    // Another line's is refused by the ledger, whatever a person insists on.
    for what in [["--upstream-order", &other], ["--site", &site]] {
        let words = ["what was named is line SHOP-2/0's"];
        house.say_in_vain("resolve", "SHOP-1", &[what[0], what[1], "--force"], &words).await;
    }
    assert_eq!(house.all_of_it().await, before, "nothing is half done");

    // What LJPc does not show may be so all the same: somebody has been told by their support.
    house.fault(&json!({ "endpoint": "GET /api/v1/orders/{id}", "fault": "status", "status": 403,
                         "message": "This order does not belong to you" }));
    let options = ["--upstream-order", &own, "--force"];
    house.say_well("resolve", "SHOP-1", &options).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_was_found_completes_the_line() {
    let house = in_doubt("process_then_drop").await;
    let site = house.sandbox.state().sites().first().expect("a site").id.0.to_string();
    // One that was listed before anything was sent came of something else.
    let listed = |at: &str| {
        format!(
            "INSERT INTO provisor.listed_sites (site_id, first_at, last_at) VALUES ({site}, {at}, now())
             ON CONFLICT (site_id) DO UPDATE SET first_at = excluded.first_at"
        )
    };
    house.world.run(&listed("now() - interval '1 hour'")).await;
    let words = ["was there before anything was sent for the line", "--force"];
    house.say_in_vain("resolve", "SHOP-1", &["--site", &site], &words).await;
    house.world.run(&listed("now()")).await;
    let ended = house.say_well("resolve", "SHOP-1", &["--site", &site, "--json"]).await;
    assert_eq!(
        ended.json(),
        json!({ "reference": "SHOP-1", "line": 0, "changed": true, "status": "completed" })
    );
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.status.as_str(), line.site_id), ("completed", site.parse().ok()));
    assert_eq!(house.order("SHOP-1").await.0, "completed");
    assert_eq!(house.count_emails("SHOP-1", "order_completed").await, 1);
    assert_eq!(house.ledger(line.id).await, [(1, "accepted".to_owned(), false, None)]);
    let known: i64 = house
        .world
        .value("SELECT line_id FROM provisor.sites JOIN provisor.effects USING (line_id, site_id)")
        .await;
    assert_eq!(known, line.id);
    let again = house.say_well("resolve", "SHOP-1", &["--site", &site, "--json"]).await.json();
    assert_eq!(again["changed"], false);
    // The answer, should it come, names the order that brought it.
    let order = only_order(&house, "SHOP-1/0").parse().ok();
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, order)).await;
    assert_eq!(house.ledger(line.id).await, [(1, "accepted".to_owned(), false, order)]);
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_is_placed_again_under_a_new_tag() {
    let house = in_doubt("drop").await;
    house.say_well("resolve", "SHOP-1", &["--absent"]).await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!(line.status, "pending");
    assert_eq!(
        line.why(),
        "a person says that the order in doubt does not exist; it is made again"
    );
    assert_eq!(house.ledger(line.id).await, [(1, "absent".to_owned(), false, None)]);
    let again = house.say_well("resolve", "SHOP-1", &["--absent"]).await;
    assert!(
        again.stdout.starts_with("Nothing to do: it is said to be absent already"),
        "{again:?}"
    );
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!((house.bought("SHOP-1/0"), house.bought("SHOP-1/0#2")), (0, 1));
    let words = ["the line is completed: it is delivered"];
    house.say_in_vain("resolve", "SHOP-1", &["--absent"], &words).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_wrong_about_an_absence_is_told() {
    let house = in_doubt("process_then_drop").await;
    let daemon = house.daemon(&[]);
    // What was bought has been delivered: its site speaks against it.
    let site = house.sandbox.state().sites().first().expect("a site").id;
    let words = [&*format!("site {site} is of this name"), "--force"];
    house.say_in_vain("resolve", "SHOP-1", &["--absent"], &words).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    house.say_well("resolve", "SHOP-1", &["--absent", "--force"]).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!((house.bought("SHOP-1/0"), house.bought("SHOP-1/0#2")), (1, 1));
    let first = only_order(&house, "SHOP-1/0").parse().ok();
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, first)).await;
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 1);
    assert_eq!(house.told_operator("SHOP-1", "bought_twice").await, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_second_placement_is_adopted() {
    let house = in_doubt("process_then_drop").await;
    house.say_well("resolve", "SHOP-1", &["--absent", "--force"]).await;
    let first = only_order(&house, "SHOP-1/0").parse().ok();
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, first)).await;
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.upstream_order_id, first);
    assert_eq!(house.posts("SHOP-1").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_order_is_adopted_also_while_the_second_is_in_doubt() {
    let house = in_doubt("process_then_drop").await;
    house.say_well("resolve", "SHOP-1", &["--absent", "--force"]).await;
    house.fault(&json!({ "endpoint": POST, "fault": "process_then_drop" }));
    let daemon = house.daemon(BLIND);
    house.until_line("SHOP-1", 0, "in_doubt").await;
    let first = only_order(&house, "SHOP-1/0");
    let ended = house.say_well("resolve", "SHOP-1", &["--upstream-order", &first]).await;
    assert!(ended.stderr.contains("told as bought twice"), "{ended:?}");
    house.until_order("SHOP-1", "completed").await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!(line.upstream_order_id, first.parse().ok());
    assert_eq!(house.told_operator("SHOP-1", "bought_twice").await, 1);
    assert_eq!(house.posts("SHOP-1").len(), 2);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_given_up_has_failed_and_is_revived_by_a_late_answer_or_by_its_number() {
    let house = in_doubt("process_then_drop").await;
    house.say_well("resolve", "SHOP-1", &["--abandon", "--why", "the customer left"]).await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!(line.status, "failed");
    assert!(line.why().starts_with("given up by a person: the order was sent"), "{line:?}");
    assert_eq!(house.ledger(line.id).await, [(1, "abandoned".to_owned(), false, None)]);
    assert_eq!(house.order("SHOP-1").await.0, "failed");
    assert_eq!(house.count_emails("SHOP-1", "order_failed").await, 1);
    let again = house.say_well("resolve", "SHOP-1", &["--abandon"]).await;
    assert_eq!(again.stdout, "Nothing to do: it has failed already.\n");
    let daemon = house.daemon(&[]);
    let id = only_order(&house, "SHOP-1/0");
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, id.parse().ok())).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;

    let house = in_doubt("process_then_drop").await;
    house.say_well("resolve", "SHOP-1", &["--abandon"]).await;
    let id = only_order(&house, "SHOP-1/0");
    house.say_well("resolve", "SHOP-1", &["--upstream-order", &id]).await;
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_given_up_for_its_panics_goes_on_by_its_order() {
    for (verb, options) in [("retry", vec![]), ("resolve", vec!["--upstream-order"])] {
        let house = House::with(|options| options.delay = std::time::Duration::from_hours(1)).await;
        let daemon = house.daemon(&[]);
        house.submit("SHOP-1", json!([hosting("example.nl")])).await;
        house.until_line("SHOP-1", 0, "provisioning").await;
        daemon.stop().await;
        let line = house.line("SHOP-1", 0).await;
        house
            .world
            .run(&format!(
                "UPDATE provisor.order_lines SET status = 'in_doubt', panics = 3, in_doubt_at = now() WHERE id = {};
                 UPDATE provisor.wakes SET due_at = 'infinity' WHERE id = {} * 16 + 1",
                line.id, line.id
            ))
            .await;
        let words = ["has been bought", "provisor order retry SHOP-1 --line 0"];
        for wrong in ["--absent", "--abandon"] {
            house.say_in_vain("resolve", "SHOP-1", &[wrong], &words).await;
        }
        let id = only_order(&house, "SHOP-1/0");
        let options: Vec<&str> =
            options.into_iter().flat_map(|option| [option, id.as_str()]).collect();
        house.say_well(verb, "SHOP-1", &options).await;
        house.drive("SHOP-1/0", provisor::sandbox::Stage::Completed);
        let daemon = house.daemon(&[]);
        house.until_order("SHOP-1", "completed").await;
        assert_eq!(house.posts("SHOP-1").len(), 1, "{verb}");
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_has_settled_meanwhile_is_nobodys_to_end() {
    let house = in_doubt("process_then_drop").await;
    let id = only_order(&house, "SHOP-1/0").parse().ok();
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, id)).await;
    let before = house.all_of_it().await;
    let words = ["no longer in doubt: an answer has come late"];
    house.say_in_vain("resolve", "SHOP-1", &["--abandon", "--force"], &words).await;
    assert_eq!(house.all_of_it().await, before);
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.upstream_order_id, id);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_on_which_the_worker_failed_is_looked_for_again() {
    let house = House::new().await;
    let daemon = house.daemon(BLIND);
    house.until_listed().await;
    house.fault(&json!({ "endpoint": POST, "fault": "process_then_drop" }));
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "attention").await;
    daemon.stop().await;
    let words = ["the line is in_doubt: say what became of what was sent"];
    house.say_in_vain("retry", "SHOP-1", &[], &words).await;
    house.world.run("UPDATE provisor.order_lines SET panics = 3").await;
    let shown = provisor(&["order", "show", "SHOP-1"], &house.environment(&[])).await;
    assert!(shown.stdout.contains("provisor order retry SHOP-1 --line 0\n"), "{shown:?}");
    house.say_well("retry", "SHOP-1", &[]).await;
    assert_eq!(house.line_status("SHOP-1", 0).await, "in_doubt");
    let daemon = house.daemon(&[("LJPC__EVIDENCE_INTERVAL", "200ms")]);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.posts("SHOP-1").len(), 1);
    daemon.stop().await;
}

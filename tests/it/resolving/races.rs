//! Two at once: two persons, a person and a run, a person and a database that refuses.

use std::time::Duration;

use provisor::{
    db::{
        records::{LineChange, LineFound, Record, Recorded, Verdict},
        wakes::{Due, Fence, Lane, WakeId},
    },
    jobs,
    order::{
        LineId, OrderId,
        decide::Change,
        resolution::{Resolution, Said, Standing},
    },
};
use uuid::Uuid;

use super::{in_doubt, only_order};
use crate::{
    doubt::{WAITS, database},
    house::House,
};

fn said(what: Resolution) -> Said {
    Said { what, by: "alice".to_owned(), why: None }
}

/// The line SHOP-1/0 as a person finds it.
async fn find(house: &House) -> (LineFound, Standing) {
    let db = database(house);
    let (found, lines) = db.find_line("SHOP-1", 0).await.expect("it is read").expect("an order");
    let found = found.expect("a line");
    assert_eq!(lines, 1);
    let loaded = db.load_lines(&[found.line], WAITS.grace).await.expect("lines can be loaded");
    (found, Standing::of(&loaded[&found.line].facts))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_persons_one_is_right() {
    let house = in_doubt("drop").await;
    let (found, seen) = find(&house).await;
    let db = database(&house);
    let (absent, abandon) =
        (said(Resolution::Absent { of: None }), said(Resolution::Abandon { force: false }));
    let (first, second) = tokio::join!(
        db.resolve_line(found, &absent, seen, WAITS),
        db.resolve_line(found, &abandon, seen, WAITS)
    );
    let verdicts = [first.expect("it is carried out"), second.expect("it is carried out")];
    let done = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Done(_))).count();
    let moved = verdicts.iter().filter(|verdict| **verdict == Verdict::Moved).count();
    assert_eq!((done, moved), (1, 1), "{verdicts:?}");
    assert_eq!(house.count_events("SHOP-1", "resolved").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_one_placement_holds_for_no_other() {
    let house = in_doubt("drop").await;
    let (found, seen) = find(&house).await;
    house.say_well("resolve", "SHOP-1", &["--absent"]).await;
    house.fault(&serde_json::json!({ "endpoint": super::POST, "fault": "drop" }));
    let daemon = house.daemon(super::BLIND);
    house.until_line("SHOP-1", 0, "in_doubt").await;
    daemon.stop().await;
    let verdict = database(&house)
        .resolve_line(found, &said(Resolution::Absent { of: None }), seen, WAITS)
        .await;
    assert_eq!(verdict.expect("it is carried out"), Verdict::Moved);
    // Nor if it is typed again.
    let words =
        ["which placement", "provisor order resolve SHOP-1 --line 0 --absent --placement 2"];
    house.say_in_vain("resolve", "SHOP-1", &["--absent"], &words).await;
    let again = house.say_well("resolve", "SHOP-1", &["--absent", "--placement", "1"]).await;
    assert_eq!(again.stdout, "Nothing to do: placement 1 is said to be absent already.\n");
    let words = ["placement 3 is not in doubt", "--absent --placement 2"];
    house.say_in_vain("resolve", "SHOP-1", &["--absent", "--placement", "3"], &words).await;
    let states = house.ledger(found.line.0).await;
    assert_eq!(states.len(), 2);
    assert_eq!(states[1].1, "in_doubt");
    house.say_well("resolve", "SHOP-1", &["--absent", "--placement", "2"]).await;
    assert_eq!(house.ledger(found.line.0).await[1].1, "absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_is_fenced_out() {
    let house = in_doubt("process_then_drop").await;
    let id = house.line("SHOP-1", 0).await.id;
    // A run that looks for evidence, and that a person overtakes.
    let (order, run_token, owner): (i64, i64, Uuid) = sqlx::query_as(
        "UPDATE provisor.wakes w SET run_token = run_token + 1, owner = gen_random_uuid(),
                lease_until = clock_timestamp() + interval '1 hour'
         FROM provisor.order_lines l WHERE w.id = $1 * 16 + 1 AND l.id = $1
         RETURNING l.order_id, w.run_token, w.owner",
    )
    .bind(id)
    .fetch_one(&house.world.pool)
    .await
    .expect("it has a wake");
    let db = database(&house);
    let line = LineId(id);
    let loaded = db.load_lines(&[line], WAITS.grace).await.expect("lines can be loaded");
    let facts = &loaded[&line].facts;
    let upstream = only_order(&house, "SHOP-1/0");
    house.say_well("resolve", "SHOP-1", &["--upstream-order", &upstream]).await;

    let record = Record {
        fence: Fence { wake: WakeId::new(jobs::LINE, id), run_token, owner, kicks: 0 },
        order_id: OrderId(order),
        line_id: line,
        intent: None,
        truth: None,
        change: Some(LineChange::of(facts, Change::hold(facts, "what a zombie says".to_owned()))),
        park: Some((Lane::Retry, Due::In(Duration::ZERO), 0)),
    };
    let committed = db.commit_records(&[record], WAITS).await;
    let results: Result<Vec<Recorded>, _> = committed.results.into_iter().collect();
    assert_eq!(results.expect("it is recorded"), [Recorded::Stale]);
    assert_eq!(house.line_status("SHOP-1", 0).await, "provisioning");
    // The lease of that run is gone too: another one takes the line up at once.
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolution_is_made_whole_or_not_at_all() {
    let house = in_doubt("process_then_drop").await;
    let upstream = only_order(&house, "SHOP-1/0");
    let forms: [&[&str]; 3] =
        [&["--upstream-order", &upstream], &["--absent", "--force"], &["--abandon"]];
    house
        .world
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'on purpose'; END $$",
        )
        .await;
    for (table, event) in [
        ("effects", "UPDATE"),
        ("order_lines", "UPDATE"),
        ("events", "INSERT"),
        ("orders", "UPDATE OF status"),
        // The last statement of all: the line is taken from whoever is at it.
        ("wakes", "UPDATE OF run_token"),
    ] {
        house
            .world
            .run(&format!(
                "CREATE TRIGGER refuse BEFORE {event} ON provisor.{table} FOR EACH ROW EXECUTE FUNCTION refuse()"
            ))
            .await;
        let before = house.all_of_it().await;
        for form in forms {
            house.say_in_vain("resolve", "SHOP-1", form, &["failed in the database"]).await;
            assert_eq!(house.all_of_it().await, before, "{table} {form:?}");
        }
        house.world.run(&format!("DROP TRIGGER refuse ON provisor.{table}")).await;
    }
    house.say_well("resolve", "SHOP-1", forms[0]).await;
}

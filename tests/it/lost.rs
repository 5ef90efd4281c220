//! Answers to requests whose order or intent is no longer there, or is somebody else's: nobody may be left without knowing.

use provisor::{
    db::{
        Database,
        records::{Record, Recorded},
        wakes::{Due, Lane},
    },
    order::{
        LineId, LineStatus, UpstreamOrderId,
        decide::{Change, Step, Then, decide},
        effect::Acceptance,
        facts::Known,
        ledger::Outcome,
        outcome::{accepted, in_doubt},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    doubt::{WAITS, database},
    house::{House, hosting},
    order_show::show,
    recording::{PATIENCE, Run, STEP, begin, lose_intents},
};

/// Commits a record.
async fn commit(db: &Database, record: &Record) -> Recorded {
    let mut committed = db.commit_records(std::slice::from_ref(record), WAITS).await;
    committed.results.pop().expect("an answer").expect("it can be committed")
}

/// An order whose request is under way: its run, and the record of its answer.
async fn sent(house: &House, db: &Database, owner: Uuid, outcome: Outcome) -> (Run, Record) {
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(db, owner).await;
    let (intent, attempt) = run.intend();
    assert!(matches!(commit(db, &intent).await, Recorded::Done { .. }));
    let change = if outcome == Outcome::Accepted {
        let acceptance = Acceptance::Order { id: UpstreamOrderId(110), cost: None };
        accepted(&run.loaded.facts, STEP, &acceptance)
    } else {
        in_doubt(&run.loaded.facts, "no answer".to_owned())
    };
    let mut answer = run.answer(attempt, outcome, change);
    if let (Some(truth), Some(intent)) = (&mut answer.truth, intent.intent) {
        truth.intent = Some(Box::new(intent));
        truth.jti = Some("jti-9f2c".to_owned());
    }
    (run, answer)
}

/// What operators are told of orders that are not there any more.
async fn told_of_lost(house: &House) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT context ->> 'reason' FROM provisor.email_outbox
         WHERE context ->> 'about' = 'order_lost' ORDER BY id",
    )
    .fetch_all(&house.world.pool)
    .await
    .expect("the outbox can be read")
}

/// As a failover does that has lost the order itself; the numbers are given anew.
const LOSE_ORDERS: &str =
    "TRUNCATE provisor.orders, provisor.order_lines, provisor.wakes, provisor.effects
     RESTART IDENTITY CASCADE";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_for_an_order_that_is_lost_is_told_to_the_operator_once() {
    for (outcome, words) in [
        (Outcome::Accepted, "was accepted as LJPc order 110 (jti jti-9f2c)"),
        (Outcome::InDoubt, "was sent and may have been accepted (jti jti-9f2c)"),
        (Outcome::Rejected, ""),
        (Outcome::NotSent, ""),
    ] {
        let house = House::new().await;
        let db = database(&house);
        let (_, answer) = sent(&house, &db, Uuid::new_v4(), outcome).await;
        house.world.run(LOSE_ORDERS).await;
        for _ in 0..2 {
            assert_eq!(commit(&db, &answer).await, Recorded::Stale);
        }
        let told = told_of_lost(&house).await;
        if words.is_empty() {
            assert!(told.is_empty(), "{told:?}");
            continue;
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("The order SHOP-1/0 for example.nl"), "{told:?}");
        assert!(told[0].contains(words), "{told:?}");
        let daemon = house.daemon(&[]);
        house.until_emailed().await;
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_never_that_of_another_order_that_has_got_the_same_numbers() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    let (run, answer) = sent(&house, &db, owner, Outcome::Accepted).await;
    house.world.run(LOSE_ORDERS).await;
    house.submit("OTHER-1", json!([hosting("other.example")])).await;
    // Even the fence is the same, and its request is under way as well.
    let mut other = begin(&db, owner).await;
    assert_eq!(other.wake.fence, run.wake.fence);
    assert_eq!(other.loaded.line_id, run.loaded.line_id);
    let (intent, _) = other.intend();
    assert!(matches!(commit(&db, &intent).await, Recorded::Done { .. }));
    let ledger =
        "SELECT string_agg(concat_ws(' ', e.tag, e.state, e.upstream_order_id, l.status), ',')
                  FROM provisor.effects e JOIN provisor.order_lines l ON l.id = e.line_id";
    for _ in 0..2 {
        assert_eq!(commit(&db, &answer).await, Recorded::Stale);
        assert_eq!(house.world.value::<String>(ledger).await, "OTHER-1/0 sending placing");
    }
    assert_eq!(told_of_lost(&house).await.len(), 1);
    assert_eq!(house.count_events("OTHER-1", "late_answer").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_intent_in_doubt_is_not_forgotten_for_an_earlier_one_that_was_not_sent() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    // What the new server knows: a first request of the placement provably had no effect.
    let mut run = begin(&db, owner).await;
    let (first, attempt) = run.intend();
    assert!(matches!(commit(&db, &first).await, Recorded::Done { .. }));
    let unsent = Change::to(&run.loaded.facts, LineStatus::Pending, None, Then::Retry);
    let unsent = run.answer(attempt, Outcome::NotSent, unsent);
    assert!(matches!(commit(&db, &unsent).await, Recorded::Done { .. }));
    // What it has lost: the same placement was sent again.
    let mut run = begin(&db, owner).await;
    let (second, attempt) = run.intend();
    assert!(matches!(commit(&db, &second).await, Recorded::Done { .. }));
    house
        .world
        .run(&format!(
            "DELETE FROM provisor.attempts WHERE id = '{attempt}';
             UPDATE provisor.effects SET state = 'not_sent';
             UPDATE provisor.order_lines SET status = 'pending', sent = false"
        ))
        .await;
    let doubt = in_doubt(&run.loaded.facts, "no answer".to_owned());
    let mut answer = run.answer(attempt, Outcome::InDoubt, doubt);
    if let (Some(truth), Some(intent)) = (&mut answer.truth, second.intent) {
        truth.intent = Some(Box::new(intent));
    }
    for _ in 0..2 {
        assert_eq!(commit(&db, &answer).await, Recorded::Conflict);
        let known = "SELECT concat_ws(' ', state, live, sent) FROM provisor.effects e
                     JOIN provisor.order_lines l ON l.id = e.line_id";
        assert_eq!(house.world.value::<String>(known).await, "in_doubt t t");
    }
    // So it is not sent again.
    let loaded = db.load_lines(&[LineId(run.loaded.line_id.0)], WAITS.grace).await.expect("a line");
    let facts = &loaded[&run.loaded.line_id].facts;
    let Step::Record(change) = decide(facts, &Known::default(), &PATIENCE) else {
        panic!("nothing is asked or sent");
    };
    assert_eq!(change.progress.status, LineStatus::InDoubt);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_although_its_line_is_cancelled_is_told_once() {
    for (outcome, words) in [
        (
            Outcome::Accepted,
            "LJPc has accepted SHOP-1/0 as LJPc order 110 (jti jti-9f2c), although",
        ),
        (
            Outcome::InDoubt,
            "SHOP-1/0 was sent, and LJPc may have accepted it (jti jti-9f2c), although",
        ),
        (Outcome::NotSent, ""),
    ] {
        let house = House::new().await;
        let db = database(&house);
        let (_, answer) = sent(&house, &db, Uuid::new_v4(), outcome).await;
        // The server that took over had not heard of the intent, and has let a shop cancel the order.
        lose_intents(&house).await;
        assert_eq!(house.cancel("SHOP-1").await, "cancelled");
        for _ in 0..2 {
            assert_eq!(commit(&db, &answer).await, Recorded::Conflict);
        }
        let times = usize::from(!words.is_empty());
        assert_eq!(house.count_events("SHOP-1", "bought_after_end").await, times);
        assert_eq!(house.told_operator("SHOP-1", "bought_after_end").await, times);
        assert_eq!(house.order("SHOP-1").await.0, "cancelled");
        let shown = show(&house, "SHOP-1").await;
        assert_eq!(shown.contains("line 0: BOUGHT ALTHOUGH CANCELLED: "), times == 1, "{shown}");
        if times == 0 {
            continue;
        }
        let reason = "SELECT context ->> 'reason' FROM provisor.email_outbox
                      WHERE context ->> 'about' = 'bought_after_end'";
        let told = house.world.value::<String>(reason).await;
        assert!(told.starts_with(words), "{told}");
        let (state, live): (String, bool) =
            sqlx::query_as("SELECT state, live FROM provisor.effects")
                .fetch_one(&house.world.pool)
                .await
                .expect("one placement");
        assert_eq!(
            (state.as_str(), live),
            (outcome.as_str(), false),
            "it keeps nobody from the name"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_another_lines_order_is_doubted_and_told_once() {
    for (together, late) in [(false, false), (true, false), (false, true)] {
        let house = House::new().await;
        let (db, owner) = (database(&house), Uuid::new_v4());
        house.submit("SHOP-0", json!([hosting("first.example")])).await;
        let mut first = begin(&db, owner).await;
        let (intent, attempt) = first.intend();
        assert!(matches!(commit(&db, &intent).await, Recorded::Done { .. }));
        let acceptance = Acceptance::Order { id: UpstreamOrderId(110), cost: None };
        let change = accepted(&first.loaded.facts, STEP, &acceptance);
        let mut good = first.answer(attempt, Outcome::Accepted, change);
        good.park = Some((Lane::Retry, Due::Never, 0));
        let (run, answer) = sent(&house, &db, owner, Outcome::Accepted).await;
        if together {
            let committed = db.commit_records(&[good, answer.clone()], WAITS).await;
            let done = |result: &Result<Recorded, _>| matches!(result, Ok(Recorded::Done { .. }));
            assert!(committed.results.iter().all(done), "{committed:?}");
        } else {
            assert!(matches!(commit(&db, &good).await, Recorded::Done { .. }));
            if late {
                house.world.run("UPDATE provisor.wakes SET run_token = run_token + 1").await;
            }
            let recorded = commit(&db, &answer).await;
            assert_eq!(recorded == Recorded::Stale, late, "{recorded:?}");
        }
        assert_eq!(commit(&db, &answer).await, Recorded::Stale, "it was recorded");
        let ledger = "SELECT string_agg(concat_ws(' ', e.tag, e.state, e.upstream_order_id), ',' ORDER BY e.id)
                      FROM provisor.effects e";
        assert_eq!(
            house.world.value::<String>(ledger).await,
            "SHOP-0/0 accepted 110,SHOP-1/0 in_doubt"
        );
        assert_eq!(house.count_events("SHOP-1", "order_taken").await, 1);
        assert_eq!(house.told_operator("SHOP-1", "order_taken").await, 1);
        let reason = "SELECT context ->> 'reason' FROM provisor.email_outbox WHERE context ->> 'about' = 'order_taken'";
        assert_eq!(
            house.world.value::<String>(reason).await,
            "LJPc order 110 (jti jti-9f2c) was named as this line's, and is line SHOP-0/0's already: \
             one of the two is wrong."
        );
        let loaded = db.load_lines(&[run.loaded.line_id], WAITS.grace).await.expect("a line");
        let facts = &loaded[&run.loaded.line_id].facts;
        let Step::Record(change) = decide(facts, &Known::default(), &PATIENCE) else {
            panic!("nothing is asked or sent");
        };
        assert_eq!(change.progress.status, LineStatus::InDoubt);
        let why = change.progress.reason.unwrap_or_default();
        assert_eq!(why, "LJPc answered with order 110, which is line SHOP-0/0's already");
    }
}

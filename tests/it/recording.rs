//! What a run leaves behind, committed twice: as after a connection that was lost in the moment of the commit.

use std::{collections::HashMap, time::Duration};

use provisor::{
    db::{
        Database,
        lines::LoadedLine,
        records::{Intent, LineChange, Record, Recorded, Timeline, Truth, Waits},
        wakes::{ClaimedWake, Due, Lane, LaneDemand},
    },
    jobs,
    order::{
        LineId, LineStatus, Money, SiteId, UpstreamOrderId,
        decide::{Change, Evidence, Step, Then, decide},
        effect::{Acceptance, EffectStep},
        facts::{Known, Patience, Reading, SimpleStatus},
        ledger::{EffectState, Outcome},
        outcome::{accepted, delivered, in_doubt, panicked, rejected},
    },
};
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use crate::{
    doubt::{WAITS, database, declare_absent},
    house::{House, eventually, hosting},
};

/// A run of a line by hand.
pub(crate) struct Run {
    pub(crate) wake: ClaimedWake,
    pub(crate) loaded: LoadedLine,
}

/// Claims the one line that is due and loads it.
pub(crate) async fn begin(db: &Database, owner: Uuid) -> Run {
    begin_all(db, owner, 10).await.into_iter().next().expect("a line is due")
}

/// Claims what is due, at most so many wakes, and loads the lines among them.
pub(crate) async fn begin_all(db: &Database, owner: Uuid, most: usize) -> Vec<Run> {
    let demands = Lane::ALL.map(|lane| LaneDemand { lane, max: most, watermark: None });
    let lease = Duration::from_mins(1);
    let claimed = db.claim_wakes(&demands, most, lease, owner).await.expect("a claim").0;
    let of = |wake: &ClaimedWake| LineId(wake.fence.wake.subject());
    let lines: Vec<ClaimedWake> =
        claimed.into_iter().filter(|wake| wake.fence.wake.kind() == jobs::LINE).collect();
    let ids: Vec<LineId> = lines.iter().map(of).collect();
    let mut loaded: HashMap<LineId, LoadedLine> =
        db.load_lines(&ids, WAITS.grace).await.expect("lines can be loaded");
    let run = |wake| Run { loaded: loaded.remove(&of(&wake)).expect("the line is there"), wake };
    lines.into_iter().map(run).collect()
}

impl Run {
    /// A record of this change, which lets go of the line.
    pub(crate) fn record(&self, change: Change) -> Record {
        Record {
            fence: self.wake.fence,
            order_id: self.loaded.order_id,
            line_id: self.loaded.line_id,
            intent: None,
            truth: None,
            park: Some((Lane::Retry, Due::In(Duration::ZERO), 0)),
            change: Some(LineChange::of(&self.loaded.facts, change)),
        }
    }

    /// The record of an intent, after which the run goes on as one of a line that is being placed.
    pub(crate) fn intend(&mut self) -> (Record, Uuid) {
        let attempt = Uuid::new_v4();
        let (n, tag) = self.loaded.facts.next_placement(STEP).expect("nothing was placed yet");
        let change = Change::to(&self.loaded.facts, LineStatus::Placing, None, Then::Rest);
        let mut record = self.record(change);
        let domain = self.loaded.facts.progress.domain.clone().expect("a name");
        record.intent = Some(Intent::to_place(attempt, n, tag, domain, [7; 32]));
        record.park = None;
        self.loaded.facts.progress.status = LineStatus::Placing;
        (record, attempt)
    }

    /// The record of an answer.
    pub(crate) fn answer(&self, attempt: Uuid, outcome: Outcome, change: Change) -> Record {
        let upstream_order_id = (outcome == Outcome::Accepted).then_some(UpstreamOrderId(110));
        let mut record = self.record(change);
        record.truth = Some(Truth {
            attempt,
            intent: None,
            outcome,
            upstream_order_id,
            contact_handle: None,
            http_status: None,
            jti: None,
            detail: None,
        });
        record
    }
}

/// All that is known of the house's orders, but for times.
pub(crate) async fn everything(house: &House) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["orders", "order_lines", "effects", "attempts", "email_outbox", "sites"] {
        let rows: String = house
            .world
            .value(&format!(
                "SELECT coalesce(string_agg((to_jsonb(t) - '{{updated_at,settled_at,ended_at,message_id}}'::text[])::text,
                                            chr(10) ORDER BY t::text), '') FROM provisor.{table} t"
            ))
            .await;
        all.push(rows);
    }
    let events: String = house
        .world
        .value("SELECT coalesce(string_agg(event || detail, chr(10) ORDER BY id), '') FROM provisor.events")
        .await;
    all.push(events);
    all
}

/// Commits a record: it is done. Commits it again: nothing changes, and it is told so.
async fn commit_twice(house: &House, db: &Database, record: &Record, again: Recorded) -> Recorded {
    let mut once = db.commit_records(std::slice::from_ref(record), WAITS).await;
    let first = once.results.pop().expect("an answer").expect("it can be committed");
    assert!(matches!(first, Recorded::Done { .. }), "{first:?}");
    let before = everything(house).await;
    let mut twice = db.commit_records(std::slice::from_ref(record), WAITS).await;
    let second = twice.results.pop().expect("an answer").expect("it can be committed");
    assert_eq!(second, again);
    assert!(twice.ended.is_empty(), "an order ends once");
    assert_eq!(everything(house).await, before);
    first
}

pub(crate) const PATIENCE: Patience = Patience {
    failed_recheck: Duration::from_hours(1),
    site_id_wait: Duration::from_hours(1),
    overdue_after: Duration::from_hours(1),
    in_doubt_grace: Duration::from_hours(1),
    poll_interval: Duration::from_secs(2),
    evidence_interval: Duration::from_hours(1),
    order_id_probe: false,
    offers_alternatives: false,
};

/// What a hosting line buys by.
pub(crate) const STEP: EffectStep = EffectStep::PlaceOrder;

#[tokio::test(flavor = "multi_thread")]
async fn each_record_of_an_order_that_goes_well_counts_once() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, owner).await;
    let (intent, attempt) = run.intend();
    let done = commit_twice(&house, &db, &intent, Recorded::Conflict).await;
    assert_eq!(done, Recorded::Done { timeline: Some(Timeline { confirmed: true }) });
    let change = accepted(
        &run.loaded.facts,
        STEP,
        &Acceptance::Order { id: UpstreamOrderId(110), cost: None },
    );
    let answer = run.answer(attempt, Outcome::Accepted, change);
    commit_twice(&house, &db, &answer, Recorded::Stale).await;

    let run = begin(&db, owner).await;
    let reading =
        Reading::Order { simple_status: SimpleStatus::Completed, site_id: Some(SiteId(2019)) };
    let known = Known { reading: Some(reading), ..Known::default() };
    let Step::Record(change) = decide(&run.loaded.facts, &known, &PATIENCE) else {
        panic!("a completed order is recorded");
    };
    commit_twice(&house, &db, &run.record(*change), Recorded::Stale).await;
    assert_eq!(house.order("SHOP-1").await.0, "completed");
    assert_eq!(house.count_emails("SHOP-1", "order_completed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_of_an_order_that_goes_wrong_counts_once() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    for (n, outcome) in [Outcome::Rejected, Outcome::InDoubt, Outcome::NotSent].iter().enumerate() {
        let reference = format!("SHOP-{n}");
        house.submit(&reference, json!([hosting("example.nl")])).await;
        let mut run = begin(&db, owner).await;
        let (intent, attempt) = run.intend();
        commit_twice(&house, &db, &intent, Recorded::Conflict).await;
        let facts = &run.loaded.facts;
        let (change, status) = match n {
            0 => (rejected(facts, STEP, Some("no")), "failed"),
            1 => (in_doubt(facts, "no answer".to_owned()), "in_doubt"),
            _ => (Change::to(facts, LineStatus::Pending, None, Then::Retry), "pending"),
        };
        let mut answer = run.answer(attempt, *outcome, change);
        answer.park = Some((Lane::Retry, Due::Never, 0));
        commit_twice(&house, &db, &answer, Recorded::Stale).await;
        assert_eq!(house.line_status(&reference, 0).await, status);
        // The next one's name must be free.
        house.world.run("UPDATE provisor.effects SET live = false").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_and_a_panic_count_once() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    for panics in 1..=3 {
        let run = begin(&db, owner).await;
        let change = panicked(&run.loaded.facts);
        commit_twice(&house, &db, &run.record(change), Recorded::Stale).await;
        let counted: i32 = house.world.value("SELECT panics FROM provisor.order_lines").await;
        assert_eq!(counted, panics);
    }
    assert_eq!(house.line_status("SHOP-1", 0).await, "held");
    assert_eq!(house.told_operator("SHOP-1", "held").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_can_not_be_stored_harms_no_other() {
    let house = House::new().await;
    let db = database(&house);
    let mut records = Vec::new();
    for n in 0..3 {
        house.submit(&format!("SHOP-{n}"), json!([hosting(&format!("{n}.example"))])).await;
        let run = begin(&db, Uuid::new_v4()).await;
        // No text of PostgreSQL's holds a NUL.
        let reason = if n == 1 { "\0" } else { "fine" };
        let change =
            Change::to(&run.loaded.facts, LineStatus::Held, Some(reason.to_owned()), Then::Rest);
        let mut record = run.record(change);
        if let Some(change) = &mut record.change {
            change.events.clear();
        }
        records.push(record);
    }
    let committed = db.commit_records(&records, WAITS).await;
    for n in [0, 2] {
        let done = committed.results[n].as_ref().expect("a good row");
        assert_eq!(*done, Recorded::Done { timeline: None });
    }
    let error = committed.results[1].as_ref().expect_err("a NUL can't be stored");
    assert!(error.is_data_error(), "{error}");
    for (n, status) in ["held", "pending", "held"].iter().enumerate() {
        assert_eq!(house.line_status(&format!("SHOP-{n}"), 0).await, *status);
    }
}

/// Accepts the one line that is due as the LJPc order of this id, at this cost; the run goes on.
async fn accept(db: &Database, run: &mut Run, id: i64, cost: Option<Money>) -> Record {
    let (intent, attempt) = run.intend();
    let committed = db.commit_records(&[intent], WAITS).await;
    assert!(matches!(committed.results[..], [Ok(Recorded::Done { .. })]), "{committed:?}");
    let change =
        accepted(&run.loaded.facts, STEP, &Acceptance::Order { id: UpstreamOrderId(id), cost });
    let mut answer = run.answer(attempt, Outcome::Accepted, change);
    if let Some(truth) = &mut answer.truth {
        truth.upstream_order_id = Some(UpstreamOrderId(id));
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_is_committed_alone_if_its_line_can_not_be_stored() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, owner).await;
    // One more digit than the column has.
    let cost = Money(Decimal::from(10_000_000_000_i64));
    let answer = accept(&db, &mut run, 110, Some(cost)).await;
    let committed = db.commit_records(std::slice::from_ref(&answer), WAITS).await;
    let error = committed.results[0].as_ref().expect_err("the price does not fit");
    assert!(error.is_data_error(), "{error}");
    let known = "SELECT concat_ws(' ', e.state, e.upstream_order_id, a.outcome, l.status)
                 FROM provisor.effects e JOIN provisor.attempts a ON a.effect_id = e.id
                 JOIN provisor.order_lines l ON l.id = e.line_id";
    assert_eq!(house.world.value::<String>(known).await, "accepted 110 accepted placing");

    // The next run follows the ledger, whose order it polls from then on.
    house.world.run("UPDATE provisor.wakes SET lease_until = now(), due_at = now()").await;
    let run = begin(&db, owner).await;
    let nothing = Known::default();
    let Step::Record(change) = decide(&run.loaded.facts, &nothing, &PATIENCE) else {
        panic!("the acceptance is adopted before anything is read");
    };
    commit_twice(&house, &db, &run.record(*change), Recorded::Stale).await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.status.as_str(), line.upstream_order_id), ("provisioning", Some(110)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_could_not_be_stored_follows_its_acceptance_and_is_not_placed_again() {
    let house = House::new().await;
    house.world.run("ALTER TABLE provisor.order_lines ADD CHECK (cost IS NULL)").await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the ledger knows what the line does not", async || {
        house
            .world
            .value::<bool>(
                "SELECT EXISTS (SELECT FROM provisor.effects e JOIN provisor.order_lines l ON l.id = e.line_id
                                WHERE e.state = 'accepted' AND l.status = 'placing')",
            )
            .await
    })
    .await;
    house
        .world
        .run("ALTER TABLE provisor.order_lines DROP CONSTRAINT order_lines_cost_check")
        .await;
    house.until_order("SHOP-1", "completed").await;
    let line = house.line("SHOP-1", 0).await;
    let upstream: Vec<i64> =
        house.upstream_orders("SHOP-1/0").into_iter().map(|order| order.0).collect();
    assert_eq!(line.upstream_order_id.into_iter().collect::<Vec<_>>(), upstream);
    assert_eq!((house.posts("SHOP-1").len(), line.cost.as_deref()), (1, Some("4.49")));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_says_of_a_line_that_was_cancelled_meanwhile_changes_nothing() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, owner).await;
    let facts = &run.loaded.facts;
    let held = Change::to(facts, LineStatus::Held, Some("dearer".to_owned()), Then::Rest);
    let held = run.record(held);
    let (intent, _) = run.intend();
    assert_eq!(house.cancel("SHOP-1").await, "cancelled");
    let before = everything(&house).await;
    for record in [held, intent] {
        let mut committed = db.commit_records(&[record], WAITS).await;
        let result = committed.results.pop().expect("an answer").expect("it can be committed");
        assert_eq!(result, Recorded::Conflict);
        assert!(committed.ended.is_empty(), "it has ended before");
        assert_eq!(everything(&house).await, before);
    }
    assert_eq!(house.order("SHOP-1").await, ("cancelled".to_owned(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_changes_nothing_of_a_cancelled_order() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, owner).await;
    let (intent, attempt) = run.intend();
    commit_twice(&house, &db, &intent, Recorded::Conflict).await;
    // Provably not written, so that the line is as it was before, and can be cancelled.
    let unsent = Change::to(&run.loaded.facts, LineStatus::Pending, None, Then::Retry);
    let mut unsent = run.answer(attempt, Outcome::NotSent, unsent);
    if let Some(change) = &mut unsent.change {
        change.sent = Some(false);
    }
    commit_twice(&house, &db, &unsent, Recorded::Stale).await;
    assert_eq!(house.cancel("SHOP-1").await, "cancelled");

    let before = everything(&house).await;
    for outcome in [Outcome::InDoubt, Outcome::Rejected, Outcome::Accepted] {
        let change = accepted(
            &run.loaded.facts,
            STEP,
            &Acceptance::Order { id: UpstreamOrderId(110), cost: None },
        );
        let late = run.answer(attempt, outcome, change);
        let committed = db.commit_records(&[late], WAITS).await;
        assert!(matches!(committed.results[..], [Ok(Recorded::Stale)]), "{committed:?}");
        assert_eq!(everything(&house).await, before, "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lines_that_are_completed_together_by_one_site_both_end() {
    let house = House::new().await;
    let db = database(&house);
    let mut records = Vec::new();
    for n in 0..2_i64 {
        house.submit(&format!("SHOP-{n}"), json!([hosting(&format!("{n}.example"))])).await;
        let mut run = begin(&db, Uuid::new_v4()).await;
        let mut answer = accept(&db, &mut run, 110 + n, None).await;
        answer.park = None;
        let committed = db.commit_records(&[answer], WAITS).await;
        assert!(matches!(committed.results[..], [Ok(Recorded::Done { .. })]), "{committed:?}");
        run.loaded.facts.progress.status = LineStatus::Provisioning;
        run.loaded.facts.progress.upstream_order_id = Some(UpstreamOrderId(110 + n));
        let reading =
            Reading::Order { simple_status: SimpleStatus::Completed, site_id: Some(SiteId(2019)) };
        let known = Known { reading: Some(reading), ..Known::default() };
        let Step::Record(change) = decide(&run.loaded.facts, &known, &PATIENCE) else {
            panic!("a completed order is recorded");
        };
        records.push(run.record(*change));
    }
    let committed = db.commit_records(&records, WAITS).await;
    assert!(
        committed.results.iter().all(|result| matches!(result, Ok(Recorded::Done { .. }))),
        "{committed:?}"
    );
    assert_eq!(committed.ended.len(), 2);
    for reference in ["SHOP-0", "SHOP-1"] {
        assert_eq!(house.order(reference).await.0, "completed", "{reference}");
    }
    let owners: i64 =
        house.world.value("SELECT count(*) FROM provisor.effects WHERE site_id = 2019").await;
    assert_eq!(owners, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_reviewed_when_the_grace_of_its_doubt_ends() {
    let house = House::new().await;
    let db = database(&house);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, Uuid::new_v4()).await;
    let (intent, attempt) = run.intend();
    let doubt = in_doubt(&run.loaded.facts, "no answer".to_owned());
    let answer = run.answer(attempt, Outcome::InDoubt, doubt);
    let waits = Waits { grace: Duration::from_hours(1), ..WAITS };
    for record in [intent, answer] {
        let committed = db.commit_records(&[record], waits).await;
        assert!(matches!(committed.results[..], [Ok(Recorded::Done { .. })]), "{committed:?}");
    }
    // It counts from when the doubt began, and not from when it was written down.
    let grace = "SELECT w.due_at - l.in_doubt_at = interval '1 hour' FROM provisor.order_lines l
                 JOIN provisor.wakes w ON w.id = l.order_id * 16 + 3";
    assert!(house.world.value::<bool>(grace).await);
}

/// Takes an intent out of the ledger, as a failover to a server does that had not heard of it.
pub(crate) async fn lose_intents(house: &House) {
    house
        .world
        .run(
            "DELETE FROM provisor.attempts; DELETE FROM provisor.effects;
              UPDATE provisor.order_lines SET status = 'pending', sent = false",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_intent_the_database_has_lost_enters_all_the_same_and_once() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    for (reference, outcome, state) in [
        ("SHOP-1", Outcome::Accepted, "accepted"),
        ("SHOP-2", Outcome::InDoubt, "in_doubt"),
        // What had no effect may be forgotten.
        ("SHOP-3", Outcome::NotSent, ""),
        ("SHOP-4", Outcome::Rejected, ""),
    ] {
        house.submit(reference, json!([hosting("example.nl")])).await;
        let mut run = begin(&db, owner).await;
        let (intent, attempt) = run.intend();
        db.commit_records(std::slice::from_ref(&intent), WAITS).await;
        lose_intents(&house).await;
        let change = in_doubt(&run.loaded.facts, "no answer".to_owned());
        let mut answer = run.answer(attempt, outcome, change);
        if let (Some(truth), Some(intent)) = (&mut answer.truth, intent.intent) {
            truth.intent = Some(Box::new(intent));
        }
        for _ in 0..2 {
            let committed = db.commit_records(std::slice::from_ref(&answer), WAITS).await;
            // The line stands where the new server knows it, and follows the ledger.
            assert!(matches!(committed.results[..], [Ok(Recorded::Conflict)]), "{committed:?}");
            let ledger =
                "SELECT coalesce(string_agg(e.state || ' ' || e.tag || ' ' || l.sent, ','), '')
                          FROM provisor.effects e JOIN provisor.attempts a ON a.effect_id = e.id
                          JOIN provisor.order_lines l ON l.id = e.line_id";
            let expected = if state.is_empty() {
                String::new()
            } else {
                format!("{state} {reference}/0 true")
            };
            assert_eq!(house.world.value::<String>(ledger).await, expected);
        }
        lose_intents(&house).await;
        house.world.run("UPDATE provisor.order_lines SET status = 'cancelled'").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_lost_intent_that_was_made_again_tells_that_it_was_bought_twice() {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, owner).await;
    let (first, attempt) = run.intend();
    db.commit_records(std::slice::from_ref(&first), WAITS).await;
    lose_intents(&house).await;
    // Somebody said too early that it may go on.
    run.loaded.facts.progress.status = LineStatus::Pending;
    let (second, _) = run.intend();
    db.commit_records(std::slice::from_ref(&second), WAITS).await;
    let change = in_doubt(&run.loaded.facts, "no answer".to_owned());
    let mut answer = run.answer(attempt, Outcome::Accepted, change);
    if let (Some(truth), Some(intent)) = (&mut answer.truth, first.intent) {
        truth.intent = Some(Box::new(intent));
    }
    db.commit_records(std::slice::from_ref(&answer), WAITS).await;
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 1);
    assert_eq!(house.told_operator("SHOP-1", "bought_twice").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_found_enters_though_a_person_has_spoken_meanwhile() {
    let id = UpstreamOrderId(110);
    let by_number = |run: &Run| {
        let acceptance = Acceptance::Order { id, cost: None };
        let change = accepted(&run.loaded.facts, STEP, &acceptance);
        found(change, |it| it.upstream_order_id = Some(id))
    };
    let change = found_too_late(by_number, "accepted 110").await;
    assert_eq!(change.progress.status, LineStatus::Provisioning);
    assert_eq!(change.progress.upstream_order_id, Some(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_was_found_enters_though_a_person_has_spoken_meanwhile() {
    let site = SiteId(77);
    let by_site = |run: &Run| {
        let facts = &run.loaded.facts;
        let change = delivered(facts, facts.latest().expect("what is in doubt"), site);
        found(change, |it| it.site_id = Some(site))
    };
    let change = found_too_late(by_site, "accepted 77").await;
    assert_eq!(change.progress.status, LineStatus::Completed);
    assert_eq!(change.progress.site_id, Some(site));
}

/// What a run has found of the first placement.
fn found(mut change: Change, name: impl FnOnce(&mut Evidence)) -> Change {
    let mut evidence = Evidence {
        step: STEP,
        n: 1,
        state: EffectState::Accepted,
        upstream_order_id: None,
        site_id: None,
    };
    name(&mut evidence);
    change.evidence = Some(evidence);
    change
}

/// A run finds something of an order in doubt, and somebody says that it does not exist before that is recorded. Gives what
/// the line becomes.
async fn found_too_late(find: impl FnOnce(&Run) -> Change, ledger: &str) -> Change {
    let house = House::new().await;
    let (db, owner) = (database(&house), Uuid::new_v4());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let mut run = begin(&db, owner).await;
    let (intent, attempt) = run.intend();
    let doubt = in_doubt(&run.loaded.facts, "no answer".to_owned());
    let answer = run.answer(attempt, Outcome::InDoubt, doubt);
    for record in [intent, answer] {
        let committed = db.commit_records(&[record], WAITS).await;
        assert!(matches!(committed.results[..], [Ok(Recorded::Done { .. })]), "{committed:?}");
    }
    let run = begin(&db, owner).await;
    let found = run.record(find(&run));
    // Before that is recorded, somebody says that it does not exist.
    declare_absent(&house, "SHOP-1").await;
    house.world.run("UPDATE provisor.wakes SET run_token = run_token + 1, owner = NULL").await;
    let mut known_after = Vec::new();
    for _ in 0..2 {
        let mut committed = db.commit_records(std::slice::from_ref(&found), WAITS).await;
        let recorded = committed.results.pop().expect("an answer").expect("it can be committed");
        assert_eq!(recorded, Recorded::Stale);
        known_after.push(everything(&house).await);
    }
    assert_eq!(known_after[0], known_after[1], "it enters once");
    let known = "SELECT concat_ws(' ', state, upstream_order_id, site_id) FROM provisor.effects";
    assert_eq!(house.world.value::<String>(known).await, ledger);
    let events = house.events("SHOP-1").await;
    assert_eq!(events.iter().filter(|event| *event == "late_answer").count(), 1, "{events:?}");
    // So the line follows it, and nothing is placed again.
    house.world.run("UPDATE provisor.wakes SET lease_until = now(), due_at = now()").await;
    let run = begin(&db, owner).await;
    let Step::Record(change) = decide(&run.loaded.facts, &Known::default(), &PATIENCE) else {
        panic!("it is adopted before anything is read");
    };
    *change
}

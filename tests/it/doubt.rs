//! Doubt, and the truth that comes late: workers that die in mid-request, answers after the lease, failovers, panics.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use provisor::{
    app,
    db::{
        Database, Purpose,
        records::{LineChange, Record, Recorded, Truth, Waits},
        wakes::{Due, Fence, Lane, WakeId},
    },
    jobs::{
        self,
        carry_out_line::{CarryOutLine, Waiting},
        guest::{Guest, GuestLimits},
        ledger::Ledger,
    },
    order::{
        LineId, LineStatus, OrderId, UpstreamOrderId,
        decide::{Change, Then},
        facts::Patience,
        ledger::Outcome,
    },
    queue::{
        Alarm, Budget, Claim, Engine, EngineSettings, Handler, Parts, Presence, Ran, Schedule,
    },
    sandbox::Stage,
    upstream::Unobserved,
};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    binary::provisor,
    house::{House, eventually, hosting},
};

const POST: &str = "POST /api/v1/orders";

pub(crate) const WAITS: Waits =
    Waits { grace: Duration::from_secs(1), progress_after: Duration::from_hours(1) };

/// A pool of its own, as another process would have it.
pub(crate) fn database(house: &House) -> Database {
    Database::new(&house.world.url(), 4, Purpose::General).expect("a database URL")
}

/// What the run behind the latest attempt of a placement would record if its answer came only now: it believes that it
/// still holds the line.
async fn late_record(
    house: &House,
    db: &Database,
    tag: &str,
    truth: (Outcome, Option<i64>),
) -> Record {
    let (attempt, owner, run_token, line_id, order_id): (Uuid, Uuid, i64, i64, i64) =
        sqlx::query_as(
            "SELECT a.id, a.owner, a.run_token, e.line_id, l.order_id
         FROM provisor.attempts a JOIN provisor.effects e ON e.id = a.effect_id
         JOIN provisor.order_lines l ON l.id = e.line_id
         WHERE e.tag = $1 ORDER BY a.started_at DESC LIMIT 1",
        )
        .bind(tag)
        .fetch_one(&house.world.pool)
        .await
        .expect("the placement was attempted");
    let line_id = LineId(line_id);
    let loaded = db.load_lines(&[line_id], WAITS.grace).await.expect("lines can be loaded");
    let facts = &loaded[&line_id].facts;
    let mut change = Change::unchanged(facts, Then::Rest);
    change.progress.status = LineStatus::Provisioning;
    change.progress.reason = Some("what a run that has lost the line says of it".to_owned());
    let (outcome, order) = truth;
    Record {
        fence: Fence { wake: WakeId::new(jobs::LINE, line_id.0), run_token, owner, kicks: 0 },
        order_id: OrderId(order_id),
        line_id,
        intent: None,
        truth: Some(Truth {
            attempt,
            intent: None,
            outcome,
            upstream_order_id: order.map(UpstreamOrderId),
            contact_handle: None,
            http_status: Some(201),
            jti: Some("jti-of-the-late-answer".to_owned()),
            detail: Some("said late".to_owned()),
        }),
        change: Some(LineChange {
            expected: LineStatus::Placing,
            sent: Some(true),
            ..LineChange::of(facts, change)
        }),
        park: Some((Lane::Poll, Due::In(Duration::ZERO), 0)),
    }
}

/// Records a late answer, and once more: its run has lost the line, yet the truth enters, once.
pub(crate) async fn answer_late(house: &House, tag: &str, truth: (Outcome, Option<i64>)) {
    let db = database(house);
    let record = late_record(house, &db, tag, truth).await;
    for _ in 0..2 {
        let committed = db.commit_records(std::slice::from_ref(&record), WAITS).await;
        let results: Result<Vec<Recorded>, _> = committed.results.into_iter().collect();
        assert_eq!(results.expect("it is recorded"), [Recorded::Stale], "another holds the line");
    }
    db.close().await;
}

/// What a person does who says that a placement does not exist upstream.
pub(crate) async fn declare_absent(house: &House, reference: &str) {
    let line = house.line(reference, 0).await;
    let id = line.id;
    assert_eq!(line.status, "in_doubt");
    house
        .world
        .run(&format!(
            "UPDATE provisor.effects SET state = 'absent', live = false WHERE line_id = {id};
             UPDATE provisor.order_lines SET status = 'pending', reason = NULL, in_doubt_at = NULL WHERE id = {id}"
        ))
        .await;
    house.poke(id).await;
}

/// The id of the one order upstream that bears this tag.
fn only_order(house: &House, tag: &str) -> i64 {
    let orders = house.upstream_orders(tag);
    assert_eq!(orders.len(), 1, "{tag}");
    orders[0].0
}

/// A daemon dies while its request is under way; the sandbox has carried the request out.
async fn die_while_sending(house: &House) {
    house.fault(&json!({ "endpoint": POST, "fault": "slow", "delay_ms": 60_000 }));
    let short = [("QUEUE__LEASE", "3s"), ("LJPC__TIMEOUT", "2s")];
    let daemon = house.daemon(&short);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("the order is being sent", async || !house.posts("SHOP-1").is_empty()).await;
    daemon.kill();
    let line = house.line("SHOP-1", 0).await;
    assert_eq!(line.status, "placing");
    // Nobody else gets it before the lease is over.
    eventually("the lease is over", async || !house.runs(line.id).await.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_may_have_sent_is_in_doubt_and_its_late_answer_is_adopted() {
    let house = House::new().await;
    die_while_sending(&house).await;
    let daemon = house.daemon(&[]);
    house.until_line("SHOP-1", 0, "in_doubt").await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!(
        line.why(),
        "the worker stopped after the order may have been sent, before an answer was recorded"
    );
    house.until_order("SHOP-1", "attention").await;
    house.look_again(line.id, 2).await;
    assert_eq!(house.posts("SHOP-1").len(), 1);

    let order = only_order(&house, "SHOP-1/0");
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, Some(order))).await;
    house.until_order("SHOP-1", "completed").await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.upstream_order_id, line.reason), (Some(order), None));
    assert_eq!(house.posts("SHOP-1").len(), 1);
    assert_eq!(house.count_events("SHOP-1", "late_answer").await, 1);
    assert_eq!(house.count_events("SHOP-1", "accepted").await, 1);
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_fails_the_line_and_a_late_not_sent_sends_it_again() {
    let house = House::new().await;
    for reference in ["NO-1", "AGAIN-1"] {
        house.fault(
            &json!({ "endpoint": POST, "fault": "drop", "match": { "reference": reference } }),
        );
    }
    let daemon = house.daemon(&[]);
    for reference in ["NO-1", "AGAIN-1"] {
        house
            .submit(reference, json!([hosting(&format!("{}.example", reference.to_lowercase()))]))
            .await;
        house.until_line(reference, 0, "in_doubt").await;
    }
    answer_late(&house, "NO-1/0", (Outcome::Rejected, None)).await;
    house.until_order("NO-1", "failed").await;
    assert_eq!(house.line("NO-1", 0).await.why(), "LJPc refused the order: said late");
    answer_late(&house, "AGAIN-1/0", (Outcome::NotSent, None)).await;
    house.until_order("AGAIN-1", "completed").await;
    assert_eq!(house.bought("AGAIN-1/0"), 1, "under its own tag: the first had no effect");
    assert_eq!((house.posts("NO-1").len(), house.posts("AGAIN-1").len()), (1, 2));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_comes_after_a_second_placement_is_told_as_bought_twice() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    house.fault(&json!({ "endpoint": POST, "fault": "process_then_drop" }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "in_doubt").await;
    declare_absent(&house, "SHOP-1").await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    let (first, second) = (only_order(&house, "SHOP-1/0"), only_order(&house, "SHOP-1/0#2"));

    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, Some(first))).await;
    let line = house.line("SHOP-1", 0).await;
    house.look_again(line.id, 2).await;
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 1);
    assert_eq!(house.told_operator("SHOP-1", "bought_twice").await, 1);
    house.drive("SHOP-1/0#2", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.upstream_order_id, Some(second));
    assert_eq!(house.posts("SHOP-1").len(), 2);
    house.until_emailed().await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_comes_late_ends_the_doubt_of_the_placement_after_it() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": POST, "fault": "process_then_drop", "times": 2 }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "in_doubt").await;
    declare_absent(&house, "SHOP-1").await;
    eventually("it is placed again", async || house.bought("SHOP-1/0#2") == 1).await;
    house.until_line("SHOP-1", 0, "in_doubt").await;

    let first = only_order(&house, "SHOP-1/0");
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, Some(first))).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.line("SHOP-1", 0).await.upstream_order_id, Some(first));
    // The second may have bought as well: it has, and a person must end it.
    assert_eq!(house.told_operator("SHOP-1", "bought_twice").await, 1);
    assert_eq!(house.posts("SHOP-1").len(), 2);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_comes_after_the_line_was_given_up_revives_it() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": POST, "fault": "process_then_drop" }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "attention").await;
    let id = house.line("SHOP-1", 0).await.id;
    house
        .world
        .run(&format!(
            "UPDATE provisor.effects SET state = 'abandoned', live = false WHERE line_id = {id};
             UPDATE provisor.order_lines SET status = 'failed', reason = 'given up' WHERE id = {id};
             UPDATE provisor.orders SET status = 'failed', episode = 1, finished_at = now()"
        ))
        .await;
    answer_late(&house, "SHOP-1/0", (Outcome::Accepted, Some(only_order(&house, "SHOP-1/0"))))
        .await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.count_emails("SHOP-1", "order_completed").await, 1);
    assert_eq!(house.count_events("SHOP-1", "bought_twice").await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_nothing_is_sent_before_somebody_confirms_it() {
    let house = House::new().await;
    house.world.run("UPDATE provisor.timeline SET confirmed = 'FFFFFFFF'").await;
    let daemon = house.daemon(&[]);
    for (reference, domain) in [("SHOP-1", "one.example"), ("SHOP-2", "two.example")] {
        house.submit(reference, json!([hosting(domain)])).await;
        house.until_reason(reference, 0, "nothing is sent before `provisor queue resume`").await;
        let line = house.line(reference, 0).await;
        house.look_again(line.id, 1).await;
    }
    // In the moment between its intent and the look at the timeline it is too late; nothing is changed by asking.
    eventually("it can be cancelled", async || house.cancel("SHOP-2").await == "cancelled").await;
    assert!(house.requests("POST", "/").is_empty());
    let operator = house.environment(&[]);
    let stats = provisor(&["queue", "stats"], &operator).await;
    assert!(stats.stdout.contains("failed over: the database is on WAL timeline"), "{stats:?}");
    // Who has mended a key says nothing of it.
    let circuits = provisor(&["queue", "resume", "--circuits"], &operator).await;
    assert!(circuits.stdout.contains("that is not confirmed by this"), "{circuits:?}");
    assert!(house.requests("POST", "/").is_empty());
    // Nor who has nobody to be asked.
    let unasked = provisor(&["queue", "resume"], &operator).await;
    assert!(unasked.code == Some(2) && unasked.stderr.contains("give --yes"), "{unasked:?}");
    assert!(house.requests("POST", "/").is_empty());
    let resumed = provisor(&["queue", "resume", "--yes"], &operator).await;
    assert!(resumed.stdout.contains("restore is confirmed"), "{resumed:?}");
    let again = provisor(&["queue", "resume"], &operator).await;
    assert!(again.stdout.contains("which was confirmed before"), "{again:?}");
    house.until_order("SHOP-1", "completed").await;
    assert_eq!((house.bought("SHOP-1/0"), house.posts("SHOP-1").len()), (1, 1));
    assert!(house.posts("SHOP-2").is_empty());
    daemon.stop().await;
}

/// What to do to a line's run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Harm {
    /// It panics at once.
    AtOnce,
    /// It panics while its request is under way.
    WhileSending,
}

/// The handler of lines, which panics where a test wants it.
struct Clumsy {
    house: Arc<House>,
    lines: CarryOutLine,
    harm: Mutex<HashMap<i64, Harm>>,
}

#[async_trait]
impl Handler for Clumsy {
    fn name(&self) -> &'static str {
        "line"
    }

    async fn run(&self, claim: Claim) -> Ran {
        let line = claim.wake.fence.wake.subject();
        let harm = self.harm.lock().expect("no panic under the lock").get(&line).copied();
        match harm {
            None => self.lines.run(claim).await,
            Some(Harm::AtOnce) => panic!("on purpose, at once"),
            Some(Harm::WhileSending) => {
                let sent =
                    eventually("it is sent", async || !self.house.posts("SENT-1").is_empty());
                tokio::select! {
                    biased;
                    () = sent => {
                        self.harm.lock().expect("no panic under the lock").remove(&line);
                        panic!("on purpose, while sending")
                    }
                    ran = self.lines.run(claim) => ran,
                }
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        self.lines.panicked(claim).await
    }
}

/// Nobody listens.
struct Silent;

impl provisor::queue::Observer for Silent {
    fn picked_up(&self, _: Duration) {}
    fn ran(&self, _: &'static str, _: &'static str, _: Duration) {}
}

impl provisor::jobs::ledger::Observer for Silent {
    fn ended(&self, _: provisor::db::records::EndedOrder) {}
}

impl provisor::jobs::guest::CircuitObserver for Silent {
    fn circuit(&self, _: &'static str, _: &str, _: bool) {}
}

/// Requests that it makes at a time.
pub(crate) const IN_FLIGHT_MAX: usize = 8;

/// The way to LJPc as a daemon has it.
pub(crate) fn guest(
    house: &House,
    db: &Database,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    alarm: &Alarm,
) -> Arc<Guest> {
    let settings = house.settings(&[]);
    let budget = Budget::start(tasks, stop.clone(), db.clone(), "ljpc", 1000, alarm.clone());
    let ljpc = app::connect_ljpc(&settings, Arc::new(Unobserved)).expect("the settings are good");
    let limits =
        GuestLimits { max_in_flight: IN_FLIGHT_MAX, probe_interval: Duration::from_secs(1) };
    Arc::new(Guest::new(ljpc, db.clone(), budget, limits, Arc::new(Silent), alarm.clone()))
}

/// An engine as the daemon's, but for the handler of lines.
pub(crate) async fn clumsy_engine(
    house: &Arc<House>,
    harm: HashMap<i64, Harm>,
) -> (CancellationToken, TaskTracker) {
    let settings = house.settings(&[]);
    let (db, tasks, stop) = (database(house), TaskTracker::new(), CancellationToken::new());
    let (presence, alarm, observer) = (Presence::default(), Alarm::default(), Arc::new(Silent));
    presence.tell(&db).await.expect("the database answers");
    let guest = guest(house, &db, &tasks, &stop, &alarm);
    let quick = Schedule {
        initial: Duration::from_millis(50),
        multiplier: 1.0,
        max: Duration::from_millis(50),
    };
    let hour = Duration::from_hours(1);
    let waiting = Waiting {
        patience: Patience {
            failed_recheck: hour,
            site_id_wait: hour,
            overdue_after: hour,
            in_doubt_grace: hour,
            poll_interval: hour,
            evidence_interval: hour,
            order_id_probe: false,
            offers_alternatives: false,
        },
        polls: quick,
        transfers: quick,
        retries: quick,
        timeout: settings.ljpc.timeout,
    };
    let ledger = Ledger::start(&tasks, &db, WAITS, alarm.clone(), observer.clone());
    let lines = CarryOutLine::new(ledger, Arc::clone(&guest), presence.clone(), waiting);
    let clumsy = Clumsy { house: Arc::clone(house), lines, harm: Mutex::new(harm) };
    let mut handlers: HashMap<u8, Arc<dyn Handler>> = HashMap::new();
    handlers.insert(jobs::LINE, Arc::new(clumsy));
    let queue = Database::new(&house.world.url(), 3, Purpose::Queue).expect("a URL");
    let (telling, told, rung, until) = (presence.clone(), db.clone(), alarm.clone(), stop.clone());
    tasks.spawn(async move { telling.keep_telling(&told, jobs::LINE, &rung, until).await });
    let engine = Engine::new(
        Parts {
            settings: EngineSettings {
                concurrency: 4,
                lease: Duration::from_secs(10),
                poll_interval: Duration::from_millis(100),
            },
            db: queue,
            presence,
            alarm,
            handlers,
            gate: guest,
            observer,
        },
        &tasks,
    );
    let until = stop.clone();
    tasks.spawn(async move {
        engine.run(until).await;
        engine.drained().await;
    });
    (stop, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_on_which_the_worker_panics_is_held_or_doubted_and_harms_no_other() {
    let house = Arc::new(House::new().await);
    house.fault(&json!({ "endpoint": POST, "fault": "slow", "delay_ms": 60_000,
                         "match": { "reference": "SENT-1" } }));
    house.submit("HELD-1", json!([hosting("unsent.example"), hosting("beside.example")])).await;
    house.submit("SENT-1", json!([hosting("sent.example")])).await;
    house.submit("GOOD-1", json!([hosting("good.example")])).await;
    let harm = HashMap::from([
        (house.line("HELD-1", 0).await.id, Harm::AtOnce),
        (house.line("SENT-1", 0).await.id, Harm::WhileSending),
    ]);
    let (stop, tasks) = clumsy_engine(&house, harm).await;

    house.until_order("GOOD-1", "completed").await;
    house.until_order("HELD-1", "attention").await;
    house.until_line("SENT-1", 0, "in_doubt").await;
    let held = house.line("HELD-1", 0).await;
    assert_eq!((held.status.as_str(), held.sent), ("held", false));
    assert_eq!(held.why(), "the worker failed 3 times on this line; its log says why");
    assert_eq!(house.line_status("HELD-1", 1).await, "completed");
    assert_eq!(house.told_operator("HELD-1", "held").await, 1);
    eventually("it does not get another try", async || {
        let due = format!(
            "SELECT due_at = 'infinity' FROM provisor.wakes WHERE id = {} * 16 + 1",
            held.id
        );
        house.world.value::<bool>(&due).await
    })
    .await;
    let doubtful = house.line("SENT-1", 0).await;
    house.look_again(doubtful.id, 2).await;
    assert_eq!(house.posts("SENT-1").len(), 1);
    assert_eq!(house.line_status("SENT-1", 0).await, "in_doubt");
    assert_eq!(house.posts("HELD-1").len(), 1, "its other line's alone");
    stop.cancel();
    tasks.close();
}

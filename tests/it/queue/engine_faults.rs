//! The engine while its connections fail, and what it finds again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use provisor::db::wakes::{Lane, WakeId};
use provisor::queue::{Alarm, EngineSettings, Gate, listen::listen};
use serde_json::json;
use tokio::task::JoinHandle;

use super::engine::{QUICK, SETTINGS, Works};
use super::runs::submit_lines;
use super::{database, insert_wakes, of_wake};
use crate::house::{eventually, hosting, order};
use crate::world::World;

/// No test waits for a poll at this pace.
const SLOW: EngineSettings = EngineSettings { poll_interval: Duration::from_hours(1), ..SETTINGS };

/// Whether a connection of this database listens for new wakes.
async fn is_listening(world: &World) -> bool {
    world
        .value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
                            WHERE datname = current_database() AND query ILIKE 'LISTEN%')",
        )
        .await
}

fn start_listening(world: &World, works: &Works) -> JoinHandle<()> {
    let (db, alarm) = (database(world, 2), works.alarm.clone());
    tokio::spawn(async move { listen(&db, &alarm).await })
}

/// Ends connections of this database from the server's side, as a restart does.
async fn terminate(world: &World, which: &str) -> i64 {
    world
        .value(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND application_name = 'provisor' AND {which}"
        ))
        .await
}

/// It would keep its subject waiting until the lease runs out; but nobody tries for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_park_that_fails_is_tried_again_twice() {
    let world = World::new().await;
    world
        .run(
            "CREATE SEQUENCE public.parks;
             CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 RAISE 'refused: %', nextval('public.parks');
             END $$;
             CREATE TRIGGER refuse BEFORE UPDATE ON provisor.wakes FOR EACH ROW
                 WHEN (old.owner IS NOT NULL AND new.owner IS NULL) EXECUTE FUNCTION public.refuse()",
        )
        .await;
    let works = Works::start(&world, SLOW).await;
    insert_wakes(&world, QUICK, Lane::Place, (1, 1), "now()").await;
    works.alarm.ring();
    let tried = async || world.value::<i64>("SELECT last_value FROM public.parks").await;
    eventually("it is tried three times", async || tried().await == 3).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(tried().await, 3);
    works.end().await;
}

/// Works that find nothing but what they are told of.
async fn hearing(world: &World) -> (Works, JoinHandle<()>) {
    let works = Works::start(world, SLOW).await;
    let listening = start_listening(world, &works);
    eventually("it listens", async || is_listening(world).await).await;
    (works, listening)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_order_is_heard_of_at_once() {
    let world = World::new().await;
    let (works, listening) = hearing(&world).await;
    let mut quickest = Duration::MAX;
    for n in 0..5 {
        let line = submit_lines(&world, &format!("SHOP-{n}"), 1).await[0].1;
        let committed = Instant::now();
        eventually("the line is run", async || works.seen.runs_of(QUICK, line.0) > 0).await;
        quickest = quickest.min(committed.elapsed());
    }
    // The quickest: the others may have met a machine that is busy with other tests.
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
    listening.abort();
    works.end().await;
}

/// Of what is committed within a few milliseconds of a notification, no other one may tell (`provisor.notify_workers`):
/// here, of the last one of a series.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_just_after_a_notification_is_found_at_once() {
    let world = World::new().await;
    let (works, listening) = hearing(&world).await;
    let (mut tried, mut found) = (0, 0);
    while found < 5 {
        // On a busy machine some are committed later than the look.
        assert!(tried < 50, "{found} of {tried}");
        tried += 1;
        for _ in 0..5 {
            world.run("NOTIFY provisor_wake").await;
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        insert_wakes(&world, QUICK, Lane::Place, (tried, tried), "clock_timestamp()").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        found += works.seen.runs_of(QUICK, tried);
    }
    listening.abort();
    works.end().await;
}

/// For what was committed early, at once, and late; and then it is waited for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_notification_it_is_looked_three_times_more() {
    let world = World::new().await;
    let (works, listening) = hearing(&world).await;
    world.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public").await;
    let looks = async || {
        world
            .value::<i64>(
                "SELECT coalesce(sum(calls), 0)::bigint FROM public.pg_stat_statements
                 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND query LIKE '%LEFT JOIN LATERAL%wakes%' AND query NOT LIKE '%pg_stat_statements%'",
            )
            .await
    };
    // What the start looks for is over.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mut tried, mut looked) = (0, 0);
    // One goes with the claim. On a busy machine the next two may become one.
    while looked < 4 {
        assert!(tried < 20, "never three times");
        tried += 1;
        let before = looks().await;
        world.run("NOTIFY provisor_wake").await;
        eventually("it has looked", async || looks().await >= before + 3).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        looked = looks().await - before;
        assert!((3..=4).contains(&looked), "{looked}");
    }
    listening.abort();
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_listener_is_made_anew_and_what_it_missed_is_found() {
    let world = World::new().await;
    let (works, listening) = hearing(&world).await;
    for n in 0..3 {
        let mut shop = world.pool.begin().await.unwrap();
        sqlx::query("SELECT provisor.submit_order($1)")
            .bind(order(&format!("SHOP-{n}"), json!([hosting(&format!("shop-{n}.example.nl"))])))
            .execute(&mut *shop)
            .await
            .unwrap();
        // The one before may have passed a notification on while it ended, and be seen to listen until it has.
        eventually("nobody listens", async || {
            terminate(&world, "query ILIKE 'LISTEN%'").await == 1
        })
        .await;
        // Committed while nobody listens.
        shop.commit().await.unwrap();
        eventually("it is run", async || works.seen.runs() > n).await;
        eventually("it listens again", async || is_listening(&world).await).await;
    }
    listening.abort();
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_notifications_the_poll_finds_what_came() {
    let world = World::new().await;
    let works = Works::start(&world, SETTINGS).await;
    for subject in 1..=3 {
        insert_wakes(&world, QUICK, Lane::Place, (subject, subject), "clock_timestamp()").await;
        let committed = Instant::now();
        eventually("it is run", async || works.seen.runs_of(QUICK, subject) == 1).await;
        assert!(committed.elapsed() < 25 * SETTINGS.poll_interval, "{:?}", committed.elapsed());
    }
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_the_servers_restart() {
    let world = World::new().await;
    let works = Works::start(&world, SETTINGS).await;
    insert_wakes(&world, QUICK, Lane::Email, (1, 800), "clock_timestamp()").await;
    works.alarm.ring();
    for least in [50, 200, 400] {
        eventually("it is busy", async || works.seen.wakes() > least).await;
        assert!(terminate(&world, "true").await > 0);
    }
    insert_wakes(&world, QUICK, Lane::Place, (5001, 5001), "clock_timestamp()").await;
    eventually("a new order is run", async || works.seen.runs_of(QUICK, 5001) == 1).await;
    // What was claimed or to be parked when the connection was lost waits for its lease: give it back.
    eventually("all else is run, or waits for its lease", async || {
        let open =
            "SELECT count(*) FROM provisor.wakes WHERE due_at <= now() AND lease_until <= now()";
        world.value::<i64>(open).await == 0
    })
    .await;
    world
        .run(
            "UPDATE provisor.wakes SET lease_until = '-infinity', due_at = clock_timestamp()
             WHERE lease_until > now()",
        )
        .await;
    eventually("all have run", async || works.seen.wakes() == 801).await;
    works.end().await;
}

/// At full speed claims go on from the last one, not from the watermark: but not for long.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_late_is_found_while_every_claim_is_filled() {
    let world = World::new().await;
    let mut late = world.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO provisor.wakes (id, lane, due_at) VALUES ($1, 0, clock_timestamp())")
        .bind(WakeId::new(QUICK, 1).0)
        .execute(&mut *late)
        .await
        .unwrap();
    insert_wakes(&world, QUICK, Lane::Place, (2, 30_001), "clock_timestamp()").await;
    let works = Works::start(&world, EngineSettings { concurrency: 2, ..SLOW }).await;
    eventually("it is at full speed", async || works.seen.wakes() > 50).await;
    late.commit().await.unwrap();
    let began = Instant::now();
    eventually("it is run", async || works.seen.runs_of(QUICK, 1) == 1).await;
    // By the full scan it would be found after ten.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(works.seen.wakes() < 30_000, "at the end of the backlog");
    works.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_below_the_watermark_is_found_all_the_same() {
    let world = World::new().await;
    let works = Works::start(&world, SETTINGS).await;
    insert_wakes(&world, QUICK, Lane::Email, (1, 1), "clock_timestamp()").await;
    eventually("the mark has risen", async || works.seen.wakes() == 1).await;

    // Committed late, but within the slack: by the next look.
    insert_wakes(&world, QUICK, Lane::Email, (2, 2), "clock_timestamp() - interval '1500 ms'")
        .await;
    let began = Instant::now();
    eventually("it is run", async || works.seen.runs_of(QUICK, 2) == 1).await;
    let within_the_slack = began.elapsed();
    assert!(within_the_slack < Duration::from_secs(8), "{within_the_slack:?}");

    // Far below the mark: a lease that has run out, and many that were committed far too late. The full scan finds them,
    // within ten seconds, and all of them, not one claim's worth for each scan.
    insert_wakes(&world, QUICK, Lane::Email, (11, 310), "now() - interval '1 hour'").await;
    insert_wakes(&world, QUICK, Lane::Poll, (3, 3), "now() - interval '1 hour'").await;
    world
        .run(
            "UPDATE provisor.wakes SET lease_until = clock_timestamp() + interval '1 s', run_token = 5,
                    owner = gen_random_uuid()
             WHERE id = 3 * 16 + 1",
        )
        .await;
    let began = Instant::now();
    eventually("all are run", async || works.seen.wakes() == 303).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(of_wake::<i64>(&world, WakeId::new(QUICK, 3), "run_token").await, 6);
    works.end().await;
}

/// Admits what somebody waits for, once that is known: as a budget does, which reserves nothing ahead.
#[derive(Default)]
struct Thrifty {
    in_hand: AtomicUsize,
    alarm: Alarm,
}

impl Gate for Thrifty {
    fn admit(&self, max: usize) -> usize {
        let in_hand = self.in_hand.load(Ordering::Relaxed).min(max);
        self.in_hand.fetch_sub(in_hand, Ordering::Relaxed);
        in_hand
    }
    fn give_back(&self, _n: usize) {}
    fn lack(&self) {
        self.in_hand.store(1, Ordering::Relaxed);
        self.alarm.ring();
    }
}

/// A claim that was committed, and of which its process heard nothing: only a full scan finds it, and the gate admits
/// nothing before it is told that something waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_expired_below_the_mark_is_found_though_the_gate_has_nothing_in_hand() {
    let world = World::new().await;
    insert_wakes(&world, QUICK, Lane::Place, (1, 1), "now()").await;
    let gate = Arc::new(Thrifty::default());
    let works = Works::with(&world, SETTINGS, gate.clone(), gate.alarm.clone()).await;
    eventually("the first one has run", async || works.seen.wakes() == 1).await;
    insert_wakes(&world, QUICK, Lane::Place, (2, 2), "now() - interval '1 hour'").await;
    eventually("the second one has, too", async || works.seen.wakes() == 2).await;
    works.end().await;
}

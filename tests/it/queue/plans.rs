//! The plans of the queue's statements beside a million rows: the product's own text, as its own connection prepared it.

use std::time::Duration;

use provisor::db::Database;
use provisor::db::wakes::{ClaimedWake, Counting, Due, Lane, LaneDepth, LaneLook, Parked};
use provisor::order::LineId;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{claim, database, insert_wakes, park, queue_database, runs};
use crate::house::eventually;
use crate::world::World;

/// What a claim may read beside its rows: the way down to the head of each lane.
const HEAD_BUFFERS_MAX: i64 = 64;

/// What one claimed row may cost: its page and its entries, found, locked and written.
const ROW_BUFFERS_MAX: i64 = 25;

/// The modes in which the server plans a prepared statement: by its own choice, after six executions, and forced.
const MODES: [&str; 3] = ["auto", "force_custom_plan", "force_generic_plan"];

/// A statement's plan, as it was executed.
struct Plan(Value);

impl Plan {
    /// All buffers that it touched.
    fn buffers(&self) -> i64 {
        let of = |what: &str| self.0[0]["Plan"][what].as_i64().expect("EXPLAIN counts buffers");
        of("Shared Hit Blocks") + of("Shared Read Blocks")
    }

    /// Each node's type with its table or index.
    fn nodes(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![&self.0[0]["Plan"]];
        while let Some(node) = left.pop() {
            let name = |key: &str| node[key].as_str().unwrap_or_default();
            found.push(format!(
                "{} {} {}",
                name("Node Type"),
                name("Relation Name"),
                name("Index Name")
            ));
            left.extend(node["Plans"].as_array().into_iter().flatten());
        }
        found
    }

    /// Each join, with what it goes by and what it looks up for each row of that.
    fn joins(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![&self.0[0]["Plan"]];
        while let Some(node) = left.pop() {
            let parts: Vec<&Value> = node["Plans"].as_array().into_iter().flatten().collect();
            let kind = node["Node Type"].as_str().unwrap_or_default();
            if let ([outer, inner], true) =
                (&parts[..], kind.ends_with("Loop") || kind.ends_with("Join"))
            {
                let name = |key: &str, of: &Value| of[key].as_str().unwrap_or("?").to_owned();
                let (outer, inner) = (name("Node Type", outer), name("Index Name", inner));
                found.push(format!("{kind} of {outer} and {inner}"));
            }
            left.extend(parts);
        }
        found
    }

    #[track_caller]
    fn assert_scans_no_table(&self, what: &str) {
        let nodes = self.nodes();
        // Of what is paused there are seven rows at the most.
        let is_scan = |node: &String| node.starts_with("Seq Scan") && !node.contains("pauses");
        assert!(!nodes.iter().any(is_scan), "{what}: {nodes:#?}");
    }

    /// In the order of the index: nothing is sorted, and nobody reads further than he needs.
    #[track_caller]
    fn assert_goes_by_what_is_due(&self, what: &str) {
        self.assert_scans_no_table(what);
        let nodes = self.nodes();
        let reads_all = |node: &String| node.starts_with("Bitmap") || node.starts_with("Sort");
        assert!(!nodes.iter().any(reads_all), "{what}: {nodes:#?}");
        assert!(nodes.iter().any(|node| node.ends_with("wakes_due")), "{what}: {nodes:#?}");
    }
}

/// The name under which the pool's one connection has prepared the statement that contains `text`.
async fn prepared(db: &Database, text: &str) -> String {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM pg_prepared_statements WHERE position($1 IN statement) > 0
         AND position('pg_prepared_statements' IN statement) = 0",
    )
    .bind(text)
    .fetch_all(db.pool())
    .await
    .expect("prepared statements can be listed");
    assert_eq!(names.len(), 1, "{text}: {names:?}");
    names[0].clone()
}

/// Executes a prepared statement once more in this mode, and takes back what it did.
async fn explain(db: &Database, name: &str, arguments: &str, mode: &str) -> Plan {
    let mut transaction = db.pool().begin().await.expect("a transaction");
    for sql in [
        format!("SET LOCAL plan_cache_mode = {mode}"),
        // No parallel workers of a busy machine in the count of buffers.
        "SET LOCAL max_parallel_workers_per_gather = 0".to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.expect("a setting");
    }
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name} ({arguments})");
    let plan = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    transaction.rollback().await.expect("a rollback");
    Plan(plan)
}

/// Fills the queue with a million rows, quickly: the index is made afterwards, as the migration makes it.
async fn fill(world: &World, lanes: &[Lane], due_at: &str) {
    let index: String = world.value("SELECT pg_get_indexdef('provisor.wakes_due'::regclass)").await;
    world.run("DROP INDEX provisor.wakes_due; TRUNCATE provisor.wakes").await;
    let each = 1_000_000 / i64::try_from(lanes.len()).expect("a few lanes");
    for (n, lane) in (0..).zip(lanes) {
        insert_wakes(world, 2, *lane, (n * each + 1, (n + 1) * each), due_at).await;
    }
    world.run(&index).await;
    world.run("ANALYZE provisor.wakes").await;
    assert_eq!(world.value::<i64>("SELECT count(*) FROM provisor.wakes").await, 1_000_000);
}

/// What the claim is given: `each` of every lane, `total` in all, and nothing before `watermark`.
fn claim_arguments(each: i64, total: i64, watermark: &str) -> String {
    format!(
        "'{{0,1,2,3,4}}', '{{{each},{each},{each},{each},{each}}}',
         array_fill(({watermark})::timestamptz, ARRAY[5]), {total}, 60000000, '{}', true",
        Uuid::nil()
    )
}

async fn assert_claims_are_cheap(db: &Database, each: i64, total: i64, rows: i64) {
    let name = prepared(db, "SET lease_until = now() +").await;
    for mode in MODES {
        for watermark in ["'epoch'", "now() - interval '2 s'", "now() - interval '1 hour'"] {
            let plan = explain(db, &name, &claim_arguments(each, total, watermark), mode).await;
            let what = format!("claim, {mode}, from {watermark}");
            plan.assert_scans_no_table(&what);
            let nodes = plan.nodes();
            assert!(nodes.iter().any(|node| node.ends_with("wakes_due")), "{what}: {nodes:#?}");
            assert!(nodes.iter().any(|node| node.starts_with("Tid Scan")), "{what}: {nodes:#?}");
            let claimed = plan.0[0]["Plan"]["Actual Rows"].as_f64().expect("EXPLAIN counts rows");
            assert!(claimed <= f64::from(i32::try_from(rows).expect("small")), "{what}: {claimed}");
            let most = HEAD_BUFFERS_MAX + rows * ROW_BUFFERS_MAX;
            assert!(plan.buffers() <= most, "{what}: {} buffers, {nodes:#?}", plan.buffers());
        }
    }
}

async fn assert_looks_are_cheap(db: &Database) {
    let name = prepared(db, "LEFT JOIN LATERAL").await;
    for mode in MODES {
        let arguments = "'{0,1,2,3,4}', array_fill(now() - interval '2 s', ARRAY[5])";
        let plan = explain(db, &name, arguments, mode).await;
        plan.assert_scans_no_table(&format!("look, {mode}"));
        assert!(plan.buffers() <= HEAD_BUFFERS_MAX, "look, {mode}: {}", plan.buffers());
    }
}

/// What is counted time after time reads a part of a million.
async fn assert_counts_are_bounded(db: &Database) {
    for _ in 0..6 {
        db.open_polls().await.expect("polls can be counted");
        db.lane_depths(Counting::Bounded).await.expect("wakes can be counted");
    }
    let name = prepared(db, "CROSS JOIN LATERAL (").await;
    for (arguments, most) in [("'{2}', 100000", 110_000), ("'{0,1,2,3,4}', 10000", 60_000)] {
        for mode in MODES {
            let plan = explain(db, &name, arguments, mode).await;
            plan.assert_scans_no_table(&format!("{arguments}, {mode}"));
            let nodes = plan.nodes();
            let what = format!("{arguments}, {mode}: {} buffers, {nodes:#?}", plan.buffers());
            assert!(nodes.iter().any(|node| node.ends_with("wakes_due")), "{what}");
            assert!(plan.buffers() <= most, "{what}");
        }
    }
    let pages: i64 = sqlx::query_scalar("SELECT pg_relation_size('provisor.wakes') / 8192")
        .fetch_one(db.pool())
        .await
        .expect("a size");
    assert!(pages > 2 * 4000, "{pages} pages: an estimate would read all of them");
    let name = prepared(db, "AS sampled").await;
    let plan = explain(db, &name, &format!("{}, '{{0,1,2,3,4}}'", 400_000 / pages), "auto").await;
    assert!(plan.buffers() <= 5_000, "{} buffers of {pages}", plan.buffers());
}

/// What is estimated is nearly what there is.
async fn assert_estimates_are_near(db: &Database, each: i64) {
    let near = |estimate: i64, what: &str| {
        let off = (estimate - each).abs();
        assert!(off * 10 <= each, "{what}: {estimate} of {each}");
    };
    let polls = db.open_polls().await.expect("polls can be counted");
    near(polls.by_tries.iter().map(|(_, count)| count).sum(), "polls");
    let exact = db.lane_depths(Counting::Exact).await.expect("wakes can be counted");
    let bounded = db.lane_depths(Counting::Bounded).await.expect("wakes can be counted");
    assert_eq!((exact.len(), bounded.len()), (5, 5));
    for (exact, bounded) in exact.iter().zip(&bounded) {
        let of = |depth: &LaneDepth| depth.due + depth.parked + depth.leased;
        assert_eq!((exact.lane, of(exact)), (bounded.lane, each));
        near(of(bounded), exact.lane.as_str());
        near(bounded.due.max(bounded.parked), exact.lane.as_str());
        // What is due is counted, however many are parked: an estimate of few is none.
        assert_eq!((exact.due, exact.leased), (bounded.due, bounded.leased));
        let apart = exact.oldest_due.abs_diff(bounded.oldest_due);
        assert!(apart < Duration::from_mins(1), "{exact:?}, {bounded:?}");
    }
}

/// An array as SQL writes it.
fn array<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    format!("'{{{}}}'", values.map(|value| value.to_string()).collect::<Vec<_>>().join(","))
}

/// What the park of claimed wakes is given.
fn park_arguments(claimed: &[ClaimedWake], locks_first: bool) -> String {
    let n = claimed.len();
    format!(
        "{}, {}, {}, {}, array_fill(2::smallint, ARRAY[{n}]), array_fill(1000::bigint, ARRAY[{n}]),
         array_fill(0, ARRAY[{n}]), {locks_first}",
        array(claimed.iter().map(|wake| wake.fence.wake.0)),
        array(claimed.iter().map(|wake| wake.fence.run_token)),
        array(claimed.iter().map(|wake| wake.fence.owner)),
        array(claimed.iter().map(|wake| wake.fence.kicks)),
    )
}

async fn assert_parks_are_cheap(db: &Database, claimed: &[ClaimedWake]) {
    let name = prepared(db, "SET lane = p.lane").await;
    let (n, arguments) = (claimed.len(), park_arguments(claimed, true));
    for mode in MODES {
        let plan = explain(db, &name, &arguments, mode).await;
        plan.assert_scans_no_table(&format!("park, {mode}"));
        let rows = plan.0[0]["Plan"]["Actual Rows"].as_f64();
        assert_eq!(rows, Some(f64::from(u32::try_from(n).expect("few"))), "park, {mode}");
        let most = HEAD_BUFFERS_MAX + i64::try_from(n).expect("few") * ROW_BUFFERS_MAX;
        assert!(plan.buffers() <= most, "park, {mode}: {} buffers", plan.buffers());
    }
}

/// Executes each of the queue's statements six times, after which the server may plan them once and for all.
async fn warm_up(db: &Database) -> Vec<ClaimedWake> {
    let mut held = Vec::new();
    for _ in 0..6 {
        let claimed = claim(db, 100, Uuid::new_v4()).await;
        let parks: Vec<_> =
            held.iter().map(|wake: &ClaimedWake| park(wake.fence, Due::Never)).collect();
        let parked = db.park_wakes(&parks).await.expect("wakes can be parked");
        assert!(parked.iter().all(|parked| *parked == Parked::Left));
        let looks = Lane::ALL.map(|lane| LaneLook { lane, watermark: None });
        db.next_wakes(&looks).await.expect("lanes can be looked at");
        held = claimed;
    }
    // What the claims themselves have left dead is autovacuum's, and the watermark passes it.
    sqlx::query("VACUUM (INDEX_CLEANUP ON) provisor.wakes")
        .execute(db.pool())
        .await
        .expect("a vacuum");
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_wakes_cost_a_claim_nothing() {
    let world = World::new().await;
    let db = database(&world, 1);

    // A million parked: nothing is due, and to see that costs the same as in an empty table.
    let later = "now() + interval '1 hour' + n * interval '1 ms'";
    fill(&world, &[Lane::Poll, Lane::Email], later).await;
    warm_up(&db).await;
    assert_claims_are_cheap(&db, 100, 100, 0).await;
    assert_looks_are_cheap(&db).await;

    // The same beside a few that are due.
    insert_wakes(&world, 1, Lane::Place, (1, 700), "clock_timestamp()").await;
    let held = warm_up(&db).await;
    assert_eq!(held.len(), 100);
    assert_parks_are_cheap(&db, &held).await;
    assert_claims_are_cheap(&db, 20, 100, 20).await;

    // A million due, as after an outage.
    fill(&world, &Lane::ALL, "now() - interval '30 minutes' + n * interval '1 ms'").await;
    let held = warm_up(&db).await;
    assert_eq!(held.len(), 100);
    assert_parks_are_cheap(&db, &held).await;
    assert_claims_are_cheap(&db, 20, 100, 100).await;
    assert_looks_are_cheap(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_time_after_time_reads_a_part_of_a_million_and_is_nearly_right() {
    let world = World::new().await;
    let db = database(&world, 1);
    fill(&world, &Lane::ALL, "now() + interval '1 hour' + n * interval '1 ms'").await;
    assert_counts_are_bounded(&db).await;
    world.run("UPDATE provisor.wakes SET due_at = now() - interval '1 hour' WHERE id / 16 % 20000 = 7").await;
    world.run("UPDATE provisor.wakes SET lease_until = now() + interval '1 hour' WHERE id / 16 % 100000 = 7").await;
    assert_estimates_are_near(&db, 200_000).await;
}

/// Nearly all that ever was rests: nobody looks for it, and an entry for each would be paid at every end of a job.
#[tokio::test]
async fn what_rests_is_not_in_the_index_of_what_is_to_come() {
    let world = World::new().await;
    let size = "SELECT pg_relation_size('provisor.wakes_due')";
    let empty: i64 = world.value(size).await;
    insert_wakes(&world, 1, Lane::Place, (1, 20_000), "'infinity'").await;
    assert_eq!(world.value::<i64>(size).await, empty);
    insert_wakes(&world, 2, Lane::Place, (1, 20_000), "now()").await;
    assert!(world.value::<i64>(size).await > empty);
}

/// What came together is claimed together, and each finds room on its page: so no index is touched by a claim.
#[tokio::test]
async fn what_is_claimed_together_stays_on_its_pages() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, 1, Lane::Place, (1, 5000), "clock_timestamp()").await;
    world
        .run("CREATE TABLE places AS SELECT id, (ctid::text::point)[0] AS page FROM provisor.wakes")
        .await;
    for _ in 0..25 {
        assert_eq!(claim(&db, 200, Uuid::new_v4()).await.len(), 200);
    }
    let moved = "SELECT count(*) FROM places JOIN provisor.wakes w USING (id) WHERE page <> (w.ctid::text::point)[0]";
    assert_eq!(world.value::<i64>(moved).await, 0);
}

/// Whoever takes leave or is dead: what he held is found by the same index, without reading all that rests.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_holds_is_found_among_what_is_due() {
    let world = World::new().await;
    let db = database(&world, 1);
    insert_wakes(&world, 2, Lane::Place, (1, 100_000), "'infinity'").await;
    insert_wakes(&world, 1, Lane::Place, (1, 200), "now()").await;
    world.run("ANALYZE provisor.wakes").await;
    let (owner, silent_for) = (Uuid::new_v4(), Duration::from_secs(10));
    db.heartbeat(owner, silent_for).await.expect("it can be told");
    assert_eq!(claim(&db, 100, owner).await.len(), 100);
    db.release_dead_owners(silent_for, 1).await.expect("nobody is dead");
    db.leave(Uuid::new_v4(), 1).await.expect("he held nothing");
    for (text, arguments) in [
        ("dead AS MATERIALIZED", "-1000000, 1".to_owned()),
        ("lease_until > now() AND owner = $1", format!("'{owner}', 1")),
    ] {
        let name = prepared(&db, text).await;
        for mode in MODES {
            let plan = explain(&db, &name, &arguments, mode).await;
            let nodes = plan.nodes();
            assert!(
                !nodes.iter().any(|node| node.starts_with("Seq Scan wakes")),
                "{mode}: {nodes:#?}"
            );
            assert!(nodes.iter().any(|node| node.ends_with("wakes_due")), "{mode}: {nodes:#?}");
            let most = HEAD_BUFFERS_MAX + 100 * ROW_BUFFERS_MAX;
            assert!(plan.buffers() <= most, "{mode}: {} buffers", plan.buffers());
        }
    }
}

/// The plan is made on an empty table, and kept.
#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_a_claim_is_good_from_the_first_one_on() {
    let world = World::new().await;
    let db = queue_database(&world, 1);
    claim(&db, 100, Uuid::new_v4()).await;
    let looks = Lane::ALL.map(|lane| LaneLook { lane, watermark: None });
    db.next_wakes(&looks).await.expect("lanes can be looked at");
    insert_wakes(&world, 2, Lane::Poll, (1, 20_000), "now() + interval '1 hour'").await;
    insert_wakes(&world, 1, Lane::Place, (1, 20), "now()").await;
    let claims = prepared(&db, "SET lease_until = now() +").await;
    let mode = "force_generic_plan";
    let plan = explain(&db, &claims, &claim_arguments(20, 100, "'epoch'"), mode).await;
    plan.assert_goes_by_what_is_due("claim");
    assert!(plan.nodes().iter().any(|node| node.starts_with("Tid Scan")), "{:?}", plan.0);
    assert!(plan.buffers() <= HEAD_BUFFERS_MAX + 20 * ROW_BUFFERS_MAX, "{:?}", plan.0);
    let look = prepared(&db, "LEFT JOIN LATERAL").await;
    let lanes = "'{0,1,2,3,4}', array_fill(now() - interval '2 s', ARRAY[5])";
    let plan = explain(&db, &look, lanes, mode).await;
    plan.assert_goes_by_what_is_due("look");
    assert!(plan.buffers() <= HEAD_BUFFERS_MAX, "{:?}", plan.0);
    let planned: i64 = sqlx::query_scalar(
        "SELECT sum(custom_plans)::bigint FROM pg_prepared_statements WHERE statement LIKE '%provisor.wakes%'",
    )
    .fetch_one(db.pool())
    .await
    .expect("the server counts");
    assert_eq!(planned, 0, "planned anew for what it is given");
}

/// Groups that lock their wakes in another order could wait for each other in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn a_park_of_the_queues_sessions_goes_by_the_ids_in_the_order_given() {
    let world = World::new().await;
    for (rows, analyzed) in
        [(2, false), (2, true), (3, true), (20, false), (20, true), (20_000, true)]
    {
        let what = format!("{rows} rows, analyzed: {analyzed}");
        world.run("TRUNCATE provisor.wakes").await;
        insert_wakes(&world, 1, Lane::Place, (1, rows), "now()").await;
        if analyzed {
            world.run("ANALYZE provisor.wakes").await;
        }
        // The plan is made by the first park, and kept.
        let db = queue_database(&world, 1);
        let claimed = claim(&db, 100, Uuid::new_v4()).await;
        let parks: Vec<_> = claimed.iter().map(|wake| park(wake.fence, Due::Never)).collect();
        db.park_wakes(&parks).await.expect("wakes can be parked");
        world.run("UPDATE provisor.wakes SET due_at = now()").await;
        let claimed = claim(&db, 100, Uuid::new_v4()).await;
        let name = prepared(&db, "SET lane = p.lane").await;
        let arguments = park_arguments(&claimed, false);
        let plan = explain(&db, &name, &arguments, "force_generic_plan").await;
        let join = plan.joins();
        assert_eq!(join, ["Nested Loop of Function Scan and wakes_pkey"], "{what}: {:?}", plan.0);
        db.close().await;
    }
}

/// How often these tables were read as a whole, and how many of their rows were fetched by an index.
async fn scans(world: &World) -> (i64, i64) {
    sqlx::query_as(
        "SELECT sum(seq_scan)::bigint, sum(idx_tup_fetch)::bigint FROM pg_stat_user_tables
         WHERE schemaname = 'provisor'
           AND relname IN ('orders', 'order_lines', 'effects', 'attempts', 'wakes', 'email_outbox', 'events')",
    )
    .fetch_one(&world.pool)
    .await
    .expect("the server counts")
}

/// Has the world's connections tell what they have done so far: they do at the end of a transaction, once a second.
async fn all_is_counted(world: &World) {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let connections = (0..world.pool.size()).map(async |_| world.pool.acquire().await);
    for connection in futures_util::future::join_all(connections).await {
        let mut connection = connection.expect("each is free");
        sqlx::query("SELECT 1").execute(&mut *connection).await.expect("it answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_among_many_orders_scans_no_table() {
    let world = World::new().await;
    let orders = if std::env::var_os("PROVISOR_LONG").is_some() { 100_000 } else { 25_000 };
    runs::fill_with_orders(&world, orders).await;
    let mut runs = Vec::new();
    for n in 0..12 {
        runs.push(runs::submit_lines(&world, &format!("NEW-{n}"), 2).await);
    }
    world.run("ANALYZE").await;
    all_is_counted(&world).await;
    let (scans_before, rows_before) = scans(&world).await;

    // A connection tells what it did at its end at the latest.
    let db = database(&world, 1);
    let owner = Uuid::new_v4();
    let claimed = claim(&db, 100, owner).await;
    for lines in &runs {
        let lines: Vec<LineId> = lines.iter().map(|(_, line)| *line).collect();
        runs::carry_out(&db, &lines, &claimed).await;
    }
    db.close().await;
    eventually("the work is counted", async || scans(&world).await.1 > rows_before + 100).await;
    let (scans_after, rows_after) = scans(&world).await;
    assert_eq!(scans_after, scans_before, "a table was read as a whole");
    assert!(rows_after - rows_before < 10_000, "{} rows were read", rows_after - rows_before);
}

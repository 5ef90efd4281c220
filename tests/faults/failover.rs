//! The server is lost, and a standby takes its place that had not heard of everything: replication was asynchronous.

use std::{process::Command, time::Duration};

use provisor::sandbox::Stage;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{
    house::{House, eventually, hosting},
    server::Server,
    world::NAME,
};

const POST: &str = "POST /api/v1/orders";

/// Why a line waits.
const HELD_BACK: &str = "nothing is sent before `provisor queue resume`";

/// A standby that has everything, and hears of nothing more.
async fn lagging_standby(house: &House) -> Server {
    let standby = Server::standby_of(&house.world.server);
    let caught_up =
        "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn())";
    eventually("the standby has caught up", async || house.world.value::<bool>(caught_up).await)
        .await;
    let mut session = PgConnection::connect(&standby.url(NAME)).await.expect("a hot standby");
    for sql in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
        session.execute(AssertSqlSafe(sql)).await.expect(sql);
    }
    let alone = "SELECT NOT EXISTS (SELECT FROM pg_stat_replication)";
    eventually("the standby hears of nothing more", async || {
        house.world.value::<bool>(alone).await
    })
    .await;
    standby
}

/// What the operator types, once he has looked.
fn resume(house: &House) {
    let output = Command::new(env!("CARGO_BIN_EXE_provisor"))
        .args(["queue", "resume", "--yes"])
        .env_clear()
        .env("PROVISOR_DATABASE__URL", house.world.url())
        .env("PROVISOR_CONFIG_DIR", "/nonexistent")
        .output()
        .expect("the binary runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("00000002"), "the new timeline");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_promotion_that_lost_an_intent_nothing_is_sent_before_a_person_says_so_and_nothing_twice()
 {
    let mut house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    house.fault(&json!({ "endpoint": POST, "fault": "slow", "delay_ms": 8000,
                         "match": { "reference": "SHOP-LOST" } }));
    let settings =
        [("LJPC__TIMEOUT", "20s"), ("QUEUE__LEASE", "60s"), ("QUEUE__SHUTDOWN_GRACE", "61s")];
    let first = house.daemon(&settings);
    house.submit("SHOP-POLLED", json!([hosting("polled.example")])).await;
    house.until_line("SHOP-POLLED", 0, "provisioning").await;
    first.stop().await;

    // The orders are replicated; the intent is not.
    house.submit("SHOP-LOST", json!([hosting("lost.example")])).await;
    let standby = lagging_standby(&house).await;
    let daemon = house.daemon(&settings);
    eventually("it is being sent", async || house.posts("SHOP-LOST").len() == 1).await;
    assert_eq!(house.line_status("SHOP-LOST", 0).await, "placing");
    house.world.server.stop_immediately();
    standby.promote();
    house.world.take_over(standby).await;
    assert_eq!(house.line_status("SHOP-LOST", 0).await, "pending", "the intent is lost");

    // What is irreversible waits, and says so to everybody.
    house.submit("SHOP-NEW", json!([hosting("new.example")])).await;
    house.until_reason("SHOP-NEW", 0, HELD_BACK).await;
    // The daemon knows what it has sent, and tells the new server.
    house.until_line("SHOP-LOST", 0, "provisioning").await;
    assert_eq!(house.count_events("SHOP-LOST", "late_answer").await, 1);
    // Polls go on.
    house.drive("SHOP-POLLED/0", Stage::Completed);
    house.until_order("SHOP-POLLED", "completed").await;
    let told = "SELECT count(*) FROM provisor.email_outbox
                WHERE template = 'ops_attention' AND context ->> 'about' = 'failover'";
    eventually("the operator is told", async || house.world.value::<i64>(told).await == 1).await;
    assert_eq!(house.requests("POST", "/").len(), 2, "nothing was sent since");

    resume(&house);
    let line = house.line("SHOP-NEW", 0).await.id;
    house.look_again(line, 1).await;
    house.until_line("SHOP-NEW", 0, "provisioning").await;
    for tag in ["SHOP-LOST/0", "SHOP-NEW/0"] {
        house.drive(tag, Stage::Completed);
    }
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 3);
    assert_eq!(house.posts("SHOP-LOST").len(), 1);
    daemon.stop().await;
}

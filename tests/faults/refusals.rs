//! The server answers, and refuses.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::house::{House, eventually, hosting, order};

const POST: &str = "POST /api/v1/orders";

/// The SQLSTATE of an error of the server's.
fn sqlstate(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_takes_no_more_connections_nothing_is_sent_and_afterwards_all_goes_on() {
    let mut house = House::new().await;
    house.world.run("ALTER SYSTEM SET max_connections = 14").await;
    house.world.restart().await;
    let daemon = house.daemon(&[]);
    house.submit_some(0..1).await;
    house.until_order("SHOP-0", "completed").await;
    // The test's own are as many as they will be.
    let mut held: Vec<PgConnection> = Vec::new();
    house.submit_some(1..4).await;
    // One that is just connecting is seen a moment later.
    let mut alone = 0;
    while alone < 5 {
        let ended = house.world.terminate_daemons().await;
        match house.world.connection().await {
            Ok(connection) => held.push(connection),
            Err(refused) => {
                assert_eq!(sqlstate(&refused), "53300", "{refused}");
                alone = if ended == 0 { alone + 1 } else { 0 };
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert!(held.len() < 60, "the server takes any number");
    }
    let sent = house.requests("POST", "/").len();
    house.submit_some(4..6).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.requests("POST", "/").len(), sent, "without a connection nothing is sent");
    for connection in held {
        connection.close().await.expect("a goodbye");
    }
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 6);
    daemon.stop().await;
}

async fn read_only(house: &House, on: bool) {
    // Said in a transaction that may write, for by now others may not.
    let mut connection = house.world.connection().await.expect("the server answers");
    for sql in [
        "SET default_transaction_read_only = off",
        if on {
            "ALTER SYSTEM SET default_transaction_read_only = on"
        } else {
            "ALTER SYSTEM RESET default_transaction_read_only"
        },
        "SELECT pg_reload_conf()",
    ] {
        connection.execute(sql).await.expect(sql);
    }
    let expected = if on { "on" } else { "off" };
    eventually("the setting has come through", async || {
        let mut new = house.world.connection().await.expect("the server answers");
        let now: String = sqlx::query_scalar("SHOW default_transaction_read_only")
            .fetch_one(&mut new)
            .await
            .expect("a setting");
        now == expected
    })
    .await;
}

/// Submits an order although the server only reads.
async fn submit_anyway(house: &House, reference: &str) {
    let mut shop = house.world.connection().await.expect("the server answers");
    shop.execute("SET default_transaction_read_only = off").await.expect("a setting");
    sqlx::query("SELECT provisor.submit_order($1)")
        .bind(order(reference, json!([hosting("1.example")])))
        .execute(&mut shop)
        .await
        .expect("the order is well formed");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_that_only_reads_nothing_is_sent_and_the_answer_under_way_enters_afterwards() {
    let house = House::new().await;
    let under_way = json!({ "endpoint": POST, "fault": "slow", "delay_ms": 1500, "match": { "reference": "SHOP-0" } });
    house.fault(&under_way);
    let daemon = house.daemon(&[("LJPC__TIMEOUT", "4s"), ("QUEUE__LEASE", "20s")]);
    house.submit_some(0..1).await;
    eventually("it is being sent", async || house.posts("SHOP-0").len() == 1).await;
    read_only(&house, true).await;
    submit_anyway(&house, "SHOP-1").await;
    let sent = house.requests("POST", "/").len();
    let claimed: i64 = house.world.value("SELECT sum(run_token)::bigint FROM provisor.wakes").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(house.requests("POST", "/").len(), sent, "no intent can be committed");
    let now: i64 = house.world.value("SELECT sum(run_token)::bigint FROM provisor.wakes").await;
    assert_eq!(now, claimed, "nothing can be claimed");
    assert_eq!(house.line_status("SHOP-0", 0).await, "placing");
    read_only(&house, false).await;
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 2);
    assert_eq!(house.posts("SHOP-0").len(), 1);
    daemon.stop().await;
}

/// Locks orders as a shop might, several of them in a random order, for a moment each.
async fn lock_orders(house: Arc<House>, orders: usize) {
    let mut connection = house.world.connection().await.expect("the server answers");
    for turn in 0..40 {
        let (a, b) = (turn * 7 % orders, turn * 11 % orders);
        let Ok(mut transaction) = connection.begin().await else { return };
        for n in [a, b] {
            // Whoever is chosen to end a deadlock, begins anew.
            let locked = sqlx::query("SELECT FROM provisor.orders WHERE reference = $1 FOR UPDATE")
                .bind(format!("SHOP-{n}"))
                .execute(&mut *transaction)
                .await;
            if locked.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(transaction);
    }
}

/// Two daemons at many orders, while two transactions of the shop lock them, under this default of the database.
async fn beside_locks(isolation: &str) {
    let house = Arc::new(House::new().await);
    let default =
        format!("ALTER DATABASE provisor SET default_transaction_isolation = '{isolation}'");
    house.world.run(&default).await;
    let daemons = [house.daemon(&[]), house.daemon(&[])];
    // Two lines each, which often end in the same moment.
    for n in 0..16 {
        let lines = json!([hosting(&format!("a{n}.example")), hosting(&format!("b{n}.example"))]);
        house.submit(&format!("SHOP-{n}"), lines).await;
    }
    let shops = [
        tokio::spawn(lock_orders(Arc::clone(&house), 16)),
        tokio::spawn(lock_orders(Arc::clone(&house), 15)),
    ];
    for shop in shops {
        shop.await.expect("no panic");
    }
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 32, "{isolation}");
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_of_repeatable_read_loses_no_status() {
    beside_locks("repeatable read").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_and_locks_of_the_shop_end_by_themselves() {
    beside_locks("serializable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_shop_locks_for_long_holds_up_no_other_and_its_answer_enters() {
    let house = House::new().await;
    let slow = json!({ "endpoint": POST, "fault": "slow", "delay_ms": 500, "match": { "reference": "SHOP-0" } });
    house.fault(&slow);
    let daemon = house.daemon(&[("QUEUE__LEASE", "30s")]);
    house.submit_some(0..1).await;
    eventually("it is being sent", async || house.posts("SHOP-0").len() == 1).await;
    let mut shop = house.world.connection().await.expect("the server answers");
    let mut transaction = shop.begin().await.expect("a transaction");
    let locked =
        sqlx::query("SELECT FROM provisor.orders FOR UPDATE").execute(&mut *transaction).await;
    assert_eq!(locked.expect("it can be locked").rows_affected(), 1);
    house.submit_some(1..4).await;
    for n in 1..4 {
        house.until_order(&format!("SHOP-{n}"), "completed").await;
    }
    // Past the time for which the daemon waits for a lock.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(house.line_status("SHOP-0", 0).await, "placing");
    transaction.rollback().await.expect("the shop lets go");
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 4);
    daemon.stop().await;
}

/// How many of the daemon's calls wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'provisor' AND wait_event_type = 'Lock'";

#[tokio::test(flavor = "multi_thread")]
async fn while_its_tables_are_locked_a_daemon_keeps_connections_and_the_answers_under_way_enter() {
    let house = House::new().await;
    let slow = json!({ "endpoint": POST, "fault": "slow", "delay_ms": 1500, "match": { "reference": "SHOP-0" } });
    house.fault(&slow);
    let daemon = house.daemon(&[("LJPC__TIMEOUT", "4s"), ("QUEUE__LEASE", "30s")]);
    house.submit_some(0..1).await;
    eventually("it is being sent", async || house.posts("SHOP-0").len() == 1).await;
    let mut other = house.world.connection().await.expect("the server answers");
    let mut transaction = other.begin().await.expect("a transaction");
    house.submit_some(1..40).await;
    let lock =
        "LOCK TABLE provisor.wakes, provisor.effects, provisor.attempts IN ACCESS EXCLUSIVE MODE";
    transaction.execute(lock).await.expect("the tables can be locked");
    // Whatever was sent by then is answered, and can't be recorded.
    let mut most = 0;
    let until = tokio::time::Instant::now() + Duration::from_secs(12);
    while tokio::time::Instant::now() < until {
        most = most.max(house.world.value::<i64>(WAITING).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((1..9).contains(&most), "{most} calls wait, of 9 connections that it may have");
    transaction.rollback().await.expect("it lets go");
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 40);
    daemon.stop().await;
}

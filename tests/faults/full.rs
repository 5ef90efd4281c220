//! The database's disk is full, to the last byte.

use std::{io::Write as _, time::Duration};

use serde_json::json;
use sqlx::{Connection as _, Executor as _};

use crate::{
    house::{House, eventually, hosting, order},
    server::Server,
    world::World,
};

const POST: &str = "POST /api/v1/orders";

/// Orders of the test at the most.
const ORDERS_MAX: usize = 400;

/// Says that a test did not run, past the capture of its output: nobody looks at what passes.
fn skipped(why: &str) {
    let told = format!("\nfull.rs: SKIPPED, since it needs a small disk of its own: {why}\n");
    std::io::stderr().write_all(told.as_bytes()).expect("there is a terminal or a log");
}

/// Submits as shops do, until the server can't any more; answers how many of them it took.
async fn submit_until_full(house: &House, first: usize) -> usize {
    // A table's last page has room, and the log has segments ahead, so that it takes a while.
    for n in first..ORDERS_MAX {
        let document = order(&format!("SHOP-{n}"), json!([hosting(&format!("{n}.example"))]));
        let submitted = async {
            let mut shop = house.world.connection().await?;
            let submitted = sqlx::query("SELECT provisor.submit_order($1)")
                .bind(&document)
                .execute(&mut shop)
                .await;
            // What fills a disk in earnest is written by many.
            let more =
                "CREATE TABLE public.more AS SELECT repeat('x', 500) FROM generate_series(1, 2000);
                        DROP TABLE public.more";
            shop.execute(more).await?;
            let _ = shop.close().await;
            submitted
        };
        let ended: Result<_, sqlx::Error> = submitted.await;
        if let Err(error) = ended {
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            // The server says so, or it died of it.
            assert!(
                code.as_deref().is_none_or(|code| code == "53100" || code.starts_with("57")),
                "{error}"
            );
            return n;
        }
    }
    panic!("{ORDERS_MAX} orders fit on a full disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_sent_and_afterwards_all_goes_on() {
    let server = match Server::on_a_small_disk() {
        Ok(server) => server,
        Err(why) => return skipped(&why),
    };
    let mut house = House::new().await;
    house.world = World::on(server).await;
    house.fault(&json!({ "endpoint": POST, "fault": "slow", "delay_ms": 2000,
                         "match": { "reference": "SHOP-0" } }));
    let daemon = house.daemon(&[
        ("LJPC__TIMEOUT", "5s"),
        ("QUEUE__LEASE", "30s"),
        ("QUEUE__SHUTDOWN_GRACE", "31s"),
    ]);
    house.submit_some(0..1).await;
    eventually("it is being sent", async || house.posts("SHOP-0").len() == 1).await;
    house.world.server.fill_disk();
    let last = submit_until_full(&house, 1).await;
    assert!(house.world.server.log().contains("No space left on device"));
    // Its answer comes now, and can't be stored.
    tokio::time::sleep(Duration::from_secs(4)).await;
    house.world.server.empty_disk();
    eventually("the server is back", async || {
        if !house.world.server.is_running() {
            // What an operator does who has made room for it.
            house.world.server.start();
        }
        house.world.connection().await.is_ok()
    })
    .await;
    house.world.reconnect().await;
    house.submit_some(last + 1..last + 4).await;
    house.assert_exactly_once().await;
    assert_eq!(house.lines("in_doubt").await, 0);
    assert_eq!(house.posts("SHOP-0").len(), 1);
    daemon.stop().await;
}

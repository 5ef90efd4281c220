//! The network falls silent: no error, no reset, nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::{House, eventually, hosting};

const POST: &str = "POST /api/v1/orders";

/// Others may take a process for dead after ten seconds, so that long after a cut it must not send any more.
const UNKNOWN_AFTER: Duration = Duration::from_secs(9);

/// The longest that a daemon may take to work again: a call under way, and connections that have to be found dead.
const RECOVERY_MAX: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn during_a_silent_cut_nothing_is_sent_and_afterwards_all_goes_on_soon() {
    let house = House::new().await;
    let slow = json!({ "endpoint": POST, "fault": "slow", "delay_ms": 3000, "match": { "reference": "SHOP-0" } });
    house.fault(&slow);
    let daemon = house.daemon(&[
        ("LJPC__TIMEOUT", "5s"),
        ("QUEUE__LEASE", "60s"),
        ("QUEUE__SHUTDOWN_GRACE", "61s"),
    ]);
    house.submit_some(0..1).await;
    eventually("an order is under way", async || house.posts("SHOP-0").len() == 1).await;
    house.world.proxy.cut();
    house.submit_some(1..6).await;
    tokio::time::sleep(UNKNOWN_AFTER).await;
    let sent = house.requests("POST", "/").len();
    assert_eq!(sent, 1, "what was not claimed before the cut can't be sent");
    tokio::time::sleep(Duration::from_secs(3)).await;
    house.world.proxy.heal();
    let healed = Instant::now();
    house.until_line("SHOP-0", 0, "completed").await;
    house.until_all_ended().await;
    let took = healed.elapsed();
    assert!(took < RECOVERY_MAX, "{took:?}");
    house.assert_exactly_once().await;
    assert_eq!(house.lines("completed").await, 6);
    assert_eq!(house.posts("SHOP-0").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_was_cut_off_hears_of_orders_again() {
    let house = House::new().await;
    // Only a notification, or the end of this interval, makes anybody look.
    let daemon = house.daemon(&[("QUEUE__POLL_INTERVAL", "10m"), ("QUEUE__LEASE", "60s")]);
    house.submit("SHOP-0", json!([hosting("0.example")])).await;
    house.until_order("SHOP-0", "completed").await;
    let listeners = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    eventually("somebody listens", async || house.world.value::<i64>(listeners).await > 0).await;
    house.world.proxy.silence_old_ones();
    house.world.terminate_daemons().await;
    eventually("somebody listens anew", async || house.world.value::<i64>(listeners).await > 0)
        .await;
    house.submit("SHOP-1", json!([hosting("1.example")])).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
}

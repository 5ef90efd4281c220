//! The server goes down and comes back; sessions are ended.

use std::time::Duration;

use crate::{
    house::{House, eventually},
    verdict::times,
};

/// Crashes of one test, and the orders that come before each.
const CRASHES: usize = 3;
const ORDERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_again_and_again_in_the_midst_of_work_loses_nothing() {
    let mut house = House::with(|options| options.delay = Duration::from_millis(200)).await;
    let daemons = [house.daemon(&[]), house.daemon(&[])];
    for crash in 0..CRASHES * times() {
        house.submit_some(crash * ORDERS..(crash + 1) * ORDERS).await;
        eventually("work is under way", async || {
            house.lines("pending").await < 4 && house.lines("provisioning").await > 0
                || house.lines("completed").await > 0
        })
        .await;
        house.world.crash().await;
    }
    house.assert_exactly_once().await;
    assert!(house.lines("completed").await > 0);
    for daemon in daemons {
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_all_the_time_harm_no_order() {
    let house = House::with(|options| options.delay = Duration::from_millis(200)).await;
    let daemons = [house.daemon(&[]), house.daemon(&[])];
    house.submit_some(0..24 * times()).await;
    let mut ended = 0;
    for _ in 0..30 * times() {
        ended += house.world.terminate_daemons().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(ended > 30, "{ended} sessions were ended: too few to show anything");
    house.assert_exactly_once().await;
    // An answer is recorded past any number of lost sessions.
    assert_eq!(house.lines("in_doubt").await, 0);
    for daemon in daemons {
        daemon.stop().await;
    }
}

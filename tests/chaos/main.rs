//! Daemons that are killed every second while orders come in: at the end nothing was bought twice, nothing was lost, and
//! nobody was written to twice without need.
//!
//! Two daemons run as real processes beside the sandbox, which runs here, so that it can be asked afterwards what was
//! really bought. `PROVISOR_CHAOS_ORDERS` sets how many orders there are, `PROVISOR_LONG` makes them many, and
//! `PROVISOR_CHAOS_SEED` repeats the moments and the victims of an earlier run, as far as time can be repeated.
//!
//! - `house.rs`: database, sandbox and orders. `daemon.rs`: one daemon's process. `storm.rs`: who is stopped when.
//! - `verdict.rs`: what must hold when all is over.

mod daemon;
mod house;
mod storm;
mod verdict;

use std::time::Instant;

use crate::{
    house::House,
    storm::{Manner, Storm},
    verdict::Verdict,
};

/// The tests take turns: two of them at once would only make each other slow.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn killed_daemons_buy_nothing_twice_and_lose_nothing() {
    let verdict = weather("killed", Manner::Kill, orders(2_000)).await;
    verdict.assert_exactly_once();
    assert!(verdict.stops > 0, "nothing was killed: the orders were too few");
    assert!(verdict.completed > verdict.orders / 2, "so many doubts prove nothing: {verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_daemons_leave_no_doubt() {
    let verdict = weather("drained", Manner::Drain, orders(1_000)).await;
    verdict.assert_exactly_once();
    assert!(verdict.stops > 0, "nothing was stopped: the orders were too few");
    assert_eq!(verdict.in_doubt, 0, "a daemon that drains waits for its answers");
    assert_eq!(verdict.duplicate_mails, 0, "a daemon that drains records what it has sent");
}

/// Lets the orders through a storm, and judges what is left after it.
async fn weather(name: &str, manner: Manner, orders: u32) -> Verdict {
    let _turn = TURN.lock().await;
    let seed = seed();
    println!("{name}: seed {seed} (repeat with PROVISOR_CHAOS_SEED={seed}), {orders} orders");
    let house = House::new(seed).await;
    let began = Instant::now();
    let storm = Storm::start(&house, manner, seed);
    house.submit_orders(orders).await;
    house.until_settled().await;
    let stops = storm.end().await;
    let verdict = Verdict::reach(&house, stops, began.elapsed()).await;
    println!("{name}: {verdict}");
    verdict
}

fn orders(usual: u32) -> u32 {
    let chosen = std::env::var("PROVISOR_CHAOS_ORDERS").ok();
    let long = std::env::var_os("PROVISOR_LONG").is_some();
    match chosen {
        Some(chosen) => chosen.parse().expect("PROVISOR_CHAOS_ORDERS is a number"),
        None if long => usual * 10,
        None => usual,
    }
}

fn seed() -> u64 {
    match std::env::var("PROVISOR_CHAOS_SEED") {
        Ok(chosen) => chosen.parse().expect("PROVISOR_CHAOS_SEED is a number"),
        Err(_) => u64::from(uuid::Uuid::new_v4().as_fields().0),
    }
}

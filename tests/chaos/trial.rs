//! The whole of a run.

use std::time::Instant;

use crate::{
    house::House,
    storm::{Manner, Storm},
    verdict::Verdict,
};

/// The tests take turns: two of them at once would only make each other slow.
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Lets the orders through a storm, and judges what is left after it.
pub(crate) async fn weather(name: &str, manner: Manner, orders: u32) -> Verdict {
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

/// How many orders: as many as usual, unless the environment has it otherwise.
pub(crate) fn orders(usual: u32) -> u32 {
    let chosen = std::env::var("PROVISOR_CHAOS_ORDERS").ok();
    let long = std::env::var_os("PROVISOR_LONG").is_some();
    match chosen {
        Some(chosen) => chosen.parse().expect("PROVISOR_CHAOS_ORDERS is a number"),
        None if long => usual * 10,
        None => usual,
    }
}

pub(crate) fn seed() -> u64 {
    match std::env::var("PROVISOR_CHAOS_SEED") {
        Ok(chosen) => chosen.parse().expect("PROVISOR_CHAOS_SEED is a number"),
        Err(_) => u64::from(uuid::Uuid::new_v4().as_fields().0),
    }
}

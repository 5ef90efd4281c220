//! Daemons that are killed every second while orders come in: at the end nothing was bought twice, nothing was lost, and
//! nobody was written to twice without need.
//!
//! Two daemons run as real processes beside the sandbox, which runs here, so that it can be asked afterwards what was
//! really bought. `PROVISOR_CHAOS_ORDERS` sets how many orders there are, `PROVISOR_LONG` makes them many, and
//! `PROVISOR_CHAOS_SEED` repeats the moments and the victims of an earlier run, as far as time can be repeated.
//!
//! [`ordeal`] is another matter: everything that can go wrong, at once, to orders of all kinds (`script/chaos`).
//!
//! - `trial.rs`: the whole of a run. `house.rs`: database, sandbox and orders. `daemon.rs`: one daemon's process.
//! - `storm.rs`: who is stopped when.
//! - `verdict.rs`: what must hold when all is over.

// Under cfg(test) each, as clippy then knows that helpers may unwrap too.
#[cfg(test)]
mod chance;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod house;
#[cfg(test)]
mod ordeal;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod verdict;

use crate::{
    ordeal::Plan,
    storm::Manner,
    trial::{TURN, orders, weather},
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once() {
    let _turn = TURN.lock().await;
    ordeal::undergo(Plan::chosen(600)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_daemons_buy_nothing_twice_and_lose_nothing() {
    let verdict = weather("killed", Manner::Kill, orders(600)).await;
    verdict.assert_exactly_once();
    assert!(verdict.stops > 0, "nothing was killed: the orders were too few");
    assert!(verdict.completed > verdict.orders / 2, "so many doubts prove nothing: {verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_daemons_leave_no_doubt() {
    let verdict = weather("drained", Manner::Drain, orders(300)).await;
    verdict.assert_exactly_once();
    assert!(verdict.stops > 0, "nothing was stopped: the orders were too few");
    assert_eq!(verdict.in_doubt, 0, "a daemon that drains waits for its answers");
    assert_eq!(verdict.duplicate_mails, 0, "a daemon that drains records what it has sent");
}

//! Daemons that die at every boundary of their work: whatever the line, nothing is bought twice, every line ends or is
//! visibly in doubt within 30 s, and no email is lost.
//!
//! A daemon is a process that is armed with a failpoint (`src/failpoints.rs`; hence the feature `failpoints`), and another
//! takes over when it has died. What was really asked for upstream the sandbox knows, which runs here.
//!
//!     script/with-postgres cargo test --features failpoints --test crash
//!
//! plays a sample of the matrix, each failpoint and each action on each kind of line; with `PROVISOR_CRASH=all` the whole of
//! it. `PROVISOR_CRASH_SEED` repeats the sample of an earlier run, and `PROVISOR_CRASH=TEXT` plays the cells that contain
//! it, such as `effect.sent@1 Kill Hosting`.
//!
//! - `points.rs`: which line comes to which failpoint. `kinds.rs`: an order for each kind of line.
//! - `matrix.rs`: which cells are played. `trial.rs`: one of them, and its verdict.
//! - `leases.rs`: processes that sleep past their lease, die, or drain, beside another one.
//! - `auditing.rs`: audits that are cut off, and gone on with.
//! - `resolving.rs`: a person's commands that are killed, and typed again.
//! - `house.rs`: sandbox and databases. `daemon.rs`: one daemon's process.

// Under cfg(test) each, as clippy then knows that helpers may unwrap too.
#[cfg(test)]
mod auditing;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod house;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod points;
#[cfg(test)]
mod resolving;
#[cfg(test)]
mod trial;

use std::collections::BTreeSet;

use crate::{house::House, matrix::Matrix, points::of_daemons};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_anywhere_buys_nothing_twice_and_loses_nothing() {
    let all = matrix::all();
    let chosen = std::env::var("PROVISOR_CRASH").unwrap_or_default();
    let cells = match chosen.as_str() {
        "" => {
            let seed = matrix::seed();
            println!("seed {seed} (repeat with PROVISOR_CRASH_SEED={seed})");
            matrix::sample(&all, seed)
        }
        "all" => all.clone(),
        text => all.iter().copied().filter(|cell| cell.to_string().contains(text)).collect(),
    };
    println!("{} of {} cells", cells.len(), all.len());
    let house = House::new().await;
    let played: Matrix = matrix::run(&house, &cells).await;
    played.print();
    let wrongs = played.wrongs();
    let shown: Vec<&str> = wrongs.iter().take(50).copied().collect();
    assert!(wrongs.is_empty(), "{} wrongs:\n{}", wrongs.len(), shown.join("\n"));
    if chosen.is_empty() || chosen == "all" {
        let reached: BTreeSet<&str> = played.outcomes.iter().map(|o| o.cell.point).collect();
        let missed: Vec<_> = of_daemons().filter(|name| !reached.contains(name)).collect();
        assert!(missed.is_empty(), "no cell came to {missed:?}");
    }
}

#[test]
fn a_sample_has_every_failpoint_and_every_action_on_every_kind_of_line() {
    let all = matrix::all();
    for seed in 0..20 {
        let sample = matrix::sample(&all, seed);
        let points: BTreeSet<&str> = sample.iter().map(|cell| cell.point).collect();
        let kinds: BTreeSet<_> = sample.iter().map(|cell| (cell.kind, cell.action)).collect();
        let all_points = of_daemons().count();
        assert_eq!((points.len(), kinds.len()), (all_points, 36));
        assert!(sample.len() <= all_points + 36, "{}", sample.len());
    }
}

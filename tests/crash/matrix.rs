//! Which cells are played, many at a time, and the table of what came of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};

use crate::{
    house::House,
    kinds::Kind,
    points::{Action, Cell, of_daemons, times},
    trial::{Outcome, play},
};

/// Daemons at a time, unless the environment has it otherwise. Each has up to ten connections to a server that takes 300,
/// and they share the machine's cores while a verdict counts seconds.
const AT_ONCE: usize = 16;

/// What the matrix came to.
pub(crate) struct Matrix {
    pub(crate) outcomes: Vec<Outcome>,
    took: Duration,
}

/// All cells that there are.
pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for point in of_daemons() {
        for &time in times(point) {
            for action in Action::ALL {
                let kinds = Kind::ALL.into_iter();
                let of = kinds.map(|kind| Cell { point, time, action, kind });
                cells.extend(of.filter(|cell| cell.is_reached()));
            }
        }
    }
    cells
}

/// Of all cells some, as the seed will have it: each failpoint is among them, and each action on each kind of line.
pub(crate) fn sample(cells: &[Cell], seed: u64) -> Vec<Cell> {
    let mut left = cells.to_vec();
    let mut chance = Chance(seed);
    for at in (1..left.len()).rev() {
        left.swap(at, chance.below(at + 1));
    }
    let mut chosen = BTreeSet::new();
    let (mut points, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    // By kind first, so that what the failpoints add is little.
    for cell in &left {
        if !kinds.contains(&(cell.kind, cell.action)) && !points.contains(cell.point) {
            kinds.insert((cell.kind, cell.action));
            points.insert(cell.point);
            chosen.insert(*cell);
        }
    }
    for cell in left {
        if points.insert(cell.point) || kinds.insert((cell.kind, cell.action)) {
            chosen.insert(cell);
        }
    }
    chosen.into_iter().collect()
}

/// What the environment says, or another one each time.
pub(crate) fn seed() -> u64 {
    match std::env::var("PROVISOR_CRASH_SEED") {
        Ok(chosen) => chosen.parse().expect("PROVISOR_CRASH_SEED is a number"),
        Err(_) => u64::from(uuid::Uuid::new_v4().as_fields().0),
    }
}

/// Plays them.
pub(crate) async fn run(house: &House, cells: &[Cell]) -> Matrix {
    let began = Instant::now();
    let trials = (0..).zip(cells).map(|(n, cell): (u32, &Cell)| play(house, *cell, label(n)));
    let at_once = std::env::var("PROVISOR_CRASH_AT_ONCE")
        .map_or(AT_ONCE, |chosen| chosen.parse().expect("PROVISOR_CRASH_AT_ONCE is a number"));
    // What is wrong is told at once: the whole takes long.
    let tell = |outcome: &Outcome| outcome.wrongs.iter().for_each(|wrong| println!("{wrong}"));
    let outcomes = stream::iter(trials).buffer_unordered(at_once).inspect(tell).collect().await;
    Matrix { outcomes, took: began.elapsed() }
}

/// No label is a part of another one.
fn label(n: u32) -> String {
    format!("cell{n:05}x")
}

impl Matrix {
    pub(crate) fn wrongs(&self) -> Vec<&str> {
        self.outcomes.iter().flat_map(|outcome| &outcome.wrongs).map(String::as_str).collect()
    }

    /// A line for each failpoint: how its cells ended, and the longest that one took to settle.
    pub(crate) fn print(&self) {
        let mut rows: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in &self.outcomes {
            rows.entry(outcome.cell.point).or_default().push(outcome);
        }
        println!(
            "failpoint                  cells  completed  failed  in doubt  mails twice  wrong  slowest"
        );
        for point in of_daemons() {
            let row = rows.remove(point).unwrap_or_default();
            println!("{point:<26}{}", tell(&row));
        }
        let all: Vec<&Outcome> = self.outcomes.iter().collect();
        println!("{:<26}{}", "all", tell(&all));
        println!("{:.0} s", self.took.as_secs_f64());
    }
}

fn tell(row: &[&Outcome]) -> String {
    let ended = |status: &str| row.iter().filter(|outcome| outcome.status == status).count();
    let twice: usize = row.iter().map(|outcome| outcome.duplicate_mails).sum();
    let wrong = row.iter().filter(|outcome| !outcome.wrongs.is_empty()).count();
    let slowest = row.iter().map(|outcome| outcome.took).max().unwrap_or_default();
    format!(
        "{:>6}{:>11}{:>8}{:>10}{twice:>13}{wrong:>7}  {:.1} s",
        row.len(),
        ended("completed"),
        ended("failed"),
        ended("in_doubt"),
        slowest.as_secs_f64()
    )
}

/// Numbers that the seed decides (`SplitMix64`).
struct Chance(u64);

impl Chance {
    /// From 0 to below `n`; that some are a little more likely does not matter here.
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let n = u64::try_from(n).expect("a small number");
        usize::try_from((z ^ (z >> 31)) % n).expect("less than a small number")
    }
}

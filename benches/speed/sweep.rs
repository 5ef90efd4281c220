//! Whether the other queue runs at its best: its rate and its pickups at other settings than those that the comparison uses,
//! and then its rate at the best of them, in pairs with those. Its pickups are shown, and judged by nobody.

use anyhow::Context as _;

use crate::{
    bars::{Report, median, percentile},
    drain::WAKES,
    peers::{self, Setting},
    pickup::PICKUPS,
    server::Server,
};

const ROUNDS: usize = 3;

/// Pairs of the best other setting with those that are used.
const PAIRS: usize = 10;

/// In use are a concurrency of 24, a local queue of 2,000 (of 100 for pickups) and completions batched for 5 ms. Each of these
/// changes one of them, for both.
const SETTINGS: [Option<Setting>; 12] = [
    None,
    Some(("GRAPHILE_CONCURRENCY", "4")),
    Some(("GRAPHILE_CONCURRENCY", "12")),
    Some(("GRAPHILE_CONCURRENCY", "48")),
    Some(("GRAPHILE_CONCURRENCY", "96")),
    Some(("GRAPHILE_CONCURRENCY", "256")),
    Some(("GRAPHILE_LOCAL_QUEUE", "50")),
    Some(("GRAPHILE_LOCAL_QUEUE", "500")),
    Some(("GRAPHILE_LOCAL_QUEUE", "1000")),
    Some(("GRAPHILE_LOCAL_QUEUE", "5000")),
    Some(("GRAPHILE_BATCH_MS", "1")),
    Some(("GRAPHILE_BATCH_MS", "20")),
];

/// What a setting came to.
struct Tried {
    setting: Option<Setting>,
    rates: Vec<f64>,
    pickups: Vec<f64>,
}

impl Tried {
    fn name(&self) -> String {
        self.setting
            .map_or_else(|| "as it is used".to_owned(), |(name, value)| format!("{name}={value}"))
    }
}

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let [of_one_shop, _] = PICKUPS;
    let mut all = SETTINGS.map(|setting| Tried { setting, rates: Vec::new(), pickups: Vec::new() });
    for _ in 0..ROUNDS {
        for tried in &mut all {
            let url = server.empty("bench_theirs").await?;
            tried.rates.push(peers::drain(&url, WAKES, tried.setting)?);
            let url = server.empty("bench_theirs").await?;
            tried.pickups.extend(peers::pickup(&url, of_one_shop, tried.setting)?);
        }
        all.rotate_left(SETTINGS.len() / ROUNDS);
    }
    for tried in &all {
        report.row(
            &format!("graphile_worker, {}: drain", tried.name()),
            median(&tried.rates),
            "/s",
        );
        for (of, hundredths) in [("p50", 50.0), ("p99", 99.0)] {
            let pickup = percentile(&tried.pickups, hundredths) / 1000.0;
            report.row(&format!("graphile_worker, {}: pickup, {of}", tried.name()), pickup, "ms");
        }
    }
    let others = all.iter().filter(|tried| tried.setting.is_some());
    let best = others
        .max_by(|one, other| median(&one.rates).total_cmp(&median(&other.rates)))
        .context("no other setting was tried")?;
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        let (mut used, mut other) = (0.0, 0.0);
        for turn in 0..2 {
            let url = server.empty("bench_theirs").await?;
            if (pair + turn) % 2 == 0 {
                used = peers::drain(&url, WAKES, None)?;
            } else {
                other = peers::drain(&url, WAKES, best.setting)?;
            }
        }
        ratios.push(used / other);
    }
    server.drop("bench_theirs").await?;
    let name = format!("graphile_worker as it is used, of its rate with {}", best.name());
    report.at_least(&name, median(&ratios), 0.95, "×");
    Ok(())
}

//! Whether the other queue runs at its best: its rate and its pickups at other settings, in turn with those that are used.

use crate::{
    bars::{Report, median, percentile},
    drain::WAKES,
    peers::{self, Setting},
    pickup::PICKUPS,
    server::Server,
};

const ROUNDS: usize = 3;

/// Each differs from those that are used by one thing: a concurrency of 24, a local queue of 100, completions batched for 5 ms.
const SETTINGS: [Option<Setting>; 12] = [
    None,
    Some(("GRAPHILE_CONCURRENCY", "4")),
    Some(("GRAPHILE_CONCURRENCY", "12")),
    Some(("GRAPHILE_CONCURRENCY", "48")),
    Some(("GRAPHILE_CONCURRENCY", "96")),
    Some(("GRAPHILE_CONCURRENCY", "256")),
    Some(("GRAPHILE_LOCAL_QUEUE", "25")),
    Some(("GRAPHILE_LOCAL_QUEUE", "50")),
    Some(("GRAPHILE_LOCAL_QUEUE", "200")),
    Some(("GRAPHILE_LOCAL_QUEUE", "500")),
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
        let of = self.setting.map(|(name, value)| format!("{name}={value}"));
        format!("graphile_worker, {}", of.as_deref().unwrap_or("as it is used"))
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
    server.drop("bench_theirs").await?;
    for tried in &all {
        report.row(&format!("{}: drain", tried.name()), median(&tried.rates), "/s");
        for (of, hundredths) in [("p50", 50.0), ("p99", 99.0)] {
            let pickup = percentile(&tried.pickups, hundredths) / 1000.0;
            report.row(&format!("{}: pickup, {of}", tried.name()), pickup, "ms");
        }
    }
    let rates = |is_used: bool| {
        let those = all.iter().filter(move |tried| tried.setting.is_none() == is_used);
        those.map(|tried| median(&tried.rates)).fold(0.0, f64::max)
    };
    let ratio = rates(true) / rates(false);
    report.at_least("graphile_worker as it is used, of its best otherwise", ratio, 0.95, "×");
    Ok(())
}

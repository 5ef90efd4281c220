//! The same beside many parked wakes, and with many due at once.

use anyhow::Context as _;
use provisor::db::wakes::Lane;

use crate::{
    Length,
    bars::{Plot, Report, Series, geometric_mean, median, number},
    drain::{Drained, ORDERS_OF_THREE, WAKES, drain, drain_and_rest, settle},
    server::{Server, run, scans},
    worker::insert,
};

/// So many wait for later: none, which the others are held against, and very many.
const PARKED: [u64; 3] = [0, 1_000_000, 10_000_000];

/// So many are due at once, after an outage.
const DUE: u64 = 1_000_000;

/// Rounds of all of them, each order as often as the others: as many pairs for each ratio. One pair's ratio differs from
/// another's by an eighth, so that the mean of so many is good to some 3 %.
const ROUNDS: usize = 18;

/// Parked ones are due within a month, spread at random.
const LATER: &str = "clock_timestamp() + interval '1 day' + random() * interval '30 days'";

/// The drains beside so many parked ones, round by round.
struct Beside {
    parked: u64,
    url: String,
    drained: Vec<Drained>,
}

impl Beside {
    fn name(&self) -> String {
        match self.parked {
            0 => "alone".to_owned(),
            parked => format!("beside {} million parked", parked / 1_000_000),
        }
    }

    fn of(&self, figure: fn(&Drained) -> f64) -> Vec<f64> {
        self.drained.iter().map(figure).collect()
    }
}

pub(crate) async fn measure(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for parked in PARKED {
        let url = server.migrated(&format!("bench_beside_{parked}")).await?;
        if parked > 0 {
            insert(&url, 1_000_000_000, parked, Lane::Poll, LATER).await?;
        }
        run(&url, &["VACUUM ANALYZE provisor.wakes"]).await?;
        all.push(Beside { parked, url, drained: Vec::new() });
    }
    for (round, order) in ORDERS_OF_THREE.iter().cycle().take(ROUNDS).enumerate() {
        let from = 1 + u64::try_from(round)? * u64::from(WAKES);
        for at in order {
            let beside = all.get_mut(*at).context("an order of more than there are")?;
            beside.drained.push(drain(&beside.url, from).await?);
        }
    }
    let (alone, others) = all.split_first().context("there is none alone")?;
    for beside in &all {
        report.row(&format!("drain {}", beside.name()), median(&beside.of(|it| it.rate)), "/s");
        let pages = median(&beside.of(|it| it.buffers));
        report.row(&format!("pages touched for a wake {}", beside.name()), pages, "");
    }
    for beside in others {
        let ratio = |figure| -> f64 {
            let pairs = beside.of(figure).into_iter().zip(alone.of(figure));
            geometric_mean(&pairs.map(|(beside, alone)| beside / alone).collect::<Vec<_>>())
        };
        let rate = format!("drain {}, of the rate alone", beside.name());
        let pages = format!("pages touched for a wake {}, of those alone", beside.name());
        report.at_least(&rate, ratio(|it| it.rate), 0.95, "×");
        report.at_most(&pages, ratio(|it| it.buffers), 1.05, "×");
    }
    let rates: Vec<(f64, f64)> = others
        .iter()
        .map(|beside| (number(beside.parked), median(&beside.of(|it| it.rate))))
        .collect();
    let alone_rate = median(&alone.of(|it| it.rate));
    let level = rates.iter().map(|(parked, _)| (*parked, alone_rate)).collect();
    report.plots.push(Plot {
        name: "rate-over-backlog",
        title: "Rate over backlog",
        across: "wakes parked beside",
        up: "wakes drained a second",
        is_log: true,
        series: vec![
            Series { label: "beside them".to_owned(), points: rates },
            Series { label: "alone".to_owned(), points: level },
        ],
    });
    for beside in &all {
        server.drop(&format!("bench_beside_{}", beside.parked)).await?;
    }
    Ok(())
}

/// A million due at once.
pub(crate) async fn measure_due(
    server: &Server,
    report: &mut Report,
    length: Length,
) -> anyhow::Result<()> {
    // Each waits for the statistics of its sessions.
    let pairs = if length == Length::Long { 10 } else { 3 };
    let few = server.migrated("bench_few").await?;
    let due = server.migrated("bench_due").await?;
    // They come due before those that each drain adds: what is drained is their head.
    insert(&due, 1_000_000_000, DUE, Lane::Place, "clock_timestamp() + interval '1 second'")
        .await?;
    run(&due, &["VACUUM ANALYZE provisor.wakes"]).await?;
    settle().await;
    let (mut ratios, mut scanned) = (Vec::new(), 0);
    for pair in 0..pairs {
        let from = 1 + pair * u64::from(WAKES);
        let (mut alone, mut among) = (0.0, 0.0);
        // Each begins in its turn.
        for turn in 0..2 {
            if (pair + turn) % 2 == 0 {
                alone = drain(&few, from).await?.rate;
                continue;
            }
            let before = scans(&due).await?;
            let (drained, worker) = drain_and_rest(&due, from).await?;
            scanned += scans(&due).await? - before;
            // What takes leave looks once for what it may have left, through all that is due: no scan of the drain's.
            worker.end();
            among = drained.rate;
        }
        ratios.push(among / alone);
        println!("with few due {alone:.0}/s, with a million {among:.0}/s");
    }
    report.at_least("a million due at once, of the rate with few", median(&ratios), 0.8, "×");
    report.at_most("sequential scans of a million due wakes", number(scanned), 0.0, "");
    server.drop("bench_few").await?;
    server.drop("bench_due").await
}

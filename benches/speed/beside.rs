//! The same beside many parked wakes, and with many due at once.

use provisor::db::wakes::Lane;

use crate::{
    Length,
    bars::{Plot, Report, Series, median, number},
    drain::{Drained, WAKES, drain, drain_and_rest, settle},
    server::{Server, run, scans},
    worker::insert,
};

/// So many wait for later.
const PARKED: [u64; 2] = [1_000_000, 10_000_000];

/// So many do beside the few that they are held against. Without any, all that comes to rest goes to the end of the index of
/// due times, which PostgreSQL finds without a descent from its root: that saves two pages, and is so in no installation
/// that waits for an order.
const FEW: u64 = 1_000;

/// So many are due at once, after an outage.
const DUE: u64 = 1_000_000;

/// Pairs for a ratio near 1.
const PAIRS: u64 = 10;

/// Pairs for the other one; each waits for the statistics of its sessions.
const DUE_PAIRS: u64 = 3;

/// Parked ones are due within a month, spread at random.
const LATER: &str = "clock_timestamp() + interval '1 day' + random() * interval '30 days'";

pub(crate) async fn measure(
    server: &Server,
    report: &mut Report,
    _length: Length,
) -> anyhow::Result<()> {
    let mut over_backlog =
        Series { label: "drained beside parked wakes".to_owned(), ..Series::default() };
    for parked in PARKED {
        let among_few = server.migrated("bench_among_few").await?;
        let beside = server.migrated("bench_beside").await?;
        for (url, parked) in [(&among_few, FEW), (&beside, parked)] {
            insert(url, 1_000_000_000, parked, Lane::Poll, LATER).await?;
            run(url, &["VACUUM ANALYZE provisor.wakes"]).await?;
        }
        let (mut few, mut many): (Vec<Drained>, Vec<Drained>) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let from = 1 + pair * u64::from(WAKES);
            // Each order of the two, in turn.
            if pair % 2 == 0 {
                few.push(drain(&among_few, from).await?);
                many.push(drain(&beside, from).await?);
            } else {
                many.push(drain(&beside, from).await?);
                few.push(drain(&among_few, from).await?);
            }
        }
        let of = |drained: &[Drained], f: fn(&Drained) -> f64| -> Vec<f64> {
            drained.iter().map(f).collect()
        };
        let (few_rate, rate) = (of(&few, |it| it.rate), of(&many, |it| it.rate));
        let ratios: Vec<f64> = rate.iter().zip(&few_rate).map(|(many, few)| many / few).collect();
        let millions = parked / 1_000_000;
        report.row("beside a thousand parked", median(&few_rate), "/s");
        report.row(&format!("beside {millions} million parked"), median(&rate), "/s");
        let name = format!("drain beside {millions} million parked, of the rate beside a thousand");
        report.at_least(&name, median(&ratios), 0.95, "×");
        let buffers = |drained: &[Drained]| median(&of(drained, |it| it.buffers));
        report.row("pages touched for a wake beside a thousand", buffers(&few), "");
        // What has rested stays: beside few, too, the table has a million rows at the end, and its indexes the same depth.
        let name = format!(
            "pages touched for a wake beside {millions} million, of those beside a thousand"
        );
        report.at_most(&name, buffers(&many) / buffers(&few), 1.05, "×");
        over_backlog.points.push((number(WAKES), median(&few_rate)));
        over_backlog.points.push((number(parked), median(&rate)));
        server.drop("bench_among_few").await?;
        server.drop("bench_beside").await?;
    }
    report.plots.push(Plot {
        name: "rate-over-backlog",
        title: "Rate over backlog",
        across: "wakes in the table",
        up: "wakes drained a second",
        is_log: true,
        series: vec![over_backlog],
    });
    Ok(())
}

/// A million due at once.
pub(crate) async fn measure_due(server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let few = server.migrated("bench_few").await?;
    let due = server.migrated("bench_due").await?;
    // They come due before those that each drain adds: what is drained is their head.
    insert(&due, 1_000_000_000, DUE, Lane::Place, "clock_timestamp() + interval '1 second'")
        .await?;
    run(&due, &["VACUUM ANALYZE provisor.wakes"]).await?;
    settle().await;
    let (mut ratios, mut scanned) = (Vec::new(), 0);
    for pair in 0..DUE_PAIRS {
        let from = 1 + pair * u64::from(WAKES);
        let alone = drain(&few, from).await?;
        let before = scans(&due).await?;
        let (among, worker) = drain_and_rest(&due, from).await?;
        scanned += scans(&due).await? - before;
        // What takes leave looks once for what it may have left, through all that is due: that is no scan of the drain's.
        worker.end();
        ratios.push(among.rate / alone.rate);
        println!("with few due {:.0}/s, with a million {:.0}/s", alone.rate, among.rate);
    }
    report.at_least("a million due at once, of the rate with few", median(&ratios), 0.8, "×");
    report.at_most("sequential scans of a million due wakes", number(scanned), 0.0, "");
    server.drop("bench_few").await?;
    server.drop("bench_due").await
}

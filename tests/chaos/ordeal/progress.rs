//! How far it is: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{house::House, shop::Shop};

const LOOK: Duration = Duration::from_secs(1);

/// Without a terminal nobody watches: every so many looks are told.
const LOOKS_PER_LINE: u32 = 15;

pub(super) async fn show(
    house: &House,
    shop: &Shop,
    orders: u64,
    calm: CancellationToken,
    end: CancellationToken,
) {
    let began = Instant::now();
    let bar = std::io::stderr().is_terminal().then(|| bar(orders));
    for look in 1_u32.. {
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        if bar.is_none() && !look.is_multiple_of(LOOKS_PER_LINE) {
            continue;
        }
        let (submitted, words) = look_at(house, shop, &calm).await;
        match &bar {
            Some(bar) => {
                bar.set_position(submitted);
                bar.set_message(words);
            }
            None => println!(
                "{:>6} s  {submitted} of {orders} orders, {words}",
                began.elapsed().as_secs()
            ),
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

async fn look_at(house: &House, shop: &Shop, calm: &CancellationToken) -> (u64, String) {
    let submitted = shop.submitted.lock().expect("no panic").len();
    let counts: Vec<(i64, i64, i64)> = house
        .rows(
            "SELECT count(*) FILTER (WHERE status IN ('pending', 'placing', 'provisioning')),
                    count(*) FILTER (WHERE status = 'in_doubt'),
                    count(*) FILTER (WHERE status = 'completed') FROM provisor.order_lines",
        )
        .await;
    let (open, in_doubt, completed) = counts.first().copied().unwrap_or_default();
    let faults = if calm.is_cancelled() { "the faults have ended" } else { "faults strike" };
    let words = format!("lines: {open} open, {in_doubt} in doubt, {completed} completed; {faults}");
    (u64::try_from(submitted).expect("a number"), words)
}

fn bar(orders: u64) -> ProgressBar {
    let bar = ProgressBar::new(orders);
    let template = "{elapsed_precise} [{bar:30}] {pos} of {len} orders; {msg}";
    bar.set_style(
        ProgressStyle::with_template(template).expect("it can be read").progress_chars("=> "),
    );
    bar
}

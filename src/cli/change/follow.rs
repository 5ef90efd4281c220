//! Waiting for an order's end, and telling meanwhile what happens.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use crate::{
    cli::{order::explain, output, report::render_event},
    db::{Database, reports::OrderReport},
    order::OrderStatus,
};

/// How often the order is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// After how long a word is said of an order that nobody takes up.
const PICKED_UP_MAX: Duration = Duration::from_secs(5);

/// Waits until the order has ended or needs a person, for at most `limit`. `None`: there is no such order.
pub(super) async fn follow(
    db: &Database,
    reference: &str,
    limit: Duration,
) -> anyhow::Result<Option<OrderReport>> {
    let began = Instant::now();
    let (mut told, mut is_alone_told) = (HashSet::new(), false);
    loop {
        let report = db.report_order(reference).await.map_err(|error| explain(&error))?;
        let Some(report) = report else { return Ok(None) };
        for event in &report.events {
            // What becomes of its emails is told at the end, if anywhere.
            if told.insert(event.id) && !event.event.starts_with("email_") {
                output::note(&format!("  {}", render_event(event).trim_end()));
            }
        }
        if is_at_rest(&report) {
            return Ok(Some(report));
        }
        if !is_alone_told && began.elapsed() >= PICKED_UP_MAX && is_untouched(&report) {
            is_alone_told = true;
            output::note(
                "No daemon has taken it up yet: is `provisor run` running? The order waits for one.",
            );
        }
        if began.elapsed() >= limit {
            output::note(&format!(
                "It has not ended within {} s. It goes on; this waits no longer.",
                limit.as_secs()
            ));
            return Ok(Some(report));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_at_rest(report: &OrderReport) -> bool {
    let status: Result<OrderStatus, _> = report.status.parse();
    status.is_ok_and(|status| status.is_ended() || status == OrderStatus::Attention)
}

/// Nothing has happened to it but its submission.
fn is_untouched(report: &OrderReport) -> bool {
    report.events.len() <= 1
        && report.lines.iter().all(|line| !line.running && line.reason.is_none())
}

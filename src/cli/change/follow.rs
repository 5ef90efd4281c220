//! Waiting for an order's end, and telling meanwhile what happens.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use crate::{
    cli::{order::explain, output, report::render_event},
    db::{
        Database,
        reports::{EventReport, OrderReport},
    },
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
        for event in untold(&report.events, &mut told) {
            output::note(&format!("  {}", render_event(event).trim_end()));
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

/// The events that were not told before. One that is committed late stands among those that were, for it has a lower id.
fn untold<'a>(events: &'a [EventReport], told: &mut HashSet<i64>) -> Vec<&'a EventReport> {
    let new = events.iter().filter(|event| told.insert(event.id));
    // What becomes of its emails is told at the end, if anywhere.
    new.filter(|event| !event.event.starts_with("email_")).collect()
}

fn is_at_rest(report: &OrderReport) -> bool {
    let status: Result<OrderStatus, _> = report.status.parse();
    status.is_ok_and(|status| status.is_ended() || status == OrderStatus::Attention)
}

/// Nothing has happened to it but its submission, and the note of whose that was.
fn is_untouched(report: &OrderReport) -> bool {
    report.events.iter().all(|event| ["submitted", "ordered_by"].contains(&event.event.as_str()))
        && report.lines.iter().all(|line| !line.running && line.reason.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_committed_late_is_told_and_none_twice() {
        let event = |(id, event): (i64, &str)| EventReport {
            id,
            at: chrono::DateTime::UNIX_EPOCH,
            line: None,
            event: event.to_owned(),
            detail: serde_json::Value::Null,
        };
        let mut told = HashSet::new();
        let mut told_of = |events: &[(i64, &str)]| {
            let events: Vec<EventReport> = events.iter().copied().map(event).collect();
            untold(&events, &mut told).iter().map(|event| event.id).collect::<Vec<_>>()
        };
        assert_eq!(told_of(&[(1, "submitted"), (4, "email_queued")]), [1]);
        let later = [(1, "submitted"), (2, "sending"), (4, "email_queued"), (5, "accepted")];
        assert_eq!(told_of(&later), [2, 5]);
        assert!(told_of(&later).is_empty());
    }
}

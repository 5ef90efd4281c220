//! The contract's sentences about polling, one by one.

use super::*;
use crate::order::{
    SiteId,
    facts::{Reading, SimpleStatus},
};

/// A line whose order was accepted at minute 0.
fn provisioning(now: i64) -> Facts {
    let mut facts = facts(LineStatus::Provisioning);
    facts.placements = vec![bought(1, 7)];
    facts.progress.upstream_order_id = Some(UpstreamOrderId(7));
    facts.progress.accepted_at = Some(minute(0));
    facts.now = minute(now);
    facts
}

fn order(simple_status: SimpleStatus, site: Option<i64>) -> Reading {
    Reading::Order { simple_status, site_id: site.map(SiteId) }
}

fn change(facts: &Facts, reading: &Reading) -> Change {
    let known = Known { reading: Some(reading.clone()), ..Known::default() };
    let Step::Record(change) = decide(facts, &known, &PATIENCE) else {
        panic!("a reading is recorded");
    };
    *change
}

const WAITS_FOR_SITE: &str = "LJPc reports it as completed; its site is waited for";
const MAY_BE_REPAIRED: &str =
    "LJPc reports that the delivery failed; it is looked at again in case it is repaired";

#[test]
fn a_poll_decides_by_the_simple_status() {
    use SimpleStatus::{Failed as Bad, Pending as Open, Processing, Unknown};
    let provisioned = provisioning(1);
    assert_eq!(told(&decide(&provisioned, &Known::default(), &PATIENCE)), "read order 7");
    for (reading, expected) in [
        (order(Open, None), "provisioning, poll".to_owned()),
        (order(Open, Some(3)), "provisioning, poll".to_owned()),
        (order(Processing, None), "provisioning, poll".to_owned()),
        (order(Unknown, None), "provisioning, poll".to_owned()),
        (order(SimpleStatus::Completed, Some(3)), "completed, rest".to_owned()),
        (
            order(SimpleStatus::Completed, None),
            format!("provisioning, at minute 11: {WAITS_FOR_SITE}"),
        ),
        (order(Bad, None), format!("provisioning, at minute 16: {MAY_BE_REPAIRED}")),
        (
            Reading::Unreadable { status: 404 },
            "provisioning, poll: LJPc answers 404 when asked for the order; it is asked again"
                .to_owned(),
        ),
    ] {
        assert_eq!(told_change(&change(&provisioned, &reading)), expected, "{reading:?}");
    }
}

#[test]
fn a_missing_site_is_waited_for_then_done_without() {
    let completed = order(SimpleStatus::Completed, None);
    let mut facts = provisioning(1);
    facts.progress = change(&facts, &completed).progress;
    assert_eq!(facts.progress.completed_seen_at, Some(minute(1)));
    facts.now = minute(11) - TimeDelta::nanoseconds(1);
    assert_eq!(
        told_change(&change(&facts, &completed)),
        format!("provisioning, at minute 11: {WAITS_FOR_SITE}")
    );
    let found = change(&facts, &order(SimpleStatus::Completed, Some(3)));
    assert_eq!(found.progress.site_id, Some(SiteId(3)));
    assert_eq!(told_change(&found), "completed, rest");
    facts.now = minute(11);
    assert_eq!(
        told_change(&change(&facts, &completed)),
        "completed, rest: LJPc reports it as completed, but named no site"
    );
}

#[test]
fn a_failure_is_believed_after_a_while() {
    let failed = order(SimpleStatus::Failed, None);
    let mut facts = provisioning(1);
    facts.progress = change(&facts, &failed).progress;
    facts.now = minute(16) - TimeDelta::nanoseconds(1);
    assert_eq!(
        told_change(&change(&facts, &failed)),
        format!("provisioning, at minute 16: {MAY_BE_REPAIRED}")
    );
    // An answer that says nothing about the order changes nothing about the wait.
    let unreadable = change(&facts, &Reading::Unreadable { status: 403 });
    assert_eq!(unreadable.progress.failed_seen_at, Some(minute(1)));
    // Repaired meanwhile: the wait begins anew should it fail again.
    let repaired = change(&facts, &order(SimpleStatus::Processing, None));
    assert_eq!(repaired.progress.failed_seen_at, None);
    facts.now = minute(16);
    assert_eq!(
        told_change(&change(&facts, &failed)),
        "failed, rest: LJPc reports that the delivery failed"
    );
}

#[test]
fn an_overdue_line_is_told_once_and_polled_on() {
    let pending = order(SimpleStatus::Pending, None);
    let mut facts = provisioning(24 * 60 - 1);
    assert_eq!(told_change(&change(&facts, &pending)), "provisioning, poll");
    facts.now = minute(24 * 60);
    let overdue = change(&facts, &pending);
    assert_eq!(told_change(&overdue), "provisioning, poll, overdue");
    facts.progress = overdue.progress;
    facts.now = minute(99 * 60);
    assert_eq!(told_change(&change(&facts, &pending)), "provisioning, poll");
    // What has ended is not overdue.
    let mut late = provisioning(48 * 60);
    late.progress.simple_status = Some("processing".to_owned());
    let done = change(&late, &order(SimpleStatus::Completed, Some(3)));
    assert_eq!(told_change(&done), "completed, rest");
}

#[test]
fn only_a_change_of_the_upstreams_word_is_an_event() {
    let processing = order(SimpleStatus::Processing, None);
    let mut facts = provisioning(1);
    let heard = change(&facts, &processing);
    assert_eq!(heard.events.iter().map(|e| e.name).collect::<Vec<_>>(), ["upstream_status"]);
    facts.progress = heard.progress;
    assert_eq!(change(&facts, &processing).events, []);
}

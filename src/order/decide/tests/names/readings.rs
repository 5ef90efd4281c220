//! What LJPc shows, again and again, and what of it is believed.

use super::*;

#[test]
fn a_transfer_is_awaited_for_days() {
    let mut facts = transfers(Provisioning);
    facts.placements = vec![of_step(EffectStep::Transfer, 1, Accepted)];
    facts.progress.accepted_at = Some(minute(0));
    let says = |status: &str| shown(DomainSeen { status: Some(status.to_owned()), ..seen(false) });
    let pending = change(&facts, &says("pending_transfer,active"));
    assert_eq!((pending.progress.status, pending.then), (Provisioning, Then::PollTransfer));
    assert_eq!(pending.progress.milestone, None);
    // A failure is believed when it is still said after a while: the first may be a stored row.
    for now in [0, 1, 14] {
        facts.now = minute(now);
        let doubted = change(&facts, &says("transfer_rejected"));
        let (status, then) = (doubted.progress.status, doubted.then);
        assert_eq!((status, then), (Provisioning, Then::At(minute(15))), "minute {now}");
        facts.progress = doubted.progress;
    }
    // And is forgotten if it is not said again.
    let better = change(&facts, &says("pending_transfer"));
    assert_eq!(better.progress.failed_seen_at, None);
    facts.now = minute(15);
    let believed = change(&facts, &says("transfer_rejected"));
    assert_eq!(
        (believed.progress.status, believed.progress.cause),
        (Failed, Some(Cause::TransferRefused))
    );
    // It may be the row of an earlier time in the account.
    let once = change(&facts, &says("active"));
    assert_eq!((once.progress.milestone, once.then), (None, Then::After(PATIENCE.poll_interval)));
    let mut soon = facts.clone();
    soon.progress = once.progress;
    let not_so = change(&soon, &says("pending_transfer"));
    assert_eq!(not_so.progress.completed_seen_at, None, "it was");
    let arrived = twice(&mut facts, &says("active"));
    assert_eq!(arrived.progress.milestone, Some(Milestone::Arranged));
    assert_eq!(arrived.progress.completed_seen_at, None);
    facts.now = minute(24 * 60);
    assert!(change(&facts, &says("pending_transfer")).overdue, "overdue, and polled on");
}

#[test]
fn no_single_row_makes_a_transfer_arrive_or_fail() {
    let says = |status: &str| shown(DomainSeen { status: Some(status.to_owned()), ..seen(false) });
    let gone = Known { domain: Some(DomainReading::NotOurs), ..Known::default() };
    let mut direct = transfers(Provisioning);
    direct.placements = vec![of_step(EffectStep::Transfer, 1, Accepted)];
    direct.progress.accepted_at = Some(minute(0));
    let mut ordered = transfers(Provisioning);
    ordered.wish = Ok(Wish::Transfer(name_wish(Route::Order)));
    ordered.placements = vec![bought(1, 7)];
    ordered.progress.upstream_order_id = Some(UpstreamOrderId(7));
    ordered.progress.accepted_at = Some(minute(0));
    ordered.progress.completed_seen_at = Some(minute(0));
    for begun in [direct, ordered] {
        // Each is an hour after the one before: never the same twice.
        let rows = [
            says("pending_transfer"),
            says("active"),
            gone.clone(),
            says("transfer_failed"),
            says("active"),
            says("transfer_failed"),
            gone.clone(),
            says("transfer_failed"),
            says("pending_transfer"),
            says("active"),
        ];
        let mut facts = begun;
        for (n, known) in (1..).zip(rows) {
            facts.now = minute(n * 60);
            let after = change(&facts, &known);
            let (status, milestone) = (after.progress.status, after.progress.milestone);
            assert_eq!((status, milestone), (Provisioning, None), "{n} {:?}", facts.wish);
            facts.progress = after.progress;
            assert_eq!(next(&facts, &Known::default()), "read example.nl", "{n}");
        }
        facts.now += PATIENCE.poll_interval;
        let arrived = change(&facts, &says("active"));
        assert!(arrived.progress.milestone.is_some(), "now it is here");
    }
}

#[test]
fn a_transfer_by_an_order_reads_the_order_until_it_is_delivered() {
    let mut facts = transfers(Provisioning);
    facts.wish = Ok(Wish::Transfer(name_wish(Route::Order)));
    facts.placements = vec![bought(1, 7)];
    facts.progress.upstream_order_id = Some(UpstreamOrderId(7));
    facts.progress.accepted_at = Some(minute(0));
    let completed = Reading::Order { simple_status: SimpleStatus::Completed, site_id: None };
    let known = Known { reading: Some(completed), ..Known::default() };
    facts.progress = change(&facts, &known).progress;
    let pending = DomainSeen { status: Some("pending_transfer".to_owned()), ..seen(false) };
    for _ in 0..2 {
        assert_eq!(next(&facts, &Known::default()), "read example.nl");
        facts.progress = change(&facts, &shown(pending.clone())).progress;
    }
    assert_eq!(change(&facts, &shown(pending)).events, [], "nothing new is told");
}

#[test]
fn what_was_never_sent_does_not_make_a_name_unknown_for_ever() {
    let mut facts = renewing(true, Pending);
    facts.progress.failed_seen_at = Some(minute(0));
    let gone = Known { domain: Some(DomainReading::NotOurs), ..Known::default() };
    for state in [EffectState::NotSent, Absent] {
        facts.placements = vec![of_step(EffectStep::UpdateDomain, 1, state)];
        assert_eq!(next(&facts, &gone), "failed, rest: example.nl is not a name of this account");
    }
    facts.placements = vec![of_step(EffectStep::UpdateDomain, 1, Accepted)];
    assert_eq!(change(&facts, &gone).then, Then::Poll(false), "it was one when LJPc accepted");
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_waiting() {
    let mut facts = renewing(true, Pending);
    facts.progress.completed_seen_at = Some(facts.now + chrono::TimeDelta::days(1));
    let once = change(&facts, &shown(seen(true)));
    assert_eq!(once.progress.completed_seen_at, Some(facts.now));
    // Nor does a poke in between begin the wait anew.
    facts.progress = once.progress;
    facts.now += Duration::from_secs(20);
    let poked = change(&facts, &shown(seen(true)));
    assert_eq!(poked.then, Then::After(Duration::from_secs(10)));
}

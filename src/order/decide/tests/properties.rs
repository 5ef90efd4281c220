//! What holds whatever the facts are, also those that should never be.

use proptest::{option, prelude::*, sample::select};

use super::*;
use crate::order::{
    Money, SiteId,
    effect::Acceptance,
    facts::{Reading, SimpleStatus, SitesReading},
    ledger::Outcome,
    status::Hindrance,
};

fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        (-1_000i64..1_000_000).prop_map(minute),
        Just(DateTime::<Utc>::MIN_UTC),
        Just(DateTime::<Utc>::MAX_UTC),
    ]
}

fn any_status() -> impl Strategy<Value = LineStatus> {
    select(LineStatus::ALL)
}

fn any_id() -> impl Strategy<Value = Option<UpstreamOrderId>> {
    option::of((1i64..4).prop_map(UpstreamOrderId))
}

prop_compose! {
    fn any_placement()(
        n in prop_oneof![1..4, Just(i32::MAX)],
        state in select(EffectState::ALL),
        live in any::<bool>(),
        upstream_order_id in any_id(),
        detail in option::of(Just("a message".to_owned())),
    ) -> Placement {
        Placement { live, upstream_order_id, detail, ..placement(n, state) }
    }
}

fn any_wish() -> impl Strategy<Value = Result<Wish, String>> {
    let hosting = |product: &str, billing_period| {
        let product = ProductKey::Package(product.to_owned());
        Ok(Wish::Hosting(HostingWish { product, billing_period, target_url: None }))
    };
    prop_oneof![
        4 => Just(hosting("hosting_5gb", Some(BillingPeriod::Monthly))),
        1 => Just(hosting("hosting_5gb", None)),
        1 => Just(hosting("hosting_7gb", None)),
        1 => Just(Ok(Wish::HostingOwn { space_id: 5 })),
        1 => Just(Err("can't be read".to_owned())),
    ]
}

prop_compose! {
    fn any_progress()(
        status in any_status(),
        reason in option::of(Just("because".to_owned())),
        domain in option::of(select(&["example.nl", "EXAMPLE.nl", "bücher.example", "nl", ""])),
        upstream_order_id in any_id(),
        simple_status in option::of(select(SimpleStatus::ALL)),
        times in prop::array::uniform5(option::of(any_time())),
        panics in prop_oneof![0..5, Just(i32::MAX)],
    ) -> Progress {
        let [accepted_at, failed_seen_at, completed_seen_at, in_doubt_at, overdue_told_at] = times;
        Progress {
            reason,
            upstream_order_id,
            simple_status: simple_status.map(|status| status.as_str().to_owned()),
            accepted_at,
            failed_seen_at,
            completed_seen_at,
            in_doubt_at,
            overdue_told_at,
            panics,
            ..Progress::new(status, domain.map(str::to_owned))
        }
    }
}

prop_compose! {
    fn any_facts()(
        wish in any_wish(),
        cost_limit in option::of(select(&["4.98", "4.99"])),
        progress in any_progress(),
        placement in option::of(any_placement()),
        others in prop::collection::vec((select(LineKind::ALL), any_status()), 0..4),
        now in any_time(),
    ) -> Facts {
        let mut all = facts(progress.status);
        all.lines.extend((1..).zip(others).map(|(index, (kind, status))| line(index, kind, status)));
        let cost_limit = cost_limit.and_then(|limit| limit.parse::<Money>().ok());
        let placements = placement.into_iter().collect();
        Facts { wish, cost_limit, progress, placements, now, ..all }
    }
}

fn any_reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        (select(SimpleStatus::ALL), option::of((1i64..9).prop_map(SiteId)))
            .prop_map(|(simple_status, site_id)| Reading::Order { simple_status, site_id }),
        Just(Reading::Unreadable { status: 404 }),
    ]
}

fn any_patience() -> impl Strategy<Value = Patience> {
    let wait = || {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            (0..9999u64).prop_map(Duration::from_secs)
        ]
    };
    (wait(), wait(), wait()).prop_map(|(failed_recheck, site_id_wait, overdue_after)| Patience {
        failed_recheck,
        site_id_wait,
        overdue_after,
        ..PATIENCE
    })
}

/// Everything that can be asked of `decide`.
fn any_question() -> impl Strategy<Value = (Facts, bool, Option<Reading>, Patience)> {
    (any_facts(), any::<bool>(), option::of(any_reading()), any_patience())
}

fn ask(facts: &Facts, has_catalogue: bool, reading: Option<&Reading>, patience: &Patience) -> Step {
    let known = if has_catalogue { catalogue() } else { Known::default() };
    let sites = Some(SitesReading::NothingBefore);
    decide(facts, &Known { reading: reading.cloned(), sites, ..known }, patience)
}

/// What every change keeps, whoever makes it.
fn check(facts: &Facts, change: &Change) -> Result<(), TestCaseError> {
    let (before, after) = (&facts.progress, &change.progress);
    prop_assert!(before.status.may_become(after.status), "{} to {}", before.status, after.status);
    if before.status == after.status {
        prop_assert!(after.panics == before.panics || after.panics > 0);
    } else {
        prop_assert_eq!(after.in_doubt_at.is_some(), after.status == LineStatus::InDoubt);
        prop_assert!(!change.events.is_empty(), "a new status is told");
    }
    if after.status.is_ended() || after.status == LineStatus::Held {
        prop_assert!(!matches!(change.then, Then::Poll(_) | Then::At(_) | Then::After(_)));
    }
    if let Then::At(at) = change.then {
        prop_assert!(at > facts.now, "a time that has passed would be a loop");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_change_is_allowed((facts, catalogue, reading, patience) in any_question()) {
        if let Step::Record(change) = ask(&facts, catalogue, reading.as_ref(), &patience) {
            check(&facts, &change)?;
        }
        check(&facts, &panicked(&facts))?;
    }

    #[test]
    fn the_answers_to_a_request_are_allowed(mut facts in any_facts(), reason in ".{0,9}") {
        facts.progress.status = LineStatus::Placing;
        let order = Acceptance::Order { id: UpstreamOrderId(7), cost: None };
        check(&facts, &accepted(&facts, EffectStep::PlaceOrder, &order))?;
        check(&facts, &in_doubt(&facts, reason.clone()))?;
        check(&facts, &rejected(&facts, EffectStep::PlaceOrder, Some(&reason)))?;
        check(&facts, &Change::to(&facts, LineStatus::Pending, Some(reason), Then::Retry))?;
    }

    #[test]
    fn nothing_is_placed_that_the_ledger_forbids(
        (facts, catalogue, reading, patience) in any_question(),
    ) {
        let Step::Make(order) = ask(&facts, catalogue, reading.as_ref(), &patience) else {
            return Ok(());
        };
        prop_assert_eq!(facts.progress.status, LineStatus::Pending);
        prop_assert_eq!(Some((order.n, order.tag)), facts.next_placement(EffectStep::PlaceOrder));
        match facts.placements.last() {
            None => prop_assert_eq!(order.n, 1),
            Some(latest) => {
                prop_assert!(!latest.state.may_have_bought());
                let again = latest.state == EffectState::NotSent;
                let follows = if again { order.n == latest.n } else { order.n > latest.n };
                prop_assert!(follows, "number {} after {}", order.n, latest.n);
            }
        }
        if let (Some(price), Some(limit)) = (order.price, facts.cost_limit) {
            prop_assert!(price <= limit);
        }
        for other in &facts.lines {
            prop_assert_eq!(facts.lines[0].hindered_by(other), Hindrance::None);
        }
    }

    #[test]
    fn what_may_have_bought_something_is_neither_held_nor_failed(
        (mut facts, catalogue, _, patience) in any_question(),
        state in select(&[EffectState::Sending, EffectState::InDoubt, EffectState::Accepted]),
        status in select(&[LineStatus::Pending, LineStatus::Placing, LineStatus::InDoubt]),
    ) {
        facts.progress.status = status;
        let latest = facts.placements.pop().unwrap_or_else(|| placement(1, state));
        facts.placements = vec![Placement { state, ..latest }];
        for change in [ask(&facts, catalogue, None, &patience), panicked(&facts).step()] {
            let Step::Record(change) = change else {
                return Err(TestCaseError::fail("something more is read or sent"));
            };
            let quiet = [status, LineStatus::InDoubt, LineStatus::Provisioning];
            prop_assert!(quiet.contains(&change.progress.status), "{}", change.progress.status);
        }
    }

    #[test]
    fn an_ended_line_changes_only_by_an_acceptance(
        (mut facts, catalogue, reading, patience) in any_question(),
        status in select(&[LineStatus::Completed, LineStatus::Failed, LineStatus::Cancelled]),
    ) {
        facts.progress.status = status;
        let Step::Record(change) = ask(&facts, catalogue, reading.as_ref(), &patience) else {
            return Err(TestCaseError::fail("nothing is read or sent for it"));
        };
        if change.progress != facts.progress {
            let by = facts.placements.last().filter(|by| by.state == EffectState::Accepted);
            prop_assert!(by.is_some() && status == LineStatus::Failed);
            prop_assert_eq!(change.progress.status, LineStatus::Provisioning);
            prop_assert_eq!(change.progress.upstream_order_id, by.and_then(|by| by.upstream_order_id));
        }
    }

    #[test]
    fn an_open_order_is_never_failed_by_a_clock(
        (mut facts, _, _, patience) in any_question(),
        simple_status in select(&[SimpleStatus::Pending, SimpleStatus::Processing, SimpleStatus::Unknown]),
    ) {
        facts.progress.status = LineStatus::Provisioning;
        facts.progress.upstream_order_id = Some(UpstreamOrderId(7));
        let reading = Reading::Order { simple_status, site_id: None };
        let Step::Record(change) = ask(&facts, false, Some(&reading), &patience) else {
            return Err(TestCaseError::fail("a reading is recorded"));
        };
        prop_assert_eq!(change.progress.status, LineStatus::Provisioning);
        prop_assert_eq!(change.then, Then::Poll(false));
    }

    #[test]
    fn an_acceptance_survives_whatever_else_is_learnt(
        start in select(EffectState::ALL),
        mut outcomes in prop::collection::vec(select(Outcome::ALL), 0..6),
        at in 0..6usize,
    ) {
        outcomes.insert(at.min(outcomes.len()), Outcome::Accepted);
        let end = outcomes.into_iter().fold(start, EffectState::learn);
        prop_assert_eq!(end, EffectState::Accepted);
    }

    #[test]
    fn what_counts_is_borne_or_accepted_or_the_latest(
        placements in prop::collection::vec(any_placement(), 1..5),
        borne in any_id(),
    ) {
        let counts = Placement::that_counts(&placements, borne).unwrap();
        let is_borne = |one: &Placement| borne.is_some() && one.upstream_order_id == borne;
        let is_accepted = |one: &Placement| one.state == EffectState::Accepted;
        if placements.iter().any(is_borne) {
            prop_assert!(is_borne(counts));
        } else if placements.iter().any(is_accepted) {
            prop_assert!(is_accepted(counts));
        } else {
            prop_assert!(placements.iter().all(|one| one.n <= counts.n));
        }
    }
}

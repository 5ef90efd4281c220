//! The hot path, counted in instructions by valgrind's callgrind: the same on a busy machine as on an idle one, so that a
//! path that has become dearer is noticed at once.
//!
//! What is counted is the decision to place an order, and that of a poll that changes nothing, with the moment of the next
//! one: what is neither the database's nor the upstream's. Unoptimised, as tests are compiled.

#![cfg(test)]

use std::{hint::black_box, path::PathBuf, process::Command, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use provisor::{
    order::{
        LineKind, LineStatus, Money, Reference, UpstreamOrderId,
        decide::{Step, decide},
        effect::EffectStep,
        facts::{Facts, Known, NameFacts, Patience, Placement, Progress, Reading, SimpleStatus},
        kinds::catalogue::Product,
        ledger::EffectState,
        wish::{BillingPeriod, HostingWish, ProductKey, Wish},
    },
    queue::Schedule,
};
use rust_decimal::Decimal;

/// Set in the process that is counted: which path is gone, and how often.
const PATH: &str = "PROVISOR_TEST_PATH";
const TIMES: &str = "PROVISOR_TEST_TIMES";

/// What each took when it was counted. A quarter more is too much; and with a quarter less, something is no longer done.
/// The compiler's next release may well change a few.
const POLL: u64 = 51_000;
const PLACING: u64 = 17_400;

fn facts() -> Facts {
    let placement = Placement {
        step: EffectStep::PlaceOrder,
        n: 1,
        state: EffectState::Accepted,
        live: true,
        upstream_order_id: Some(UpstreamOrderId(7)),
        site_id: None,
        price: None,
        contact_handle: None,
        detail: None,
        intended_at: DateTime::<Utc>::UNIX_EPOCH,
        order_id_floor: None,
        probe: None,
    };
    let mut progress = Progress::new(LineStatus::Provisioning, Some("example.nl".to_owned()));
    progress.upstream_order_id = Some(UpstreamOrderId(7));
    progress.simple_status = Some("pending".to_owned());
    progress.accepted_at = Some(DateTime::<Utc>::UNIX_EPOCH);
    Facts {
        reference: Reference("SHOP-1001".to_owned()),
        line: 0,
        kind: LineKind::Hosting,
        wish: Ok(Wish::Hosting(HostingWish {
            product: ProductKey::Package("hosting_5gb".to_owned()),
            billing_period: Some(BillingPeriod::Monthly),
            target_url: None,
        })),
        cost_limit: None,
        allow_premium: false,
        progress,
        placements: vec![placement],
        lines: Vec::new(),
        name: NameFacts::default(),
        submitted_at: DateTime::<Utc>::UNIX_EPOCH,
        is_older_than_restore: false,
        now: DateTime::<Utc>::UNIX_EPOCH,
    }
}

/// The same line before it was placed.
fn pending() -> Facts {
    let mut facts = facts();
    facts.progress = Progress::new(LineStatus::Pending, Some("example.nl".to_owned()));
    facts.placements.clear();
    facts
}

fn catalogue() -> Known {
    let product = |n: i64| Product {
        uuid: format!("00000000-0000-4000-8000-{n:012}"),
        name: format!("{n}GB hosting"),
        category_identifier: format!("hosting_{n}gb"),
        client_choice: true,
        monthly_price: Some(Money(Decimal::from(n))),
        yearly_price: Some(Money(Decimal::from(10 * n))),
    };
    Known { catalogue: Some(Arc::new((1..=20).map(product).collect())), ..Known::default() }
}

/// Not a test by itself: what the others count, in a process of its own.
#[test]
fn counted() {
    let Some(times) = std::env::var(TIMES).ok().and_then(|times| times.parse::<u32>().ok()) else {
        return;
    };
    let patience = Patience {
        failed_recheck: Duration::from_mins(15),
        site_id_wait: Duration::from_mins(10),
        overdue_after: Duration::from_hours(24),
        in_doubt_grace: Duration::from_mins(15),
        poll_interval: Duration::from_secs(2),
        evidence_interval: Duration::from_secs(30),
        order_id_probe: false,
        offers_alternatives: false,
    };
    let is_poll = std::env::var(PATH).as_deref() == Ok("poll");
    let (facts, known) = if is_poll {
        let pending = Reading::Order { simple_status: SimpleStatus::Pending, site_id: None };
        (facts(), Known { reading: Some(pending), ..Known::default() })
    } else {
        (pending(), catalogue())
    };
    let step = decide(&facts, &known, &patience);
    assert!(
        if is_poll { matches!(step, Step::Record(_)) } else { matches!(step, Step::Make(_)) },
        "{step:?}"
    );
    let polls =
        Schedule { initial: Duration::from_secs(2), multiplier: 1.5, max: Duration::from_mins(5) };
    for tries in 0..times {
        black_box(decide(black_box(&facts), black_box(&known), &patience));
        if is_poll {
            black_box(polls.middle(i32::try_from(tries % 40).unwrap()));
        }
    }
}

/// Instructions of going a path once.
fn instructions_of(path: &str) -> u64 {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = Command::new(root.join("script/tool-bin")).args(["valgrind"; 2]).output();
    let found = found.expect("a script");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let valgrind = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    let instructions = |times: u32| -> u64 {
        let output = Command::new(&valgrind)
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "counted", "--test-threads=1"])
            .env(PATH, path)
            .env(TIMES, times.to_string())
            .output()
            .expect("valgrind runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let collected = told.lines().find_map(|line| line.split_once("Collected : "));
        collected.expect(&told).1.trim().parse().expect("a number")
    };
    // What a process does before and behind is the same in both.
    (instructions(2000) - instructions(1000)) / 1000
}

#[track_caller]
fn assert_near(each: u64, counted: u64) {
    let near = counted * 3 / 4..=counted * 5 / 4;
    assert!(near.contains(&each), "{each} instructions, of {counted}");
}

#[test]
fn a_poll_that_changes_nothing_takes_as_many_instructions_as_it_did() {
    assert_near(instructions_of("poll"), POLL);
}

#[test]
fn the_decision_to_place_an_order_takes_as_many_instructions_as_it_did() {
    assert_near(instructions_of("placing"), PLACING);
}

//! The hot path, counted in instructions by valgrind's callgrind: the same on a busy machine as on an idle one, so that a
//! path that has become dearer is noticed at once.
//!
//! What is counted is one poll that changes nothing, as far as it is neither the database's nor the upstream's: the
//! decision, and the moment of the next poll. Unoptimised, as tests are compiled.

use std::{hint::black_box, path::PathBuf, process::Command, time::Duration};

use chrono::{DateTime, Utc};
use provisor::{
    order::{
        LineKind, LineStatus, Reference, UpstreamOrderId,
        decide::decide,
        effect::EffectStep,
        facts::{Facts, Known, NameFacts, Patience, Placement, Progress, Reading, SimpleStatus},
        ledger::EffectState,
        wish::{BillingPeriod, HostingWish, ProductKey, Wish},
    },
    queue::Schedule,
};

/// Set in the process that is counted: how often the path is gone.
const TIMES: &str = "PROVISOR_TEST_TIMES";

/// A quarter more than was counted. The compiler's next release may well do it in fewer, or in a few more.
const INSTRUCTIONS_MAX: u64 = 64_000;

/// With fewer than this, something is no longer done.
const INSTRUCTIONS_MIN: u64 = 20_000;

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

/// Not a test by itself: what the next one counts, in a process of its own.
#[test]
fn counted() {
    let Some(times) = std::env::var(TIMES).ok().and_then(|times| times.parse::<u32>().ok()) else {
        return;
    };
    let facts = facts();
    let pending = Reading::Order { simple_status: SimpleStatus::Pending, site_id: None };
    let known = Known { reading: Some(pending), ..Known::default() };
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
    let polls =
        Schedule { initial: Duration::from_secs(2), multiplier: 1.5, max: Duration::from_mins(5) };
    for tries in 0..times {
        black_box(decide(black_box(&facts), black_box(&known), &patience));
        black_box(polls.middle(i32::try_from(tries % 40).unwrap()));
    }
}

#[test]
fn a_poll_that_changes_nothing_takes_no_more_instructions_than_it_did() {
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
            .env(TIMES, times.to_string())
            .output()
            .expect("valgrind runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let collected = told.lines().find_map(|line| line.split_once("Collected : "));
        collected.expect(&told).1.trim().parse().expect("a number")
    };
    // What a process does before and behind is the same in both.
    let each = (instructions(2000) - instructions(1000)) / 1000;
    assert!((INSTRUCTIONS_MIN..=INSTRUCTIONS_MAX).contains(&each), "{each} instructions");
}

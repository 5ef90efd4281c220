//! The pace of a budget: halved by a 429 for everybody, once; back by itself; and the pause that the upstream asks for.

use std::time::{Duration, Instant};

use provisor::db::guests::Reserving;
use serde_json::json;

use super::{GET, Neighbours, RATE, rate_limited};
use crate::house::{House, eventually, hosting};

/// What a process of these tests reserves at a time.
const WISHED: Reserving =
    Reserving { step: Duration::from_millis(10), ahead: Duration::from_millis(100), max: 1000 };

/// The shortest pause.
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_at_once_to_slow_down_does_so_once_for_all() {
    let both = Neighbours::new().await;
    assert_eq!(both.pace().await, 1000);
    both.one.learns(GET, rate_limited(SECOND)).await;
    let pace = both.pace().await;
    assert!((500..=900).contains(&pace), "{pace}");

    // All that were under way meanwhile hear the same, in both processes.
    both.no_time_passes().await;
    for _ in 0..4 {
        both.one.learns(GET, rate_limited(SECOND)).await;
        both.two.learns(GET, rate_limited(SECOND)).await;
    }
    assert_eq!(both.pace().await, 500, "of one budget, one halving");

    both.after(1).await;
    both.two.learns(GET, rate_limited(SECOND)).await;
    both.no_time_passes().await;
    let pace = both.pace().await;
    assert!((250..=450).contains(&pace), "a later 429 halves what is in force: {pace}");
}

#[tokio::test]
async fn the_pace_has_a_floor_and_comes_back_evenly() {
    let both = Neighbours::new().await;
    let mut before = 1000;
    for _ in 0..12 {
        both.after(1).await;
        both.one.learns(GET, rate_limited(SECOND)).await;
        both.no_time_passes().await;
        let pace = both.pace().await;
        assert!(pace <= before && pace >= 50, "{before}, then {pace}");
        before = pace;
    }
    assert!(before < 100, "halved again and again: {before}");
    // A sixtieth of the whole each second: 500 in 30 s. A busy machine is late by seconds, not by more.
    both.after(30).await;
    let pace = both.pace().await;
    assert!((before + 500..=before + 750).contains(&pace), "from {before} to {pace}");
    both.after(60).await;
    assert_eq!(both.pace().await, 1000, "and not more than the whole");
}

#[tokio::test]
async fn slots_are_as_far_apart_as_the_pace_says_and_a_reservation_covers_its_time() {
    let both = Neighbours::new().await;
    let reserve = async |wished| both.db.reserve_slots("ljpc", wished).await.expect("slots");
    let whole = reserve(WISHED).await;
    assert_eq!((whole.count, whole.step), (10, WISHED.step));
    assert_eq!(reserve(Reserving { max: 3, ..WISHED }).await.count, 3, "at most");
    for (pace, count, step_ms) in [(500, 5, 20), (50, 1, 200)] {
        both.no_time_passes().await;
        both.house.world.run(&format!("UPDATE provisor.upstream_budgets SET pace = {pace}")).await;
        let slow = reserve(WISHED).await;
        assert_eq!((slow.count, slow.step), (count, Duration::from_millis(step_ms)), "{pace}");
    }
    // A budget that is small by itself is not brought to a stand.
    for (step, slow) in [(SECOND, 2 * SECOND), (5 * SECOND, 5 * SECOND)] {
        let reserved = reserve(Reserving { step, ..WISHED }).await;
        assert_eq!((reserved.count, reserved.step), (1, slow));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_anything_while_the_upstream_wants_to_be_left_alone() {
    let both = Neighbours::new().await;
    // Slots that the one has in hand are worth nothing from then on.
    both.one.budget.want();
    eventually("slots are in hand", async || {
        let taken = both.one.budget.take(1);
        both.one.budget.give_back(taken);
        taken == 1
    })
    .await;
    both.one.learns(GET, rate_limited(Duration::from_hours(1))).await;
    assert_eq!(both.one.budget.take(100), 0);
    for process in [&both.one, &both.two] {
        let began = Instant::now();
        let wait = process.budget.one_within(SECOND).await.expect_err("not now");
        let waited = began.elapsed();
        // 10 s at the most, whatever the answer says: only the line that was told waits for longer.
        assert!(wait > SECOND && wait + waited <= Duration::from_secs(11), "{wait:?} {waited:?}");
        assert!(waited < wait, "it is told at once");
        assert_eq!(process.budget.take(100), 0);
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_stops_nobody() {
    let both = Neighbours::new().await;
    let set_back = async || {
        both.house
            .world
            .run(
                "UPDATE provisor.upstream_budgets
                 SET tat = clock_timestamp() + interval '9 days', pace = 50,
                     pace_at = clock_timestamp() + interval '9 days'",
            )
            .await;
    };
    set_back().await;
    let reserved = both.db.reserve_slots("ljpc", WISHED).await.expect("slots");
    assert!(reserved.wait < SECOND, "{reserved:?}");
    let is_now = "SELECT greatest(tat, pace_at) < clock_timestamp() + interval '10 s'
                  FROM provisor.upstream_budgets WHERE provider = 'ljpc'";
    assert!(both.house.world.value::<bool>(is_now).await, "the pace grows from now on");
    // A pause is as long as it is told.
    set_back().await;
    both.one.learns(GET, rate_limited(SECOND)).await;
    assert!(both.house.world.value::<bool>(is_now).await);
    // What is as far ahead as many processes may reserve is believed.
    both.house
        .world
        .run("UPDATE provisor.upstream_budgets SET tat = clock_timestamp() + interval '1 minute'")
        .await;
    let reserved = both.db.reserve_slots("ljpc", WISHED).await.expect("slots");
    assert!(reserved.wait > 50 * SECOND, "{reserved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_keep_a_slower_pace_together() {
    let both = Neighbours::new().await;
    both.house.world.run("UPDATE provisor.upstream_budgets SET pace = 50").await;
    both.no_time_passes().await;
    let (began, mut made) = (Instant::now(), 0_u32);
    let until = began + Duration::from_secs(2);
    let count = async |process: &super::Process| {
        let mut made = 0_u32;
        while tokio::time::timeout_at(until.into(), process.budget.one()).await.is_ok() {
            made += 1;
        }
        made
    };
    let (one, two) = tokio::join!(count(&both.one), count(&both.two));
    made += one + two;
    // A twentieth of the rate, for two seconds; each may have begun with a reservation.
    let allowed = RATE / 20 * 2;
    assert!(made <= allowed + 10 && made >= allowed / 4, "{made} of {allowed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_go_on_at_a_slower_pace_after_a_429_and_it_is_forgotten() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": GET, "fault": "rate_limit", "retry_after": "1", "times": 1 }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let lowered = "SELECT pace < 1000 FROM provisor.upstream_budgets WHERE provider = 'ljpc'";
    eventually("the pace is lowered", async || house.world.value::<bool>(lowered).await).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.bought("SHOP-1/0"), 1);
    let pauses = house.requests("GET", "/api/v1/products");
    let waited = pauses[1].at - pauses[0].at;
    assert!(waited.num_milliseconds() >= 900, "as long as it was told: {waited}");
    let pace = "SELECT provisor.pace_in_force(pace, pace_at, clock_timestamp() + interval '1 min', '1 min')
                FROM provisor.upstream_budgets WHERE provider = 'ljpc'";
    assert_eq!(house.world.value::<i32>(pace).await, 1000);
    daemon.stop().await;
}

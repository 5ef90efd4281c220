//! Processes that sleep past their lease, die, or drain, beside another one.
//!
//! Orders are not delivered before a test says so, so that nothing upstream shows what became of a request: what the
//! sleeper knows is all that there is.

use std::time::Duration;

use provisor::sandbox::{Drive, DrivenSite, Stage};
use serde_json::json;

use crate::{
    daemon::Daemon,
    house::{House, Room, eventually},
    kinds::{Kind, mailbox},
};

/// A process that is killed is replaced within this time, as long as nothing was being sent.
const RELEASE_MAX: Duration = Duration::from_secs(15);

/// Longer than a silent process is taken to live.
const SLOW_MS: u64 = 12_000;

const LABEL: &str = "example";

/// An order that LJPc takes and does not deliver.
async fn house() -> House {
    House::with(Duration::from_hours(1)).await
}

/// A daemon that has stopped at this failpoint, in the middle of placing an order, and its heir, to whom the line is in
/// doubt since the lease is over.
async fn fall_asleep(room: &Room<'_>, failpoint: &str) -> (Daemon, Daemon) {
    Kind::Hosting.submit(room, LABEL).await;
    let sleeper = room.daemon(&format!("{failpoint}=stop"), &[]);
    sleeper.until_reached(failpoint).await;
    let heir = room.daemon("", &[]);
    room.until_line("in_doubt").await;
    room.until_order("attention").await;
    (sleeper, heir)
}

/// What a person says of the line.
async fn say(room: &Room<'_>, word: &str) {
    let said = ["order", "resolve", LABEL, "--line", "0", word, "--yes"];
    let ended = room.command("", &said).await;
    assert!(ended.status.success(), "{ended:?}");
}

/// The orders that bear this tag.
fn ids(house: &House, tag: &str) -> Vec<i64> {
    let orders = house.sandbox.state().orders();
    let ours = orders.iter().filter(|order| order.tag.as_deref() == Some(tag));
    ours.map(|order| order.id.0).collect()
}

fn deliver(house: &House, tag: &str) {
    for order in house.sandbox.state().orders() {
        if order.tag.as_deref() == Some(tag) {
            let to = Drive { stage: Stage::Completed, site: DrivenSite::Usual };
            let driven = house.sandbox.state().drive(order.id, to);
            driven.expect("an order that is under way can be completed");
        }
    }
}

/// How many attempts sent nothing, of which a slow machine may make more. After them there was one that was accepted.
async fn unsent_attempts(room: &Room<'_>) -> usize {
    let outcomes: Vec<String> = room
        .value(
            "SELECT array_agg(coalesce(outcome, 'open') ORDER BY started_at) FROM provisor.attempts",
        )
        .await;
    let (last, before) = outcomes.split_last().expect("there was an attempt");
    assert_eq!(last, "accepted", "{outcomes:?}");
    assert!(before.iter().all(|outcome| outcome == "not_sent"), "{outcomes:?}");
    before.len()
}

fn posts(house: &House) -> usize {
    house.effects_of(LABEL, 0).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sleeper_was_told_is_adopted_when_it_wakes() {
    let house = house().await;
    let room = house.room("adopted").await;
    let (sleeper, heir) = fall_asleep(&room, "effect.answer_read").await;
    sleeper.signal("CONT").await;
    room.until_line("provisioning").await;
    assert_eq!(room.events("late_answer").await, 1);
    assert_eq!(room.events("bought_twice").await, 0);
    deliver(&house, "example/0");
    room.until_order("completed").await;
    let adopted: i64 = room.value("SELECT upstream_order_id FROM provisor.order_lines").await;
    assert_eq!((vec![adopted], posts(&house)), (ids(&house, "example/0"), 1));
    sleeper.drain().await;
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sleeper_was_told_of_an_order_that_was_placed_again_is_told_as_bought_twice() {
    let house = house().await;
    let room = house.room("twice").await;
    let (sleeper, heir) = fall_asleep(&room, "effect.answer_read").await;
    // The person is wrong: LJPc has the order, which is not delivered yet.
    say(&room, "--absent").await;
    room.until_line("provisioning").await;
    assert_eq!((ids(&house, "example/0").len(), ids(&house, "example/0#2").len()), (1, 1));
    sleeper.signal("CONT").await;
    eventually("it is told", async || room.events("bought_twice").await == 1).await;
    let told = "SELECT count(*) FROM provisor.email_outbox
                WHERE template = 'ops_attention' AND dedupe_key LIKE '%bought_twice%'";
    assert_eq!(room.value::<i64>(told).await, 1);
    deliver(&house, "example/0#2");
    room.until_order("completed").await;
    let second: i64 = room.value("SELECT upstream_order_id FROM provisor.order_lines").await;
    assert_eq!((vec![second], posts(&house)), (ids(&house, "example/0#2"), 2));
    sleeper.drain().await;
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sleeper_was_told_of_a_line_that_was_given_up_revives_it() {
    let house = house().await;
    let room = house.room("revived").await;
    let (sleeper, heir) = fall_asleep(&room, "effect.answer_read").await;
    say(&room, "--abandon").await;
    room.until_order("failed").await;
    sleeper.signal("CONT").await;
    room.until_line("provisioning").await;
    deliver(&house, "example/0");
    room.until_order("completed").await;
    assert_eq!((room.events("bought_twice").await, posts(&house)), (0, 1));
    sleeper.drain().await;
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sleeps_between_intent_and_last_look_sends_nothing_when_it_wakes() {
    let house = house().await;
    let room = house.room("unsent").await;
    let (sleeper, heir) = fall_asleep(&room, "effect.intended").await;
    assert_eq!(posts(&house), 0);
    sleeper.signal("CONT").await;
    // It says that it has not sent it, so that somebody may, under the same tag.
    room.until_line("provisioning").await;
    assert!(unsent_attempts(&room).await >= 1);
    assert_eq!((ids(&house, "example/0").len(), posts(&house)), (1, 1));
    deliver(&house, "example/0");
    room.until_order("completed").await;
    sleeper.drain().await;
    heir.drain().await;
}

/// What can't be closed: between the last look and the first byte there is always a moment. It is one request all the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_sleeps_after_its_last_look_buys_once() {
    let house = house().await;
    let room = house.room("late").await;
    let (sleeper, heir) = fall_asleep(&room, "effect.before_first_byte").await;
    assert_eq!(posts(&house), 0);
    sleeper.signal("CONT").await;
    room.until_line("provisioning").await;
    assert_eq!((room.events("late_answer").await, posts(&house)), (1, 1));
    deliver(&house, "example/0");
    room.until_order("completed").await;
    unsent_attempts(&room).await;
    sleeper.drain().await;
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_not_sent_if_its_lease_would_end_first() {
    let house = house().await;
    let room = house.room("tired").await;
    Kind::Hosting.submit(&room, LABEL).await;
    // Of the lease's 8 s less is left than ljpc.timeout, 2 s; then, in another run, nothing is in the way.
    let daemon = room.daemon("effect.intended=pause:6500", &[]);
    room.until_line("provisioning").await;
    assert!(unsent_attempts(&room).await >= 1);
    assert_eq!((room.events("late_answer").await, posts(&house)), (0, 1));
    daemon.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_questions_use_up_its_lease_says_so_and_is_overdue_like_any_other() {
    let house = house().await;
    let room = house.room("slow").await;
    Kind::Hosting.submit(&room, LABEL).await;
    // Each run takes so long, up to the permit, that less than ljpc.timeout is left of the lease of 8 s.
    let daemon = room.daemon("effect.permitted=pause:6500", &[("POLL__OVERDUE_AFTER", "1ms")]);
    eventually("the line says so", async || {
        let reason = "SELECT coalesce(reason, '') FROM provisor.order_lines";
        room.value::<String>(reason).await.contains("the lease could end first")
    })
    .await;
    let told = "SELECT count(*) FROM provisor.email_outbox WHERE template = 'order_delayed'";
    assert_eq!((room.value::<i64>(told).await, posts(&house)), (1, 0));
    room.until_line("provisioning").await;
    assert_eq!(posts(&house), 1);
    daemon.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_is_replaced_long_before_its_lease_is_over() {
    let house = house().await;
    let room = house.room("killed").await;
    let long = [("QUEUE__LEASE", "60s")];
    Kind::Hosting.submit(&room, LABEL).await;
    let mut daemon = room.daemon("line.loaded=kill", &long);
    daemon.until_reached("line.loaded").await;
    let heir = room.daemon("", &long);
    let waited = room.until_line("provisioning").await;
    assert!(waited < RELEASE_MAX, "{waited:?}");
    assert!(!daemon.until_ended().await.success());
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_while_sending_keeps_its_lease_and_no_more() {
    let house = house().await;
    let room = house.room("sending").await;
    let long = [("QUEUE__LEASE", "25s")];
    Kind::Hosting.submit(&room, LABEL).await;
    let daemon = room.daemon("effect.answer_read=kill", &long);
    daemon.until_reached("effect.answer_read").await;
    // Its request may be on its way: nobody else gets the line before the lease is over, dead or not.
    let lease = "SELECT lease_until::text FROM provisor.wakes WHERE id % 16 = 1";
    let lease: String = room.value(lease).await;
    let heir = room.daemon("", &long);
    // One statement: between two the lease may end, and be another's.
    let stands = format!(
        "SELECT CASE WHEN clock_timestamp() < '{lease}' THEN status ELSE 'over' END FROM provisor.order_lines"
    );
    eventually("the lease is over", async || {
        let stands: String = room.value(&stands).await;
        assert!(["placing", "over"].contains(&stands.as_str()), "{stands}");
        stands == "over"
    })
    .await;
    // A heartbeat later, and not with the next full scan.
    let waited = room.until_line("in_doubt").await;
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    assert_eq!(posts(&house), 1);
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drains_is_not_taken_for_dead() {
    let house = house().await;
    let room = house.room("drains").await;
    let patient =
        [("LJPC__TIMEOUT", "20s"), ("QUEUE__LEASE", "30s"), ("QUEUE__SHUTDOWN_GRACE", "30s")];
    house
        .fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "slow", "delay_ms": SLOW_MS }));
    Kind::Hosting.submit(&room, LABEL).await;
    let mut leaving = room.daemon("", &patient);
    eventually("the order is being sent", async || posts(&house) == 1).await;
    let heir = room.daemon("", &patient);
    heir.until_ready().await;
    leaving.signal("TERM").await;
    assert!(leaving.until_ended().await.success());
    // The answer came, and was recorded, before it left.
    assert_eq!(room.line().await, "provisioning");
    unsent_attempts(&room).await;
    assert_eq!(room.events("late_answer").await, 0);
    deliver(&house, "example/0");
    room.until_order("completed").await;
    assert_eq!(posts(&house), 1);
    heir.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_of_a_sleeper_comes_again_under_the_same_message_id() {
    let house = House::new().await;
    let room = house.room("mail").await;
    Kind::Hosting.submit(&room, LABEL).await;
    let sleeper = room.daemon("email.after_dot=stop", &[]);
    sleeper.until_reached("email.after_dot").await;
    let heir = room.daemon("", &[]);
    let sent = "SELECT count(*) FROM provisor.email_outbox WHERE status = 'sent'";
    eventually("the email is sent", async || room.value::<i64>(sent).await == 1).await;
    sleeper.signal("CONT").await;
    sleeper.drain().await;
    heir.drain().await;
    let mails = house.sandbox.state().mails();
    let to_customer = mails.iter().filter(|mail| mail.recipients == [mailbox(LABEL)]);
    let ids: Vec<_> = to_customer.map(|mail| mail.message_id.as_deref()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_eq!(ids[0], ids[1]);
    assert_eq!(room.value::<i64>(sent).await, 1);
}

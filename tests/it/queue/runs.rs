//! Lines and the records of their runs, as handlers would make them.

use std::time::Duration;

use provisor::db::Database;
use provisor::db::lines::LoadedLine;
use provisor::db::records::{Intent, LineChange, Record, Recorded, Truth, Waits};
use provisor::db::wakes::{ClaimedWake, Due, Fence, Lane};
use provisor::order::decide::{Change, Event, Then};
use provisor::order::ledger::Outcome;
use provisor::order::{LineId, LineStatus, Tag, UpstreamOrderId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{hosting, order};
use crate::world::World;

/// The waits of all these commits.
pub(super) const WAITS: Waits =
    Waits { grace: Duration::from_hours(1), progress_after: Duration::from_hours(1) };

/// Submits an order of so many hosting lines. Answers the ids of its order and of its lines.
pub(super) async fn submit_lines(
    world: &World,
    reference: &str,
    lines: usize,
) -> Vec<(i64, LineId)> {
    let name = reference.to_lowercase();
    let lines: Vec<Value> =
        (0..lines).map(|n| hosting(&format!("{name}-{n}.example.nl"))).collect();
    let id = world.submit(&order(reference, json!(lines))).await.expect("a good order");
    let lines: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM provisor.order_lines WHERE order_id = $1 ORDER BY line")
            .bind(id)
            .fetch_all(&world.pool)
            .await
            .expect("the lines are there");
    lines.into_iter().map(|line| (id, LineId(line))).collect()
}

/// Fills the tables with orders that ended long ago, as a shop of some years has them.
pub(super) async fn fill_with_orders(world: &World, orders: u32) {
    world
        .run(&format!(
            "INSERT INTO provisor.customers (reference, first_name, last_name, email)
             SELECT 'OLD-' || n, 'Bob', 'Brown', 'bob@example.com' FROM generate_series(1, {orders} / 10) AS n;
             SET session_replication_role = replica;
             INSERT INTO provisor.orders (reference, customer_id, document, status, episode, finished_at)
             SELECT 'OLD-' || n, 1 + n % ({orders} / 10), '{{}}', 'completed', 1, now()
             FROM generate_series(1, {orders}) AS n;
             INSERT INTO provisor.order_lines (order_id, line, kind, wish, domain, status)
             SELECT id, 0, 'hosting', '{{}}', 'old-' || id || '.example.nl', 'completed' FROM provisor.orders;
             INSERT INTO provisor.effects (line_id, step, n, tag, state, live, domain, upstream_order_id)
             SELECT id, 'place_order', 1, 'OLD-' || id, 'accepted', false, domain, id
             FROM provisor.order_lines;
             INSERT INTO provisor.attempts (id, effect_id, owner, run_token, request_hash, timeline)
             SELECT gen_random_uuid(), id, gen_random_uuid(), 1, '', '00000001' FROM provisor.effects;
             INSERT INTO provisor.events (order_id, line, event) SELECT id, 0, 'completed' FROM provisor.orders;
             INSERT INTO provisor.email_outbox (dedupe_key, template, order_id, status)
             SELECT 'order_completed:' || id || ':1', 'order_completed', id, 'sent' FROM provisor.orders;
             INSERT INTO provisor.wakes (id, lane, due_at)
             SELECT id * 16 + 1, 2, 'infinity' FROM provisor.order_lines;
             SET session_replication_role = DEFAULT"
        ))
        .await;
}

/// The fence of a line's claim.
pub(super) fn fence_of(claimed: &[ClaimedWake], line: LineId) -> Fence {
    let wake = claimed
        .iter()
        .find(|wake| wake.fence.wake.kind() == 1 && wake.fence.wake.subject() == line.0);
    wake.unwrap_or_else(|| panic!("line {line} was not claimed: {claimed:?}")).fence
}

/// Loads one line.
pub(super) async fn load(db: &Database, line: LineId) -> LoadedLine {
    let loaded = db.load_lines(&[line], WAITS.grace).await.expect("a line can be loaded");
    loaded.get(&line).expect("the line is there").clone()
}

/// A record that parks its line's wake and changes nothing.
pub(super) const fn parking(line: &LoadedLine, fence: Fence) -> Record {
    Record {
        fence,
        order_id: line.order_id,
        line_id: line.line_id,
        intent: None,
        truth: None,
        change: None,
        park: Some((Lane::Poll, Due::Never, 0)),
    }
}

/// A record that moves a line to `status`.
pub(super) fn moving(line: &LoadedLine, fence: Fence, status: LineStatus) -> Record {
    let mut change = Change::unchanged(&line.facts, Then::Rest);
    change.progress.status = status;
    change.events = vec![Event { name: status.as_str(), detail: json!({}) }];
    Record { change: Some(LineChange::of(&line.facts, change)), ..parking(line, fence) }
}

/// A record of the intent to place a line's order.
pub(super) fn intending(line: &LoadedLine, fence: Fence) -> Record {
    let tag = Tag::new(&line.facts.reference, line.facts.line, 1);
    let domain = line.facts.progress.domain.clone().expect("hosting has a domain");
    let intent = Intent::to_place(Uuid::new_v4(), 1, tag, domain, [7; 32]);
    Record { intent: Some(intent), park: None, ..moving(line, fence, LineStatus::Placing) }
}

/// A record of the answer to an intent: it was accepted as this order.
pub(super) fn accepted(line: &LoadedLine, intended: &Record, order: i64) -> Record {
    let order = UpstreamOrderId(order);
    let truth = Truth {
        attempt: intended.intent.as_ref().expect("an intent").attempt,
        intent: None,
        outcome: Outcome::Accepted,
        upstream_order_id: Some(order),
        contact_handle: None,
        http_status: Some(201),
        jti: None,
        detail: None,
    };
    let mut record = moving(line, intended.fence, LineStatus::Provisioning);
    if let Some(change) = &mut record.change {
        change.progress.upstream_order_id = Some(order);
    }
    Record { truth: Some(truth), park: None, ..record }
}

/// Commits records that must all be done.
pub(super) async fn commit(db: &Database, records: &[Record]) {
    for result in db.commit_records(records, WAITS).await.results {
        let recorded = result.expect("a good record");
        assert!(matches!(recorded, Recorded::Done { .. }), "{recorded:?}");
    }
}

/// Carries lines out: intents, acceptances, a poll that shows nothing, a delivery of the first and a doubt of the rest.
pub(super) async fn carry_out(db: &Database, lines: &[LineId], claimed: &[ClaimedWake]) {
    let mut intents = Vec::new();
    for &line in lines {
        intents.push(intending(&load(db, line).await, fence_of(claimed, line)));
    }
    commit(db, &intents).await;
    let mut truths = Vec::new();
    for (intent, &line) in intents.iter().zip(lines) {
        truths.push(accepted(&load(db, line).await, intent, 1_000_000 + line.0));
    }
    commit(db, &truths).await;
    let mut ends = Vec::new();
    for (n, &line) in lines.iter().enumerate() {
        let status = if n == 0 { LineStatus::Completed } else { LineStatus::InDoubt };
        ends.push(moving(&load(db, line).await, fence_of(claimed, line), status));
    }
    commit(db, &ends).await;
}

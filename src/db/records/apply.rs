//! The steps of the transaction.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;

use super::{
    EndedOrder, LineChange, Locking, Record, Recorded, Waits, doubled, effects, emails::Owed,
    intents, lost, names, orders, wakes,
};
use crate::db::wakes::{LockOrder, Park, park};
use crate::order::{Cause, LineId, LineStatus, Milestone, Reference};

/// What was committed: by the index of each record, and the orders that ended.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) done: HashMap<usize, Recorded>,
    pub(super) ended: Vec<EndedOrder>,
}

/// Applies the records that can be applied now; what is missing in the answer was left for later.
pub(super) async fn apply(
    connection: &mut PgConnection,
    records: &[&Record],
    waits: Waits,
    locking: Locking,
) -> Result<Batch, sqlx::Error> {
    let mut batch = Batch::default();
    // Nobody's lock is waited for without end: the next group waits for this one.
    sqlx::query!("SET LOCAL lock_timeout = '5s'").execute(&mut *connection).await?;
    failpoint!("commit.begun");
    let locked = orders::lock(connection, records, locking).await?;
    failpoint!("commit.locked");
    let mut taken: Vec<(usize, &Record)> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| !record.touches_order() || locked.contains(&record.order_id.0))
        .map(|(index, record)| (index, *record))
        .collect();
    let wakes = wakes::lock(connection, &taken, locking).await?;
    taken.retain(|(_, record)| !wakes.are_busy_for(record));
    let lines = lines(connection, &taken).await?;
    let mut lost = Vec::new();
    if locking == Locking::Wait {
        let is_gone =
            |record: &Record| record.touches_order() && !locked.contains(&record.order_id.0);
        lost.extend(records.iter().copied().enumerate().filter(|(_, record)| is_gone(record)));
    }
    lost.extend(taken.extract_if(.., |(_, record)| !record.is_of(lines.get(&record.line_id))));
    lost::tell(connection, &lost).await?;
    batch.done.extend(lost.iter().map(|(index, _)| (*index, Recorded::Stale)));
    let doubted = doubled::doubt(connection, &taken, &lines).await?;
    for (index, record) in &mut taken {
        *record = doubted.get(index).unwrap_or(record);
    }
    effects::learn(connection, &taken, &wakes, &lines).await?;
    failpoint!("commit.learnt");

    let (mut going, mut late) = (Vec::new(), Vec::new());
    for (index, record) in taken {
        let expected = record.change.as_ref().map(|change| change.expected);
        if !wakes.are_held_by(&record.fence) {
            batch.done.insert(index, Recorded::Stale);
        } else if expected.is_some()
            && lines.get(&record.line_id).map(|line| line.status) != expected
        {
            batch.done.insert(index, Recorded::Conflict);
        } else {
            going.push((index, record));
            continue;
        }
        late.push(record);
    }
    // That something was found upstream is a truth about an effect, whoever holds the line by now.
    effects::learn_late(connection, &late).await?;
    let intended = intents::intend(connection, &going).await?;
    failpoint!("commit.intended");
    going.retain(|(index, record)| {
        let kept = record.intent.is_none() || intended.contains_key(&record.line_id);
        if !kept {
            batch.done.insert(*index, Recorded::Conflict);
        }
        kept
    });

    let changed: Vec<(&Record, &LineChange)> = going
        .iter()
        .filter_map(|(_, record)| record.change.as_ref().map(|change| (*record, change)))
        .collect();
    batch.ended = write_changes(connection, &changed, waits).await?;

    let parks: Vec<Park> = going.iter().filter_map(|(_, record)| record.to_park()).collect();
    if !parks.is_empty() {
        // Their locks are held: the batch has begun with them.
        park(connection, &parks, LockOrder::Given).await?;
    }
    for (index, record) in going {
        let timeline = intended.get(&record.line_id).cloned();
        batch.done.insert(index, Recorded::Done { timeline });
    }
    Ok(batch)
}

/// Writes lines, and all that follows from their change: ledger, names, timeline, orders, emails, pokes. Their orders and
/// wakes are locked, and each was seen to stand where its change expects it.
pub(super) async fn write_changes(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
    waits: Waits,
) -> Result<Vec<EndedOrder>, sqlx::Error> {
    update_lines(connection, changed).await?;
    effects::settle(connection, changed).await?;
    names::note(connection, changed).await?;
    let mut owed = Vec::new();
    insert_events(connection, changed).await?;
    failpoint!("commit.lines_written");
    for (record, change) in changed {
        owed.extend(Owed::by_line(record, change));
    }
    let (ended, owed_by_orders) = orders::derive_statuses(connection, changed, waits).await?;
    failpoint!("commit.orders_derived");
    owed.extend(owed_by_orders);
    super::emails::owe(connection, &owed).await?;
    failpoint!("commit.emails_owed");
    orders::wake_waiting(connection, changed, waits).await?;
    failpoint!("commit.poked");
    Ok(ended)
}

impl Record {
    /// Whether the order must be locked for it: not where only a wake is parked.
    pub(super) const fn touches_order(&self) -> bool {
        self.intent.is_some() || self.truth.is_some() || self.change.is_some()
    }
}

/// A line as it stands now, under its order's lock.
pub(super) struct Line {
    pub(super) status: LineStatus,
    reference: Reference,
    index: i32,
}

impl Line {
    /// For people: `SHOP-1000/2`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.reference, self.index)
    }
}

impl Record {
    /// Whether what it intended, or what it learnt, is this line's. After a failover that has lost orders their ids may have
    /// been given to others.
    fn is_of(&self, line: Option<&Line>) -> bool {
        let intent = self.intent.as_ref().or_else(|| self.truth.as_ref()?.intent.as_deref());
        intent.is_none_or(|intent| {
            line.is_some_and(|line| intent.tag.is_of(&line.reference, line.index))
        })
    }
}

async fn lines(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
) -> Result<HashMap<LineId, Line>, sqlx::Error> {
    let ids: Vec<i64> = taken
        .iter()
        .filter(|(_, record)| record.touches_order())
        .map(|(_, record)| record.line_id.0)
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "SELECT l.id, l.status, l.line, o.reference
         FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
         WHERE l.id = ANY ($1)",
        &ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let status = row.status.parse().ok()?;
            let line = Line { status, reference: Reference(row.reference), index: row.line };
            Some((LineId(row.id), line))
        })
        .collect())
}

/// Writes the lines, each only where it stands as expected: a cancellation and an intent both do this, and one loses.
async fn update_lines(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let column = |f: fn(&LineChange) -> Option<&str>| -> Vec<Option<String>> {
        changed.iter().map(|(_, change)| f(change).map(str::to_owned)).collect()
    };
    let time = |f: fn(&LineChange) -> Option<DateTime<Utc>>| -> Vec<Option<DateTime<Utc>>> {
        changed.iter().map(|(_, change)| f(change)).collect()
    };
    let ids: Vec<i64> = changed.iter().map(|(record, _)| record.line_id.0).collect();
    let upstream_orders: Vec<Option<i64>> =
        changed.iter().map(|(_, c)| c.progress.upstream_order_id.map(|id| id.0)).collect();
    let sites: Vec<Option<i64>> =
        changed.iter().map(|(_, c)| c.progress.site_id.map(|id| id.0)).collect();
    let costs: Vec<Option<Decimal>> =
        changed.iter().map(|(_, c)| c.progress.cost.map(|cost| cost.0)).collect();
    let panics: Vec<i32> = changed.iter().map(|(_, c)| c.progress.panics).collect();
    let sent: Vec<Option<bool>> = changed.iter().map(|(_, c)| c.sent).collect();
    let alternatives: Vec<Option<Value>> = changed
        .iter()
        .map(|(_, c)| serde_json::to_value(c.progress.alternatives.as_ref()?).ok())
        .collect();
    let updated = sqlx::query!(
        "UPDATE provisor.order_lines l
         SET status = c.status, reason = c.reason, domain = c.domain,
             upstream_order_id = c.upstream_order_id, site_id = c.site_id, cost = c.cost,
             simple_status = c.simple_status, accepted_at = c.accepted_at,
             failed_seen_at = c.failed_seen_at, completed_seen_at = c.completed_seen_at,
             in_doubt_at = c.in_doubt_at, overdue_told_at = c.overdue_told_at, panics = c.panics,
             cause = c.cause, milestone = c.milestone, refused = c.refused, contact_handle = c.contact_handle,
             expires_at = c.expires_at, alternatives = c.alternatives,
             sent = coalesce(c.sent, l.sent), updated_at = clock_timestamp()
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                     $7::bigint[], $8::numeric[], $9::text[], $10::timestamptz[], $11::timestamptz[],
                     $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::integer[],
                     $16::boolean[], $17::text[], $18::text[], $19::text[], $20::text[], $21::timestamptz[],
                     $22::jsonb[])
             AS c (id, expected, status, reason, domain, upstream_order_id, site_id, cost,
                   simple_status, accepted_at, failed_seen_at, completed_seen_at, in_doubt_at,
                   overdue_told_at, panics, sent, cause, milestone, refused, contact_handle, expires_at,
                   alternatives)
         WHERE l.id = c.id AND l.status = c.expected",
        &ids,
        &column(|c| Some(c.expected.as_str())) as &[Option<String>],
        &column(|c| Some(c.progress.status.as_str())) as &[Option<String>],
        &column(|c| c.progress.reason.as_deref()) as &[Option<String>],
        &column(|c| c.progress.domain.as_deref()) as &[Option<String>],
        &upstream_orders as &[Option<i64>],
        &sites as &[Option<i64>],
        &costs as &[Option<Decimal>],
        &column(|c| c.progress.simple_status.as_deref()) as &[Option<String>],
        &time(|c| c.progress.accepted_at) as &[Option<DateTime<Utc>>],
        &time(|c| c.progress.failed_seen_at) as &[Option<DateTime<Utc>>],
        &time(|c| c.progress.completed_seen_at) as &[Option<DateTime<Utc>>],
        &time(|c| c.progress.in_doubt_at) as &[Option<DateTime<Utc>>],
        &time(|c| c.progress.overdue_told_at) as &[Option<DateTime<Utc>>],
        &panics,
        &sent as &[Option<bool>],
        &column(|c| c.progress.cause.map(Cause::as_str)) as &[Option<String>],
        &column(|c| c.progress.milestone.map(Milestone::as_str)) as &[Option<String>],
        &column(|c| c.progress.refused.as_deref()) as &[Option<String>],
        &column(|c| c.progress.contact_handle.as_ref().map(|handle| handle.0.as_str()))
            as &[Option<String>],
        &time(|c| c.progress.expires_at) as &[Option<DateTime<Utc>>],
        &alternatives as &[Option<Value>],
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    expect_all(updated, changed.len())
}

/// Under the order's lock nobody else changes a line, and each was just seen to stand as expected.
fn expect_all(updated: u64, lines: usize) -> Result<(), sqlx::Error> {
    if updated == u64::try_from(lines).unwrap_or(u64::MAX) {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!(
        "{updated} of {lines} lines stood as expected under their orders' locks"
    )))
}

/// Writes the timeline.
async fn insert_events(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
) -> Result<(), sqlx::Error> {
    let mut orders = Vec::new();
    let mut lines = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut details: Vec<Value> = Vec::new();
    for (record, change) in changed {
        for event in &change.events {
            orders.push(record.order_id.0);
            lines.push(record.line_id.0);
            names.push(event.name.to_owned());
            details.push(event.detail.clone());
        }
    }
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO provisor.events (order_id, line, event, detail)
         SELECT e.order_id, l.line, e.event, e.detail
         FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::jsonb[]) WITH ORDINALITY
                  AS e (order_id, line_id, event, detail, position)
         JOIN provisor.order_lines l ON l.id = e.line_id
         ORDER BY e.position",
        &orders,
        &lines,
        &names,
        &details,
    )
    .execute(connection)
    .await
    .map(drop)
}

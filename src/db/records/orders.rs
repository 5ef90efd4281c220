//! The orders' part of the transaction: their locks, and their statuses.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use sqlx::PgConnection;

use super::{EndedOrder, LineChange, Locking, Record, Waits, emails::Owed};
use crate::db::{lines::select_line_states, micros};
use crate::order::{
    LineStatus, OrderId, OrderStatus,
    status::{LineState, derive},
};

/// Locks the orders of these records, by id.
pub(super) async fn lock(
    connection: &mut PgConnection,
    records: &[&Record],
    locking: Locking,
) -> Result<HashSet<i64>, sqlx::Error> {
    let ids: BTreeSet<i64> = records
        .iter()
        .filter(|record| record.touches_order())
        .map(|record| record.order_id.0)
        .collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    let locked =
        match locking {
            Locking::Skip => {
                sqlx::query_scalar!(
                    "SELECT id FROM provisor.orders WHERE id = ANY ($1) ORDER BY id
                 FOR NO KEY UPDATE SKIP LOCKED",
                    &ids,
                )
                .fetch_all(connection)
                .await?
            }
            Locking::Wait => sqlx::query_scalar!(
                "SELECT id FROM provisor.orders WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
                &ids,
            )
            .fetch_all(connection)
            .await?,
        };
    Ok(locked.into_iter().collect())
}

/// An order whose status changes.
struct NewStatus {
    order: OrderId,
    status: OrderStatus,
    reason: Option<String>,
    /// The status itself changes, and not its reason alone.
    moved: bool,
}

/// Derives the statuses of the orders of these lines, writes those that change, and says which emails they owe.
///
/// A statement of its own, after the orders are locked: two lines that end at once must not each miss the other.
pub(super) async fn derive_statuses(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
    waits: Waits,
) -> Result<(Vec<EndedOrder>, Vec<Owed>), sqlx::Error> {
    let ids: BTreeSet<i64> = changed
        .iter()
        .filter(|(_, change)| change.moves_the_order())
        .map(|(record, _)| record.order_id.0)
        .collect();
    derive_orders(connection, &ids.into_iter().collect::<Vec<_>>(), waits.grace).await
}

impl LineChange {
    fn moves_the_order(&self) -> bool {
        self.expected != self.progress.status
            || self.advances
            || self.progress.status == LineStatus::Held
    }
}

/// The same for orders that are already locked.
pub(super) async fn derive_orders(
    connection: &mut PgConnection,
    ids: &[i64],
    grace: Duration,
) -> Result<(Vec<EndedOrder>, Vec<Owed>), sqlx::Error> {
    if ids.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut lines: BTreeMap<i64, Vec<LineState>> = BTreeMap::new();
    for (order, state) in select_line_states(connection, ids, grace).await? {
        let state = state.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        lines.entry(order.0).or_default().push(state);
    }
    let before =
        sqlx::query!("SELECT id, status, reason FROM provisor.orders WHERE id = ANY ($1)", ids)
            .fetch_all(&mut *connection)
            .await?;
    let mut new = Vec::new();
    for row in before {
        let was: OrderStatus =
            row.status.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let Some(states) = lines.get(&row.id) else { continue };
        let (now, reason) = derive(states, was);
        if now != was || reason != row.reason {
            let moved = now != was;
            new.push(NewStatus { order: OrderId(row.id), status: now, reason, moved });
        }
    }
    write_statuses(connection, &new).await
}

async fn write_statuses(
    connection: &mut PgConnection,
    new: &[NewStatus],
) -> Result<(Vec<EndedOrder>, Vec<Owed>), sqlx::Error> {
    if new.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let ids: Vec<i64> = new.iter().map(|new| new.order.0).collect();
    let statuses: Vec<String> = new.iter().map(|new| new.status.as_str().to_owned()).collect();
    let reasons: Vec<Option<String>> = new.iter().map(|new| new.reason.clone()).collect();
    let ended: Vec<bool> = new.iter().map(|new| new.status.is_ended()).collect();
    let moved: Vec<bool> = new.iter().map(|new| new.moved).collect();
    let rows = sqlx::query!(
        r#"WITH changed AS (
               UPDATE provisor.orders o
               SET status = n.status, reason = n.reason, updated_at = clock_timestamp(),
                   finished_at = CASE WHEN n.ended THEN clock_timestamp() END,
                   episode = o.episode + CASE WHEN n.ended AND o.finished_at IS NULL THEN 1 ELSE 0 END
               FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[], $5::boolean[])
                        AS n (id, status, reason, ended, moved)
               WHERE o.id = n.id
               RETURNING o.id, o.reference, o.status, o.episode, o.submitted_at, n.moved),
           told AS (
               INSERT INTO provisor.events (order_id, event, detail)
               SELECT id, 'order_' || status, '{}' FROM changed WHERE moved),
           notified AS MATERIALIZED (
               SELECT pg_notify('provisor_order_status', reference) FROM changed WHERE moved)
           SELECT id, status, episode,
                  (extract(epoch FROM clock_timestamp() - submitted_at) * 1000000)::bigint AS "took!",
                  (SELECT count(*) FROM notified) AS "notified!"
           FROM changed WHERE moved"#,
        &ids,
        &statuses,
        &reasons as &[Option<String>],
        &ended,
        &moved,
    )
    .fetch_all(connection)
    .await?;
    let mut ended = Vec::new();
    let mut owed = Vec::new();
    for row in rows {
        let status: OrderStatus =
            row.status.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if status.is_ended() {
            let took = Duration::from_micros(u64::try_from(row.took).unwrap_or(0));
            ended.push(EndedOrder { status, took });
        }
        owed.extend(Owed::by_order(OrderId(row.id), status, row.episode));
    }
    Ok((ended, owed))
}

/// Pokes the lines that may have waited for one that has ended, of its order or of its name, and sets the alarm for the end
/// of a doubt's grace and for the email that tells of progress.
pub(super) async fn wake_waiting(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
    waits: Waits,
) -> Result<(), sqlx::Error> {
    let orders_where = |f: fn(&LineChange) -> bool| -> Vec<i64> {
        let ids: BTreeSet<i64> = changed
            .iter()
            .filter(|(_, change)| f(change))
            .map(|(record, _)| record.order_id.0)
            .collect();
        ids.into_iter().collect()
    };
    let ended = orders_where(|change| change.progress.status.is_ended() || change.advances);
    let doubtful = orders_where(|change| change.progress.status == LineStatus::InDoubt);
    if !ended.is_empty() {
        let names: Vec<String> = changed
            .iter()
            .filter(|(_, change)| change.progress.status.is_ended())
            .filter_map(|(_, change)| change.progress.domain.clone())
            .collect();
        // Kind 1 is a line's wake, kind 3 an order's, whose lane is audit: jobs/mod.rs. Other orders' lines are not under
        // the locks held here, so a wake that is locked is left alone: it looks again by itself.
        sqlx::query!(
            "WITH poked AS (
                 UPDATE provisor.wakes SET due_at = least(due_at, clock_timestamp()), kicks = kicks + 1
                 WHERE id = ANY (ARRAY (
                     SELECT w.id FROM provisor.wakes w
                     WHERE w.id = ANY (ARRAY (SELECT l.id * 16 + 1 FROM provisor.order_lines l
                                              WHERE l.order_id = ANY ($1)
                                                AND (l.status = 'pending'
                                                     OR l.status = 'provisioning' AND l.milestone = 'arranged')))
                     ORDER BY w.id FOR UPDATE))),
             of_the_name AS MATERIALIZED (
                 SELECT id FROM provisor.wakes
                 WHERE id = ANY (ARRAY (SELECT l.id * 16 + 1 FROM provisor.order_lines l
                                        WHERE l.domain = ANY ($3) AND l.status = 'pending'
                                          AND l.order_id <> ALL ($1)
                                        ORDER BY 1 LIMIT 1000))
                 ORDER BY id FOR NO KEY UPDATE SKIP LOCKED),
             poked_too AS (
                 UPDATE provisor.wakes SET due_at = least(due_at, clock_timestamp()), kicks = kicks + 1
                 WHERE id = ANY (ARRAY (SELECT id FROM of_the_name)))
             INSERT INTO provisor.wakes (id, lane, due_at)
             SELECT o.id * 16 + 3, 4,
                    greatest(clock_timestamp(), o.submitted_at + $2::bigint * interval '1 microsecond')
             FROM provisor.orders o
             WHERE o.id = ANY ($1) AND o.finished_at IS NULL
             ORDER BY o.id
             ON CONFLICT (id) DO UPDATE
             SET due_at = least(wakes.due_at, excluded.due_at), kicks = wakes.kicks + 1",
            &ended,
            micros(waits.progress_after),
            &names,
        )
        .execute(&mut *connection)
        .await?;
    }
    if !doubtful.is_empty() {
        sqlx::query!(
            "INSERT INTO provisor.wakes (id, lane, due_at)
             SELECT o.id * 16 + 3, 4,
                    greatest(clock_timestamp(), l.since + $2::bigint * interval '1 microsecond')
             FROM unnest($1::bigint[]) AS o (id)
             CROSS JOIN LATERAL (SELECT min(in_doubt_at) AS since FROM provisor.order_lines
                                 WHERE order_id = o.id AND status = 'in_doubt') AS l
             ORDER BY o.id
             ON CONFLICT (id) DO UPDATE
             SET due_at = least(wakes.due_at, excluded.due_at), kicks = wakes.kicks + 1",
            &doubtful,
            micros(waits.grace),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

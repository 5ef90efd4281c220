//! The wakes' part of the transaction: their locks, and who holds them.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Locking, Record};
use crate::{db::wakes::Fence, order::LineStatus};

/// The wakes that the records are about, and those that they poke, locked together in the order of their ids: were the
/// poked ones locked later, two groups could wait for each other in a circle.
#[derive(Debug, Default)]
pub(super) struct LockedWakes {
    /// By id: the run that holds it.
    holders: HashMap<i64, (i64, Option<Uuid>)>,
    /// Wakes that somebody else has locked.
    busy: HashSet<i64>,
    /// Orders of which somebody else has locked a wake that would be poked.
    busy_orders: HashSet<i64>,
}

impl LockedWakes {
    /// Whether the run still holds its wake.
    #[must_use]
    pub(super) fn are_held_by(&self, fence: &Fence) -> bool {
        self.holders.get(&fence.wake.0) == Some(&(fence.run_token, Some(fence.owner)))
    }

    /// Whether a record can't be applied now, for a wake that somebody else has locked.
    #[must_use]
    pub(super) fn are_busy_for(&self, record: &Record) -> bool {
        self.busy.contains(&record.fence.wake.0)
            || record.pokes_others() && self.busy_orders.contains(&record.order_id.0)
    }
}

impl Record {
    /// Whether wakes other than its own are poked by it: see `orders::wake_waiting`.
    fn pokes_others(&self) -> bool {
        self.change.as_ref().is_some_and(|change| {
            change.progress.status.is_ended()
                || change.advances
                || change.progress.status == LineStatus::InDoubt
        })
    }
}

/// Locks the wakes of these records, and those that they will poke.
pub(super) async fn lock(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
    locking: Locking,
) -> Result<LockedWakes, sqlx::Error> {
    let poked = poked(connection, taken).await?;
    let ids: BTreeSet<i64> = taken
        .iter()
        .map(|(_, record)| record.fence.wake.0)
        .chain(poked.iter().map(|(wake, _)| *wake))
        .collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let holders = match locking {
        Locking::Skip => lock_free(connection, &ids).await?,
        Locking::Wait => lock_all(connection, &ids).await?,
    };
    let mut locked = LockedWakes { holders, ..LockedWakes::default() };
    let missing: Vec<i64> = ids.into_iter().filter(|id| !locked.holders.contains_key(id)).collect();
    if locking == Locking::Skip && !missing.is_empty() {
        // What was skipped, and is not merely gone.
        let busy =
            sqlx::query_scalar!("SELECT id FROM provisor.wakes WHERE id = ANY ($1)", &missing)
                .fetch_all(connection)
                .await?;
        locked.busy = busy.into_iter().collect();
        let busy_orders = poked.iter().filter(|(wake, _)| locked.busy.contains(wake));
        locked.busy_orders = busy_orders.map(|(_, order)| *order).collect();
    }
    Ok(locked)
}

/// The wakes that will be poked, each with its order.
async fn poked(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let orders: BTreeSet<i64> = taken
        .iter()
        .filter(|(_, record)| record.pokes_others())
        .map(|(_, record)| record.order_id.0)
        .collect();
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let orders: Vec<i64> = orders.into_iter().collect();
    // Kind 1 is a line's wake, kind 3 an order's: jobs/mod.rs.
    let rows = sqlx::query!(
        r#"SELECT id * 16 + 1 AS "wake!", order_id AS "order!" FROM provisor.order_lines
           WHERE order_id = ANY ($1) AND (status = 'pending' OR status = 'provisioning' AND milestone = 'arranged')
           UNION ALL
           SELECT id * 16 + 3, id FROM unnest($1) AS o (id)"#,
        &orders,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.wake, row.order)).collect())
}

async fn lock_free(
    connection: &mut PgConnection,
    ids: &[i64],
) -> Result<HashMap<i64, (i64, Option<Uuid>)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, run_token, owner FROM provisor.wakes WHERE id = ANY ($1) ORDER BY id
         FOR UPDATE SKIP LOCKED",
        ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, (row.run_token, row.owner))).collect())
}

async fn lock_all(
    connection: &mut PgConnection,
    ids: &[i64],
) -> Result<HashMap<i64, (i64, Option<Uuid>)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, run_token, owner FROM provisor.wakes WHERE id = ANY ($1) ORDER BY id FOR UPDATE",
        ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, (row.run_token, row.owner))).collect())
}

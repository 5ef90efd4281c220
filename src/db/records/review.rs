//! The review of an order that its own wake asks for: a doubt's grace has ended, or progress is to be told.

use std::time::Duration;

use sqlx::PgConnection;

use super::{EndedOrder, Waits, emails, emails::Owed, orders};
use crate::{
    db::{
        Database, DbError, micros,
        wakes::{Due, Fence, Lane, LockOrder, Park, Parked, park},
    },
    order::{LineId, OrderId},
};

impl Database {
    /// Reviews an order: tells the operator of doubts past their grace, the customer of progress, and sets the next alarm.
    pub async fn review_order(
        &self,
        fence: Fence,
        order: OrderId,
        waits: Waits,
    ) -> Result<Vec<EndedOrder>, DbError> {
        self.call("reviewing an order", async |connection| {
            let mut transaction = crate::db::begin(connection).await?;
            let ended = review(&mut transaction, fence, order, waits).await?;
            failpoint!("review.before_commit");
            transaction.commit().await?;
            Ok(ended)
        })
        .await
    }
}

async fn review(
    connection: &mut PgConnection,
    fence: Fence,
    order: OrderId,
    waits: Waits,
) -> Result<Vec<EndedOrder>, sqlx::Error> {
    sqlx::query!("SET LOCAL lock_timeout = '5s'").execute(&mut *connection).await?;
    sqlx::query!("SELECT id FROM provisor.orders WHERE id = $1 FOR NO KEY UPDATE", order.0)
        .fetch_optional(&mut *connection)
        .await?;
    let mut owed = Vec::new();
    // By the transaction's own time, here and below: a grace that ends between the two questions is neither told of now nor
    // waited for.
    let doubts = sqlx::query!(
        r#"SELECT id, (extract(epoch FROM in_doubt_at) * 1000000)::bigint AS "since!"
           FROM provisor.order_lines
           WHERE order_id = $1 AND status = 'in_doubt'
             AND in_doubt_at + $2::bigint * interval '1 microsecond' <= now()"#,
        order.0,
        micros(waits.grace),
    )
    .fetch_all(&mut *connection)
    .await?;
    owed.extend(
        doubts
            .into_iter()
            .map(|row| Owed::to_operator(order, LineId(row.id), "in_doubt", row.since)),
    );
    let alarms = sqlx::query!(
        r#"SELECT coalesce(bool_or(l.status = 'completed')
                      AND bool_or(l.status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held')),
                  false) AS "in_progress!",
                  (extract(epoch FROM o.submitted_at + $3::bigint * interval '1 microsecond'
                       - clock_timestamp()) * 1000000)::bigint AS "progress!",
                  (extract(epoch FROM min(l.in_doubt_at) FILTER (
                       WHERE l.status = 'in_doubt'
                         AND l.in_doubt_at + $2::bigint * interval '1 microsecond' > now())
                       + $2::bigint * interval '1 microsecond' - clock_timestamp()) * 1000000)::bigint
                      AS doubt
           FROM provisor.orders o JOIN provisor.order_lines l ON l.order_id = o.id
           WHERE o.id = $1 GROUP BY o.id"#,
        order.0,
        micros(waits.grace),
        micros(waits.progress_after),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let mut next = None;
    if let Some(row) = alarms {
        next = row.doubt;
        if row.in_progress && row.progress <= 0 {
            owed.push(Owed::progress(order));
        } else if row.in_progress {
            next = Some(next.map_or(row.progress, |doubt| doubt.min(row.progress)));
        }
    }
    emails::owe(connection, &owed).await?;
    let (ended, owed_by_order) = orders::derive_orders(connection, &[order.0], waits.grace).await?;
    emails::owe(connection, &owed_by_order).await?;
    let due = next.map_or(Due::Never, |wait| {
        Due::In(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    });
    let rest = Park { fence, lane: Lane::Audit, due, tries: 0 };
    if park(connection, &[rest], LockOrder::Given).await?.into_iter().all(Parked::was_held) {
        return Ok(ended);
    }
    // Another run holds the order's wake: it will find the same and do it.
    Err(sqlx::Error::RowNotFound)
}

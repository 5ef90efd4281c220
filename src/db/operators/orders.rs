//! Orders that an operator hands over, or withdraws: their timelines tell who it was, and why.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Submitter, pauses::Deed};
use crate::db::{Database, DbError, begin};

impl Database {
    /// Submits an operator's order, as a shop does or by his own rules. Its id.
    pub async fn submit_by_operator(
        &self,
        document: &Value,
        submitter: Submitter,
        deed: Deed<'_>,
    ) -> Result<i64, DbError> {
        self.call("submitting the order", async |connection| {
            let mut transaction = begin(connection).await?;
            let id = match submitter {
                Submitter::Shop => {
                    sqlx::query_scalar!(r#"SELECT provisor.submit_order($1) AS "id!""#, document)
                        .fetch_one(&mut *transaction)
                        .await?
                }
                Submitter::Operator => {
                    sqlx::query_scalar!(
                        r#"SELECT provisor.submit_operator_order($1) AS "id!""#,
                        document
                    )
                    .fetch_one(&mut *transaction)
                    .await?
                }
            };
            deed.write_of(&mut transaction, id, "ordered_by").await?;
            transaction.commit().await?;
            Ok(id)
        })
        .await
    }

    /// Cancels an order as a shop does: `cancelled` or `too_late`. If it was not cancelled before, its timeline tells
    /// by whom.
    pub async fn cancel_by_operator(
        &self,
        reference: &str,
        deed: Deed<'_>,
    ) -> Result<String, DbError> {
        self.call("cancelling the order", async |connection| {
            let mut transaction = begin(connection).await?;
            // Locked as `cancel_order` does, so that nobody cancels it in between.
            let before = sqlx::query!(
                "SELECT id, status FROM provisor.orders WHERE reference = $1 FOR NO KEY UPDATE",
                reference,
            )
            .fetch_optional(&mut *transaction)
            .await?;
            let result =
                sqlx::query_scalar!(r#"SELECT provisor.cancel_order($1) AS "result!""#, reference)
                    .fetch_one(&mut *transaction)
                    .await?;
            let changed = before.filter(|it| result == "cancelled" && it.status != "cancelled");
            if let Some(order) = changed {
                deed.write_of(&mut transaction, order.id, "cancelled_by").await?;
            }
            transaction.commit().await?;
            Ok(result)
        })
        .await
    }
}

impl Deed<'_> {
    /// Notes it of an order, in the transaction of what was done.
    async fn write_of(
        self,
        connection: &mut PgConnection,
        order: i64,
        event: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "INSERT INTO provisor.events (order_id, event, detail) VALUES ($1, $2, jsonb_strip_nulls($3))",
            order,
            event,
            json!({ "by": self.by, "why": self.why }),
        )
        .execute(connection)
        .await
        .map(drop)
    }
}

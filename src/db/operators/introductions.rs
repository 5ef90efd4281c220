//! Customers whom an operator has made known to Leanstack.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::pauses::Deed;
use crate::{
    db::{Database, DbError, begin, wakes::WakeId},
    order::CustomerId,
};

/// How far Leanstack knows a customer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Introduction {
    /// Since when it knows him.
    pub known_at: Option<DateTime<Utc>>,
    /// Why it refused him as he is.
    pub refused: Option<String>,
}

impl Database {
    /// Stores a customer for Leanstack, and wakes whoever makes him known. His id, by which it is told who said so: no
    /// personal data.
    pub async fn introduce_customer(
        &self,
        customer: &Value,
        wake: WakeId,
        deed: Deed<'_>,
    ) -> Result<CustomerId, DbError> {
        self.call("making a customer known", async |connection| {
            let mut transaction = begin(connection).await?;
            let id =
                sqlx::query_scalar!(r#"SELECT provisor.introduce_customer($1) AS "id!""#, customer)
                    .fetch_one(&mut *transaction)
                    .await?;
            let detail = json!({ "customer_id": id });
            deed.write(&mut transaction, "customer_introduced", &detail).await?;
            // Should this be lost, he is found a little later all the same.
            sqlx::query!("SELECT provisor.poke($1)", wake.0).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(CustomerId(id))
        })
        .await
    }

    /// How far Leanstack knows a customer of this reference; `None`: there is no such customer.
    pub async fn introduction(&self, reference: &str) -> Result<Option<Introduction>, DbError> {
        self.call("reading whom Leanstack knows", async |connection| {
            sqlx::query_as!(
                Introduction,
                "SELECT leanstack_at AS known_at, leanstack_refused AS refused
                 FROM provisor.customers WHERE reference = $1",
                reference,
            )
            .fetch_optional(connection)
            .await
        })
        .await
    }
}

//! The customers that Leanstack shall know.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Database, DbError};
use crate::order::CustomerId;

/// A customer whom Leanstack does not know yet, with all that it wants to know. Personal data: its Debug shows the id alone.
#[derive(Clone)]
pub struct UnknownCustomer {
    /// The customer.
    pub id: CustomerId,
    /// When his details last changed.
    pub updated_at: DateTime<Utc>,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Email address.
    pub email: String,
    /// E.164, with its plus.
    pub phone: String,
    /// Street and number.
    pub address: String,
    /// Postal code.
    pub postal_code: String,
    /// City.
    pub city: String,
    /// ISO 3166, two letters.
    pub country: String,
}

impl fmt::Debug for UnknownCustomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownCustomer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Database {
    /// Customers whom Leanstack does not know, and has not refused as they are; at most `max`, those first that were not
    /// tried yet. Those whose details do not suffice are left out.
    pub async fn customers_for_leanstack(&self, max: i64) -> Result<Vec<UnknownCustomer>, DbError> {
        let rows = self
            .call("looking for customers that Leanstack does not know", async |connection| {
                sqlx::query!(
                    r#"SELECT id, updated_at, first_name, last_name, email, phone AS "phone!", address AS "address!",
                              postal_code AS "postal_code!", city AS "city!", country AS "country!"
                       FROM provisor.customers
                       WHERE leanstack_at IS NULL AND leanstack_refused IS NULL AND phone IS NOT NULL
                         AND address IS NOT NULL AND postal_code IS NOT NULL AND city IS NOT NULL
                         AND country IS NOT NULL
                       ORDER BY leanstack_tried_at NULLS FIRST, id LIMIT $1"#,
                    max,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| UnknownCustomer {
                id: CustomerId(row.id),
                updated_at: row.updated_at,
                first_name: row.first_name,
                last_name: row.last_name,
                email: row.email,
                phone: row.phone,
                address: row.address,
                postal_code: row.postal_code,
                city: row.city,
                country: row.country,
            })
            .collect())
    }

    /// Notes that Leanstack knows a customer, or why it refused him: then he is not sent again before his details change.
    /// Nothing is noted of details that have changed since they were read.
    pub async fn note_leanstack(
        &self,
        customer: &UnknownCustomer,
        refused: Option<&str>,
    ) -> Result<(), DbError> {
        self.call("noting what Leanstack said of a customer", async |connection| {
            sqlx::query!(
                "UPDATE provisor.customers
                 SET leanstack_at = CASE WHEN $2::text IS NULL THEN clock_timestamp() END, leanstack_refused = $2
                 WHERE id = $1 AND ($2::text IS NULL OR updated_at = $3)",
                customer.id.0,
                refused,
                customer.updated_at,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// Notes that it is unknown whether Leanstack knows a customer: he is sent again, after all others.
    pub async fn note_leanstack_doubt(&self, customer: CustomerId) -> Result<(), DbError> {
        self.call("noting a customer in doubt", async |connection| {
            sqlx::query!(
                "UPDATE provisor.customers SET leanstack_tried_at = clock_timestamp() WHERE id = $1",
                customer.0,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }
}

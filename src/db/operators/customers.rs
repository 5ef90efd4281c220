//! What is known of a customer, exported and forgotten.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pauses::Deed;
use crate::db::{Database, DbError};

/// What was forgotten, or would be.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Forgotten {
    /// Customers with the address.
    pub customers: i64,
    /// Their orders.
    pub orders: i64,
    /// Their domains, of which nobody is reminded any more.
    pub domains: i64,
    /// Orders that are not ended yet: then nothing was forgotten.
    pub under_way: Vec<String>,
}

impl Database {
    /// All that is kept of the customers with an email address; `None`: there are none. Personal data, and for them alone.
    pub async fn export_customer(&self, email: &str) -> Result<Option<Value>, DbError> {
        self.call("exporting a customer", async |connection| {
            sqlx::query_scalar!("SELECT provisor.export_customer($1)", email)
                .fetch_one(connection)
                .await
        })
        .await
    }

    /// Forgets the customers with an email address: all of them, or nobody while an order of theirs is under way. Twice is
    /// as good as once.
    pub async fn forget_customer(&self, email: &str, deed: Deed<'_>) -> Result<Forgotten, DbError> {
        let told = json!({ "by": deed.by, "why": deed.why });
        let forgotten = self
            .call("forgetting a customer", async |connection| {
                sqlx::query_scalar!(
                    r#"SELECT provisor.forget_customer($1, $2) AS "forgotten!""#,
                    email,
                    told,
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(serde_json::from_value(forgotten).unwrap_or_default())
    }
}

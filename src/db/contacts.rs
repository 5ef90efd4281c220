//! The WHOIS contacts that there are: one for each customer and content, shared between no two customers.

use std::{collections::HashMap, fmt::Write as _};

use super::{Database, DbError};
use crate::order::{ContactHandle, CustomerId, LineId, domain::Registrant};

/// The key of a customer's contact with this content.
#[must_use]
pub fn key(customer: CustomerId, registrant: &Registrant) -> String {
    let mut key = format!("{customer}:");
    for byte in registrant.fingerprint() {
        // Writing to a String can't fail.
        let _: Result<(), std::fmt::Error> = write!(key, "{byte:02x}");
    }
    key
}

/// The handles of these contacts, as far as they are known.
pub(super) async fn select(
    connection: &mut sqlx::PgConnection,
    keys: &[String],
) -> Result<HashMap<String, ContactHandle>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!("SELECT key, handle FROM provisor.contacts WHERE key = ANY ($1)", keys)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.key, ContactHandle(row.handle))).collect())
}

impl Database {
    /// Makes the first of these handles, found upstream with the registrant's content, the customer's: one that is not
    /// another customer's, and no other content's. `None`: each of them is.
    pub async fn claim_contact(
        &self,
        customer: CustomerId,
        registrant: &Registrant,
        handles: &[ContactHandle],
    ) -> Result<Option<ContactHandle>, DbError> {
        let key = key(customer, registrant);
        let handles: Vec<String> = handles.iter().map(|handle| handle.0.clone()).collect();
        let claimed = self
            .call("claiming a WHOIS contact", async |connection| {
                sqlx::query!(
                    "INSERT INTO provisor.contacts (key, handle, customer_id)
                     SELECT $1, h.handle, $2 FROM unnest($3::text[]) WITH ORDINALITY AS h (handle, n)
                     WHERE NOT EXISTS (SELECT FROM provisor.contacts c WHERE c.handle = h.handle)
                       -- One may be another customer's with the same details, whose making is under way.
                       AND NOT EXISTS (SELECT FROM provisor.effects e
                                       WHERE e.live AND e.contact_key IS NOT NULL AND e.contact_key <> $1
                                         AND e.state IN ('sending', 'in_doubt')
                                         AND split_part(e.contact_key, ':', 2) = split_part($1, ':', 2))
                     ORDER BY h.n LIMIT 1
                     ON CONFLICT DO NOTHING",
                    key,
                    customer.0,
                    &handles,
                )
                .execute(&mut *connection)
                .await?;
                // Whoever came first has decided.
                sqlx::query_scalar!("SELECT handle FROM provisor.contacts WHERE key = $1", key)
                    .fetch_optional(connection)
                    .await
            })
            .await?;
        Ok(claimed.map(ContactHandle))
    }

    /// The auth code of a transfer, as long as its line is open. For the request that needs it, and for nothing else.
    pub async fn auth_code(&self, line: LineId) -> Result<Option<String>, DbError> {
        self.call("reading an auth code", async |connection| {
            sqlx::query_scalar!(
                "SELECT auth_code FROM provisor.transfer_secrets WHERE line_id = $1",
                line.0
            )
            .fetch_optional(connection)
            .await
        })
        .await
    }
}

//! The names of our customers: what is wished of them, and how they were seen.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Database, DbError, records::write_seen};
use crate::order::{LineStatus, Milestone, domain::DomainSeen, name::DomainName};

/// A name, with the customer's wish for its renewal and the line that brought it.
#[derive(Clone, Debug)]
pub struct WishedName {
    /// The name, as its line has it.
    pub domain: DomainName,
    /// Whether it shall renew by itself; none: nobody has said.
    pub auto_renew_wished: Option<bool>,
    /// Nobody has asked for it just now: the audit has it carried out again.
    pub is_repair: bool,
    /// When it expires, as it was last seen.
    pub expires_at: Option<DateTime<Utc>>,
    /// When this was read, by the database's clock.
    pub read_at: DateTime<Utc>,
    /// Where the line that brings it stands; none for a name that no line brought.
    pub line: Option<(LineStatus, Option<Milestone>)>,
}

impl Database {
    /// A name by the subject of its wake; `None` if there is none (any more).
    pub async fn wished_name(&self, id: i64) -> Result<Option<WishedName>, DbError> {
        let row = self
            .call("reading a wish for a name", async |connection| {
                sqlx::query!(
                    r#"SELECT d.domain, d.auto_renew_wished, d.auto_renew_is_repair AS is_repair, d.expires_at,
                              clock_timestamp() AS "read_at!", l.status AS "status?", l.milestone AS "milestone?"
                       FROM provisor.domains d LEFT JOIN provisor.order_lines l ON l.id = d.line_id
                       WHERE d.id = $1"#,
                    id,
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let line = match row.status {
            Some(status) => {
                let milestone = row.milestone.as_deref().map(str::parse).transpose()?;
                Some((status.parse()?, milestone))
            }
            None => None,
        };
        Ok(Some(WishedName {
            domain: DomainName::from_stored(row.domain),
            auto_renew_wished: row.auto_renew_wished,
            is_repair: row.is_repair,
            expires_at: row.expires_at,
            read_at: row.read_at,
            line,
        }))
    }

    /// Notes how a name was seen, and tells for how long each reading has shown the renewal as it is wished; `None`: this
    /// one does not.
    pub async fn note_seen(
        &self,
        domain: &DomainName,
        seen: &DomainSeen,
    ) -> Result<Option<Duration>, DbError> {
        let seconds = self
            .call("noting how a name was seen", async |connection| {
                write_seen(connection, &[(domain.as_str(), seen)]).await?;
                sqlx::query_scalar!(
                    "SELECT extract(epoch FROM clock_timestamp() - auto_renew_kept_since)::float8
                     FROM provisor.domains WHERE domain = $1",
                    domain.as_str(),
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        // A clock that was set back makes it younger than nothing.
        Ok(seconds.flatten().map(|it| Duration::try_from_secs_f64(it).unwrap_or_default()))
    }

    /// What was read of a name's renewal says nothing of what is read from now on.
    pub async fn wish_not_kept(&self, id: i64) -> Result<(), DbError> {
        self.call("noting that a wish is not kept", async |connection| {
            sqlx::query!(
                "UPDATE provisor.domains SET auto_renew_kept_since = NULL WHERE id = $1",
                id
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// LJPc has refused to carry out this wish for a name's renewal, unless it is another one by now.
    pub async fn refuse_wish(&self, id: i64, wished: bool) -> Result<(), DbError> {
        self.call("noting that a wish was refused", async |connection| {
            sqlx::query!(
                "UPDATE provisor.domains SET auto_renew_refused_at = clock_timestamp()
                 WHERE id = $1 AND auto_renew_wished = $2",
                id,
                wished,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// Writes into the timeline of the order that brought a name; nothing for a name that no order brought.
    pub async fn note_of_name(
        &self,
        id: i64,
        event: &'static str,
        detail: Value,
    ) -> Result<(), DbError> {
        self.call("noting an event of a name", async |connection| {
            sqlx::query!(
                "INSERT INTO provisor.events (order_id, line, event, detail)
                 SELECT l.order_id, l.line, $2, $3
                 FROM provisor.domains d JOIN provisor.order_lines l ON l.id = d.line_id WHERE d.id = $1",
                id,
                event,
                detail,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }
}

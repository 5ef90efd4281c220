//! The names of our customers: what is wished of them, and how they were seen.

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
    /// Where the line that brings it stands; none for a name that no line brought.
    pub line: Option<(LineStatus, Option<Milestone>)>,
}

impl Database {
    /// A name by the subject of its wake; `None` if there is none (any more).
    pub async fn wished_name(&self, id: i64) -> Result<Option<WishedName>, DbError> {
        let row = self
            .call("reading a wish for a name", async |connection| {
                sqlx::query!(
                    r#"SELECT d.domain, d.auto_renew_wished, l.status AS "status?", l.milestone AS "milestone?"
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
            line,
        }))
    }

    /// Notes how a name was seen.
    pub async fn note_seen(&self, domain: &DomainName, seen: &DomainSeen) -> Result<(), DbError> {
        self.call("noting how a name was seen", async |connection| {
            write_seen(connection, &[(domain.as_str(), seen)]).await
        })
        .await
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

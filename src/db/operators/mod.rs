//! What an operator's commands ask of the database beside what a shop does.

pub mod customers;
mod drafts;
mod introductions;
mod orders;
pub mod pauses;
pub mod resuming;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{Database, DbError};
use crate::order::domain::Record;

pub use drafts::Draft;
pub use introductions::Introduction;

/// The most zones before a change that are listed.
pub const PRE_IMAGES_MAX: i64 = 50;

/// The most names of one WHOIS contact that are told.
pub const NAMES_TOLD_MAX: i64 = 20;

/// By whose rules an order document is judged and taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Submitter {
    /// `submit_order`: all that the contract has.
    Shop,
    /// `submit_operator_order`: one line of a kind that no shop may submit.
    Operator,
}

/// Something that is wrong with an order document.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DocumentFault {
    /// Where: `lines[0].domain`.
    pub path: String,
    /// What: `is required`.
    pub message: String,
}

/// A zone as it was before this house replaced its records.
#[derive(Clone, Debug, Serialize)]
pub struct PreImage {
    /// The tag of the change.
    pub tag: String,
    /// When it was sent.
    pub replaced_at: DateTime<Utc>,
    /// The records of the managed types, before it.
    pub records: Vec<Record>,
}

impl Database {
    /// Every fault of a document, at most 100 of them. None: it can be submitted.
    pub async fn document_faults(
        &self,
        document: &Value,
        submitter: Submitter,
    ) -> Result<Vec<DocumentFault>, DbError> {
        self.call("judging the order", async |connection| match submitter {
            Submitter::Shop => {
                sqlx::query_as!(
                    DocumentFault,
                    r#"SELECT path AS "path!", message AS "message!" FROM provisor.validate_order($1)"#,
                    document
                )
                .fetch_all(connection)
                .await
            }
            Submitter::Operator => {
                sqlx::query_as!(
                    DocumentFault,
                    r#"SELECT path AS "path!", message AS "message!" FROM provisor.operator_order_faults($1)"#,
                    document
                )
                .fetch_all(connection)
                .await
            }
        })
        .await
    }

    /// The names that were last seen to bear a WHOIS contact, at most [`NAMES_TOLD_MAX`], and how many they are in all.
    /// Names that Provisor does not know are not among them.
    pub async fn names_of_contact(&self, handle: &str) -> Result<(Vec<String>, i64), DbError> {
        let rows = self
            .call("looking for a contact's names", async |connection| {
                sqlx::query!(
                    r#"SELECT d.domain, count(*) OVER () AS "names!"
                       FROM provisor.domains d WHERE d.contact_handle_seen = $1 ORDER BY d.domain LIMIT $2"#,
                    handle,
                    NAMES_TOLD_MAX,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let in_all = rows.first().map_or(0, |row| row.names);
        Ok((rows.into_iter().map(|row| row.domain).collect(), in_all))
    }

    /// What a name's zone was before each change that this house has made of it, the latest first, at most
    /// [`PRE_IMAGES_MAX`]. A change that LJPc did not accept is none.
    pub async fn zone_pre_images(&self, domain: &str) -> Result<Vec<PreImage>, DbError> {
        let rows = self
            .call("reading what a zone was", async |connection| {
                sqlx::query!(
                    r#"SELECT e.tag, e.intended_at, e.before AS "before!"
                       FROM provisor.effects e
                       WHERE e.domain = $1 AND e.step = 'replace_records' AND e.state = 'accepted'
                         AND e.before IS NOT NULL
                       ORDER BY e.intended_at DESC, e.id DESC LIMIT $2"#,
                    domain,
                    PRE_IMAGES_MAX,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        // What this house wrote, it reads; a row of a newer one's is no set to go back to.
        let read = |row: Value| serde_json::from_value::<Vec<Record>>(row).ok();
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let (tag, replaced_at) = (row.tag, row.intended_at);
                Some(PreImage { tag, replaced_at, records: read(row.before)? })
            })
            .collect())
    }
}

//! What a person asks and says about emails.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::db::{Database, DbError, begin};
use crate::order::EmailId;

/// An email in a listing: without an address, which is its customer's.
#[derive(Clone, Debug, Serialize)]
pub struct OutboxRow {
    /// `email_outbox.id`
    pub id: i64,
    /// Its template.
    pub template: String,
    /// The order's reference, with the line's index where it is about one; the name; or what the operator is told of.
    pub about: Option<String>,
    /// The shop's reference of the customer; none for one to the operator.
    pub customer_reference: Option<String>,
    /// `queued`, `sent`, `failed` or `disabled`.
    pub status: String,
    /// How often it was tried.
    pub attempts: i32,
    /// What the mail server said when it last refused it.
    pub last_error: Option<String>,
    /// When it was owed.
    pub created_at: DateTime<Utc>,
    /// When it was sent, given up or left.
    pub settled_at: Option<DateTime<Utc>>,
    /// The left part of its Message-ID.
    pub message_id: String,
}

impl Database {
    /// Notes the templates that are not sent, so that a submission settles what it owes by them at once.
    pub async fn note_disabled_emails(&self, templates: &[String]) -> Result<(), DbError> {
        self.call("noting the emails that are disabled", async |connection| {
            sqlx::query!(
                "WITH enabled AS (DELETE FROM provisor.disabled_emails WHERE template <> ALL ($1))
                 INSERT INTO provisor.disabled_emails SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING",
                templates,
            )
            .execute(connection)
            .await
            .map(drop)
        })
        .await
    }

    /// Lists emails, the newest first: of a status, of a template, of an order.
    pub async fn list_emails(
        &self,
        (status, template, reference): (Option<&str>, Option<&str>, Option<&str>),
        limit: i64,
    ) -> Result<Vec<OutboxRow>, DbError> {
        self.call("listing emails", async |connection| {
            sqlx::query_as!(
                OutboxRow,
                r#"SELECT m.id, m.template,
                          coalesce(o.reference || coalesce('/' || m.line, ''), m.context ->> 'domain',
                                   m.context ->> 'about') AS about,
                          c.reference AS "customer_reference?", m.status, m.attempts, m.last_error, m.created_at,
                          m.settled_at, m.message_id
                   FROM provisor.email_outbox m
                   LEFT JOIN provisor.orders o ON o.id = m.order_id
                   LEFT JOIN provisor.customers c ON c.id = m.customer_id
                   WHERE ($1::text IS NULL OR m.status = $1) AND ($2::text IS NULL OR m.template = $2)
                     AND ($3::text IS NULL OR m.order_id = (SELECT id FROM provisor.orders WHERE reference = $3))
                   ORDER BY m.id DESC LIMIT $4"#,
                status,
                template,
                reference,
                limit,
            )
            .fetch_all(connection)
            .await
        })
        .await
    }

    /// Owes an email once more that is settled; who says so, and why, enters its order's timeline. Answers how it stood;
    /// `None`: there is none.
    pub async fn resend_email(
        &self,
        id: EmailId,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<String>, DbError> {
        self.call("owing an email again", async |connection| {
            let mut transaction = begin(connection).await?;
            // Wakes before what they are about, as everywhere. It may have been forgotten: kind 2, lane 3 (jobs/mod.rs).
            sqlx::query!(
                "INSERT INTO provisor.wakes (id, lane, due_at)
                 SELECT id * 16 + 2, 3, 'infinity' FROM provisor.email_outbox WHERE id = $1
                 ON CONFLICT (id) DO NOTHING",
                id.0,
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!("SELECT FROM provisor.wakes WHERE id = $1 FOR UPDATE", id.0 * 16 + 2)
                .fetch_optional(&mut *transaction)
                .await?;
            let was = sqlx::query_scalar!(
                "SELECT status FROM provisor.email_outbox WHERE id = $1 FOR UPDATE",
                id.0
            )
            .fetch_optional(&mut *transaction)
            .await?;
            if was.as_deref().is_some_and(|was| was != "queued") {
                sqlx::query!(
                    "WITH owed AS (
                         UPDATE provisor.email_outbox
                         SET status = 'queued', settled_at = NULL, last_error = NULL, created_at = clock_timestamp(),
                             context = context - 'delivered'
                         WHERE id = $1 RETURNING order_id, line, template)
                     INSERT INTO provisor.events (order_id, line, event, detail)
                     SELECT order_id, line, 'email_resend', jsonb_build_object('template', template) || $2
                     FROM owed",
                    id.0,
                    json!({ "by": by, "why": why }),
                )
                .execute(&mut *transaction)
                .await?;
                sqlx::query!("SELECT provisor.poke($1)", id.0 * 16 + 2)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(was)
        })
        .await
    }
}

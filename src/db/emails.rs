//! Reading what an email is made of.

pub mod outbox;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Database, DbError,
    audit::{Digest, select_digest},
    wakes::{Fence, WakeId},
};
use crate::{
    order::{EmailId, OrderId},
    trace::Trace,
};

/// An email that is owed.
#[derive(Clone, Debug)]
pub struct OwedEmail {
    /// Its id.
    pub id: EmailId,
    /// Its template's name.
    pub template: String,
    /// What an email to the operator is about: `held`, `in_doubt`, `overdue`, `bought_twice`, ….
    pub about: Option<String>,
    /// What the operator is told, where it is not the line's reason.
    pub reason: Option<String>,
    /// The name that it is about, where it is about one: of reminders.
    pub notice: Option<EmailNotice>,
    /// The audit that it is about, and what that has found.
    pub digest: Option<Digest>,
    /// Which of several recipients have it already, by their places in the settings.
    pub delivered: Vec<i32>,
    /// Unchanged over all attempts: the left part of its Message-ID.
    pub message_id: String,
    /// When it was owed.
    pub created_at: DateTime<Utc>,
    /// How long ago.
    pub age: Duration,
    /// Whether it still has to be sent.
    pub queued: bool,
    /// Its customer; none for one to the operator.
    pub customer: Option<Recipient>,
    /// Its order.
    pub order: Option<EmailOrder>,
    /// The index of the line that it is about, if it is about one.
    pub line: Option<i32>,
}

/// A customer, as last told by the shop.
#[derive(Clone)]
pub struct Recipient {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Organisation.
    pub organization: Option<String>,
    /// Address of the mailbox.
    pub email: String,
    /// `en` or `nl`.
    pub locale: String,
}

impl std::fmt::Debug for Recipient {
    /// Personal data stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipient").field("locale", &self.locale).finish_non_exhaustive()
    }
}

/// A name that expires.
#[derive(Clone, Debug, Deserialize)]
pub struct EmailNotice {
    /// The name.
    pub domain: String,
    /// The day of its expiry, in `audit.timezone`.
    pub expires_on: NaiveDate,
    /// Whether it renews by itself.
    pub auto_renew: bool,
}

/// The order that an email tells of.
#[derive(Clone, Debug)]
pub struct EmailOrder {
    /// Its id.
    pub id: OrderId,
    /// The shop's reference.
    pub reference: String,
    /// Its trace; none for orders from before there were any.
    pub trace: Option<Trace>,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// Its lines.
    pub lines: Vec<EmailLine>,
}

/// A line that an email tells of.
#[derive(Clone, Debug)]
pub struct EmailLine {
    /// Index, from 0.
    pub line: i32,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub domain: Option<String>,
    /// What was asked for.
    pub wish: Value,
    /// Where it stands.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Why, as far as the customer may read of it.
    pub cause: Option<String>,
    /// Names that may be had instead.
    pub alternatives: Vec<String>,
    /// What was delivered.
    pub site_id: Option<i64>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its LJPc order.
    pub upstream_order_id: Option<i64>,
    /// How often a worker has panicked on it since a person last looked.
    pub panics: i32,
    /// The steps, numbers and states of its placements, the latest at the end: `place_order 1 in_doubt`.
    pub placements: Vec<String>,
    /// The tag of its latest placement.
    pub tag: Option<String>,
    /// The attempts of that placement, told in a line each.
    pub attempts: Vec<String>,
}

impl Database {
    /// Loads what emails are made of, for runs that still hold them. One that does not exist is not in the answer.
    ///
    /// A claim is not waited for until it is on the disk (`db/wakes.rs`), and a crash of the server may lose it. For a line
    /// its intent is the proof that it was not; an email is sent without one. So this has the disk catch up, and looks.
    pub async fn load_emails(&self, fences: &[Fence]) -> Result<LoadedEmails, DbError> {
        let wakes: Vec<i64> = fences.iter().map(|fence| fence.wake.0).collect();
        let tokens: Vec<i64> = fences.iter().map(|fence| fence.run_token).collect();
        let owners: Vec<Uuid> = fences.iter().map(|fence| fence.owner).collect();
        self.call("loading emails", async |connection| {
            // The message means nothing; the commit of what writes it waits for all that was written before.
            let held = sqlx::query_scalar!(
                r#"WITH flushed AS MATERIALIZED (SELECT pg_logical_emit_message(true, 'provisor', '') AS at)
                   SELECT w.id FROM flushed, unnest($1::bigint[], $2::bigint[], $3::uuid[]) AS f (id, run_token, owner)
                   JOIN provisor.wakes w ON w.id = f.id AND w.run_token = f.run_token AND w.owner = f.owner
                   WHERE flushed.at IS NOT NULL"#,
                &wakes,
                &tokens,
                &owners,
            )
            .fetch_all(&mut *connection)
            .await?;
            let held: HashSet<WakeId> = held.into_iter().map(WakeId).collect();
            let ids: Vec<i64> = held.iter().map(|wake| wake.subject()).collect();
            let lines = select_lines(&mut *connection, &ids).await?;
            let emails = select_emails(connection, &ids, &lines).await?;
            Ok(LoadedEmails { held, emails })
        })
        .await
    }
}

/// What runs of emails go on with.
#[derive(Debug)]
pub struct LoadedEmails {
    /// The wakes that their runs still hold.
    pub held: HashSet<WakeId>,
    /// Those runs' emails.
    pub emails: Vec<OwedEmail>,
}

/// The lines of these emails' orders, each with the id of its order.
async fn select_lines(
    connection: &mut PgConnection,
    ids: &[i64],
) -> Result<Vec<(i64, EmailLine)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT l.order_id AS "order_id!", l.line AS "line!", l.kind AS "kind!", l.domain,
                  l.wish AS "wish!", l.status AS "status!", l.reason, l.cause, l.site_id, l.expires_at,
                  l.upstream_order_id, l.panics AS "panics!",
                  ARRAY (SELECT concat_ws(' ', p.step, p.n, p.state) FROM provisor.effects p
                         WHERE p.line_id = l.id ORDER BY p.intended_at, p.id) AS "placements!: Vec<String>",
                  ARRAY (SELECT a ->> 'domain' FROM jsonb_array_elements(coalesce(l.alternatives, '[]')) AS a)
                      AS "alternatives!: Vec<String>",
                  e.tag AS "tag?",
                  coalesce((SELECT array_agg(to_char(a.started_at AT TIME ZONE 'UTC',
                                'YYYY-MM-DD HH24:MI:SS"Z"') || ' ' || coalesce(a.outcome, 'unknown')
                                || coalesce(' HTTP ' || a.http_status, '')
                                || coalesce(' jti ' || a.jti, '') ORDER BY a.started_at)
                            FROM provisor.attempts a WHERE a.effect_id = e.id), '{}') AS "attempts!"
           FROM provisor.order_lines l
           LEFT JOIN LATERAL (SELECT id, tag FROM provisor.effects
                              WHERE line_id = l.id ORDER BY intended_at DESC, id DESC LIMIT 1) e ON true
           WHERE l.order_id = ANY (ARRAY (SELECT order_id FROM provisor.email_outbox
                                          WHERE id = ANY ($1)))
           ORDER BY l.order_id, l.line"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let line = EmailLine {
                line: row.line,
                kind: row.kind,
                domain: row.domain,
                wish: row.wish,
                status: row.status,
                reason: row.reason,
                cause: row.cause,
                alternatives: row.alternatives,
                site_id: row.site_id,
                expires_at: row.expires_at,
                upstream_order_id: row.upstream_order_id,
                panics: row.panics,
                placements: row.placements,
                tag: row.tag,
                attempts: row.attempts,
            };
            (row.order_id, line)
        })
        .collect())
}

async fn select_emails(
    connection: &mut PgConnection,
    ids: &[i64],
    lines: &[(i64, EmailLine)],
) -> Result<Vec<OwedEmail>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT m.id AS "id!", m.template AS "template!", m.message_id AS "message_id!",
                  m.created_at AS "created_at!", m.context ->> 'about' AS about,
                  m.context ->> 'reason' AS reason, m.context AS "context!", (m.context ->> 'audit')::bigint AS audit,
                  ARRAY (SELECT place::integer
                         FROM jsonb_array_elements_text(m.context -> 'delivered') AS d (place)) AS "delivered!",
                  m.status AS "status!", m.line, m.order_id,
                  (extract(epoch FROM clock_timestamp() - m.created_at) * 1000000)::bigint AS "age!",
                  c.first_name AS "first_name?", c.last_name AS "last_name?",
                  c.organization AS "organization?", c.email AS "email?", c.locale AS "locale?",
                  o.reference AS "reference?", o.traceparent AS "traceparent?", o.submitted_at AS "submitted_at?"
           FROM provisor.email_outbox m
           LEFT JOIN provisor.customers c ON c.id = m.customer_id
           LEFT JOIN provisor.orders o ON o.id = m.order_id
           WHERE m.id = ANY ($1)"#,
        ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut digests = HashMap::new();
    for audit in rows.iter().filter_map(|row| row.audit) {
        digests.insert(audit, select_digest(&mut *connection, audit).await?);
    }
    let of_order = |id: i64| {
        lines.iter().filter(|(order, _)| *order == id).map(|(_, line)| line.clone()).collect()
    };
    Ok(rows
        .into_iter()
        .map(|row| OwedEmail {
            id: EmailId(row.id),
            template: row.template,
            about: row.about,
            reason: row.reason,
            notice: serde_json::from_value(row.context).ok(),
            digest: digests.remove(&row.audit.unwrap_or_default()),
            delivered: row.delivered,
            message_id: row.message_id,
            created_at: row.created_at,
            age: Duration::from_micros(u64::try_from(row.age).unwrap_or(0)),
            queued: row.status == "queued",
            customer: row.email.map(|email| Recipient {
                first_name: row.first_name.unwrap_or_default(),
                last_name: row.last_name.unwrap_or_default(),
                organization: row.organization,
                email,
                locale: row.locale.unwrap_or_default(),
            }),
            order: row.order_id.zip(row.submitted_at).map(|(id, submitted_at)| EmailOrder {
                id: OrderId(id),
                reference: row.reference.unwrap_or_default(),
                trace: row.traceparent.as_deref().and_then(Trace::parse),
                submitted_at,
                lines: of_order(id),
            }),
            line: row.line,
        })
        .collect())
}

//! The outbox's part of the transaction, and what became of its emails.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{LineChange, Record};
use crate::{
    db::{
        Database, DbError,
        wakes::{Due, Fence, Lane, LockOrder, Park, Parked, park},
    },
    order::{EmailId, LineId, LineStatus, OrderId, OrderStatus},
};

/// An email that a change owes.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    dedupe_key: String,
    template: &'static str,
    order: OrderId,
    line: Option<LineId>,
    to_customer: bool,
    context: Value,
}

impl Owed {
    /// To the operator, about a line. The key bears the episode, so that the next one is told again.
    pub(super) fn to_operator(
        order: OrderId,
        line: LineId,
        about: &'static str,
        episode: impl std::fmt::Display,
    ) -> Self {
        Self {
            dedupe_key: format!("ops_{about}:{line}:{episode}"),
            template: "ops_attention",
            order,
            line: Some(line),
            to_customer: false,
            context: json!({ "about": about }),
        }
    }

    /// By which it is owed once.
    pub(super) fn key(&self) -> &str {
        &self.dedupe_key
    }

    /// The same in these words, instead of the line's own reason.
    pub(super) fn saying(mut self, reason: &str) -> Self {
        if let Value::Object(context) = &mut self.context {
            context.insert("reason".to_owned(), reason.into());
        }
        self
    }

    /// What a line's change owes: the operator is told of a held line at once, and both sides of a long delay, once.
    pub(super) fn by_line(record: &Record, change: &LineChange) -> Vec<Self> {
        let line = record.line_id;
        let mut owed = Vec::new();
        if change.progress.status == LineStatus::Held && change.expected != LineStatus::Held {
            owed.push(Self::to_operator(record.order_id, line, "held", record.fence.run_token));
        }
        if change.overdue {
            owed.push(Self::to_operator(record.order_id, line, "overdue", "once"));
            owed.push(Self {
                dedupe_key: format!("order_delayed:{}", record.order_id),
                template: "order_delayed",
                order: record.order_id,
                line: None,
                to_customer: true,
                context: json!({}),
            });
        }
        owed
    }

    /// What an order's new status owes its customer.
    pub(super) fn by_order(order: OrderId, status: OrderStatus, episode: i32) -> Option<Self> {
        let template = match status {
            OrderStatus::Completed => "order_completed",
            OrderStatus::Partial => "order_partial",
            OrderStatus::Failed => "order_failed",
            OrderStatus::Accepted
            | OrderStatus::InProgress
            | OrderStatus::Cancelled
            | OrderStatus::Attention => return None,
        };
        Some(Self {
            dedupe_key: format!("{template}:{order}:{episode}"),
            template,
            order,
            line: None,
            to_customer: true,
            context: json!({}),
        })
    }

    /// To the customer: some of the order is there, some is still coming.
    pub(super) fn progress(order: OrderId) -> Self {
        Self {
            dedupe_key: format!("order_progress:{order}"),
            template: "order_progress",
            order,
            line: None,
            to_customer: true,
            context: json!({}),
        }
    }
}

/// Puts emails into the outbox, once per key, each with its wake.
pub(super) async fn owe(connection: &mut PgConnection, owed: &[Owed]) -> Result<(), sqlx::Error> {
    if owed.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = owed.iter().map(|owed| owed.dedupe_key.clone()).collect();
    let templates: Vec<String> = owed.iter().map(|owed| owed.template.to_owned()).collect();
    let orders: Vec<i64> = owed.iter().map(|owed| owed.order.0).collect();
    let lines: Vec<Option<i64>> = owed.iter().map(|owed| owed.line.map(|line| line.0)).collect();
    let to_customer: Vec<bool> = owed.iter().map(|owed| owed.to_customer).collect();
    let contexts: Vec<Value> = owed.iter().map(|owed| owed.context.clone()).collect();
    // Kind 2 is an email's wake, lane 3 the emails': jobs/mod.rs.
    sqlx::query!(
        "WITH owed AS (
             INSERT INTO provisor.email_outbox (dedupe_key, template, order_id, line, customer_id, context)
             SELECT e.dedupe_key, e.template, e.order_id, l.line,
                    CASE WHEN e.to_customer THEN o.customer_id END, e.context
             FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::jsonb[])
                      AS e (dedupe_key, template, order_id, line_id, to_customer, context)
             JOIN provisor.orders o ON o.id = e.order_id
             LEFT JOIN provisor.order_lines l ON l.id = e.line_id
             ORDER BY e.dedupe_key
             ON CONFLICT (dedupe_key) DO NOTHING
             RETURNING id)
         INSERT INTO provisor.wakes (id, lane, due_at)
         SELECT id * 16 + 2, 3, clock_timestamp() FROM owed ORDER BY id",
        &keys,
        &templates,
        &orders,
        &lines as &[Option<i64>],
        &to_customer,
        &contexts,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Owes the operator an email that is about no order that is known here. Once for each episode.
pub(super) async fn owe_apart(
    connection: &mut PgConnection,
    about: &'static str,
    episode: &str,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH owed AS (
             INSERT INTO provisor.email_outbox (dedupe_key, template, context)
             VALUES ($1, 'ops_attention', $2)
             ON CONFLICT (dedupe_key) DO NOTHING
             RETURNING id)
         INSERT INTO provisor.wakes (id, lane, due_at)
         SELECT id * 16 + 2, 3, clock_timestamp() FROM owed",
        format!("ops_{about}:{episode}"),
        json!({ "about": about, "reason": reason }),
    )
    .execute(connection)
    .await
    .map(drop)
}

impl Database {
    /// Owes the operator an email that is about no order: `circuit_open`, `failover`. Once for each episode.
    pub async fn tell_operator(
        &self,
        about: &'static str,
        episode: &str,
        reason: &str,
    ) -> Result<(), DbError> {
        self.call("telling the operator", async |connection| {
            owe_apart(connection, about, episode, reason).await
        })
        .await
    }
}

/// What became of an email in one run.
#[derive(Clone, Debug)]
pub enum EmailResult {
    /// Accepted by the mail server.
    Sent,
    /// Its template is not to be sent, or nobody is named to send it to.
    Disabled,
    /// Never to be sent again; why.
    Failed(String),
    /// To be sent again after this time; why.
    Later(std::time::Duration, String),
}

/// What a run of an email leaves behind.
#[derive(Clone, Debug)]
pub struct EmailRecord {
    /// Proof that the run still holds the email.
    pub fence: Fence,
    /// The email.
    pub email: EmailId,
    /// What became of it.
    pub result: EmailResult,
    /// Which of several recipients have it already, by their places in the settings.
    pub delivered: Vec<i32>,
    /// The count of runs to leave.
    pub tries: i32,
}

impl Database {
    /// Commits what became of many emails. Answers for each whether its run still held it.
    pub async fn commit_emails(&self, records: &[EmailRecord]) -> Result<Vec<bool>, DbError> {
        self.call("recording emails", async |connection| {
            let mut transaction = crate::db::begin(connection).await?;
            let held = apply(&mut transaction, records).await?;
            transaction.commit().await?;
            Ok(held)
        })
        .await
    }
}

async fn apply(
    connection: &mut PgConnection,
    records: &[EmailRecord],
) -> Result<Vec<bool>, sqlx::Error> {
    let parks: Vec<Park> = records
        .iter()
        .map(|record| Park {
            fence: record.fence,
            lane: Lane::Email,
            due: match record.result {
                EmailResult::Later(after, _) => Due::In(after),
                EmailResult::Sent | EmailResult::Disabled | EmailResult::Failed(_) => Due::Never,
            },
            tries: record.tries,
        })
        .collect();
    let parked = park(connection, &parks, LockOrder::Ensured).await?;
    let held: Vec<bool> = parked.into_iter().map(Parked::was_held).collect();
    let kept: Vec<&EmailRecord> =
        records.iter().zip(&held).filter(|(_, held)| **held).map(|(record, _)| record).collect();
    let ids: Vec<i64> = kept.iter().map(|record| record.email.0).collect();
    let (statuses, errors): (Vec<String>, Vec<Option<String>>) = kept
        .iter()
        .map(|record| match &record.result {
            EmailResult::Sent => ("sent".to_owned(), None),
            EmailResult::Disabled => ("disabled".to_owned(), None),
            EmailResult::Failed(why) => ("failed".to_owned(), Some(why.clone())),
            EmailResult::Later(_, why) => ("queued".to_owned(), Some(why.clone())),
        })
        .unzip();
    let delivered: Vec<Value> = kept.iter().map(|record| json!(record.delivered)).collect();
    sqlx::query!(
        "WITH settled AS (
             UPDATE provisor.email_outbox m
             SET status = r.status, last_error = r.error,
                 context = CASE WHEN r.status = 'queued' AND r.delivered <> '[]'
                                THEN m.context || jsonb_build_object('delivered', r.delivered)
                                ELSE m.context END,
                 attempts = m.attempts + CASE WHEN r.status = 'disabled' THEN 0 ELSE 1 END,
                 settled_at = CASE WHEN r.status <> 'queued' THEN clock_timestamp() END
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::jsonb[])
                      AS r (id, status, error, delivered)
             WHERE m.id = r.id AND m.status = 'queued'
             RETURNING m.order_id, m.line, m.template, m.status, m.last_error)
         INSERT INTO provisor.events (order_id, line, event, detail)
         SELECT order_id, line, 'email_' || status,
                jsonb_strip_nulls(jsonb_build_object('template', template, 'error', last_error))
         FROM settled WHERE order_id IS NOT NULL AND status <> 'queued'",
        &ids,
        &statuses,
        &errors as &[Option<String>],
        &delivered,
    )
    .execute(connection)
    .await?;
    Ok(held)
}

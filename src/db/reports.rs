//! What a person asks about orders.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Database, DbError, operators::pauses::Pausable, wakes::Lane};

/// The most orders of one listing.
pub const LISTED_MAX: i64 = 1000;

/// An order in a listing.
#[derive(Clone, Debug, Serialize)]
pub struct OrderSummary {
    /// `orders.id`
    pub order_id: i64,
    /// The shop's reference.
    pub reference: String,
    /// Where it stands.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// How many lines it has.
    pub lines: i64,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// An order with everything that happened to it.
#[derive(Clone, Debug, Serialize)]
pub struct OrderReport {
    /// `orders.id`
    pub order_id: i64,
    /// The shop's reference.
    pub reference: String,
    /// Where it stands.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The shop's reference of its customer.
    pub customer_reference: Option<String>,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its lines.
    pub lines: Vec<LineReport>,
    /// What happened, in order.
    pub events: Vec<EventReport>,
    /// The emails that are or were owed.
    pub emails: Vec<EmailReport>,
    /// When this was read, by the database's clock.
    pub read_at: DateTime<Utc>,
}

/// A line of an order.
#[derive(Clone, Debug, Serialize)]
pub struct LineReport {
    /// Index, from 0.
    pub line: i32,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub domain: Option<String>,
    /// Where it stands.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Its LJPc order.
    pub upstream_order_id: Option<i64>,
    /// Its site.
    pub site_id: Option<i64>,
    /// What the account is charged, EUR without VAT.
    pub cost: Option<rust_decimal::Decimal>,
    /// The name's WHOIS contact.
    pub contact_handle: Option<String>,
    /// Until when the name is registered.
    pub expires_at: Option<DateTime<Utc>>,
    /// Names that may be had instead, with their prices.
    pub alternatives: Option<Value>,
    /// LJPc's word for it.
    pub simple_status: Option<String>,
    /// When its outcome became unknown.
    pub in_doubt_at: Option<DateTime<Utc>>,
    /// Whether anything but a GET may have gone upstream for it.
    pub sent: bool,
    /// When it is looked at next; none when only a person or another line moves it.
    pub next_at: Option<DateTime<Utc>>,
    /// A worker is at it right now.
    pub running: bool,
    /// Who has paused what it waits in, or the upstream.
    pub paused_by: Option<String>,
    /// What that is, as `queue resume` takes it: `lane place`, `upstream ljpc`.
    pub paused: Vec<String>,
    /// How often a worker has panicked on it since a person last looked.
    pub panics: i32,
    /// The ledger's rows of it.
    pub placements: Vec<PlacementReport>,
}

/// A placement in the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct PlacementReport {
    /// What it makes: `place_order`, `register`, `create_contact`, …
    pub step: String,
    /// Which placement of the step: 1, 2, ….
    pub n: i32,
    /// By which the upstream's copy is recognised.
    pub tag: String,
    /// What is known of it.
    pub state: String,
    /// Each time that it may have been sent.
    pub attempts: Vec<AttemptReport>,
    /// What was looked at after a doubt, by its name: `the sites`, `the order ids`, `the name`, ….
    pub looks: BTreeMap<String, LookReport>,
}

/// What was looked at to find out what became of a placement in doubt.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LookReport {
    /// When it was looked at last.
    pub at: DateTime<Utc>,
    /// How often it was.
    pub times: i64,
    /// What was seen there the last time.
    pub seen: String,
}

/// An attempt of a placement.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptReport {
    /// Its id.
    pub id: Uuid,
    /// When its intent was committed.
    pub started_at: DateTime<Utc>,
    /// How its answer is read; none while that is unknown.
    pub outcome: Option<String>,
    /// The answer's status.
    pub http_status: Option<i32>,
    /// What the upstream's support asks for.
    pub jti: Option<String>,
    /// What the upstream said.
    pub detail: Option<String>,
}

/// An entry of the timeline.
#[derive(Clone, Debug, Serialize)]
pub struct EventReport {
    /// Its id: one that is committed later may have a lower one.
    #[serde(skip)]
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The line's index; none for the order's own.
    pub line: Option<i32>,
    /// What.
    pub event: String,
    /// More about it.
    pub detail: Value,
}

/// An email of the order.
#[derive(Clone, Debug, Serialize)]
pub struct EmailReport {
    /// Its template.
    pub template: String,
    /// `customer` or `operator`.
    pub to: String,
    /// queued, sent, failed, disabled.
    pub status: String,
    /// How often it was tried.
    pub attempts: i32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was owed.
    pub created_at: DateTime<Utc>,
    /// When it was sent, or given up.
    pub settled_at: Option<DateTime<Utc>>,
    /// When it is tried next.
    pub next_at: Option<DateTime<Utc>>,
}

impl Database {
    /// Submits an order as a shop does. Its id.
    pub async fn submit_order(&self, document: &Value) -> Result<i64, DbError> {
        self.call("submitting the order", async |connection| {
            sqlx::query_scalar!(r#"SELECT provisor.submit_order($1) AS "id!""#, document)
                .fetch_one(connection)
                .await
        })
        .await
    }

    /// Lists orders, the newest first, at most `max`.
    pub async fn list_orders(
        &self,
        status: Option<&str>,
        max: i64,
    ) -> Result<Vec<OrderSummary>, DbError> {
        self.call("listing orders", async |connection| {
            sqlx::query_as!(
                OrderSummary,
                r#"SELECT o.id AS order_id, o.reference, o.status, o.reason,
                          (SELECT count(*) FROM provisor.order_lines l WHERE l.order_id = o.id) AS "lines!",
                          o.submitted_at, o.updated_at, o.finished_at
                   FROM provisor.orders o
                   WHERE $1::text IS NULL OR o.status = $1
                   ORDER BY o.id DESC LIMIT $2"#,
                status,
                max.min(LISTED_MAX),
            )
            .fetch_all(connection)
            .await
        })
        .await
    }

    /// Everything about one order; `None` if there is none of this reference.
    pub async fn report_order(&self, reference: &str) -> Result<Option<OrderReport>, DbError> {
        self.call("reading the order", async |connection| report(connection, reference).await).await
    }
}

async fn report(
    connection: &mut sqlx::PgConnection,
    reference: &str,
) -> Result<Option<OrderReport>, sqlx::Error> {
    let Some(order) = sqlx::query!(
        r#"SELECT o.id, o.reference, o.status, o.reason, c.reference AS customer_reference,
                  o.submitted_at, o.finished_at, clock_timestamp() AS "read_at!"
           FROM provisor.orders o JOIN provisor.customers c ON c.id = o.customer_id
           WHERE o.reference = $1"#,
        reference,
    )
    .fetch_optional(&mut *connection)
    .await?
    else {
        return Ok(None);
    };
    Ok(Some(OrderReport {
        order_id: order.id,
        reference: order.reference,
        status: order.status,
        reason: order.reason,
        customer_reference: order.customer_reference,
        submitted_at: order.submitted_at,
        finished_at: order.finished_at,
        read_at: order.read_at,
        lines: lines(&mut *connection, order.id).await?,
        events: sqlx::query_as!(
            EventReport,
            "SELECT id, at, line, event, detail FROM provisor.events WHERE order_id = $1 ORDER BY id",
            order.id,
        )
        .fetch_all(&mut *connection)
        .await?,
        emails: sqlx::query_as!(
            EmailReport,
            r#"SELECT m.template,
                      CASE WHEN m.customer_id IS NULL THEN 'operator' ELSE 'customer' END AS "to!",
                      m.status, m.attempts, m.last_error, m.created_at, m.settled_at,
                      (SELECT nullif(w.due_at, 'infinity') FROM provisor.wakes w
                       WHERE w.id = m.id * 16 + 2) AS next_at
               FROM provisor.email_outbox m WHERE m.order_id = $1 ORDER BY m.id"#,
            order.id,
        )
        .fetch_all(connection)
        .await?,
    }))
}

async fn lines(
    connection: &mut sqlx::PgConnection,
    order: i64,
) -> Result<Vec<LineReport>, sqlx::Error> {
    let attempts = sqlx::query!(
        r#"SELECT l.line, e.step, e.n, e.tag, e.state, e.looks AS "looks: Json<BTreeMap<String, LookReport>>",
                  a.id AS "attempt?", a.started_at AS "started_at?", a.outcome, a.http_status, a.jti, a.detail
           FROM provisor.order_lines l JOIN provisor.effects e ON e.line_id = l.id
           LEFT JOIN provisor.attempts a ON a.effect_id = e.id
           WHERE l.order_id = $1 ORDER BY l.line, e.id, a.started_at"#,
        order,
    )
    .fetch_all(&mut *connection)
    .await?;
    let rows = sqlx::query!(
        r#"SELECT l.line, l.kind, l.domain, l.status, l.reason, l.upstream_order_id, l.site_id, l.cost,
                  l.contact_handle, l.expires_at, l.alternatives, l.simple_status,
                  l.in_doubt_at, l.sent, l.panics AS "panics!", nullif(w.due_at, 'infinity') AS next_at,
                  coalesce(w.lease_until > clock_timestamp(), false) AS "running!",
                  (SELECT paused_by FROM provisor.pauses WHERE lane = w.lane OR upstream = 'ljpc' LIMIT 1) AS paused_by,
                  ARRAY(SELECT p.lane FROM provisor.pauses p
                        WHERE p.lane = w.lane OR p.upstream = 'ljpc' ORDER BY p.lane) AS "paused!: Vec<Option<i16>>"
           FROM provisor.order_lines l LEFT JOIN provisor.wakes w ON w.id = l.id * 16 + 1
           WHERE l.order_id = $1 ORDER BY l.line"#,
        order,
    )
    .fetch_all(connection)
    .await?;
    let mut reports = Vec::new();
    for row in rows {
        let mut placements: Vec<PlacementReport> = Vec::new();
        for attempt in attempts.iter().filter(|attempt| attempt.line == row.line) {
            if placements.last().is_none_or(|last| last.tag != attempt.tag) {
                placements.push(PlacementReport {
                    step: attempt.step.clone(),
                    n: attempt.n,
                    tag: attempt.tag.clone(),
                    state: attempt.state.clone(),
                    attempts: Vec::new(),
                    looks: attempt.looks.0.clone(),
                });
            }
            if let (Some(id), Some(started_at), Some(placement)) =
                (attempt.attempt, attempt.started_at, placements.last_mut())
            {
                placement.attempts.push(AttemptReport {
                    id,
                    started_at,
                    outcome: attempt.outcome.clone(),
                    http_status: attempt.http_status,
                    jti: attempt.jti.clone(),
                    detail: attempt.detail.clone(),
                });
            }
        }
        reports.push(LineReport {
            line: row.line,
            kind: row.kind,
            domain: row.domain,
            status: row.status,
            reason: row.reason,
            upstream_order_id: row.upstream_order_id,
            site_id: row.site_id,
            cost: row.cost,
            contact_handle: row.contact_handle,
            expires_at: row.expires_at,
            alternatives: row.alternatives,
            simple_status: row.simple_status,
            in_doubt_at: row.in_doubt_at,
            sent: row.sent,
            next_at: row.next_at,
            running: row.running,
            paused_by: row.paused_by,
            paused: row.paused.into_iter().map(|lane| paused(lane).told()).collect(),
            panics: row.panics,
            placements,
        });
    }
    Ok(reports)
}

/// A line waits in a lane, or for LJPc.
fn paused(lane: Option<i16>) -> Pausable {
    lane.map_or(Pausable::Upstream("ljpc"), |lane| Pausable::Lane(Lane::from_number(lane)))
}

//! Reading a line with all that its next step depends on.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Database, DbError, micros};
use crate::order::{
    LineId, LineKind, LineStatus, Money, OrderId, Reference, SiteId, UnknownName, UpstreamOrderId,
    facts::{Facts, Placement, Progress},
    ledger::EffectState,
    status::LineState,
    wish::Wish,
};

/// A line as it was loaded.
#[derive(Clone, Debug)]
pub struct LoadedLine {
    /// The line.
    pub line_id: LineId,
    /// Its order.
    pub order_id: OrderId,
    /// What its next step depends on.
    pub facts: Facts,
    /// When the order was submitted.
    pub submitted_at: DateTime<Utc>,
    /// Whether anything but a GET may have gone upstream for it.
    pub sent: bool,
    /// Irreversible requests are confirmed for the WAL timeline of now (ARCHITECTURE.md, "The effect ledger").
    pub timeline_confirmed: bool,
}

/// A row of the first query, before its order's other lines are known.
struct LineRow {
    line_id: i64,
    order_id: i64,
    line: i32,
    kind: String,
    wish: Value,
    cost_limit: Option<rust_decimal::Decimal>,
    reference: String,
    submitted_at: DateTime<Utc>,
    now: DateTime<Utc>,
    domain: Option<String>,
    status: String,
    reason: Option<String>,
    upstream_order_id: Option<i64>,
    site_id: Option<i64>,
    cost: Option<rust_decimal::Decimal>,
    simple_status: Option<String>,
    accepted_at: Option<DateTime<Utc>>,
    failed_seen_at: Option<DateTime<Utc>>,
    completed_seen_at: Option<DateTime<Utc>>,
    in_doubt_at: Option<DateTime<Utc>>,
    overdue_told_at: Option<DateTime<Utc>>,
    panics: i32,
    sent: bool,
    timeline_confirmed: bool,
    effect_n: Option<i32>,
    effect_state: Option<String>,
    effect_live: Option<bool>,
    effect_order: Option<i64>,
    effect_detail: Option<String>,
}

impl Database {
    /// Loads lines for a run. A line that does not exist is not in the answer.
    pub async fn load_lines(
        &self,
        ids: &[LineId],
        grace: Duration,
    ) -> Result<HashMap<LineId, LoadedLine>, DbError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let (rows, siblings) = self
            .call("loading lines", async |connection| {
                let rows = select_lines(&mut *connection, &ids).await?;
                let mut orders: Vec<i64> = rows.iter().map(|row| row.order_id).collect();
                orders.sort_unstable();
                orders.dedup();
                let siblings = select_line_states(connection, &orders, grace).await?;
                Ok((rows, siblings))
            })
            .await?;
        let mut states: HashMap<OrderId, Vec<LineState>> = HashMap::new();
        for (order, state) in siblings {
            states.entry(order).or_default().push(state?);
        }
        rows.into_iter()
            .map(|row| {
                let lines = states.get(&OrderId(row.order_id)).cloned().unwrap_or_default();
                let loaded = into_loaded(row, lines)?;
                Ok((loaded.line_id, loaded))
            })
            .collect()
    }
}

async fn select_lines(
    connection: &mut sqlx::PgConnection,
    ids: &[i64],
) -> Result<Vec<LineRow>, sqlx::Error> {
    sqlx::query_as!(
        LineRow,
        r#"SELECT l.id AS "line_id!", l.order_id AS "order_id!", l.line AS "line!", l.kind AS "kind!",
                  l.wish AS "wish!", l.cost_limit, o.reference AS "reference!",
                  o.submitted_at AS "submitted_at!", clock_timestamp() AS "now!", l.domain, l.status AS "status!", l.reason,
                  l.upstream_order_id, l.site_id, l.cost, l.simple_status, l.accepted_at,
                  l.failed_seen_at, l.completed_seen_at, l.in_doubt_at, l.overdue_told_at, l.panics AS "panics!",
                  l.sent AS "sent!",
                  (SELECT confirmed = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
                   FROM provisor.timeline) AS "timeline_confirmed!",
                  e.n AS "effect_n?", e.state AS "effect_state?", e.live AS "effect_live?",
                  e.upstream_order_id AS "effect_order?", a.detail AS "effect_detail?"
           FROM unnest($1::bigint[]) AS wanted (id)
           JOIN provisor.order_lines l ON l.id = wanted.id
           JOIN provisor.orders o ON o.id = l.order_id
           LEFT JOIN LATERAL (
               SELECT id, n, state, live, upstream_order_id FROM provisor.effects
               WHERE line_id = l.id AND step = 'place_order'
               -- The one that counts: order::facts::Placement::that_counts, which must say the same.
               ORDER BY coalesce(upstream_order_id = l.upstream_order_id, false) DESC,
                        state = 'accepted' DESC, n DESC LIMIT 1) e ON true
           LEFT JOIN LATERAL (
               SELECT detail FROM provisor.attempts WHERE effect_id = e.id
               ORDER BY started_at DESC LIMIT 1) a ON true"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

/// The states of all lines of these orders, as an order's status is derived from them.
pub(super) async fn select_line_states(
    connection: &mut sqlx::PgConnection,
    orders: &[i64],
    grace: Duration,
) -> Result<Vec<(OrderId, Result<LineState, UnknownName>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT order_id, line, kind, domain, status, reason,
                  coalesce(in_doubt_at + $2::bigint * interval '1 microsecond' <= clock_timestamp(), false)
                      AS "past_grace!"
           FROM provisor.order_lines WHERE order_id = ANY ($1) ORDER BY order_id, line"#,
        orders,
        micros(grace),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let state = row.kind.parse().and_then(|kind| {
                Ok(LineState {
                    line: row.line,
                    kind,
                    domain: row.domain,
                    status: row.status.parse()?,
                    reason: row.reason,
                    past_grace: row.past_grace,
                })
            });
            (OrderId(row.order_id), state)
        })
        .collect())
}

fn into_loaded(row: LineRow, lines: Vec<LineState>) -> Result<LoadedLine, DbError> {
    let kind: LineKind = row.kind.parse()?;
    let status: LineStatus = row.status.parse()?;
    let state: Option<EffectState> = row.effect_state.as_deref().map(str::parse).transpose()?;
    let placement = match (row.effect_n, state, row.effect_live) {
        (Some(n), Some(state), Some(live)) => Some(Placement {
            n,
            state,
            live,
            upstream_order_id: row.effect_order.map(UpstreamOrderId),
            detail: row.effect_detail,
        }),
        _ => None,
    };
    Ok(LoadedLine {
        line_id: LineId(row.line_id),
        order_id: OrderId(row.order_id),
        submitted_at: row.submitted_at,
        sent: row.sent,
        timeline_confirmed: row.timeline_confirmed,
        facts: Facts {
            reference: Reference(row.reference),
            line: row.line,
            kind,
            wish: Wish::parse(kind, &row.wish).map_err(|error| error.to_string()),
            cost_limit: row.cost_limit.map(Money),
            progress: Progress {
                status,
                reason: row.reason,
                domain: row.domain,
                upstream_order_id: row.upstream_order_id.map(UpstreamOrderId),
                site_id: row.site_id.map(SiteId),
                cost: row.cost.map(Money),
                simple_status: row.simple_status,
                accepted_at: row.accepted_at,
                failed_seen_at: row.failed_seen_at,
                completed_seen_at: row.completed_seen_at,
                in_doubt_at: row.in_doubt_at,
                overdue_told_at: row.overdue_told_at,
                panics: row.panics,
            },
            placement,
            lines,
            now: row.now,
        },
    })
}

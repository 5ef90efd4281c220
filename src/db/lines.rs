//! Reading a line with all that its next step depends on.

pub mod evidence;
mod names;
mod placements;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use names::NameRow;

use super::{Database, DbError, contacts, micros};
use crate::order::{
    ContactHandle, CustomerId, LineId, LineKind, LineStatus, Milestone, Money, OrderId, Reference,
    SiteId, UnknownName, UpstreamOrderId,
    domain::Registrant,
    facts::{Facts, NameFacts, Placement, Progress},
    status::LineState,
    wish::Wish,
};
use crate::trace::Trace;

/// A line as it was loaded.
#[derive(Clone, Debug)]
pub struct LoadedLine {
    /// The line.
    pub line_id: LineId,
    /// Its order.
    pub order_id: OrderId,
    /// The order's customer.
    pub customer_id: CustomerId,
    /// Its order's trace; none for orders from before there were any.
    pub trace: Option<Trace>,
    /// What its next step depends on.
    pub facts: Facts,
    /// Whether anything but a GET may have gone upstream for it.
    pub sent: bool,
    /// Irreversible requests are confirmed for the WAL timeline of now (ARCHITECTURE.md, "The effect ledger").
    pub timeline_confirmed: bool,
}

/// A row of the first query, before its order's other lines are known.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
struct LineRow {
    line_id: i64,
    order_id: i64,
    customer_id: i64,
    line: i32,
    kind: String,
    wish: Value,
    cost_limit: Option<rust_decimal::Decimal>,
    allow_premium: bool,
    reference: String,
    traceparent: Option<String>,
    submitted_at: DateTime<Utc>,
    is_older_than_restore: bool,
    now: DateTime<Utc>,
    domain: Option<String>,
    status: String,
    reason: Option<String>,
    cause: Option<String>,
    milestone: Option<String>,
    refused: Option<String>,
    contact_handle: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    alternatives: Option<Value>,
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
}

impl Database {
    /// Loads lines for a run. A line that does not exist is not in the answer.
    pub async fn load_lines(
        &self,
        ids: &[LineId],
        grace: Duration,
    ) -> Result<HashMap<LineId, LoadedLine>, DbError> {
        self.call("loading lines", async |connection| select(connection, ids, grace).await)
            .await?
            .assemble()
    }
}

/// The rows that lines are made of.
pub(super) struct LineRows {
    lines: Vec<(LineRow, NameRow)>,
    siblings: Vec<(OrderId, Result<LineState, UnknownName>)>,
    placements: HashMap<LineId, Vec<Result<Placement, UnknownName>>>,
    handles: HashMap<String, ContactHandle>,
}

/// Reads the rows, perhaps within a transaction that has locked the lines' orders.
pub(super) async fn select(
    connection: &mut sqlx::PgConnection,
    ids: &[LineId],
    grace: Duration,
) -> Result<LineRows, sqlx::Error> {
    // Two runs of one line, one of which has lost it, may ask for it together.
    let ids: BTreeSet<i64> = ids.iter().map(|id| id.0).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let rows = select_lines(&mut *connection, &ids).await?;
    let mut orders: Vec<i64> = rows.iter().map(|row| row.order_id).collect();
    orders.sort_unstable();
    orders.dedup();
    let named = rows.iter().filter(|row| names::is_asked_for(&row.kind));
    let named = named.map(|row| (row.line_id, row.status.clone()));
    let mut found = names::select(&mut *connection, named.unzip()).await?;
    let with_name = |row: LineRow| {
        let name = found.remove(&row.line_id).unwrap_or_default();
        (row, name)
    };
    let lines: Vec<(LineRow, NameRow)> = rows.into_iter().map(with_name).collect();
    let siblings = select_line_states(&mut *connection, &orders, grace).await?;
    let placements = placements::select(&mut *connection, &ids).await?;
    let keys = lines.iter().filter_map(|(row, name)| contact_key(row, name));
    let keys: Vec<String> = keys.collect();
    let handles = contacts::select(connection, &keys).await?;
    Ok(LineRows { lines, siblings, placements, handles })
}

impl LineRows {
    /// The lines.
    pub(super) fn assemble(mut self) -> Result<HashMap<LineId, LoadedLine>, DbError> {
        let mut states: HashMap<OrderId, Vec<LineState>> = HashMap::new();
        for (order, state) in self.siblings {
            states.entry(order).or_default().push(state?);
        }
        self.lines
            .into_iter()
            .map(|(row, name)| {
                let lines = states.get(&OrderId(row.order_id)).cloned().unwrap_or_default();
                let mut loaded = into_loaded(row, name, lines, &self.handles)?;
                let placed = self.placements.remove(&loaded.line_id).unwrap_or_default();
                loaded.facts.placements = placed.into_iter().collect::<Result<_, _>>()?;
                Ok((loaded.line_id, loaded))
            })
            .collect()
    }
}

impl LineRow {
    /// Who registers the line's name, or whose contact it makes; none for a line that asks for none, or names its handle.
    fn registrant(&self, name: &NameRow) -> Option<Registrant> {
        if self.kind == LineKind::ContactCreate.as_str() {
            return Registrant::of_contact(&self.wish).ok();
        }
        Registrant::of_customer(name.customer.as_ref()?)
    }
}

fn contact_key(row: &LineRow, name: &NameRow) -> Option<String> {
    let registrant = row.registrant(name)?;
    Some(contacts::key(CustomerId(row.customer_id), &registrant))
}

async fn select_lines(
    connection: &mut sqlx::PgConnection,
    ids: &[i64],
) -> Result<Vec<LineRow>, sqlx::Error> {
    sqlx::query_as!(
        LineRow,
        r#"SELECT l.id AS "line_id!", l.order_id AS "order_id!", o.customer_id AS "customer_id!",
                  l.line AS "line!", l.kind AS "kind!",
                  l.wish AS "wish!", l.cost_limit, coalesce(l.allow_premium, false) AS "allow_premium!",
                  o.reference AS "reference!", o.traceparent,
                  o.submitted_at AS "submitted_at!", clock_timestamp() AS "now!", l.domain, l.status AS "status!", l.reason,
                  l.cause, l.milestone, l.refused, l.contact_handle, l.expires_at, l.alternatives,
                  l.upstream_order_id, l.site_id, l.cost, l.simple_status, l.accepted_at,
                  l.failed_seen_at, l.completed_seen_at, l.in_doubt_at, l.overdue_told_at, l.panics AS "panics!",
                  l.sent AS "sent!",
                  (SELECT (confirmed, ledger, cluster) IS NOT DISTINCT FROM
                              (left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), 'provisor.effects'::regclass::oid,
                               system_identifier)
                   FROM provisor.timeline CROSS JOIN pg_control_system()) AS "timeline_confirmed!",
                  -- Confirmed for the first time by the first migration, before any order.
                  o.submitted_at < (SELECT confirmed_at FROM provisor.timeline) AS "is_older_than_restore!"
           FROM unnest($1::bigint[]) AS wanted (id)
           JOIN provisor.order_lines l ON l.id = wanted.id
           JOIN provisor.orders o ON o.id = l.order_id"#,
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
        r#"SELECT order_id, line, kind, domain, status, milestone, wish ? 'dns' AS "has_dns!", reason,
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
                    milestone: row.milestone.as_deref().map(str::parse).transpose()?,
                    has_dns: row.has_dns,
                    reason: row.reason,
                    past_grace: row.past_grace,
                })
            });
            (OrderId(row.order_id), state)
        })
        .collect())
}

fn into_loaded(
    row: LineRow,
    name: NameRow,
    lines: Vec<LineState>,
    handles: &HashMap<String, ContactHandle>,
) -> Result<LoadedLine, DbError> {
    let kind: LineKind = row.kind.parse()?;
    let status: LineStatus = row.status.parse()?;
    let milestone: Option<Milestone> = row.milestone.as_deref().map(str::parse).transpose()?;
    let name = NameFacts {
        registrant: row.registrant(&name),
        contact_handle: contact_key(&row, &name).and_then(|key| handles.get(&key).cloned()),
        rival: name.rival,
        is_owned: name.is_owned,
        zone_written_by: name.zone_written_by,
        auto_renew_wished: name.auto_renew_wished,
    };
    let progress = Progress {
        status,
        reason: row.reason,
        domain: row.domain,
        cause: row.cause.as_deref().map(str::parse).transpose()?,
        milestone,
        refused: row.refused,
        contact_handle: row.contact_handle.map(ContactHandle),
        expires_at: row.expires_at,
        alternatives: row.alternatives.and_then(|names| serde_json::from_value(names).ok()),
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
    };
    Ok(LoadedLine {
        line_id: LineId(row.line_id),
        order_id: OrderId(row.order_id),
        customer_id: CustomerId(row.customer_id),
        trace: row.traceparent.as_deref().and_then(Trace::parse),
        sent: row.sent,
        timeline_confirmed: row.timeline_confirmed,
        facts: Facts {
            reference: Reference(row.reference),
            line: row.line,
            kind,
            wish: Wish::parse(kind, &row.wish).map_err(|error| error.to_string()),
            cost_limit: row.cost_limit.map(Money),
            allow_premium: row.allow_premium,
            progress,
            placements: Vec::<Placement>::new(),
            lines,
            name,
            submitted_at: row.submitted_at,
            is_older_than_restore: row.is_older_than_restore || !row.timeline_confirmed,
            now: row.now,
        },
    })
}

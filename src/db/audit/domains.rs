//! The names, each with what is wished of it, what was known of it, and what this audit has read: in their order, so many at
//! a time.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::assets::{column, count_of, to_missing};
use crate::{
    audit::{DomainAsset, DomainMemory, DomainView, Listed},
    db::{Database, DbError},
    order::{ContactHandle, domain::DomainSeen},
};

/// A name.
#[derive(Clone, Debug)]
pub struct AuditedDomain {
    /// `domains.id`; none for one that nobody here knows.
    pub id: Option<i64>,
    /// Whose it is, and what is wished.
    pub asset: DomainAsset,
    /// What was read of it. Whether the listing was complete, the caller knows.
    pub view: DomainView,
    /// From when on that was read.
    pub read_at: Option<DateTime<Utc>>,
}

/// What is kept of a name after an audit.
#[derive(Clone, Debug)]
pub struct DomainNote {
    /// The name.
    pub domain: String,
    /// How it was seen, if it was.
    pub listed: Option<Listed>,
    /// The direct look, if there was one that showed it.
    pub seen: Option<DomainSeen>,
    /// From when on it was read; `None`: it was not.
    pub read_at: Option<DateTime<Utc>>,
    /// What the next audit compares with.
    pub memory: DomainMemory,
    /// The wish for its renewal is to be carried out now.
    pub repair: bool,
}

impl Database {
    /// The next names after `after`, those that are known here and those that were listed, at most `limit`.
    pub async fn audited_domains(
        &self,
        after: &str,
        pass: i32,
        limit: i64,
    ) -> Result<Vec<AuditedDomain>, DbError> {
        let rows = self
            .call("reading names for the audit", async |connection| {
                sqlx::query_as!(
                    DomainRow,
                    r#"WITH batch AS (
                           SELECT domain FROM (
                               (SELECT d.domain FROM provisor.domains d WHERE d.domain > $1 ORDER BY d.domain LIMIT $3)
                               UNION
                               (SELECT r.key FROM provisor.audit_readings r WHERE r.asset = 'domain' AND r.key > $1
                                ORDER BY r.key LIMIT $3)) AS u
                           ORDER BY domain LIMIT $3),
                       -- By these the rows are found, so that no batch reads whole tables.
                       keys AS (SELECT array_agg(domain) AS these FROM batch)
                       SELECT b.domain AS "domain!", d.id AS "id?",
                              -- What a line has not brought, it leaves to the next.
                              d.customer_id IS NOT NULL AND coalesce(l.status NOT IN ('failed', 'cancelled'), true)
                                  AS "is_owned!",
                              coalesce(l.status = 'completed', true) AS "is_settled!",
                              d.auto_renew_wished, d.auto_renew_refused_at AS refused_at,
                              coalesce(locks.wished, d.transfer_lock_wished) AS "lock_wished?",
                              d.expiry_believed, d.moved_since,
                              d.seen_at, d.looked_at, d.missing_since, coalesce(d.missing_runs, 0) AS "missing_runs!",
                              wished.handle, servers.nameservers,
                              coalesce(r.pass >= $2, false) AS "is_listed!", r.status, r.expires_at, r.auto_renew,
                              r.transfer_lock, r.detail, r.read_at AS "read_at?"
                       FROM batch b
                       LEFT JOIN (SELECT * FROM provisor.domains WHERE domain = ANY ((SELECT these FROM keys)::text[])) AS d
                            ON d.domain = b.domain
                       LEFT JOIN LATERAL (SELECT * FROM provisor.order_lines l WHERE l.id = d.line_id LIMIT 1) AS l ON true
                       LEFT JOIN (SELECT * FROM provisor.audit_readings
                                  WHERE asset = 'domain' AND key = ANY ((SELECT these FROM keys)::text[])) AS r
                            ON r.key = b.domain
                       LEFT JOIN LATERAL (
                           SELECT coalesce(w.wish ->> 'contact_handle', w.contact_handle) AS handle
                           FROM provisor.order_lines w
                           WHERE w.domain = b.domain AND w.id >= coalesce(d.line_id, 0) AND w.status = 'completed'
                             AND (w.kind IN ('domain_register', 'domain_transfer')
                                  OR w.kind = 'domain_update' AND w.wish ? 'contact_handle')
                           ORDER BY w.id DESC LIMIT 1) AS wished ON d.customer_id IS NOT NULL
                       LEFT JOIN LATERAL (
                           SELECT w.wish -> 'nameservers' AS nameservers FROM provisor.order_lines w
                           WHERE w.domain = b.domain AND w.id >= coalesce(d.line_id, 0) AND w.status = 'completed'
                             AND w.kind IN ('domain_register', 'domain_transfer', 'domain_update')
                             AND w.wish ? 'nameservers'
                           ORDER BY w.id DESC LIMIT 1) AS servers ON d.customer_id IS NOT NULL
                       LEFT JOIN LATERAL (
                           SELECT (w.wish ->> 'transfer_lock')::boolean AS wished FROM provisor.order_lines w
                           WHERE w.domain = b.domain AND w.id >= coalesce(d.line_id, 0) AND w.status = 'completed'
                             AND w.kind IN ('domain_register', 'domain_transfer', 'domain_update')
                             AND w.wish ? 'transfer_lock'
                           ORDER BY w.id DESC LIMIT 1) AS locks ON d.customer_id IS NOT NULL
                       ORDER BY b.domain"#,
                    after,
                    pass,
                    limit,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(to_domain).collect())
    }
}

/// A name as the tables have it.
struct DomainRow {
    id: Option<i64>,
    domain: String,
    is_owned: bool,
    is_settled: bool,
    auto_renew_wished: Option<bool>,
    refused_at: Option<DateTime<Utc>>,
    lock_wished: Option<bool>,
    expiry_believed: Option<DateTime<Utc>>,
    moved_since: Option<DateTime<Utc>>,
    seen_at: Option<DateTime<Utc>>,
    looked_at: Option<DateTime<Utc>>,
    missing_since: Option<DateTime<Utc>>,
    missing_runs: i32,
    handle: Option<String>,
    nameservers: Option<Value>,
    is_listed: bool,
    status: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    auto_renew: Option<bool>,
    transfer_lock: Option<bool>,
    detail: Option<Value>,
    read_at: Option<DateTime<Utc>>,
}

fn to_domain(row: DomainRow) -> AuditedDomain {
    let asset = DomainAsset {
        domain: row.domain,
        is_owned: row.is_owned,
        is_settled: row.is_settled,
        was_there: row.seen_at.is_some(),
        auto_renew: row.auto_renew_wished,
        refused_at: row.refused_at,
        transfer_lock: row.lock_wished,
        contact_handle: row.handle.map(ContactHandle),
        nameservers: row.nameservers.map(to_names),
        expires_before: row.expiry_believed,
        moved_since: row.moved_since,
        missing: to_missing(row.missing_runs, row.missing_since),
        looked_at: row.looked_at,
        seen_at: row.seen_at,
    };
    let listed = row.is_listed.then_some(Listed {
        status: row.status,
        expires_at: row.expires_at,
        auto_renew: row.auto_renew,
        transfer_lock: row.transfer_lock,
    });
    let detail = row.detail.and_then(|it| serde_json::from_value(it).ok());
    let view = DomainView { listed, is_complete: false, detail };
    AuditedDomain { id: row.id, asset, view, read_at: row.read_at }
}

fn to_names(stored: Value) -> Vec<String> {
    serde_json::from_value(stored).unwrap_or_default()
}

/// How a name was seen: a direct look is the newer reading.
fn seen_of(note: &DomainNote) -> Listed {
    let listed = note.listed.clone().unwrap_or_default();
    let Some(seen) = &note.seen else { return listed };
    Listed {
        status: seen.status.clone().or(listed.status),
        expires_at: seen.expires_at.or(listed.expires_at),
        auto_renew: seen.auto_renew.or(listed.auto_renew),
        transfer_lock: seen.transfer_lock.or(listed.transfer_lock),
    }
}

/// Keeps what was seen of names, and what the next audit compares with; pokes the wish of those that are to be repaired.
/// Of a name that somebody has seen since it was read, nothing is kept.
pub(super) async fn note_domains(
    connection: &mut PgConnection,
    notes: &[DomainNote],
) -> Result<(), sqlx::Error> {
    let seen: Vec<Listed> = column(notes, seen_of);
    let handle = |note: &DomainNote| Some(note.seen.as_ref()?.contact_handle.as_ref()?.0.clone());
    let servers = |note: &DomainNote| {
        note.seen.as_ref().map_or(Value::Null, |seen| seen.nameservers.clone().into())
    };
    sqlx::query!(
        "WITH noted AS (
             UPDATE provisor.domains d
             SET status = CASE WHEN n.is_seen THEN coalesce(n.status, d.status) ELSE d.status END,
                 expires_at = coalesce(n.expires_at, d.expires_at),
                 auto_renew_seen = coalesce(n.auto_renew, d.auto_renew_seen),
                 auto_renew_refused_at = CASE WHEN n.auto_renew IS NOT DISTINCT FROM d.auto_renew_wished THEN NULL
                                              ELSE d.auto_renew_refused_at END,
                 auto_renew_kept_since = CASE WHEN coalesce(n.auto_renew = d.auto_renew_wished, true)
                                              THEN d.auto_renew_kept_since END,
                 -- A wish that is still being carried out is the customer's own.
                 auto_renew_is_repair = d.auto_renew_is_repair
                     OR n.repair AND NOT EXISTS (SELECT FROM provisor.wakes w
                                                 WHERE w.id = d.id * 16 + 4 AND w.due_at < 'infinity'),
                 transfer_lock_seen = coalesce(n.transfer_lock, d.transfer_lock_seen),
                 contact_handle_seen = coalesce(n.handle, d.contact_handle_seen),
                 nameservers_seen = CASE WHEN jsonb_typeof(n.nameservers) = 'array'
                                         THEN ARRAY (SELECT jsonb_array_elements_text(n.nameservers))
                                         ELSE d.nameservers_seen END,
                 seen_at = CASE WHEN n.is_seen THEN n.read_at ELSE d.seen_at END,
                 expiry_believed = n.believed, moved_since = n.moved_since,
                 missing_since = n.missing_since, missing_runs = n.missing_runs
             FROM (SELECT u.*, q.seen_at IS NULL OR q.seen_at <= u.read_at AS is_news
                   FROM unnest($1::text[], $2::boolean[], $3::text[], $4::timestamptz[], $5::boolean[], $6::boolean[],
                               $7::text[], $8::jsonb[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
                               $12::integer[], $13::boolean[], $14::timestamptz[])
                            AS u (domain, is_seen, status, expires_at, auto_renew, transfer_lock, handle, nameservers,
                                  believed, moved_since, missing_since, missing_runs, repair, read_at)
                   JOIN provisor.domains q ON q.domain = u.domain
                   WHERE u.read_at IS NOT NULL
                   -- In the order of names, as all that locks several does.
                   ORDER BY q.domain FOR UPDATE OF q) AS n
             WHERE d.domain = n.domain AND n.is_news
             RETURNING d.id, n.repair)
         -- Kind 4 is a name's wish, lane 4 the audit's: jobs/mod.rs.
         INSERT INTO provisor.wakes AS w (id, lane, due_at, kicks)
         SELECT id * 16 + 4, 4, clock_timestamp(), 1 FROM noted WHERE repair ORDER BY id
         ON CONFLICT (id) DO UPDATE SET due_at = LEAST(w.due_at, excluded.due_at), kicks = w.kicks + 1",
        &column(notes, |note| note.domain.clone()),
        &column(notes, |note| note.listed.is_some() || note.seen.is_some()),
        &column(&seen, |seen| seen.status.clone()) as &[Option<String>],
        &column(&seen, |seen| seen.expires_at) as &[Option<DateTime<Utc>>],
        &column(&seen, |seen| seen.auto_renew) as &[Option<bool>],
        &column(&seen, |seen| seen.transfer_lock) as &[Option<bool>],
        &column(notes, handle) as &[Option<String>],
        &column(notes, servers),
        &column(notes, |note| note.memory.expires_before) as &[Option<DateTime<Utc>>],
        &column(notes, |note| note.memory.moved_since) as &[Option<DateTime<Utc>>],
        &column(notes, |note| note.memory.missing.since) as &[Option<DateTime<Utc>>],
        &column(notes, |note| count_of(note.memory.missing.runs)),
        &column(notes, |note| note.repair),
        &column(notes, |note| note.read_at) as &[Option<DateTime<Utc>>],
    )
    .execute(connection)
    .await
    .map(drop)
}

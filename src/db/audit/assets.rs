//! The assets, each with what is wished of it, what was known of it, and what this audit has read: in the order of their
//! keys, so many at a time.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::AssetKind;
use crate::{
    audit::{
        DomainAsset, DomainMemory, DomainView, Listed, ListedSite, Missing, SiteAsset, SiteReading,
        SiteView,
    },
    db::{Database, DbError},
    order::{ContactHandle, SiteId, domain::DomainSeen},
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
    /// When its detail was last read.
    pub looked_at: Option<DateTime<Utc>>,
}

/// A site.
#[derive(Clone, Debug)]
pub struct AuditedSite {
    /// Whose it is.
    pub asset: SiteAsset,
    /// What was read of it. Whether the listing was complete, the caller knows.
    pub view: SiteView,
    /// From when on that was read.
    pub read_at: Option<DateTime<Utc>>,
    /// When its detail was last read.
    pub looked_at: Option<DateTime<Utc>>,
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

/// What is kept of a site after an audit.
#[derive(Clone, Debug)]
pub struct SiteNote {
    /// The site.
    pub id: SiteId,
    /// How it was seen; `None`: it was not.
    pub view: Option<SiteView>,
    /// From when on it was read; `None`: it was not.
    pub read_at: Option<DateTime<Utc>>,
    /// What the next audit compares with.
    pub missing: Missing,
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
                           ORDER BY domain LIMIT $3)
                       SELECT b.domain AS "domain!", d.id AS "id?",
                              -- What a line has not brought, it leaves to the next.
                              d.customer_id IS NOT NULL AND coalesce(l.status NOT IN ('failed', 'cancelled'), true)
                                  AS "is_owned!",
                              coalesce(l.status = 'completed', true) AS "is_settled!",
                              d.auto_renew_wished, coalesce(locks.wished, d.transfer_lock_wished) AS "lock_wished?",
                              d.expiry_believed, d.moved_since,
                              d.seen_at, d.looked_at, d.missing_since, coalesce(d.missing_runs, 0) AS "missing_runs!",
                              wished.handle, servers.nameservers,
                              coalesce(r.pass = $2, false) AS "is_listed!", r.status, r.expires_at, r.auto_renew,
                              r.transfer_lock, r.detail, r.read_at AS "read_at?"
                       FROM batch b
                       LEFT JOIN provisor.domains d ON d.domain = b.domain
                       LEFT JOIN provisor.order_lines l ON l.id = d.line_id
                       LEFT JOIN provisor.audit_readings r ON r.asset = 'domain' AND r.key = b.domain
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

    /// How many assets are known to be customers'.
    pub async fn count_assets(&self, kind: AssetKind) -> Result<u64, DbError> {
        let count = self
            .call("counting assets", async |connection| {
                sqlx::query_scalar!(
                    r#"SELECT CASE WHEN $1 = 'domain'
                              THEN (SELECT count(*) FROM provisor.domains WHERE customer_id IS NOT NULL)
                              ELSE (SELECT count(*) FROM provisor.sites WHERE customer_id IS NOT NULL) END AS "n!""#,
                    kind.as_str(),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The next sites after `after`, as [`Self::audited_domains`].
    pub async fn audited_sites(
        &self,
        after: SiteId,
        pass: i32,
        limit: i64,
    ) -> Result<Vec<AuditedSite>, DbError> {
        let rows = self
            .call("reading sites for the audit", async |connection| {
                sqlx::query!(
                    r#"WITH batch AS (
                           SELECT key FROM (
                               (SELECT lpad(s.site_id::text, 20, '0') AS key FROM provisor.sites s WHERE s.site_id > $1
                                ORDER BY s.site_id LIMIT $3)
                               UNION
                               (SELECT r.key FROM provisor.audit_readings r
                                WHERE r.asset = 'site' AND r.key > lpad($1::bigint::text, 20, '0')
                                ORDER BY r.key LIMIT $3)) AS u
                           ORDER BY key LIMIT $3)
                       SELECT b.key::bigint AS "id!", s.customer_id IS NOT NULL AS "is_owned!", s.looked_at,
                              s.missing_since, coalesce(s.missing_runs, 0) AS "missing_runs!",
                              coalesce(r.pass = $2, false) AS "is_listed!", r.status, r.domain, r.detail,
                              r.read_at AS "read_at?",
                              EXISTS (SELECT FROM provisor.order_lines w
                                      WHERE w.domain = r.domain AND w.kind IN ('hosting', 'hosting_own')
                                        AND w.status IN ('placing', 'in_doubt', 'provisioning')) AS "is_awaited!"
                       FROM batch b
                       LEFT JOIN provisor.sites s ON s.site_id = b.key::bigint
                       LEFT JOIN provisor.audit_readings r ON r.asset = 'site' AND r.key = b.key
                       ORDER BY b.key"#,
                    after.0,
                    pass,
                    limit,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let audited = rows.into_iter().map(|row| {
            let detail: Option<SiteReading> =
                row.detail.and_then(|kept| serde_json::from_value(kept).ok());
            let missing = to_missing(row.missing_runs, row.missing_since);
            AuditedSite {
                asset: SiteAsset {
                    id: SiteId(row.id),
                    is_owned: row.is_owned,
                    is_awaited: row.is_awaited,
                    missing,
                },
                view: SiteView {
                    listed: row
                        .is_listed
                        .then_some(ListedSite { domain: row.domain, status: row.status }),
                    is_complete: false,
                    detail,
                },
                read_at: row.read_at,
                looked_at: row.looked_at,
            }
        });
        Ok(audited.collect())
    }
}

/// A name as the tables have it.
struct DomainRow {
    id: Option<i64>,
    domain: String,
    is_owned: bool,
    is_settled: bool,
    auto_renew_wished: Option<bool>,
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
        transfer_lock: row.lock_wished,
        contact_handle: row.handle.map(ContactHandle),
        nameservers: row.nameservers.map(to_names),
        expires_before: row.expiry_believed,
        moved_since: row.moved_since,
        missing: to_missing(row.missing_runs, row.missing_since),
    };
    let listed = row.is_listed.then_some(Listed {
        status: row.status,
        expires_at: row.expires_at,
        auto_renew: row.auto_renew,
        transfer_lock: row.transfer_lock,
    });
    let detail = row.detail.and_then(|it| serde_json::from_value(it).ok());
    let view = DomainView { listed, is_complete: false, detail };
    AuditedDomain { id: row.id, asset, view, read_at: row.read_at, looked_at: row.looked_at }
}

fn to_names(stored: Value) -> Vec<String> {
    serde_json::from_value(stored).unwrap_or_default()
}

fn to_missing(runs: i32, since: Option<DateTime<Utc>>) -> Missing {
    Missing { runs: u32::try_from(runs).unwrap_or(0), since }
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

/// One column of many rows.
fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn count_of(runs: u32) -> i32 {
    i32::try_from(runs).unwrap_or(i32::MAX)
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

/// The same for sites.
pub(super) async fn note_sites(
    connection: &mut PgConnection,
    notes: &[SiteNote],
) -> Result<(), sqlx::Error> {
    let views = column(notes, |note| note.view.clone().unwrap_or_default());
    sqlx::query!(
        "UPDATE provisor.sites s
         SET status = CASE WHEN n.is_seen THEN coalesce(n.status, s.status) ELSE s.status END,
             disk_used_bytes = coalesce(n.used, s.disk_used_bytes),
             disk_quota_bytes = coalesce(n.quota, s.disk_quota_bytes),
             seen_at = CASE WHEN n.is_seen THEN n.read_at ELSE s.seen_at END,
             missing_since = n.missing_since, missing_runs = n.missing_runs
         FROM (SELECT u.*, q.seen_at IS NULL OR q.seen_at <= u.read_at AS is_news
               FROM unnest($1::bigint[], $2::boolean[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
                           $7::integer[], $8::timestamptz[])
                        AS u (id, is_seen, status, used, quota, missing_since, missing_runs, read_at)
               JOIN provisor.sites q ON q.site_id = u.id
               WHERE u.read_at IS NOT NULL
               ORDER BY q.site_id FOR UPDATE OF q) AS n
         WHERE s.site_id = n.id AND n.is_news",
        &column(notes, |note| note.id.0),
        &column(notes, |note| note.view.is_some()),
        &column(&views, |view| view.status().map(str::to_owned)) as &[Option<String>],
        &column(&views, SiteView::used_bytes) as &[Option<i64>],
        &column(&views, SiteView::quota_bytes) as &[Option<i64>],
        &column(notes, |note| note.missing.since) as &[Option<DateTime<Utc>>],
        &column(notes, |note| count_of(note.missing.runs)),
        &column(notes, |note| note.read_at) as &[Option<DateTime<Utc>>],
    )
    .execute(connection)
    .await
    .map(drop)
}

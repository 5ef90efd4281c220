//! The sites, as the names.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::assets::{column, count_of, to_missing};
use crate::{
    audit::{ListedSite, Missing, SiteAsset, SiteReading, SiteView},
    db::{Database, DbError},
    order::SiteId,
};

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
                           ORDER BY key LIMIT $3),
                       keys AS (SELECT array_agg(key) AS these, array_agg(key::bigint) AS ids FROM batch)
                       SELECT b.key::bigint AS "id!", s.customer_id IS NOT NULL AS "is_owned!", s.looked_at,
                              s.missing_since, coalesce(s.missing_runs, 0) AS "missing_runs!",
                              coalesce(r.pass >= $2, false) AS "is_listed!", r.status, r.domain, r.detail,
                              r.read_at AS "read_at?",
                              EXISTS (SELECT FROM provisor.order_lines w
                                      WHERE w.domain = r.domain AND w.kind IN ('hosting', 'hosting_own')
                                        AND w.status IN ('placing', 'in_doubt', 'provisioning')) AS "is_awaited!"
                       FROM batch b
                       LEFT JOIN (SELECT * FROM provisor.sites WHERE site_id = ANY ((SELECT ids FROM keys)::bigint[])) AS s
                            ON s.site_id = b.key::bigint
                       LEFT JOIN (SELECT * FROM provisor.audit_readings
                                  WHERE asset = 'site' AND key = ANY ((SELECT these FROM keys)::text[])) AS r
                            ON r.key = b.key
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

/// Keeps what was seen of sites, as of names.
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

//! What the audit under way has read of each asset.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Place, Writing};
use crate::db::{Database, DbError};

/// How a direct look is kept that gave no answer.
const UNANSWERED: &str = "unanswered";

/// What is audited.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum AssetKind {
    /// A name: its key is the name in A-labels.
    Domain,
    /// A site: its key is its id in twenty digits.
    Site,
}

impl AssetKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Site => "site",
        }
    }
}

/// A row of a listing.
#[derive(Clone, Debug)]
pub struct ListedAsset {
    /// By which it is known.
    pub key: String,
    /// As upstream says it.
    pub status: Option<String>,
    /// Of a domain: until when it is registered.
    pub expires_at: Option<DateTime<Utc>>,
    /// Of a domain: whether it renews by itself.
    pub auto_renew: Option<bool>,
    /// Of a domain: whether it is locked.
    pub transfer_lock: Option<bool>,
    /// Of a site: its name.
    pub domain: Option<String>,
}

impl Database {
    /// Keeps a page of a listing that was asked for at `read_at`. `None`: another process has the run.
    pub async fn keep_page(
        &self,
        place: &Place,
        kind: AssetKind,
        rows: &[ListedAsset],
        read_at: DateTime<Utc>,
    ) -> Result<Option<()>, DbError> {
        let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
        let statuses: Vec<Option<String>> = rows.iter().map(|row| row.status.clone()).collect();
        let expiries: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.expires_at).collect();
        let renewals: Vec<Option<bool>> = rows.iter().map(|row| row.auto_renew).collect();
        let locks: Vec<Option<bool>> = rows.iter().map(|row| row.transfer_lock).collect();
        let domains: Vec<Option<String>> = rows.iter().map(|row| row.domain.clone()).collect();
        self.audit_step("keeping a page of a listing", place, Writing::Kept, async |connection| {
            sqlx::query!(
                "INSERT INTO provisor.audit_readings (asset, key, pass, status, expires_at, auto_renew, transfer_lock,
                                                      domain, read_at)
                 SELECT DISTINCT ON (r.key) $1, r.key, $2, r.status, r.expires_at, r.auto_renew, r.transfer_lock, r.domain,
                        $9::timestamptz
                 FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::boolean[], $7::boolean[], $8::text[])
                          AS r (key, status, expires_at, auto_renew, transfer_lock, domain)
                 ORDER BY r.key
                 ON CONFLICT (asset, key) DO UPDATE
                 SET pass = excluded.pass, status = excluded.status, expires_at = excluded.expires_at,
                     auto_renew = excluded.auto_renew, transfer_lock = excluded.transfer_lock, domain = excluded.domain,
                     read_at = excluded.read_at",
                kind.as_str(),
                place.pass,
                &keys,
                &statuses as &[Option<String>],
                &expiries as &[Option<DateTime<Utc>>],
                &renewals as &[Option<bool>],
                &locks as &[Option<bool>],
                &domains as &[Option<String>],
                read_at,
            )
            .execute(connection)
            .await
            .map(drop)
        })
        .await
    }

    /// How many assets the passes of a listing from this one on have shown.
    pub async fn count_listed(&self, kind: AssetKind, pass: i32) -> Result<u64, DbError> {
        let count = self
            .call("counting a listing", async |connection| {
                sqlx::query_scalar!(
                    r#"SELECT count(*) AS "n!" FROM provisor.audit_readings WHERE asset = $1 AND pass >= $2"#,
                    kind.as_str(),
                    pass,
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Keeps what direct looks have shown that were made from `now` on, each by its asset's key, and that they were made.
    /// `None`: another process has the run.
    pub async fn keep_details(
        &self,
        place: &Place,
        kind: AssetKind,
        details: &[(String, Value)],
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<()>, DbError> {
        let keys: Vec<String> = details.iter().map(|(key, _)| key.clone()).collect();
        let seen: Vec<Value> = details.iter().map(|(_, detail)| detail.clone()).collect();
        self.audit_step("keeping a direct look", place, Writing::Kept, async |connection| {
            sqlx::query!(
                "INSERT INTO provisor.audit_readings (asset, key, pass, detail, read_at)
                 SELECT $1, r.key, 0, r.detail, $4::timestamptz
                 FROM unnest($2::text[], $3::jsonb[]) AS r (key, detail) ORDER BY r.key
                 ON CONFLICT (asset, key) DO UPDATE
                 SET detail = excluded.detail,
                     -- Who gave no answer has made nothing newer.
                     read_at = CASE WHEN excluded.detail = '\"unanswered\"' THEN audit_readings.read_at
                                    ELSE excluded.read_at END",
                kind.as_str(),
                &keys,
                &seen,
                now,
            )
            .execute(&mut *connection)
            .await?;
            if writing == Writing::Tried {
                return Ok(());
            }
            // Who gave no answer has not had his turn.
            let answered = details.iter().filter(|(_, detail)| *detail != UNANSWERED);
            let keys: Vec<String> = answered.map(|(key, _)| key.clone()).collect();
            match kind {
                AssetKind::Domain => sqlx::query!(
                    "UPDATE provisor.domains SET looked_at = $2 WHERE domain = ANY ($1)",
                    &keys,
                    now
                ),
                AssetKind::Site => sqlx::query!(
                    "UPDATE provisor.sites SET looked_at = $2
                     WHERE site_id = ANY (ARRAY (SELECT k::bigint FROM unnest($1::text[]) AS k))",
                    &keys,
                    now
                ),
            }
            .execute(connection)
            .await
            .map(drop)
        })
        .await
    }
}

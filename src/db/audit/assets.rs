//! What names and sites have in common.

use chrono::{DateTime, Utc};

use super::AssetKind;
use crate::{
    audit::Missing,
    db::{Database, DbError},
};

impl Database {
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
}

pub(super) fn to_missing(runs: i32, since: Option<DateTime<Utc>>) -> Missing {
    Missing { runs: u32::try_from(runs).unwrap_or(0), since }
}

/// One column of many rows.
pub(super) fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

pub(super) fn count_of(runs: u32) -> i32 {
    i32::try_from(runs).unwrap_or(i32::MAX)
}

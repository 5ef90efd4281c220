//! What an operator pauses, and his deeds that are of no order.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::db::{Database, DbError, wakes::Lane};

/// What may be paused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pausable {
    /// Nothing of it is claimed.
    Lane(Lane),
    /// Nothing is asked of it.
    Upstream(&'static str),
}

impl Pausable {
    /// For people, and for scripts.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::Lane(lane) => format!("lane {}", lane.as_str()),
            Self::Upstream(name) => format!("upstream {name}"),
        }
    }
}

/// Something that is paused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause {
    /// The lane, of one.
    pub lane: Option<Lane>,
    /// The upstream, of one.
    pub upstream: Option<String>,
    /// Who has paused it.
    pub paused_by: String,
    /// Why.
    pub why: Option<String>,
    /// When.
    pub paused_at: DateTime<Utc>,
}

/// Who says something, and why.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Who.
    pub by: &'a str,
    /// Why.
    pub why: Option<&'a str>,
}

impl Database {
    /// Pauses these. Answers whether any of them was not paused before.
    ///
    /// `restored`: the database was restored from a backup in a way that it can't know itself. From then on it is as if it
    /// had noticed: what buys is held until that is confirmed, and orders from before may have been forgotten.
    pub async fn pause(
        &self,
        what: &[Pausable],
        restored: bool,
        deed: Deed<'_>,
    ) -> Result<bool, DbError> {
        let (lanes, upstreams) = columns(what);
        let detail = told(what, deed);
        self.call("pausing", async |connection| {
            sqlx::query_scalar!(
                r#"WITH paused AS (
                       INSERT INTO provisor.pauses (lane, upstream, paused_by, why)
                       SELECT l.lane, NULL, $3, $4 FROM unnest($1::smallint[]) AS l (lane)
                       UNION ALL
                       SELECT NULL, u.name, $3, $4 FROM unnest($2::text[]) AS u (name)
                       ON CONFLICT DO NOTHING RETURNING 1),
                   unconfirmed AS (
                       UPDATE provisor.timeline SET ledger = 0 WHERE $6 AND ledger <> 0 RETURNING 1),
                   noted AS (
                       INSERT INTO provisor.events (event, detail)
                       SELECT 'queue_paused', $5::jsonb WHERE EXISTS (SELECT FROM paused)
                       UNION ALL
                       SELECT 'restore_told', $5::jsonb WHERE EXISTS (SELECT FROM unconfirmed))
                   SELECT EXISTS (SELECT FROM paused) OR EXISTS (SELECT FROM unconfirmed) AS "changed!""#,
                &lanes,
                &upstreams,
                deed.by,
                deed.why,
                detail,
                restored,
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Lets these go on. Answers whether any of them was paused.
    pub async fn lift_pauses(&self, what: &[Pausable], deed: Deed<'_>) -> Result<bool, DbError> {
        self.call("lifting a pause", async |connection| lift(connection, what, deed).await).await
    }

    /// What is paused.
    pub async fn pauses(&self) -> Result<Vec<Pause>, DbError> {
        let rows = self
            .call("reading what is paused", async |connection| {
                sqlx::query!(
                    "SELECT lane, upstream, paused_by, why, paused_at FROM provisor.pauses ORDER BY upstream, lane"
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let pauses = rows.into_iter().map(|row| Pause {
            lane: row.lane.map(Lane::from_number),
            upstream: row.upstream,
            paused_by: row.paused_by,
            why: row.why,
            paused_at: row.paused_at,
        });
        Ok(pauses.collect())
    }
}

impl Deed<'_> {
    /// Notes it, in the transaction of what was done.
    pub(in crate::db) async fn write(
        self,
        connection: &mut PgConnection,
        event: &str,
        detail: &Value,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "INSERT INTO provisor.events (event, detail) VALUES ($1, jsonb_strip_nulls($2::jsonb || $3::jsonb))",
            event,
            detail,
            json!({ "by": self.by, "why": self.why }),
        )
        .execute(connection)
        .await
        .map(drop)
    }
}

/// Lets these go on, and notes it. Answers whether any of them was paused.
pub(in crate::db) async fn lift(
    connection: &mut PgConnection,
    what: &[Pausable],
    deed: Deed<'_>,
) -> Result<bool, sqlx::Error> {
    let (lanes, upstreams) = columns(what);
    sqlx::query_scalar!(
        r#"WITH lifted AS (
               DELETE FROM provisor.pauses
               WHERE lane = ANY ($1::smallint[]) OR upstream = ANY ($2::text[]) RETURNING 1),
           noted AS (
               INSERT INTO provisor.events (event, detail)
               SELECT 'queue_resumed', $3 WHERE EXISTS (SELECT FROM lifted))
           SELECT EXISTS (SELECT FROM lifted) AS "changed!""#,
        &lanes,
        &upstreams,
        told(what, deed),
    )
    .fetch_one(connection)
    .await
}

/// The lanes among these, and the upstreams.
fn columns(what: &[Pausable]) -> (Vec<i16>, Vec<String>) {
    let (mut lanes, mut upstreams) = (Vec::new(), Vec::new());
    for one in what {
        match one {
            Pausable::Lane(lane) => lanes.push(lane.number()),
            Pausable::Upstream(name) => upstreams.push((*name).to_owned()),
        }
    }
    (lanes, upstreams)
}

fn told(what: &[Pausable], deed: Deed<'_>) -> Value {
    let names: Vec<String> = what.iter().map(|one| one.told()).collect();
    json!({ "what": names, "by": deed.by, "why": deed.why })
}

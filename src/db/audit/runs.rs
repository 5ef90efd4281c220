//! The runs: begun, held by a lease, gone on with by whoever comes next, ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, hold};
use crate::{
    audit::RunKind,
    db::{Database, DbError, begin, micros, operators::pauses::Deed},
};

/// A run that nobody was at for so long begins anew.
const OLD_AFTER: Duration = Duration::from_hours(1);

/// A run as it stands.
#[derive(Clone, Debug)]
pub struct AuditRun {
    /// Its id.
    pub id: i64,
    /// Why there is one.
    pub kind: RunKind,
    /// Of a scheduled one: the time that the schedule names.
    pub due_at: DateTime<Utc>,
    /// By the audit's clock.
    pub started_at: DateTime<Utc>,
    /// Somebody has looked, and says that so much has changed.
    pub past_brake: bool,
    /// The stage.
    pub stage: String,
    /// How far the stage has come.
    pub position: String,
    /// Of a listing.
    pub pass: i32,
    /// What it came to so far.
    pub figures: Value,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Whether there is a run to go on with.
#[derive(Clone, Debug)]
pub enum Taken {
    /// This one, from now on held by who asked.
    Run(Box<AuditRun>),
    /// Another process is at this one.
    Busy(Box<AuditRun>),
    /// None is open.
    None,
}

impl Database {
    /// Takes the open run, unless another process is at it. One that was left for long begins anew: what it has read is
    /// old.
    pub async fn take_audit(
        &self,
        owner: Uuid,
        lease: Duration,
        first: &str,
        now: DateTime<Utc>,
    ) -> Result<Taken, DbError> {
        let taken = self
            .call("taking the audit", async |connection| {
                let mut transaction = begin(connection).await?;
                let taken = sqlx::query!(
                    r#"UPDATE provisor.audit_runs r
                       SET owner = $1, lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
                       FROM (SELECT id, lease_until FROM provisor.audit_runs WHERE ended_at IS NULL FOR UPDATE) AS before
                       WHERE r.id = before.id AND (r.owner = $1 OR before.lease_until <= clock_timestamp())
                       RETURNING r.id,
                           before.lease_until < clock_timestamp() - $3::bigint * interval '1 microsecond' AS "is_old!""#,
                    owner,
                    micros(lease),
                    micros(OLD_AFTER),
                )
                .fetch_optional(&mut *transaction)
                .await?;
                if let Some(old) = taken.as_ref().filter(|taken| taken.is_old) {
                    sqlx::query!(
                        "UPDATE provisor.audit_runs
                         SET stage = $2, position = '', pass = 1, figures = '{}', started_at = $3,
                             -- That was said of what had been read then.
                             past_brake = false
                         WHERE id = $1",
                        old.id,
                        first,
                        now,
                    )
                    .execute(&mut *transaction)
                    .await?;
                    sqlx::query!("DELETE FROM provisor.audit_readings")
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
                Ok(taken.map(|taken| taken.id))
            })
            .await?;
        Ok(match (taken, self.open_audit().await?) {
            (Some(id), Some(run)) if run.id == id => Taken::Run(Box::new(run)),
            (_, Some(run)) => Taken::Busy(Box::new(run)),
            (_, None) => Taken::None,
        })
    }

    /// Leaves a run to whoever comes next, if it is still held.
    pub async fn leave_audit(&self, owner: Uuid) -> Result<(), DbError> {
        self.call("leaving the audit", async |connection| {
            sqlx::query!(
                "UPDATE provisor.audit_runs SET lease_until = clock_timestamp() WHERE owner = $1 AND ended_at IS NULL",
                owner,
            )
            .execute(connection)
            .await
            .map(drop)
        })
        .await
    }

    /// Begins a run, held by who asked; `false`: another one is open. What an earlier one has left half read is dropped. Who
    /// has it go past the brake is told; a dry run changes nothing, and is not.
    pub async fn begin_audit(
        &self,
        kind: RunKind,
        due_at: DateTime<Utc>,
        past_brake: Option<Deed<'_>>,
        place: &Place,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        self.call("beginning an audit", async |connection| {
            let mut transaction = begin(connection).await?;
            let begun = sqlx::query!(
                "INSERT INTO provisor.audit_runs (kind, due_at, started_at, past_brake, stage, owner, lease_until)
                 VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::bigint * interval '1 microsecond')
                 ON CONFLICT ((true)) WHERE ended_at IS NULL DO NOTHING RETURNING id",
                kind.as_str(),
                due_at,
                now,
                past_brake.is_some(),
                place.stage,
                place.owner,
                micros(place.lease),
            )
            .fetch_optional(&mut *transaction)
            .await?;
            if begun.is_some() {
                sqlx::query!("DELETE FROM provisor.audit_readings").execute(&mut *transaction).await?;
            }
            if let (Some(run), Some(deed), true) = (&begun, past_brake, kind != RunKind::Dry) {
                let detail = json!({ "audit": run.id });
                deed.write(&mut transaction, "audit_past_brake", &detail).await?;
            }
            transaction.commit().await?;
            Ok(begun.is_some())
        })
        .await
    }

    /// Ends a run, and drops what it has read. Answers whether it was still held. The operator is owed `digest`, where there
    /// is one.
    pub async fn end_audit(
        &self,
        place: &Place,
        digest: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        self.call("ending an audit", async |connection| {
            let mut transaction = begin(connection).await?;
            if !hold(&mut transaction, place).await? {
                return Ok(false);
            }
            sqlx::query!("UPDATE provisor.audit_runs SET ended_at = $2 WHERE id = $1", place.run, now)
                .execute(&mut *transaction)
                .await?;
            // Nothing of a dry run stays.
            sqlx::query!("DELETE FROM provisor.audit_runs WHERE id = $1 AND kind = 'dry'", place.run)
                .execute(&mut *transaction)
                .await?;
            sqlx::query!("DELETE FROM provisor.audit_readings").execute(&mut *transaction).await?;
            if digest {
                // Kind 2 is an email's wake, lane 3 the emails': jobs/mod.rs.
                sqlx::query!(
                    "WITH owed AS (
                         INSERT INTO provisor.email_outbox (dedupe_key, template, context)
                         VALUES ('ops_audit:' || $1::bigint, 'ops_audit', jsonb_build_object('audit', $1::bigint))
                         ON CONFLICT (dedupe_key) DO NOTHING
                         RETURNING id)
                     INSERT INTO provisor.wakes (id, lane, due_at)
                     SELECT id * 16 + 2, 3, clock_timestamp() FROM owed",
                    place.run,
                )
                .execute(&mut *transaction)
                .await?;
            }
            failpoint!("audit.ending");
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// The run that is open, whoever is at it.
    pub async fn open_audit(&self) -> Result<Option<AuditRun>, DbError> {
        self.select_audit(None).await
    }

    /// A run by its id.
    pub async fn audit_run(&self, id: i64) -> Result<Option<AuditRun>, DbError> {
        self.select_audit(Some(id)).await
    }

    async fn select_audit(&self, id: Option<i64>) -> Result<Option<AuditRun>, DbError> {
        let row = self
            .call("reading an audit", async |connection| {
                sqlx::query!(
                    "SELECT id, kind, due_at, started_at, past_brake, stage, position, pass, figures, ended_at
                     FROM provisor.audit_runs
                     WHERE CASE WHEN $1::bigint IS NULL THEN ended_at IS NULL ELSE id = $1 END",
                    id,
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(AuditRun {
            id: row.id,
            kind: row.kind.parse()?,
            due_at: row.due_at,
            started_at: row.started_at,
            past_brake: row.past_brake,
            stage: row.stage,
            position: row.position,
            pass: row.pass,
            figures: row.figures,
            ended_at: row.ended_at,
        }))
    }

    /// The last time of the schedule that has been done, or from when on it is kept.
    pub async fn last_scheduled_audit(&self) -> Result<DateTime<Utc>, DbError> {
        self.call("reading the audit's schedule", async |connection| {
            sqlx::query_scalar!(
                r#"SELECT greatest((SELECT max(due_at) FROM provisor.audit_runs WHERE kind = 'scheduled'),
                                   (SELECT since FROM provisor.audit_schedule)) AS "at!""#
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// When an audit that was no dry run last came to its end.
    pub async fn last_audit_end(&self) -> Result<Option<DateTime<Utc>>, DbError> {
        self.call("reading the last audit", async |connection| {
            sqlx::query_scalar!(
                "SELECT max(ended_at) FROM provisor.audit_runs WHERE kind IN ('scheduled', 'asked')
                   AND (figures ->> 'complete')::boolean"
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// What the last run that has ended came to: the next one goes on where it has left off.
    pub async fn last_figures(&self) -> Result<Option<Value>, DbError> {
        self.call("reading the last audit", async |connection| {
            sqlx::query_scalar!(
                "SELECT figures FROM provisor.audit_runs WHERE kind <> 'dry' AND ended_at IS NOT NULL
                 ORDER BY id DESC LIMIT 1"
            )
            .fetch_optional(connection)
            .await
        })
        .await
    }

    /// Drops what is older than three years: runs, reminders, and findings that were closed then.
    pub async fn forget_old_audits(&self, now: DateTime<Utc>) -> Result<(), DbError> {
        self.call("forgetting old audits", async |connection| {
            let mut transaction = begin(connection).await?;
            for forget in [
                sqlx::query!(
                    "DELETE FROM provisor.audit_runs WHERE ended_at < $1::timestamptz - interval '3 years'
                       AND id < (SELECT max(id) FROM provisor.audit_runs WHERE kind = 'scheduled')",
                    now
                ),
                sqlx::query!(
                    "DELETE FROM provisor.reminders WHERE decided_at < $1::timestamptz - interval '37 months'
                       AND expires_on < $1::timestamptz - interval '37 months'",
                    now
                ),
                sqlx::query!(
                    "DELETE FROM provisor.findings WHERE closed_at < $1::timestamptz - interval '3 years'",
                    now
                ),
            ] {
                forget.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
        .await
    }
}

//! Reminders of expiries: owed once for each name, expiry and threshold, and kept as a proof.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Place, Settled, Writing, findings};
use crate::{
    audit::{Assessment, FindingKind, PastReminder},
    db::{Database, DbError},
    order::CustomerId,
};

/// A name whose expiry is near or not long past.
#[derive(Clone, Debug)]
pub struct ExpiringName {
    /// The name.
    pub domain: String,
    /// Whose it is.
    pub customer: CustomerId,
    /// Until when it is registered, as seen last.
    pub expires_at: DateTime<Utc>,
    /// The expiry that is taken for true, if there is one.
    pub believed: Option<DateTime<Utc>>,
    /// This run has read until when, or that it is gone: what is known is not old.
    pub is_fresh: bool,
    /// Whether it renews by itself, as seen last.
    pub auto_renew: Option<bool>,
    /// Whether it shall.
    pub wished: Option<bool>,
    /// The wish has been carried out, and read back.
    pub is_kept: bool,
    /// The wish is about to be carried out, and has been neither refused nor stuck for days.
    pub is_under_way: bool,
    /// What was decided about its reminders, whichever expiry they were of, the latest first.
    pub past: Vec<PastReminder>,
}

/// What is decided about one threshold.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The name.
    pub domain: String,
    /// Whose it is.
    pub customer: CustomerId,
    /// The day of its expiry, in the audit's time zone.
    pub expires_on: NaiveDate,
    /// Days before the expiry; negative: after.
    pub threshold: i32,
    /// The email that is owed; `None`: it is skipped, for a later threshold has passed, too.
    pub email: Option<&'static str>,
    /// Whether it will renew by itself.
    pub auto_renew: bool,
}

/// A reminder, as the proof has it.
#[derive(Clone, Debug, Serialize)]
pub struct ReminderRow {
    /// The name.
    pub domain: String,
    /// The day of its expiry.
    pub expires_on: NaiveDate,
    /// Days before the expiry; negative: after.
    pub threshold: i32,
    /// `owed`, or `skipped` for a later one.
    pub outcome: String,
    /// When that was decided.
    pub decided_at: DateTime<Utc>,
    /// The shop's reference of the customer.
    pub customer_reference: Option<String>,
    /// Which email it was.
    pub template: Option<String>,
    /// `queued`, `sent`, `failed`, `disabled`.
    pub email_status: Option<String>,
    /// When the mail server took it over, or it was given up.
    pub settled_at: Option<DateTime<Utc>>,
    /// The left part of its Message-ID.
    pub message_id: Option<String>,
}

impl Database {
    /// The last of the next names after `after`, at most `limit`; `None`: there are no more.
    pub async fn last_of_names(&self, after: &str, limit: i64) -> Result<Option<String>, DbError> {
        self.call("reading names for their reminders", async |connection| {
            sqlx::query_scalar!(
                "SELECT max(domain) FROM (SELECT domain FROM provisor.domains WHERE domain > $1
                                          ORDER BY domain LIMIT $2) AS batch",
                after,
                limit,
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Of the names after the first, up to the second, those that expire between two times, as the pass of the listing shows
    /// them. Names that are missing are left out, for nobody is reminded of what may be somebody else's; but not those that
    /// were to go, and are gone.
    pub async fn expiring_names(
        &self,
        (after, last): (&str, &str),
        (pass, is_complete): (i32, bool),
        (from, until): (DateTime<Utc>, DateTime<Utc>),
        stuck_since: DateTime<Utc>,
    ) -> Result<Vec<ExpiringName>, DbError> {
        let rows = self
            .call("reading names that expire", async |connection| {
                sqlx::query!(
                    r#"WITH keys AS (
                           SELECT array_agg(domain) AS these FROM provisor.domains WHERE domain > $1 AND domain <= $4)
                       SELECT d.domain, d.customer_id AS "customer_id!", seen.expires_at AS "expires_at!",
                              d.expiry_believed AS believed, seen.is_fresh OR gone.is_gone AS "is_fresh!", seen.auto_renew,
                              d.auto_renew_wished AS wished,
                              d.auto_renew_kept_since IS NOT NULL
                                  AND coalesce(seen.auto_renew = d.auto_renew_wished, true) AS "is_kept!",
                              -- Kind 4 is a name's wish: jobs/mod.rs.
                              EXISTS (SELECT FROM provisor.wakes w WHERE w.id = d.id * 16 + 4 AND w.due_at < 'infinity')
                                  AND d.auto_renew_refused_at IS NULL
                                  AND NOT EXISTS (SELECT FROM provisor.findings f
                                                  WHERE (f.subject, f.kind) = (d.domain, 'auto_renew_mismatch')
                                                    AND f.closed_at IS NULL AND f.first_seen < $6) AS "is_under_way!",
                              (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                          'expires_on', p.expires_on, 'threshold', p.threshold, 'outcome', p.outcome,
                                          'decided_at', p.decided_at, 'email', m.status) ORDER BY p.decided_at DESC), '[]')
                               FROM provisor.reminders p LEFT JOIN provisor.email_outbox m ON m.id = p.email_id
                               WHERE p.domain = d.domain AND p.expires_on > ($2::timestamptz - interval '400 days'))
                                  AS "past!"
                       -- By their keys, so that no batch reads whole tables.
                       FROM (SELECT * FROM provisor.domains WHERE domain = ANY ((SELECT these FROM keys)::text[])) AS d
                       LEFT JOIN LATERAL (SELECT * FROM provisor.order_lines l WHERE l.id = d.line_id LIMIT 1) AS l ON true
                       LEFT JOIN (SELECT * FROM provisor.audit_readings
                                  WHERE asset = 'domain' AND key = ANY ((SELECT these FROM keys)::text[])) AS r
                            ON r.key = d.domain
                       -- The readings themselves are asked, for a dry run has kept nothing.
                       CROSS JOIN LATERAL (
                           SELECT coalesce((r.detail -> 'seen' ->> 'expires_at')::timestamptz,
                                           CASE WHEN r.pass >= $5 THEN r.expires_at END, d.expires_at) AS expires_at,
                                  coalesce((r.detail -> 'seen' ->> 'auto_renew')::boolean,
                                           CASE WHEN r.pass >= $5 THEN r.auto_renew END, d.auto_renew_seen) AS auto_renew,
                                  coalesce(r.pass >= $5 OR r.detail ? 'seen', false) AS is_shown,
                                  coalesce((r.detail -> 'seen' ->> 'expires_at') IS NOT NULL
                                           OR r.pass >= $5 AND r.expires_at IS NOT NULL, false) AS is_fresh) AS seen
                       -- It was to go, was not missed before its time was over, and a look since then has found it gone.
                       CROSS JOIN LATERAL (
                           SELECT coalesce($7 AND NOT seen.is_shown AND d.auto_renew_wished = false
                                           AND coalesce(d.missing_since > seen.expires_at, d.missing_runs = 0)
                                           AND d.looked_at > greatest(seen.expires_at, d.seen_at), false) AS is_gone) AS gone
                       -- Whoever is forgotten has no address.
                       WHERE EXISTS (SELECT FROM provisor.customers c WHERE c.id = d.customer_id AND c.email <> '')
                         AND (seen.expires_at BETWEEN $2 AND $3 OR d.expiry_believed BETWEEN $2 AND $3)
                         AND (gone.is_gone OR d.missing_runs = 0 AND r.detail IS DISTINCT FROM '"not_ours"')
                         AND coalesce(l.status NOT IN ('failed', 'cancelled'), true)
                         -- One that is still being transferred here has its expiry with somebody else.
                         AND coalesce(l.kind <> 'domain_transfer' OR l.status = 'completed' OR l.milestone IS NOT NULL, true)
                       ORDER BY d.domain"#,
                    after, from, until, last, pass, stuck_since, is_complete,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let names = rows.into_iter().map(|row| ExpiringName {
            domain: row.domain,
            customer: CustomerId(row.customer_id),
            expires_at: row.expires_at,
            believed: row.believed,
            is_fresh: row.is_fresh,
            auto_renew: row.auto_renew,
            wished: row.wished,
            is_kept: row.is_kept,
            is_under_way: row.is_under_way,
            past: serde_json::from_value(row.past).unwrap_or_default(),
        });
        Ok(names.collect())
    }

    /// Owes the reminders that are decided on, each once for ever, and judges whether some are missing. `None`: another
    /// process has the run.
    pub async fn remind(
        &self,
        place: &Place,
        decided: &[Decided],
        judged: &[(String, Assessment)],
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<Settled>, DbError> {
        let key =
            |it: &Decided| format!("reminder:{}:{}:{}", it.domain, it.expires_on, it.threshold);
        let keys: Vec<String> = decided.iter().map(key).collect();
        let domains: Vec<String> = decided.iter().map(|it| it.domain.clone()).collect();
        let days: Vec<NaiveDate> = decided.iter().map(|it| it.expires_on).collect();
        let thresholds: Vec<i32> = decided.iter().map(|it| it.threshold).collect();
        let customers: Vec<i64> = decided.iter().map(|it| it.customer.0).collect();
        let templates: Vec<Option<String>> =
            decided.iter().map(|it| it.email.map(str::to_owned)).collect();
        let contexts: Vec<Value> = decided
            .iter()
            .map(|it| {
                json!({ "domain": it.domain, "expires_on": it.expires_on, "auto_renew": it.auto_renew })
            })
            .collect();
        let subjects: Vec<String> = judged.iter().map(|(subject, _)| subject.clone()).collect();
        let named = judged.iter().map(|(subject, it)| (&**subject, it));
        let together = findings::together(&subjects, &[FindingKind::ReminderMissing], named);
        self.audit_step("reminding of expiries", place, writing, async |connection| {
            // What is decided already is decided: whoever comes second changes nothing.
            sqlx::query!(
                "WITH decided AS (
                     INSERT INTO provisor.reminders (domain, expires_on, threshold, outcome, decided_at, customer_id)
                     SELECT d.domain, d.expires_on, d.threshold,
                            CASE WHEN d.template IS NULL THEN 'skipped' ELSE 'owed' END, $8, d.customer_id
                     FROM unnest($2::text[], $3::date[], $4::integer[], $5::bigint[], $6::text[])
                              AS d (domain, expires_on, threshold, customer_id, template)
                     ORDER BY d.domain, d.expires_on, d.threshold
                     ON CONFLICT (domain, expires_on, threshold) DO NOTHING
                     RETURNING domain, expires_on, threshold, outcome),
                 owed AS (
                     INSERT INTO provisor.email_outbox (dedupe_key, template, customer_id, context)
                     SELECT d.key, d.template, d.customer_id, d.context
                     FROM unnest($1::text[], $2::text[], $3::date[], $4::integer[], $5::bigint[], $6::text[],
                                 $7::jsonb[])
                              AS d (key, domain, expires_on, threshold, customer_id, template, context)
                     JOIN decided USING (domain, expires_on, threshold)
                     WHERE decided.outcome = 'owed'
                     ORDER BY d.key
                     ON CONFLICT (dedupe_key) DO NOTHING
                     RETURNING id)
                 -- Kind 2 is an email's wake, lane 3 the emails': jobs/mod.rs.
                 INSERT INTO provisor.wakes (id, lane, due_at)
                 SELECT id * 16 + 2, 3, clock_timestamp() FROM owed ORDER BY id",
                &keys,
                &domains,
                &days,
                &thresholds,
                &customers,
                &templates as &[Option<String>],
                &contexts,
                now,
            )
            .execute(&mut *connection)
            .await?;
            sqlx::query!(
                "UPDATE provisor.reminders r SET email_id = m.id
                 FROM unnest($1::text[], $2::text[], $3::date[], $4::integer[]) AS d (key, domain, expires_on, threshold)
                 JOIN provisor.email_outbox m ON m.dedupe_key = d.key
                 WHERE (r.domain, r.expires_on, r.threshold) = (d.domain, d.expires_on, d.threshold)
                   AND r.email_id IS NULL",
                &keys,
                &domains,
                &days,
                &thresholds,
            )
            .execute(&mut *connection)
            .await?;
            failpoint!("audit.owing");
            findings::settle(connection, &together, now).await
        })
        .await
    }

    /// The proof of a name's reminders, or of all, the latest first, at most `limit`.
    pub async fn reminders(
        &self,
        domain: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ReminderRow>, DbError> {
        self.call("listing reminders", async |connection| {
            sqlx::query_as!(
                ReminderRow,
                r#"SELECT r.domain, r.expires_on, r.threshold, r.outcome, r.decided_at,
                          c.reference AS "customer_reference?", m.template AS "template?",
                          m.status AS "email_status?", m.settled_at AS "settled_at?", m.message_id AS "message_id?"
                   FROM provisor.reminders r
                   LEFT JOIN provisor.customers c ON c.id = r.customer_id
                   LEFT JOIN provisor.email_outbox m ON m.id = r.email_id
                   WHERE $1::text IS NULL OR r.domain = $1
                   ORDER BY r.decided_at DESC, r.domain, r.threshold LIMIT $2"#,
                domain,
                limit,
            )
            .fetch_all(connection)
            .await
        })
        .await
    }
}

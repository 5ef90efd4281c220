//! What Provisor's own tables say: lines and emails that somebody should look at.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    audit::{Assessment, FindingKind, Severity},
    db::{Database, DbError, micros},
};

/// The kinds that are judged from the tables alone.
pub const OWN_KINDS: &[FindingKind] =
    &[FindingKind::LineStuck, FindingKind::LineInDoubt, FindingKind::EmailStuck];

/// The most of these findings that are open at a time; what is beyond is told when there is room.
const FOUND_MAX: i64 = 10_000;

/// How long an email may wait before somebody should look.
const EMAIL_WAITS: Duration = Duration::from_hours(24);

/// How long a failed email is told of.
const EMAIL_FAILED: Duration = Duration::from_hours(30 * 24);

/// From when on something is told.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `poll.overdue_after`
    pub overdue_after: Duration,
    /// `ljpc.in_doubt_grace`
    pub in_doubt_grace: Duration,
}

impl Database {
    /// What is found in the tables: a subject and what is found of it each. `false`: there is more than is told.
    pub async fn own_findings(
        &self,
        waits: Waits,
        now: DateTime<Utc>,
    ) -> Result<(Vec<(String, Assessment)>, bool), DbError> {
        let rows = self
            .call("looking for what is stuck", async |connection| {
                sqlx::query!(
                    r#"SELECT kind AS "kind!", severity AS "severity!", subject AS "subject!", episode AS "episode!",
                              detail AS "detail!"
                       FROM (
                           SELECT CASE WHEN l.status = 'in_doubt' THEN 'line_in_doubt' ELSE 'line_stuck' END AS kind,
                                  CASE WHEN l.status = 'in_doubt' THEN 'critical' ELSE 'warning' END AS severity,
                                  o.reference || '/' || l.line AS subject, '' AS episode,
                                  CASE l.status
                                      WHEN 'in_doubt' THEN 'whether it was bought is not known since '
                                          || to_char(l.in_doubt_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI"Z"')
                                      WHEN 'held' THEN 'it is held: ' || coalesce(l.reason, 'a person must decide')
                                      ELSE 'it is ' || l.status || ' since its submission on '
                                          || to_char(o.submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                                  END AS detail,
                                  l.id AS place
                           FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
                           WHERE l.status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held')
                             AND CASE l.status
                                     WHEN 'held' THEN true
                                     WHEN 'in_doubt'
                                     THEN l.in_doubt_at <= $1::timestamptz - $3::bigint * interval '1 microsecond'
                                     ELSE o.submitted_at <= $1::timestamptz - $2::bigint * interval '1 microsecond'
                                 END
                           UNION ALL
                           SELECT 'email_stuck', 'warning',
                                  coalesce(o.reference || '/' || coalesce(m.line, 0), m.context ->> 'domain', 'operator'),
                                  m.id::text,
                                  m.template || CASE WHEN m.status = 'failed' THEN ' could not be sent: '
                                                     ELSE ' waits since '
                                                         || to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                                                         || ': ' END
                                      || coalesce(left(m.last_error, 200), 'it was not tried yet'),
                                  m.id
                           FROM provisor.email_outbox m LEFT JOIN provisor.orders o ON o.id = m.order_id
                           WHERE m.status = 'queued'
                                 AND m.created_at <= $1::timestamptz - $4::bigint * interval '1 microsecond'
                              OR m.status = 'failed'
                                 AND m.settled_at > $1::timestamptz - $5::bigint * interval '1 microsecond') AS found
                       ORDER BY array_position('{critical,warning,info}', severity), kind, place LIMIT $6"#,
                    now,
                    micros(waits.overdue_after),
                    micros(waits.in_doubt_grace),
                    micros(EMAIL_WAITS),
                    micros(EMAIL_FAILED),
                    FOUND_MAX,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let is_all = i64::try_from(rows.len()).is_ok_and(|found| found < FOUND_MAX);
        let found = rows.into_iter().map(|row| {
            let (kind, severity): (FindingKind, Severity) =
                (row.kind.parse()?, row.severity.parse()?);
            let mut assessment = Assessment::default();
            assessment.find_in(kind, severity, &row.subject, row.episode, row.detail);
            Ok((row.subject, assessment))
        });
        Ok((found.collect::<Result<_, DbError>>()?, is_all))
    }
}

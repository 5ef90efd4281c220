//! Findings: opened once, told again while they last, closed when they are gone.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{DomainNote, Place, SiteNote, Writing, domains, sites};
use crate::{
    audit::{Assessment, Finding, FindingKind, Severity},
    db::{Database, DbError},
};

/// A finding as it stands (contract, section 4).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ListedFinding {
    /// What it is about.
    pub kind: String,
    /// How grave it is.
    pub severity: String,
    /// The domain, the site's id, or `<reference>/<line>`.
    pub subject: String,
    /// One sentence.
    pub detail: String,
    /// When it was opened.
    pub first_seen: DateTime<Utc>,
    /// When an audit last saw it.
    pub last_seen: DateTime<Utc>,
    /// When it was gone.
    pub closed_at: Option<DateTime<Utc>>,
}

/// What a run does to a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It is new.
    Opened,
    /// It is graver than it was.
    Worse,
    /// It is gone.
    Closed,
}

/// What became of the findings of some subjects: those that have changed.
pub type Settled = Vec<(Turn, ListedFinding)>;

/// What is judged together: all of these kinds of these subjects.
pub(super) struct Judged<'a> {
    /// Which subjects; `None`: all.
    pub subjects: Option<&'a [String]>,
    /// Which kinds.
    pub kinds: &'a [FindingKind],
    /// What was found.
    pub found: Vec<Finding>,
    /// What could not be judged: a subject and a kind of finding each.
    pub unjudged: Vec<(String, FindingKind)>,
}

impl Database {
    /// Judges names: their findings, and what is kept of them. `None`: another process has the run.
    pub async fn judge_domains(
        &self,
        place: &Place,
        judged: &[(String, Option<DomainNote>, Assessment)],
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<Settled>, DbError> {
        let subjects: Vec<String> = judged.iter().map(|(subject, ..)| subject.clone()).collect();
        let notes: Vec<DomainNote> =
            judged.iter().filter_map(|(_, note, _)| note.clone()).collect();
        let named = judged.iter().map(|(subject, _, it)| (&**subject, it));
        let together = together(&subjects, DOMAIN_KINDS, named);
        self.audit_step("judging names", place, writing, async |connection| {
            domains::note_domains(&mut *connection, &notes).await?;
            settle(connection, &together, now).await
        })
        .await
    }

    /// The same for sites.
    pub async fn judge_sites(
        &self,
        place: &Place,
        judged: &[(String, Option<SiteNote>, Assessment)],
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<Settled>, DbError> {
        let subjects: Vec<String> = judged.iter().map(|(subject, ..)| subject.clone()).collect();
        let notes: Vec<SiteNote> = judged.iter().filter_map(|(_, note, _)| note.clone()).collect();
        let named = judged.iter().map(|(subject, _, it)| (&**subject, it));
        let together = together(&subjects, SITE_KINDS, named);
        self.audit_step("judging sites", place, writing, async |connection| {
            sites::note_sites(&mut *connection, &notes).await?;
            settle(connection, &together, now).await
        })
        .await
    }

    /// Judges findings of these kinds of these subjects (`None`: of all).
    pub async fn judge(
        &self,
        place: &Place,
        (subjects, kinds): (Option<&[String]>, &[FindingKind]),
        judged: &[(String, Assessment)],
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<Settled>, DbError> {
        let named = judged.iter().map(|(subject, it)| (&**subject, it));
        let together = Judged { subjects, ..together(&[], kinds, named) };
        self.audit_step("judging", place, writing, async |connection| {
            settle(connection, &together, now).await
        })
        .await
    }

    /// Closes findings that no batch of this run has come by: of assets that nobody here knows and the listings show no
    /// more, of expiries that are past, of lines whose price counts no more. `kinds`: those that were judged to their end.
    pub async fn close_unlisted(
        &self,
        place: &Place,
        kinds: &[FindingKind],
        seen_since: DateTime<Utc>,
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<Settled>, DbError> {
        let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        self.audit_step("closing findings of what is gone", place, writing, async |connection| {
            let rows = sqlx::query_as!(
                ListedFinding,
                r#"UPDATE provisor.findings SET closed_at = $3
                   WHERE closed_at IS NULL AND kind = ANY ($1) AND last_seen < $2
                   RETURNING kind, severity, subject, detail, first_seen, last_seen, closed_at"#,
                &kinds,
                seen_since,
                now,
            )
            .fetch_all(&mut *connection)
            .await?;
            let priced = sqlx::query_as!(
                ListedFinding,
                r#"UPDATE provisor.findings f SET closed_at = $1
                   WHERE f.closed_at IS NULL AND f.kind IN ('price_above_max_cost', 'price_changed')
                     AND NOT EXISTS (
                         SELECT FROM provisor.orders o JOIN provisor.order_lines l ON l.order_id = o.id
                         WHERE o.reference = regexp_replace(f.subject, '/[0-9]+$', '')
                           AND l.line::text = substring(f.subject FROM '[0-9]+$') AND l.status = 'completed'
                           AND (l.kind = 'hosting'
                                OR EXISTS (SELECT FROM provisor.domains d WHERE d.line_id = l.id)))
                   RETURNING kind, severity, subject, detail, first_seen, last_seen, closed_at"#,
                now,
            )
            .fetch_all(connection)
            .await?;
            let closed = rows.into_iter().chain(priced);
            Ok(closed.map(|finding| (Turn::Closed, finding)).collect())
        })
        .await
    }

    /// Findings, the gravest first, at most `limit`; `open` leaves out those that are closed.
    pub async fn findings(&self, open: bool, limit: i64) -> Result<Vec<ListedFinding>, DbError> {
        self.call("listing findings", async |connection| {
            sqlx::query_as!(
                ListedFinding,
                "SELECT kind, severity, subject, detail, first_seen, last_seen, closed_at
                 FROM provisor.findings WHERE closed_at IS NULL OR NOT $1
                 ORDER BY closed_at IS NOT NULL, array_position('{critical,warning,info}', severity),
                          first_seen DESC, kind, subject, id
                 LIMIT $2",
                open,
                limit,
            )
            .fetch_all(connection)
            .await
        })
        .await
    }

    /// How many findings are open, by kind and severity.
    pub async fn count_findings(&self) -> Result<Vec<(FindingKind, Severity, i64)>, DbError> {
        let rows = self
            .call("counting findings", async |connection| {
                sqlx::query!(
                    r#"SELECT kind, severity, count(*) AS "n!" FROM provisor.findings
                       WHERE closed_at IS NULL GROUP BY kind, severity"#
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        rows.into_iter().map(|row| Ok((row.kind.parse()?, row.severity.parse()?, row.n))).collect()
    }
}

/// The kinds that a domain's readings are judged for.
const DOMAIN_KINDS: &[FindingKind] = &[
    FindingKind::DomainExpiring,
    FindingKind::DomainExpired,
    FindingKind::DomainStatus,
    FindingKind::ExpiryMoved,
    FindingKind::AutoRenewMismatch,
    FindingKind::TransferLockMismatch,
    FindingKind::NameserverMismatch,
    FindingKind::ContactMismatch,
    FindingKind::DomainUnknown,
    FindingKind::DomainMissing,
];

/// The kinds that a site's readings are judged for.
const SITE_KINDS: &[FindingKind] = &[
    FindingKind::SiteUnknown,
    FindingKind::SiteMissing,
    FindingKind::SiteInactive,
    FindingKind::QuotaNear,
];

pub(super) fn together<'a, 'b>(
    subjects: &'a [String],
    kinds: &'a [FindingKind],
    judged: impl Iterator<Item = (&'b str, &'b Assessment)>,
) -> Judged<'a> {
    let (mut found, mut unjudged) = (Vec::new(), Vec::new());
    for (subject, assessment) in judged {
        found.extend(assessment.findings.iter().cloned());
        unjudged.extend(assessment.unjudged.iter().map(|kind| (subject.to_owned(), *kind)));
    }
    Judged { subjects: Some(subjects), kinds, found, unjudged }
}

/// Opens what is new, tells again what lasts, closes what is gone; answers what has changed.
pub(super) async fn settle(
    connection: &mut PgConnection,
    judged: &Judged<'_>,
    now: DateTime<Utc>,
) -> Result<Settled, sqlx::Error> {
    let fingerprints: Vec<String> = judged.found.iter().map(Finding::fingerprint).collect();
    let closed = close(&mut *connection, judged, &fingerprints, now).await?;
    let mut settled: Settled = closed.into_iter().map(|finding| (Turn::Closed, finding)).collect();
    if judged.found.is_empty() {
        return Ok(settled);
    }
    let texts = |of: fn(&Finding) -> String| judged.found.iter().map(of).collect::<Vec<String>>();
    let rows = sqlx::query!(
        r#"INSERT INTO provisor.findings AS f
               (fingerprint, kind, severity, subject, detail, first_seen, last_seen, worse_at)
           SELECT DISTINCT ON (n.fingerprint) n.fingerprint, n.kind, n.severity, n.subject, n.detail, $6, $6, $6
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
                    AS n (fingerprint, kind, severity, subject, detail)
           ORDER BY n.fingerprint
           ON CONFLICT (fingerprint) WHERE closed_at IS NULL DO UPDATE
           SET last_seen = excluded.last_seen, severity = excluded.severity, detail = excluded.detail,
               worse_at = CASE WHEN array_position('{info,warning,critical}', excluded.severity)
                                    > array_position('{info,warning,critical}', f.severity)
                               THEN excluded.last_seen ELSE f.worse_at END
           RETURNING kind, severity, subject, detail, first_seen, last_seen, closed_at, worse_at"#,
        &fingerprints,
        &texts(|finding| finding.kind.to_string()),
        &texts(|finding| finding.severity.to_string()),
        &texts(|finding| finding.subject.clone()),
        &texts(|finding| finding.detail.clone()),
        now,
    )
    .fetch_all(connection)
    .await?;
    settled.extend(rows.into_iter().filter(|row| row.worse_at == row.last_seen).map(|row| {
        let turn = if row.first_seen == row.last_seen { Turn::Opened } else { Turn::Worse };
        let finding = ListedFinding {
            kind: row.kind,
            severity: row.severity,
            subject: row.subject,
            detail: row.detail,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            closed_at: row.closed_at,
        };
        (turn, finding)
    }));
    Ok(settled)
}

/// Closes what is judged and was not found again.
async fn close(
    connection: &mut PgConnection,
    judged: &Judged<'_>,
    fingerprints: &[String],
    now: DateTime<Utc>,
) -> Result<Vec<ListedFinding>, sqlx::Error> {
    let kinds: Vec<String> = judged.kinds.iter().map(ToString::to_string).collect();
    let (unjudged_subjects, unjudged_kinds): (Vec<String>, Vec<String>) =
        judged.unjudged.iter().map(|(subject, kind)| (subject.clone(), kind.to_string())).unzip();
    // Two statements: an OR of both would leave the index on the subjects aside.
    if let Some(subjects) = judged.subjects {
        sqlx::query_as!(
            ListedFinding,
            r#"UPDATE provisor.findings f SET closed_at = $6
               WHERE f.closed_at IS NULL AND f.kind = ANY ($1) AND f.subject = ANY ($2)
                 AND NOT EXISTS (SELECT FROM unnest($3::text[]) AS u (fingerprint)
                                 WHERE u.fingerprint = f.fingerprint)
                 AND NOT EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS u (subject, kind)
                                 WHERE u.subject = f.subject AND u.kind = f.kind)
               RETURNING kind, severity, subject, detail, first_seen, last_seen, closed_at"#,
            &kinds,
            subjects,
            fingerprints,
            &unjudged_subjects,
            &unjudged_kinds,
            now,
        )
        .fetch_all(connection)
        .await
    } else {
        sqlx::query_as!(
            ListedFinding,
            r#"UPDATE provisor.findings f SET closed_at = $3
               WHERE f.closed_at IS NULL AND f.kind = ANY ($1)
                 AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS u (fingerprint)
                                 WHERE u.fingerprint = f.fingerprint)
               RETURNING kind, severity, subject, detail, first_seen, last_seen, closed_at"#,
            &kinds,
            fingerprints,
            now,
        )
        .fetch_all(connection)
        .await
    }
}

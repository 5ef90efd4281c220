//! What the operator is told after an audit.

use sqlx::PgConnection;

use super::ListedFinding;

/// The findings that are told one by one.
const TOLD_MAX: i64 = 100;

/// What an audit has found.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The open findings, each with whether it is new or graver than when the operator was last told: these first, then
    /// the gravest; the first hundred.
    pub findings: Vec<(ListedFinding, bool)>,
    /// How many open findings are critical.
    pub critical: u64,
    /// How many are warnings.
    pub warning: u64,
    /// How many are to be known.
    pub info: u64,
    /// How many were closed.
    pub closed: u64,
    /// What could not be done, a sentence each.
    pub problems: Vec<String>,
}

/// The digest of an audit, as things stand.
pub(in crate::db) async fn select_digest(
    connection: &mut PgConnection,
    run: i64,
) -> Result<Digest, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT f.kind, f.severity, f.subject, f.detail, f.first_seen, f.last_seen, f.closed_at,
                  f.worse_at > told.until AS "is_new!"
           FROM provisor.findings f,
                (SELECT coalesce(max(r.ended_at), '-infinity') AS until FROM provisor.audit_runs r
                 WHERE r.kind = 'scheduled' AND r.id < $1) AS told
           WHERE f.closed_at IS NULL
           ORDER BY f.worse_at > told.until DESC, array_position('{critical,warning,info}', f.severity),
                    f.first_seen DESC, f.kind, f.subject, f.id
           LIMIT $2"#,
        run,
        TOLD_MAX,
    )
    .fetch_all(&mut *connection)
    .await?;
    let counts = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE severity = 'critical') AS "critical!",
                  count(*) FILTER (WHERE severity = 'warning') AS "warning!",
                  count(*) FILTER (WHERE severity = 'info') AS "info!"
           FROM provisor.findings WHERE closed_at IS NULL"#
    )
    .fetch_one(&mut *connection)
    .await?;
    let figures = sqlx::query!(
        r#"SELECT coalesce((figures ->> 'closed')::bigint, 0) AS "closed!",
                  ARRAY (SELECT jsonb_array_elements_text(coalesce(figures -> 'problems', '[]'))) AS "problems!"
           FROM provisor.audit_runs WHERE id = $1"#,
        run,
    )
    .fetch_optional(connection)
    .await?;
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let findings = rows.into_iter().map(|row| {
        let finding = ListedFinding {
            kind: row.kind,
            severity: row.severity,
            subject: row.subject,
            detail: row.detail,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            closed_at: row.closed_at,
        };
        (finding, row.is_new)
    });
    Ok(Digest {
        findings: findings.collect(),
        critical: number(counts.critical),
        warning: number(counts.warning),
        info: number(counts.info),
        closed: figures.as_ref().map_or(0, |row| number(row.closed)),
        problems: figures.map(|row| row.problems).unwrap_or_default(),
    })
}

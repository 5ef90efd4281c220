//! Reading what the next step of a line that buys, changes or fills a name knows of that name. Most lines ask for hosting
//! alone, and are spared it.

use std::collections::HashMap;

use serde_json::Value;

use crate::order::LineKind;

/// What is known of a line's name. The default: nothing was asked.
#[derive(Debug, Default)]
pub(super) struct NameRow {
    line_id: i64,
    pub(super) customer: Option<Value>,
    pub(super) rival: Option<String>,
    pub(super) is_owned: bool,
    pub(super) zone_written_by: Option<String>,
    pub(super) auto_renew_wished: Option<bool>,
}

/// Whether anything is to be read of the name of a line of this kind.
pub(super) fn is_asked_for(kind: &str) -> bool {
    match kind.parse() {
        Ok(
            LineKind::DomainRegister
            | LineKind::DomainTransfer
            | LineKind::DomainUpdate
            | LineKind::Dns,
        ) => true,
        Ok(
            LineKind::Hosting
            | LineKind::HostingOwn
            | LineKind::ContactCreate
            | LineKind::ContactUpdate,
        )
        | Err(_) => false,
    }
}

/// What is known of the names of these lines, by line. Each is asked for by the status that it was loaded with: it may have
/// another by now, and its run is to know all that matters for the one that it goes by.
pub(super) async fn select(
    connection: &mut sqlx::PgConnection,
    (lines, statuses): (Vec<i64>, Vec<String>),
) -> Result<HashMap<i64, NameRow>, sqlx::Error> {
    if lines.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        NameRow,
        r#"SELECT l.id AS "line_id!",
                  -- A document may be large: it is read only until the name is bought.
                  CASE WHEN l.kind IN ('domain_register', 'domain_transfer') AND NOT l.wish ? 'contact_handle'
                            AND wanted.status IN ('pending', 'placing', 'in_doubt')
                       THEN (SELECT o.document -> 'customer' FROM provisor.orders o
                             WHERE o.id = l.order_id) END AS customer,
                  CASE WHEN l.kind IN ('domain_register', 'domain_transfer') AND wanted.status = 'pending' THEN (
                       -- Whose turn it is for a name: the oldest live line's.
                       SELECT ro.reference || '/' || r.line
                       FROM provisor.order_lines r JOIN provisor.orders ro ON ro.id = r.order_id
                       WHERE r.domain = l.domain AND r.id < l.id
                         AND r.kind IN ('domain_register', 'domain_transfer')
                         AND r.status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held')
                       ORDER BY r.id LIMIT 1) END AS rival,
                  CASE WHEN l.kind IN ('domain_register', 'domain_transfer') AND wanted.status IN ('pending', 'in_doubt')
                       THEN EXISTS (SELECT FROM provisor.order_lines r
                                    WHERE r.domain = l.domain AND r.id <> l.id
                                      AND r.kind IN ('domain_register', 'domain_transfer')
                                      AND (r.status = 'completed' OR r.milestone IS NOT NULL))
                       ELSE false END AS "is_owned!",
                  CASE WHEN l.wish ?| '{dns,records}' AND wanted.status NOT IN ('completed', 'failed', 'cancelled') THEN (
                       SELECT ro.reference || '/' || r.line
                       FROM provisor.effects e JOIN provisor.order_lines r ON r.id = e.line_id
                       JOIN provisor.orders ro ON ro.id = r.order_id
                       WHERE e.domain = l.domain AND e.before IS NOT NULL AND e.state = 'accepted' AND r.id > l.id
                       ORDER BY r.id DESC LIMIT 1) END AS zone_written_by,
                  CASE WHEN l.kind IN ('domain_register', 'domain_transfer', 'domain_update') THEN (
                       SELECT d.auto_renew_wished FROM provisor.domains d
                       WHERE d.domain = l.domain
                         AND (l.kind = 'domain_update' OR d.line_id = l.id)) END AS auto_renew_wished
           FROM unnest($1::bigint[], $2::text[]) AS wanted (id, status)
           JOIN provisor.order_lines l ON l.id = wanted.id"#,
        &lines,
        &statuses,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.line_id, row)).collect())
}

//! The names' part of the transaction: how they were seen, and whose row of wishes it is.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{LineChange, Record};
use crate::order::domain::DomainSeen;

/// Notes what lines have seen of their names, gives names their one spelling, and hands the row of a name whose line bought
/// nothing to the next in line.
pub(super) async fn note(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
) -> Result<(), sqlx::Error> {
    let names: Vec<(i64, &str)> = changed
        .iter()
        .filter_map(|(record, change)| {
            // Most lines have neither: hosting changes nothing of names.
            let domain = change.progress.domain.as_deref()?;
            change.brings_name.then_some((record.line_id.0, domain))
        })
        .collect();
    if !names.is_empty() {
        let lines: Vec<i64> = names.iter().map(|(line, _)| *line).collect();
        let domains: Vec<String> = names.iter().map(|(_, domain)| (*domain).to_owned()).collect();
        // In the order of names, as note_wishes does.
        sqlx::query!(
            "SELECT provisor.respell_domain(n.line_id, n.domain)
             FROM (SELECT * FROM unnest($1::bigint[], $2::text[]) AS n (line_id, domain) ORDER BY domain) AS n",
            &lines,
            &domains,
        )
        .fetch_all(&mut *connection)
        .await?;
    }
    let seen: Vec<(&str, &DomainSeen)> = changed
        .iter()
        .filter_map(|(_, change)| Some((change.progress.domain.as_deref()?, change.seen.as_ref()?)))
        .collect();
    write_seen(connection, &seen).await
}

/// Writes how names were seen upstream, as far as they are names that we know of.
pub(in crate::db) async fn write_seen(
    connection: &mut PgConnection,
    seen: &[(&str, &DomainSeen)],
) -> Result<(), sqlx::Error> {
    if seen.is_empty() {
        return Ok(());
    }
    let domains: Vec<String> = seen.iter().map(|(domain, _)| (*domain).to_owned()).collect();
    let statuses: Vec<Option<String>> = seen.iter().map(|(_, seen)| seen.status.clone()).collect();
    let expiries: Vec<Option<DateTime<Utc>>> =
        seen.iter().map(|(_, seen)| seen.expires_at).collect();
    let renewals: Vec<Option<bool>> = seen.iter().map(|(_, seen)| seen.auto_renew).collect();
    let locks: Vec<Option<bool>> = seen.iter().map(|(_, seen)| seen.transfer_lock).collect();
    let handles: Vec<Option<String>> = seen
        .iter()
        .map(|(_, seen)| seen.contact_handle.as_ref().map(|handle| handle.0.clone()))
        .collect();
    let nameservers: Vec<Value> =
        seen.iter().map(|(_, seen)| seen.nameservers.clone().into()).collect();
    sqlx::query!(
        "UPDATE provisor.domains d
         SET status = s.status, expires_at = coalesce(s.expires_at, d.expires_at), auto_renew_seen = s.auto_renew,
             transfer_lock_seen = s.transfer_lock, contact_handle_seen = s.handle,
             nameservers_seen = ARRAY (SELECT jsonb_array_elements_text(s.nameservers)),
             auto_renew_kept_since = CASE WHEN s.auto_renew = d.auto_renew_wished
                                          THEN least(d.auto_renew_kept_since, clock_timestamp()) END,
             auto_renew_refused_at = CASE WHEN s.auto_renew IS DISTINCT FROM d.auto_renew_wished
                                          THEN d.auto_renew_refused_at END,
             seen_at = clock_timestamp()
         FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[], $5::boolean[], $6::text[], $7::jsonb[])
                  AS s (domain, status, expires_at, auto_renew, transfer_lock, handle, nameservers)
         WHERE d.domain = s.domain
           -- In the order of names, as all that locks several does.
           AND s.domain = ANY (ARRAY (SELECT q.domain FROM provisor.domains q WHERE q.domain = ANY ($1)
                                      ORDER BY q.domain FOR UPDATE))",
        &domains,
        &statuses as &[Option<String>],
        &expiries as &[Option<DateTime<Utc>>],
        &renewals as &[Option<bool>],
        &locks as &[Option<bool>],
        &handles as &[Option<String>],
        &nameservers,
    )
    .execute(connection)
    .await
    .map(drop)
}

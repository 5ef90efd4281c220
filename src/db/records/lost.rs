//! Intents that the database has lost: a failover to a server that had not heard of them yet.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Intent, Record, Truth,
    effects::{note_bought_twice, told},
    intents::Columns,
};
use crate::order::ledger::Outcome;

/// Writes anew the intents of these truths that are not known here, so that the truths can enter: what may have been bought
/// must not be bought once more because nobody remembers it. Answers whether there were such.
///
/// `order_id_floor` stays empty: ids above the highest that is known by now say nothing of an older placement.
pub(super) async fn restore(
    connection: &mut PgConnection,
    truths: &[(&Record, &Truth)],
) -> Result<bool, sqlx::Error> {
    // What provably had no effect may be forgotten; so may an intent whose own commit had failed.
    let may_have_bought =
        |truth: &Truth| matches!(truth.outcome, Outcome::Accepted | Outcome::InDoubt);
    let mut lost: Vec<(&Record, &Intent, &Truth)> = truths
        .iter()
        .filter(|(_, truth)| may_have_bought(truth))
        .filter_map(|(record, truth)| Some((*record, truth.intent.as_deref()?, *truth)))
        .collect();
    if lost.is_empty() {
        return Ok(false);
    }
    let attempts: Vec<Uuid> = lost.iter().map(|(_, intent, _)| intent.attempt).collect();
    let known =
        sqlx::query_scalar!("SELECT id FROM provisor.attempts WHERE id = ANY ($1)", &attempts)
            .fetch_all(&mut *connection)
            .await?;
    lost.retain(|(_, intent, _)| !known.contains(&intent.attempt));
    let any = !lost.is_empty();
    // Where another placement stands in the way, this one is kept beside it all the same.
    for live in [true, false] {
        if lost.is_empty() {
            break;
        }
        let intents: Vec<(&Record, &Intent)> =
            lost.iter().map(|(record, intent, _)| (*record, *intent)).collect();
        let restored = insert(connection, &Columns::of(&intents), live).await?;
        for (record, intent, truth) in &lost {
            if restored.iter().any(|(attempt, met)| *attempt == intent.attempt && *met) {
                let episode = truth.attempt.to_string();
                note_bought_twice(connection, record, &told(truth), &episode).await?;
            }
        }
        lost.retain(|(_, intent, _)| !restored.iter().any(|(it, _)| *it == intent.attempt));
    }
    Ok(any)
}

/// The attempts that were written, each with whether it met the same placement, made a second time meanwhile.
async fn insert(
    connection: &mut PgConnection,
    columns: &Columns,
    live: bool,
) -> Result<Vec<(Uuid, bool)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"WITH lost AS MATERIALIZED (
               SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::boolean[],
                                    $7::boolean[], $8::numeric[], $9::text[], $10::jsonb[], $11::uuid[], $12::uuid[],
                                    $13::bigint[], $14::bytea[])
                   AS i (line_id, step, n, tag, domain, claims_site, claims_name, price, contact_key, before, attempt,
                         owner, run_token, request_hash)
               WHERE i.line_id IN (SELECT id FROM provisor.order_lines)),
           new AS (
               INSERT INTO provisor.effects
                   (line_id, step, n, tag, state, live, domain, claims_site, claims_name, price, contact_key, before)
               SELECT line_id, step, n, tag, 'sending', $15, domain, claims_site, claims_name, price, contact_key, before
               FROM lost ORDER BY domain, contact_key, line_id
               ON CONFLICT DO NOTHING
               RETURNING id, line_id, step, n),
           -- No longer to be cancelled as if nothing had happened.
           sent AS (
               UPDATE provisor.order_lines SET sent = true
               WHERE id IN (SELECT line_id FROM lost) AND NOT sent),
           placed AS (
               SELECT id, line_id, step, n, false AS met FROM new
               UNION ALL
               SELECT e.id, e.line_id, e.step, e.n, e.state IN ('sending', 'in_doubt', 'accepted')
               FROM provisor.effects e JOIN lost USING (line_id, step, n)),
           attempted AS (
               INSERT INTO provisor.attempts (id, effect_id, owner, run_token, request_hash, timeline)
               SELECT lost.attempt, placed.id, lost.owner, lost.run_token, lost.request_hash,
                      left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
               FROM lost JOIN placed USING (line_id, step, n)
               RETURNING id, effect_id)
           SELECT a.id AS "attempt!", p.met AS "met!" FROM attempted a JOIN placed p ON p.id = a.effect_id"#,
        &columns.lines,
        &columns.steps,
        &columns.numbers,
        &columns.tags,
        &columns.domains as &[Option<String>],
        &columns.brings_site,
        &columns.brings_name,
        &columns.prices as &[Option<Decimal>],
        &columns.contact_keys as &[Option<String>],
        &columns.befores as &[Option<Value>],
        &columns.attempts,
        &columns.owners,
        &columns.tokens,
        &columns.hashes,
        live,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.attempt, row.met)).collect())
}

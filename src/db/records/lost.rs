//! Intents and orders that the database has lost: a failover to a server that had not heard of them yet.

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
    emails::owe_apart,
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

/// What provably had no effect may be forgotten; so may an intent whose own commit had failed.
const fn may_have_bought(truth: &Truth) -> bool {
    matches!(truth.outcome, Outcome::Accepted | Outcome::InDoubt)
}

/// Tells the operator of what may have been bought for orders that are lost themselves, or whose ids are other orders' by
/// now: nobody else knows of it any more.
pub(super) async fn tell(
    connection: &mut PgConnection,
    lost: &[(usize, &Record)],
) -> Result<(), sqlx::Error> {
    for (_, record) in lost {
        let Some(truth) = record.truth.as_ref().filter(|truth| may_have_bought(truth)) else {
            continue;
        };
        let Some(intent) = &truth.intent else { continue };
        let order = truth.upstream_order_id.map(|order| order.0);
        let jti = truth.jti.as_deref();
        tracing::error!(
            tag = %intent.tag, attempt = %truth.attempt, upstream_order_id = order, jti, outcome = %truth.outcome,
            "the database has lost the order that this answer is for"
        );
        if intent.step.buys() {
            let episode = truth.attempt.to_string();
            owe_apart(connection, "order_lost", &episode, &told_of_lost(intent, truth)).await?;
        }
    }
    Ok(())
}

/// For the operator, all that is known.
fn told_of_lost(intent: &Intent, truth: &Truth) -> String {
    let noun = intent.step.noun();
    let name = intent.domain.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
    let jti = truth.jti.as_ref().map(|jti| format!(" (jti {jti})")).unwrap_or_default();
    let what = match (truth.outcome, truth.upstream_order_id) {
        (Outcome::Accepted, Some(id)) => format!("was accepted as LJPc order {id}"),
        (Outcome::Accepted, None) => "was accepted".to_owned(),
        _ => "was sent and may have been accepted".to_owned(),
    };
    format!(
        "The {noun} {}{name} {what}{jti}, and the database has lost it in a failover.",
        intent.tag
    )
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
           -- That an earlier request of the placement had no effect says nothing of this one.
           reopened AS (
               UPDATE provisor.effects e
               SET state = 'sending', intended_at = clock_timestamp(), settled_at = NULL, price = lost.price,
                   before = lost.before, order_id_floor = NULL, probe = NULL, looks = '{}',
                   live = e.live AND NOT EXISTS (
                       SELECT FROM provisor.effects o
                       WHERE o.id <> e.id AND o.live AND o.state <> 'not_sent'
                         AND (o.domain = e.domain AND (o.claims_name AND e.claims_name
                                  OR o.claims_site AND e.claims_site AND o.site_id IS NULL)
                              OR o.contact_key = e.contact_key))
               FROM lost
               WHERE e.line_id = lost.line_id AND e.step = lost.step AND e.n = lost.n AND e.state = 'not_sent'),
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

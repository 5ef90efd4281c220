//! The intents' part of the transaction: nothing is sent before it.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Intent, Record, Timeline, effects::repeatable_steps};
use crate::order::LineId;

/// The columns of intents, as arrays.
pub(super) struct Columns {
    pub(super) lines: Vec<i64>,
    pub(super) steps: Vec<String>,
    pub(super) numbers: Vec<i32>,
    pub(super) tags: Vec<String>,
    pub(super) domains: Vec<Option<String>>,
    pub(super) brings_site: Vec<bool>,
    pub(super) brings_name: Vec<bool>,
    pub(super) prices: Vec<Option<Decimal>>,
    pub(super) contact_keys: Vec<Option<String>>,
    pub(super) befores: Vec<Option<Value>>,
    pub(super) attempts: Vec<Uuid>,
    pub(super) owners: Vec<Uuid>,
    pub(super) tokens: Vec<i64>,
    pub(super) hashes: Vec<Vec<u8>>,
}

impl Columns {
    pub(super) fn of(intents: &[(&Record, &Intent)]) -> Self {
        fn each<T>(intents: &[(&Record, &Intent)], f: impl Fn(&Record, &Intent) -> T) -> Vec<T> {
            intents.iter().map(|(record, intent)| f(record, intent)).collect()
        }
        Self {
            lines: each(intents, |record, _| record.line_id.0),
            steps: each(intents, |_, intent| intent.step.as_str().to_owned()),
            numbers: each(intents, |_, intent| intent.n),
            tags: each(intents, |_, intent| intent.tag.as_str().to_owned()),
            domains: each(intents, |_, intent| intent.domain.clone()),
            brings_site: each(intents, |_, intent| intent.brings_site),
            brings_name: each(intents, |_, intent| intent.brings_name),
            prices: each(intents, |_, intent| intent.price.map(|price| price.0)),
            contact_keys: each(intents, |_, intent| intent.contact_key.clone()),
            befores: each(intents, |_, intent| {
                intent.before.as_ref().and_then(|records| serde_json::to_value(records).ok())
            }),
            attempts: each(intents, |_, intent| intent.attempt),
            owners: each(intents, |record, _| record.fence.owner),
            tokens: each(intents, |record, _| record.fence.run_token),
            hashes: each(intents, |_, intent| intent.request_hash.to_vec()),
        }
    }
}

/// Writes the intents: a new placement, or the latest one again if it provably had no effect. A line that is not in the
/// answer has another placement in its way.
pub(super) async fn intend(
    connection: &mut PgConnection,
    going: &[(usize, &Record)],
) -> Result<HashMap<LineId, Timeline>, sqlx::Error> {
    let intents: Vec<(&Record, &Intent)> = going
        .iter()
        .filter_map(|(_, record)| record.intent.as_ref().map(|intent| (*record, intent)))
        .collect();
    if intents.is_empty() {
        return Ok(HashMap::new());
    }
    supersede(connection, &intents).await?;
    insert(connection, &Columns::of(&intents)).await
}

/// What sets a value gives way to what sets it anew. Its outcome, if it is open, no longer matters: it was read back, and
/// was not so.
async fn supersede(
    connection: &mut PgConnection,
    intents: &[(&Record, &Intent)],
) -> Result<(), sqlx::Error> {
    let again: Vec<_> =
        intents.iter().filter(|(_, intent)| intent.step.is_repeatable() && intent.n > 1).collect();
    if again.is_empty() {
        return Ok(());
    }
    let lines: Vec<i64> = again.iter().map(|(record, _)| record.line_id.0).collect();
    let steps: Vec<String> =
        again.iter().map(|(_, intent)| intent.step.as_str().to_owned()).collect();
    let numbers: Vec<i32> = again.iter().map(|(_, intent)| intent.n).collect();
    sqlx::query!(
        "UPDATE provisor.effects e
         SET live = false, settled_at = coalesce(e.settled_at, clock_timestamp()),
             state = CASE WHEN e.state IN ('sending', 'in_doubt') THEN 'absent' ELSE e.state END
         FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS i (line_id, step, n)
         WHERE e.line_id = i.line_id AND e.step = i.step AND e.n < i.n AND e.live",
        &lines,
        &steps,
        &numbers,
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn insert(
    connection: &mut PgConnection,
    columns: &Columns,
) -> Result<HashMap<LineId, Timeline>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"WITH wanted AS MATERIALIZED (
               SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::boolean[],
                                    $7::boolean[], $8::numeric[], $9::text[], $10::jsonb[], $11::uuid[], $12::uuid[],
                                    $13::bigint[], $14::bytea[])
                   AS i (line_id, step, n, tag, domain, claims_site, claims_name, price, contact_key, before, attempt,
                         owner, run_token, request_hash)
               -- An acceptance may have come between the load and now, of a placement that was given up.
               WHERE i.step = ANY ($15)
                  OR NOT EXISTS (SELECT FROM provisor.effects e
                                 WHERE e.line_id = i.line_id AND e.step = i.step AND e.state = 'accepted')
                  -- Or of the same contact, by a line that has ended since.
                  AND NOT EXISTS (SELECT FROM provisor.contacts c WHERE c.key = i.contact_key)),
           floor AS MATERIALIZED (SELECT max(upstream_order_id) AS id FROM provisor.effects),
           again AS (
               UPDATE provisor.effects e
               SET state = 'sending', intended_at = clock_timestamp(), settled_at = NULL, price = i.price,
                   before = i.before, order_id_floor = floor.id, probe = NULL, looks = '{}'
               FROM wanted i CROSS JOIN floor
               WHERE e.line_id = i.line_id AND e.step = i.step AND e.n = i.n
                 AND e.state = 'not_sent' AND e.live
                 AND NOT EXISTS (SELECT FROM provisor.effects o
                                 WHERE o.domain = e.domain AND o.claims_site AND o.live AND o.site_id IS NULL
                                   AND e.claims_site AND o.state <> 'not_sent')
                 AND NOT EXISTS (SELECT FROM provisor.effects o
                                 WHERE o.domain = e.domain AND o.claims_name AND o.live
                                   AND e.claims_name AND o.state <> 'not_sent')
                 AND NOT EXISTS (SELECT FROM provisor.effects o
                                 WHERE o.contact_key = e.contact_key AND o.live AND o.state <> 'not_sent')
               RETURNING e.id, e.line_id),
           new AS (
               INSERT INTO provisor.effects
                   (line_id, step, n, tag, state, domain, claims_site, claims_name, price, contact_key, before,
                    order_id_floor)
               SELECT i.line_id, i.step, i.n, i.tag, 'sending', i.domain, i.claims_site, i.claims_name, i.price,
                      i.contact_key, i.before, floor.id
               FROM wanted i CROSS JOIN floor
               WHERE NOT EXISTS (SELECT FROM provisor.effects e
                                 WHERE e.line_id = i.line_id AND e.step = i.step AND e.n = i.n)
               -- By what the unique indexes compare: two groups that ask for the same must not wait for each other.
               ORDER BY i.domain, i.contact_key, i.line_id
               ON CONFLICT DO NOTHING
               RETURNING id, line_id),
           placed AS (SELECT * FROM again UNION ALL SELECT * FROM new),
           attempted AS (
               INSERT INTO provisor.attempts (id, effect_id, owner, run_token, request_hash, timeline)
               SELECT i.attempt, placed.id, i.owner, i.run_token, i.request_hash,
                      left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
               FROM wanted i JOIN placed ON placed.line_id = i.line_id
               RETURNING effect_id, timeline)
           SELECT placed.line_id AS "line_id!", (t.confirmed, t.ledger, t.cluster) IS NOT DISTINCT FROM
                      (attempted.timeline, 'provisor.effects'::regclass::oid, c.system_identifier) AS "confirmed!"
           FROM placed JOIN attempted ON attempted.effect_id = placed.id, provisor.timeline t, pg_control_system() c"#,
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
        &repeatable_steps(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (LineId(row.line_id), Timeline { confirmed: row.confirmed }))
        .collect())
}

//! The ledger's part of the transaction.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use std::collections::{HashMap, HashSet};

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Intent, LineChange, PLACE_ORDER, Record, Timeline, Truth,
    emails::{self, Owed},
};
use crate::order::{LineId, UpstreamOrderId, ledger::EffectState};

/// Lets what became known of attempts enter the ledger, whoever holds the line by now.
pub(super) async fn learn(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
    held: &HashSet<i64>,
) -> Result<(), sqlx::Error> {
    let truths: Vec<(&Record, &Truth)> = taken
        .iter()
        .filter_map(|(_, record)| record.truth.as_ref().map(|truth| (*record, truth)))
        .collect();
    if truths.is_empty() {
        return Ok(());
    }
    end_attempts(connection, &truths).await?;
    let attempts: Vec<Uuid> = truths.iter().map(|(_, truth)| truth.attempt).collect();
    let rows = sqlx::query!(
        "SELECT a.id AS attempt, e.id, e.state
         FROM provisor.attempts a JOIN provisor.effects e ON e.id = a.effect_id
         WHERE a.id = ANY ($1) ORDER BY e.id FOR NO KEY UPDATE OF e",
        &attempts,
    )
    .fetch_all(&mut *connection)
    .await?;
    let found: HashMap<Uuid, (i64, Option<EffectState>)> =
        rows.into_iter().map(|row| (row.attempt, (row.id, row.state.parse().ok()))).collect();
    let mut states = Vec::new();
    for (record, truth) in &truths {
        let Some((effect, Some(before))) = found.get(&truth.attempt) else { continue };
        let after = before.learn(truth.outcome);
        states.push((*effect, after, truth.upstream_order_id));
        let late = !matches!(before, EffectState::Sending) || !held.contains(&record.fence.wake.0);
        if late && after != *before {
            note_late_truth(connection, record, truth, *effect).await?;
        }
    }
    update_states(connection, &states).await
}

async fn end_attempts(
    connection: &mut PgConnection,
    truths: &[(&Record, &Truth)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = truths.iter().map(|(_, truth)| truth.attempt).collect();
    let outcomes: Vec<String> =
        truths.iter().map(|(_, truth)| truth.outcome.as_str().to_owned()).collect();
    let statuses: Vec<Option<i32>> =
        truths.iter().map(|(_, truth)| truth.http_status.map(i32::from)).collect();
    let jtis: Vec<Option<String>> = truths.iter().map(|(_, truth)| truth.jti.clone()).collect();
    let details: Vec<Option<String>> =
        truths.iter().map(|(_, truth)| truth.detail.clone()).collect();
    sqlx::query!(
        "UPDATE provisor.attempts a
         SET outcome = t.outcome, http_status = t.http_status, jti = t.jti, detail = t.detail,
             ended_at = clock_timestamp()
         FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::text[])
                  AS t (id, outcome, http_status, jti, detail)
         WHERE a.id = t.id AND (a.outcome IS NULL OR a.outcome = 'in_doubt')",
        &ids,
        &outcomes,
        &statuses as &[Option<i32>],
        &jtis as &[Option<String>],
        &details as &[Option<String>],
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn update_states(
    connection: &mut PgConnection,
    states: &[(i64, EffectState, Option<UpstreamOrderId>)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = states.iter().map(|(id, ..)| *id).collect();
    let names: Vec<String> = states.iter().map(|(_, state, _)| state.as_str().to_owned()).collect();
    let orders: Vec<Option<i64>> =
        states.iter().map(|(.., order)| order.map(|order| order.0)).collect();
    // An accepted placement counts again, unless another of its line does, or its line is done for good.
    sqlx::query!(
        "UPDATE provisor.effects e
         SET state = t.state, upstream_order_id = coalesce(e.upstream_order_id, t.upstream_order_id),
             settled_at = clock_timestamp(),
             live = CASE t.state
                 WHEN 'accepted' THEN e.live OR NOT EXISTS (
                     SELECT FROM provisor.effects o
                     WHERE o.line_id = e.line_id AND o.step = e.step AND o.id <> e.id
                       AND (o.live OR o.state = 'accepted'))
                     AND NOT EXISTS (SELECT FROM provisor.order_lines l
                                     WHERE l.id = e.line_id AND l.status IN ('completed', 'cancelled'))
                 WHEN 'rejected' THEN false
                 ELSE e.live END
         FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS t (id, state, upstream_order_id)
         WHERE e.id = t.id",
        &ids,
        &names,
        &orders as &[Option<i64>],
    )
    .execute(connection)
    .await
    .map(drop)
}

/// An answer came after its run had lost the line, or after somebody had decided: the timeline tells, the line is looked
/// at again, and if another placement was made meanwhile, the operator learns that it was bought twice.
async fn note_late_truth(
    connection: &mut PgConnection,
    record: &Record,
    truth: &Truth,
    effect: i64,
) -> Result<(), sqlx::Error> {
    let detail =
        json!({ "outcome": truth.outcome.as_str(), "upstream_order_id": truth.upstream_order_id });
    let bought_twice = sqlx::query_scalar!(
        r#"WITH late AS (
               INSERT INTO provisor.events (order_id, line, event, detail)
               SELECT order_id, line, 'late_answer', $3 FROM provisor.order_lines WHERE id = $1),
           poked AS (
               UPDATE provisor.wakes SET due_at = least(due_at, clock_timestamp()), kicks = kicks + 1
               WHERE id = $4),
           twice AS (
               INSERT INTO provisor.events (order_id, line, event, detail)
               SELECT l.order_id, l.line, 'bought_twice', $3
               FROM provisor.order_lines l
               WHERE l.id = $1 AND $5 AND EXISTS (
                   SELECT FROM provisor.effects e
                   WHERE e.line_id = $1 AND e.id <> $2 AND e.step = $6
                     AND e.state IN ('sending', 'in_doubt', 'accepted'))
               RETURNING 1)
           SELECT EXISTS (SELECT FROM twice) AS "twice!""#,
        record.line_id.0,
        effect,
        detail,
        record.fence.wake.0,
        truth.upstream_order_id.is_some(),
        PLACE_ORDER,
    )
    .fetch_one(&mut *connection)
    .await?;
    if bought_twice {
        let owed =
            Owed::to_operator(record.order_id, record.line_id, "bought_twice", truth.attempt);
        emails::owe(connection, &[owed]).await?;
    }
    Ok(())
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
    let lines: Vec<i64> = intents.iter().map(|(record, _)| record.line_id.0).collect();
    let numbers: Vec<i32> = intents.iter().map(|(_, intent)| intent.n).collect();
    let tags: Vec<String> =
        intents.iter().map(|(_, intent)| intent.tag.as_str().to_owned()).collect();
    let domains: Vec<String> = intents.iter().map(|(_, intent)| intent.domain.clone()).collect();
    let attempts: Vec<Uuid> = intents.iter().map(|(_, intent)| intent.attempt).collect();
    let owners: Vec<Uuid> = intents.iter().map(|(record, _)| record.fence.owner).collect();
    let tokens: Vec<i64> = intents.iter().map(|(record, _)| record.fence.run_token).collect();
    let hashes: Vec<Vec<u8>> =
        intents.iter().map(|(_, intent)| intent.request_hash.to_vec()).collect();
    let rows = sqlx::query!(
        r#"WITH wanted AS MATERIALIZED (
               SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::uuid[],
                                    $6::uuid[], $7::bigint[], $8::bytea[])
                   AS i (line_id, n, tag, domain, attempt, owner, run_token, request_hash)),
           floor AS MATERIALIZED (SELECT max(upstream_order_id) AS id FROM provisor.effects),
           again AS (
               UPDATE provisor.effects e
               SET state = 'sending', intended_at = clock_timestamp(), settled_at = NULL
               FROM wanted i
               WHERE e.line_id = i.line_id AND e.step = $9 AND e.n = i.n
                 AND e.state = 'not_sent' AND e.live
               RETURNING e.id, e.line_id),
           new AS (
               INSERT INTO provisor.effects
                   (line_id, step, n, tag, state, domain, claims_site, order_id_floor)
               SELECT i.line_id, $9, i.n, i.tag, 'sending', i.domain, true, floor.id
               FROM wanted i CROSS JOIN floor
               WHERE NOT EXISTS (SELECT FROM provisor.effects e
                                 WHERE e.line_id = i.line_id AND e.step = $9 AND e.n = i.n)
               ORDER BY i.line_id
               ON CONFLICT DO NOTHING
               RETURNING id, line_id),
           placed AS (SELECT * FROM again UNION ALL SELECT * FROM new),
           attempted AS (
               INSERT INTO provisor.attempts (id, effect_id, owner, run_token, request_hash, timeline)
               SELECT i.attempt, placed.id, i.owner, i.run_token, i.request_hash,
                      left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
               FROM wanted i JOIN placed ON placed.line_id = i.line_id
               RETURNING effect_id, timeline)
           SELECT placed.line_id AS "line_id!", attempted.timeline = t.confirmed AS "confirmed!"
           FROM placed JOIN attempted ON attempted.effect_id = placed.id
           CROSS JOIN provisor.timeline t"#,
        &lines,
        &numbers,
        &tags,
        &domains,
        &attempts,
        &owners,
        &tokens,
        &hashes,
        PLACE_ORDER,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (LineId(row.line_id), Timeline { confirmed: row.confirmed }))
        .collect())
}

/// Takes ended lines' placements out of the way, and notes the sites that were delivered.
pub(super) async fn settle(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
) -> Result<(), sqlx::Error> {
    let ended: Vec<&(&Record, &LineChange)> =
        changed.iter().filter(|(_, change)| change.progress.status.is_ended()).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = ended.iter().map(|(record, _)| record.line_id.0).collect();
    let sites: Vec<Option<i64>> =
        ended.iter().map(|(_, change)| change.progress.site_id.map(|id| id.0)).collect();
    sqlx::query!(
        "UPDATE provisor.effects e
         SET live = false, site_id = CASE WHEN e.state = 'accepted' THEN l.site_id ELSE e.site_id END
         FROM unnest($1::bigint[], $2::bigint[]) AS l (line_id, site_id)
         WHERE e.line_id = l.line_id AND e.live",
        &ids,
        &sites as &[Option<i64>],
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "WITH secrets AS (DELETE FROM provisor.transfer_secrets WHERE line_id = ANY ($1))
         INSERT INTO provisor.sites (site_id, domain, customer_id, line_id, seen_at)
         SELECT l.site_id, l.domain, o.customer_id, l.id, clock_timestamp()
         FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
         WHERE l.id = ANY ($1) AND l.site_id IS NOT NULL AND l.domain IS NOT NULL
         ON CONFLICT (site_id) DO NOTHING",
        &ids,
    )
    .execute(connection)
    .await
    .map(drop)
}

//! The ledger's part of the transaction.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use std::collections::HashMap;

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Intent, LineChange, PLACE_ORDER, Record, Timeline, Truth,
    emails::{self, Owed},
    wakes::LockedWakes,
};
use crate::order::{LineId, LineStatus, UpstreamOrderId, ledger::EffectState};

/// Lets what became known of attempts enter the ledger, whoever holds the line by now.
pub(super) async fn learn(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
    wakes: &LockedWakes,
) -> Result<(), sqlx::Error> {
    let truths: Vec<(&Record, &Truth)> = taken
        .iter()
        .filter_map(|(_, record)| record.truth.as_ref().map(|truth| (*record, truth)))
        .collect();
    if truths.is_empty() {
        return Ok(());
    }
    // Once for each attempt, but that a doubt may still be settled: a truth that is repeated after an unknown commit must
    // not touch a newer attempt's state.
    let news = end_attempts(connection, &truths).await?;
    let rows = sqlx::query!(
        r#"SELECT a.id AS attempt, e.id, e.state,
                  EXISTS (SELECT FROM provisor.effects o
                          WHERE o.line_id = e.line_id AND o.step = e.step AND o.id <> e.id
                            AND o.state IN ('sending', 'in_doubt', 'accepted')) AS "others_bought!"
           FROM provisor.attempts a JOIN provisor.effects e ON e.id = a.effect_id
           WHERE a.id = ANY ($1) ORDER BY e.id FOR NO KEY UPDATE OF e"#,
        &news,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut states = Vec::new();
    for row in rows {
        let told = truths.iter().find(|(_, truth)| truth.attempt == row.attempt);
        let (Some((record, truth)), Ok(before)) = (told, row.state.parse::<EffectState>()) else {
            continue;
        };
        let after = before.learn(truth.outcome);
        states.push((row.id, after, truth.upstream_order_id));
        if !wakes.are_held_by(&record.fence) {
            note_late_answer(connection, record, truth).await?;
        }
        if after == EffectState::Accepted && before != after && row.others_bought {
            note_bought_twice(connection, record, truth).await?;
        }
    }
    update_states(connection, &states).await
}

/// Notes what became of attempts, and answers which of them were open until now.
async fn end_attempts(
    connection: &mut PgConnection,
    truths: &[(&Record, &Truth)],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = truths.iter().map(|(_, truth)| truth.attempt).collect();
    let outcomes: Vec<String> =
        truths.iter().map(|(_, truth)| truth.outcome.as_str().to_owned()).collect();
    let statuses: Vec<Option<i32>> =
        truths.iter().map(|(_, truth)| truth.http_status.map(i32::from)).collect();
    let jtis: Vec<Option<String>> = truths.iter().map(|(_, truth)| truth.jti.clone()).collect();
    let details: Vec<Option<String>> =
        truths.iter().map(|(_, truth)| truth.detail.clone()).collect();
    sqlx::query_scalar!(
        "UPDATE provisor.attempts a
         SET outcome = t.outcome, http_status = t.http_status, jti = t.jti, detail = t.detail,
             ended_at = clock_timestamp()
         FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::text[])
                  AS t (id, outcome, http_status, jti, detail)
         WHERE a.id = t.id
           AND (a.outcome IS NULL OR (a.outcome = 'in_doubt' AND t.outcome <> 'in_doubt'))
         RETURNING a.id",
        &ids,
        &outcomes,
        &statuses as &[Option<i32>],
        &jtis as &[Option<String>],
        &details as &[Option<String>],
    )
    .fetch_all(connection)
    .await
}

async fn update_states(
    connection: &mut PgConnection,
    states: &[(i64, EffectState, Option<UpstreamOrderId>)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = states.iter().map(|(id, ..)| *id).collect();
    let names: Vec<String> = states.iter().map(|(_, state, _)| state.as_str().to_owned()).collect();
    let orders: Vec<Option<i64>> =
        states.iter().map(|(.., order)| order.map(|order| order.0)).collect();
    // `live` is for the unique indexes alone, and is never set back to true: another placement may stand there by now.
    sqlx::query!(
        "UPDATE provisor.effects e
         SET state = t.state, upstream_order_id = coalesce(e.upstream_order_id, t.upstream_order_id),
             settled_at = clock_timestamp(), live = e.live AND t.state <> 'rejected'
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

/// An answer came after its run had lost the line: the timeline tells, and the line is looked at again.
async fn note_late_answer(
    connection: &mut PgConnection,
    record: &Record,
    truth: &Truth,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH told AS (
             INSERT INTO provisor.events (order_id, line, event, detail)
             SELECT order_id, line, 'late_answer', $2 FROM provisor.order_lines WHERE id = $1)
         UPDATE provisor.wakes SET due_at = least(due_at, clock_timestamp()), kicks = kicks + 1
         WHERE id = $3",
        record.line_id.0,
        told(truth),
        record.fence.wake.0,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Another placement of the line has bought something too, or may have: the operator must know.
async fn note_bought_twice(
    connection: &mut PgConnection,
    record: &Record,
    truth: &Truth,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO provisor.events (order_id, line, event, detail)
         SELECT order_id, line, 'bought_twice', $2 FROM provisor.order_lines WHERE id = $1",
        record.line_id.0,
        told(truth),
    )
    .execute(&mut *connection)
    .await?;
    let (order, line) = (record.order_id, record.line_id);
    emails::owe(connection, &[Owed::to_operator(order, line, "bought_twice", truth.attempt)]).await
}

fn told(truth: &Truth) -> serde_json::Value {
    json!({ "outcome": truth.outcome.as_str(), "upstream_order_id": truth.upstream_order_id })
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
                   AS i (line_id, n, tag, domain, attempt, owner, run_token, request_hash)
               -- An acceptance may have come between the load and now, of a placement that was given up.
               WHERE NOT EXISTS (SELECT FROM provisor.effects e
                                 WHERE e.line_id = i.line_id AND e.step = $9 AND e.state = 'accepted')),
           floor AS MATERIALIZED (SELECT max(upstream_order_id) AS id FROM provisor.effects),
           again AS (
               UPDATE provisor.effects e
               SET state = 'sending', intended_at = clock_timestamp(), settled_at = NULL
               FROM wanted i
               WHERE e.line_id = i.line_id AND e.step = $9 AND e.n = i.n
                 AND e.state = 'not_sent' AND e.live
                 AND NOT EXISTS (SELECT FROM provisor.effects o
                                 WHERE o.domain = e.domain AND o.claims_site AND o.live AND o.site_id IS NULL
                                   AND o.state <> 'not_sent')
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

/// Brings the ledger in line with the lines: doubts, placements of ended lines, the sites that were delivered.
pub(super) async fn settle(
    connection: &mut PgConnection,
    changed: &[(&Record, &LineChange)],
) -> Result<(), sqlx::Error> {
    // A doubtful line has a placement in doubt, or nobody could resolve it: also after a run that ended without an answer.
    let doubtful: Vec<i64> = changed
        .iter()
        .filter(|(_, change)| change.progress.status == LineStatus::InDoubt)
        .map(|(record, _)| record.line_id.0)
        .collect();
    if !doubtful.is_empty() {
        sqlx::query!(
            "UPDATE provisor.effects SET state = 'in_doubt', settled_at = clock_timestamp()
             WHERE line_id = ANY ($1) AND state = 'sending'",
            &doubtful,
        )
        .execute(&mut *connection)
        .await?;
    }
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
         SET live = false,
             -- A site that another placement brought already is none of this one's, whatever the upstream says; and of
             -- those that bring it together it is the first one's.
             site_id = CASE WHEN e.state = 'accepted' AND l.first AND NOT EXISTS (
                           SELECT FROM provisor.effects o WHERE o.site_id = l.site_id AND o.id <> e.id)
                       THEN l.site_id ELSE e.site_id END
         FROM (SELECT line_id, site_id, row_number() OVER (PARTITION BY site_id ORDER BY line_id) = 1
               FROM unnest($1::bigint[], $2::bigint[]) AS l (line_id, site_id))
                  AS l (line_id, site_id, first)
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

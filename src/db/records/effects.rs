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
    LineChange, Record, Truth,
    apply::Line,
    emails::{self, Owed},
    ended::{self, Answered},
    lost,
    wakes::LockedWakes,
};
use crate::order::{LineId, LineStatus, decide::Evidence, effect::EffectStep, ledger::EffectState};

/// Lets what became known of attempts enter the ledger, whoever holds the line by now.
pub(super) async fn learn(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
    wakes: &LockedWakes,
    lines: &HashMap<LineId, Line>,
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
    let mut news = end_attempts(connection, &truths).await?;
    let mut restored = Vec::new();
    if news.len() < truths.len() && lost::restore(connection, &truths).await? {
        restored = end_attempts(connection, &truths).await?;
        news.extend(&restored);
    }
    let rows = sqlx::query!(
        r#"SELECT a.id AS attempt, e.id, e.state, e.step, e.tag,
                  -- What the line's other placements have bought, or may have (0).
                  ARRAY (SELECT coalesce(o.upstream_order_id, 0) FROM provisor.effects o
                         WHERE o.line_id = e.line_id AND o.step = e.step AND o.id <> e.id
                           AND o.state IN ('sending', 'in_doubt', 'accepted')) AS "bought_by_others!"
           FROM provisor.attempts a JOIN provisor.effects e ON e.id = a.effect_id
           WHERE a.id = ANY ($1) ORDER BY e.id FOR NO KEY UPDATE OF e"#,
        &news,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut states = Vec::new();
    for row in rows {
        let truth = truths.iter().find(|(_, truth)| truth.attempt == row.attempt);
        let (Some((record, truth)), Ok(before)) = (truth, row.state.parse::<EffectState>()) else {
            continue;
        };
        let after = before.learn(truth.outcome);
        states.push((row.id, after, *truth));
        if !wakes.are_held_by(&record.fence) {
            note_late(connection, record, &told(truth)).await?;
        }
        // What sets a value, or makes a contact, buys nothing.
        let buys = row.step.parse::<EffectStep>().is_ok_and(EffectStep::buys);
        // A person may have given this very order to another placement.
        let is_another = |&other: &i64| truth.upstream_order_id.is_none_or(|id| id.0 != other);
        let others_bought = row.bought_by_others.iter().any(is_another);
        if buys && after == EffectState::Accepted && before != after && others_bought {
            let episode = truth.attempt.to_string();
            note_bought_twice(connection, record, &told(truth), &episode).await?;
        }
        let news = before != after || restored.contains(&row.attempt);
        let stands = lines.get(&record.line_id).map(|line| line.status);
        if let (true, true, Some(status)) = (buys, news, stands) {
            let answered =
                Answered { tag: &row.tag, truth, is_restored: restored.contains(&row.attempt) };
            ended::note_unfollowed(connection, record, status, &answered).await?;
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
    states: &[(i64, EffectState, &Truth)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = states.iter().map(|(id, ..)| *id).collect();
    let names: Vec<String> = states.iter().map(|(_, state, _)| state.as_str().to_owned()).collect();
    let orders: Vec<Option<i64>> =
        states.iter().map(|(.., truth)| truth.upstream_order_id.map(|order| order.0)).collect();
    let handles: Vec<Option<String>> = states
        .iter()
        .map(|(.., truth)| truth.contact_handle.as_ref().map(|handle| handle.0.clone()))
        .collect();
    // `live` is for the unique indexes alone, and is never set back to true: another placement may stand there by now. What
    // sets a value stands in nobody's way once it is set.
    sqlx::query!(
        "WITH known AS (
             UPDATE provisor.effects e
             SET state = t.state,
                 -- Another placement of the line may bear it, by a person's word.
                 upstream_order_id = coalesce(e.upstream_order_id, CASE WHEN NOT EXISTS (
                     SELECT FROM provisor.effects o WHERE o.upstream_order_id = t.upstream_order_id AND o.id <> e.id)
                     THEN t.upstream_order_id END),
                 contact_handle = coalesce(e.contact_handle, t.contact_handle),
                 settled_at = clock_timestamp(),
                 live = e.live AND t.state <> 'rejected'
                        AND NOT (t.state = 'accepted' AND e.step = ANY ($5))
             FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[])
                      AS t (id, state, upstream_order_id, contact_handle)
             WHERE e.id = t.id
             RETURNING e.line_id, e.step, e.state, e.upstream_order_id, e.contact_key, e.contact_handle),
         -- A line that its site has completed follows no order; the order's number is told all the same.
         told AS (
             UPDATE provisor.order_lines l SET upstream_order_id = k.upstream_order_id
             FROM known k
             WHERE l.id = k.line_id AND k.step = 'place_order' AND k.state = 'accepted'
               AND l.status = 'completed' AND l.upstream_order_id IS NULL)
         INSERT INTO provisor.contacts (key, handle, customer_id)
         SELECT k.contact_key, k.contact_handle, o.customer_id
         FROM known k JOIN provisor.order_lines l ON l.id = k.line_id JOIN provisor.orders o ON o.id = l.order_id
         WHERE k.contact_key IS NOT NULL AND k.contact_handle IS NOT NULL
         ORDER BY k.contact_key
         ON CONFLICT DO NOTHING",
        &ids,
        &names,
        &orders as &[Option<i64>],
        &handles as &[Option<String>],
        &repeatable_steps(),
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The steps that set a value.
pub(super) fn repeatable_steps() -> Vec<String> {
    let steps = EffectStep::ALL.iter().filter(|step| step.is_repeatable());
    steps.map(|step| step.as_str().to_owned()).collect()
}

/// Lets what was found upstream enter the ledger, though its run has lost the line, or the line has moved.
pub(super) async fn learn_late(
    connection: &mut PgConnection,
    late: &[&Record],
) -> Result<(), sqlx::Error> {
    for record in late {
        let evidence = record.change.as_ref().and_then(|change| change.evidence.as_ref());
        let Some(found) = evidence.filter(|found| found.state == EffectState::Accepted) else {
            continue;
        };
        let others_bought = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM provisor.effects o
                              WHERE o.line_id = e.line_id AND o.step = e.step AND o.id <> e.id
                                AND o.state IN ('sending', 'in_doubt', 'accepted')) AS "others_bought!"
               FROM provisor.effects e
               WHERE e.line_id = $1 AND e.step = $2 AND e.n = $3 AND e.state <> 'accepted' FOR NO KEY UPDATE"#,
            record.line_id.0,
            found.step.as_str(),
            found.n,
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(others_bought) = others_bought else { continue };
        note_evidence(&mut *connection, &[(record.line_id, found)]).await?;
        let told = json!({ "outcome": "accepted", "upstream_order_id": found.upstream_order_id,
                           "site_id": found.site_id });
        note_late(&mut *connection, record, &told).await?;
        if found.step.buys() && others_bought {
            let episode = format!("{}-{}", found.step, found.n);
            note_bought_twice(&mut *connection, record, &told, &episode).await?;
        }
    }
    Ok(())
}

/// A truth came after its run had lost the line: the timeline tells, and the line is looked at again.
async fn note_late(
    connection: &mut PgConnection,
    record: &Record,
    told: &serde_json::Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH told AS (
             INSERT INTO provisor.events (order_id, line, event, detail)
             SELECT order_id, line, 'late_answer', $2 FROM provisor.order_lines WHERE id = $1)
         UPDATE provisor.wakes SET due_at = least(due_at, clock_timestamp()), kicks = kicks + 1
         WHERE id = $3",
        record.line_id.0,
        told,
        record.fence.wake.0,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Another placement of the line has bought something too, or may have: the operator must know.
pub(super) async fn note_bought_twice(
    connection: &mut PgConnection,
    record: &Record,
    told: &serde_json::Value,
    episode: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO provisor.events (order_id, line, event, detail)
         SELECT order_id, line, 'bought_twice', $2 FROM provisor.order_lines WHERE id = $1",
        record.line_id.0,
        told,
    )
    .execute(&mut *connection)
    .await?;
    let (order, line) = (record.order_id, record.line_id);
    // Before the commit: if that fails, the answer is recorded once more, and told once more.
    tracing::error!(order_id = order.0, line_id = line.0, %told, "bought twice");
    emails::owe(connection, &[Owed::to_operator(order, line, "bought_twice", episode)]).await
}

pub(super) fn told(truth: &Truth) -> serde_json::Value {
    json!({ "outcome": truth.outcome.as_str(), "upstream_order_id": truth.upstream_order_id })
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
    let evidence: Vec<_> = changed
        .iter()
        .filter_map(|(record, change)| Some((record.line_id, change.evidence.as_ref()?)))
        .collect();
    note_evidence(connection, &evidence).await?;
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
         -- Line by line: as far as the planner knows few are live, and it would compare all that are with all lines.
         CROSS JOIN LATERAL (
             SELECT id FROM provisor.effects WHERE line_id = l.line_id AND live OFFSET 0) AS ended
         WHERE e.id = ended.id",
        &ids,
        &sites as &[Option<i64>],
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "WITH secrets AS (DELETE FROM provisor.transfer_secrets WHERE line_id = ANY ($1)),
         -- What a contact was found by is no longer what it holds.
         changed AS (
             DELETE FROM provisor.contacts WHERE handle IN (
                 SELECT wish ->> 'contact_handle' FROM provisor.order_lines
                 WHERE id = ANY ($1) AND kind = 'contact_update'))
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

/// What evidence, or a person, says of placements: it counts only where the outcome is still open, unless it is that the
/// upstream has it after all, or that one which had no effect is given up. Attempts stay as they are: an answer that comes
/// late still enters.
pub(super) async fn note_evidence(
    connection: &mut PgConnection,
    evidence: &[(LineId, &Evidence)],
) -> Result<(), sqlx::Error> {
    if evidence.is_empty() {
        return Ok(());
    }
    let lines: Vec<i64> = evidence.iter().map(|(line, _)| line.0).collect();
    let steps: Vec<String> =
        evidence.iter().map(|(_, evidence)| evidence.step.as_str().to_owned()).collect();
    let numbers: Vec<i32> = evidence.iter().map(|(_, evidence)| evidence.n).collect();
    let states: Vec<String> =
        evidence.iter().map(|(_, evidence)| evidence.state.as_str().to_owned()).collect();
    let orders: Vec<Option<i64>> =
        evidence.iter().map(|(_, evidence)| evidence.upstream_order_id.map(|id| id.0)).collect();
    let sites: Vec<Option<i64>> =
        evidence.iter().map(|(_, evidence)| evidence.site_id.map(|id| id.0)).collect();
    sqlx::query!(
        "UPDATE provisor.effects e
         SET state = v.state, settled_at = clock_timestamp(),
             upstream_order_id = coalesce(e.upstream_order_id, v.upstream_order_id),
             -- As with the sites of lines that are delivered (`settle`): one placement's, the first one's.
             site_id = coalesce(e.site_id, CASE WHEN v.first AND NOT EXISTS (
                 SELECT FROM provisor.effects o WHERE o.site_id = v.site_id AND o.id <> e.id) THEN v.site_id END),
             live = e.live AND v.state = 'accepted' AND e.step <> ALL ($5)
         FROM (SELECT *, row_number() OVER (PARTITION BY site_id ORDER BY line_id) = 1 AS first
               FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::text[], $6::bigint[], $7::bigint[])
                        AS u (line_id, step, n, state, upstream_order_id, site_id)) AS v
         WHERE e.line_id = v.line_id AND e.step = v.step AND e.n = v.n
           AND (e.state IN ('sending', 'in_doubt') OR v.state = 'accepted'
                OR (e.state IN ('not_sent', 'absent') AND v.state = 'abandoned'))",
        &lines,
        &steps,
        &numbers,
        &states,
        &repeatable_steps(),
        &orders as &[Option<i64>],
        &sites as &[Option<i64>],
    )
    .execute(connection)
    .await
    .map(drop)
}

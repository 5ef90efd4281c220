//! An LJPc order is one line's. An answer that names one which another line bears already is none that was promised, hence a
//! doubt, and for a person to judge.

use std::{collections::HashMap, time::Duration};

use serde_json::json;
use sqlx::PgConnection;

use super::{
    Due, Lane, LineChange, Record, Truth,
    apply::Line,
    emails::{self, Owed},
};
use crate::order::{LineId, UpstreamOrderId, ledger::Outcome};

/// How soon what was found of another line is looked at again.
const AGAIN_AFTER: Duration = Duration::from_hours(1);

/// The records that name an order of another line, by their indexes, as they may be applied: what they say of their line is
/// left out, and the answer is one in doubt.
pub(super) async fn doubt(
    connection: &mut PgConnection,
    taken: &[(usize, &Record)],
    lines: &HashMap<LineId, Line>,
) -> Result<HashMap<usize, Record>, sqlx::Error> {
    let named: Vec<(usize, &Record, i64)> = taken
        .iter()
        .filter_map(|(index, record)| Some((*index, *record, record.named_order()?.0)))
        .collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<i64> = named.iter().map(|(.., id)| *id).collect();
    let rows = sqlx::query!(
        r#"SELECT e.upstream_order_id AS "id!", e.line_id, o.reference || '/' || l.line AS "name!"
           FROM provisor.effects e JOIN provisor.order_lines l ON l.id = e.line_id
           JOIN provisor.orders o ON o.id = l.order_id
           WHERE e.upstream_order_id = ANY ($1)"#,
        &ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut bearers: HashMap<i64, (LineId, String)> =
        rows.into_iter().map(|row| (row.id, (LineId(row.line_id), row.name))).collect();
    let mut doubted = HashMap::new();
    for (index, record, id) in named {
        let own = lines.get(&record.line_id).map(Line::name).unwrap_or_default();
        // Of two in one group, the first one has it.
        let (bearer, name) = bearers.entry(id).or_insert((record.line_id, own));
        if *bearer != record.line_id {
            let doubt = Doubt { id: UpstreamOrderId(id), bearer: name };
            doubt.tell(&mut *connection, record).await?;
            doubted.insert(index, doubt.of(record));
        }
    }
    Ok(doubted)
}

/// An order, and the line that bears it.
struct Doubt<'a> {
    id: UpstreamOrderId,
    bearer: &'a str,
}

impl Doubt<'_> {
    /// The record without what can't be so.
    fn of(&self, record: &Record) -> Record {
        let Self { id, bearer } = self;
        let truth = record.truth.clone().map(|truth| Truth {
            outcome: Outcome::InDoubt,
            upstream_order_id: None,
            detail: Some(format!(
                "LJPc answered with order {id}, which is line {bearer}'s already"
            )),
            ..truth
        });
        // After an answer the next run puts the line in doubt, as after one that never came.
        let after = if truth.is_some() { Duration::ZERO } else { AGAIN_AFTER };
        let park = record.park.map(|_| (Lane::Retry, Due::In(after), 0));
        Record { truth, park, change: None, ..record.clone() }
    }

    async fn tell(
        &self,
        connection: &mut PgConnection,
        record: &Record,
    ) -> Result<(), sqlx::Error> {
        let Self { id, bearer } = self;
        let jti = record.truth.as_ref().and_then(|truth| truth.jti.as_deref());
        let told_jti = jti.map(|jti| format!(" (jti {jti})")).unwrap_or_default();
        let reason = format!(
            "LJPc order {id}{told_jti} was named as this line's, and is line {bearer}'s already: one of the two is wrong."
        );
        let (order, line) = (record.order_id, record.line_id);
        tracing::error!(upstream_order_id = id.0, jti, line_id = line.0, bearer, "{reason}");
        let owed = Owed::to_operator(order, line, "order_taken", id).saying(&reason);
        // Once, however often it is said.
        sqlx::query!(
            "INSERT INTO provisor.events (order_id, line, event, detail)
             SELECT l.order_id, l.line, 'order_taken', jsonb_strip_nulls($2)
             FROM provisor.order_lines l
             WHERE l.id = $1 AND NOT EXISTS (SELECT FROM provisor.email_outbox m WHERE m.dedupe_key = $3)",
            line.0,
            json!({ "upstream_order_id": id, "borne_by": bearer, "jti": jti }),
            owed.key(),
        )
        .execute(&mut *connection)
        .await?;
        emails::owe(connection, &[owed]).await
    }
}

impl Record {
    /// The LJPc order that it says is its line's.
    fn named_order(&self) -> Option<UpstreamOrderId> {
        let found = |change: &LineChange| change.evidence.as_ref()?.upstream_order_id;
        let answered = self.truth.as_ref().and_then(|truth| truth.upstream_order_id);
        answered.or_else(|| self.change.as_ref().and_then(found))
    }
}

//! What was bought for lines that have ended and follow nothing: cancelled ones, above all on a server that had not heard of
//! the request.

use serde_json::json;
use sqlx::PgConnection;

use super::{
    Record, Truth,
    emails::{self, Owed},
};
use crate::order::{LineStatus, ledger::Outcome};

/// What became known of a placement.
pub(super) struct Answered<'a> {
    pub(super) tag: &'a str,
    pub(super) truth: &'a Truth,
    /// The database had lost its intent.
    pub(super) is_restored: bool,
}

/// Tells of a purchase, or of one that may have been made, that its line does not follow: it was cancelled, or it has failed
/// and nobody looks for what became of the request. (A line that has failed follows an acceptance.)
pub(super) async fn note_unfollowed(
    connection: &mut PgConnection,
    record: &Record,
    status: LineStatus,
    answered: &Answered<'_>,
) -> Result<(), sqlx::Error> {
    let Answered { tag, truth, is_restored } = answered;
    let is_cancelled = status == LineStatus::Cancelled;
    let jti = truth.jti.as_ref().map(|jti| format!(" (jti {jti})")).unwrap_or_default();
    let reason = match truth.outcome {
        Outcome::Accepted if is_cancelled => {
            let id = truth.upstream_order_id.map(|id| format!(" as LJPc order {id}"));
            format!(
                "LJPc has accepted {tag}{}{jti}, although its line is cancelled.",
                id.unwrap_or_default()
            )
        }
        Outcome::InDoubt if *is_restored && (is_cancelled || status == LineStatus::Failed) => {
            format!(
                "{tag} was sent, and LJPc may have accepted it{jti}, although its line is {status}."
            )
        }
        Outcome::Accepted
        | Outcome::InDoubt
        | Outcome::Rejected
        | Outcome::RateLimited
        | Outcome::Unauthorized
        | Outcome::NotSent => return Ok(()),
    };
    let order = truth.upstream_order_id.map(|id| id.0);
    tracing::error!(tag, attempt = %truth.attempt, upstream_order_id = order, jti = truth.jti, "{reason}");
    let detail = json!({
        "tag": tag, "outcome": truth.outcome.as_str(), "upstream_order_id": order, "jti": truth.jti, "severity": "critical",
    });
    sqlx::query!(
        "WITH freed AS (UPDATE provisor.effects SET live = false WHERE line_id = $1 AND live)
         INSERT INTO provisor.events (order_id, line, event, detail)
         SELECT order_id, line, 'bought_after_end', jsonb_strip_nulls($2) FROM provisor.order_lines WHERE id = $1",
        record.line_id.0,
        detail,
    )
    .execute(&mut *connection)
    .await?;
    let (order, line) = (record.order_id, record.line_id);
    let owed = Owed::to_operator(order, line, "bought_after_end", truth.attempt);
    emails::owe(connection, &[owed.saying(&reason)]).await
}

//! What delivered lines would cost now.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{Place, Settled, Writing, findings};
use crate::{
    audit::{Assessment, FindingKind, PricedLine},
    db::{Database, DbError},
    order::{LineId, LineKind, Money},
};

/// The kinds that a line's price is judged for.
const PRICE_KINDS: &[FindingKind] = &[FindingKind::PriceAboveMaxCost, FindingKind::PriceChanged];

/// A delivered line whose price is to be asked for.
#[derive(Clone, Debug)]
pub struct LineToPrice {
    /// The line.
    pub id: LineId,
    /// Its kind: `hosting`, `domain_register` or `domain_transfer`.
    pub kind: LineKind,
    /// Its document.
    pub wish: Value,
    /// Its name.
    pub domain: Option<String>,
    /// What is known of its price so far; `now` is none yet.
    pub priced: PricedLine,
    /// The price that was read last.
    pub last: Option<Money>,
}

/// A line's price as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct LinePrice {
    /// The line.
    pub id: LineId,
    /// EUR without VAT.
    pub price: Money,
}

impl Database {
    /// The next delivered lines after `after` whose price can be asked for: of names, or of hosting.
    pub async fn lines_to_price(
        &self,
        names: bool,
        after: LineId,
        limit: i64,
    ) -> Result<Vec<LineToPrice>, DbError> {
        let rows = self
            .call("reading lines for their prices", async |connection| {
                sqlx::query!(
                    r#"SELECT l.id, l.line, l.kind, l.wish, l.domain, l.cost_limit, o.reference,
                              p.price AS "price?", p.before, p.changed_at
                       FROM provisor.order_lines l
                       JOIN provisor.orders o ON o.id = l.order_id
                       LEFT JOIN provisor.line_prices p ON p.line_id = l.id
                       WHERE l.id > $2 AND l.status = 'completed'
                         AND CASE WHEN $1 THEN l.kind IN ('domain_register', 'domain_transfer')
                                               AND EXISTS (SELECT FROM provisor.domains d WHERE d.line_id = l.id)
                                  ELSE l.kind = 'hosting' END
                       ORDER BY l.id LIMIT $3"#,
                    names,
                    after.0,
                    limit,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(LineToPrice {
                    id: LineId(row.id),
                    kind: row.kind.parse()?,
                    wish: row.wish,
                    domain: row.domain,
                    priced: PricedLine {
                        subject: format!("{}/{}", row.reference, row.line),
                        max_cost: row.cost_limit.map(Money),
                        before: row.before.map(Money),
                        changed_at: row.changed_at,
                        now: None,
                    },
                    last: row.price.map(Money),
                })
            })
            .collect()
    }

    /// Judges lines by their prices, and keeps these. `None`: another process has the run.
    pub async fn judge_prices(
        &self,
        place: &Place,
        judged: &[(String, Assessment)],
        prices: &[LinePrice],
        now: DateTime<Utc>,
        writing: Writing,
    ) -> Result<Option<Settled>, DbError> {
        let ids: Vec<i64> = prices.iter().map(|priced| priced.id.0).collect();
        let amounts: Vec<Decimal> = prices.iter().map(|priced| priced.price.0).collect();
        let subjects: Vec<String> = judged.iter().map(|(subject, _)| subject.clone()).collect();
        let named = judged.iter().map(|(subject, it)| (&**subject, it));
        let together = findings::together(&subjects, PRICE_KINDS, named);
        self.audit_step("judging prices", place, writing, async |connection| {
            sqlx::query!(
                "INSERT INTO provisor.line_prices AS known (line_id, price, read_at)
                 SELECT p.id, p.price, $3 FROM unnest($1::bigint[], $2::numeric[]) AS p (id, price) ORDER BY p.id
                 ON CONFLICT (line_id) DO UPDATE
                 SET price = excluded.price, read_at = excluded.read_at,
                     before = CASE WHEN known.price <> excluded.price THEN known.price ELSE known.before END,
                     changed_at = CASE WHEN known.price <> excluded.price THEN excluded.read_at
                                       ELSE known.changed_at END",
                &ids,
                &amounts,
                now,
            )
            .execute(&mut *connection)
            .await?;
            findings::settle(connection, &together, now).await
        })
        .await
    }
}

//! What a person says of a line, carried out: `order retry` and `order resolve`.
//!
//! One transaction, in the order of locks that all others keep. It asks the pure rules once more, under the order's lock,
//! and raises the line's run token: a run that is under way no longer holds the line, and what it learns of an effect
//! enters all the same.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    LineChange, Locking, Record, Waits,
    apply::write_changes,
    effects,
    emails::{self, Owed},
    wakes,
};
use crate::{
    db::{
        Database, DbError, lines,
        wakes::{Fence, Lane, WakeId},
    },
    order::{
        LineId, LineKind, LineStatus, OrderId, SiteId, Tag, UpstreamOrderId,
        facts::{Facts, Placement},
        resolution::{Consequence, Refusal, Resolution, Resolved, Said, Standing, resolve},
    },
};

/// The kind of a line's wake: jobs/mod.rs.
const LINE: u8 = 1;

/// A line as a person names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineFound {
    /// The line.
    pub line: LineId,
    /// Its order.
    pub order: OrderId,
}

/// What came of a person's word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is done: where the line stands now.
    Done(LineStatus),
    /// It was so already; nothing has changed.
    Already(String),
    /// It can't be said of this line.
    Refused(Refusal),
    /// The line has moved since the person looked.
    Moved,
    /// The order or the site that was named is this line's: `SHOP-1000/2`.
    Taken(String),
}

impl Database {
    /// The line of this index in the order of this reference, and the number of the order's lines; `None`: there is no such
    /// order.
    pub async fn find_line(
        &self,
        reference: &str,
        line: i32,
    ) -> Result<Option<(Option<LineFound>, i64)>, DbError> {
        let row = self
            .call("looking for the line", async |connection| {
                sqlx::query!(
                    r#"SELECT o.id AS "order!", l.id AS "line?",
                              (SELECT count(*) FROM provisor.order_lines n WHERE n.order_id = o.id) AS "lines!"
                       FROM provisor.orders o
                       LEFT JOIN provisor.order_lines l ON l.order_id = o.id AND l.line = $2
                       WHERE o.reference = $1"#,
                    reference,
                    line,
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        Ok(row.map(|row| {
            let order = OrderId(row.order);
            (row.line.map(|line| LineFound { line: LineId(line), order }), row.lines)
        }))
    }

    /// Which of these sites are lines' of ours, each with its line: `SHOP-1000/2`.
    pub async fn lines_of_sites(&self, sites: &[SiteId]) -> Result<Vec<(SiteId, String)>, DbError> {
        let ids: Vec<i64> = sites.iter().map(|site| site.0).collect();
        let rows = self
            .call("looking for the lines of sites", async |connection| {
                sqlx::query!(
                    r#"SELECT s.id AS "site!", o.reference || '/' || l.line AS "line!"
                       FROM unnest($1::bigint[]) AS s (id)
                       CROSS JOIN LATERAL (
                           SELECT e.line_id FROM provisor.effects e WHERE e.site_id = s.id
                           UNION
                           SELECT t.line_id FROM provisor.sites t WHERE t.site_id = s.id) AS held
                       JOIN provisor.order_lines l ON l.id = held.line_id
                       JOIN provisor.orders o ON o.id = l.order_id
                       ORDER BY s.id, l.id"#,
                    &ids,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(|row| (SiteId(row.site), row.line)).collect())
    }

    /// Carries out what a person says of a line, if it still stands where he saw it.
    pub async fn resolve_line(
        &self,
        found: LineFound,
        said: &Said,
        seen: Standing,
        waits: Waits,
    ) -> Result<Verdict, DbError> {
        self.call("resolving the line", async |connection| {
            let mut transaction = crate::db::begin(connection).await?;
            let verdict = carry_out(&mut transaction, found, said, seen, waits).await?;
            if matches!(verdict, Verdict::Done(_)) {
                failpoint!("resolve.before_commit");
                transaction.commit().await?;
                failpoint!("resolve.committed");
            } else {
                transaction.rollback().await?;
            }
            Ok(verdict)
        })
        .await
    }
}

async fn carry_out(
    connection: &mut PgConnection,
    found: LineFound,
    said: &Said,
    seen: Standing,
    waits: Waits,
) -> Result<Verdict, sqlx::Error> {
    sqlx::query!("SET LOCAL lock_timeout = '5s'").execute(&mut *connection).await?;
    sqlx::query!("SELECT id FROM provisor.orders WHERE id = $1 FOR NO KEY UPDATE", found.order.0)
        .fetch_one(&mut *connection)
        .await?;
    failpoint!("resolve.locked");
    let rows = lines::select(&mut *connection, &[found.line], waits.grace).await?;
    let mut loaded = rows.assemble().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let facts = loaded.remove(&found.line).ok_or(sqlx::Error::RowNotFound)?.facts;
    let resolved = match resolve(&facts, said) {
        Ok(Consequence::Already(so)) => return Ok(Verdict::Already(so)),
        _ if Standing::of(&facts) != seen => return Ok(Verdict::Moved),
        Err(refusal) => return Ok(Verdict::Refused(refusal)),
        Ok(Consequence::Changes(resolved)) => *resolved,
    };
    if let Some(line) = holder(&mut *connection, found.line, &said.what).await? {
        return Ok(Verdict::Taken(line));
    }
    let status = resolved.change.progress.status;
    write(connection, found, &facts, resolved, said, waits).await?;
    Ok(Verdict::Done(status))
}

/// The other line that bears the order or the site which was named.
async fn holder(
    connection: &mut PgConnection,
    line: LineId,
    what: &Resolution,
) -> Result<Option<String>, sqlx::Error> {
    let (order, site): (Option<UpstreamOrderId>, Option<SiteId>) = match what {
        Resolution::UpstreamOrder { id, .. } => (Some(*id), None),
        Resolution::Site(id) => (None, Some(*id)),
        Resolution::Retry { .. } | Resolution::Absent { .. } | Resolution::Abandon { .. } => {
            return Ok(None);
        }
    };
    sqlx::query_scalar!(
        r#"SELECT o.reference || '/' || l.line AS "line!"
           FROM (SELECT e.line_id FROM provisor.effects e WHERE e.upstream_order_id = $2 OR e.site_id = $3
                 UNION
                 SELECT t.line_id FROM provisor.sites t WHERE t.site_id = $3) AS held
           JOIN provisor.order_lines l ON l.id = held.line_id
           JOIN provisor.orders o ON o.id = l.order_id
           WHERE l.id <> $1 ORDER BY l.id LIMIT 1"#,
        line.0,
        order.map(|id| id.0),
        site.map(|id| id.0),
    )
    .fetch_optional(connection)
    .await
}

async fn write(
    connection: &mut PgConnection,
    found: LineFound,
    facts: &Facts,
    resolved: Resolved,
    said: &Said,
    waits: Waits,
) -> Result<(), sqlx::Error> {
    let Resolved { change, placements, bought_twice, forgotten } = resolved;
    let mut change = LineChange::of(facts, change);
    if let Some(placement) = &forgotten {
        // No longer to be cancelled as if nothing had happened.
        change.sent = Some(true);
        let domain = change.progress.domain.as_deref();
        remember(&mut *connection, found.line, facts, placement, domain).await?;
    }
    // Its name's row of wishes went to the next in line when it had failed.
    change.brings_name |= facts.progress.status.is_ended()
        && matches!(facts.kind, LineKind::DomainRegister | LineKind::DomainTransfer);
    let wake = WakeId::new(LINE, found.line.0);
    // No run of this process: the fence only names the wake.
    let fence = Fence { wake, run_token: 0, owner: Uuid::nil(), kicks: 0 };
    let record = Record {
        fence,
        order_id: found.order,
        line_id: found.line,
        intent: None,
        truth: None,
        change: Some(change.clone()),
        park: None,
    };
    wakes::lock(&mut *connection, &[(0, &record)], Locking::Wait).await?;
    let said_of: Vec<_> = placements.iter().map(|evidence| (found.line, evidence)).collect();
    effects::note_evidence(&mut *connection, &said_of).await?;
    if let Resolution::Retry { max_cost, allow_premium } = &said.what {
        sqlx::query!(
            "UPDATE provisor.order_lines
             SET cost_limit = coalesce($2, cost_limit), allow_premium = coalesce($3, allow_premium)
             WHERE id = $1",
            found.line.0,
            max_cost.map(|limit| limit.0),
            allow_premium.then_some(true),
        )
        .execute(&mut *connection)
        .await?;
    }
    write_changes(&mut *connection, &[(&record, &change)], waits).await?;
    if let Resolution::Site(site) = &said.what {
        claim_site(&mut *connection, found.line, *site).await?;
    }
    if let (true, Resolution::UpstreamOrder { id, .. }) = (bought_twice, &said.what) {
        let episode = format!("order-{id}");
        let owed = Owed::to_operator(found.order, found.line, "bought_twice", episode);
        emails::owe(&mut *connection, &[owed]).await?;
    }
    rouse(connection, wake, change.progress.status).await
}

/// A placement that was lost enters the ledger, as one in doubt. Where another one has its name, or its place, it is kept
/// beside it.
async fn remember(
    connection: &mut PgConnection,
    line: LineId,
    facts: &Facts,
    placement: &Placement,
    domain: Option<&str>,
) -> Result<(), sqlx::Error> {
    let Placement { step, n, intended_at, .. } = placement;
    let tag = Tag::of_step(&facts.reference, facts.line, *step, *n);
    let brings_name = matches!(facts.kind, LineKind::DomainRegister | LineKind::DomainTransfer);
    sqlx::query!(
        "INSERT INTO provisor.effects AS e
             (line_id, step, n, tag, state, live, domain, claims_site, claims_name, intended_at)
         SELECT $1, $2, $3, $4, 'in_doubt',
                NOT EXISTS (SELECT FROM provisor.effects o
                            WHERE o.live
                              AND (o.line_id = $1 AND o.step = $2 AND o.n <> $3
                                   OR o.state <> 'not_sent' AND o.domain = $5
                                      AND (o.claims_name AND $6 OR o.claims_site AND NOT $6 AND o.site_id IS NULL))),
                $5, NOT $6, $6, $7
         ON CONFLICT (line_id, step, n) DO UPDATE
         SET state = 'in_doubt', settled_at = NULL, live = excluded.live
         WHERE e.state = 'not_sent'",
        line.0,
        step.as_str(),
        n,
        tag.as_str(),
        domain,
        brings_name,
        intended_at,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The site is the line's, also where it was known as nobody's.
async fn claim_site(
    connection: &mut PgConnection,
    line: LineId,
    site: SiteId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE provisor.sites s
         SET line_id = l.id, customer_id = o.customer_id
         FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
         WHERE s.site_id = $2 AND l.id = $1 AND s.line_id IS NULL",
        line.0,
        site.0,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Takes the line from whoever is at it, and makes it due if there is something to be done. Its wake may have been
/// forgotten, long after its end.
async fn rouse(
    connection: &mut PgConnection,
    wake: WakeId,
    status: LineStatus,
) -> Result<(), sqlx::Error> {
    let lane = if status == LineStatus::Provisioning { Lane::Poll } else { Lane::Retry };
    sqlx::query!(
        r#"WITH roused AS (
               INSERT INTO provisor.wakes (id, lane, due_at, run_token)
               VALUES ($1, $2, CASE WHEN $3 THEN 'infinity' ELSE clock_timestamp() END, 1)
               ON CONFLICT (id) DO UPDATE
               SET lane = excluded.lane, due_at = excluded.due_at, lease_until = '-infinity', owner = NULL,
                   run_token = wakes.run_token + 1, kicks = wakes.kicks + 1, tries = 0
               RETURNING id)
           SELECT provisor.notify_workers() IS NULL AS "notified" FROM roused"#,
        wake.0,
        lane.number(),
        status.is_ended(),
    )
    .fetch_one(connection)
    .await
    .map(drop)
}

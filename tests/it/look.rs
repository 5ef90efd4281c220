//! What a test looks at in a house: lines, the timeline, the ledger, emails, and what went over the wire.

use provisor::{
    db::wakes::WakeId,
    jobs,
    order::{SiteId, UpstreamOrderId},
    sandbox::{Drive, DrivenSite, Entry, Stage},
};
use serde_json::Value;
use sqlx::Row as _;

use crate::house::{House, eventually};

/// A line as its row stands.
#[derive(Debug)]
pub(crate) struct LineSeen {
    pub(crate) id: i64,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) upstream_order_id: Option<i64>,
    pub(crate) site_id: Option<i64>,
    pub(crate) cost: Option<String>,
    pub(crate) sent: bool,
}

impl LineSeen {
    /// Why, or nothing.
    pub(crate) fn why(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }
}

impl House {
    /// A line.
    pub(crate) async fn line(&self, reference: &str, line: i32) -> LineSeen {
        let row = sqlx::query(
            "SELECT l.id, l.status, l.reason, l.domain, l.upstream_order_id, l.site_id, l.cost::text, l.sent
             FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
             WHERE o.reference = $1 AND l.line = $2",
        )
        .bind(reference)
        .bind(line)
        .fetch_one(&self.world.pool)
        .await
        .expect("the line is there");
        LineSeen {
            id: row.get(0),
            status: row.get(1),
            reason: row.get(2),
            domain: row.get(3),
            upstream_order_id: row.get(4),
            site_id: row.get(5),
            cost: row.get(6),
            sent: row.get(7),
        }
    }

    /// An order's status and reason.
    pub(crate) async fn order(&self, reference: &str) -> (String, Option<String>) {
        sqlx::query_as("SELECT status, reason FROM provisor.order_status WHERE reference = $1")
            .bind(reference)
            .fetch_one(&self.world.pool)
            .await
            .expect("the order is there")
    }

    /// Waits until a line's reason holds this text.
    pub(crate) async fn until_reason(&self, reference: &str, line: i32, part: &str) {
        eventually(&format!("{reference}/{line} says {part:?}"), async || {
            self.line(reference, line).await.why().contains(part)
        })
        .await;
    }

    /// The names of an order's events, in order.
    pub(crate) async fn events(&self, reference: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT event FROM provisor.order_events WHERE reference = $1 ORDER BY id",
        )
        .bind(reference)
        .fetch_all(&self.world.pool)
        .await
        .expect("events can be read")
    }

    /// How often an order's timeline has this event.
    pub(crate) async fn count_events(&self, reference: &str, event: &str) -> usize {
        self.events(reference).await.iter().filter(|name| *name == event).count()
    }

    /// The emails that an order owes or owed: template, what it is about, status; in the order of being owed.
    pub(crate) async fn emails(&self, reference: &str) -> Vec<(String, Option<String>, String)> {
        sqlx::query_as(
            "SELECT m.template, m.context ->> 'about', m.status
             FROM provisor.email_outbox m JOIN provisor.orders o ON o.id = m.order_id
             WHERE o.reference = $1 ORDER BY m.id",
        )
        .bind(reference)
        .fetch_all(&self.world.pool)
        .await
        .expect("the outbox can be read")
    }

    /// How many emails the operator is owed about this, for an order.
    pub(crate) async fn told_operator(&self, reference: &str, about: &str) -> usize {
        let emails = self.emails(reference).await;
        emails
            .iter()
            .filter(|(template, of, _)| template == "ops_attention" && of.as_deref() == Some(about))
            .count()
    }

    /// How many emails by this template an order owes or owed.
    pub(crate) async fn count_emails(&self, reference: &str, template: &str) -> usize {
        self.emails(reference).await.iter().filter(|(name, ..)| name == template).count()
    }

    /// Waits until the sites were listed once: what is ordered from now on is ordered after that.
    pub(crate) async fn until_listed(&self) {
        eventually("the sites are listed", async || {
            self.world.value("SELECT count(*) > 0 FROM provisor.site_listings").await
        })
        .await;
    }

    /// Waits until the placement's looks at one place have been noted so often.
    pub(crate) async fn until_looked(&self, tag: &str, at: &str, times: i64) {
        let seen = format!(
            "SELECT coalesce(max((looks -> '{at}' ->> 'times')::bigint), 0) FROM provisor.effects WHERE tag = '{tag}'"
        );
        eventually(&format!("{tag}: {at} are looked at {times} times"), async || {
            let so_far: i64 = self.world.value(&seen).await;
            so_far >= times
        })
        .await;
    }

    /// The requests that placed an order of this reference, whatever came of them.
    pub(crate) fn posts(&self, reference: &str) -> Vec<Entry> {
        let tag = format!("{reference}/");
        self.requests("POST", "/api/v1/orders")
            .into_iter()
            .filter(|entry| {
                let body: Value = serde_json::from_str(entry.body.as_str()).unwrap_or_default();
                body["meta"]["external_reference"]
                    .as_str()
                    .is_some_and(|sent| sent.starts_with(&tag))
            })
            .collect()
    }

    /// The requests of a method to paths that begin so.
    pub(crate) fn requests(&self, method: &str, path: &str) -> Vec<Entry> {
        let all = self.sandbox.state().journal(0);
        all.into_iter()
            .filter(|entry| entry.method == method && entry.path.starts_with(path))
            .collect()
    }

    /// How many orders upstream bear this tag.
    pub(crate) fn bought(&self, tag: &str) -> u32 {
        self.sandbox.state().summary().tags.get(tag).copied().unwrap_or(0)
    }

    /// The ids of the orders upstream that bear this tag.
    pub(crate) fn upstream_orders(&self, tag: &str) -> Vec<UpstreamOrderId> {
        let orders = self.sandbox.state().orders();
        orders
            .into_iter()
            .filter(|order| order.tag.as_deref() == Some(tag))
            .map(|order| order.id)
            .collect()
    }

    /// Sets a fault of the sandbox.
    pub(crate) fn fault(&self, spec: &Value) {
        self.sandbox
            .state()
            .add_fault(spec)
            .unwrap_or_else(|error| panic!("{spec} is a fault: {error}"));
    }

    /// Removes all faults.
    pub(crate) fn no_more_faults(&self) {
        let _left = self.sandbox.state().clear_faults();
    }

    /// Puts the upstream's order of this tag where a test wants it.
    pub(crate) fn drive(&self, tag: &str, stage: Stage) {
        self.drive_to(tag, Drive { stage, site: DrivenSite::Usual });
    }

    /// The same, with a site of the test's choice: none, or this one.
    pub(crate) fn drive_with_site(&self, tag: &str, site: Option<i64>) {
        let site = site.map_or(DrivenSite::None, |id| DrivenSite::This(SiteId(id)));
        self.drive_to(tag, Drive { stage: Stage::Completed, site });
    }

    fn drive_to(&self, tag: &str, to: Drive) {
        let orders = self.upstream_orders(tag);
        let id = *orders.first().unwrap_or_else(|| panic!("an order upstream bears {tag}"));
        self.sandbox.state().drive(id, to).expect("the sandbox knows its orders");
    }

    /// How often a line's wake has been claimed, and whether anybody is at it now.
    pub(crate) async fn runs(&self, line_id: i64) -> (i64, bool) {
        self.runs_of(WakeId::new(jobs::LINE, line_id)).await
    }

    async fn runs_of(&self, wake: WakeId) -> (i64, bool) {
        sqlx::query_as(
            "SELECT run_token, lease_until > clock_timestamp() FROM provisor.wakes WHERE id = $1",
        )
        .bind(wake.0)
        .fetch_one(&self.world.pool)
        .await
        .expect("it has a wake")
    }

    /// Makes a line due at once and waits until it has been looked at, so many times.
    pub(crate) async fn look_again(&self, line_id: i64, times: u32) {
        for _ in 0..times {
            self.run_again(WakeId::new(jobs::LINE, line_id)).await;
        }
    }

    /// The same for the alarm of an order, once.
    pub(crate) async fn review_again(&self, order_id: i64) {
        self.run_again(WakeId::new(jobs::ORDER, order_id)).await;
    }

    async fn run_again(&self, wake: WakeId) {
        let (before, _) = self.runs_of(wake).await;
        self.world.run(&format!("SELECT provisor.poke({})", wake.0)).await;
        eventually("it is looked at again", async || {
            let (runs, running) = self.runs_of(wake).await;
            runs > before && !running
        })
        .await;
    }

    /// Makes a line due at once.
    pub(crate) async fn poke(&self, line_id: i64) {
        self.world.run(&format!("SELECT provisor.poke({line_id} * 16 + 1)")).await;
    }

    /// Cancels an order as a shop does.
    pub(crate) async fn cancel(&self, reference: &str) -> String {
        sqlx::query_scalar("SELECT provisor.cancel_order($1)")
            .bind(reference)
            .fetch_one(&self.world.pool)
            .await
            .expect("the order is known")
    }
}

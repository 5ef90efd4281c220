//! What the database has in the end.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use provisor::order::name::DomainName;
use uuid::Uuid;

use crate::ordeal::house::House;

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) reference: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) episode: i32,
    /// `C-<n>`
    pub(crate) customer: String,
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) reference: String,
    /// Its place in the order's lines.
    pub(crate) at: i32,
    pub(crate) kind: String,
    pub(crate) route: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) upstream_order_id: Option<i64>,
    pub(crate) site_id: Option<i64>,
    pub(crate) in_doubt_at: Option<DateTime<Utc>>,
    /// The key that its doubt's email has.
    pub(crate) doubt_key: Option<String>,
    pub(crate) customer: String,
}

impl Line {
    /// By which it is recognised upstream.
    pub(crate) fn tag(&self) -> String {
        format!("{}/{}", self.reference, self.at)
    }

    /// Its name, in the one spelling.
    pub(crate) fn name(&self) -> Option<String> {
        let name = DomainName::parse(self.domain.as_deref()?).ok()?;
        Some(name.as_str().to_owned())
    }

    /// Whether it buys an LJPc order.
    pub(crate) fn is_order(&self) -> bool {
        matches!(self.kind.as_str(), "hosting" | "hosting_own")
            || self.route.as_deref() == Some("order")
    }

    /// Whether it brings a name.
    pub(crate) fn brings_name(&self) -> bool {
        matches!(self.kind.as_str(), "domain_register" | "domain_transfer")
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "cancelled")
    }
}

/// A request that may have been sent, as the ledger has it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Attempt {
    pub(crate) line_id: i64,
    pub(crate) step: String,
    pub(crate) tag: String,
    pub(crate) state: String,
    pub(crate) owner: Uuid,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Owed {
    pub(crate) order_id: Option<i64>,
    pub(crate) template: String,
    pub(crate) dedupe_key: String,
    pub(crate) message_id: String,
    pub(crate) status: String,
    pub(crate) last_error: Option<String>,
    pub(crate) to_customer: bool,
}

pub(crate) struct Rows {
    pub(crate) orders: Vec<Order>,
    pub(crate) lines: Vec<Line>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) outbox: Vec<Owed>,
    /// Lines that were in doubt at some time.
    pub(crate) ever_in_doubt: BTreeSet<(String, i32)>,
}

impl Rows {
    pub(crate) async fn read(house: &House) -> Self {
        let orders = house
            .rows(
                "SELECT o.id, o.reference, o.status, o.reason, o.episode, c.reference AS customer
                 FROM provisor.orders o JOIN provisor.customers c ON c.id = o.customer_id ORDER BY o.id",
            )
            .await;
        let lines = house
            .rows(
                "SELECT l.id, o.reference, l.line AS at, l.kind, l.wish ->> 'route' AS route, l.domain, l.status,
                        l.reason, l.upstream_order_id, l.site_id, l.in_doubt_at, c.reference AS customer,
                        'ops_in_doubt:' || l.id || ':' || (extract(epoch FROM l.in_doubt_at) * 1000000)::bigint
                            AS doubt_key
                 FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
                 JOIN provisor.customers c ON c.id = o.customer_id ORDER BY l.id",
            )
            .await;
        let attempts = house
            .rows(
                "SELECT e.line_id, e.step, e.tag, e.state, a.owner, a.started_at, a.ended_at
                 FROM provisor.attempts a JOIN provisor.effects e ON e.id = a.effect_id ORDER BY a.started_at",
            )
            .await;
        let outbox = house
            .rows(
                "SELECT order_id, template, dedupe_key, message_id, status, last_error,
                        customer_id IS NOT NULL AS to_customer
                 FROM provisor.email_outbox ORDER BY id",
            )
            .await;
        let ever_in_doubt = house
            .rows::<(String, i32)>(
                "SELECT DISTINCT o.reference, e.line FROM provisor.events e
                 JOIN provisor.orders o ON o.id = e.order_id
                 WHERE e.event = 'in_doubt' AND e.line IS NOT NULL",
            )
            .await;
        let ever_in_doubt = ever_in_doubt.into_iter().collect();
        Self { orders, lines, attempts, outbox, ever_in_doubt }
    }

    pub(crate) fn by_order(&self) -> BTreeMap<&str, Vec<&Line>> {
        let mut by_order: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            by_order.entry(&line.reference).or_default().push(line);
        }
        by_order
    }

    /// How many doubts were settled, by evidence or by an answer that came late.
    pub(crate) fn settled_doubts(&self) -> usize {
        let open = self.lines.iter().filter(|line| line.status == "in_doubt").count();
        self.ever_in_doubt.len().saturating_sub(open)
    }
}

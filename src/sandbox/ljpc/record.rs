//! What the book holds: orders and sites, and how a test sees them.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use super::cart::OrderLine;
use crate::order::{SiteId, UpstreamOrderId};

/// What a fault has in store for an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Fate {
    /// Delivered, or failed as the failure rate has it.
    Usual,
    /// Failed, whatever the rate.
    Fails,
    /// Completed, but its `site_id` stays null.
    WithoutSiteId,
    /// Completed, and its `site_id` follows after this time.
    LateSiteId(Duration),
}

/// An order's `simple_status`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Accepted, nothing done yet.
    Pending,
    /// Being delivered.
    Processing,
    /// Delivered.
    Completed,
    /// Not delivered, and will not be.
    Failed,
}

/// Where an order is put by hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drive {
    /// The stage in which it then stays.
    pub stage: Stage,
    /// Which site it shows, if the stage is [`Stage::Completed`].
    pub site: DrivenSite,
}

/// Which site a completed order shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DrivenSite {
    /// A site for each hosting line, as if it had been delivered.
    #[default]
    Usual,
    /// None: `site_id` is null.
    None,
    /// This one, at the first hosting line.
    This(SiteId),
}

/// One order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: UpstreamOrderId,
    pub(super) summary: Option<String>,
    pub(super) lines: Vec<OrderLine>,
    pub(super) site_ids: Vec<Option<SiteId>>,
    pub(super) total: Decimal,
    pub(super) created_at: DateTime<Utc>,
    pub(super) tag: Option<String>,
    pub(super) placed: Instant,
    pub(super) fate: Fate,
    /// Set once it has ended, or by hand; until then the time decides.
    pub(super) settled: Option<Stage>,
}

impl Order {
    pub(super) fn stage(&self, now: Instant, delay: Duration) -> Stage {
        if let Some(stage) = self.settled {
            return stage;
        }
        if now.saturating_duration_since(self.placed) < delay / 2 {
            Stage::Pending
        } else {
            Stage::Processing
        }
    }

    pub(super) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub(super) fn seen(&self, now: Instant, delay: Duration) -> OrderSeen {
        let stage = self.stage(now, delay);
        let deliveries = self.lines.iter().zip(&self.site_ids).enumerate();
        OrderSeen {
            id: self.id,
            tag: self.tag.clone(),
            summary: self.summary.clone(),
            lines: self.lines.iter().map(|line| line.description.clone()).collect(),
            state: stage,
            created_at: self.created_at,
            deliveries: if stage == Stage::Completed {
                deliveries
                    .map(|(line, (ordered, site_id))| Delivery {
                        line,
                        kind: ordered.kind.name(),
                        domain: ordered.domain.clone(),
                        site_id: *site_id,
                    })
                    .collect()
            } else {
                Vec::new()
            },
        }
    }
}

/// An order as the sandbox tells a test about it.
#[derive(Clone, Debug, Serialize)]
pub struct OrderSeen {
    /// Its id in the API.
    pub id: UpstreamOrderId,
    /// Its `meta.external_reference`, which the API itself never echoes.
    pub tag: Option<String>,
    /// Its `summary`.
    pub summary: Option<String>,
    /// The description of each line.
    pub lines: Vec<String>,
    /// Where it is now.
    pub state: Stage,
    /// When it was placed.
    #[serde(serialize_with = "laravel_time")]
    pub created_at: DateTime<Utc>,
    /// What was delivered, once it is completed.
    pub deliveries: Vec<Delivery>,
}

/// What came of one line of a completed order.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// The line's index, from 0.
    pub line: usize,
    /// The cart item's type.
    pub kind: &'static str,
    /// Its domain.
    pub domain: String,
    /// Its site, if it has one.
    pub site_id: Option<SiteId>,
}

/// A time as LJPc's framework writes it: `2026-07-02T14:37:57.000000Z`.
pub(super) fn laravel_time<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

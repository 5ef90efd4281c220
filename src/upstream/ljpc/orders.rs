//! GET /api/v1/orders/{id}: what has become of an order.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    Ljpc, endpoints,
    envelope::payload,
    wire::{lenient, lenient_or_default, time},
};
use crate::{
    order::{Money, SiteId, UpstreamOrderId},
    upstream::{Answer, UpstreamError, answer::BODY_BYTES_MAX},
};

/// An order as it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderDetail {
    /// Its id.
    pub id: UpstreamOrderId,
    /// `status`, raw; it decides nothing.
    pub status: String,
    /// `simple_status`, which decides together with the lines.
    pub simple_status: SimpleStatus,
    /// The echo of our summary, which bears the tag.
    pub summary: Option<String>,
    /// What the account is charged.
    pub total_price: Option<Money>,
    /// What was ordered.
    pub order_lines: Vec<OrderLine>,
    /// What has been delivered.
    pub lines: Vec<ProvisionedLine>,
    /// When it was placed.
    pub created_at: Option<DateTime<Utc>>,
    /// The answer's id.
    pub jti: Option<String>,
}

/// How far an order is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(from = "String")]
pub enum SimpleStatus {
    /// Not begun.
    Pending,
    /// Being delivered.
    Processing,
    /// Delivered.
    Completed,
    /// Not delivered; their staff may still repair it.
    Failed,
    /// One that the document does not name: to be polled on.
    Unknown(String),
}

impl From<String> for SimpleStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "pending" => Self::Pending,
            "processing" => Self::Processing,
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            _ => Self::Unknown(text),
        }
    }
}

/// A line of an order, as it was ordered.
#[derive(Clone, Deserialize, Eq, PartialEq)]
pub struct OrderLine {
    /// The echo of our description, which bears the tag.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// What the account is charged for it.
    #[serde(default, deserialize_with = "lenient")]
    pub price: Option<Money>,
    /// The cart item as upstream keeps it. It may hold an auth code.
    #[serde(default)]
    pub cart_item: serde_json::Value,
}

impl fmt::Debug for OrderLine {
    /// Without the cart item.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderLine")
            .field("description", &self.description)
            .field("price", &self.price)
            .finish_non_exhaustive()
    }
}

/// A line of an order, as it is delivered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct ProvisionedLine {
    /// Its index in the order, from 0.
    pub index: u32,
    /// `type`: `hosting`, `domain`.
    #[serde(rename = "type", default, deserialize_with = "lenient_or_default")]
    pub kind: String,
    /// `pending`, `done` or `failed`.
    pub state: String,
    /// The site, once a hosting line is done.
    #[serde(default)]
    pub site_id: Option<SiteId>,
    /// The domain, once a domain line is done.
    #[serde(default, deserialize_with = "lenient")]
    pub domain: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    order: Stored,
    simple_status: SimpleStatus,
    #[serde(default)]
    provisioning: Option<Provisioning>,
}

#[derive(Deserialize)]
struct Stored {
    id: UpstreamOrderId,
    #[serde(default, deserialize_with = "lenient_or_default")]
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    summary: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    total_price: Option<Money>,
    #[serde(default, deserialize_with = "lenient_or_default")]
    order_lines: Vec<OrderLine>,
    #[serde(default, deserialize_with = "time")]
    created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Provisioning {
    #[serde(default)]
    lines: Option<Vec<ProvisionedLine>>,
}

impl Ljpc {
    /// One order. An unknown one is `Rejected` with 404, somebody else's with 403. A 404 just after the order was placed
    /// may be a delay.
    pub async fn order(&self, id: UpstreamOrderId) -> Result<OrderDetail, UpstreamError> {
        let endpoint = &endpoints::GET_ORDER;
        let read = |answer: &Answer| read(id, answer);
        self.get(endpoint, &endpoint.path_of_id(id.0), BODY_BYTES_MAX, read).await
    }
}

/// Strict in what decides (the id, the status, the lines' states and sites), lenient in the rest.
pub(super) fn read(id: UpstreamOrderId, answer: &Answer) -> Result<OrderDetail, UpstreamError> {
    let payload = payload(&endpoints::GET_ORDER, answer)?;
    let Detail { order, simple_status, provisioning } = payload.parse()?;
    if order.id != id {
        return Err(payload.broken("the answer is about another order"));
    }
    Ok(OrderDetail {
        id,
        status: order.status,
        simple_status,
        summary: order.summary,
        total_price: order.total_price,
        order_lines: order.order_lines,
        lines: provisioning.and_then(|p| p.lines).unwrap_or_default(),
        created_at: order.created_at,
        jti: payload.jti,
    })
}

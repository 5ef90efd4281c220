//! POST /api/v1/orders: the one call that buys hosting. It takes no key that would make a second one harmless, so each
//! order bears a tag by which it is recognised, in the two places that the API echoes.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{
    Ljpc, endpoints,
    envelope::payload,
    wire::{lenient, object},
};
use crate::{
    clock::Deadline,
    order::{Money, Tag, UpstreamOrderId},
    upstream::{Answer, Connected, PreparedRequest, Secret, UpstreamError, text::clean},
};

/// The most characters of a summary; the document names no limit, and this is a usual one.
const SUMMARY_CHARS_MAX: usize = 255;

/// What stands between the tag and the text. No tag holds a space, so it ends the tag wherever it first occurs.
const TAG_END: &str = ": ";

/// One order of one line.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// By which it is recognised.
    pub tag: Tag,
    /// What it is, for people: `Hosting 5 GB for example.nl`.
    pub description: String,
    /// What is bought.
    pub item: CartItem,
}

/// What an order line buys.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CartItem {
    /// A hosting package.
    Hosting {
        /// From the catalogue.
        product_uuid: String,
        /// The site's domain, as A-label.
        domain: String,
        /// For products that leave the choice.
        #[serde(skip_serializing_if = "Option::is_none")]
        billing_period: Option<BillingPeriod>,
        /// For `hosting_forward`.
        #[serde(skip_serializing_if = "Option::is_none")]
        target_url: Option<String>,
    },
    /// A site on space that the account has already; costs nothing.
    HostingOwn {
        /// The space, which the API can't look up.
        space_id: i64,
        /// The site's domain, as A-label.
        domain: String,
    },
    /// A domain, the way that takes neither a handle, nor years, nor name servers.
    Domain {
        /// Registered or transferred.
        action: DomainAction,
        /// The name before the TLD.
        sld: String,
        /// The TLD, which may have several labels.
        tld: String,
        /// For a transfer.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
        auth_code: Option<Secret>,
    },
}

/// How long is paid at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingPeriod {
    /// A month.
    Monthly,
    /// A year.
    Yearly,
}

/// What is done with a domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainAction {
    /// A free name becomes ours.
    Register,
    /// A name comes from another registrar.
    Transfer,
}

/// The one place where an auth code is written out: into the body of the request that needs it.
#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

impl CartItem {
    /// Whether `echo`, a cart item as upstream shows it, is this one: every field that was sent is there and equal, names
    /// in whatever case. Upstream rebuilds the item and may add to it, and it may hide the auth code.
    #[must_use]
    pub fn is_echoed_by(&self, echo: &Value) -> bool {
        let Ok(Value::Object(sent)) = serde_json::to_value(self) else { return false };
        sent.iter().filter(|(field, _)| *field != "auth_code").all(|(field, value)| {
            match (value, echo.get(field)) {
                (Value::String(ours), Some(Value::String(theirs))) if field != "target_url" => {
                    ours.eq_ignore_ascii_case(theirs)
                }
                (ours, theirs) => Some(ours) == theirs,
            }
        })
    }

    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Domain { auth_code, .. } => auth_code.as_ref(),
            Self::Hosting { .. } | Self::HostingOwn { .. } => None,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    summary: &'a str,
    meta: Meta<'a>,
    order_lines: [Line<'a>; 1],
}

#[derive(Serialize)]
struct Meta<'a> {
    external_reference: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    description: &'a str,
    cart_item: &'a CartItem,
}

impl PlaceOrder {
    /// The request, fixed byte by byte. The tag stands first in summary and description, where nothing can cut it off.
    #[must_use]
    pub fn prepare(&self) -> PreparedRequest {
        let tag = self.tag.as_str();
        let summary = clean(&format!("{tag}{TAG_END}{}", self.description), SUMMARY_CHARS_MAX);
        let body = Body {
            summary: &summary,
            meta: Meta { external_reference: tag },
            order_lines: [Line { description: &summary, cart_item: &self.item }],
        };
        let endpoint = &endpoints::PLACE_ORDER;
        let secrets = self.item.secret().cloned().into_iter().collect();
        PreparedRequest::json(endpoint, endpoint.template().to_owned(), &body, secrets)
    }
}

/// The tag that a summary or a description of ours bears; `None` if it is none of ours, or was changed.
#[must_use]
pub fn tag_of(echo: &str) -> Option<&str> {
    echo.split_once(TAG_END).map(|(tag, _)| tag).filter(|tag| tag.contains('/'))
}

/// An order that was placed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlacedOrder {
    /// `data.order.id`.
    pub id: UpstreamOrderId,
    /// The HTTP status, 201 as documented.
    pub status: u16,
    /// The answer's id.
    pub jti: Option<String>,
    /// The order line's price.
    pub price: Option<Money>,
    /// The whole order's price.
    pub total_price: Option<Money>,
}

#[derive(Deserialize)]
struct Placed {
    #[serde(deserialize_with = "object")]
    order: Created,
}

#[derive(Deserialize)]
struct Created {
    id: i64,
    #[serde(default, deserialize_with = "lenient")]
    summary: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    order_lines: Option<Vec<EchoedLine>>,
    #[serde(default, deserialize_with = "lenient")]
    total_price: Option<Money>,
}

#[derive(Deserialize)]
struct EchoedLine {
    #[serde(default, deserialize_with = "lenient")]
    price: Option<Money>,
}

impl Ljpc {
    /// Places an order over a connection that [`Ljpc::connect`] opened to [`endpoints::PLACE_ORDER`]. To be called once the
    /// intent is committed, and once for each intent.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx that bears another tag than `tag`.
    pub async fn place_order(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        tag: &Tag,
        deadline: Deadline,
    ) -> Result<PlacedOrder, UpstreamError> {
        self.send(connected, prepared, deadline, |answer| read(tag, answer)).await
    }
}

/// Accepted is a 2xx with a positive order id: that is what the document promises. A summary that is missing or was
/// rewritten does not change what happened, but one with another order's tag does: it is somebody else's answer. The prices
/// are taken along if they can be read.
pub(super) fn read(tag: &Tag, answer: &Answer) -> Result<PlacedOrder, UpstreamError> {
    let payload = payload(&endpoints::PLACE_ORDER, answer)?;
    let Placed { order } = payload.parse()?;
    if order.id <= 0 {
        return Err(payload.broken("the order's id is not positive"));
    }
    let echoed = order.summary.as_deref().and_then(tag_of);
    if echoed.is_some_and(|echoed| echoed != tag.as_str()) {
        let detail = format!("order {} came back with another order's tag", order.id);
        return Err(payload.broken(&detail));
    }
    Ok(PlacedOrder {
        id: UpstreamOrderId(order.id),
        status: payload.status,
        price: order.order_lines.and_then(|lines| lines.into_iter().next()).and_then(|l| l.price),
        total_price: order.total_price,
        jti: payload.jti,
    })
}

//! What POST /api/v1/orders accepts: each cart item is checked and rebuilt from a whitelist, priced by the server.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    Facts,
    catalogue::{Billing, Category, PriceList, Product, find_tld, product},
    domains::domain::is_right_auth_code,
};
use crate::order::name::DomainName;

const LINES_MAX: usize = 100;
const DOMAIN_LENGTH_MAX: usize = 253;

/// The type of a cart item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CartKind {
    Hosting,
    HostingOwn,
    Domain,
}

impl CartKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hosting => "hosting",
            Self::HostingOwn => "hosting_own",
            Self::Domain => "domain",
        }
    }
}

/// What a delivered line brings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hosting {
    pub(super) disk_space_gb: u32,
    pub(super) has_panel: bool,
}

/// A name that an order brings.
#[derive(Debug)]
pub(super) struct OrderedName {
    pub(super) name: DomainName,
    pub(super) action: NameAction,
}

/// What is done for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NameAction {
    Register,
    /// A transfer, which succeeds if the auth code is right.
    Transfer {
        succeeds: bool,
    },
}

/// One accepted line.
#[derive(Debug)]
pub(super) struct OrderLine {
    pub(super) description: String,
    pub(super) kind: CartKind,
    pub(super) domain: String,
    /// `None` for a domain.
    pub(super) hosting: Option<Hosting>,
    /// The name that a domain's delivery brings.
    pub(super) name: Option<OrderedName>,
    pub(super) price: Decimal,
    /// In months.
    pub(super) period: u8,
    /// As it is echoed: the whitelisted keys, as they were sent.
    pub(super) cart_item: Map<String, Value>,
}

/// An accepted order.
#[derive(Debug)]
pub(super) struct NewOrder {
    pub(super) summary: Option<String>,
    pub(super) external_reference: Option<String>,
    pub(super) lines: Vec<OrderLine>,
}

/// Why an order is refused: the message of the 422.
type Refused = String;

/// Reads and checks the body of POST /api/v1/orders. One bad line refuses the whole order.
pub(super) fn read(body: &[u8]) -> Result<NewOrder, Refused> {
    // The framework takes a body that is no JSON for an empty one, and misses the first required field.
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let summary = optional_text(body.get("summary"), "summary")?;
    let meta = match body.get("meta") {
        None | Some(Value::Null) => None,
        Some(Value::Object(meta)) => Some(meta),
        Some(_) => return Err("The meta field must be an array.".into()),
    };
    let external_reference = optional_text(
        meta.and_then(|meta| meta.get("external_reference")),
        "meta.external_reference",
    )?;
    let lines = match body.get("order_lines") {
        None | Some(Value::Null) => return Err("The order lines field is required.".into()),
        Some(Value::Array(lines)) if lines.is_empty() => {
            return Err("The order lines field is required.".into());
        }
        Some(Value::Array(lines)) => lines,
        Some(_) => return Err("The order lines field must be an array.".into()),
    };
    if lines.len() > LINES_MAX {
        return Err(format!("The order lines field must not have more than {LINES_MAX} items."));
    }
    let lines =
        lines.iter().enumerate().map(|(at, line)| read_line(at, line)).collect::<Result<_, _>>()?;
    Ok(NewOrder { summary, external_reference, lines })
}

fn optional_text(value: Option<&Value>, name: &str) -> Result<Option<String>, Refused> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("The {name} field must be a string.")),
    }
}

fn read_line(at: usize, line: &Value) -> Result<OrderLine, Refused> {
    let description =
        optional_text(line.get("description"), &format!("order_lines.{at}.description"))?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("The order_lines.{at}.description field is required."))?;
    let item = match line.get("cart_item") {
        None | Some(Value::Null) => {
            return Err(format!("The order_lines.{at}.cart_item field is required."));
        }
        Some(Value::Object(item)) => item,
        Some(_) => return Err(format!("The order_lines.{at}.cart_item field must be an array.")),
    };
    let accepted = match item.get("type") {
        Some(Value::String(kind)) => match kind.as_str() {
            "hosting" => hosting(item, description),
            "hosting_own" => hosting_own(item, description),
            "domain" => domain(item, description),
            _ => Err(format!("unsupported cart item type '{kind}'")),
        },
        _ => Err("type is required".into()),
    };
    accepted.map_err(|what| format!("Order line {}: {what}", at.saturating_add(1)))
}

fn hosting(item: &Map<String, Value>, description: String) -> Result<OrderLine, Refused> {
    let uuid = required(item, "product_uuid")?;
    let product: &Product = product(uuid).ok_or("product not found")?;
    if product.category != Category::Hosting {
        return Err("product is not a hosting product".into());
    }
    let domain = domain_name(required(item, "domain")?)?;
    let (cents, period) =
        match (product.billing, item.get("billing_period").and_then(Value::as_str)) {
            (Billing::ClientChoice, Some("monthly")) => (product.monthly_cents, 1),
            (Billing::ClientChoice, Some("yearly"))
            | (Billing::YearlyOnly, None | Some("yearly")) => (product.yearly_cents, 12),
            (Billing::ClientChoice, None) => {
                return Err("billing_period is required for this product".into());
            }
            (Billing::ClientChoice, Some(_)) => {
                return Err("billing_period must be monthly or yearly".into());
            }
            (Billing::YearlyOnly, Some(_)) => {
                return Err("this product can only be billed yearly".into());
            }
        };
    let forwards = product.identifier == "hosting_forward";
    if forwards && !required(item, "target_url").is_ok_and(is_http_url) {
        return Err("target_url is required for hosting_forward".into());
    }
    Ok(OrderLine {
        description,
        kind: CartKind::Hosting,
        domain,
        hosting: Some(Hosting {
            disk_space_gb: product.disk_space_gb,
            has_panel: product.disk_space_gb > 0,
        }),
        name: None,
        price: PriceList::Account.price(cents),
        period,
        cart_item: only(item, &["type", "product_uuid", "domain", "billing_period", "target_url"]),
    })
}

fn hosting_own(item: &Map<String, Value>, description: String) -> Result<OrderLine, Refused> {
    if item.get("space_id").and_then(Value::as_i64).is_none_or(|id| id < 1) {
        return Err("space_id must be an integer".into());
    }
    Ok(OrderLine {
        description,
        kind: CartKind::HostingOwn,
        domain: domain_name(required(item, "domain")?)?,
        hosting: Some(Hosting { disk_space_gb: 10, has_panel: true }),
        name: None,
        price: Decimal::ZERO,
        period: 1,
        cart_item: only(item, &["type", "space_id", "domain"]),
    })
}

fn domain(item: &Map<String, Value>, description: String) -> Result<OrderLine, Refused> {
    let action = required(item, "action")?;
    if !matches!(action, "register" | "transfer") {
        return Err("action must be register or transfer".into());
    }
    let (sld, name) = (required(item, "sld")?, required(item, "tld")?);
    let tld = find_tld(name).ok_or_else(|| format!("TLD '{name}' is not supported"))?;
    let cents = tld.cents.ok_or_else(|| format!("TLD '{name}' has no price"))?;
    let mut name_action = NameAction::Register;
    if action == "transfer" {
        if !tld.transfer_supported {
            return Err(format!("TLD '{name}' does not support transfers"));
        }
        let auth_code =
            required(item, "auth_code").map_err(|_| "auth_code is required for a transfer")?;
        name_action = NameAction::Transfer { succeeds: is_right_auth_code(auth_code) };
    }
    if sld.contains('.') {
        return Err("sld must not contain a dot".into());
    }
    let domain = domain_name(&format!("{sld}.{name}"))?;
    let ordered =
        DomainName::parse(&domain).map_err(|_| "domain is not a valid domain name".to_owned())?;
    Ok(OrderLine {
        description,
        kind: CartKind::Domain,
        domain,
        hosting: None,
        name: Some(OrderedName { name: ordered, action: name_action }),
        price: PriceList::Account.price(cents),
        period: 12,
        cart_item: only(item, &["type", "action", "sld", "tld", "auth_code"]),
    })
}

fn required<'a>(item: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refused> {
    match item.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null | Value::String(_)) => Err(format!("{key} is required")),
        Some(_) => Err(format!("{key} must be a string")),
    }
}

fn domain_name(text: &str) -> Result<String, Refused> {
    let labels_fit = text.split('.').all(|label| (1..=63).contains(&label.len()));
    let sound = text.contains('.')
        && text.len() <= DOMAIN_LENGTH_MAX
        && labels_fit
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "/:@?#_".contains(c));
    if sound { Ok(text.to_owned()) } else { Err("domain is not a valid domain name".into()) }
}

fn is_http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn only(item: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    item.iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The domains and the reference that an order's body names, whether it is sound or not.
pub(super) fn facts(body: &[u8]) -> Facts {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let lines = body.get("order_lines").and_then(Value::as_array);
    let items = lines.into_iter().flatten().filter_map(|line| line.get("cart_item"));
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    Facts {
        domains: items
            .filter_map(|item| {
                text(item, "domain")
                    .or_else(|| Some(format!("{}.{}", text(item, "sld")?, text(item, "tld")?)))
            })
            .collect(),
        reference: body.get("meta").and_then(|meta| text(meta, "external_reference")),
        recipients: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIVE_GB: &str = "afe29fe6-1d1b-4b8c-9a55-0c4a2f7d1e01";
    const FORWARD: &str = "31f7c2a8-6e0d-4b59-a7c3-8d1f5e2b4c06";
    const MEDIA: &str = "f7b0f46f-52c3-4a0e-8f7d-6b1c9e3d2a14";

    fn with_item(item: &Value) -> Result<NewOrder, Refused> {
        let body = json!({ "order_lines": [{ "description": "d", "cart_item": item }] });
        read(body.to_string().as_bytes())
    }

    #[test]
    fn each_kind_is_accepted_priced_and_rebuilt_from_a_whitelist() {
        for (item, cents, period, domain) in [
            (
                json!({"type": "hosting", "product_uuid": FIVE_GB, "domain": "example.nl",
                    "billing_period": "monthly"}),
                449,
                1,
                "example.nl",
            ),
            (
                json!({"type": "hosting", "product_uuid": FIVE_GB, "domain": "example.nl",
                    "billing_period": "yearly"}),
                4_491,
                12,
                "example.nl",
            ),
            (
                json!({"type": "hosting", "product_uuid": FORWARD, "domain": "example.nl",
                    "target_url": "https://example.com/"}),
                899,
                12,
                "example.nl",
            ),
            (
                json!({"type": "hosting_own", "space_id": 7, "domain": "example.nl"}),
                0,
                1,
                "example.nl",
            ),
            (
                json!({"type": "domain", "action": "register", "sld": "example", "tld": "co.uk"}),
                674,
                12,
                "example.co.uk",
            ),
            (
                json!({"type": "domain", "action": "transfer", "sld": "example", "tld": "nl",
                    "auth_code": "a\"b"}),
                349,
                12,
                "example.nl",
            ),
        ] {
            let mut sent = item.clone();
            sent["price"] = json!("0.01");
            let line = with_item(&sent).unwrap().lines.remove(0);
            assert_eq!(line.price, Decimal::new(cents, 2), "{item}");
            assert_eq!((line.period, line.domain.as_str()), (period, domain));
            assert_eq!(Value::Object(line.cart_item), item);
        }
    }

    #[test]
    fn what_the_document_forbids_is_refused_by_line() {
        for (item, message) in [
            (json!({"type": "hosting_upgrade"}), "unsupported cart item type 'hosting_upgrade'"),
            (json!({}), "type is required"),
            (json!({"type": 1}), "type is required"),
            (json!({"type": "hosting", "domain": "example.nl"}), "product_uuid is required"),
            (json!({"type": "hosting", "product_uuid": "x"}), "product not found"),
            (json!({"type": "hosting", "product_uuid": MEDIA}), "product is not a hosting product"),
            (json!({"type": "hosting", "product_uuid": FIVE_GB}), "domain is required"),
            (
                json!({"type": "hosting", "product_uuid": FIVE_GB, "domain": "a b.nl"}),
                "domain is not a valid domain name",
            ),
            (
                json!({"type": "hosting", "product_uuid": FIVE_GB, "domain": "example.nl"}),
                "billing_period is required for this product",
            ),
            (
                json!({"type": "hosting", "product_uuid": FIVE_GB, "domain": "example.nl",
                    "billing_period": "weekly"}),
                "billing_period must be monthly or yearly",
            ),
            (
                json!({"type": "hosting", "product_uuid": FORWARD, "domain": "example.nl",
                    "billing_period": "monthly"}),
                "this product can only be billed yearly",
            ),
            (
                json!({"type": "hosting", "product_uuid": FORWARD, "domain": "example.nl"}),
                "target_url is required for hosting_forward",
            ),
            (
                json!({"type": "hosting", "product_uuid": FORWARD, "domain": "example.nl",
                    "target_url": "ftp://example.com"}),
                "target_url is required for hosting_forward",
            ),
            (
                json!({"type": "hosting_own", "space_id": "7", "domain": "example.nl"}),
                "space_id must be an integer",
            ),
            (json!({"type": "hosting_own", "space_id": 7}), "domain is required"),
            (json!({"type": "domain"}), "action is required"),
            (json!({"type": "domain", "action": "renew"}), "action must be register or transfer"),
            (json!({"type": "domain", "action": "register"}), "sld is required"),
            (json!({"type": "domain", "action": "register", "sld": "a"}), "tld is required"),
            (
                json!({"type": "domain", "action": "register", "sld": "a", "tld": "zz"}),
                "TLD 'zz' is not supported",
            ),
            (
                json!({"type": "domain", "action": "register", "sld": "a", "tld": "onl"}),
                "TLD 'onl' has no price",
            ),
            (
                json!({"type": "domain", "action": "register", "sld": "a.b", "tld": "nl"}),
                "sld must not contain a dot",
            ),
            (
                json!({"type": "domain", "action": "transfer", "sld": "a", "tld": "gr",
                    "auth_code": "x"}),
                "TLD 'gr' does not support transfers",
            ),
            (
                json!({"type": "domain", "action": "transfer", "sld": "a", "tld": "nl"}),
                "auth_code is required for a transfer",
            ),
        ] {
            let refused = with_item(&item).unwrap_err();
            assert_eq!(refused, format!("Order line 1: {message}"), "{item}");
        }
    }

    #[test]
    fn malformed_bodies_are_refused_as_the_framework_does() {
        let many = vec![json!({}); LINES_MAX + 1];
        for (body, message) in [
            (Value::Null, "The order lines field is required."),
            (json!([]), "The order lines field is required."),
            (json!({"order_lines": []}), "The order lines field is required."),
            (json!({"order_lines": {}}), "The order lines field must be an array."),
            (
                json!({"order_lines": many}),
                "The order lines field must not have more than 100 items.",
            ),
            (json!({"summary": 1}), "The summary field must be a string."),
            (json!({"meta": "x"}), "The meta field must be an array."),
            (
                json!({"meta": {"external_reference": 1}}),
                "The meta.external_reference field must be a string.",
            ),
            (json!({"order_lines": [1]}), "The order_lines.0.description field is required."),
            (
                json!({"order_lines": [{"description": "d"}]}),
                "The order_lines.0.cart_item field is required.",
            ),
            (
                json!({"order_lines": [{"description": "d", "cart_item": "x"}]}),
                "The order_lines.0.cart_item field must be an array.",
            ),
        ] {
            assert_eq!(read(body.to_string().as_bytes()).unwrap_err(), message, "{body}");
        }
        assert_eq!(read(b"{not json").unwrap_err(), "The order lines field is required.");
    }

    #[test]
    fn the_bad_line_is_named_and_the_order_refused_whole() {
        let good = json!({"type": "hosting_own", "space_id": 7, "domain": "example.nl"});
        let body = json!({ "order_lines": [
            { "description": "d", "cart_item": good },
            { "description": "d", "cart_item": { "type": "vps" } } ] });
        assert_eq!(
            read(body.to_string().as_bytes()).unwrap_err(),
            "Order line 2: unsupported cart item type 'vps'"
        );
    }

    #[test]
    fn facts_name_every_domain_and_the_reference() {
        let body = json!({ "meta": { "external_reference": "A/0" }, "order_lines": [
            { "cart_item": { "domain": "example.nl" } },
            { "cart_item": { "sld": "example", "tld": "com" } }, {} ] });
        let facts = facts(body.to_string().as_bytes());
        assert_eq!(facts.domains, ["example.nl", "example.com"]);
        assert_eq!(facts.reference.as_deref(), Some("A/0"));
        assert_eq!(super::facts(b"nonsense"), Facts::default());
    }
}

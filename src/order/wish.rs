//! What a line asks for, parsed once from its document. The database has checked the shape; what is wrong here all the
//! same is a line that a person must look at, never a panic.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    ContactHandle, LineKind,
    domain::{ContactChange, DomainChange, Record, Registrant},
    text_enum::text_enum,
};

text_enum! {
    /// By which endpoint a name is bought.
    Route {
        /// POST /domain-names, which takes a handle, years and name servers.
        Direct = "direct",
        /// POST /api/v1/orders with a `domain` cart item, which takes none of them.
        Order = "order",
    }
}

text_enum! {
    /// How long a hosting package is paid for at a time.
    BillingPeriod {
        /// Each month.
        Monthly = "monthly",
        /// Each year.
        Yearly = "yearly",
    }
}

/// Which product a `hosting` line names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProductKey {
    /// A `category_identifier`: `hosting_5gb`.
    Package(String),
    /// A product's `uuid`, which the upstream may change.
    Uuid(Uuid),
}

impl std::fmt::Display for ProductKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Package(package) => f.write_str(package),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

/// A `hosting` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostingWish {
    /// Which product.
    pub product: ProductKey,
    /// As wished; some products want none.
    pub billing_period: Option<BillingPeriod>,
    /// Where `hosting_forward` sends its visitors.
    pub target_url: Option<String>,
}

/// A name that is to be registered or transferred, and how it shall be afterwards.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(from = "NameDocument")]
pub struct NameWish {
    /// 1 to 10; a transfer has one.
    pub years: u8,
    /// None: LJPc's own, or as they are.
    pub nameservers: Vec<String>,
    /// Whose it shall be; none: the customer's own contact.
    pub contact_handle: Option<ContactHandle>,
    /// Whether it shall renew by itself; the customer's latest wish replaces it.
    pub auto_renew: Option<bool>,
    /// Whether it shall be locked against transfers.
    pub transfer_lock: Option<bool>,
    /// The zone's records.
    pub dns: Option<Vec<Record>>,
    /// The way to it.
    pub route: Route,
}

impl NameWish {
    /// What is to be changed once the name is there: what its purchase could not say. The wish for renewal is not the
    /// line's but the name's, for it may have changed since.
    #[must_use]
    pub fn afterwards(&self, auto_renew: Option<bool>) -> DomainChange {
        let by_order = self.route == Route::Order;
        DomainChange {
            nameservers: (by_order && !self.nameservers.is_empty())
                .then(|| self.nameservers.clone()),
            auto_renew,
            transfer_lock: self.transfer_lock,
            contact_handle: self.contact_handle.clone().filter(|_| by_order),
        }
    }
}

/// What a line asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wish {
    /// A hosting package.
    Hosting(HostingWish),
    /// A domain on one's own space.
    HostingOwn {
        /// The space's id at LJPc; it can't be looked up.
        space_id: i64,
    },
    /// A name to be registered.
    Register(NameWish),
    /// A name to be transferred in.
    Transfer(NameWish),
    /// A name of ours to be changed.
    Update(DomainChange),
    /// A zone's records.
    Dns(Vec<Record>),
    /// A WHOIS contact to be made.
    CreateContact(Registrant),
    /// A WHOIS contact to be changed.
    UpdateContact {
        /// Which one.
        contact_handle: ContactHandle,
        /// What of it.
        change: ContactChange,
    },
}

/// A line whose document this version can't read.
#[derive(Debug, thiserror::Error)]
#[error("the line's document can't be read: {0}")]
pub struct UnreadableWish(#[from] serde_json::Error);

#[derive(Deserialize)]
struct HostingDocument {
    package: Option<String>,
    product_uuid: Option<Uuid>,
    billing_period: Option<String>,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct HostingOwnDocument {
    space_id: serde_json::Number,
}

#[derive(Deserialize)]
struct NameDocument {
    years: Option<u8>,
    nameservers: Option<Vec<String>>,
    contact_handle: Option<ContactHandle>,
    auto_renew: Option<bool>,
    transfer_lock: Option<bool>,
    dns: Option<Vec<Record>>,
    route: Option<String>,
}

impl From<NameDocument> for NameWish {
    fn from(document: NameDocument) -> Self {
        Self {
            years: document.years.unwrap_or(1),
            nameservers: document.nameservers.unwrap_or_default(),
            contact_handle: document.contact_handle,
            auto_renew: document.auto_renew,
            transfer_lock: document.transfer_lock,
            dns: document.dns,
            // The database lets no third route pass.
            route: document.route.and_then(|r| r.parse().ok()).unwrap_or(Route::Direct),
        }
    }
}

#[derive(Deserialize)]
struct UpdateDocument {
    nameservers: Option<Vec<String>>,
    auto_renew: Option<bool>,
    transfer_lock: Option<bool>,
    contact_handle: Option<ContactHandle>,
}

#[derive(Deserialize)]
struct ContactUpdateDocument {
    contact_handle: ContactHandle,
}

#[derive(Deserialize)]
struct DnsDocument {
    records: Vec<Record>,
}

impl Wish {
    /// Reads a line's document.
    pub fn parse(kind: LineKind, document: &Value) -> Result<Self, UnreadableWish> {
        match kind {
            LineKind::Hosting => parse_hosting(document),
            LineKind::HostingOwn => parse_own(document),
            LineKind::DomainRegister => Ok(Self::Register(NameWish::deserialize(document)?)),
            LineKind::DomainTransfer => Ok(Self::Transfer(NameWish::deserialize(document)?)),
            LineKind::DomainUpdate => {
                let update = UpdateDocument::deserialize(document)?;
                Ok(Self::Update(DomainChange {
                    nameservers: update.nameservers,
                    auto_renew: update.auto_renew,
                    transfer_lock: update.transfer_lock,
                    contact_handle: update.contact_handle,
                }))
            }
            LineKind::Dns => Ok(Self::Dns(DnsDocument::deserialize(document)?.records)),
            LineKind::ContactCreate => Ok(Self::CreateContact(Registrant::of_contact(document)?)),
            LineKind::ContactUpdate => {
                let ContactUpdateDocument { contact_handle } =
                    ContactUpdateDocument::deserialize(document)?;
                let change = ContactChange::deserialize(document)?;
                Ok(Self::UpdateContact { contact_handle, change })
            }
        }
    }
}

fn parse_hosting(document: &Value) -> Result<Wish, UnreadableWish> {
    use serde::de::Error as _;
    let hosting = HostingDocument::deserialize(document)?;
    let product = match (hosting.package, hosting.product_uuid) {
        (Some(package), None) => ProductKey::Package(package),
        (None, Some(uuid)) => ProductKey::Uuid(uuid),
        _ => return Err(serde_json::Error::custom("package or product_uuid: one of them").into()),
    };
    let billing_period = hosting
        .billing_period
        .map(|text| text.parse().map_err(serde_json::Error::custom))
        .transpose()?;
    let target_url = hosting.target_url;
    Ok(Wish::Hosting(HostingWish { product, billing_period, target_url }))
}

fn parse_own(document: &Value) -> Result<Wish, UnreadableWish> {
    use serde::de::Error as _;
    let own = HostingOwnDocument::deserialize(document)?;
    // A whole number may be written 7.0; the database has let nothing else pass.
    let text = own.space_id.to_string();
    let digits = text.split('.').next().unwrap_or_default();
    Ok(Wish::HostingOwn { space_id: digits.parse().map_err(serde_json::Error::custom)? })
}

//! What a line asks for, parsed once from its document. The database has checked the shape; what is wrong here all the
//! same is a line that a person must look at, never a panic.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{LineKind, text_enum::text_enum};

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
    /// A kind that this version accepts and holds.
    NotYet(LineKind),
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

impl Wish {
    /// Reads a line's document.
    pub fn parse(kind: LineKind, document: &Value) -> Result<Self, UnreadableWish> {
        use serde::de::Error as _;
        match kind {
            LineKind::Hosting => {
                let hosting = HostingDocument::deserialize(document)?;
                let product = match (hosting.package, hosting.product_uuid) {
                    (Some(package), None) => ProductKey::Package(package),
                    (None, Some(uuid)) => ProductKey::Uuid(uuid),
                    _ => {
                        return Err(serde_json::Error::custom(
                            "package or product_uuid: one of them",
                        )
                        .into());
                    }
                };
                let billing_period = hosting
                    .billing_period
                    .map(|text| text.parse().map_err(serde_json::Error::custom))
                    .transpose()?;
                Ok(Self::Hosting(HostingWish {
                    product,
                    billing_period,
                    target_url: hosting.target_url,
                }))
            }
            LineKind::HostingOwn => {
                let own = HostingOwnDocument::deserialize(document)?;
                // A whole number may be written 7.0; the database has let nothing else pass.
                let text = own.space_id.to_string();
                let digits = text.split('.').next().unwrap_or_default();
                let space_id = digits.parse().map_err(serde_json::Error::custom)?;
                Ok(Self::HostingOwn { space_id })
            }
            LineKind::DomainRegister
            | LineKind::DomainTransfer
            | LineKind::DomainUpdate
            | LineKind::Dns => Ok(Self::NotYet(kind)),
        }
    }
}

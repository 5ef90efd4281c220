//! What the sandbox sells. The hosting packages and TLDs of the document's samples stand here with the samples' prices.

use rust_decimal::Decimal;

use crate::order::name::DomainName;

/// How a product may be paid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Billing {
    /// Monthly or yearly, as the client wishes.
    ClientChoice,
    /// By the year alone: its monthly price is null.
    YearlyOnly,
}

/// What kind of thing a product is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Category {
    Hosting,
    Domains,
}

/// A row of GET /api/v1/products.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) uuid: &'static str,
    pub(super) name: &'static str,
    pub(super) billing: Billing,
    pub(super) monthly_cents: i64,
    pub(super) yearly_cents: i64,
    pub(super) category: Category,
    pub(super) identifier: &'static str,
    /// 0 for what brings no disk space.
    pub(super) disk_space_gb: u32,
}

/// Whose prices: everybody's, or this account's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PriceList {
    List,
    Account,
}

impl PriceList {
    /// The account pays a tenth less, rounded down to the cent: enough to show that the two are not the same.
    pub(super) fn price(self, list_cents: i64) -> Decimal {
        match self {
            Self::List => Decimal::new(list_cents, 2),
            Self::Account => Decimal::new(list_cents * 9 / 10, 2),
        }
    }
}

const fn space(
    uuid: &'static str,
    name: &'static str,
    identifier: &'static str,
    disk_space_gb: u32,
    monthly_cents: i64,
) -> Product {
    Product {
        uuid,
        name,
        billing: Billing::ClientChoice,
        monthly_cents,
        yearly_cents: monthly_cents * 10,
        category: Category::Hosting,
        identifier,
        disk_space_gb,
    }
}

const fn yearly(
    uuid: &'static str,
    name: &'static str,
    category: Category,
    identifier: &'static str,
    yearly_cents: i64,
) -> Product {
    Product {
        uuid,
        name,
        billing: Billing::YearlyOnly,
        monthly_cents: 0,
        yearly_cents,
        category,
        identifier,
        disk_space_gb: 0,
    }
}

/// All products, in the order in which they are listed.
pub(super) static PRODUCTS: [Product; 12] = [
    space("5b0f6a52-7c1e-4f0e-8a43-91d2b7c6e301", "1GB hosting", "hosting_1gb", 1, 199),
    space("afe29fe6-1d1b-4b8c-9a55-0c4a2f7d1e01", "5GB hosting", "hosting_5gb", 5, 499),
    space("0c9d7a3e-44f2-4b7b-bb1a-3e5f8d2c6a02", "10GB hosting", "hosting_10gb", 10, 799),
    space("e2a81b7d-90c5-4d36-a2f4-7b6c1d9e5f03", "25GB hosting", "hosting_25gb", 25, 1_499),
    space("7d34c9f0-2b6e-4a18-9c75-5a0e8f1b3d04", "50GB hosting", "hosting_50gb", 50, 2_499),
    space("b86e05d2-f3a7-4c9b-8e61-d4c2a7f09b05", "100GB hosting", "hosting_100gb", 100, 3_999),
    yearly(
        "31f7c2a8-6e0d-4b59-a7c3-8d1f5e2b4c06",
        "Domain forwarding",
        Category::Hosting,
        "hosting_forward",
        999,
    ),
    yearly(
        "94d1e6b3-0a5c-4e72-b8f9-2c7a6d3e1f07",
        "DNS hosting",
        Category::Hosting,
        "hosting_dns",
        499,
    ),
    yearly("d05a9c4f-8b12-4f63-9e07-b3a1c8d6e208", "Domein .nl", Category::Domains, "nl", 388),
    yearly("68c3f1e9-7d24-4a0b-8c5e-f9b2d0a7e309", "Domein .com", Category::Domains, "com", 1_099),
    yearly("2e7b4d80-c5f9-4e16-ad38-16c9f3a5b40a", "Domein .eu", Category::Domains, "eu", 599),
    yearly(
        "f7b0f46f-52c3-4a0e-8f7d-6b1c9e3d2a14",
        "Domein .media",
        Category::Domains,
        "media",
        4_499,
    ),
];

/// The product with this uuid.
pub(super) fn product(uuid: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.uuid == uuid)
}

/// A row of GET /api/hosting/v1/tlds.
#[derive(Debug)]
pub(super) struct Tld {
    pub(super) name: &'static str,
    /// The list price per year; `None`: the catalogue has none.
    pub(super) cents: Option<i64>,
    pub(super) transfer_supported: bool,
}

const fn tld(name: &'static str, cents: Option<i64>, transfer_supported: bool) -> Tld {
    Tld { name, cents, transfer_supported }
}

/// All TLDs: among them some of several labels, one without a price and one that can't be transferred.
pub(super) static TLDS: [Tld; 16] = [
    tld("nl", Some(388), true),
    tld("2000.hu", Some(500), true),
    tld("be", Some(649), true),
    tld("co.uk", Some(749), true),
    tld("com", Some(1_099), true),
    tld("de", Some(549), true),
    tld("eu", Some(599), true),
    tld("gr", Some(2_450), false),
    tld("hu", Some(1_290), true),
    tld("info", Some(1_899), true),
    tld("media", Some(4_499), true),
    tld("net", Some(1_199), true),
    tld("onl", None, true),
    tld("org", Some(1_149), true),
    tld("uk", Some(699), true),
    tld("xn--p1ai", Some(1_590), true),
];

/// What a year costs where the catalogue has no price: the registry always has one.
const UNLISTED_CENTS: i64 = 2_999;

impl Tld {
    /// The list price of a year, also of what the catalogue lists without one.
    pub(super) fn registry_cents(&self) -> i64 {
        self.cents.unwrap_or(UNLISTED_CENTS)
    }
}

/// The TLD of this name, written without a leading dot.
pub(super) fn find_tld(name: &str) -> Option<&'static Tld> {
    TLDS.iter().find(|tld| tld.name == name)
}

/// What stands before the TLD, and the TLD: the longest one that fits.
pub(super) fn split(name: &DomainName) -> Option<(&str, &'static Tld)> {
    let fits = TLDS
        .iter()
        .filter_map(|tld| Some((name.as_str().strip_suffix(tld.name)?.strip_suffix('.')?, tld)));
    fits.max_by_key(|(_, tld)| tld.name.len())
}

/// A convention: `taken.nl`, and what begins with `taken-`, is somebody's already.
pub(in crate::sandbox) fn is_taken_by_convention(name: &DomainName) -> bool {
    let first = name.as_str().split('.').next().unwrap_or_default();
    first == "taken" || first.starts_with("taken-")
}

/// A convention: what begins with `premium` costs more than its TLD.
pub(super) fn is_premium(sld: &str) -> bool {
    sld.starts_with("premium")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_products_share_a_uuid_or_an_identifier() {
        let uuids: HashSet<_> = PRODUCTS.iter().map(|product| product.uuid).collect();
        let identifiers: HashSet<_> = PRODUCTS.iter().map(|product| product.identifier).collect();
        assert_eq!((uuids.len(), identifiers.len()), (PRODUCTS.len(), PRODUCTS.len()));
        for uuid in uuids {
            assert!(uuid.parse::<uuid::Uuid>().is_ok(), "{uuid}");
        }
    }

    #[test]
    fn a_name_is_split_at_the_longest_tld_on_sale() {
        for (name, parts) in [
            ("example.nl", Some(("example", "nl"))),
            ("example.co.uk", Some(("example", "co.uk"))),
            ("example.uk", Some(("example", "uk"))),
            ("example.2000.hu", Some(("example", "2000.hu"))),
            ("a.example.hu", Some(("a.example", "hu"))),
            ("пример.рф", Some(("xn--e1afmkfd", "xn--p1ai"))),
            ("example.zz", None),
            ("examplenl.zz", None),
        ] {
            let name = DomainName::parse(name).unwrap();
            assert_eq!(split(&name).map(|(sld, tld)| (sld, tld.name)), parts, "{name}");
        }
        assert!(split(&DomainName::parse("co.uk").unwrap()).is_some_and(|(sld, _)| sld == "co"));
    }

    #[test]
    fn the_account_pays_slightly_less() {
        assert_eq!(PriceList::List.price(499).to_string(), "4.99");
        assert_eq!(PriceList::Account.price(499).to_string(), "4.49");
        assert_eq!(PriceList::List.price(4_990).to_string(), "49.90");
    }
}

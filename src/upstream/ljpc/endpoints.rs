//! Every endpoint of the document, in its order.

use crate::upstream::Endpoint;

/// The message beside the 403 of a WHOIS handle that is somebody else's. The document shows it for the registration; the
/// transfer and the update take a handle by the same rule ("an owned WHOIS handle").
const FOREIGN_HANDLE: &[&str] = &["Contact handle does not belong to you"];

/// The catalogue of TLDs.
pub static LIST_TLDS: Endpoint = Endpoint::new("GET /api/hosting/v1/tlds");
/// Whether names can be had.
pub static CHECK_DOMAIN: Endpoint = Endpoint::new("GET /api/hosting/v1/domain-names/check");
/// What a name costs this account.
pub static PRICE_DOMAIN: Endpoint = Endpoint::new("GET /api/hosting/v1/domain-names/price");
/// The account's domains.
pub static LIST_DOMAINS: Endpoint = Endpoint::new("GET /api/hosting/v1/domain-names");
/// One domain.
pub static GET_DOMAIN: Endpoint = Endpoint::new("GET /api/hosting/v1/domain-names/{domain}");
/// Registers a domain.
pub static REGISTER_DOMAIN: Endpoint =
    Endpoint::new("POST /api/hosting/v1/domain-names").refusing(FOREIGN_HANDLE);
/// Starts a transfer.
pub static TRANSFER_DOMAIN: Endpoint =
    Endpoint::new("POST /api/hosting/v1/domain-names/{domain}/transfer").refusing(FOREIGN_HANDLE);
/// Changes a domain.
pub static UPDATE_DOMAIN: Endpoint =
    Endpoint::new("PATCH /api/hosting/v1/domain-names/{domain}").refusing(FOREIGN_HANDLE);
/// A domain's auth code.
pub static GET_AUTH_CODE: Endpoint =
    Endpoint::new("GET /api/hosting/v1/domain-names/{domain}/authcode");
/// The account's WHOIS contacts.
pub static LIST_CONTACTS: Endpoint = Endpoint::new("GET /api/hosting/v1/contacts");
/// One WHOIS contact.
pub static GET_CONTACT: Endpoint = Endpoint::new("GET /api/hosting/v1/contacts/{handle}");
/// Creates a WHOIS contact.
pub static CREATE_CONTACT: Endpoint = Endpoint::new("POST /api/hosting/v1/contacts");
/// Changes a WHOIS contact, and with it every domain that bears it.
pub static UPDATE_CONTACT: Endpoint = Endpoint::new("PATCH /api/hosting/v1/contacts/{handle}");
/// A zone's records.
pub static GET_RECORDS: Endpoint = Endpoint::new("GET /api/hosting/v1/dns/zones/{domain}/records");
/// Replaces a zone's records.
pub static REPLACE_RECORDS: Endpoint =
    Endpoint::new("PUT /api/hosting/v1/dns/zones/{domain}/records");
/// The account's hosting sites.
pub static LIST_SITES: Endpoint = Endpoint::new("GET /api/hosting/v1/sites");
/// One site.
pub static GET_SITE: Endpoint = Endpoint::new("GET /api/hosting/v1/sites/{id}");
/// A single-use URL into a site's control panel.
pub static LOGIN_TO_SITE: Endpoint = Endpoint::new("GET /api/hosting/v1/sites/{id}/login")
    .refusing(&["You don't have permission to login to this site"]);
/// The product catalogue.
pub static LIST_PRODUCTS: Endpoint = Endpoint::new("GET /api/v1/products");
/// Places an order.
pub static PLACE_ORDER: Endpoint =
    Endpoint::new("POST /api/v1/orders").refusing(&["You can only create orders for yourself"]);
/// One order.
pub static GET_ORDER: Endpoint = Endpoint::new("GET /api/v1/orders/{id}");

/// All of them, so that every metric's series can exist from the start.
pub static ENDPOINTS: [&Endpoint; 21] = [
    &LIST_TLDS,
    &CHECK_DOMAIN,
    &PRICE_DOMAIN,
    &LIST_DOMAINS,
    &GET_DOMAIN,
    &REGISTER_DOMAIN,
    &TRANSFER_DOMAIN,
    &UPDATE_DOMAIN,
    &GET_AUTH_CODE,
    &LIST_CONTACTS,
    &GET_CONTACT,
    &CREATE_CONTACT,
    &UPDATE_CONTACT,
    &GET_RECORDS,
    &REPLACE_RECORDS,
    &LIST_SITES,
    &GET_SITE,
    &LOGIN_TO_SITE,
    &LIST_PRODUCTS,
    &PLACE_ORDER,
    &GET_ORDER,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_well_formed() {
        let names: BTreeSet<_> = ENDPOINTS.iter().map(|e| e.name).collect();
        assert_eq!(names.len(), ENDPOINTS.len());
        for endpoint in ENDPOINTS {
            assert_eq!(endpoint.name, format!("{} {}", endpoint.method(), endpoint.template()));
            assert!(endpoint.template().starts_with("/api/"), "{}", endpoint.name);
            assert!(endpoint.template().matches('{').count() <= 1, "{}", endpoint.name);
        }
    }
}

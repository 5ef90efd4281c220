//! Reads any answer as every call would. For whoever throws anything at the readers: property tests, and `fuzz/`.

use super::{Checks, Prices, contacts, dns, domains, orders, place, products, sites, tlds};
use crate::{
    order::{SiteId, Tag, UpstreamOrderId, name::DomainName},
    upstream::{Answer, UpstreamError},
};

/// Reads one answer as every call would. An irreversible one must never be read as something that was not sent, and a safe
/// one never as doubt.
pub(in crate::upstream) fn read_as_everything(answer: &Answer) {
    let domain = DomainName::from_stored("example.nl".to_owned());
    let tag = Tag::from_stored("SHOP-1001/1".to_owned());
    let changes = [
        place::read(&tag, answer).err(),
        domains::read_registered(&domain, answer).err(),
        domains::read_transfer(&domain, answer).err(),
        domains::read_updated(&domain, answer).err(),
        contacts::read_created(answer).err(),
        contacts::read_updated(answer).err(),
        dns::read_replaced(&domain, answer).err(),
    ];
    for error in changes.into_iter().flatten() {
        assert!(
            !matches!(error, UpstreamError::NotSent { .. } | UpstreamError::Unavailable { .. }),
            "{error:?}"
        );
    }
    let errors = [
        orders::read(UpstreamOrderId(110), answer).err(),
        products::read(answer).err(),
        sites::read_page(answer).err(),
        sites::read_site(SiteId(2019), answer).err(),
        tlds::read(answer).err(),
        Checks::read(answer).err(),
        Prices::read(answer).err(),
        domains::read_page(answer).err(),
        domains::read_detail(&domain, answer).err(),
        domains::read_auth_code(&domain, answer).err(),
        contacts::read_page(answer).err(),
        contacts::read("apitest-owned-0001", answer).err(),
        dns::read(&domain, answer).err(),
        sites::read_login(answer).err(),
    ];
    for error in errors.into_iter().flatten() {
        assert!(
            !matches!(error, UpstreamError::NotSent { .. } | UpstreamError::InDoubt { .. }),
            "{error:?}"
        );
    }
}

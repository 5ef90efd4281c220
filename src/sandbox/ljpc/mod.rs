//! The LJPc reseller API, simulated: a file or a folder for each family of endpoints, each with its rows in [`endpoint`].

pub(super) mod answer;
mod book;
mod cart;
mod catalogue;
mod contacts;
mod dns;
pub(super) mod domains;
pub(super) mod endpoint;
mod input;
mod orders;
mod products;
mod record;
mod sites;
mod tlds;

#[cfg(test)]
pub(super) mod samples;

use http::StatusCode;

pub use book::BookError;
pub(super) use book::{Book, Terms};
pub use contacts::ContactSeen;
pub use dns::DnsRecord;
pub(super) use domains::wish::put as put_domain;
pub use domains::{domain::DomainSeen, wish::DomainError};
pub(super) use input::decoded;
pub(super) use record::Fate;
pub use record::{Delivery, Drive, DrivenSite, OrderSeen, Stage};
pub(super) use sites::wish::put as put_site;
pub use sites::{site::SiteSeen, wish::SiteError};

use self::{answer::Answer, endpoint::Endpoint, input::Refused};
use super::state::World;

/// What a request says about who sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// No X-API-Key at all.
    Missing,
    /// One that is not the sandbox's.
    Unknown,
    /// The sandbox's own.
    Right,
}

/// A request, as far as an endpoint looks at it.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// The one variable segment of the path, if it has one, decoded.
    pub(super) parameter: Option<&'a str>,
    pub(super) query: &'a str,
    pub(super) key: Key,
    pub(super) body: &'a [u8],
}

/// Carries the request out and answers it as the document says. `fate` is what is to become of an order placed, or a
/// transfer begun, by it.
pub(super) fn serve(world: &World, endpoint: Endpoint, call: &Call<'_>, fate: Fate) -> Answer {
    // LJPc, GET /api/v1/products: public, the one endpoint that needs no key.
    if endpoint != Endpoint::GetProducts {
        match call.key {
            Key::Missing => return unauthorized("API key is missing"),
            Key::Unknown => return unauthorized("API key is invalid"),
            Key::Right => {}
        }
    }
    carry_out(world, endpoint, call, fate).unwrap_or_else(Answer::from)
}

fn carry_out(
    world: &World,
    endpoint: Endpoint,
    call: &Call<'_>,
    fate: Fate,
) -> Result<Answer, Refused> {
    match endpoint {
        Endpoint::GetProducts => Ok(products::list(call)),
        Endpoint::PostOrders => Ok(orders::place(world, call, fate)),
        Endpoint::GetOrder => Ok(orders::show(world, call)),
        Endpoint::GetSites => sites::list(world, call),
        Endpoint::GetSite => Ok(sites::show(world, call)),
        Endpoint::GetSiteLogin => Ok(sites::login(world, call)),
        Endpoint::GetTlds => Ok(tlds::list()),
        Endpoint::GetCheck => domains::check(world, call),
        Endpoint::GetPrice => domains::price(call),
        Endpoint::GetDomains => domains::list(world, call),
        Endpoint::PostDomains => domains::register(world, call),
        Endpoint::GetDomain => domains::show(world, call),
        Endpoint::PatchDomain => domains::update(world, call),
        Endpoint::PostTransfer => domains::transfer(world, call, fate),
        Endpoint::GetAuthCode => domains::auth_code(world, call),
        Endpoint::GetContacts => contacts::list(world, call),
        Endpoint::PostContacts => contacts::create(world, call),
        Endpoint::GetContact => contacts::show(world, call),
        Endpoint::PatchContact => contacts::update(world, call),
        Endpoint::GetZone => dns::show(world, call),
        Endpoint::PutZone => dns::replace(world, call),
    }
}

fn unauthorized(message: &str) -> Answer {
    Answer::refusal(StatusCode::UNAUTHORIZED, message)
}

/// What a request is about, for the faults that strike only some.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) domains: Vec<String>,
    pub(super) reference: Option<String>,
    pub(super) recipients: Vec<String>,
}

/// Reads what the request is about out of its body, path or query, or out of what it names.
pub(super) fn facts(world: &World, endpoint: Endpoint, call: &Call<'_>) -> Facts {
    match endpoint {
        Endpoint::PostOrders => cart::facts(call.body),
        Endpoint::GetOrder => orders::facts(world, call),
        Endpoint::GetSite | Endpoint::GetSiteLogin => sites::facts(world, call),
        Endpoint::GetCheck | Endpoint::GetPrice => domains::facts_of_query(call),
        Endpoint::PostDomains
        | Endpoint::GetDomain
        | Endpoint::PatchDomain
        | Endpoint::PostTransfer
        | Endpoint::GetAuthCode
        | Endpoint::GetZone
        | Endpoint::PutZone => domains::facts(world, call),
        Endpoint::PostContacts | Endpoint::GetContact | Endpoint::PatchContact => {
            contacts::facts(world, call)
        }
        Endpoint::GetProducts
        | Endpoint::GetSites
        | Endpoint::GetTlds
        | Endpoint::GetDomains
        | Endpoint::GetContacts => Facts::default(),
    }
}

/// A value of the query string, decoded; the last one if it is repeated, as PHP reads it.
fn query_value(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

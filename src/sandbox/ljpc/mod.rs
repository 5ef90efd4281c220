//! The LJPc reseller API, simulated: one file for each family of endpoints. Domains, contacts and DNS will be further
//! files here, each with its rows in [`endpoint`].

pub(super) mod answer;
mod book;
mod cart;
mod catalogue;
pub(super) mod endpoint;
mod orders;
mod products;
mod record;
mod sites;
mod tlds;

#[cfg(test)]
mod samples;

use http::StatusCode;

pub use book::BookError;
pub(super) use book::{Book, Terms};
pub(super) use record::Fate;
pub use record::{Delivery, Drive, DrivenSite, OrderSeen, Stage};

use self::{answer::Answer, endpoint::Endpoint};
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
    /// The one variable segment of the path, if it has one.
    pub(super) parameter: Option<&'a str>,
    pub(super) query: &'a str,
    pub(super) key: Key,
    pub(super) body: &'a [u8],
}

/// Carries the request out and answers it as the document says. `fate` is what is to become of an order placed by it.
pub(super) fn serve(world: &World, endpoint: Endpoint, call: &Call<'_>, fate: Fate) -> Answer {
    // LJPc, GET /api/v1/products: public, the one endpoint that needs no key.
    if endpoint != Endpoint::GetProducts {
        match call.key {
            Key::Missing => return unauthorized("API key is missing"),
            Key::Unknown => return unauthorized("API key is invalid"),
            Key::Right => {}
        }
    }
    match endpoint {
        Endpoint::GetProducts => products::list(call),
        Endpoint::PostOrders => orders::place(world, call, fate),
        Endpoint::GetOrder => orders::show(world, call),
        Endpoint::GetSites => sites::list(world, call),
        Endpoint::GetSite => sites::show(world, call),
        Endpoint::GetSiteLogin => sites::login(world, call),
        Endpoint::GetTlds => tlds::list(),
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

/// Reads what the request is about out of its body, or out of the order or site that it names.
pub(super) fn facts(world: &World, endpoint: Endpoint, call: &Call<'_>) -> Facts {
    match endpoint {
        Endpoint::PostOrders => cart::facts(call.body),
        Endpoint::GetOrder => orders::facts(world, call),
        Endpoint::GetSite | Endpoint::GetSiteLogin => sites::facts(world, call),
        Endpoint::GetProducts | Endpoint::GetSites | Endpoint::GetTlds => Facts::default(),
    }
}

/// A value of the query string, decoded; the last one if it is repeated, as PHP reads it.
fn query_value(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

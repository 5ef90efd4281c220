//! The Leanstack API, simulated, in both editions of its document: the headings' GET is a POST with a JSON body, as in
//! the document's samples.

mod customers;
mod endpoint;
mod names;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

pub use self::customers::CustomerSeen;
pub(super) use self::{
    customers::Customers,
    endpoint::{Endpoint, Route, route},
};
use super::{
    ljpc::{Facts, Key, answer::Answer},
    state::World,
};

/// The headers of the two editions.
pub(super) const TOKEN_HEADER: &str = "access_token";
pub(super) const TOKEN_HEADER_2022: &str = "access-token";
/// Of a token that is none.
pub(super) const INVALID_TOKEN: &str = "Invalid access token";
/// Characters of one text.
const TEXT_MAX: usize = 255;

/// A request, as far as an endpoint looks at it.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// What the header of the first edition says.
    pub(super) token: Key,
    /// What that of 2022 says.
    pub(super) token_2022: Key,
    pub(super) body: &'a [u8],
}

/// Why a request is not completed: `message`.
#[derive(Debug, Eq, PartialEq)]
struct Refused {
    status: StatusCode,
    message: Cow<'static, str>,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// An answer that holds only a message.
pub(super) fn message(status: StatusCode, message: &str) -> Answer {
    Answer::raw(status, &Message { message })
}

/// Carries the request out and answers it as the document says.
pub(super) fn serve(world: &World, endpoint: Endpoint, call: &Call<'_>) -> Answer {
    // A customer is added by the header of the edition whose path it is; the other paths are both editions' own.
    let key = match endpoint {
        Endpoint::Customer => call.token_2022,
        Endpoint::Availability | Endpoint::Suggestion if call.token == Key::Missing => {
            call.token_2022
        }
        Endpoint::AddCustomer | Endpoint::Availability | Endpoint::Suggestion => call.token,
    };
    match key {
        Key::Missing => return message(StatusCode::UNAUTHORIZED, "Access token is missing"),
        Key::Unknown => return message(StatusCode::UNAUTHORIZED, INVALID_TOKEN),
        Key::Right => {}
    }
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let answered = match endpoint {
        Endpoint::Availability => names::availability(world, &body),
        Endpoint::Suggestion => names::suggestions(world, &body),
        Endpoint::AddCustomer => customers::add(world, &body, "postcode"),
        Endpoint::Customer => customers::add(world, &body, "post_code"),
    };
    answered.unwrap_or_else(|refused| message(refused.status, &refused.message))
}

/// A text that must be given.
fn required<'a>(object: &'a Value, key: &str) -> Result<&'a str, Refused> {
    let wrong = |what: &str| Refused {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        message: format!("{key} is {what}").into(),
    };
    match object.get(key) {
        None | Some(Value::Null) => Err(wrong("missing")),
        Some(Value::String(text)) if text.trim().is_empty() => Err(wrong("missing")),
        Some(Value::String(text)) if text.chars().count() <= TEXT_MAX => Ok(text),
        Some(_) => Err(wrong("invalid")),
    }
}

/// What the request is about: its name, or its customer's email.
pub(super) fn facts(call: &Call<'_>) -> Facts {
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let text = |object: &Value, key: &str| object.get(key)?.as_str().map(str::to_owned);
    let name = text(&body, "domain_name").map(|name| match text(&body, "tld") {
        Some(tld) => format!("{name}.{tld}"),
        None => name,
    });
    let email = body.get("customer").and_then(|customer| text(customer, "email"));
    Facts {
        domains: name.into_iter().collect(),
        recipients: email.into_iter().collect(),
        ..Facts::default()
    }
}

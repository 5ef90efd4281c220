//! What a row of the table is.

use super::{super::*, calls::Call};
use crate::{
    order::ledger::{EffectState, Outcome},
    upstream::Scope,
};

/// How an outcome is read: the rows of the contract's paragraph.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    Accepted,
    Rejected,
    NotSent,
    /// To be sent again after so many seconds.
    RateLimited(u64),
    /// The key is none, for the whole upstream.
    KeyRefused,
    /// The key may not use this endpoint.
    EndpointRefused,
    InDoubt,
    /// What a request with an effect must never be read as.
    Impossible,
}

impl Class {
    pub(super) fn of(result: &Result<(), UpstreamError>) -> Self {
        match result {
            Ok(()) => Self::Accepted,
            Err(UpstreamError::Rejected { .. }) => Self::Rejected,
            Err(UpstreamError::NotSent { .. }) => Self::NotSent,
            Err(UpstreamError::RateLimited { after }) => Self::RateLimited(after.as_secs()),
            Err(UpstreamError::Unauthorized { scope: Scope::Upstream, .. }) => Self::KeyRefused,
            Err(UpstreamError::Unauthorized { scope: Scope::Endpoint, .. }) => {
                Self::EndpointRefused
            }
            Err(UpstreamError::InDoubt { .. }) => Self::InDoubt,
            Err(UpstreamError::Unavailable { .. }) => Self::Impossible,
        }
    }

    /// What it is called in the document.
    pub(super) fn word(self) -> String {
        match self {
            Self::Accepted => "accepted".to_owned(),
            Self::Rejected => "rejected".to_owned(),
            Self::NotSent => "not sent".to_owned(),
            Self::RateLimited(secs) => format!("rate limited, {secs} s"),
            Self::KeyRefused => "unauthorised".to_owned(),
            Self::EndpointRefused => "unauthorised for the endpoint".to_owned(),
            Self::InDoubt => "**in doubt**".to_owned(),
            Self::Impossible => "impossible".to_owned(),
        }
    }

    /// What the ledger makes of a placement that was being sent.
    pub(super) fn learnt(self) -> EffectState {
        EffectState::Sending.learn(match self {
            Self::Accepted => Outcome::Accepted,
            Self::Rejected => Outcome::Rejected,
            Self::NotSent => Outcome::NotSent,
            Self::RateLimited(_) => Outcome::RateLimited,
            Self::KeyRefused | Self::EndpointRefused => Outcome::Unauthorized,
            Self::InDoubt | Self::Impossible => Outcome::InDoubt,
        })
    }
}

/// What is done to a request.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// The host's name has no address.
    NoAddress,
    /// Nobody listens.
    Refused,
    /// The other side speaks no TLS.
    NoTls,
    /// The other side says nothing, where TLS was to be.
    NoHandshake,
    /// Between connecting and sending.
    Meanwhile { says: Vec<u8>, closes: bool },
    /// Time is up before the first byte.
    Late,
    /// The request arrives.
    Wire(Act),
    /// The same, until the client gives up.
    Silence(Act),
}

/// One outcome, for some of the calls.
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) calls: &'static [Call],
    pub(super) class: Class,
    /// The ways in which it comes about for a call.
    pub(super) deeds: Box<dyn Fn(Call) -> Vec<Deed>>,
}

/// A row for every call.
pub(super) fn row(
    what: &'static str,
    class: Class,
    deeds: impl Fn(Call) -> Vec<Deed> + 'static,
) -> Row {
    Row { what, calls: Call::ALL, class, deeds: Box::new(deeds) }
}

impl Row {
    /// The same row for these calls alone.
    pub(super) fn of(self, calls: &'static [Call]) -> Self {
        Self { calls, ..self }
    }
}

/// A part of the table.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
}

/// The whole table.
pub(super) fn sections() -> Vec<Section> {
    vec![
        Section { title: "Before the first byte", rows: super::wire::before() },
        Section { title: "No head of an answer", rows: super::wire::no_head() },
        Section { title: "A head, and a body that breaks", rows: super::wire::broken_bodies() },
        Section { title: "Success by its status", rows: super::statuses::success() },
        Section { title: "Refusals", rows: super::statuses::refusals() },
        Section { title: "Keys and limits", rows: super::statuses::keys_and_limits() },
        Section { title: "All other statuses", rows: super::statuses::others() },
        Section { title: "2xx, and what the body says", rows: super::bodies::envelopes() },
        Section { title: "2xx, and what it says of an order", rows: super::bodies::orders() },
        Section { title: "2xx, and what it says of a name", rows: super::bodies::names() },
        Section {
            title: "2xx, and what it says of a contact or a zone",
            rows: super::bodies::contacts_and_zones(),
        },
    ]
}

/// These bytes, and the connection is closed.
pub(super) fn says(bytes: impl Into<Vec<u8>>) -> Vec<Deed> {
    vec![Deed::Wire(Act::Answer(bytes.into()))]
}

/// An answer with this status and body.
pub(super) fn says_json(status: &str, body: &str) -> Vec<Deed> {
    says(answer(status, "", body))
}

/// The documented status with another body.
pub(super) fn good_with(call: Call, body: &str) -> Vec<Deed> {
    let (status, good) = call.good();
    assert_ne!(body, good, "the case changes nothing");
    says_json(status, body)
}

/// The documented answer, `from` replaced by `to` wherever it stands.
pub(super) fn changed(call: Call, from: &str, to: &str) -> Vec<Deed> {
    good_with(call, &call.good().1.replace(from, to))
}

/// The documented error envelope.
pub(super) fn envelope(message: &str) -> String {
    serde_json::json!({ "success": false, "jti": "0f8c2d5e", "message": message }).to_string()
}

/// A page as a proxy writes it.
pub(super) const PAGE: &str =
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>";

//! The envelope that almost every answer comes in, and how it is read together with the status.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::wire::{is_object, lenient};
use crate::upstream::{
    Answer, Endpoint, UpstreamError, Verdict, classify,
    error::{clean_jti, quoting},
};

/// `{"success", "jti", "data"}` or `{"success", "jti", "message"}`. Each field is read on its own, so that a strange one
/// does not hide the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(deserialize_with = "lenient")]
    success: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    jti: Option<String>,
    #[serde(deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// What can be read of an answer's body as an envelope: nothing of a proxy's page, of a body that broke off, or of an
    /// array that happens to hold what could be an envelope's values.
    fn of(answer: &'a Answer) -> Self {
        let body = answer.body.as_ref().ok().and_then(|bytes| std::str::from_utf8(bytes).ok());
        body.filter(|text| is_object(text))
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// The message, if this is an error as the document shows it. Both its marks are asked for: a refusal is final, and
    /// what stands in between (a proxy, a firewall) must not be able to utter one by chance.
    fn refusal(&self) -> Option<&str> {
        match (self.success, &self.message) {
            (Some(false), Some(message)) => Some(message),
            _ => None,
        }
    }
}

/// What a good answer holds.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    endpoint: &'static Endpoint,
    /// The HTTP status, 2xx.
    pub status: u16,
    /// The answer's id.
    pub jti: Option<String>,
    data: &'a RawValue,
}

impl Payload<'_> {
    /// The payload of a catalogue, which is a list.
    pub(super) fn parse_list<T: DeserializeOwned>(&self) -> Result<Vec<T>, UpstreamError> {
        serde_json::from_str(self.data.get()).map_err(|e| self.broken(&position(&e)))
    }

    /// The payload as the document promises it: an object.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        if !is_object(self.data.get()) {
            return Err(self.broken("the payload is no object"));
        }
        serde_json::from_str(self.data.get()).map_err(|e| self.broken(&position(&e)))
    }

    /// The error of a payload that breaks the document's promise.
    pub(super) fn broken(&self, detail: &str) -> UpstreamError {
        UpstreamError::unclear(self.endpoint, detail, Some(self.status), self.jti.as_deref())
    }
}

/// Reads an enveloped answer: its payload, or the error that the contract's table names.
pub(super) fn payload<'a>(
    endpoint: &'static Endpoint,
    answer: &'a Answer,
) -> Result<Payload<'a>, UpstreamError> {
    let envelope = Envelope::of(answer);
    if let Some(error) = failure(endpoint, answer, &envelope) {
        return Err(error);
    }
    match (envelope.success, envelope.data) {
        (Some(true), Some(data)) => Ok(Payload {
            endpoint,
            status: answer.status,
            jti: envelope.jti.as_deref().map(clean_jti),
            data,
        }),
        _ => Err(unusable(endpoint, answer, &envelope)),
    }
}

/// Reads an answer that comes bare when it is good (GET /api/v1/products).
pub(super) fn bare<'a, T: Deserialize<'a>>(
    endpoint: &'static Endpoint,
    answer: &'a Answer,
) -> Result<T, UpstreamError> {
    let envelope = Envelope::of(answer);
    if let Some(error) = failure(endpoint, answer, &envelope) {
        return Err(error);
    }
    let bytes = answer.body.as_ref().map_err(|_| unusable(endpoint, answer, &envelope))?;
    serde_json::from_slice(bytes)
        .map_err(|e| UpstreamError::unclear(endpoint, position(&e), Some(answer.status), None))
}

/// The error that a status other than 2xx means.
fn failure(
    endpoint: &'static Endpoint,
    answer: &Answer,
    envelope: &Envelope<'_>,
) -> Option<UpstreamError> {
    let status = answer.status;
    let refusal = envelope.refusal();
    let message = || answer.quote(envelope.message.as_deref().unwrap_or_default());
    let jti = || envelope.jti.as_deref().map(clean_jti);
    match classify(endpoint.may_be_foreign(), status, refusal, endpoint.refusals) {
        Verdict::Promising => None,
        Verdict::Rejected => {
            Some(UpstreamError::Rejected { status, message: message(), jti: jti() })
        }
        Verdict::RateLimited => Some(UpstreamError::RateLimited { after: answer.retry_after }),
        Verdict::Unauthorized(scope) => {
            Some(UpstreamError::Unauthorized { scope, status, message: message(), jti: jti() })
        }
        Verdict::Unclear => Some(unusable(endpoint, answer, envelope)),
    }
}

/// The error of an answer that settles nothing, with whatever it says.
fn unusable(
    endpoint: &'static Endpoint,
    answer: &Answer,
    envelope: &Envelope<'_>,
) -> UpstreamError {
    let status = answer.status;
    let detail = match (&answer.body, &envelope.message) {
        (Err(fault), _) => format!("HTTP {status}; {fault}"),
        (Ok(_), Some(message)) => quoting(status, &answer.quote(message)),
        (Ok(bytes), None) => {
            format!("HTTP {status} with {} bytes that are not as documented", bytes.len())
        }
    };
    UpstreamError::unclear(endpoint, detail, Some(status), envelope.jti.as_deref())
}

/// Where a parser stopped. Its own message is not shown, since it quotes the value that it stumbled over.
fn position(error: &serde_json::Error) -> String {
    format!("not as documented, at line {} column {}", error.line(), error.column())
}

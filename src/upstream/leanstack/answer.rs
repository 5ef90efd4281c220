//! How answers are read. What is good is bare JSON; `message` says that a request was not completed, whatever the status.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::upstream::{Answer, PreparedRequest, UpstreamError, Verdict, classify, error::quoting};

/// An answer that may be a good one.
pub(super) struct Reading<'a> {
    request: &'a PreparedRequest,
    answer: &'a Answer,
    /// Its keys, if it is an object.
    object: Option<BTreeMap<String, Box<RawValue>>>,
}

/// What an answer comes to.
pub(super) enum Said {
    /// 2xx without a message. What it holds is for the call to look at.
    Done,
    /// Not completed, for the reason that the message gives.
    Refused(String),
}

impl<'a> Reading<'a> {
    pub(super) fn new(request: &'a PreparedRequest, answer: &'a Answer) -> Self {
        let body = answer.body.as_ref().ok();
        let object = body.and_then(|bytes| serde_json::from_slice(bytes).ok());
        Self { request, answer, object }
    }

    /// Reads the status and the message by the contract's table.
    pub(super) fn said(&self) -> Result<Said, UpstreamError> {
        let message = self.message();
        let status = self.answer.status;
        let endpoint = self.request.endpoint();
        let verdict =
            classify(endpoint.may_be_foreign(), status, message.as_deref(), endpoint.refusals);
        match (verdict, message) {
            (Verdict::Promising, None) => Ok(Said::Done),
            (Verdict::Promising | Verdict::Rejected, Some(message)) => Ok(Said::Refused(message)),
            (Verdict::RateLimited, _) => {
                Err(UpstreamError::RateLimited { after: self.answer.retry_after })
            }
            (Verdict::Unauthorized(scope), message) => Err(UpstreamError::Unauthorized {
                scope,
                status,
                message: self.answer.quote(&message.unwrap_or_default()),
                jti: self.id(),
            }),
            (Verdict::Rejected | Verdict::Unclear, _) => Err(self.unusable()),
        }
    }

    /// Whether the answer is the empty object.
    pub(super) fn is_empty_object(&self) -> bool {
        self.object.as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// The answer's content as the document promises it.
    pub(super) fn parse<T: Deserialize<'a>>(&self) -> Result<T, UpstreamError> {
        let bytes = self.answer.body.as_ref().map_err(|_| self.unusable())?;
        serde_json::from_slice(bytes).map_err(|_| self.unusable())
    }

    /// The refusal that a message is.
    pub(super) fn rejected(&self, message: &str) -> UpstreamError {
        UpstreamError::Rejected {
            status: self.answer.status,
            message: self.answer.quote(message),
            jti: self.id(),
        }
    }

    /// The error of an answer that settles nothing.
    pub(super) fn unusable(&self) -> UpstreamError {
        let status = self.answer.status;
        let detail = match (&self.answer.body, self.message()) {
            (Err(fault), _) => format!("HTTP {status}; {fault}"),
            (Ok(_), Some(message)) => quoting(status, &self.answer.quote(&message)),
            (Ok(bytes), None) => {
                format!("HTTP {status} with {} bytes that are not as documented", bytes.len())
            }
        };
        let id = self.id();
        UpstreamError::unclear(self.request.endpoint(), detail, Some(status), id.as_deref())
    }

    fn message(&self) -> Option<String> {
        let message = self.object.as_ref()?.get("message")?;
        serde_json::from_str(message.get()).ok().filter(|text: &String| !text.trim().is_empty())
    }

    fn id(&self) -> Option<String> {
        self.request.id().map(|id| id.to_string())
    }
}

/// The same error with the request's id, which their support asks for, where no answer has brought one.
pub(super) fn identified(mut error: UpstreamError, request: &PreparedRequest) -> UpstreamError {
    if let UpstreamError::Unavailable { jti: jti @ None, .. } = &mut error {
        *jti = request.id().map(|id| id.to_string());
    }
    error
}

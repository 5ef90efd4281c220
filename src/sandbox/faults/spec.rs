//! A fault as it is asked for: JSON, read strictly, so that a slip of the pen is told and not silently ignored.

use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::point::{Phase, Point};
use crate::sandbox::{
    dice::Probability,
    ljpc::{Facts, endpoint::Endpoint},
};

const TIMES_MAX: u32 = 1_000_000;
const DELAY_MS_MAX: u64 = 600_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Carried out in full; then the connection is closed without a byte of an answer.
    ProcessThenDrop,
    /// The connection is closed before anything is carried out.
    Drop,
    /// Answered with `status` (HTTP 500, SMTP 451 unless given), and `message`.
    Status,
    /// 429, with `retry_after` as the header Retry-After.
    RateLimit,
    /// Carried out; the answer's body is no JSON.
    Garbage,
    /// Carried out at once; the answer takes `delay_ms` (a second unless given).
    Slow,
    /// 302 to another path of the sandbox, where the journal shows whoever follows.
    Redirect,
    /// `status` (502 unless given) with an HTML page.
    Html,
    /// Carried out; the connection is closed in the middle of the answer's body.
    Truncate,
    /// The order placed is completed, but its `site_id` stays null.
    NoSiteId,
    /// The order placed is completed, and its `site_id` follows `delay_ms` later (the sandbox's delay unless given).
    LateSiteId,
    /// The order placed, or the transfer begun, will fail.
    Fail,
    /// 403 with the message that the document shows for what belongs to somebody else.
    #[serde(rename = "foreign_403")]
    Foreign403,
    /// 401, as if the key were unknown.
    Unauthorized,
    /// Carried out; the answer's body is padded with white space to more than two mebibytes.
    BigBody,
}

impl FaultKind {
    /// Whether it decides about the future of an order or a transfer.
    fn is_fate(self) -> bool {
        matches!(self, Self::NoSiteId | Self::LateSiteId | Self::Fail)
    }

    /// Whether it has a meaning at this endpoint: a fate has one only where something with a future is begun.
    fn suits(self, endpoint: Endpoint) -> bool {
        !self.is_fate()
            || endpoint == Endpoint::PostOrders
            || (self == Self::Fail && endpoint == Endpoint::PostTransfer)
    }

    /// Whether the answer is made up, so that the request need not be carried out.
    fn is_made_up(self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::RateLimit
                | Self::Redirect
                | Self::Html
                | Self::Foreign403
                | Self::Unauthorized
        )
    }
}

/// Why a fault is not set.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// It can't be read; the message names the keys and values that can.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
    /// It can be read, but makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// There are too many already.
    #[error("at most {most} faults can be active at a time; DELETE /_sandbox/faults clears them")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

/// A fault as it was set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct FaultSpec {
    endpoint: Point,
    pub(in crate::sandbox) fault: FaultKind,
    #[serde(default = "once")]
    pub(in crate::sandbox) times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) probability: Option<Probability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) retry_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) delay_ms: Option<u64>,
    /// Whether a made-up answer is enveloped (true unless given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) enveloped: Option<bool>,
    /// Whether the request is carried out before a made-up answer is given (false unless given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) process: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) message: Option<String>,
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub(in crate::sandbox) matching: Option<Match>,
}

/// Parts of texts that must all be found for a fault to strike.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Match {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
}

fn once() -> u32 {
    1
}

impl Match {
    pub(super) fn fits(&self, facts: &Facts) -> bool {
        let any = |texts: &[String], part: &str| texts.iter().any(|text| text.contains(part));
        self.domain.as_ref().is_none_or(|part| any(&facts.domains, part))
            && self.recipient.as_ref().is_none_or(|part| any(&facts.recipients, part))
            && self.reference.as_ref().is_none_or(|part| {
                facts.reference.as_ref().is_some_and(|text| text.contains(part.as_str()))
            })
    }
}

impl FaultSpec {
    /// Reads and checks a fault.
    pub(super) fn read(json: &[u8]) -> Result<Self, FaultError> {
        let spec: Self = serde_json::from_slice(json)?;
        match spec.senseless() {
            Some(what) => Err(FaultError::Senseless(what)),
            None => Ok(spec),
        }
    }

    /// Whether it may strike here.
    pub(super) fn covers(&self, at: Point) -> bool {
        match at {
            Point::Http(endpoint) => {
                (matches!(self.endpoint, Point::AnyHttp | Point::AnyLjpc) || self.endpoint == at)
                    && self.fault.suits(endpoint)
            }
            Point::Leanstack(_) => {
                (matches!(self.endpoint, Point::AnyHttp | Point::AnyLeanstack)
                    || self.endpoint == at)
                    && !self.fault.is_fate()
            }
            Point::AnyHttp | Point::AnyLjpc | Point::AnyLeanstack | Point::Smtp(_) => {
                self.endpoint == at
            }
        }
    }

    fn senseless(&self) -> Option<String> {
        if !(1..=TIMES_MAX).contains(&self.times) {
            return Some(format!("times: from 1 to {TIMES_MAX}"));
        }
        if self.delay_ms.is_some_and(|ms| ms > DELAY_MS_MAX) {
            return Some(format!("delay_ms: at most {DELAY_MS_MAX}"));
        }
        if self.retry_after.as_ref().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            return Some("retry_after: can't be sent as a header".into());
        }
        if self.message.as_ref().is_some_and(|text| text.contains(char::is_control)) {
            return Some("message: must not contain control characters".into());
        }
        match self.endpoint {
            Point::AnyHttp
            | Point::AnyLjpc
            | Point::Http(_)
            | Point::AnyLeanstack
            | Point::Leanstack(_) => self.senseless_http(),
            Point::Smtp(phase) => self.senseless_smtp(phase),
        }
    }

    fn senseless_http(&self) -> Option<String> {
        let unsuited = match self.endpoint {
            Point::Http(at) => !self.fault.suits(at),
            Point::Leanstack(_) | Point::AnyLeanstack => self.fault.is_fate(),
            Point::AnyHttp | Point::AnyLjpc | Point::Smtp(_) => false,
        };
        if unsuited {
            return Some(
                "fault: no_site_id, late_site_id and fail decide what becomes of an order when it is placed: their \
                 endpoint is `POST /api/v1/orders` or `*`; fail also decides about a transfer"
                    .into(),
            );
        }
        if self.process.is_some() && !self.fault.is_made_up() {
            return Some(
                "process: only for status, rate_limit, redirect, html, foreign_403 and unauthorized; of the others \
                 each \
                 says by itself whether the request is carried out"
                    .into(),
            );
        }
        if self.status.is_some_and(|code| !(200..=599).contains(&code)) {
            return Some("status: from 200 to 599".into());
        }
        let has_email = match self.endpoint {
            Point::Http(at) => {
                matches!(at, Endpoint::PostContacts | Endpoint::GetContact | Endpoint::PatchContact)
            }
            Point::Leanstack(at) => at.adds_customer(),
            Point::AnyHttp | Point::AnyLjpc | Point::AnyLeanstack | Point::Smtp(_) => false,
        };
        if !has_email && self.matching.as_ref().is_some_and(|wanted| wanted.recipient.is_some()) {
            return Some(
                "match: recipient is for the endpoints `SMTP …` and those of one contact or customer; here \
                 domain and reference"
                    .into(),
            );
        }
        None
    }

    fn senseless_smtp(&self, phase: Phase) -> Option<String> {
        let known = match self.fault {
            FaultKind::Status | FaultKind::Drop | FaultKind::Slow => true,
            FaultKind::ProcessThenDrop => phase == Phase::Final,
            FaultKind::RateLimit
            | FaultKind::Garbage
            | FaultKind::Redirect
            | FaultKind::Html
            | FaultKind::Truncate
            | FaultKind::NoSiteId
            | FaultKind::LateSiteId
            | FaultKind::Fail
            | FaultKind::Foreign403
            | FaultKind::Unauthorized
            | FaultKind::BigBody => false,
        };
        if !known {
            return Some(
                "fault: over SMTP one of `status`, `drop`, `slow` and, at `SMTP final`, `process_then_drop`".into(),
            );
        }
        if self.status.is_some_and(|code| !(400..=599).contains(&code)) {
            return Some("status: over SMTP from 400 to 599".into());
        }
        if self.process.is_some() || self.enveloped.is_some() || self.retry_after.is_some() {
            return Some("process, enveloped and retry_after: not over SMTP".into());
        }
        let wanted = self.matching.as_ref()?;
        let too_early = matches!(phase, Phase::Connect | Phase::Ehlo | Phase::Mail);
        (wanted.domain.is_some() || wanted.reference.is_some() || too_early).then(|| {
            "match: over SMTP only recipient, and only at `SMTP RCPT`, `SMTP DATA` and `SMTP final`".into()
        })
    }

    /// The status of a made-up HTTP answer.
    pub(in crate::sandbox) fn status_or(&self, default: StatusCode) -> StatusCode {
        self.status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(spec: &Value) -> String {
        FaultSpec::read(spec.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_what_is_allowed() {
        for (spec, told) in [
            (
                json!({"endpoint": "*", "fault": "explode"}),
                "expected one of `process_then_drop`, `drop`",
            ),
            (
                json!({"endpoint": "*", "fault": "drop", "tiems": 2}),
                "expected one of `endpoint`, `fault`",
            ),
            (json!({"endpoint": "GET /nowhere", "fault": "drop"}), "`GET /api/v1/orders/{id}`"),
            (json!({"endpoint": "GET /nowhere", "fault": "drop"}), "`SMTP final`"),
            (json!({"fault": "drop"}), "missing field `endpoint`"),
            (json!({"endpoint": "*"}), "missing field `fault`"),
            (
                json!({"endpoint": "*", "fault": "drop", "match": {"tag": "x"}}),
                "expected one of `domain`",
            ),
            (json!({"endpoint": "*", "fault": "drop", "probability": 2}), "a decimal from 0 to 1"),
            (json!({"endpoint": "*", "fault": "drop", "times": 0}), "times: from 1"),
            (json!({"endpoint": "*", "fault": "drop", "times": 1_000_001}), "times: from 1"),
            (json!({"endpoint": "*", "fault": "slow", "delay_ms": 600_001}), "delay_ms: at most"),
            (json!({"endpoint": "*", "fault": "status", "status": 199}), "status: from 200"),
            (
                json!({"endpoint": "*", "fault": "rate_limit", "retry_after": "a\nb"}),
                "retry_after:",
            ),
            (json!({"endpoint": "*", "fault": "status", "message": "a\r\nb"}), "message:"),
            (json!({"endpoint": "GET /api/v1/products", "fault": "fail"}), "POST /api/v1/orders"),
            (json!({"endpoint": "*", "fault": "drop", "process": true}), "process: only for"),
            (
                json!({"endpoint": "*", "fault": "drop", "match": {"recipient": "x"}}),
                "recipient is for",
            ),
            (json!({"endpoint": "SMTP MAIL", "fault": "html"}), "over SMTP one of `status`"),
            (json!({"endpoint": "SMTP DATA", "fault": "process_then_drop"}), "at `SMTP final`"),
            (json!({"endpoint": "SMTP DATA", "fault": "status", "status": 250}), "from 400 to 599"),
            (json!({"endpoint": "SMTP DATA", "fault": "status", "process": true}), "not over SMTP"),
            (
                json!({"endpoint": "SMTP DATA", "fault": "drop", "match": {"domain": "x"}}),
                "only recipient",
            ),
            (
                json!({"endpoint": "SMTP MAIL", "fault": "drop", "match": {"recipient": "x"}}),
                "and only at",
            ),
            (json!([]), "invalid length 0"),
        ] {
            let message = refused(&spec);
            assert!(message.contains(told), "{spec}: {message}");
        }
    }

    #[test]
    fn what_was_set_reads_back_the_same() {
        let set = json!({"endpoint": "SMTP final", "fault": "status", "times": 3, "status": 451,
            "probability": 0.25, "message": "later", "match": {"recipient": "bob"}});
        let spec = FaultSpec::read(set.to_string().as_bytes()).unwrap();
        let mut shown = serde_json::to_value(&spec).unwrap();
        assert_eq!(shown["probability"], "0.25");
        shown["probability"] = json!(0.25);
        assert_eq!(shown, set);
    }
}

//! What a fault makes of a request.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};

use crate::sandbox::{
    faults::{FaultKind, FaultSpec},
    ljpc::{Fate, answer::Answer, endpoint::Endpoint},
};

/// Above every limit that a careful client sets (a mebibyte is common).
const PADDING_BYTES: usize = 2 * 1024 * 1024;
const SLOW_DEFAULT: Duration = Duration::from_secs(1);
/// Whoever asks for this after a redirect is on record in the journal.
const REDIRECTED: HeaderValue = HeaderValue::from_static("/redirected-by-the-sandbox");

/// An answer, and how it goes out.
pub(super) enum Reply {
    Whole(Answer),
    Late(Answer, Duration),
    /// The head and half of the body.
    Half(Answer),
    /// Nothing; the connection is closed.
    Cut,
}

/// What is struck: a request, and how its upstream speaks.
pub(super) struct Target<'a> {
    /// Carries the request out as usual.
    pub(super) process: &'a dyn Fn(Fate) -> Answer,
    /// The message for what belongs to somebody else.
    pub(super) foreign: &'static str,
    /// The message for an unknown key.
    pub(super) unauthorized: &'static str,
    /// Whether refusals are enveloped.
    pub(super) enveloped: bool,
    pub(super) late_site_default: Duration,
}

/// Carries the request out, or not, as the fault has it, and says what its sender gets to see.
pub(super) fn strike(target: &Target<'_>, spec: &FaultSpec) -> Reply {
    let process = target.process;
    match spec.fault {
        FaultKind::Drop => Reply::Cut,
        FaultKind::ProcessThenDrop => {
            process(Fate::Usual);
            Reply::Cut
        }
        FaultKind::Status
        | FaultKind::RateLimit
        | FaultKind::Redirect
        | FaultKind::Html
        | FaultKind::Foreign403
        | FaultKind::Unauthorized => {
            if spec.process == Some(true) {
                process(Fate::Usual);
            }
            Reply::Whole(made_up(target, spec))
        }
        FaultKind::Garbage => {
            let mut answer = process(Fate::Usual);
            answer.body = b"<?xml oops: this is no JSON".to_vec();
            Reply::Whole(answer)
        }
        FaultKind::BigBody => {
            let mut answer = process(Fate::Usual);
            // White space behind JSON is still JSON: only a limit on the body notices.
            answer.body.resize(answer.body.len().saturating_add(PADDING_BYTES), b' ');
            Reply::Whole(answer)
        }
        FaultKind::Slow => {
            let delay = spec.delay_ms.map_or(SLOW_DEFAULT, Duration::from_millis);
            Reply::Late(process(Fate::Usual), delay)
        }
        FaultKind::Truncate => Reply::Half(process(Fate::Usual)),
        FaultKind::Fail => Reply::Whole(process(Fate::Fails)),
        FaultKind::NoSiteId => Reply::Whole(process(Fate::WithoutSiteId)),
        FaultKind::LateSiteId => {
            let after = spec.delay_ms.map_or(target.late_site_default, Duration::from_millis);
            Reply::Whole(process(Fate::LateSiteId(after)))
        }
    }
}

fn made_up(target: &Target<'_>, spec: &FaultSpec) -> Answer {
    let (usual_status, usual_message) = usual(target, spec.fault);
    let status = spec.status_or(usual_status);
    let reason = status.canonical_reason().unwrap_or("Made up by the sandbox");
    let message = spec.message.as_deref().or(usual_message).unwrap_or(reason);
    let answer = if spec.fault == FaultKind::Html {
        let title = format!("{} {reason}", status.as_u16());
        Answer::html(
            status,
            format!(
                "<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
            ),
        )
    } else if status == StatusCode::NO_CONTENT {
        Answer::empty(status)
    } else if !spec.enveloped.unwrap_or(target.enveloped) {
        Answer::raw(status, &serde_json::json!({ "message": message }))
    } else {
        Answer::refusal(status, message)
    };
    let answer = match spec.retry_after.as_deref().map(HeaderValue::from_str) {
        Some(Ok(value)) => answer.with(header::RETRY_AFTER, value),
        _ => answer,
    };
    if status.is_redirection() { answer.with(header::LOCATION, REDIRECTED) } else { answer }
}

/// The status and message of a made-up answer for which the fault names none.
fn usual(target: &Target<'_>, fault: FaultKind) -> (StatusCode, Option<&'static str>) {
    match fault {
        FaultKind::RateLimit => (StatusCode::TOO_MANY_REQUESTS, Some("Too Many Attempts.")),
        FaultKind::Redirect => (StatusCode::FOUND, None),
        FaultKind::Html => (StatusCode::BAD_GATEWAY, None),
        FaultKind::Foreign403 => (StatusCode::FORBIDDEN, Some(target.foreign)),
        FaultKind::Unauthorized => (StatusCode::UNAUTHORIZED, Some(target.unauthorized)),
        FaultKind::Status
        | FaultKind::ProcessThenDrop
        | FaultKind::Drop
        | FaultKind::Garbage
        | FaultKind::Slow
        | FaultKind::Truncate
        | FaultKind::NoSiteId
        | FaultKind::LateSiteId
        | FaultKind::Fail
        | FaultKind::BigBody => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

/// The message that LJPc's document shows for what belongs to somebody else.
pub(super) fn foreign(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::PostOrders => "You can only create orders for yourself",
        Endpoint::GetSiteLogin => "You don't have permission to login to this site",
        Endpoint::GetOrder => "This order does not belong to you",
        Endpoint::PostDomains | Endpoint::PostTransfer | Endpoint::PatchDomain => {
            "Contact handle does not belong to you"
        }
        Endpoint::GetProducts
        | Endpoint::GetSites
        | Endpoint::GetSite
        | Endpoint::GetTlds
        | Endpoint::GetCheck
        | Endpoint::GetPrice
        | Endpoint::GetDomains
        | Endpoint::GetDomain
        | Endpoint::GetAuthCode
        | Endpoint::GetContacts
        | Endpoint::PostContacts
        | Endpoint::GetContact
        | Endpoint::PatchContact
        | Endpoint::GetZone
        | Endpoint::PutZone => "You don't have permission to do this",
    }
}

//! What can become of a request: exactly the rows of the ledger's table (contract, section 2).

use std::{fmt::Display, time::Duration};

use super::{
    Endpoint,
    text::{JTI_CHARS_MAX, MESSAGE_CHARS_MAX, clean},
};

/// Whom a 401 or a 403 shuts out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The whole upstream: the key is missing, unknown or withdrawn.
    Upstream,
    /// The one endpoint: the key lacks its permission.
    Endpoint,
}

/// Why a request did not end as hoped. Messages and details are one line of at most 500 characters, without control
/// characters and without the secrets that the request bore.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UpstreamError {
    /// No byte of the request has left: DNS, connecting or TLS failed, or time was up before the first byte.
    #[error("not sent: {detail}")]
    NotSent {
        /// What failed.
        detail: String,
    },
    /// The upstream has understood the request and declined it, for good.
    #[error("refused with HTTP {status}: {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The upstream's reason.
        message: String,
        /// The answer's id, which the upstream's support asks for.
        jti: Option<String>,
    },
    /// HTTP 429: not now.
    #[error("rate limited, to be tried again after {after:?}")]
    RateLimited {
        /// How long to wait: what the answer asked for, within 1 s and 1 h.
        after: Duration,
    },
    /// The key is not good enough. Nothing has happened, and nothing is wrong with the order.
    #[error("not authorised (HTTP {status}): {message}")]
    Unauthorized {
        /// Whether for the whole upstream or for the one endpoint.
        scope: Scope,
        /// The HTTP status.
        status: u16,
        /// The upstream's reason, empty when it gave none.
        message: String,
        /// The answer's id.
        jti: Option<String>,
    },
    /// An irreversible request may or may not have had its effect. It is never sent again blindly.
    #[error("outcome unknown: {detail}")]
    InDoubt {
        /// What is known.
        detail: String,
        /// The HTTP status, when an answer began.
        status: Option<u16>,
        /// The answer's id, when it could be read.
        jti: Option<String>,
    },
    /// A safe GET brought no answer that can be used. It had no effect, and can be asked again later.
    #[error("no usable answer: {detail}")]
    Unavailable {
        /// What is known.
        detail: String,
        /// The HTTP status, when an answer began.
        status: Option<u16>,
        /// The answer's id, when it could be read.
        jti: Option<String>,
    },
}

impl UpstreamError {
    /// Nothing has left.
    pub(super) fn not_sent(detail: impl Display) -> Self {
        Self::NotSent { detail: clean(&detail.to_string(), MESSAGE_CHARS_MAX) }
    }

    /// Something has left, and what came back says nothing certain: doubt, unless the request could have no effect.
    pub(super) fn unclear(
        endpoint: &Endpoint,
        detail: impl Display,
        status: Option<u16>,
        jti: Option<&str>,
    ) -> Self {
        let detail = clean(&detail.to_string(), MESSAGE_CHARS_MAX);
        let jti = jti.map(clean_jti);
        if endpoint.is_irreversible() {
            Self::InDoubt { detail, status, jti }
        } else {
            Self::Unavailable { detail, status, jti }
        }
    }

    /// The request's outcome as the metrics label it. `Unavailable` has no label of its own: to a metric, it is a request
    /// whose outcome is unknown, like any other.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::Rejected { .. } => "rejected",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::InDoubt { .. } | Self::Unavailable { .. } => "in_doubt",
        }
    }

    /// The answer's id, for the ledger's attempt and for the upstream's support.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        match self {
            Self::Rejected { jti, .. }
            | Self::Unauthorized { jti, .. }
            | Self::InDoubt { jti, .. }
            | Self::Unavailable { jti, .. } => jti.as_deref(),
            Self::NotSent { .. } | Self::RateLimited { .. } => None,
        }
    }

    /// What a log may say of it. The upstream's own words are left out, for they may repeat what a customer has told; they
    /// stand with the order.
    #[must_use]
    pub fn logged(&self) -> String {
        match self {
            Self::NotSent { .. } | Self::RateLimited { .. } => self.to_string(),
            Self::Rejected { status, .. } => format!("refused with HTTP {status}"),
            Self::Unauthorized { status, .. } => format!("not authorised (HTTP {status})"),
            Self::InDoubt { detail, status, .. } => {
                format!("outcome unknown: {}", own_words(detail, *status))
            }
            Self::Unavailable { detail, status, .. } => {
                format!("no usable answer: {}", own_words(detail, *status))
            }
        }
    }

    /// The HTTP status, when an answer began.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Rejected { status, .. } | Self::Unauthorized { status, .. } => Some(*status),
            Self::InDoubt { status, .. } | Self::Unavailable { status, .. } => *status,
            Self::RateLimited { .. } => Some(429),
            Self::NotSent { .. } => None,
        }
    }
}

/// The detail of an answer that settles nothing but has words of the upstream's, which are the last in it.
pub(super) fn quoting(status: u16, words: &str) -> String {
    format!("HTTP {status}: {words}")
}

/// A detail without what [`quoting`] has quoted.
fn own_words(detail: &str, status: Option<u16>) -> String {
    match status {
        Some(status) if detail.starts_with(&quoting(status, "")) => format!("HTTP {status}"),
        Some(_) | None => detail.to_owned(),
    }
}

/// An answer's id, bounded.
pub(super) fn clean_jti(jti: &str) -> String {
    clean(jti, JTI_CHARS_MAX)
}

/// Why a client could not be built: always the configuration's fault, so it names the key to look at. No secret is shown.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL has a scheme that is neither https nor http.
    #[error("base_url: the scheme must be https, not {scheme}")]
    Scheme {
        /// The scheme that was given.
        scheme: String,
    },
    /// Clear text to a host that is not this machine.
    #[error(
        "base_url: http to {host} would send the key in clear text; use https, or set allow_http"
    )]
    ClearText {
        /// The host that was given.
        host: String,
    },
    /// The base URL holds what no base URL should.
    #[error("base_url: must have a host, and neither a user, a password, a query nor a fragment")]
    Shape,
    /// The key is empty, or holds what an HTTP header can't.
    #[error("the API key is empty or not printable ASCII")]
    Key,
    /// A timeout of nothing.
    #[error("timeout: must be longer than nothing, and at most an hour")]
    Timeout,
    /// The system's certificates could not be loaded.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be built.
    #[error("the HTTP client can't be built")]
    Client(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclear_is_doubt_only_where_there_may_be_an_effect() {
        let post = UpstreamError::unclear(&Endpoint::new("POST /x"), "d", Some(500), Some("j"));
        let get = UpstreamError::unclear(&Endpoint::new("GET /x"), "d", Some(500), Some("j"));
        assert!(matches!(post, UpstreamError::InDoubt { .. }));
        assert!(matches!(get, UpstreamError::Unavailable { .. }));
        for error in [post, get] {
            assert_eq!(error.outcome(), "in_doubt");
            assert_eq!((error.status(), error.jti()), (Some(500), Some("j")));
        }
    }

    #[test]
    fn details_are_bounded_and_clean() {
        let error = UpstreamError::not_sent(format!("a\n{}", "b".repeat(600)));
        let UpstreamError::NotSent { detail } = error else { panic!("not NotSent") };
        assert_eq!(detail.chars().count(), 500);
        assert!(detail.starts_with("a b"));
    }

    #[test]
    fn a_log_gets_none_of_the_upstreams_own_words() {
        let of = |endpoint, detail: &str, status| {
            UpstreamError::unclear(endpoint, detail, status, None).logged()
        };
        let (place, get) = (&Endpoint::new("POST /x"), &Endpoint::new("GET /x"));
        let said = quoting(500, "Bob is unknown");
        assert_eq!(of(place, &said, Some(500)), "outcome unknown: HTTP 500");
        assert_eq!(of(get, &said, Some(500)), "no usable answer: HTTP 500");
        assert_eq!(of(place, "reset by peer", None), "outcome unknown: reset by peer");
        let kept = "HTTP 200 with 12 bytes that are not as documented";
        assert_eq!(of(get, kept, Some(200)), format!("no usable answer: {kept}"));
        let message = "Bob is unknown".to_owned();
        let refused = UpstreamError::Rejected { status: 422, message, jti: None };
        assert_eq!(refused.logged(), "refused with HTTP 422");
        assert_eq!(refused.to_string(), "refused with HTTP 422: Bob is unknown");
    }
}

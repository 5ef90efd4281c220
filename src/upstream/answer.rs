//! An answer as it came over the wire, read to its end but not yet understood.

use std::{fmt, pin::pin, time::Duration};

use http::{HeaderMap, HeaderName, header, response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};

use super::{
    Secret,
    retry_after::retry_after,
    text::{MESSAGE_CHARS_MAX, clean},
};
use crate::{causes::causes, clock};

/// The most bytes of an answer's body, unless a listing is asked for.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of a listing's body.
pub(super) const LISTING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An answer whose head has arrived. Its body may still have failed on the way: a 401 or a 429 is one all the same.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long to wait, should the status be 429.
    pub retry_after: Duration,
    /// The whole body, or why there is none: cut off, too long, too late.
    pub body: Result<Bytes, String>,
    /// What the request bore that must not be shown, should the upstream quote it.
    secrets: Vec<Secret>,
}

impl Answer {
    /// Joins a head with what became of its body, and with the secrets that the request bore.
    pub(super) fn new(
        head: &response::Parts,
        body: Result<Bytes, String>,
        secrets: Vec<Secret>,
    ) -> Self {
        let retry_after = retry_after(
            text(&head.headers, &header::RETRY_AFTER),
            text(&head.headers, &header::DATE),
            clock::now(),
        );
        Self { status: head.status.as_u16(), retry_after, body, secrets }
    }

    /// Text of the upstream's, fit to be shown: its secrets masked before it is cut to its 500 characters.
    pub(super) fn quote(&self, text: &str) -> String {
        let masked = self.secrets.iter().fold(text.to_owned(), |text, s| s.masked_in(&text));
        clean(&masked, MESSAGE_CHARS_MAX)
    }
}

impl fmt::Debug for Answer {
    /// Without the body, which may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(|bytes| format!("{} bytes", bytes.len()));
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body", &body)
            .finish_non_exhaustive()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads a body to its end. It is counted while it streams, so that one without end is given up in time.
pub(super) async fn read_body<B>(body: B, bytes_max: usize) -> Result<Bytes, String>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + 'static,
{
    let mut body = pin!(body);
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| format!("the body broke off: {}", causes(&e)))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > bytes_max.saturating_sub(whole.len()) {
            return Err(format!("the body is longer than {bytes_max} bytes"));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn body_is_read_up_to_the_cap_and_not_beyond() {
        let body = || Full::new(Bytes::from_static(b"12345678"));
        assert_eq!(read_body(body(), 8).await.unwrap(), "12345678");
        assert_eq!(read_body(body(), 7).await.unwrap_err(), "the body is longer than 7 bytes");
    }
}

//! From a rendered mail to the bytes that go to the server: the same bytes at every attempt.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use lettre::{
    Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
};

use super::{clean::clean_header, template::Rendered};

/// The longest address that the contract accepts, in bytes (RFC 5321, 4.5.3.1.3, less the brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// The longest left part of a `Message-ID`. A boundary is made of it, which may have 70 characters.
const MESSAGE_ID_LEFT_CHARS_MAX: usize = 60;

/// A sender or a recipient, checked: mail can be sent to it. Its `Debug` shows nobody's data.
#[derive(Clone, Eq, PartialEq)]
pub struct Address {
    name: Option<String>,
    email: lettre::Address,
}

impl Address {
    /// An address with the name that is shown beside it. The name may be anything: what of it is fit
    /// for a header is kept. Of the email's domain, the A-labels are taken.
    pub fn new(name: Option<&str>, email: &str) -> Result<Self, MessageError> {
        let name = name.map(clean_header).filter(|name| !name.is_empty());
        Ok(Self { name, email: checked_email(email)? })
    }

    /// The email address.
    #[must_use]
    pub fn email(&self) -> &str {
        self.email.as_ref()
    }

    /// The name, cleaned.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The email address' domain, in A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.email.domain()
    }

    /// For the SMTP commands.
    pub(super) fn lettre(&self) -> &lettre::Address {
        &self.email
    }

    fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.name.clone(), self.email.clone())
    }
}

impl FromStr for Address {
    type Err = MessageError;

    /// As a person writes it: `bob@example.com`, or `Bob Brown <bob@example.com>`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, email)) => {
                let name = name.trim();
                let unquoted =
                    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
                Self::new(Some(unquoted), email)
            }
            None => Self::new(None, text),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Why a mail can't be composed. Every one is final: the same mail can't be composed later either.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// No mail can be sent to such an address. The address itself is not told: it is somebody's.
    #[error("the email address can't be used: {why}")]
    Address {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The left part of the `Message-ID` is no token.
    #[error(
        "the message id must be 1 to {MESSAGE_ID_LEFT_CHARS_MAX} letters, digits, hyphens and dots"
    )]
    MessageId,
    /// lettre refused what passed our own checks.
    #[error("the message can't be built")]
    Build {
        /// lettre's reason.
        source: lettre::error::Error,
    },
}

/// A mail as it goes to the server. Its `Debug` shows neither addresses nor content.
#[derive(Clone, Eq, PartialEq)]
pub struct Composed {
    /// `MAIL FROM`.
    pub envelope_from: Address,
    /// `RCPT TO`.
    pub envelope_to: Address,
    /// The message, with CRLF line ends, without dot-stuffing.
    pub bytes: Vec<u8>,
    /// `<left@domain>`, the same at every attempt, so that a recipient's server can drop a second copy.
    pub message_id: String,
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composed")
            .field("message_id", &self.message_id)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Composes `rendered` into a message. `date` is given, so that a repetition is byte for byte the same.
pub fn compose(
    from: &Address,
    to: &Address,
    rendered: &Rendered,
    message_id_left: &str,
    date: DateTime<Utc>,
) -> Result<Composed, MessageError> {
    check_message_id_left(message_id_left)?;
    let message_id = format!("<{message_id_left}@{}>", from.domain());
    let body = MultiPart::alternative()
        .boundary(format!("=_{message_id_left}"))
        .singlepart(part(ContentType::TEXT_PLAIN, &rendered.text))
        .singlepart(part(ContentType::TEXT_HTML, &rendered.html));
    // Given, so that lettre doesn't read it back out of the header, where it misses odd names.
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.email.clone()])
        .map_err(|source| MessageError::Build { source })?;
    let message = Message::builder()
        .envelope(envelope)
        .from(from.mailbox())
        .to(to.mailbox())
        .subject(clean_header(&rendered.subject))
        .message_id(Some(message_id.clone()))
        .date(system_time(date))
        .header(AutoSubmitted)
        .multipart(body)
        .map_err(|source| MessageError::Build { source })?;
    Ok(Composed {
        envelope_from: from.clone(),
        envelope_to: to.clone(),
        bytes: message.formatted(),
        message_id,
    })
}

fn part(content_type: ContentType, text: &str) -> SinglePart {
    // NUL may not stand in a message in any encoding (RFC 5322, 4.1).
    SinglePart::builder().content_type(content_type).body(text.replace('\0', ""))
}

/// Whole seconds from 1970 to 9999, outside of which lettre's formatting panics.
fn system_time(date: DateTime<Utc>) -> SystemTime {
    const LAST_SECOND: i64 = 253_402_300_799;
    let seconds = u64::try_from(date.timestamp().clamp(0, LAST_SECOND)).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn check_message_id_left(left: &str) -> Result<(), MessageError> {
    let fits = (1..=MESSAGE_ID_LEFT_CHARS_MAX).contains(&left.len())
        && left.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && !left.starts_with('.')
        && !left.ends_with('.')
        && !left.contains("..");
    if fits { Ok(()) } else { Err(MessageError::MessageId) }
}

/// Stricter than lettre, which accepts `a@b`, addresses at an IP address, and quoted local parts.
fn checked_email(email: &str) -> Result<lettre::Address, MessageError> {
    let refused = |why| MessageError::Address { why };
    if email.is_empty() {
        return Err(refused("it is empty"));
    }
    if email.len() > EMAIL_BYTES_MAX {
        return Err(refused("it is longer than 254 bytes"));
    }
    if email.chars().any(|c| c.is_control() || c.is_whitespace()) || clean_header(email) != email {
        return Err(refused("it contains white space, a control character or an invisible one"));
    }
    let (local, domain) = email.rsplit_once('@').ok_or(refused("it has no @"))?;
    if local.contains(['@', '"', '<', '>', '\\']) {
        return Err(refused("its local part is quoted or has a second @"));
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| refused("its domain is not one"))?;
    if !domain.contains('.') {
        return Err(refused("its domain has no dot"));
    }
    // A top-level domain has a letter; an IP address has none at its end (RFC 3696, 2).
    if !domain.rsplit('.').next().is_some_and(|tld| tld.contains(|c: char| c.is_ascii_alphabetic()))
    {
        return Err(refused("its domain is not one"));
    }
    lettre::Address::new(local, &domain).map_err(|_| refused("it is malformed"))
}

/// `Auto-Submitted: auto-generated` (RFC 3834): no vacation notice shall answer.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests;

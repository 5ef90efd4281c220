//! What went wrong, in which phase, and what that means for the mail.

use std::{error::Error as _, fmt};

use lettre::transport::smtp;

use crate::mail::{clean::clean, message::Composed};

/// The longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 200;

/// How far a send had got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Waiting for a connection, resolving the name, TCP.
    Connect,
    /// The greeting and EHLO.
    Hello,
    /// STARTTLS and the TLS handshake.
    Tls,
    /// AUTH.
    Auth,
    /// MAIL and RCPT.
    Envelope,
    /// DATA, and the body up to the final dot.
    Data,
    /// The final dot may have been sent: the server may have the mail.
    AfterDot,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Envelope => "envelope",
            Self::Data => "data",
            Self::AfterDot => "after the final dot",
        })
    }
}

/// What a failure means for the mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Not sent; may succeed later.
    Temporary,
    /// Not sent, and this mail never will be: the server refuses it or its recipient.
    Permanent,
    /// It may have been sent. Sending it again, with its same `Message-ID`, is the best that SMTP
    /// allows.
    InDoubt,
}

/// A mail was not sent, or may not have been.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("SMTP, {phase}: {detail}{}", code.map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct SendError {
    /// How far it had got.
    pub phase: Phase,
    /// What that means for the mail.
    pub kind: Kind,
    /// The server's reply code, if it answered.
    pub code: Option<u16>,
    /// The server's words or the system's: one line, bounded, without addresses.
    pub detail: String,
}

impl SendError {
    /// A failure that has to do with the connection or the server, not with the mail.
    pub(super) fn temporary(phase: Phase, detail: &str) -> Self {
        Self { phase, kind: Kind::Temporary, code: None, detail: presentable(detail, None) }
    }

    /// Whether the session behind it may be used on: the server answered, and did not say goodbye.
    pub(super) fn leaves_session_usable(&self) -> bool {
        self.code.is_some_and(|code| code != SHUTTING_DOWN)
    }
}

/// 421: the server closes the connection (RFC 5321, 3.8).
const SHUTTING_DOWN: u16 = 421;

/// Refusals that concern us and the server, in whatever phase they come: a command it doesn't know or
/// expect, a host that takes no mail, a login that it wants first. To give a mail up for these would
/// give all mails up for one wrong setting.
const ABOUT_THE_SERVER: [u16; 9] = [500, 502, 503, 504, 521, 530, 534, 535, 538];

/// Whose fault a refusal (5xx) of a step is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blame {
    /// The server's condition or our configuration: later mails would fare the same.
    Server,
    /// This mail's.
    Mail,
}

/// What ended a step.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Its deadline passed.
    TimedOut,
    /// lettre's error: a refusal, a broken connection, an answer that is none.
    Smtp(smtp::Error),
    /// An answer that is positive but not the one that the step asks for.
    OutOfStep(u16),
}

impl Trouble {
    /// As the error of this phase.
    pub(super) fn at(self, phase: Phase, blame: Blame, mail: Option<&Composed>) -> SendError {
        let (code, detail) = match &self {
            Self::TimedOut => (None, "no answer within the deadline".to_owned()),
            Self::OutOfStep(code) => (None, format!("unexpected answer {code}")),
            Self::Smtp(error) => (error.status().map(u16::from), words(error)),
        };
        SendError {
            phase,
            kind: kind(phase, blame, code),
            code,
            detail: presentable(&detail, mail),
        }
    }
}

fn kind(phase: Phase, blame: Blame, code: Option<u16>) -> Kind {
    match code {
        None if phase == Phase::AfterDot => Kind::InDoubt,
        Some(code @ 500..) if blame == Blame::Mail && !ABOUT_THE_SERVER.contains(&code) => {
            Kind::Permanent
        }
        _ => Kind::Temporary,
    }
}

/// The server's text for a refusal, which its `Display` would repeat the code before; else all of it.
fn words(error: &smtp::Error) -> String {
    match (error.status(), error.source()) {
        (Some(_), Some(text)) => text.to_string(),
        _ => error.to_string(),
    }
}

/// One bounded line without anybody's address: servers like to repeat whom they refuse.
pub(super) fn presentable(text: &str, mail: Option<&Composed>) -> String {
    let local = mail
        .and_then(|mail| mail.envelope_to.email().rsplit_once('@'))
        .map(|(local, _)| local.to_lowercase());
    let mut masked = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_boundary) {
        let word = piece.trim_end_matches(is_boundary);
        let rest = piece.get(word.len()..).unwrap_or_default();
        let is_address = word.contains('@') || local.as_deref() == Some(&word.to_lowercase());
        masked.push_str(if is_address { "[address]" } else { word });
        masked.push_str(rest);
    }
    clean(&masked, DETAIL_CHARS_MAX)
}

/// What ends an address in running text.
fn is_boundary(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "<>()[]{},;:\"'".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_do_not_show_and_the_reason_does() {
        for (said, shown) in [
            (
                "5.1.1 <bob@example.com>: Recipient address rejected: User unknown",
                "5.1.1 <[address]>: Recipient address rejected: User unknown",
            ),
            ("rfc822;bob@example.com failed", "rfc822;[address] failed"),
            ("bounce+bob=40example.com@list.example", "[address]"),
            ("mailbox\u{202E} full\r\n", "mailbox full"),
            ("2.0.0 Ok: queued as 4F1C2", "2.0.0 Ok: queued as 4F1C2"),
            ("", ""),
        ] {
            assert_eq!(presentable(said, None), shown);
        }
        assert_eq!(presentable(&"x".repeat(5000), None).chars().count(), 200);
    }

    #[test]
    fn a_refusal_is_final_only_if_it_is_about_the_mail() {
        for (phase, blame, code, expected) in [
            (Phase::Connect, Blame::Server, None, Kind::Temporary),
            (Phase::Hello, Blame::Server, Some(554), Kind::Temporary),
            (Phase::Auth, Blame::Server, Some(535), Kind::Temporary),
            (Phase::Envelope, Blame::Server, Some(550), Kind::Temporary),
            (Phase::Envelope, Blame::Mail, Some(550), Kind::Permanent),
            (Phase::Envelope, Blame::Mail, Some(450), Kind::Temporary),
            (Phase::Envelope, Blame::Mail, Some(421), Kind::Temporary),
            (Phase::Envelope, Blame::Mail, Some(530), Kind::Temporary),
            (Phase::Envelope, Blame::Mail, None, Kind::Temporary),
            (Phase::Data, Blame::Mail, Some(554), Kind::Permanent),
            (Phase::Data, Blame::Mail, None, Kind::Temporary),
            (Phase::AfterDot, Blame::Mail, Some(554), Kind::Permanent),
            (Phase::AfterDot, Blame::Mail, Some(451), Kind::Temporary),
            (Phase::AfterDot, Blame::Mail, None, Kind::InDoubt),
        ] {
            assert_eq!(kind(phase, blame, code), expected, "{phase} {blame:?} {code:?}");
        }
    }
}

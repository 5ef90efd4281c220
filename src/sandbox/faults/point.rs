//! Where a fault can strike.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::sandbox::{leanstack, ljpc::endpoint::Endpoint};

/// A step of an SMTP session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Phase {
    /// Before the greeting.
    Connect,
    /// EHLO or HELO.
    Ehlo,
    Mail,
    Rcpt,
    Data,
    /// The whole message has come, and its sender waits for the answer.
    Final,
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::Connect, Self::Ehlo, Self::Mail, Self::Rcpt, Self::Data, Self::Final];
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Point {
    /// Every HTTP endpoint.
    AnyHttp,
    /// Every endpoint of LJPc.
    AnyLjpc,
    /// One of LJPc.
    Http(Endpoint),
    /// Every endpoint of Leanstack.
    AnyLeanstack,
    /// One of Leanstack.
    Leanstack(leanstack::Endpoint),
    Smtp(Phase),
}

impl Point {
    fn all() -> impl Iterator<Item = Self> {
        [Self::AnyHttp, Self::AnyLjpc, Self::AnyLeanstack]
            .into_iter()
            .chain(Endpoint::ALL.into_iter().map(Self::Http))
            .chain(leanstack::Endpoint::ALL.into_iter().map(Self::Leanstack))
            .chain(Phase::ALL.into_iter().map(Self::Smtp))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyHttp => f.write_str("*"),
            Self::AnyLjpc => f.write_str("LJPc *"),
            Self::AnyLeanstack => f.write_str("Leanstack *"),
            Self::Http(endpoint) => endpoint.fmt(f),
            Self::Leanstack(endpoint) => endpoint.fmt(f),
            Self::Smtp(phase) => f.write_str(match phase {
                Phase::Connect => "SMTP connect",
                Phase::Ehlo => "SMTP EHLO",
                Phase::Mail => "SMTP MAIL",
                Phase::Rcpt => "SMTP RCPT",
                Phase::Data => "SMTP DATA",
                Phase::Final => "SMTP final",
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::all().find(|point| point.to_string() == text).ok_or_else(|| {
            let known: Vec<String> = Self::all().map(|point| format!("`{point}`")).collect();
            let text: String = text.chars().take(80).collect();
            D::Error::custom(format!(
                "unknown endpoint `{text}`, expected one of {}",
                known.join(", ")
            ))
        })
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

//! `email.smtp_url`.

use std::{fmt, net::IpAddr, str::FromStr};

use url::Url;

use crate::host::is_this_machine;

/// Which server, how encrypted, as whom. `Debug` and `Display` hide the password.
#[derive(Clone, Eq, PartialEq)]
pub struct SmtpSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) credentials: Option<(String, String)>,
}

/// How a connection is protected. There is no "if the server offers it": whoever listens in could
/// take the offer away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encryption {
    /// TLS from the first byte: `smtps://`.
    Implicit,
    /// STARTTLS, or no mail: `smtp://…?tls=required`.
    StartTls,
    /// None, to this machine only: `smtp://localhost`.
    ClearToLoopback,
    /// None, wherever the server is: `smtp://…?tls=none`.
    ClearAnywhere,
}

/// Why an `email.smtp_url` can't be used. Never tells the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No URL at all.
    #[error("not a URL; it must look like smtps://user:password@mail.example.com")]
    NoUrl(#[from] url::ParseError),
    /// A URL of something else.
    #[error("the scheme must be smtp:// or smtps://")]
    Scheme,
    /// The host is missing or not one.
    #[error("the host must be a name or an IP address")]
    Host,
    /// Something follows the host that SMTP has no use for.
    #[error("after the host only a port and ?tls=required or ?tls=none may follow")]
    Rest,
    /// A user without a password or the reverse, or bytes that are no text.
    #[error("user and password must both be given or neither, percent-encoded as UTF-8")]
    Credentials,
    /// `smtps://` with `?tls=none`.
    #[error("smtps:// is always encrypted: use smtp:// for ?tls=none")]
    Contradiction,
    /// Clear text to another machine, not asked for in so many words.
    #[error(
        "smtp:// to another machine would send mails and password in clear text: use smtps://, \
         or add ?tls=required for STARTTLS, or ?tls=none if clear text is meant"
    )]
    ClearText,
    /// The system's certificates can't be read.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
    /// The name for EHLO is no domain name.
    #[error("the name to greet the server with must be a domain name")]
    HelloName,
}

impl SmtpSettings {
    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; by default 465 for `smtps://`, 587 with `?tls=required`, else 25.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How connections are protected.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }
}

impl FromStr for SmtpSettings {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text.trim())?;
        let implicit = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(SettingsError::Scheme),
        };
        let host = host(&url)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SettingsError::Rest);
        }
        let encryption = match (implicit, tls_parameter(&url)?) {
            (true, Some(Tls::None)) => return Err(SettingsError::Contradiction),
            (true, _) => Encryption::Implicit,
            (false, Some(Tls::Required)) => Encryption::StartTls,
            (false, Some(Tls::None)) => Encryption::ClearAnywhere,
            (false, None) if is_loopback(&host) => Encryption::ClearToLoopback,
            (false, None) => return Err(SettingsError::ClearText),
        };
        let port = url.port().unwrap_or(match encryption {
            Encryption::Implicit => 465,
            Encryption::StartTls => 587,
            Encryption::ClearToLoopback | Encryption::ClearAnywhere => 25,
        });
        if port == 0 {
            return Err(SettingsError::Rest);
        }
        Ok(Self { host, port, encryption, credentials: credentials(&url)? })
    }
}

enum Tls {
    Required,
    None,
}

/// The value of `?tls=`, of which there may be one, and nothing beside it.
fn tls_parameter(url: &Url) -> Result<Option<Tls>, SettingsError> {
    match url.query() {
        None | Some("") => Ok(None),
        Some("tls=required") => Ok(Some(Tls::Required)),
        Some("tls=none") => Ok(Some(Tls::None)),
        Some(_) => Err(SettingsError::Rest),
    }
}

fn host(url: &Url) -> Result<String, SettingsError> {
    let host = url.host_str().ok_or(SettingsError::Host)?.to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    if bare.parse::<IpAddr>().is_ok() || is_name(bare) {
        Ok(bare.to_owned())
    } else {
        Err(SettingsError::Host)
    }
}

/// A host name of letters, digits, hyphens and dots (some have an underscore, as in Docker).
pub(super) fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

fn is_loopback(host: &str) -> bool {
    host.ends_with(".localhost") || is_this_machine(host)
}

fn credentials(url: &Url) -> Result<Option<(String, String)>, SettingsError> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(SettingsError::Credentials),
        (user, Some(password)) => {
            let decoded = (percent_decoded(user)?, percent_decoded(password)?);
            Ok(Some(decoded))
        }
    }
}

fn percent_decoded(text: &str) -> Result<String, SettingsError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
            let (high, low) =
                digit(bytes.next()).zip(digit(bytes.next())).ok_or(SettingsError::Credentials)?;
            decoded.push(u8::try_from(high * 16 + low).map_err(|_| SettingsError::Credentials)?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| SettingsError::Credentials)
}

impl fmt::Display for SmtpSettings {
    /// The URL with the password masked, for `config show`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, query) = match self.encryption {
            Encryption::Implicit => ("smtps", ""),
            Encryption::StartTls => ("smtp", "?tls=required"),
            Encryption::ClearToLoopback => ("smtp", ""),
            Encryption::ClearAnywhere => ("smtp", "?tls=none"),
        };
        let user = if self.credentials.is_some() { "***:***@" } else { "" };
        let host = &self.host;
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{user}{open}{host}{close}:{}{query}", self.port)
    }
}

impl fmt::Debug for SmtpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpSettings({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<SmtpSettings, SettingsError> {
        url.parse()
    }

    #[test]
    fn reads_every_form_that_the_contract_knows() {
        for (url, shown) in [
            ("smtps://mail.example.com", "smtps://mail.example.com:465"),
            ("smtps://mail.example.com?tls=required", "smtps://mail.example.com:465"),
            ("smtp://Mail.Example.com/?tls=required", "smtp://mail.example.com:587?tls=required"),
            ("smtp://192.0.2.7:2525?tls=none", "smtp://192.0.2.7:2525?tls=none"),
            ("smtp://localhost", "smtp://localhost:25"),
            ("smtp://127.0.0.1:1025", "smtp://127.0.0.1:1025"),
            ("smtp://[::1]:1025", "smtp://[::1]:1025"),
            ("smtp://mail_catcher:1025?tls=none", "smtp://mail_catcher:1025?tls=none"),
            (
                "smtps://bob%40example.com:s%3Acr%C3%A9t@[2001:db8::1]",
                "smtps://***:***@[2001:db8::1]:465",
            ),
        ] {
            assert_eq!(parse(url).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn decodes_user_and_password_and_shows_neither() {
        let settings = parse("smtps://bob%40example.com:s+%3Acr%C3%A9t@mail.example.com").unwrap();
        assert_eq!(
            settings.credentials,
            Some(("bob@example.com".to_owned(), "s+:crét".to_owned()))
        );
        let shown = format!("{settings:?} {settings}");
        assert!(!shown.contains("bob") && !shown.contains("cr"), "{shown}");
    }

    #[test]
    fn refuses_clear_text_that_was_not_asked_for_and_says_how_to_ask() {
        for url in ["smtp://mail.example.com", "smtp://192.0.2.7:25", "smtp://localhost.example"] {
            let error = parse(url).unwrap_err().to_string();
            for cure in ["smtps://", "?tls=required", "?tls=none"] {
                assert!(error.contains(cure), "{error}");
            }
        }
    }

    #[test]
    fn refuses_everything_else_without_repeating_it() {
        for url in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtps://:secret@mail.example.com",
            "smtps://user@mail.example.com",
            "smtps://user:%ff@mail.example.com",
            "smtps://user:%4@mail.example.com",
            "smtps://mail.example.com/inbox",
            "smtps://mail.example.com#secret",
            "smtps://mail.example.com:0",
            "smtps://mail.example.com?tls=none",
            "smtp://localhost?tls=opportunistic",
            "smtp://localhost?tls=required&tls=none",
            "smtp://localhost?password=secret",
            "smtp://b%C3%BCcher.example?tls=none",
            "smtp://mail..example.com?tls=none",
        ] {
            let error = parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
    }
}

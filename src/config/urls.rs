//! URLs: what they may be, and where clear text may go. What is said against one never quotes it.

use url::{Host, Url};

use crate::host::is_this_machine;

/// A URL by which sqlx may connect.
pub(super) fn check_database_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    match url.scheme() {
        "postgres" | "postgresql" => {}
        _ => return Err("does not begin with postgres://"),
    }
    // As sqlx reads them: the last one of several names counts.
    let said = |names: &[&str]| {
        url.query_pairs().filter_map(|(key, value)| names.contains(&&*key).then_some(value)).last()
    };
    let host = said(&["host", "hostaddr"]);
    let host = host.as_deref().or(url.host_str()).unwrap_or_default();
    let is_here = host.is_empty() || host.starts_with('/') || is_this_machine(host);
    match said(&["sslmode", "ssl-mode"]).as_deref() {
        None | Some("verify-full" | "disable") => Ok(()),
        Some(_) if is_here => Ok(()),
        Some(_) => Err("asks for TLS that does not verify the other machine: write \
                        sslmode=verify-full (which is the default), or disable if clear text is meant"),
    }
}

/// The address of an upstream; `http_beyond`: may it be http beyond this machine?
pub(super) fn parse_base_url(text: &str, http_beyond: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "is not a URL")?;
    match url.scheme() {
        "https" => {}
        "http" if http_beyond || is_loopback(&url) => {}
        "http" => return Err("is http to another machine: the key would go in clear text"),
        _ => return Err("is neither https nor http"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a query or a fragment");
    }
    Ok(url)
}

/// A URL by which mail may be handed over, in clear text only where that was asked for.
pub(super) fn check_smtp_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let mut tls = None;
    for (name, value) in url.query_pairs() {
        match (name.as_ref(), value.as_ref()) {
            ("tls", "required") if tls.is_none() => tls = Some(true),
            ("tls", "none") if tls.is_none() => tls = Some(false),
            ("tls", _) => return Err("has a tls that is neither required nor none, or has two"),
            _ => return Err("holds another parameter than tls"),
        }
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    match (url.scheme(), tls) {
        ("smtps", None | Some(true)) | ("smtp", Some(_)) => Ok(()),
        ("smtps", Some(false)) => Err("contradicts itself: smtps with tls=none"),
        ("smtp", None) if is_loopback(&url) => Ok(()),
        ("smtp", None) => Err("is clear text to another machine"),
        _ => Err("is neither smtp nor smtps"),
    }
}

/// Does it lead to this machine, whatever the name service says?
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // Of schemes that the standard does not know, such as smtp, url leaves an IPv4 address a name.
        Some(Host::Domain(name)) => {
            let name = name.to_ascii_lowercase();
            name.ends_with(".localhost") || is_this_machine(&name)
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

//! Where an upstream lives: its base URL, checked once.

use std::net::SocketAddr;

use url::{Host, Url};

use super::BuildError;

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// A base URL, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Whether TLS is spoken.
    pub https: bool,
    /// The host as a name or an address.
    pub host: Host<String>,
    port: u16,
    /// The Host header: the host, and the port unless it is the scheme's own.
    pub authority: String,
    /// What the base URL's path puts before every path; without a slash at its end.
    prefix: String,
}

impl Origin {
    /// Takes a base URL apart, and refuses one that would send the key in clear text over a network.
    pub(super) fn new(base: &Url, allow_http: bool) -> Result<Self, BuildError> {
        let host = base.host().ok_or(BuildError::Shape)?.to_owned();
        let https = match base.scheme() {
            "https" => true,
            "http" if allow_http || is_loopback(&host) => false,
            "http" => return Err(BuildError::ClearText { host: host.to_string() }),
            other => return Err(BuildError::Scheme { scheme: other.to_owned() }),
        };
        let plain = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        if !plain {
            return Err(BuildError::Shape);
        }
        Ok(Self {
            https,
            authority: base
                .port()
                .map_or_else(|| host.to_string(), |port| format!("{host}:{port}")),
            port: base.port_or_known_default().ok_or(BuildError::Shape)?,
            host,
            prefix: base.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The request target of a path: what stands in the request line.
    pub(super) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The whole URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target(path))
    }

    /// Every address of the host, at most 16.
    pub(super) async fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok(match &self.host {
            Host::Ipv4(ip) => vec![SocketAddr::new((*ip).into(), self.port)],
            Host::Ipv6(ip) => vec![SocketAddr::new((*ip).into(), self.port)],
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), self.port))
                .await?
                .take(ADDRESSES_MAX)
                .collect(),
        })
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str, allow_http: bool) -> Result<Origin, String> {
        Origin::new(&Url::parse(url).unwrap(), allow_http).map_err(|e| e.to_string())
    }

    #[test]
    fn base_url_is_kept_before_every_path() {
        for (base, url) in [
            ("https://ljpc.example", "https://ljpc.example/x?y=1"),
            ("https://ljpc.example:443/", "https://ljpc.example/x?y=1"),
            ("https://ljpc.example:8443/pre/fix/", "https://ljpc.example:8443/pre/fix/x?y=1"),
            ("http://[::1]:8080", "http://[::1]:8080/x?y=1"),
        ] {
            assert_eq!(origin(base, false).unwrap().url("/x?y=1"), url);
        }
    }

    #[test]
    fn clear_text_goes_to_this_machine_only() {
        for base in ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]"] {
            assert!(!origin(base, false).unwrap().https);
        }
        for base in ["http://ljpc.example", "http://192.0.2.1", "http://localhost.example"] {
            assert!(origin(base, false).unwrap_err().contains("allow_http"), "{base}");
            assert!(!origin(base, true).unwrap().https);
        }
    }

    #[test]
    fn strange_urls_are_refused() {
        for base in [
            "ftp://ljpc.example",
            "data:text/plain,x",
            "https://bob@ljpc.example",
            "https://:pw@ljpc.example",
            "https://ljpc.example/?a=b",
            "https://ljpc.example/#a",
        ] {
            assert!(origin(base, true).is_err(), "{base}");
        }
    }
}

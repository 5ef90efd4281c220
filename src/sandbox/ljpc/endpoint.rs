//! Which endpoints there are, by method and path as the document writes them.

use std::{fmt, str::FromStr};

/// An endpoint of the simulated API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Endpoint {
    GetProducts,
    PostOrders,
    GetOrder,
    GetSites,
    GetSite,
    GetSiteLogin,
    GetTlds,
    GetCheck,
    GetPrice,
    GetDomains,
    PostDomains,
    GetDomain,
    PatchDomain,
    PostTransfer,
    GetAuthCode,
    GetContacts,
    PostContacts,
    GetContact,
    PatchContact,
    GetZone,
    PutZone,
}

impl Endpoint {
    /// All of them; where two paths fit a request, the first counts.
    pub(in crate::sandbox) const ALL: [Self; 21] = [
        Self::GetProducts,
        Self::PostOrders,
        Self::GetOrder,
        Self::GetSites,
        Self::GetSite,
        Self::GetSiteLogin,
        Self::GetTlds,
        Self::GetCheck,
        Self::GetPrice,
        Self::GetDomains,
        Self::PostDomains,
        Self::GetDomain,
        Self::PatchDomain,
        Self::PostTransfer,
        Self::GetAuthCode,
        Self::GetContacts,
        Self::PostContacts,
        Self::GetContact,
        Self::PatchContact,
        Self::GetZone,
        Self::PutZone,
    ];

    fn method(self) -> &'static str {
        self.parts().0
    }

    fn path(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::GetProducts => ("GET", "/api/v1/products"),
            Self::PostOrders => ("POST", "/api/v1/orders"),
            Self::GetOrder => ("GET", "/api/v1/orders/{id}"),
            Self::GetSites => ("GET", "/api/hosting/v1/sites"),
            Self::GetSite => ("GET", "/api/hosting/v1/sites/{id}"),
            Self::GetSiteLogin => ("GET", "/api/hosting/v1/sites/{id}/login"),
            Self::GetTlds => ("GET", "/api/hosting/v1/tlds"),
            Self::GetCheck => ("GET", "/api/hosting/v1/domain-names/check"),
            Self::GetPrice => ("GET", "/api/hosting/v1/domain-names/price"),
            Self::GetDomains => ("GET", "/api/hosting/v1/domain-names"),
            Self::PostDomains => ("POST", "/api/hosting/v1/domain-names"),
            Self::GetDomain => ("GET", "/api/hosting/v1/domain-names/{domain}"),
            Self::PatchDomain => ("PATCH", "/api/hosting/v1/domain-names/{domain}"),
            Self::PostTransfer => ("POST", "/api/hosting/v1/domain-names/{domain}/transfer"),
            Self::GetAuthCode => ("GET", "/api/hosting/v1/domain-names/{domain}/authcode"),
            Self::GetContacts => ("GET", "/api/hosting/v1/contacts"),
            Self::PostContacts => ("POST", "/api/hosting/v1/contacts"),
            Self::GetContact => ("GET", "/api/hosting/v1/contacts/{handle}"),
            Self::PatchContact => ("PATCH", "/api/hosting/v1/contacts/{handle}"),
            Self::GetZone => ("GET", "/api/hosting/v1/dns/zones/{domain}/records"),
            Self::PutZone => ("PUT", "/api/hosting/v1/dns/zones/{domain}/records"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

impl FromStr for Endpoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|endpoint| endpoint.to_string() == text).ok_or(())
    }
}

/// Where a request goes.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Route<'a> {
    /// To this endpoint, with the path's variable segment.
    To(Endpoint, Option<&'a str>),
    /// The path exists, but for other methods; these.
    OtherMethod(Vec<&'static str>),
    /// There is no such path.
    Unknown,
}

/// Finds the endpoint of a request.
pub(in crate::sandbox) fn route<'a>(method: &str, path: &'a str) -> Route<'a> {
    let mut others = Vec::new();
    for endpoint in Endpoint::ALL {
        let Some(fit) = fit(endpoint.path(), path) else { continue };
        if endpoint.method() == method {
            return Route::To(endpoint, fit.parameter);
        }
        others.push(endpoint.method());
    }
    if others.is_empty() { Route::Unknown } else { Route::OtherMethod(others) }
}

/// A path that fits a pattern.
struct Fit<'a> {
    /// Its variable segment, if the pattern has one.
    parameter: Option<&'a str>,
}

fn fit<'a>(pattern: &str, path: &'a str) -> Option<Fit<'a>> {
    let mut parameter = None;
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') && !segment.is_empty() {
            parameter = Some(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(Fit { parameter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_name() {
        for endpoint in Endpoint::ALL {
            let parts = endpoint.path().split('/');
            let path: Vec<&str> =
                parts.map(|part| if part.starts_with('{') { "7" } else { part }).collect();
            let path = path.join("/");
            let parameter = endpoint.path().contains('{').then_some("7");
            assert_eq!(route(endpoint.method(), &path), Route::To(endpoint, parameter));
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }

    #[test]
    fn another_method_is_told_which_ones_there_are() {
        assert_eq!(route("DELETE", "/api/v1/orders/110"), Route::OtherMethod(vec!["GET"]));
        assert_eq!(route("GET", "/api/v1/orders"), Route::OtherMethod(vec!["POST"]));
    }

    #[test]
    fn a_word_goes_before_a_name() {
        let path = "/api/hosting/v1/domain-names/check";
        assert_eq!(route("GET", path), Route::To(Endpoint::GetCheck, None));
        assert_eq!(route("PATCH", path), Route::To(Endpoint::PatchDomain, Some("check")));
    }

    #[test]
    fn what_almost_fits_does_not() {
        for path in [
            "/",
            "",
            "/api/v1/orders/",
            "/api/v1/orders/1/2",
            "/api/v1/order",
            "/x/api/v1/orders",
            "/api/v1",
        ] {
            assert_eq!(route("GET", path), Route::Unknown, "{path}");
        }
    }
}

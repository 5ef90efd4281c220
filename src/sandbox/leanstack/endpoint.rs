//! Which endpoints there are.

use std::fmt;

/// An endpoint of the simulated API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Endpoint {
    Availability,
    Suggestion,
    /// Of the first edition.
    AddCustomer,
    /// Of the edition of 2022.
    Customer,
}

impl Endpoint {
    /// All of them.
    pub(in crate::sandbox) const ALL: [Self; 4] =
        [Self::Availability, Self::Suggestion, Self::AddCustomer, Self::Customer];

    fn path(self) -> &'static str {
        match self {
            Self::Availability => "/v1/enterprise/domain_availability",
            Self::Suggestion => "/v1/enterprise/domain_suggestion",
            Self::AddCustomer => "/v1/enterprise/add_customer",
            Self::Customer => "/v1/enterprise/customer",
        }
    }

    /// Whether it adds a customer.
    pub(in crate::sandbox) fn adds_customer(self) -> bool {
        matches!(self, Self::AddCustomer | Self::Customer)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST {}", self.path())
    }
}

/// Where a request goes.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Route {
    To(Endpoint),
    /// The path exists, but only for POST.
    OtherMethod,
    /// There is no such path.
    Unknown,
}

/// Finds the endpoint of a request.
pub(in crate::sandbox) fn route(method: &str, path: &str) -> Route {
    match Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path) {
        Some(endpoint) if method == "POST" => Route::To(endpoint),
        Some(_) => Route::OtherMethod,
        None => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_post_alone() {
        for endpoint in Endpoint::ALL {
            assert_eq!(route("POST", endpoint.path()), Route::To(endpoint));
            assert_eq!(route("GET", endpoint.path()), Route::OtherMethod);
            assert_eq!(endpoint.to_string(), format!("POST {}", endpoint.path()));
        }
        for path in ["/v1/rest/domain_suggestion", "/", "/v1/enterprise/customer/"] {
            assert_eq!(route("POST", path), Route::Unknown, "{path}");
        }
    }
}

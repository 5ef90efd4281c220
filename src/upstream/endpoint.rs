//! One endpoint of an upstream, as its document lists it.

use std::fmt::Write as _;

use http::Method;

use crate::order::name::DomainName;

/// An endpoint. The table of an upstream's endpoints is what its metrics' series are made from.
#[derive(Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Method and path as documented, for example `GET /api/v1/orders/{id}`.
    pub name: &'static str,
    /// The messages that the document shows beside a 403 for this endpoint: they refuse this one request, while any other
    /// 403 says that the key may not use the endpoint at all.
    pub refusals: &'static [&'static str],
    /// Whether a request to it has no effect, although its method could have one.
    safe: bool,
}

/// A value that can't be one segment of a path: empty, or `.` or `..`, which servers resolve even when escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the value is no path segment")]
pub struct UnfitSegment;

impl Endpoint {
    /// An endpoint whose document shows no 403.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, refusals: &[], safe: false }
    }

    /// The same endpoint with the messages that the document shows beside a 403.
    #[must_use]
    pub const fn refusing(self, refusals: &'static [&'static str]) -> Self {
        Self { name: self.name, refusals, safe: self.safe }
    }

    /// The same endpoint, of which the document says that it only looks something up, whatever its method.
    #[must_use]
    pub const fn safe(self) -> Self {
        Self { name: self.name, refusals: self.refusals, safe: true }
    }

    /// The method. A name that begins with none that we know is taken for a POST, which is treated the most carefully.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.name.split(' ').next() {
            Some("GET") => Method::GET,
            Some("PUT") => Method::PUT,
            Some("PATCH") => Method::PATCH,
            Some(_) | None => Method::POST,
        }
    }

    /// Whether a request to it may have an effect: everything but a GET, and but what is known to be safe.
    #[must_use]
    pub fn is_irreversible(&self) -> bool {
        !self.safe && self.method() != Method::GET
    }

    /// Whether what it is about may be somebody else's, which a 403 then says: it only looks at one thing.
    #[must_use]
    pub fn may_be_foreign(&self) -> bool {
        !self.is_irreversible() && self.template().contains('{')
    }

    /// The documented path, with its placeholder if it has one.
    #[must_use]
    pub fn template(&self) -> &'static str {
        self.name.split_once(' ').map_or(self.name, |(_, path)| path)
    }

    /// The path with `id` for its placeholder.
    #[must_use]
    pub fn path_of_id(&self, id: i64) -> String {
        self.fill(&id.to_string())
    }

    /// The path with `value`, escaped, for its placeholder.
    pub fn path_of(&self, value: &str) -> Result<String, UnfitSegment> {
        if matches!(value, "" | "." | "..") {
            return Err(UnfitSegment);
        }
        Ok(self.fill(&escaped(value)))
    }

    /// The path with `name` for its placeholder. A domain name has two labels at least, so it can't climb.
    #[must_use]
    pub fn path_of_name(&self, name: &DomainName) -> String {
        self.fill(&escaped(name.as_str()))
    }

    fn fill(&self, segment: &str) -> String {
        let template = self.template();
        let Some((before, rest)) = template.split_once('{') else {
            return template.to_owned();
        };
        let after = rest.split_once('}').map_or("", |(_, after)| after);
        format!("{before}{segment}{after}")
    }
}

/// `value` as one segment of a path.
fn escaped(value: &str) -> String {
    let mut segment = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _: Result<(), std::fmt::Error> = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: Endpoint = Endpoint::new("PUT /dns/zones/{domain}/records");

    #[test]
    fn name_tells_method_and_path() {
        assert_eq!(RECORDS.method(), Method::PUT);
        assert_eq!(RECORDS.template(), "/dns/zones/{domain}/records");
        assert!(RECORDS.is_irreversible());
        assert!(!Endpoint::new("GET /sites").is_irreversible());
        assert!(Endpoint::new("DELETE /sites").is_irreversible());
        let foreign = ["GET /sites/{id}", "GET /sites", "POST /sites/{id}", "POST /sites"]
            .map(|name| Endpoint::new(name).may_be_foreign());
        assert_eq!(foreign, [true, false, false, false]);
    }

    #[test]
    fn safe_endpoint_has_no_effect_whatever_its_method() {
        let search = Endpoint::new("POST /search").refusing(&["no"]).safe();
        assert_eq!((search.method(), search.is_irreversible()), (Method::POST, false));
        assert_eq!(search.refusals, ["no"]);
        assert!(!Endpoint::new("POST /search").safe().refusing(&[]).is_irreversible());
    }

    #[test]
    fn placeholder_is_filled_and_escaped() {
        for (value, path) in [
            ("example.nl", "/dns/zones/example.nl/records"),
            ("a/b?c#d e", "/dns/zones/a%2Fb%3Fc%23d%20e/records"),
            ("é%{", "/dns/zones/%C3%A9%25%7B/records"),
            ("...", "/dns/zones/.../records"),
        ] {
            assert_eq!(RECORDS.path_of(value).unwrap(), path);
        }
        assert_eq!(Endpoint::new("GET /sites/{id}").path_of_id(2019), "/sites/2019");
        let name = DomainName::parse("bücher.example").unwrap();
        assert_eq!(RECORDS.path_of_name(&name), "/dns/zones/xn--bcher-kva.example/records");
    }

    #[test]
    fn value_that_would_climb_is_refused() {
        for value in ["", ".", ".."] {
            assert_eq!(RECORDS.path_of(value), Err(UnfitSegment));
        }
    }
}

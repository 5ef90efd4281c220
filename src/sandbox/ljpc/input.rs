//! What a request brings, read as LJPc's framework reads it: what is null or empty is not there, a body that is no JSON
//! object is an empty one, and the first thing that is wrong is told.

use std::{borrow::Cow, ops::RangeInclusive};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{answer::Answer, query_value};
use crate::order::name::DomainName;

const PER_PAGE_DEFAULT: usize = 25;
const PER_PAGE_MAX: usize = 100;
/// Characters of one text, the framework's usual column.
const TEXT_MAX: usize = 255;

/// Why a request is refused: a status, and the envelope's message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) message: Cow<'static, str>,
}

impl Refused {
    /// 422: what was sent does not do.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.into() }
    }

    /// 404: there is no such thing, or it is somebody else's.
    pub(super) fn not_found(message: &'static str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// 403: it is somebody else's.
    pub(super) fn forbidden(message: &'static str) -> Self {
        Self { status: StatusCode::FORBIDDEN, message: message.into() }
    }

    /// 503: the sandbox holds all that it may.
    pub(super) fn full(what: &str, most: usize) -> Self {
        let message =
            format!("the sandbox holds {most} {what}, which is its most: start it anew").into();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::refusal(refused.status, &refused.message)
    }
}

/// A JSON body.
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) fn read(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Self(map),
            _ => Self(Map::new()),
        }
    }

    /// A value that is neither null nor an empty text.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A text, if it is given.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refused> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= TEXT_MAX => Ok(Some(text.clone())),
            Some(Value::String(_)) => Err(Refused::invalid(format!(
                "The {} field must not be greater than {TEXT_MAX} characters.",
                label(name)
            ))),
            Some(_) => Err(refused(name, "must be a string")),
        }
    }

    /// A text that must be given.
    pub(super) fn required_text(&self, name: &str) -> Result<String, Refused> {
        self.text(name)?.ok_or_else(|| refused(name, "is required"))
    }

    /// A boolean, if it is given.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(refused(name, "must be true or false")),
        }
    }

    /// A whole number in this range, if it is given.
    pub(super) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Refused> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| refused(name, "must be an integer"))?;
        let fits = u32::try_from(number).ok().filter(|number| range.contains(number));
        fits.map(Some).ok_or_else(|| {
            refused(name, &format!("must be between {} and {}", range.start(), range.end()))
        })
    }

    /// So many host names, in lower-case A-labels, if any are given.
    pub(super) fn hosts(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<Vec<String>>, Refused> {
        let hosts = match self.given(name) {
            None => return Ok(None),
            Some(Value::Array(hosts)) => hosts,
            Some(_) => return Err(refused(name, "must be an array")),
        };
        if !range.contains(&hosts.len()) {
            let what = format!("must have between {} and {} items", range.start(), range.end());
            return Err(refused(name, &what));
        }
        let read = hosts.iter().enumerate().map(|(at, host)| {
            host.as_str()
                .and_then(|host| DomainName::parse(host).ok())
                .map(|host| host.as_str().to_owned())
                .ok_or_else(|| refused(&format!("{name}.{at}"), "must be a valid hostname"))
        });
        read.collect::<Result<_, _>>().map(Some)
    }
}

/// `The postal code field …`: the framework tells of a field by its words.
fn refused(name: &str, what: &str) -> Refused {
    Refused::invalid(format!("The {} field {what}.", label(name)))
}

fn label(name: &str) -> String {
    name.replace('_', " ")
}

/// Which page of a listing is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Paging {
    /// From 1.
    pub(super) page: usize,
    pub(super) per_page: usize,
}

impl Paging {
    pub(super) fn read(query: &str) -> Result<Self, Refused> {
        let number = |name: &str, default: usize| match query_value(query, name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(0) => Err(refused(name, "must be at least 1")),
                Ok(n) => Ok(n),
                Err(_) => Err(refused(name, "must be an integer")),
            },
        };
        let (page, per_page) = (number("page", 1)?, number("per_page", PER_PAGE_DEFAULT)?);
        if per_page > PER_PAGE_MAX {
            return Err(refused("per_page", &format!("must not be greater than {PER_PAGE_MAX}")));
        }
        Ok(Self { page, per_page })
    }

    /// How many items lie before the page.
    pub(super) fn skip(self) -> usize {
        self.page.saturating_sub(1).saturating_mul(self.per_page)
    }
}

/// The values of a parameter that may be one (`domain=`) or an array (`domain[]=`, `domain[0]=`). As in PHP, an array
/// wins over a single value, and of single ones the last.
pub(super) fn query_values(query: &str, name: &str) -> Vec<String> {
    let array: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| {
            key.strip_prefix(name).is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']'))
        })
        .map(|(_, value)| value.into_owned())
        .collect();
    if array.is_empty() { query_value(query, name).into_iter().collect() } else { array }
}

/// A segment of a path, percent-decoded.
pub(in crate::sandbox) fn decoded(segment: &str) -> String {
    // A plus is a plus in a path, and an ampersand ends nothing.
    let query = format!("s={}", segment.replace('+', "%2B").replace('&', "%26"));
    query_value(&query, "s").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(json: &Value) -> Body {
        Body::read(json.to_string().as_bytes())
    }

    #[test]
    fn paging_has_defaults_and_limits() {
        assert_eq!(Paging::read(""), Ok(Paging { page: 1, per_page: 25 }));
        let far = Paging::read("page=3&per_page=100").unwrap();
        assert_eq!((far.page, far.per_page, far.skip()), (3, 100, 200));
        for query in ["page=0", "page=-1", "page=x", "per_page=0", "per_page=101", "per_page="] {
            assert!(Paging::read(query).is_err(), "{query}");
        }
        let message = Paging::read("per_page=101").unwrap_err().message;
        assert_eq!(message, "The per page field must not be greater than 100.");
    }

    #[test]
    fn a_parameter_is_one_value_or_an_array() {
        for (query, values) in [
            ("domain=a.nl", vec!["a.nl"]),
            ("domain=a.nl&domain=b.nl", vec!["b.nl"]),
            ("domain[]=a.nl&domain%5B%5D=b.nl", vec!["a.nl", "b.nl"]),
            ("domain[0]=a.nl&domain=c.nl", vec!["a.nl"]),
            ("domains=a.nl&x[]=b.nl", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(query_values(query, "domain"), values, "{query}");
        }
    }

    #[test]
    fn a_path_is_decoded_and_its_plus_stays() {
        for (segment, text) in
            [("b%C3%BCcher.nl", "bücher.nl"), ("a+b&c%2Fd", "a+b&c/d"), ("plain.nl", "plain.nl")]
        {
            assert_eq!(decoded(segment), text);
        }
    }

    #[test]
    fn fields_are_refused_in_the_framework_s_words() {
        let body = body(&json!({"n": 1, "long_text": "x".repeat(256), "flag": "yes", "years": 11,
            "half": 1.5, "hosts": ["a.nl"], "bad": ["ns1.example.nl", "-"], "none": null, "": ""}));
        for (refused, message) in [
            (body.text("n").unwrap_err(), "The n field must be a string."),
            (
                body.text("long_text").unwrap_err(),
                "The long text field must not be greater than 255 characters.",
            ),
            (body.required_text("none").unwrap_err(), "The none field is required."),
            (body.flag("flag").unwrap_err(), "The flag field must be true or false."),
            (
                body.number("years", 1..=10).unwrap_err(),
                "The years field must be between 1 and 10.",
            ),
            (body.number("half", 1..=10).unwrap_err(), "The half field must be an integer."),
            (
                body.hosts("hosts", 2..=4).unwrap_err(),
                "The hosts field must have between 2 and 4 items.",
            ),
            (body.hosts("flag", 2..=4).unwrap_err(), "The flag field must be an array."),
            (body.hosts("bad", 2..=4).unwrap_err(), "The bad.1 field must be a valid hostname."),
        ] {
            assert_eq!(refused, Refused::invalid(message));
        }
    }

    #[test]
    fn what_is_no_object_is_an_empty_body() {
        for bytes in [&b"{oops"[..], b"[]", b"", b"null"] {
            assert!(Body::read(bytes).text("name").unwrap().is_none());
        }
    }
}

//! Answers as LJPc gives them: the envelope, a fresh `jti` in each, money as the endpoint at hand writes it.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;
use uuid::Uuid;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");

/// A whole answer, before a fault may have mangled it.
#[derive(Debug)]
pub(in crate::sandbox) struct Answer {
    pub(in crate::sandbox) status: StatusCode,
    pub(in crate::sandbox) headers: HeaderMap,
    pub(in crate::sandbox) body: Vec<u8>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the envelope's own names")]
struct Success<'a, T> {
    success: bool,
    jti: Uuid,
    data: &'a T,
}

#[derive(Serialize)]
struct Refusal<'a> {
    success: bool,
    jti: Uuid,
    message: &'a str,
}

impl Answer {
    /// `{ "success": true, "jti": …, "data": … }`
    pub(in crate::sandbox) fn data(status: StatusCode, data: &impl Serialize) -> Self {
        let jti = Uuid::new_v4();
        Self::enveloped(status, jti, &Success { success: true, jti, data })
    }

    /// `{ "success": false, "jti": …, "message": … }`
    pub(in crate::sandbox) fn refusal(status: StatusCode, message: &str) -> Self {
        let jti = Uuid::new_v4();
        Self::enveloped(status, jti, &Refusal { success: false, jti, message })
    }

    /// 422 with this message.
    pub(in crate::sandbox) fn unprocessable(message: &str) -> Self {
        Self::refusal(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 404 with this message.
    pub(in crate::sandbox) fn not_found(message: &str) -> Self {
        Self::refusal(StatusCode::NOT_FOUND, message)
    }

    /// JSON without the envelope.
    pub(in crate::sandbox) fn raw(status: StatusCode, payload: &impl Serialize) -> Self {
        match serde_json::to_vec(payload) {
            Ok(body) => Self::bytes(status, JSON, body),
            // Our own types always serialise; an empty 500 is what a client would see if one ever did not.
            Err(_) => Self::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// A page, as a proxy in front of the API would send one.
    pub(in crate::sandbox) fn html(status: StatusCode, page: String) -> Self {
        Self::bytes(status, HTML, page.into_bytes())
    }

    /// No body at all.
    pub(in crate::sandbox) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// The same with one more header.
    pub(in crate::sandbox) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn enveloped(status: StatusCode, jti: Uuid, envelope: &impl Serialize) -> Self {
        let answer = Self::raw(status, envelope);
        // A stand-in for LJPc's JWT: it names the jti, and nobody could take it for signed.
        match HeaderValue::try_from(format!("sandbox.{}.unsigned", jti.simple())) {
            Ok(value) => answer.with(HeaderName::from_static("x-validation"), value),
            Err(_) => answer,
        }
    }

    fn bytes(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Self {
        let answer = Self { status, headers: HeaderMap::new(), body };
        answer.with(header::CONTENT_TYPE, content_type)
    }
}

/// An amount as orders and TLDs write it: a JSON number, as PHP prints one (4.99, 49.9, 5). Written from its digits, so
/// that no float comes near it.
pub(super) fn json_number<S: Serializer>(amount: &Decimal, to: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(amount.normalize().to_string()).map_err(S::Error::custom)?.serialize(to)
}

/// [`json_number`], or null.
#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
pub(super) fn json_number_or_null<S: Serializer>(
    amount: &Option<Decimal>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => json_number(amount, to),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_a_jti_of_its_own_and_names_it_in_the_header() {
        let answers = [Answer::data(StatusCode::OK, &1), Answer::unprocessable("no")];
        let mut jtis = Vec::new();
        for answer in answers {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let jti: Uuid = body["jti"].as_str().unwrap().parse().unwrap();
            let header = answer.headers["x-validation"].to_str().unwrap();
            assert!(header.contains(&jti.simple().to_string()), "{header}");
            jtis.push(jti);
        }
        assert_ne!(jtis[0], jtis[1]);
    }

    #[test]
    fn money_is_a_number_of_exact_digits() {
        #[derive(Serialize)]
        struct Price(#[serde(serialize_with = "json_number")] Decimal);
        for (cents, shown) in
            [(499, "4.99"), (4_990, "49.9"), (500, "5"), (0, "0"), (100_000, "1000")]
        {
            assert_eq!(serde_json::to_string(&Price(Decimal::new(cents, 2))).unwrap(), shown);
        }
    }
}

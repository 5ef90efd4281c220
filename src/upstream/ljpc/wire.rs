//! How fields are read that may be missing, null, or other than documented.

use chrono::{DateTime, Datelike as _, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;

/// A field that we can do without: `None` when it is null or of another type than documented. For what decides nothing, so
/// that a strange value of it can't make a bought service look like one in doubt.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// The same for a field that has a sensible default.
pub(super) fn lenient_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    lenient(deserializer).map(Option::unwrap_or_default)
}

/// A field that must be a JSON object, as documented: derived readers take an array of the fields' values for one, too.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    if !is_object(raw.get()) {
        return Err(D::Error::custom("an object was expected"));
    }
    serde_json::from_str(raw.get()).map_err(D::Error::custom)
}

/// Whether a text of JSON is an object.
pub(super) fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{')
}

/// A time with an offset (RFC 3339); `None` for anything else, above all for a time without one, which says too little.
pub(super) fn time<'de, D>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error>
where
    D: Deserializer<'de>,
{
    let text: Option<String> = lenient(deserializer)?;
    let at = text.and_then(|t| DateTime::parse_from_rfc3339(&t).ok()).map(|t| t.to_utc());
    // No name or order is of another time; and not every reader of ours knows such years.
    Ok(at.filter(|at| (1970..2200).contains(&at.year())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(deserialize_with = "lenient")]
        text: Option<String>,
        #[serde(deserialize_with = "time")]
        at: Option<DateTime<Utc>>,
    }

    fn read(json: &str) -> Sample {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_strange_is_none() {
        for json in ["{}", r#"{"text": null}"#, r#"{"text": 5}"#, r#"{"text": {"a": [1]}}"#] {
            assert_eq!(read(json).text, None, "{json}");
        }
        assert_eq!(read(r#"{"text": "a"}"#).text.as_deref(), Some("a"));
    }

    #[test]
    fn object_is_no_array() {
        #[derive(Deserialize)]
        struct Holder {
            #[serde(deserialize_with = "object")]
            held: Sample,
        }
        let read = |json| serde_json::from_str::<Holder>(json).map(|holder| holder.held.text);
        assert_eq!(read(r#"{"held": {"text": "a"}}"#).unwrap().as_deref(), Some("a"));
        for json in [r#"{"held": ["a"]}"#, r#"{"held": null}"#, r#"{"held": 7}"#, "{}"] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn time_needs_an_offset() {
        for (json, at) in [
            (r#"{"at": "2027-07-02T16:37:57+02:00"}"#, Some("2027-07-02T14:37:57+00:00")),
            (r#"{"at": "2026-11-22T05:00:00.000000Z"}"#, Some("2026-11-22T05:00:00+00:00")),
            (r#"{"at": "2026-11-22 05:00:00"}"#, None),
            (r#"{"at": "…"}"#, None),
            (r#"{"at": 1795330800}"#, None),
            (r#"{"at": "0000-01-01T00:00:00Z"}"#, None),
            (r#"{"at": "9999-12-31T23:59:59-01:00"}"#, None),
        ] {
            assert_eq!(read(json).at.map(|t| t.to_rfc3339()).as_deref(), at, "{json}");
        }
    }
}

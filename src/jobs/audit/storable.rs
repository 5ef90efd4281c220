//! Text of an upstream's, before it is stored: PostgreSQL takes every character but one, and no statement shall fail by
//! that.

use serde_json::Value;

/// The longest text that is kept, in characters: the rest says nothing more to anybody.
const CHARS_MAX: usize = 1_000;

/// Whether a text is stored as it is.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0') && text.chars().count() <= CHARS_MAX
}

/// A text as it can be stored.
pub(super) fn storable(text: String) -> String {
    if is_storable(&text) {
        return text;
    }
    text.chars().filter(|it| *it != '\0').take(CHARS_MAX).collect()
}

/// The same for all texts of a document.
pub(super) fn storable_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable(text)),
        Value::Array(items) => items.into_iter().map(storable_json).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, it)| (storable(key), storable_json(it)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_stored_is_left_out() {
        assert_eq!(storable("a\0b".to_owned()), "ab");
        assert_eq!(storable("\u{202e}é\n".to_owned()), "\u{202e}é\n");
        assert_eq!(storable("é".repeat(CHARS_MAX + 1)), "é".repeat(CHARS_MAX));
        assert_eq!(
            storable_json(json!({ "a\0": ["\0", 1, null, true, { "b": "c\0" }] })),
            json!({ "a": ["", 1, null, true, { "b": "c" }] })
        );
    }
}

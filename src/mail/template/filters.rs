//! The filters that templates have, and the shape of a text part.

use std::str::FromStr;

use chrono::NaiveDate;
use minijinja::ErrorKind;

use super::{Locale, VALUE_CHARS_MAX};
use crate::mail::clean::clean;

/// The columns of a plain text.
const TEXT_COLUMNS: usize = 72;

/// `{{ day|date }}`: 14 November 2026.
pub(super) fn date(locale: Locale, day: &str) -> Result<String, minijinja::Error> {
    use chrono::Datelike as _;
    let day = NaiveDate::from_str(day)
        .map_err(|_| minijinja::Error::new(ErrorKind::InvalidOperation, "not a date"))?;
    let month = match locale {
        Locale::En => day.format("%B").to_string(),
        Locale::Nl => usize::try_from(day.month0())
            .ok()
            .and_then(|month| DUTCH_MONTHS.get(month))
            .copied()
            .unwrap_or_default()
            .to_owned(),
    };
    Ok(format!("{} {month} {}", day.day(), day.year()))
}

const DUTCH_MONTHS: [&str; 12] = [
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
];

/// `{{ domain|readable }}`: `bücher.example` for `xn--bcher-kva.example`, since no customer knows
/// the latter. What is no valid name stays as it is.
pub(super) fn readable(domain: &str) -> String {
    let (unicode, outcome) = idna::domain_to_unicode(domain);
    match outcome {
        Ok(()) => clean(&unicode, VALUE_CHARS_MAX),
        Err(_) => domain.to_owned(),
    }
}

/// A plain text with its long lines wrapped, so that a template holds a paragraph in one line, whatever
/// it inserts. A line that begins with a space stays as it is: commands are copied from it.
pub(super) fn reflowed(text: &str) -> String {
    let mut reflowed = String::with_capacity(text.len());
    for line in text.trim_end().lines() {
        if line.chars().count() > TEXT_COLUMNS && !line.starts_with(' ') {
            reflowed.push_str(&wrap(line, 0));
        } else {
            reflowed.push_str(line);
        }
        reflowed.push('\n');
    }
    reflowed
}

/// `{{ text|wrap(3) }}`: in lines of a plain text's usual length, all but the first indented by three.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    let indent = indent.min(TEXT_COLUMNS / 2);
    let mut wrapped = String::with_capacity(text.len());
    let mut column = indent;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column == indent {
            column += width;
        } else if column + 1 + width > TEXT_COLUMNS {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            column = indent + width;
        } else {
            wrapped.push(' ');
            column += 1 + width;
        }
        wrapped.push_str(word);
    }
    wrapped
}

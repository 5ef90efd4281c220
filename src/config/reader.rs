//! Turns raw values into their types. Each method records what is wrong and goes on, so that all mistakes come out at
//! once; `None` means that one was recorded.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration::parse_duration;
use super::error::{ConfigError, Origin};
use super::keys;
use super::layers::{Entry, Layers, Raw};
use super::secret::Secret;

/// A year: whatever is meant to be longer is a slip of the unit.
const DURATION_MAX: Duration = Duration::from_hours(366 * 24);
const LIST_MAX: usize = 100;

/// The layers' values by key, and the mistakes so far.
pub(super) struct Reader {
    layers: Layers,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers }
    }

    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.layers.errors
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.layers.entries.contains_key(key)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.layers.entries.get(key)
    }

    /// Has a mistake of this key been recorded, so that no second is needed?
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.layers.errors.iter().any(|error| error.key == key)
    }

    /// Is it certainly `true`? Whether it is well formed is recorded elsewhere.
    pub(super) fn is_true(&self, key: &str) -> bool {
        match self.raw(key) {
            Some(Raw::Boolean(value)) => value,
            Some(Raw::Text(text)) => text.trim() == "true",
            Some(Raw::String(_) | Raw::Integer(_) | Raw::Float(_) | Raw::List(_) | Raw::Other)
            | None => false,
        }
    }

    /// The duration, if it is one: whether it is, is recorded elsewhere.
    pub(super) fn duration_if_valid(&self, key: &str) -> Option<Duration> {
        match self.raw(key)? {
            Raw::Text(text) | Raw::String(text) => parse_duration(&text).ok(),
            Raw::Integer(_) | Raw::Float(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => None,
        }
    }

    /// Records a mistake of this key's value.
    pub(super) fn refuse(
        &mut self,
        key: &str,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) {
        let origin = self.entry(key).map_or(Origin::NotSet, |entry| entry.origin.clone());
        self.layers.errors.push(ConfigError {
            key: key.to_owned(),
            origin,
            problem: problem.into(),
            cure: cure.into(),
        });
    }

    /// A duration longer than nothing.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        const CURE: &str = "write a duration, such as 500ms, 30s, 15m, 24h or 5d";
        let text = match self.raw(key)? {
            Raw::Text(text) | Raw::String(text) => text,
            Raw::Integer(_) | Raw::Float(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => {
                self.refuse(key, "is not a duration", CURE);
                return None;
            }
        };
        match parse_duration(&text) {
            Ok(Duration::ZERO) => self.refuse(key, "must be longer than nothing", CURE),
            Ok(duration) if duration > DURATION_MAX => {
                self.refuse(key, "must be at most 366d", CURE);
            }
            Ok(duration) => return Some(duration),
            Err(error) => {
                self.refuse(key, format!("{} is no duration: {error}", quoted(&text)), CURE);
            }
        }
        None
    }

    /// A whole number within these bounds.
    pub(super) fn integer(&mut self, key: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let cure = format!("write a whole number from {} to {}", bounds.start(), bounds.end());
        let number = match self.raw(key)? {
            Raw::Integer(number) => Ok(number),
            Raw::Text(text) => text.trim().parse::<i64>().map_err(|_| quoted(&text)),
            Raw::String(_) => Err("a text".to_owned()),
            Raw::Float(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => Err("it".to_owned()),
        };
        match number {
            Ok(number) => match u32::try_from(number) {
                Ok(number) if bounds.contains(&number) => return Some(number),
                Ok(_) | Err(_) => self.refuse(key, format!("{number} is out of range"), cure),
            },
            Err(what) => self.refuse(key, format!("{what} is not a whole number"), cure),
        }
        None
    }

    /// A factor within these bounds.
    pub(super) fn factor(&mut self, key: &str, bounds: RangeInclusive<f64>) -> Option<f64> {
        let cure = format!("write a number from {} to {}", bounds.start(), bounds.end());
        let number = match self.raw(key)? {
            Raw::Float(number) => Some(number),
            Raw::Integer(number) => i32::try_from(number).ok().map(f64::from),
            Raw::Text(text) => text.trim().parse::<f64>().ok(),
            Raw::String(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => None,
        };
        match number {
            // NaN is in no range.
            Some(number) if bounds.contains(&number) => return Some(number),
            Some(number) => self.refuse(key, format!("{number} is out of range"), cure),
            None => self.refuse(key, "is not a number", cure),
        }
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let value = match self.raw(key)? {
            Raw::Boolean(value) => Some(value),
            Raw::Text(text) => text.trim().parse().ok(),
            Raw::String(_) | Raw::Integer(_) | Raw::Float(_) | Raw::List(_) | Raw::Other => None,
        };
        if value.is_none() {
            self.refuse(key, "is neither true nor false", "write true or false");
        }
        value
    }

    /// One word out of a list, and what it stands for.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text.trim());
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let cure = format!("write {}", words.join(" or "));
            self.refuse(key, format!("{} is not known", quoted(&text)), cure);
        }
        found.map(|(_, value)| *value)
    }

    /// A text as it is.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.raw(key)? {
            Raw::Text(text) | Raw::String(text) => Some(text),
            Raw::Integer(_) | Raw::Float(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => {
                self.refuse(key, "is not a text", "write it in quotation marks");
                None
            }
        }
    }

    /// A text that `parse` turns into something; what `parse` says against it must not quote it.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        cure: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|problem| self.refuse(key, problem, cure)).ok()
    }

    /// A key that may be absent, which is no mistake: `Some(None)`.
    #[expect(
        clippy::option_option,
        reason = "the outer one is a mistake, the inner one an absence"
    )]
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.is_set(key) { read(self, key).map(Some) } else { Some(None) }
    }

    /// A secret that `check` finds nothing wrong with.
    pub(super) fn secret(
        &mut self,
        key: &str,
        cure: &str,
        check: impl FnOnce(&str) -> Result<(), &'static str>,
    ) -> Option<Secret> {
        self.parsed(key, cure, |text| check(text).map(|()| Secret::new(text.to_owned())))
    }

    /// A list: an array of texts in TOML, or one text with commas. Empty items, as behind a last comma, don't count.
    pub(super) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let items = match self.raw(key)? {
            Raw::Text(text) | Raw::String(text) => text.split(',').map(str::to_owned).collect(),
            Raw::List(items) => items
                .into_iter()
                .map(|item| match item {
                    Raw::Text(text) | Raw::String(text) => text,
                    Raw::Integer(number) => number.to_string(),
                    // No item of ours looks like this, so that its own type refuses it.
                    Raw::Float(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => "?".to_owned(),
                })
                .collect(),
            Raw::Integer(_) | Raw::Float(_) | Raw::Boolean(_) | Raw::Other => {
                self.refuse(key, "is not a list", "write [\"a\", \"b\"], or a,b");
                return None;
            }
        };
        let items: Vec<String> = items;
        if items.len() > LIST_MAX {
            self.refuse(key, format!("has more than {LIST_MAX} items"), "shorten it");
            return None;
        }
        Some(items.iter().map(|item| item.trim().to_owned()).filter(|i| !i.is_empty()).collect())
    }

    /// A list of which each item is turned into something. As with `parsed`, nothing is quoted.
    pub(super) fn parsed_list<T>(
        &mut self,
        key: &str,
        cure: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        let items = self.list(key)?;
        let mut values = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(problem) => {
                    self.refuse(key, format!("its item {} {problem}", i + 1), cure);
                    return None;
                }
            }
        }
        Some(values)
    }

    fn raw(&self, key: &str) -> Option<Raw> {
        debug_assert!(keys::find(key).is_some(), "{key} must be in KEYS");
        self.entry(key).map(|entry| entry.raw.clone())
    }
}

/// A value of a kind that can't be a secret, short and on one line.
fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("\"{}\"", shown.escape_debug())
}

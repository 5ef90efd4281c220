//! What is wrong with the settings: each mistake with its key, its source and its cure, all of them at once.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The compiled-in default.toml.
    Default,
    /// A file of settings.
    File(PathBuf),
    /// An environment variable, itself or by the file that it names.
    Environment(String),
    /// A file in `$CREDENTIALS_DIRECTORY`.
    Credentials(String),
    /// Nowhere: the key has no value.
    NotSet,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Credentials(name) => write!(f, "credentials {name}"),
            Self::NotSet => f.write_str("not set"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One mistake. Its text never holds a secret's value.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("{key} ({origin}): {problem}; {cure}")]
pub struct ConfigError {
    /// The key, dotted, or what stands in its place: `--config`, `PROVISOR_ENV`, a file as a whole.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong with it, to be read after the key.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

/// Every mistake that was found, in the order of the keys; never empty. Displayed one a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by(|a, b| a.key.cmp(&b.key));
        Self(errors)
    }

    /// Whether one of them is of a key that begins so.
    #[must_use]
    pub fn concern(&self, beginning: &str) -> bool {
        self.iter().any(|error| error.key.starts_with(beginning))
    }

    /// The mistakes, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

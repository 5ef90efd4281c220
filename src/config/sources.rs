//! What the settings are loaded from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The environment and the command line, as far as they matter here. Passed in, so that a test has its own.
#[derive(Clone, Default)]
pub struct Sources {
    /// Environment variables: those that begin with `PROVISOR_`, `DATABASE_URL` and `CREDENTIALS_DIRECTORY`. Others are
    /// ignored.
    pub env: BTreeMap<String, String>,
    /// The file of `--config`, which must exist.
    pub config_file: Option<PathBuf>,
}

impl Sources {
    /// This process's environment, with the file of `--config`.
    ///
    /// A variable that is not Unicode keeps its place with replacement characters, so that the value is refused under its
    /// key's name instead of silently missing.
    #[must_use]
    pub fn from_process(config_file: Option<PathBuf>) -> Self {
        let env = std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .filter(|(name, _)| {
                name.starts_with("PROVISOR_")
                    || name == "DATABASE_URL"
                    || name == "CREDENTIALS_DIRECTORY"
            })
            .collect();
        Self { env, config_file }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("config_file", &self.config_file)
            .finish()
    }
}

//! What the settings are loaded from.

use std::collections::BTreeMap;
use std::ffi::OsString;
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
        Self { env: relevant(std::env::vars_os()), config_file }
    }
}

fn relevant(vars: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    vars.map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| {
            name.starts_with("PROVISOR_")
                || name == "DATABASE_URL"
                || name == "CREDENTIALS_DIRECTORY"
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn only_what_matters_is_kept_and_what_is_not_unicode_is_not_lost() {
        let vars = [
            ("PROVISOR_LOG__FORMAT", b"json".to_vec()),
            ("DATABASE_URL", b"postgres:///x".to_vec()),
            ("CREDENTIALS_DIRECTORY", b"/run/credentials/x".to_vec()),
            ("PROVISOR_LJPC__API_KEY", b"\xff".to_vec()),
            ("AWS_SECRET_ACCESS_KEY", b"somebody else's".to_vec()),
        ];
        let vars = vars.map(|(name, value)| (OsString::from(name), OsString::from_vec(value)));
        let env = relevant(vars.into_iter());
        assert_eq!(env.len(), 4);
        assert_eq!(env["PROVISOR_LJPC__API_KEY"], "\u{fffd}");
        let sources = Sources { env, config_file: None };
        let errors = crate::config::load(&sources, &[]).unwrap_err().to_string();
        assert!(errors.contains("ljpc.api_key (environment PROVISOR_LJPC__API_KEY)"), "{errors}");
    }
}

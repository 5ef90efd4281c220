//! The layers, laid over one another: each key's last value, still raw, and where it came from.

use std::collections::BTreeMap;
use std::path::Path;

use ::config::{FileFormat, Source as _, Value, ValueKind};

use super::error::{ConfigError, Origin};
use super::files::{FileError, SETTINGS_BYTES_MAX, read_text, read_value};
use super::keys::{self, Key};
use super::sources::Sources;

/// A value before its type is judged. Not Debug: it may be a secret.
#[derive(Clone)]
pub(super) enum Raw {
    /// From the environment or a credential: any type can be written so.
    Text(String),
    /// A TOML string.
    String(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML float.
    Float(f64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Raw>),
    /// What no key can be.
    Other,
}

/// A raw value and its source.
pub(super) struct Entry {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

impl Entry {
    fn is_blank(&self) -> bool {
        match &self.raw {
            Raw::Text(text) | Raw::String(text) => text.trim().is_empty(),
            Raw::Integer(_) | Raw::Float(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other => false,
        }
    }
}

/// What the layers came to, and what was wrong on the way.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) entries: BTreeMap<&'static str, Entry>,
    pub(super) errors: Vec<ConfigError>,
}

impl Layers {
    /// Loads every layer, in the contract's order.
    pub(super) fn load(sources: &Sources) -> Self {
        let mut layers = Self::default();
        layers.add_toml(super::DEFAULT_TOML, &Origin::Default);
        layers.add_environment_file(&sources.env);
        if let Some(path) = &sources.config_file {
            layers.add_file(path, "--config", true);
        }
        layers.add_given_singly(&sources.env);
        // An empty text is how Compose and Helm write "nothing": for a key without a default it says no more than that.
        layers.entries.retain(|name, entry| {
            keys::find(name).is_some_and(|key| key.has_default) || !entry.is_blank()
        });
        layers.fall_back_to_database_url(&sources.env);
        layers
    }

    /// Leaves a key as if nobody had set it.
    pub(super) fn unset(&mut self, key: &Key) {
        let mut plain = Self::default();
        plain.add_toml(super::DEFAULT_TOML, &Origin::Default);
        self.entries.remove(key.name);
        let default = plain.entries.remove_entry(key.name).filter(|_| key.has_default);
        self.entries.extend(default);
    }

    fn add_environment_file(&mut self, env: &BTreeMap<String, String>) {
        let Some(name) = env.get("PROVISOR_ENV").filter(|name| !name.is_empty()) else { return };
        // It becomes part of a path, and must not lead out of the folder.
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            self.error(
                "PROVISOR_ENV",
                Origin::Environment("PROVISOR_ENV".to_owned()),
                "must be letters, digits, - and _ only",
                "name a file of settings without its folder and .toml, as in production",
            );
            return;
        }
        let folder = env.get("PROVISOR_CONFIG_DIR").filter(|folder| !folder.is_empty());
        let folder = folder.map_or(Path::new("config"), Path::new);
        self.add_file(&folder.join(format!("{name}.toml")), "PROVISOR_ENV", false);
    }

    fn add_file(&mut self, path: &Path, named_by: &str, must_exist: bool) {
        let origin = Origin::File(path.to_owned());
        match read_text(path, SETTINGS_BYTES_MAX) {
            Ok(text) => self.add_toml(&text, &origin),
            Err(FileError::Absent) if !must_exist => {}
            Err(error) => {
                self.error(named_by, origin, error.problem(), "name a readable file of settings");
            }
        }
    }

    fn add_toml(&mut self, text: &str, origin: &Origin) {
        match ::config::File::from_str(text, FileFormat::Toml).collect() {
            Ok(table) => self.add_table("", table, origin),
            Err(error) => self.error(
                "TOML",
                origin.clone(),
                format!("can't be understood{}", place_of(&error.to_string())),
                "mend that line: quotation marks, brackets, a key given twice",
            ),
        }
    }

    fn add_table<I>(&mut self, prefix: &str, table: I, origin: &Origin)
    where
        I: IntoIterator<Item = (String, Value)>,
    {
        for (name, value) in table {
            // A dot within quotation marks is no level.
            let name = name.replace('.', "\".\"");
            let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match (keys::find(&name), value.kind) {
                (Some(key), kind) => {
                    let entry = Entry { raw: raw_of(kind), origin: origin.clone() };
                    self.entries.insert(key.name, entry);
                }
                (None, ValueKind::Table(inner)) if keys::is_section(&name) => {
                    self.add_table(&name, inner, origin);
                }
                (None, _) => self.unknown(&name, origin.clone()),
            }
        }
    }

    /// Variables, files named by variables, and credentials: three equal ways, of which a key may use one.
    fn add_given_singly(&mut self, env: &BTreeMap<String, String>) {
        let mut given: BTreeMap<&'static str, Vec<Entry>> = BTreeMap::new();
        for (name, value) in env {
            if let Some((key, entry)) = self.read_variable(name, value) {
                given.entry(key.name).or_default().push(entry);
            }
        }
        if let Some(folder) = env.get("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()) {
            for (key, entry) in self.read_credentials(Path::new(folder)) {
                given.entry(key.name).or_default().push(entry);
            }
        }
        for (name, mut entries) in given {
            let Some(entry) = entries.pop() else { continue };
            if let Some(other) = entries.pop() {
                let problem = format!("is given by {} too", other.origin);
                self.error(name, entry.origin.clone(), problem, "keep one of the two");
            }
            self.entries.insert(name, entry);
        }
    }

    fn read_variable(&mut self, name: &str, value: &str) -> Option<(&'static Key, Entry)> {
        // Without `__` it is no key: Kubernetes injects PROVISOR_PORT and the like for a service of our name.
        let rest = name.strip_prefix("PROVISOR_").filter(|rest| rest.contains("__"))?;
        let dotted = rest.replace("__", ".").to_ascii_lowercase();
        let origin = Origin::Environment(name.to_owned());
        if let Some(key) = keys::find(&dotted) {
            return Some((key, Entry { raw: Raw::Text(value.to_owned()), origin }));
        }
        let Some(key) = dotted.strip_suffix("_file").and_then(keys::find) else {
            self.unknown(&dotted, origin);
            return None;
        };
        self.read_entry(key, Path::new(value), origin)
    }

    fn read_credentials(&mut self, folder: &Path) -> Vec<(&'static Key, Entry)> {
        let mut found = Vec::new();
        for name in self.credential_names(folder) {
            let origin = Origin::Credentials(name.clone());
            if let Some(key) = keys::find(&name) {
                found.extend(self.read_entry(key, &folder.join(&name), origin));
            } else if name.split_once('.').is_some_and(|(section, _)| keys::is_section(section)) {
                self.unknown(&name, origin);
            }
            // Any other credential is somebody else's: the folder is shared with whatever runs in the same unit.
        }
        found
    }

    fn credential_names(&mut self, folder: &Path) -> Vec<String> {
        /// systemd itself allows fewer; a folder that was named by mistake may hold anything.
        const ENTRIES_MAX: usize = 4096;
        match std::fs::read_dir(folder) {
            Ok(entries) => entries
                .take(ENTRIES_MAX)
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
            Err(error) => {
                self.error(
                    "CREDENTIALS_DIRECTORY",
                    Origin::Environment("CREDENTIALS_DIRECTORY".to_owned()),
                    format!("can't be read ({})", error.kind()),
                    "name a readable folder, or unset it",
                );
                Vec::new()
            }
        }
    }

    fn read_entry(
        &mut self,
        key: &'static Key,
        path: &Path,
        origin: Origin,
    ) -> Option<(&'static Key, Entry)> {
        match read_value(path) {
            Ok(text) => Some((key, Entry { raw: Raw::Text(text), origin })),
            Err(error) => {
                // The path itself stays out: whoever put the secret where its path belongs would find it in a log.
                let problem = format!("its file {}", error.problem());
                self.error(key.name, origin, problem, "name a readable file that holds the value");
                None
            }
        }
    }

    fn fall_back_to_database_url(&mut self, env: &BTreeMap<String, String>) {
        const KEY: &str = "database.url";
        let Some(url) = env.get("DATABASE_URL").filter(|url| !url.is_empty()) else { return };
        self.entries.entry(KEY).or_insert_with(|| Entry {
            raw: Raw::Text(url.clone()),
            origin: Origin::Environment("DATABASE_URL".to_owned()),
        });
    }

    fn unknown(&mut self, name: &str, origin: Origin) {
        const SHOWN_MAX: usize = 80;
        let name: String = name.chars().take(SHOWN_MAX).flat_map(char::escape_default).collect();
        let name = name.replace("\\\"", "\"");
        let (problem, cure) = if keys::is_section(&name) {
            ("is a section, not a key".to_owned(), "name a key within it".to_owned())
        } else if let Some(key) = keys::nearest(&name) {
            let cure = format!("did you mean {}, or {}?", key.name, key.variable());
            ("is not a known key".to_owned(), cure)
        } else {
            ("is not a known key".to_owned(), "see config/default.toml for all keys".to_owned())
        };
        self.error(&name, origin, problem, cure);
    }

    fn error(
        &mut self,
        key: &str,
        origin: Origin,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.errors.push(ConfigError {
            key: key.to_owned(),
            origin,
            problem: problem.into(),
            cure: cure.into(),
        });
    }
}

/// ` at line 3, column 7`, out of the parser's message: the rest of it quotes the line, which may hold a secret.
fn place_of(message: &str) -> String {
    let first_line = message.lines().next().unwrap_or_default();
    match first_line.strip_prefix("TOML parse error") {
        Some(place) => place.to_owned(),
        None => String::new(),
    }
}

fn raw_of(kind: ValueKind) -> Raw {
    match kind {
        ValueKind::Boolean(value) => Raw::Boolean(value),
        ValueKind::I64(value) => Raw::Integer(value),
        ValueKind::I128(value) => i64::try_from(value).map_or(Raw::Other, Raw::Integer),
        ValueKind::U64(value) => i64::try_from(value).map_or(Raw::Other, Raw::Integer),
        ValueKind::U128(value) => i64::try_from(value).map_or(Raw::Other, Raw::Integer),
        ValueKind::Float(value) => Raw::Float(value),
        ValueKind::String(value) => Raw::String(value),
        ValueKind::Array(values) => {
            Raw::List(values.into_iter().map(|value| raw_of(value.kind)).collect())
        }
        ValueKind::Nil | ValueKind::Table(_) => Raw::Other,
    }
}

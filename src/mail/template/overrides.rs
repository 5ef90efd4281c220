//! The files of `email.templates_dir`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Locale, PART_BYTES_MAX, TemplateError};
use crate::mail::built_in;

/// The most entries that a folder of templates may have, above any that names only templates.
const ENTRIES_MAX: usize = 1000;

/// What replaces built-in templates, by relative name.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    files: BTreeMap<String, Override>,
}

#[derive(Debug)]
struct Override {
    path: PathBuf,
    source: String,
}

impl Overrides {
    /// Reads all of `dir`. A file that replaces nothing is an error: it is a misspelt name.
    pub(super) fn read(dir: &Path) -> Result<Self, TemplateError> {
        let mut overrides = Self::default();
        for (name, path) in entries(dir)? {
            match name.parse::<Locale>() {
                Ok(locale) if path.is_dir() => {
                    for (name, path) in entries(&path)? {
                        let known = built_in::of(locale);
                        overrides.add(format!("{locale}/{name}"), &name, path, known)?;
                    }
                }
                _ => overrides.add(name.clone(), &name, path, built_in::SHARED)?,
            }
        }
        Ok(overrides)
    }

    fn add(
        &mut self,
        relative: String,
        name: &str,
        path: PathBuf,
        known: &[(&str, &str)],
    ) -> Result<(), TemplateError> {
        if !known.iter().any(|(known, _)| *known == name) {
            let mut allowed: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
            if relative == name {
                allowed.extend(Locale::ALL.iter().map(|locale| locale.as_str()));
            }
            return Err(TemplateError::Unknown {
                file: path.display().to_string(),
                allowed: allowed.join(", "),
            });
        }
        let source = read_text(&path)?;
        self.files.insert(relative, Override { path, source });
        Ok(())
    }

    /// What replaces this template of this locale, if anything does.
    pub(super) fn source(&self, locale: Locale, name: &str) -> Option<&str> {
        self.files.get(&relative(locale, name)).map(|file| file.source.as_str())
    }

    /// By which name an error calls a template: its path, or its built-in name.
    pub(super) fn file(&self, locale: Locale, name: &str) -> String {
        let relative = relative(locale, name);
        match self.files.get(&relative) {
            Some(file) => file.path.display().to_string(),
            None => format!("{relative} (built in)"),
        }
    }
}

/// A template's name relative to the folder of templates.
fn relative(locale: Locale, name: &str) -> String {
    if built_in::SHARED.iter().any(|(shared, _)| *shared == name) {
        name.to_owned()
    } else {
        format!("{locale}/{name}")
    }
}

/// The entries of a folder by name. Hidden ones are passed over: editors, version control and
/// Kubernetes' mounted volumes keep their own things there.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, TemplateError> {
    let unreadable = |source| TemplateError::Read { file: dir.display().to_string(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entries.len() == ENTRIES_MAX {
            return Err(unreadable(io::Error::other("too many files for a folder of templates")));
        }
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn read_text(path: &Path) -> Result<String, TemplateError> {
    let unreadable = |source| TemplateError::Read { file: path.display().to_string(), source };
    let limit = u64::try_from(PART_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    File::open(path)
        .map_err(unreadable)?
        .take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() > PART_BYTES_MAX {
        return Err(TemplateError::TooLarge { file: path.display().to_string() });
    }
    Ok(text)
}

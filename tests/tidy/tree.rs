//! The files of the project, and what may be wrong with one.

use std::{fmt, fs, io, os::unix::fs::PermissionsExt, path::Path};

use crate::source::Source;

/// Folders that hold nothing of ours, by their path from the root.
const SKIPPED: &[&str] =
    &[".git", "target", ".demo", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"];

/// All text files below the project's root.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// One text file.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) executable: bool,
    /// Read as Rust, if it is.
    pub(crate) source: Option<Source>,
}

impl File {
    /// A file of this path and text; a script may be run, all else not.
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self::with_mode(path.to_owned(), text.to_owned(), path.starts_with("script/"))
    }

    fn with_mode(path: String, text: String, executable: bool) -> Self {
        let is_rust = Path::new(&path).extension().is_some_and(|extension| extension == "rs");
        let source = is_rust.then(|| Source::parse(&text));
        Self { path, text, executable, source }
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What follows the last dot of the name, or nothing.
    pub(crate) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// What a rule has found in this file; line 0 is the whole file.
    pub(crate) fn violation(&self, line: usize, rule: impl Into<String>) -> Violation {
        Violation::new(&self.path, line, rule.into())
    }
}

impl Tree {
    /// Reads all text files below `root`.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self { files: Vec::new() };
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// A made-up tree of (path, text).
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| File::new(path, text)).collect() }
    }

    /// The Rust files.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| Some((file, file.source.as_ref()?)))
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if SKIPPED.contains(&path.as_str()) {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file()
                && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
            {
                let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
                self.files.push(File::with_mode(path, text, executable));
            }
        }
        Ok(())
    }
}

/// A rule that is broken, where, and what to do about it.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    rule: String,
}

impl Violation {
    /// A rule broken in the file of this path; line 0 is the whole file.
    pub(crate) fn new(path: &str, line: usize, rule: String) -> Self {
        Self { path: path.to_owned(), line, rule }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.rule),
            line => write!(f, "{}:{line}: {}", self.path, self.rule),
        }
    }
}

/// Asserts that there are as many violations as texts, each with its text in it.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_found(violations: &[Violation], texts: &[&str]) {
    let listed: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(listed.len(), texts.len(), "{listed:#?}");
    for (violation, text) in listed.iter().zip(texts) {
        assert!(violation.contains(text), "{violation:?} does not say {text:?}");
    }
}

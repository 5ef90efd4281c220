//! Where PostgreSQL's server programs are.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The oldest major version that Provisor serves.
pub(super) const MAJOR_MIN: u32 = 14;

const NEEDED: [&str; 4] = ["initdb", "postgres", "pg_ctl", "createdb"];

/// The folder of one PostgreSQL's programs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Programs {
    pub(super) major: u32,
    pub(super) bin: PathBuf,
}

impl Programs {
    /// All that are installed and not too old, the newest first: where packages lay them (Debian,
    /// PGDG's RPMs, from source, Homebrew), and by PATH.
    pub(super) fn installed() -> Vec<Self> {
        let mut found: Vec<Self> = packaged_folders()
            .into_iter()
            .chain(folders_of(std::env::var_os("PATH").as_deref()))
            .filter_map(|bin| Self::in_folder(&bin))
            .filter(|programs| programs.major >= MAJOR_MIN)
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }

    /// The programs in this folder, if all are there and tell their version.
    fn in_folder(bin: &Path) -> Option<Self> {
        if !NEEDED.iter().all(|name| bin.join(name).is_file()) {
            return None;
        }
        let output = Command::new(bin.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let major = major_of(str::from_utf8(&output.stdout).ok()?)?;
        Some(Self { major, bin: bin.to_owned() })
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.bin.join(program)
    }
}

fn packaged_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/usr/local", "pgsql"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                folders.push(entry.path().join("bin"));
            }
        }
    }
    folders
}

/// The folders of a PATH, each as it really is: distributions link a program from /usr/bin, but its library lies beside
/// the real one.
fn folders_of(path: Option<&OsStr>) -> Vec<PathBuf> {
    path.map(std::env::split_paths)
        .into_iter()
        .flatten()
        .filter_map(|dir| dir.join("initdb").canonicalize().ok()?.parent().map(Path::to_owned))
        .collect()
}

/// The major version in what `postgres --version` prints: `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let number =
        version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (printed, major) in [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres", None),
            ("", None),
        ] {
            assert_eq!(major_of(printed), major, "{printed}");
        }
    }

    #[test]
    fn the_newest_comes_first_and_none_is_too_old() {
        let found = Programs::installed();
        assert!(found.windows(2).all(|pair| pair[0].major >= pair[1].major), "{found:?}");
        assert!(found.iter().all(|programs| programs.major >= MAJOR_MIN), "{found:?}");
    }

    #[test]
    fn a_folder_that_lacks_a_program_is_none() {
        assert_eq!(Programs::in_folder(Path::new("/")), None);
        assert_eq!(folders_of(Some(OsStr::new("/nonexistent:/"))), Vec::<PathBuf>::new());
    }
}

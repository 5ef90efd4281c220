//! Files that are read whole, within a bound. No error here tells of a file's content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that a file holding one value may have: no key or password comes near.
pub(super) const VALUE_BYTES_MAX: u64 = 64 * 1024;
/// The most that a file of settings may have.
pub(super) const SETTINGS_BYTES_MAX: u64 = 256 * 1024;

/// Why a file can't be read, to be put behind its name.
pub(super) enum FileError {
    /// There is none: not always a mistake.
    Absent,
    /// Anything else.
    Unreadable(String),
}

impl FileError {
    pub(super) fn problem(self) -> String {
        match self {
            Self::Absent => "does not exist".to_owned(),
            Self::Unreadable(problem) => problem,
        }
    }
}

/// The whole text of a file of at most `bytes_max` bytes.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, FileError> {
    let read = |path: &Path| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One more than allowed, so that too many can be told from just enough.
        File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            FileError::Absent
        } else {
            FileError::Unreadable(format!("can't be read ({})", error.kind()))
        }
    })?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > bytes_max) {
        return Err(FileError::Unreadable(format!("is longer than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| FileError::Unreadable("is not UTF-8".to_owned()))
}

/// One value: the file's text without its last line break, which editors and `echo` add.
pub(super) fn read_value(path: &Path) -> Result<String, FileError> {
    let mut text = read_text(path, VALUE_BYTES_MAX)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

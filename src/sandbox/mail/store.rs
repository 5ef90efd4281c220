//! Mails as files: `<seq>-<recipient>.eml`, there whole or not at all.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::io::AsyncWriteExt;

const NAME_LENGTH_MAX: usize = 80;

/// The folder of caught mails.
#[derive(Debug)]
pub(in crate::sandbox) struct Store {
    dir: PathBuf,
    next: AtomicU64,
}

impl Store {
    /// Opens the folder, makes it if it is missing (readable for its owner alone: mails are personal), and numbers on
    /// from the mails that lie there already.
    pub(in crate::sandbox) async fn open(dir: &Path) -> io::Result<Self> {
        let mut builder = tokio::fs::DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        builder.recursive(true).create(dir).await?;
        let mut highest = 0_u64;
        let mut entries = tokio::fs::read_dir(dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let number =
                name.to_str().and_then(|name| name.split_once('-')).map(|(n, _)| n.parse());
            if let Some(Ok(number)) = number {
                highest = highest.max(number);
            }
        }
        Ok(Self { dir: dir.to_owned(), next: AtomicU64::new(highest.saturating_add(1)) })
    }

    /// Writes a mail, under a name for its first recipient. Not synced to the disk: it is for reading, not for keeping.
    pub(super) async fn write(
        &self,
        recipient: &str,
        message: &[u8],
    ) -> io::Result<(u64, PathBuf)> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{seq:06}-{}.eml", sanitized(recipient)));
        let unfinished = path.with_extension("part");
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&unfinished).await?;
        file.write_all(message).await?;
        file.flush().await?;
        drop(file);
        tokio::fs::rename(&unfinished, &path).await?;
        Ok((seq, path))
    }
}

/// What of an address can stand in a file's name anywhere.
fn sanitized(recipient: &str) -> String {
    recipient
        .chars()
        .take(NAME_LENGTH_MAX)
        .map(|c| if c.is_ascii_alphanumeric() || "@+-_.".contains(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::tests::Folder;

    #[tokio::test]
    async fn mails_are_numbered_on_across_restarts() {
        let folder = Folder::new();
        let dir = folder.path().join("a/b");
        let store = Store::open(&dir).await.unwrap();
        assert_eq!(store.write("bob@example.com", b"1").await.unwrap().0, 1);
        assert_eq!(store.write("bob@example.com", b"2").await.unwrap().0, 2);
        let store = Store::open(&dir).await.unwrap();
        let (seq, path) = store.write("bob@example.com", b"3").await.unwrap();
        assert_eq!((seq, path.file_name().unwrap()), (3, "000003-bob@example.com.eml".as_ref()));
        assert_eq!(std::fs::read(path).unwrap(), b"3");
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 3, "nothing unfinished lies about");
    }

    #[test]
    fn no_address_leaves_the_folder() {
        assert_eq!(sanitized("../../etc/passwd"), ".._.._etc_passwd");
        assert_eq!(sanitized("\"a b\"@exämple.nl"), "_a_b_@ex_mple.nl");
        assert_eq!(sanitized(&"x".repeat(300)).len(), NAME_LENGTH_MAX);
    }
}

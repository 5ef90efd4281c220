//! Which mails were caught, for tests.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::Serialize;

const MAILS_MAX: usize = 100_000;

/// A mail that was caught.
#[derive(Clone, Debug, Serialize)]
pub struct Mail {
    /// Ascending; the file's name begins with it.
    pub seq: u64,
    /// When it had come in whole.
    pub at: DateTime<Utc>,
    /// The envelope's sender, empty for a bounce.
    pub from: String,
    /// The envelope's recipients.
    pub recipients: Vec<String>,
    /// The header Message-ID, with its angle brackets.
    pub message_id: Option<String>,
    /// The header Subject, unfolded, but with its encoded words as they are.
    pub subject: Option<String>,
    /// Its file.
    pub path: PathBuf,
}

/// The mails caught since the start, oldest first. Of more than 100,000 the oldest are forgotten; their files stay.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct MailIndex(Mutex<VecDeque<Mail>>);

impl MailIndex {
    pub(super) fn enter(&self, mail: Mail) {
        let mut mails = self.lock();
        while mails.len() >= MAILS_MAX {
            mails.pop_front();
        }
        mails.push_back(mail);
    }

    pub(in crate::sandbox) fn all(&self) -> Vec<Mail> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Mail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_oldest_are_forgotten() {
        let index = MailIndex::default();
        for seq in 0..=u64::try_from(MAILS_MAX).unwrap() {
            index.enter(Mail {
                seq,
                at: clock::now(),
                from: String::new(),
                recipients: Vec::new(),
                message_id: None,
                subject: None,
                path: PathBuf::new(),
            });
        }
        let kept = index.all();
        assert_eq!((kept.len(), kept[0].seq), (MAILS_MAX, 1));
    }
}

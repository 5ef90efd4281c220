//! Every request received and what was answered, so that a test can look up what really went over the wire.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use http::{StatusCode, request::Parts};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{faults::FaultKind, ljpc::Key, provider::Provider};

const ENTRIES_MAX: usize = 100_000;
/// Bodies may be a mebibyte each, so the entries alone are no limit.
const BYTES_MAX: usize = 256 * 1024 * 1024;
/// Headers that are never written down, also where nobody asks for them.
const SECRET: [&str; 6] =
    ["x-api-key", "authorization", "proxy-authorization", "cookie", "access_token", "access-token"];
/// What is kept of one body.
const BODY_MAX: usize = 64 * 1024;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// 1 for the first request, and so on.
    pub seq: u64,
    /// When its head and body had been read.
    pub at: DateTime<Utc>,
    /// The upstream that it was sent to.
    pub provider: Provider,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query string, empty if there was none.
    pub query: String,
    /// Its headers, by lower-case name. Of a secret one only what it was worth.
    #[serde(serialize_with = "as_map")]
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Text,
    /// The fault that struck it.
    pub fault: Option<FaultKind>,
    /// What was answered; `None` if nothing was (yet): the connection was cut, or the answer is being held back.
    pub answer: Option<Answered>,
}

/// What was sent back.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body before truncation.
    pub body: Text,
}

/// The beginning of a body, at most 64 KiB.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Text(Box<str>);

impl Text {
    /// Of these bytes; what is no UTF-8 in them becomes U+FFFD.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let kept = bytes.get(..BODY_MAX).unwrap_or(bytes);
        Self(String::from_utf8_lossy(kept).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Text {
    /// As the JSON that it holds; else as a string; null if empty.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return to.serialize_none();
        }
        match serde_json::from_str::<&RawValue>(&self.0) {
            Ok(json) => json.serialize(to),
            Err(_) => to.serialize_str(&self.0),
        }
    }
}

fn as_map<S: Serializer>(headers: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

impl Entry {
    fn weight(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let answer = self.answer.as_ref().map_or(0, |answer| answer.body.0.len());
        self.path.len() + self.query.len() + headers + self.body.0.len() + answer
    }
}

/// The requests as they came in, the oldest dropped once there are too many.
#[derive(Debug)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The `seq` of the oldest entry that is kept.
    oldest: u64,
    entries_max: usize,
    bytes_max: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Self::with_limits(ENTRIES_MAX, BYTES_MAX)
    }
}

impl Journal {
    fn with_limits(entries_max: usize, bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, oldest: 1, entries_max, bytes_max }
    }

    /// Enters a request before it is carried out: also one whose sender has gone by then is on record.
    pub(super) fn note(&mut self, mut entry: Entry) -> u64 {
        entry.seq = self.oldest.saturating_add(u64::try_from(self.entries.len()).unwrap_or(0));
        let seq = entry.seq;
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        self.trim();
        seq
    }

    /// Adds what came of it.
    pub(super) fn close(&mut self, seq: u64, fault: Option<FaultKind>, answer: Option<Answered>) {
        let Some(entry) = self.entry_mut(seq) else { return };
        let before = entry.weight();
        entry.fault = fault;
        entry.answer = answer;
        let after = entry.weight();
        self.bytes = (self.bytes + after).saturating_sub(before);
        self.trim();
    }

    /// The entries whose `seq` is above `after`, at most `limit`.
    pub(super) fn after(&self, after: u64, limit: usize) -> Vec<Entry> {
        let skip = after.saturating_add(1).saturating_sub(self.oldest);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(limit).cloned().collect()
    }

    /// How many of the oldest entries are no longer kept.
    pub(super) fn dropped(&self) -> u64 {
        self.oldest.saturating_sub(1)
    }

    fn entry_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let at = usize::try_from(seq.checked_sub(self.oldest)?).ok()?;
        self.entries.get_mut(at)
    }

    fn trim(&mut self) {
        while self.entries.len() > self.entries_max || self.bytes > self.bytes_max {
            let Some(gone) = self.entries.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(gone.weight());
            self.oldest = self.oldest.saturating_add(1);
        }
    }
}

/// A journal entry of a request that has just been read. Of the headers that hold a key it keeps only what they are worth.
pub(super) fn received(
    at: DateTime<Utc>,
    provider: Provider,
    head: &Parts,
    keys: &[(&str, Key)],
    body: &[u8],
) -> Entry {
    Entry {
        seq: 0,
        at,
        provider,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                let shown = match keys.iter().find(|(key, _)| name == key) {
                    Some((_, Key::Right)) => "(the right key)".to_owned(),
                    Some((_, Key::Missing | Key::Unknown)) => "(an unknown key)".to_owned(),
                    None if SECRET.contains(&name.as_str()) => "(hidden)".to_owned(),
                    None => String::from_utf8_lossy(value.as_bytes()).into_owned(),
                };
                (name.as_str().to_owned(), shown)
            })
            .collect(),
        body: Text::of(body),
        fault: None,
        answer: None,
    }
}

/// What was answered, as the journal keeps it.
pub(super) fn answered(status: StatusCode, body: &[u8]) -> Answered {
    Answered { status: status.as_u16(), body: Text::of(body) }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;
    use crate::clock;

    fn head() -> Parts {
        Request::get("/x?y=1").body(()).unwrap().into_parts().0
    }

    fn entry(body: &str) -> Entry {
        received(clock::now(), Provider::Ljpc, &head(), &[], body.as_bytes())
    }

    #[test]
    fn the_oldest_entries_go_when_there_are_too_many() {
        let mut journal = Journal::with_limits(3, 1_000);
        let seqs: Vec<u64> = (0..5).map(|_| journal.note(entry(""))).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5]);
        let kept: Vec<u64> = journal.after(0, 10).iter().map(|e| e.seq).collect();
        assert_eq!((kept, journal.dropped()), (vec![3, 4, 5], 2));
        assert_eq!(journal.after(4, 10).len(), 1);
        assert_eq!(journal.after(u64::MAX, 10).len(), 0);
        assert_eq!(journal.after(0, 2).len(), 2);
    }

    #[test]
    fn the_oldest_entries_go_when_they_weigh_too_much() {
        let mut journal = Journal::with_limits(100, 1_000);
        for _ in 0..10 {
            let seq = journal.note(entry(&"x".repeat(100)));
            journal.close(seq, None, Some(answered(StatusCode::OK, &[b'y'; 200])));
        }
        assert!(journal.bytes <= 1_000);
        assert_eq!(journal.after(0, 100).len(), 3);
        journal.close(1, None, None);
        assert_eq!(
            journal.after(0, 100).len(),
            3,
            "what is gone can't be closed, nor does it harm"
        );
    }

    #[test]
    fn one_body_is_kept_up_to_its_limit() {
        assert_eq!(Text::of(&vec![b'x'; BODY_MAX + 1]).as_str().len(), BODY_MAX);
        assert_eq!(Text::of(b"\xff").as_str(), "\u{fffd}");
    }

    #[test]
    fn bodies_are_shown_as_what_they_are() {
        for (body, shown) in [("", "null"), ("{\"a\": 1}", "{\"a\": 1}"), ("{oops", "\"{oops\"")] {
            assert_eq!(serde_json::to_string(&Text::of(body.as_bytes())).unwrap(), shown);
        }
    }

    #[test]
    fn no_key_is_written_down() {
        let mut head = head();
        for name in [
            "x-api-key",
            "authorization",
            "proxy-authorization",
            "cookie",
            "access_token",
            "access-token",
        ] {
            head.headers.insert(name, HeaderValue::from_static("s3cret"));
        }
        head.headers.insert("accept", HeaderValue::from_static("application/json"));
        for (provider, keys) in [
            (Provider::Ljpc, vec![("x-api-key", Key::Right)]),
            (
                Provider::Leanstack,
                vec![("access_token", Key::Right), ("access-token", Key::Unknown)],
            ),
        ] {
            let entry = received(clock::now(), provider, &head, &keys, b"");
            let shown = serde_json::to_string(&entry).unwrap();
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains("(the right key)"), "{shown}");
            assert!(shown.contains("application/json"), "{shown}");
        }
    }
}

//! What LJPc was really asked, and which faults struck: the sandbox's journal, followed while it is kept.

use std::{collections::BTreeMap, fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use provisor::{
    clock,
    sandbox::{Entry, FaultKind, Handle},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How often is looked: the journal keeps 100,000 requests.
const LOOK: Duration = Duration::from_secs(1);

/// An answer that is held back is in the journal only after it was given.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(10);

/// A request with an effect.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: DateTime<Utc>,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Its external reference.
    pub(crate) tag: Option<String>,
    /// Of a WHOIS contact.
    pub(crate) email: Option<String>,
    /// The fault that struck it.
    pub(crate) fault: Option<String>,
    /// The HTTP status of its answer.
    pub(crate) status: Option<u16>,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.fault.as_deref().unwrap_or("no fault");
        write!(f, "{} {} {} ({fault}, answered {:?})", self.at, self.method, self.path, self.status)
    }
}

/// All of it.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) sent: Vec<Sent>,
    /// How often each fault struck.
    pub(crate) struck: BTreeMap<String, u64>,
    pub(crate) requests: u64,
    last: u64,
}

impl Watched {
    /// Follows the journal until there is nothing more to come.
    pub(crate) async fn follow(sandbox: Handle, end: CancellationToken) -> Self {
        let mut watched = Self::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = end.cancelled() => break,
            }
            watched.read(&sandbox, clock::now() - SETTLED_AFTER);
        }
        watched.read(&sandbox, clock::now());
        watched
    }

    fn read(&mut self, sandbox: &Handle, until: DateTime<Utc>) {
        for entry in sandbox.journal(self.last) {
            if entry.at > until {
                return;
            }
            assert!(self.last == 0 || entry.seq == self.last + 1, "the journal lost entries");
            self.last = entry.seq;
            self.note(&entry);
        }
    }

    fn note(&mut self, entry: &Entry) {
        self.requests += 1;
        let status = entry.answer.as_ref().map(|answer| answer.status);
        let fault = entry.fault.map(|kind| named(kind, status));
        if let Some(fault) = &fault {
            *self.struck.entry(fault.clone()).or_default() += 1;
        }
        if entry.method == "GET" {
            return;
        }
        let body: Value = serde_json::from_str(entry.body.as_str()).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        self.sent.push(Sent {
            at: entry.at,
            method: entry.method.clone(),
            path: entry.path.clone(),
            tag: text(&body["meta"]["external_reference"]).or(text(&body["external_reference"])),
            email: text(&body["email"]),
            fault,
            status,
        });
    }
}

/// A fault as the table calls it.
fn named(kind: FaultKind, status: Option<u16>) -> String {
    let name = serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned));
    match (kind, status) {
        (FaultKind::Status, Some(status)) => format!("status {status}"),
        _ => name.unwrap_or_default(),
    }
}

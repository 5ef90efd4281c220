//! The group commit: what many runs leave behind goes down in one transaction.
//!
//! The order of things in it is the order of locks everywhere: orders, wakes, effects, lines. Whoever changes a line holds
//! its order's lock, so that an order's status can be derived from lines that stand still.
//!
//! Architecture invariant: the run token fences the line; the truth about an effect is never fenced away.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    Database, DbError,
    wakes::{Due, Fence, Lane, Park},
};
use crate::order::{
    ContactHandle, LineId, LineKind, LineStatus, Money, OrderId, OrderStatus, Tag, UpstreamOrderId,
    decide::{Change, Event, Evidence},
    domain::{DomainSeen, Record as DnsRecord},
    effect::EffectStep,
    facts::{Facts, Progress},
    ledger::Outcome,
};

mod apply;
mod doubled;
mod effects;
mod emails;
mod ended;
mod intents;
mod lost;
mod names;
mod orders;
mod resolve;
mod review;
mod wakes;

pub use emails::{EmailRecord, EmailResult};
pub(super) use names::write_seen;
pub use resolve::{LineFound, Verdict};

/// What one run of a line leaves behind.
#[derive(Clone, Debug)]
pub struct Record {
    /// Proof that the run still holds the line.
    pub fence: Fence,
    /// The line's order.
    pub order_id: OrderId,
    /// The line.
    pub line_id: LineId,
    /// An irreversible request that is about to be made.
    pub intent: Option<Intent>,
    /// What became known of one. Enters whether or not the fence holds.
    pub truth: Option<Truth>,
    /// The line afterwards, if it changes.
    pub change: Option<LineChange>,
    /// How the wake is left; `None` keeps it for the rest of the run.
    pub park: Option<(Lane, Due, i32)>,
}

/// A line's change, made only if it still stands where it stood when it was loaded.
#[derive(Clone, Debug)]
pub struct LineChange {
    /// Where it stood.
    pub expected: LineStatus,
    /// The line afterwards.
    pub progress: Progress,
    /// Whether anything but a GET may have gone upstream for it; `None` leaves that as it is.
    pub sent: Option<bool>,
    /// What happened.
    pub events: Vec<Event>,
    /// Tell the operator, and the customer, that it takes long.
    pub overdue: bool,
    /// It has reached what other lines of its order may wait for, short of its end.
    pub advances: bool,
    /// What became of a placement in doubt.
    pub evidence: Option<Evidence>,
    /// How its name was seen upstream.
    pub seen: Option<DomainSeen>,
    /// Its name has got its one spelling, or it has bought nothing: the name's row of wishes is looked after.
    pub brings_name: bool,
}

impl LineChange {
    /// The change of a line that stands as these facts say.
    #[must_use]
    pub fn of(facts: &Facts, change: Change) -> Self {
        let (before, after) = (&facts.progress, &change.progress);
        let has_ended = after.status.is_ended() && !before.status.is_ended();
        let has_arrived = before.milestone.is_none() && after.milestone.is_some();
        // The name's row of wishes follows its one spelling and whoever has brought it, and goes to the next in line when
        // this one bought nothing.
        let brings_name = matches!(facts.kind, LineKind::DomainRegister | LineKind::DomainTransfer)
            && (after.domain != before.domain || has_arrived || has_ended);
        Self {
            expected: before.status,
            sent: None,
            advances: after.milestone != before.milestone,
            brings_name,
            overdue: change.overdue,
            evidence: change.evidence,
            seen: change.seen,
            events: change.events,
            progress: change.progress,
        }
    }
}

/// The intent of an irreversible request.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The attempt's id, made by this process.
    pub attempt: Uuid,
    /// Which step of the line.
    pub step: EffectStep,
    /// Which placement of it.
    pub n: i32,
    /// Its tag.
    pub tag: Tag,
    /// The name that it is for.
    pub domain: Option<String>,
    /// It will bring a hosting site for its name.
    pub brings_site: bool,
    /// It will bring the name itself.
    pub brings_name: bool,
    /// What the account is going to be charged.
    pub price: Option<Money>,
    /// The contact that it makes: [`super::contacts::key`].
    pub contact_key: Option<String>,
    /// The DNS records that it replaces.
    pub before: Option<Vec<DnsRecord>>,
    /// SHA-256 of method, path and body.
    pub request_hash: [u8; 32],
}

/// What an attempt's answer has shown.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Which attempt.
    pub attempt: Uuid,
    /// What its intent was, for a database that has lost it.
    pub intent: Option<Box<Intent>>,
    /// How its answer is read.
    pub outcome: Outcome,
    /// The order that was accepted.
    pub upstream_order_id: Option<UpstreamOrderId>,
    /// The WHOIS contact that was made.
    pub contact_handle: Option<ContactHandle>,
    /// The answer's status, if there was an answer.
    pub http_status: Option<u16>,
    /// What the upstream's support asks for.
    pub jti: Option<String>,
    /// What the upstream said, cleaned.
    pub detail: Option<String>,
}

/// What became of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// All of it is committed. For an intent: the WAL timeline on which it is.
    Done {
        /// The timeline of an intent, and whether irreversible requests are confirmed for it.
        timeline: Option<Timeline>,
    },
    /// Another run holds the line. Only the truth was committed.
    Stale,
    /// The line no longer stands where it stood, or another placement is in the way. Only the truth was committed.
    Conflict,
}

/// On which WAL timeline an intent was committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timeline {
    /// It is the one that irreversible requests are confirmed for. Another means a failover, which may have lost intents.
    pub confirmed: bool,
}

/// An order that ended with this commit, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct EndedOrder {
    /// How.
    pub status: OrderStatus,
    /// From its submission.
    pub took: Duration,
}

/// What a group commit needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `ljpc.in_doubt_grace`
    pub grace: Duration,
    /// `poll.progress_after`
    pub progress_after: Duration,
}

/// The answers to a group commit, in the order of its records.
#[derive(Debug)]
pub struct Committed {
    /// What became of each record.
    pub results: Vec<Result<Recorded, DbError>>,
    /// Orders that ended.
    pub ended: Vec<EndedOrder>,
}

/// How many records are committed by themselves at a time: one that waits for a lock does not hold up the others, and a
/// few connections are left to the rest of the process.
const SINGLES_MAX: usize = 3;

/// How a transaction waits for locks that others hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Locking {
    /// Leaves such records for later, so that one of them does not hold up the whole batch.
    Skip,
    /// Waits, for a while.
    Wait,
}

impl Database {
    /// Commits what many runs leave behind: together, and singly what could not go together.
    pub async fn commit_records(&self, records: &[Record], waits: Waits) -> Committed {
        let mut committed = Committed { results: Vec::new(), ended: Vec::new() };
        let mut results: HashMap<usize, Result<Recorded, DbError>> = HashMap::new();
        let all: Vec<&Record> = records.iter().collect();
        match self.commit_together(&all, waits, Locking::Skip).await {
            Ok(batch) => {
                committed.ended.extend(batch.ended);
                results.extend(batch.done.into_iter().map(|(index, done)| (index, Ok(done))));
            }
            // A bad row harms no other: each is committed by itself below.
            Err(error) if error.is_data_error() => {}
            Err(error) => {
                committed.results = records.iter().map(|_| Err(error.clone())).collect();
                return committed;
            }
        }
        let left: Vec<usize> =
            (0..records.len()).filter(|index| !results.contains_key(index)).collect();
        for some in left.chunks(SINGLES_MAX) {
            let singles = some.iter().filter_map(|&index| {
                let record = records.get(index)?;
                Some(async move { (index, self.commit_singly(record, waits).await) })
            });
            for (index, result) in join_all(singles).await {
                let result = result.map(|mut batch| {
                    committed.ended.append(&mut batch.ended);
                    batch.done.remove(&0).unwrap_or(Recorded::Stale)
                });
                results.insert(index, result);
            }
        }
        // Each index has its result by now.
        committed.results = (0..records.len()).filter_map(|index| results.remove(&index)).collect();
        committed
    }

    /// Commits one record by itself. If the line's change can't be stored, the truth is all the same: what the upstream has
    /// accepted must not depend on whether a price fits its column. The line follows the ledger later.
    async fn commit_singly(&self, record: &Record, waits: Waits) -> Result<apply::Batch, DbError> {
        let result = self.commit_together(&[record], waits, Locking::Wait).await;
        match result {
            Err(error) if error.is_data_error() && record.truth.is_some() => {
                let truth = Record { intent: None, change: None, park: None, ..record.clone() };
                self.commit_together(&[&truth], waits, Locking::Wait).await?;
                Err(error)
            }
            result => result,
        }
    }

    async fn commit_together(
        &self,
        records: &[&Record],
        waits: Waits,
        locking: Locking,
    ) -> Result<apply::Batch, DbError> {
        self.call("recording", async |connection| {
            let mut transaction = crate::db::begin(connection).await?;
            let batch = apply::apply(&mut transaction, records, waits, locking).await?;
            failpoint!("commit.before_commit");
            transaction.commit().await?;
            failpoint!("commit.committed");
            Ok(batch)
        })
        .await
    }
}

impl Intent {
    /// The intent of an order that brings a site for its name.
    #[must_use]
    pub fn to_place(attempt: Uuid, n: i32, tag: Tag, domain: String, hash: [u8; 32]) -> Self {
        Self {
            attempt,
            step: EffectStep::PlaceOrder,
            n,
            tag,
            domain: Some(domain),
            brings_site: true,
            brings_name: false,
            price: None,
            contact_key: None,
            before: None,
            request_hash: hash,
        }
    }
}

impl Record {
    fn to_park(&self) -> Option<Park> {
        self.park.map(|(lane, due, tries)| Park { fence: self.fence, lane, due, tries })
    }
}

//! Carries out a line: asks [`decide`] for the next step, takes it, records what came of it.
//!
//! What `decide` wants to know is read by `read.rs`; what has an effect upstream is made by `make_effect.rs`, with what
//! goes over the wire in `requests.rs`.

mod alternatives;
mod cached;
mod evidence;
mod make_effect;
pub(crate) mod read;
pub(crate) mod requests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tracing::Instrument;

use super::{
    guest::{Guest, NotNow, Why},
    ledger::{Ledger, LedgerError},
};
use crate::{
    db::{
        DbError,
        lines::LoadedLine,
        records::{LineChange, Record, Recorded},
        wakes::{Due, Lane},
    },
    order::{
        LineId,
        decide::{Change, Step, Then, decide},
        facts::{Known, Patience, Reading},
        kinds::poll::{decide_reading, waiting},
        outcome::panicked,
    },
    queue::{Claim, Crowd, Handler, Presence, Ran, Schedule},
    upstream::{UpstreamError, leanstack::Leanstack},
};

use self::read::{Shelf, Unread};
pub(super) use self::read::{to_product, to_seen};

/// How often one run may read upstream before it decides. A purchase of a name reads the most: endings, offer, contacts,
/// alternatives, the name itself.
const READINGS_MAX: usize = 8;

/// How the handler waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// What the contract's configuration says of polls.
    pub patience: Patience,
    /// The schedule of polls.
    pub polls: Schedule,
    /// The schedule of polls of transfers, which take days.
    pub transfers: Schedule,
    /// The schedule of retries.
    pub retries: Schedule,
    /// `ljpc.timeout`: an irreversible request is not begun with less of the lease left.
    pub timeout: Duration,
}

/// The handler.
pub struct CarryOutLine {
    ledger: Ledger,
    guest: Arc<Guest>,
    /// Who names alternatives, if somebody does.
    leanstack: Option<Arc<Guest<Leanstack>>>,
    presence: Presence,
    waiting: Waiting,
    /// How many others are polled too.
    crowd: Crowd,
    shelf: Shelf,
}

/// Why a run could not go on: nothing is recorded but the wait.
enum Stop {
    /// Another run holds the line.
    Stale,
    /// Later.
    Later(Duration),
    /// Later, by the schedule of retries.
    Retry,
}

/// Why a line can't be placed for now, as `order show` tells it, and when it is tried again.
struct Delay {
    reason: String,
    then: Then,
}

impl Delay {
    /// What a request that had no effect means for the line: it waits.
    fn by(error: &UpstreamError) -> Self {
        tracing::warn!(error = error.logged(), "LJPc can't be asked");
        let then = match stop_for(error) {
            Stop::Later(after) => Then::After(after),
            Stop::Stale | Stop::Retry => Then::Retry,
        };
        Self { reason: format!("LJPc can't be asked ({error}); it is tried again"), then }
    }

    /// What a database that is away means for it.
    fn by_database(error: &DbError) -> Self {
        tracing::warn!(error = %crate::causes::causes(error), "the line waits for the database");
        Self { reason: "waits for Provisor's own database".to_owned(), then: Then::Retry }
    }
}

impl From<NotNow> for Delay {
    fn from(not_now: NotNow) -> Self {
        let reason = match not_now.why {
            Why::Key => "waits until LJPc accepts the API key for this request again",
            Why::Outage => "LJPc can't be asked (it gives no usable answer); it is tried again",
            Why::Pause => "waits: LJPc has asked for fewer requests",
            Why::Operator => {
                "waits until an operator lets LJPc be asked (`provisor queue resume --upstream ljpc`)"
            }
        };
        Self { reason: reason.to_owned(), then: Then::After(not_now.after) }
    }
}

impl From<NotNow> for Stop {
    fn from(not_now: NotNow) -> Self {
        Self::Later(not_now.after)
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        tracing::warn!(error = %crate::causes::causes(&error), "the line waits for the database");
        Self::Retry
    }
}

#[async_trait]
impl Handler for CarryOutLine {
    fn name(&self) -> &'static str {
        "line"
    }

    async fn run(&self, claim: Claim) -> Ran {
        let result = Box::pin(self.carry_out(claim)).await;
        self.ran(claim, &result)
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        let result = self.record_panic(claim).await;
        self.ran(claim, &result)
    }
}

impl CarryOutLine {
    /// Makes the handler.
    pub fn new(ledger: Ledger, guest: Arc<Guest>, presence: Presence, waiting: Waiting) -> Self {
        let (crowd, shelf) = (Crowd::default(), Shelf::default());
        Self { ledger, guest, leanstack: None, presence, waiting, crowd, shelf }
    }

    /// The same, with somebody who names alternatives to names that are taken.
    #[must_use]
    pub fn advised_by(self, leanstack: Option<Arc<Guest<Leanstack>>>) -> Self {
        Self { leanstack, ..self }
    }

    /// The same, with polls that make room for each other.
    #[must_use]
    pub fn among(self, crowd: Crowd) -> Self {
        Self { crowd, ..self }
    }

    fn ran(&self, claim: Claim, result: &Result<Ran, Stop>) -> Ran {
        // A poll that could not be made stays a poll.
        let lane = if claim.wake.lane == Lane::Poll { Lane::Poll } else { Lane::Retry };
        match result {
            Ok(ran) => *ran,
            Err(Stop::Stale) => Ran::Stale,
            // Not its own fault, so it costs no try.
            Err(Stop::Later(after)) => Ran::Later { lane, after: *after, tries: claim.wake.tries },
            Err(Stop::Retry) => {
                let tries = claim.wake.tries;
                let after = self.waiting.retries.interval(tries);
                let polled = lane == Lane::Poll;
                let after = if polled { self.crowd.stretch(tries, after) } else { after };
                claim.again(lane, after)
            }
        }
    }

    async fn carry_out(&self, claim: Claim) -> Result<Ran, Stop> {
        let id = LineId(claim.wake.fence.wake.subject());
        failpoint!("line.before_load");
        let Some(loaded) = self.ledger.load(id).await? else {
            tracing::error!(line_id = id.0, "a wake without its line");
            return Err(Stop::Later(Duration::from_hours(24)));
        };
        failpoint!("line.loaded");
        let span = tracing::info_span!(
            "line",
            reference = %loaded.facts.reference,
            line = loaded.facts.line,
            run_token = claim.wake.fence.run_token,
            trace_id = loaded.trace.as_ref().map(|trace| tracing::field::display(trace.id()))
        );
        if let Some(trace) = &loaded.trace {
            trace.go_on_in(&span);
        }
        self.take_steps(claim, loaded).instrument(span).await
    }

    async fn take_steps(&self, claim: Claim, loaded: LoadedLine) -> Result<Ran, Stop> {
        // The run's place in the budget, which its first request uses up.
        let mut prepaid = true;
        let result = Box::pin(self.steps(claim, &loaded, &mut prepaid)).await;
        if prepaid {
            self.guest.unused();
        }
        result
    }

    async fn steps(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        prepaid: &mut bool,
    ) -> Result<Ran, Stop> {
        let mut known = Known::default();
        for _ in 0..READINGS_MAX {
            let next = decide(&loaded.facts, &known, &self.waiting.patience);
            failpoint!("line.decided");
            match next {
                Step::Read(query) => {
                    let read = Box::pin(self.read(loaded, query.clone(), &mut known, prepaid));
                    match read.await {
                        Ok(()) => self.note_reading(loaded, &query, &known).await,
                        Err(Unread::Stop(stop)) => {
                            return self.tell_if_overdue(claim, loaded, stop).await;
                        }
                        Err(Unread::Delay(delay)) => return self.wait(claim, loaded, delay).await,
                    }
                }
                Step::Make(effect) => {
                    return Box::pin(self.make_effect(claim, loaded, &effect, prepaid)).await;
                }
                Step::Record(change) => return self.record_change(claim, loaded, *change).await,
            }
        }
        tracing::error!("the line's next step asks for more and more readings");
        Err(Stop::Retry)
    }

    /// Records that the line waits, and for what, where only a log would say it else.
    async fn wait(&self, claim: Claim, loaded: &LoadedLine, delay: Delay) -> Result<Ran, Stop> {
        let Delay { reason, then } = delay;
        let patience = &self.waiting.patience;
        let change = waiting(&loaded.facts, reason, then, patience);
        self.record_change(claim, loaded, change).await
    }

    /// A poll that can't be made for now says nothing of its order, and costs no try; but a line can be overdue by it, which
    /// is told once.
    async fn tell_if_overdue(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        stop: Stop,
    ) -> Result<Ran, Stop> {
        let change = decide_reading(&loaded.facts, &Reading::Unanswered, &self.waiting.patience);
        if change.overdue { self.record_change(claim, loaded, change).await } else { Err(stop) }
    }

    async fn record_change(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        change: Change,
    ) -> Result<Ran, Stop> {
        let record = self.record_of(claim, loaded, change);
        // Most polls show nothing new: those need no lock of their order, and no transaction of several statements.
        if let (None, Some((lane, due, tries))) = (&record.change, record.park) {
            return Ok(Ran::Unchanged { lane, due, tries });
        }
        failpoint!("line.before_record");
        let recorded = self.ledger.record(record).await?;
        failpoint!("line.recorded");
        match recorded {
            Recorded::Done { .. } => Ok(Ran::Recorded),
            Recorded::Stale => Err(Stop::Stale),
            // Somebody changed the line since it was loaded: look again at once.
            Recorded::Conflict => Err(Stop::Later(Duration::ZERO)),
        }
    }

    /// What the change leaves behind: nothing but the wake where the line stays as it was.
    fn record_of(&self, claim: Claim, loaded: &LoadedLine, change: Change) -> Record {
        let facts = &loaded.facts;
        let same = change.progress == facts.progress
            && change.events.is_empty()
            && change.evidence.is_none()
            && change.seen.is_none();
        Record {
            fence: claim.wake.fence,
            order_id: loaded.order_id,
            line_id: loaded.line_id,
            intent: None,
            truth: None,
            park: Some(self.park_of(claim, change.then, facts.now)),
            change: (!same).then(|| LineChange::of(facts, change)),
        }
    }

    fn park_of(&self, claim: Claim, then: Then, now: DateTime<Utc>) -> (Lane, Due, i32) {
        let tries = claim.wake.tries;
        let next = tries.saturating_add(1);
        let poll = |schedule: Schedule, tries| self.crowd.stretch(tries, schedule.interval(tries));
        let Waiting { polls, transfers, .. } = self.waiting;
        match then {
            Then::Rest => (Lane::Retry, Due::Never, 0),
            Then::Poll(true) => (Lane::Poll, Due::In(poll(polls, 0)), 1),
            Then::Poll(false) => (Lane::Poll, Due::In(poll(polls, tries)), next),
            Then::PollTransfer => (Lane::Poll, Due::In(poll(transfers, tries)), next),
            Then::Retry => (Lane::Retry, Due::In(self.waiting.retries.interval(tries)), next),
            Then::After(after) => (Lane::Retry, Due::In(after), tries),
            // What it waits for may come before then, so the schedule of polls goes on.
            Then::At(at) => {
                let left = (at - now).to_std().unwrap_or_default();
                (Lane::Poll, Due::In(left.min(poll(polls, tries))), next)
            }
        }
    }

    async fn record_panic(&self, claim: Claim) -> Result<Ran, Stop> {
        let id = LineId(claim.wake.fence.wake.subject());
        let Some(loaded) = self.ledger.load(id).await? else { return Err(Stop::Stale) };
        let change = panicked(&loaded.facts);
        failpoint!("line.panicked");
        self.record_change(claim, &loaded, change).await
    }
}

/// What a failed GET means for the line: nothing. It is asked again.
fn stop_for(error: &UpstreamError) -> Stop {
    match error {
        UpstreamError::RateLimited { after } => Stop::Later(*after),
        // The circuit that has opened says when.
        UpstreamError::Unauthorized { .. } => Stop::Later(Duration::from_secs(1)),
        UpstreamError::NotSent { .. }
        | UpstreamError::Rejected { .. }
        | UpstreamError::InDoubt { .. }
        | UpstreamError::Unavailable { .. } => {
            tracing::warn!(error = error.logged(), "LJPc can't be read");
            Stop::Retry
        }
    }
}

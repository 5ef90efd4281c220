//! Carries out a line: asks [`decide`] for the next step, takes it, records what came of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use tracing::Instrument;

use super::{
    guest::{Guest, NotNow},
    ledger::{Ledger, LedgerError},
};
use crate::{
    db::{
        lines::LoadedLine,
        records::{LineChange, Record, Recorded},
        wakes::{Due, Lane},
    },
    order::{
        LineId, UpstreamOrderId,
        catalogue::Product,
        decide::{Change, Step, Then, decide, panicked},
        facts::{Known, Patience, Reading, SimpleStatus},
        poll::{decide_reading, waiting},
    },
    queue::{Claim, Handler, Presence, Ran, Schedule},
    upstream::{UpstreamError, ljpc},
};

/// How often one run may read upstream before it decides. Two kinds of readings exist, so this is never reached.
const READINGS_MAX: usize = 4;

/// For how long a catalogue that was read serves the lines that follow: each order's price is looked up, and a burst of
/// orders asks once.
const CATALOGUE_AGE_MAX: Duration = Duration::from_secs(30);

/// How the handler waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// What the contract's configuration says of polls.
    pub patience: Patience,
    /// The schedule of polls.
    pub polls: Schedule,
    /// The schedule of retries.
    pub retries: Schedule,
    /// `ljpc.timeout`: an irreversible request is not begun with less of the lease left.
    pub timeout: Duration,
}

/// The handler.
pub struct CarryOutLine {
    pub(super) ledger: Ledger,
    pub(super) guest: Arc<Guest>,
    pub(super) presence: Presence,
    pub(super) waiting: Waiting,
    catalogue: Mutex<Option<(Instant, Arc<Vec<Product>>)>>,
}

/// Why a run could not go on: nothing is recorded but the wait.
pub(super) enum Stop {
    /// Another run holds the line.
    Stale,
    /// Later.
    Later(Duration),
    /// Later, by the schedule of retries.
    Retry,
}

/// Why a line can't be placed for now, as `order show` tells it, and when it is tried again.
pub(super) struct Delay {
    pub(super) reason: String,
    pub(super) then: Then,
}

impl Delay {
    /// What a request that had no effect means for the line: it waits.
    pub(super) fn by(error: &UpstreamError) -> Self {
        tracing::warn!(error = %crate::causes::causes(error), "LJPc can't be asked");
        let then = match stop_for(error) {
            Stop::Later(after) => Then::After(after),
            Stop::Stale | Stop::Retry => Then::Retry,
        };
        Self { reason: format!("LJPc can't be asked ({error}); it is tried again"), then }
    }
}

impl From<NotNow> for Delay {
    fn from(not_now: NotNow) -> Self {
        let reason = "waits until LJPc accepts the API key for this request again".to_owned();
        Self { reason, then: Then::After(not_now.after) }
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
        Self { ledger, guest, presence, waiting, catalogue: Mutex::default() }
    }

    fn ran(&self, claim: Claim, result: &Result<(), Stop>) -> Ran {
        // A poll that could not be made stays a poll.
        let lane = if claim.wake.lane == Lane::Poll { Lane::Poll } else { Lane::Retry };
        match result {
            Ok(()) => Ran::Recorded,
            Err(Stop::Stale) => Ran::Stale,
            // Not its own fault, so it costs no try.
            Err(Stop::Later(after)) => Ran::Later { lane, after: *after, tries: claim.wake.tries },
            Err(Stop::Retry) => claim.again(lane, self.waiting.retries.interval(claim.wake.tries)),
        }
    }

    async fn carry_out(&self, claim: Claim) -> Result<(), Stop> {
        let id = LineId(claim.wake.fence.wake.subject());
        let Some(loaded) = self.ledger.load(id).await? else {
            tracing::error!(line_id = id.0, "a wake without its line");
            return Err(Stop::Later(Duration::from_hours(24)));
        };
        let span = tracing::info_span!(
            "line",
            reference = %loaded.facts.reference,
            line = loaded.facts.line,
            run_token = claim.wake.fence.run_token
        );
        self.take_steps(claim, loaded).instrument(span).await
    }

    async fn take_steps(&self, claim: Claim, loaded: LoadedLine) -> Result<(), Stop> {
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
    ) -> Result<(), Stop> {
        let mut catalogue: Option<Arc<Vec<Product>>> = None;
        let mut reading = None;
        for _ in 0..READINGS_MAX {
            let known = Known {
                catalogue: catalogue.as_ref().map(|products| products.as_slice()),
                reading: reading.as_ref(),
            };
            match decide(&loaded.facts, known, &self.waiting.patience) {
                Step::ReadCatalogue => match self.catalogue(prepaid).await {
                    Ok(products) => catalogue = Some(products),
                    Err(delay) => return self.wait(claim, loaded, delay).await,
                },
                Step::ReadOrder(order) => match self.read_order(order, prepaid).await {
                    Ok(read) => reading = Some(read),
                    Err(stop) => return self.tell_if_overdue(claim, loaded, stop).await,
                },
                Step::Place(order) => {
                    return Box::pin(self.place_order(claim, loaded, &order, prepaid)).await;
                }
                Step::Record(change) => return self.record_change(claim, loaded, *change).await,
            }
        }
        tracing::error!("the line's next step asks for more and more readings");
        Err(Stop::Retry)
    }

    /// Records that the line waits, and for what, where only a log would say it else.
    pub(super) async fn wait(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        delay: Delay,
    ) -> Result<(), Stop> {
        let Delay { reason, then } = delay;
        let patience = &self.waiting.patience;
        let change = waiting(&loaded.facts, loaded.submitted_at, reason, then, patience);
        self.record_change(claim, loaded, change).await
    }

    /// A poll that can't be made for now says nothing of its order, and costs no try; but a line can be overdue by it, which
    /// is told once.
    async fn tell_if_overdue(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        stop: Stop,
    ) -> Result<(), Stop> {
        let change = decide_reading(&loaded.facts, &Reading::Unanswered, &self.waiting.patience);
        if change.overdue { self.record_change(claim, loaded, change).await } else { Err(stop) }
    }

    /// The catalogue, at most [`CATALOGUE_AGE_MAX`] old. Who comes while it is being read waits for that.
    async fn catalogue(&self, prepaid: &mut bool) -> Result<Arc<Vec<Product>>, Delay> {
        let mut cached = self.catalogue.lock().await;
        if let Some((read_at, products)) = cached.as_ref()
            && read_at.elapsed() < CATALOGUE_AGE_MAX
        {
            return Ok(Arc::clone(products));
        }
        let endpoint = ljpc::endpoints::LIST_PRODUCTS.name;
        let permit = self.guest.permit(endpoint, prepaid).await?;
        let answer = self.guest.ljpc().products().await;
        drop(permit);
        self.guest.learn(endpoint, &answer).await;
        let products = answer.map_err(|error| Delay::by(&error))?;
        let products: Arc<Vec<Product>> =
            Arc::new(products.into_iter().filter_map(to_product).collect());
        *cached = Some((Instant::now(), Arc::clone(&products)));
        Ok(products)
    }

    async fn read_order(
        &self,
        order: UpstreamOrderId,
        prepaid: &mut bool,
    ) -> Result<Reading, Stop> {
        let endpoint = ljpc::endpoints::GET_ORDER.name;
        let permit = self.guest.permit(endpoint, prepaid).await?;
        let answer = self.guest.ljpc().order(order).await;
        drop(permit);
        self.guest.learn(endpoint, &answer).await;
        match answer {
            Ok(detail) => Ok(Reading::Order {
                simple_status: to_simple_status(&detail.simple_status),
                // The order has one line, ours.
                site_id: detail.lines.first().and_then(|line| line.site_id),
            }),
            Err(UpstreamError::Rejected { status, .. }) => Ok(Reading::Unreadable { status }),
            // An outage fails nobody, yet a line can be overdue by it.
            Err(error) => match stop_for(&error) {
                Stop::Retry => Ok(Reading::Unanswered),
                stop @ (Stop::Stale | Stop::Later(_)) => Err(stop),
            },
        }
    }

    pub(super) async fn record_change(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        change: Change,
    ) -> Result<(), Stop> {
        let record = self.record_of(claim, loaded, change);
        match self.ledger.record(record).await? {
            Recorded::Done { .. } => Ok(()),
            Recorded::Stale => Err(Stop::Stale),
            // Somebody changed the line since it was loaded: look again at once.
            Recorded::Conflict => Err(Stop::Later(Duration::ZERO)),
        }
    }

    /// What the change leaves behind: nothing but the wake where the line stays as it was.
    pub(super) fn record_of(&self, claim: Claim, loaded: &LoadedLine, change: Change) -> Record {
        let facts = &loaded.facts;
        let same = change.progress == facts.progress && change.events.is_empty();
        Record {
            fence: claim.wake.fence,
            order_id: loaded.order_id,
            line_id: loaded.line_id,
            intent: None,
            truth: None,
            park: Some(self.park_of(claim, change.then, facts.now)),
            change: (!same).then_some(LineChange {
                expected: facts.progress.status,
                progress: change.progress,
                sent: None,
                events: change.events,
                overdue: change.overdue,
            }),
        }
    }

    fn park_of(&self, claim: Claim, then: Then, now: DateTime<Utc>) -> (Lane, Due, i32) {
        let tries = claim.wake.tries;
        let next = tries.saturating_add(1);
        match then {
            Then::Rest => (Lane::Retry, Due::Never, 0),
            Then::Poll(true) => (Lane::Poll, Due::In(self.waiting.polls.interval(0)), 1),
            Then::Poll(false) => (Lane::Poll, Due::In(self.waiting.polls.interval(tries)), next),
            Then::Retry => (Lane::Retry, Due::In(self.waiting.retries.interval(tries)), next),
            Then::After(after) => (Lane::Retry, Due::In(after), tries),
            // What it waits for may come before then, so the schedule of polls goes on.
            Then::At(at) => {
                let left = (at - now).to_std().unwrap_or_default();
                (Lane::Poll, Due::In(left.min(self.waiting.polls.interval(tries))), next)
            }
        }
    }

    async fn record_panic(&self, claim: Claim) -> Result<(), Stop> {
        let id = LineId(claim.wake.fence.wake.subject());
        let Some(loaded) = self.ledger.load(id).await? else { return Err(Stop::Stale) };
        let change = panicked(&loaded.facts);
        self.record_change(claim, &loaded, change).await
    }
}

/// What a failed GET means for the line: nothing. It is asked again.
pub(super) fn stop_for(error: &UpstreamError) -> Stop {
    match error {
        UpstreamError::RateLimited { after } => Stop::Later(*after),
        // The circuit that has opened says when.
        UpstreamError::Unauthorized { .. } => Stop::Later(Duration::from_secs(1)),
        UpstreamError::NotSent { .. }
        | UpstreamError::Rejected { .. }
        | UpstreamError::InDoubt { .. }
        | UpstreamError::Unavailable { .. } => {
            tracing::warn!(error = %crate::causes::causes(error), "LJPc can't be read");
            Stop::Retry
        }
    }
}

fn to_product(product: ljpc::Product) -> Option<Product> {
    Some(Product {
        category_identifier: product.category_identifier?,
        uuid: product.uuid,
        name: product.name,
        client_choice: product.billing_period_type == ljpc::BillingPeriodType::ClientChoice,
        monthly_price: product.monthly_price,
        yearly_price: product.yearly_price,
    })
}

fn to_simple_status(status: &ljpc::SimpleStatus) -> SimpleStatus {
    match status {
        ljpc::SimpleStatus::Pending => SimpleStatus::Pending,
        ljpc::SimpleStatus::Processing => SimpleStatus::Processing,
        ljpc::SimpleStatus::Completed => SimpleStatus::Completed,
        ljpc::SimpleStatus::Failed => SimpleStatus::Failed,
        ljpc::SimpleStatus::Unknown(_) => SimpleStatus::Unknown,
    }
}

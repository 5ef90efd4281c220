//! Makes our customers known to Leanstack, each once. Adding one again is harmless, so whose outcome is unknown is sent
//! again; whom it refuses is not, before his details change.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::guest::{Guest, NotNow};
use crate::{
    clock::Deadline,
    db::{Database, DbError, customers::UnknownCustomer, wakes::Lane},
    queue::{Claim, Handler, Ran, Schedule},
    upstream::{
        UpstreamError,
        leanstack::{AddCustomer, Leanstack, Phone},
    },
};

/// How often it is looked for new customers.
const INTERVAL: Duration = Duration::from_secs(5);

/// How many customers one run makes known.
const CUSTOMERS_MAX: i64 = 20;

/// For how long a process that does not use Leanstack leaves it to others.
const UNUSED_FOR: Duration = Duration::from_hours(1);

/// How a run ended early.
enum Stop {
    /// Leanstack can't be asked now.
    Later(Duration),
    /// By the schedule of retries.
    Retry,
}

impl From<NotNow> for Stop {
    fn from(not_now: NotNow) -> Self {
        Self::Later(not_now.after)
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        tracing::warn!(error = %crate::causes::causes(&error), "customers wait for the database");
        Self::Retry
    }
}

/// The handler.
pub struct SyncCustomers {
    db: Database,
    guest: Option<Arc<Guest<Leanstack>>>,
    retries: Schedule,
    timeout: Duration,
}

impl SyncCustomers {
    /// Makes the handler. Without a guest there is nothing to do.
    #[must_use]
    pub const fn new(
        db: Database,
        guest: Option<Arc<Guest<Leanstack>>>,
        retries: Schedule,
        timeout: Duration,
    ) -> Self {
        Self { db, guest, retries, timeout }
    }

    async fn sync(&self, guest: &Guest<Leanstack>) -> Result<(), Stop> {
        let mut doubted = false;
        for customer in self.db.customers_for_leanstack(CUSTOMERS_MAX).await? {
            // One whose outcome is unknown keeps nobody else waiting.
            doubted |= !self.add(guest, &customer).await?;
        }
        if doubted { Err(Stop::Retry) } else { Ok(()) }
    }

    /// Makes a customer known. `false`: whether he is, is unknown.
    async fn add(
        &self,
        guest: &Guest<Leanstack>,
        customer: &UnknownCustomer,
    ) -> Result<bool, Stop> {
        failpoint!("customers.loaded");
        let Some(request) = to_request(customer) else {
            self.db.note_leanstack(customer, Some("phone is no number")).await?;
            return Ok(true);
        };
        let prepared = request.prepare(guest.host().contract());
        let endpoint = prepared.endpoint();
        let permit = guest.permit(endpoint.name, &mut false).await?;
        let deadline = Deadline::after(self.timeout);
        let answer = match guest.host().connect(endpoint, deadline).await {
            Ok(connected) => {
                failpoint!("customers.connected");
                guest.host().add_customer(connected, &prepared, deadline).await
            }
            Err(error) => Err(error),
        };
        failpoint!("customers.added");
        guest.learn(endpoint.name, &answer).await;
        drop(permit);
        let debug_id = prepared.id().map(tracing::field::display);
        match answer {
            Ok(_) => {
                tracing::info!(customer_id = customer.id.0, debug_id, "Leanstack knows a customer");
                self.db.note_leanstack(customer, None).await?;
                failpoint!("customers.noted");
                Ok(true)
            }
            Err(UpstreamError::Rejected { message, .. }) => {
                tracing::warn!(
                    customer_id = customer.id.0,
                    debug_id,
                    "Leanstack refused a customer"
                );
                self.db.note_leanstack(customer, Some(&message)).await?;
                Ok(true)
            }
            Err(UpstreamError::RateLimited { after }) => Err(Stop::Later(after)),
            Err(error @ (UpstreamError::NotSent { .. } | UpstreamError::Unauthorized { .. })) => {
                tracing::warn!(error = error.logged(), "Leanstack can't be asked");
                Err(Stop::Retry)
            }
            Err(error @ (UpstreamError::InDoubt { .. } | UpstreamError::Unavailable { .. })) => {
                tracing::warn!(
                    customer_id = customer.id.0,
                    debug_id,
                    error = error.logged(),
                    "whether Leanstack knows a customer is unknown; he is sent again"
                );
                self.db.note_leanstack_doubt(customer.id).await?;
                Ok(false)
            }
        }
    }
}

#[async_trait]
impl Handler for SyncCustomers {
    fn name(&self) -> &'static str {
        "sync_customers"
    }

    async fn run(&self, claim: Claim) -> Ran {
        let Some(guest) = &self.guest else { return claim.again(Lane::Audit, UNUSED_FOR) };
        let tries = claim.wake.tries;
        match self.sync(guest).await {
            Ok(()) => Ran::Later { lane: Lane::Audit, after: INTERVAL, tries: 0 },
            Err(Stop::Later(after)) => {
                Ran::Later { lane: Lane::Audit, after: after.max(INTERVAL), tries }
            }
            Err(Stop::Retry) => {
                let after = self.retries.interval(tries).max(INTERVAL);
                Ran::Later { lane: Lane::Audit, after, tries: tries.saturating_add(1) }
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Audit, self.retries.interval(claim.wake.tries))
    }
}

fn to_request(customer: &UnknownCustomer) -> Option<AddCustomer> {
    Some(AddCustomer {
        first_name: customer.first_name.clone(),
        last_name: customer.last_name.clone(),
        email: customer.email.clone(),
        phone: Phone::parse(&customer.phone)?,
        address: customer.address.clone(),
        country: customer.country.clone(),
        city: customer.city.clone(),
        postal_code: customer.postal_code.clone(),
    })
}

//! Reviews an order when its alarm rings: a doubt's grace has ended, or its customer is owed word of the progress.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::ledger::Observer;
use crate::{
    db::{Database, records::Waits, wakes::Lane},
    order::OrderId,
    queue::{Alarm, Claim, Handler, Ran},
};

/// How long after a failure it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The handler.
pub struct ReviewOrder {
    db: Database,
    waits: Waits,
    alarm: Alarm,
    observer: Arc<dyn Observer>,
}

impl ReviewOrder {
    /// Makes the handler.
    pub fn new(db: Database, waits: Waits, alarm: Alarm, observer: Arc<dyn Observer>) -> Self {
        Self { db, waits, alarm, observer }
    }
}

#[async_trait]
impl Handler for ReviewOrder {
    fn name(&self) -> &'static str {
        "order"
    }

    async fn run(&self, claim: Claim) -> Ran {
        let order = OrderId(claim.wake.fence.wake.subject());
        failpoint!("review.begun");
        match self.db.review_order(claim.wake.fence, order, self.waits).await {
            Ok(ended) => {
                failpoint!("review.done");
                for order in ended {
                    self.observer.ended(order);
                }
                self.alarm.look_in(Duration::ZERO);
                Ran::Recorded
            }
            Err(error) => {
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    order_id = order.0,
                    "the order was not reviewed"
                );
                self.panicked(claim).await
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Audit, AGAIN_AFTER)
    }
}

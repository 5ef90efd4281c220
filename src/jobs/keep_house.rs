//! Keeps the house: next months' partitions of the history, and the wakes of what has long ended.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    db::{Database, wakes::Lane},
    queue::{Claim, Handler, Ran},
};

/// How often it is done.
const INTERVAL: Duration = Duration::from_hours(6);

/// How long after a failure it is tried again.
const AGAIN_AFTER: Duration = Duration::from_mins(5);

/// The handler.
pub struct KeepHouse {
    db: Database,
}

impl KeepHouse {
    /// Makes the handler.
    #[must_use]
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Handler for KeepHouse {
    fn name(&self) -> &'static str {
        "keep_house"
    }

    async fn run(&self, claim: Claim) -> Ran {
        failpoint!("house.before_keeping");
        match self.db.keep_house().await {
            Ok(forgotten) => {
                failpoint!("house.kept");
                tracing::info!(forgotten, "kept the house");
                Ran::Later { lane: Lane::Audit, after: INTERVAL, tries: 0 }
            }
            Err(error) => {
                tracing::warn!(error = %crate::causes::causes(&error), "the house was not kept");
                self.panicked(claim).await
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Audit, AGAIN_AFTER)
    }
}

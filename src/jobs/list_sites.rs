//! Reads the account's sites whole, now and then, and keeps the list: what is not in it when an order is sent, and later is,
//! came of that order. A line in doubt pokes it when the list is old, so that one listing serves all lines of all processes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::guest::{Guest, NotNow};
use crate::{
    clock::Deadline,
    db::{Database, DbError, lines::evidence::ListedSite, wakes::Lane},
    order::name::DomainName,
    queue::{Claim, Handler, Ran, Schedule},
    upstream::{UpstreamError, ljpc},
};

/// How old the list becomes.
const INTERVAL: Duration = Duration::from_hours(1);

/// Why there is no list.
enum Unlisted {
    NotNow(NotNow),
    Upstream(UpstreamError),
    Database(DbError),
    /// It would not have been read before the lease ends.
    TooLong,
}

impl From<UpstreamError> for Unlisted {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl From<DbError> for Unlisted {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// The handler.
pub struct ListSites {
    db: Database,
    guest: Arc<Guest>,
    retries: Schedule,
    timeout: Duration,
}

impl ListSites {
    /// Makes the handler.
    #[must_use]
    pub const fn new(
        db: Database,
        guest: Arc<Guest>,
        retries: Schedule,
        timeout: Duration,
    ) -> Self {
        Self { db, guest, retries, timeout }
    }

    async fn list(&self, lease: Deadline) -> Result<usize, Unlisted> {
        let begun_at = self.db.time().await?;
        let endpoint = ljpc::endpoints::LIST_SITES.name;
        // Each page is a request of its own, with its own place in the budget.
        let sites = self
            .guest
            .ljpc()
            .list_sites(|page| async move {
                // Another run may begin once the lease is over, and two of them would only slow each other down.
                if lease.left() <= self.timeout {
                    return Err(Unlisted::TooLong);
                }
                let permit =
                    self.guest.permit(endpoint, &mut false).await.map_err(Unlisted::NotNow)?;
                let answer = page.await;
                self.guest.learn(endpoint, &answer).await;
                drop(permit);
                Ok(answer?)
            })
            .await?;
        let listed: Vec<ListedSite> = sites.into_iter().map(to_listed).collect();
        failpoint!("sites.listed");
        self.db.keep_listing(begun_at, &listed).await?;
        failpoint!("sites.kept");
        Ok(listed.len())
    }
}

#[async_trait]
impl Handler for ListSites {
    fn name(&self) -> &'static str {
        "list_sites"
    }

    async fn run(&self, claim: Claim) -> Ran {
        match self.list(claim.lease).await {
            Ok(sites) => {
                tracing::info!(sites, "listed the account's sites");
                Ran::Later { lane: Lane::Audit, after: INTERVAL, tries: 0 }
            }
            Err(Unlisted::NotNow(NotNow { after, .. })) => {
                Ran::Later { lane: Lane::Audit, after, tries: claim.wake.tries }
            }
            Err(Unlisted::TooLong) => {
                tracing::warn!(
                    "the account's sites can't be listed within a lease: queue.lease is too short for them"
                );
                self.panicked(claim).await
            }
            Err(Unlisted::Upstream(error)) => {
                tracing::warn!(error = error.logged(), "sites were not listed");
                self.panicked(claim).await
            }
            Err(Unlisted::Database(error)) => {
                tracing::warn!(error = %crate::causes::causes(&error), "sites were not listed");
                self.panicked(claim).await
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Audit, self.retries.interval(claim.wake.tries))
    }
}

/// Its name in the one spelling that lines have.
fn to_listed(site: ljpc::Site) -> ListedSite {
    let domain = site.domain.map(|written| {
        DomainName::parse(&written).map_or(written, |name| name.as_str().to_owned())
    });
    ListedSite { id: site.id, domain }
}

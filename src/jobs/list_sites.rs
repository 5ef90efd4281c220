//! Reads the account's sites whole, now and then, and keeps the list: what is not in it when an order is sent, and later is,
//! came of that order. A line in doubt pokes it when the list is old, so that one listing serves all lines of all processes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::guest::{Guest, NotNow};
use crate::{
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
}

impl ListSites {
    /// Makes the handler.
    #[must_use]
    pub const fn new(db: Database, guest: Arc<Guest>, retries: Schedule) -> Self {
        Self { db, guest, retries }
    }

    async fn list(&self) -> Result<usize, Unlisted> {
        let begun_at = self.db.time().await?;
        let endpoint = ljpc::endpoints::LIST_SITES.name;
        // Each page is a request of its own, with its own place in the budget.
        let admit =
            || async { self.guest.permit(endpoint, &mut false).await.map_err(Unlisted::NotNow) };
        let sites = match self.guest.ljpc().list_sites(admit).await {
            Ok(sites) => {
                self.guest.learn(endpoint, &Ok(())).await;
                sites
            }
            Err(Unlisted::Upstream(error)) => {
                let answer: Result<(), _> = Err(error);
                self.guest.learn(endpoint, &answer).await;
                return answer.map(|()| 0).map_err(Unlisted::Upstream);
            }
            Err(other) => return Err(other),
        };
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
        match self.list().await {
            Ok(sites) => {
                tracing::info!(sites, "listed the account's sites");
                Ran::Later { lane: Lane::Audit, after: INTERVAL, tries: 0 }
            }
            Err(Unlisted::NotNow(NotNow { after, .. })) => {
                Ran::Later { lane: Lane::Audit, after, tries: claim.wake.tries }
            }
            Err(Unlisted::Upstream(error)) => {
                tracing::warn!(error = %crate::causes::causes(&error), "sites were not listed");
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

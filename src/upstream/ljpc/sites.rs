//! GET /api/hosting/v1/sites: what has been delivered, and the way into its control panel.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::{
    Ljpc, endpoints,
    envelope::payload,
    pages::{PER_PAGE, Page, all_pages, readable},
    wire::lenient,
};
use crate::{
    order::SiteId,
    upstream::{
        Answer, Secret, UpstreamError,
        answer::{BODY_BYTES_MAX, LISTING_BYTES_MAX},
    },
};

/// A site as the listing shows it. Several may bear one domain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Its domain, as upstream writes it.
    #[serde(default, deserialize_with = "lenient")]
    pub domain: Option<String>,
    /// Its status, as upstream says it.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    /// What was bought, in GiB.
    #[serde(default, deserialize_with = "lenient")]
    pub disk_space_gb: Option<i64>,
}

/// A site with what it uses.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SiteDetail {
    /// Its id.
    pub id: SiteId,
    /// Its domain, as upstream writes it.
    #[serde(default, deserialize_with = "lenient")]
    pub domain: Option<String>,
    /// Its status, as upstream says it.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    /// What was bought, in GiB.
    #[serde(default, deserialize_with = "lenient")]
    pub disk_space_gb: Option<i64>,
    /// Used by files; `None` while nothing was measured yet.
    #[serde(default, deserialize_with = "lenient")]
    pub disk_used_bytes: Option<i64>,
    /// Used by mail; `None` while nothing was measured yet.
    #[serde(default, deserialize_with = "lenient")]
    pub email_used_bytes: Option<i64>,
    /// `None` when unlimited.
    #[serde(default, deserialize_with = "lenient")]
    pub disk_quota_bytes: Option<i64>,
}

#[derive(Deserialize)]
struct Login {
    url: String,
}

/// A page of the listing, on its way to [`Ljpc::list_sites`].
#[derive(Debug)]
pub struct SitesPage(Page<Site>);

#[derive(Deserialize)]
struct Listing {
    sites: Vec<Box<RawValue>>,
    total: u64,
}

impl Ljpc {
    /// One page of up to 100 sites, from 1.
    pub async fn sites(&self, page: u32) -> Result<Vec<Site>, UpstreamError> {
        self.page_of_sites(page, |answer| read_page(answer)?.whole(&endpoints::LIST_SITES)).await
    }

    /// All sites by their ids, or an error; never a part.
    pub async fn all_sites(&self) -> Result<Vec<Site>, UpstreamError> {
        self.list_sites(|page| page).await
    }

    /// The same, each page asked for by the caller, who may wait before, and learn from what comes.
    pub async fn list_sites<'a, E, F>(
        &'a self,
        ask: impl Fn(BoxFuture<'a, Result<SitesPage, UpstreamError>>) -> F,
    ) -> Result<Vec<Site>, E>
    where
        E: From<UpstreamError>,
        F: Future<Output = Result<SitesPage, E>>,
    {
        let read = |number| {
            let page = ask(Box::pin(async move { self.sites_page(number).await.map(SitesPage) }));
            async move { page.await.map(|SitesPage(page)| page) }
        };
        all_pages(&endpoints::LIST_SITES, read, |site: &Site| site.id).await
    }

    /// One site. A site that is unknown or somebody else's is `Rejected` with 404.
    pub async fn site(&self, id: SiteId) -> Result<SiteDetail, UpstreamError> {
        let endpoint = &endpoints::GET_SITE;
        let read = |answer: &Answer| read_site(id, answer);
        self.get(endpoint, &endpoint.path_of_id(id.0), BODY_BYTES_MAX, read).await
    }

    /// A URL that opens a site's control panel, once, for whoever has it; `None` when upstream has none to give. Each call
    /// makes another one: it is asked for when a person is about to follow it, and neither stored nor sent on.
    pub async fn login(&self, id: SiteId) -> Result<Option<Secret>, UpstreamError> {
        let endpoint = &endpoints::LOGIN_TO_SITE;
        self.get(endpoint, &endpoint.path_of_id(id.0), BODY_BYTES_MAX, read_login).await
    }

    /// One page, from 1, with how many there are in all.
    pub async fn sites_page(&self, page: u32) -> Result<Page<Site>, UpstreamError> {
        self.page_of_sites(page, read_page).await
    }

    async fn page_of_sites<T>(
        &self,
        page: u32,
        read: impl Fn(&Answer) -> Result<T, UpstreamError> + Send + Sync,
    ) -> Result<T, UpstreamError> {
        let endpoint = &endpoints::LIST_SITES;
        let path = format!("{}?page={page}&per_page={PER_PAGE}", endpoint.template());
        self.get(endpoint, &path, LISTING_BYTES_MAX, read).await
    }
}

pub(super) fn read_page(answer: &Answer) -> Result<Page<Site>, UpstreamError> {
    let Listing { sites, total } = payload(&endpoints::LIST_SITES, answer)?.parse()?;
    let (items, unread) = readable(&sites);
    Ok(Page { items, total, unread })
}

pub(super) fn read_site(id: SiteId, answer: &Answer) -> Result<SiteDetail, UpstreamError> {
    let payload = payload(&endpoints::GET_SITE, answer)?;
    let site: SiteDetail = payload.parse()?;
    if site.id == id { Ok(site) } else { Err(payload.broken("the answer is about another site")) }
}

pub(super) fn read_login(answer: &Answer) -> Result<Option<Secret>, UpstreamError> {
    if answer.status == 204 {
        return Ok(None);
    }
    let payload = payload(&endpoints::LOGIN_TO_SITE, answer)?;
    let Login { url } = payload.parse()?;
    // It is shown as it came, so it must be printable, too.
    let fit = Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        && url.bytes().all(|byte| byte.is_ascii_graphic());
    if fit { Ok(Some(Secret::new(url))) } else { Err(payload.broken("the URL is none")) }
}

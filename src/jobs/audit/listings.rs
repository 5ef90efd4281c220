//! Lists the account's domains and sites, page by page, into the run's readings.
//!
//! A listing that changes while it is read may skip what is there. So it is begun anew; the last time it is read to its end
//! however it changes, and what all passes have shown together is the listing, if that is as much as there is. One that
//! shows less, or that has entries which can't be read, is incomplete: then nothing is concluded about what is missing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    Auditor, Run, Stepped, Unread, past,
    storable::{is_storable, storable},
};
use crate::{
    db::{
        DbError,
        audit::{AssetKind, ListedAsset, Settled},
    },
    order::name::DomainName,
    upstream::{
        UpstreamError,
        ljpc::{Domain, PER_PAGE, Page, Site, endpoints},
    },
};

/// How often a listing is read.
const PASSES_MAX: i32 = 4;

/// The most pages of a listing: a million entries.
const PAGES_MAX: u32 = 10_000;

/// How far a listing is: the page that is read next, and how many entries the first page has told of.
struct Position {
    page: u32,
    total: Option<u64>,
}

impl Position {
    fn read(position: &str) -> Self {
        let (page, total) = position.split_once('/').unwrap_or(("1", ""));
        Self { page: page.parse().unwrap_or(1).max(1), total: total.parse().ok() }
    }
}

impl Auditor {
    /// The next page of a listing.
    pub(super) async fn list(&self, run: Box<Run>, kind: AssetKind) -> Result<Stepped, DbError> {
        let read_at = self.now().await?;
        let answer = self.page(kind, Position::read(&run.row.position).page).await;
        self.keep_page(run, kind, answer, read_at).await
    }

    async fn keep_page(
        &self,
        mut run: Box<Run>,
        kind: AssetKind,
        answer: Result<Page<ListedAsset>, Unread>,
        read_at: DateTime<Utc>,
    ) -> Result<Stepped, DbError> {
        let (of, incomplete) = match kind {
            AssetKind::Domain => ("domains", "the list of domains could not be read to its end"),
            AssetKind::Site => ("sites", "the list of sites could not be read to its end"),
        };
        let page = match answer {
            Ok(page) => page,
            Err(why) => return self.failed(run, why, incomplete).await,
        };
        let at = Position::read(&run.row.position);
        let is_last_pass = run.row.pass >= PASSES_MAX;
        if !is_last_pass && at.total.is_some_and(|total| total != page.total) {
            return self.begin_anew(run).await;
        }
        run.figures.answered();
        if page.unread > 0 {
            run.figures.unread = run.figures.unread.saturating_add(page.unread);
            run.figures.note(format!("the list of {of} has entries that can't be read"));
        }
        let entries =
            u64::try_from(page.items.len()).unwrap_or(u64::MAX).saturating_add(page.unread);
        let read = u64::from(at.page - 1) * u64::from(PER_PAGE) + entries;
        let is_last = entries == 0 || read >= page.total;
        if !is_last && at.page >= PAGES_MAX {
            run.figures.note(format!("{incomplete}: it has more than {PAGES_MAX} pages"));
            run.figures.given_up = true;
            return self.go_on(past(run)).await;
        }
        run.row.position = format!("{}/{}", at.page.saturating_add(1), page.total);
        if self.db.keep_page(&self.place(&run), kind, &page.items, read_at).await?.is_none() {
            return Ok(Stepped::Lost);
        }
        failpoint!("audit.read");
        if !is_last {
            return Ok(Stepped::On(run, Settled::new()));
        }
        // Entries that came twice have pushed others out.
        let listed = self.db.count_listed(kind, run.row.pass).await?;
        if run.figures.unread > 0 {
            return self.go_on(past(run)).await;
        }
        if !is_last_pass {
            if listed != page.total {
                return self.begin_anew(run).await;
            }
            run.figures.listed_whole(kind, page.total);
            return self.go_on(past(run)).await;
        }
        if self.db.count_listed(kind, 1).await? >= page.total {
            run.figures.listed_whole(kind, page.total);
        } else {
            run.figures.note(format!(
                "the list of {of} changed during each of {PASSES_MAX} readings: nothing is concluded about what is missing"
            ));
            tracing::warn!(of, "a listing keeps changing");
        }
        // What the passes have shown is there all the same.
        run.row.pass = 1;
        self.go_on(past(run)).await
    }

    async fn begin_anew(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        run.row.pass = run.row.pass.saturating_add(1);
        run.row.position = String::new();
        run.figures.unread = 0;
        self.go_on(run).await
    }
}

impl super::Figures {
    /// A listing was read to its end.
    const fn listed_whole(&mut self, kind: AssetKind, total: u64) {
        match kind {
            AssetKind::Domain => (self.domains, self.domains_complete) = (total, true),
            AssetKind::Site => (self.sites, self.sites_complete) = (total, true),
        }
    }
}

/// A listing that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unlisted {
    /// LJPc gave no answer that can be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// LJPc is not asked at the moment.
    #[error("LJPc is not asked at the moment: provisor queue stats tells why")]
    NotNow,
    /// It has entries that can't be read.
    #[error("the listing has entries that can't be read: nothing is concluded from the others")]
    Unreadable,
    /// It changed while it was read, again and again.
    #[error("the listing changed while it was read: try again")]
    Changed,
}

impl Auditor {
    /// All of a listing at once, for who has room for it.
    pub async fn all(&self, kind: AssetKind) -> Result<Vec<ListedAsset>, Unlisted> {
        for _ in 0..PASSES_MAX {
            if let Some(all) = self.one_pass(kind).await? {
                return Ok(all);
            }
        }
        Err(Unlisted::Changed)
    }

    /// The same, once; `None`: it changed meanwhile.
    async fn one_pass(&self, kind: AssetKind) -> Result<Option<Vec<ListedAsset>>, Unlisted> {
        let (mut all, mut total) = (BTreeMap::new(), None);
        for number in 1..=PAGES_MAX {
            let page = self.page(kind, number).await.map_err(|why| match why {
                Unread::Upstream(error) => Unlisted::Upstream(error),
                Unread::NotNow(_) => Unlisted::NotNow,
            })?;
            if *total.get_or_insert(page.total) != page.total {
                return Ok(None);
            }
            if page.unread > 0 {
                return Err(Unlisted::Unreadable);
            }
            let is_last = page.items.is_empty();
            all.extend(page.items.into_iter().map(|asset| (asset.key.clone(), asset)));
            let read = u64::try_from(all.len()).unwrap_or(u64::MAX);
            if read == page.total {
                return Ok(Some(all.into_values().collect()));
            }
            if is_last || read > page.total {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn page(&self, kind: AssetKind, number: u32) -> Result<Page<ListedAsset>, Unread> {
        let ljpc = self.guest.ljpc();
        match kind {
            AssetKind::Domain => {
                let page = self.ask(endpoints::LIST_DOMAINS.name, ljpc.domains_page(number)).await;
                page.map(to_listed)
            }
            AssetKind::Site => {
                let page = self.ask(endpoints::LIST_SITES.name, ljpc.sites_page(number)).await;
                page.map(to_listed)
            }
        }
    }
}

/// A row of a listing, with its key; `None`: it can't be one's.
trait Row {
    fn to_asset(self) -> Option<ListedAsset>;
}

impl Row for Domain {
    fn to_asset(self) -> Option<ListedAsset> {
        // Its name in the one spelling that lines have.
        let key = DomainName::parse(&self.domain)
            .map_or_else(|_| self.domain.trim().to_lowercase(), |name| name.as_str().to_owned());
        (!key.is_empty() && is_storable(&key)).then(|| ListedAsset {
            key,
            status: self.status.map(storable),
            expires_at: self.expires_at,
            auto_renew: self.auto_renew,
            transfer_lock: self.transfer_lock,
            domain: None,
        })
    }
}

impl Row for Site {
    fn to_asset(self) -> Option<ListedAsset> {
        (self.id.0 > 0).then(|| ListedAsset {
            key: format!("{:020}", self.id.0),
            status: self.status.map(storable),
            expires_at: None,
            auto_renew: None,
            transfer_lock: None,
            domain: self.domain.map(storable),
        })
    }
}

fn to_listed(page: Page<impl Row>) -> Page<ListedAsset> {
    let rows = page.items.len();
    let items: Vec<ListedAsset> = page.items.into_iter().filter_map(Row::to_asset).collect();
    let unfit = u64::try_from(rows.saturating_sub(items.len())).unwrap_or(u64::MAX);
    Page { items, total: page.total, unread: page.unread.saturating_add(unfit) }
}

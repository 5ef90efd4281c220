//! GET /api/hosting/v1/sites, …/sites/{id} and …/sites/{id}/login.

pub(in crate::sandbox) mod site;
pub(in crate::sandbox) mod wish;

use std::time::Instant;

use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use self::site::Site;
use super::{
    Call, Facts,
    answer::Answer,
    input::{Paging, Refused},
};
use crate::{order::SiteId, sandbox::state::World};

/// Sites below this id are other resellers'.
const FIRST_OWN: SiteId = SiteId(2019);

#[derive(Serialize)]
struct Listing<'a> {
    sites: Vec<Row<'a>>,
    total: usize,
    page: usize,
    per_page: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    id: SiteId,
    domain: &'a str,
    status: &'a str,
    disk_space_gb: u32,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    disk_used_bytes: Option<u64>,
    email_used_bytes: Option<u64>,
    disk_quota_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Login {
    url: String,
}

/// One page of the delivered sites.
pub(super) fn list(world: &World, call: &Call<'_>) -> Result<Answer, Refused> {
    let paging = Paging::read(call.query)?;
    let mut book = world.book();
    book.advance(Instant::now());
    let (total, sites) = book.sites(paging.skip(), paging.per_page);
    let sites = sites.iter().map(row).collect();
    let Paging { page, per_page } = paging;
    Ok(Answer::data(StatusCode::OK, &Listing { sites, total, page, per_page }))
}

/// A site with its usage. A foreign one answers like an unknown one.
pub(super) fn show(world: &World, call: &Call<'_>) -> Answer {
    let mut book = world.book();
    book.advance(Instant::now());
    match site_id(call).and_then(|id| book.site(id)) {
        Some(site) => Answer::data(StatusCode::OK, &detail(site)),
        None => Answer::not_found("Site not found"),
    }
}

/// A single-use link to the panel: a new one for each request. It leads nowhere.
pub(super) fn login(world: &World, call: &Call<'_>) -> Answer {
    let mut book = world.book();
    book.advance(Instant::now());
    let Some(id) = site_id(call) else { return Answer::not_found("Site not found") };
    match book.site(id) {
        Some(site) if site.has_panel => {
            let url = format!("https://panel.example.com/sso?token={}", Uuid::new_v4().simple());
            Answer::data(StatusCode::OK, &Login { url })
        }
        Some(_) => Answer::empty(StatusCode::NO_CONTENT),
        None if id.0 >= 1 && id < FIRST_OWN => Answer::refusal(
            StatusCode::FORBIDDEN,
            "You don't have permission to login to this site",
        ),
        None => Answer::not_found("Site not found"),
    }
}

/// The domain of the site that is asked for, and the reference of the order that made it.
pub(super) fn facts(world: &World, call: &Call<'_>) -> Facts {
    let mut book = world.book();
    book.advance(Instant::now());
    site_id(call).and_then(|id| book.site(id)).map_or_else(Facts::default, |site| Facts {
        domains: vec![site.domain.clone()],
        reference: site
            .order
            .and_then(|id| book.order(id))
            .and_then(|order| order.tag())
            .map(str::to_owned),
        recipients: Vec::new(),
    })
}

fn site_id(call: &Call<'_>) -> Option<SiteId> {
    call.parameter?.parse().ok().map(SiteId)
}

fn row(site: &Site) -> Row<'_> {
    Row {
        id: site.id,
        domain: &site.domain,
        status: &site.status,
        disk_space_gb: site.disk_space_gb,
    }
}

fn detail(site: &Site) -> Detail<'_> {
    Detail {
        row: row(site),
        disk_used_bytes: site.disk_used_bytes,
        email_used_bytes: site.email_used_bytes,
        disk_quota_bytes: site.disk_quota_bytes(),
    }
}

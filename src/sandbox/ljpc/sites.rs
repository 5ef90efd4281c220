//! GET /api/hosting/v1/sites, …/sites/{id} and …/sites/{id}/login.

use std::time::Instant;

use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Call, Facts,
    answer::Answer,
    input::{Paging, Refused},
    record::Site,
};
use crate::{order::SiteId, sandbox::state::World};

const BYTES_PER_GIB: u64 = 1024 * 1024 * 1024;
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
    status: &'static str,
    disk_space_gb: u32,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    disk_used_bytes: Option<u64>,
    email_used_bytes: Option<u64>,
    disk_quota_bytes: u64,
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
        reference: book.order(site.order).and_then(|order| order.tag()).map(str::to_owned),
        recipients: Vec::new(),
    })
}

fn site_id(call: &Call<'_>) -> Option<SiteId> {
    call.parameter?.parse().ok().map(SiteId)
}

fn row(site: &Site) -> Row<'_> {
    Row { id: site.id, domain: &site.domain, status: "active", disk_space_gb: site.disk_space_gb }
}

fn detail(site: &Site) -> Detail<'_> {
    let disk_quota_bytes = u64::from(site.disk_space_gb) * BYTES_PER_GIB;
    // LJPc, GET /api/hosting/v1/sites/{id}: null when no usage row exists yet. One site in eight shows that.
    let measured = site.id.0 % 8 != 0;
    Detail {
        row: row(site),
        disk_used_bytes: measured.then_some(disk_quota_bytes * 3 / 10),
        email_used_bytes: measured.then_some(disk_quota_bytes / 10),
        disk_quota_bytes,
    }
}

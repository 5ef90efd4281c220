//! The controls of the sandbox, under /_sandbox: what happened, and what shall go wrong next.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::{Unread, read_body};
use crate::{
    order::{SiteId, UpstreamOrderId},
    sandbox::{
        faults::FaultError,
        journal::Entry,
        ljpc::{
            BookError, ContactSeen, DomainError, DomainSeen, Drive, DrivenSite, SiteError, Stage,
        },
        state::World,
    },
};

/// GET /_sandbox/faults
pub(super) async fn list_faults(State(world): State<Arc<World>>) -> Response {
    json(StatusCode::OK, &json!({ "faults": world.faults.list() }))
}

/// POST /_sandbox/faults
pub(super) async fn add_fault(State(world): State<Arc<World>>, request: Request) -> Response {
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(unread) => return unreadable(&unread),
    };
    match world.faults.add(&body) {
        Ok(listed) => json(StatusCode::CREATED, &listed),
        Err(error @ FaultError::TooMany { .. }) => {
            refused(StatusCode::CONFLICT, &error.to_string())
        }
        Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

/// DELETE /_sandbox/faults
pub(super) async fn clear_faults(State(world): State<Arc<World>>) -> Response {
    json(StatusCode::OK, &json!({ "cleared": world.faults.clear() }))
}

/// What part of a long list is wanted.
#[derive(Deserialize)]
pub(super) struct Part {
    /// Only what follows this `seq` or id; of what has neither, only what follows so many.
    #[serde(default)]
    after: u64,
    #[serde(default = "no_limit")]
    limit: usize,
}

impl Part {
    fn skip(&self) -> usize {
        usize::try_from(self.after).unwrap_or(usize::MAX)
    }
}

fn no_limit() -> usize {
    100_000
}

#[derive(Serialize)]
struct Page {
    dropped: u64,
    entries: Vec<Entry>,
}

/// GET /_sandbox/journal?after=SEQ&limit=N
pub(super) async fn show_journal(
    State(world): State<Arc<World>>,
    Query(part): Query<Part>,
) -> Response {
    let (entries, dropped) = {
        let journal = world.journal();
        (journal.after(part.after, part.limit), journal.dropped())
    };
    json(StatusCode::OK, &Page { dropped, entries })
}

/// GET /_sandbox/orders?after=ID&limit=N
pub(super) async fn list_orders(
    State(world): State<Arc<World>>,
    Query(part): Query<Part>,
) -> Response {
    let after = UpstreamOrderId(i64::try_from(part.after).unwrap_or(i64::MAX));
    let (orders, total) = {
        let mut book = world.book();
        (book.seen(after, part.limit, Instant::now()), book.len())
    };
    json(StatusCode::OK, &json!({ "total": total, "orders": orders }))
}

/// GET /_sandbox/sites?after=ID&limit=N
pub(super) async fn list_sites(
    State(world): State<Arc<World>>,
    Query(part): Query<Part>,
) -> Response {
    let after = SiteId(i64::try_from(part.after).unwrap_or(i64::MAX));
    let sites = {
        let mut book = world.book();
        book.advance(Instant::now());
        book.sites_seen(after, part.limit)
    };
    json(StatusCode::OK, &json!({ "sites": sites }))
}

/// POST /_sandbox/sites
pub(super) async fn put_site(State(world): State<Arc<World>>, request: Request) -> Response {
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(unread) => return unreadable(&unread),
    };
    match world.put_site(&body) {
        Ok(site) => json(StatusCode::OK, &site),
        Err(error @ SiteError::Full) => refused(StatusCode::CONFLICT, &error.to_string()),
        Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

/// GET /_sandbox/domains?after=N&limit=N
pub(super) async fn list_domains(
    State(world): State<Arc<World>>,
    Query(part): Query<Part>,
) -> Response {
    let now = Instant::now();
    let (domains, total) = {
        let mut book = world.book();
        book.advance(now);
        let wanted = book.domains.all().skip(part.skip()).take(part.limit);
        let seen: Vec<DomainSeen> = wanted.map(|domain| domain.seen(now)).collect();
        (seen, book.domains.all().count())
    };
    json(StatusCode::OK, &json!({ "total": total, "domains": domains }))
}

/// POST /_sandbox/domains
pub(super) async fn put_domain(State(world): State<Arc<World>>, request: Request) -> Response {
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(unread) => return unreadable(&unread),
    };
    match world.put_domain(&body) {
        Ok(domain) => json(StatusCode::OK, &domain),
        Err(error @ DomainError::Full) => refused(StatusCode::CONFLICT, &error.to_string()),
        Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

/// GET /_sandbox/contacts?after=N&limit=N
pub(super) async fn list_contacts(
    State(world): State<Arc<World>>,
    Query(part): Query<Part>,
) -> Response {
    let (contacts, total) = {
        let book = world.book();
        let wanted = book.contacts.all().skip(part.skip()).take(part.limit);
        let seen: Vec<ContactSeen> = wanted.cloned().collect();
        (seen, book.contacts.all().count())
    };
    json(StatusCode::OK, &json!({ "total": total, "contacts": contacts }))
}

/// GET /_sandbox/customers?after=N&limit=N
pub(super) async fn list_customers(
    State(world): State<Arc<World>>,
    Query(part): Query<Part>,
) -> Response {
    let (customers, total) = {
        let customers = world.customers();
        let wanted = customers.all().iter().skip(part.skip()).take(part.limit);
        (wanted.cloned().collect::<Vec<_>>(), customers.all().len())
    };
    json(StatusCode::OK, &json!({ "total": total, "customers": customers }))
}

/// GET /_sandbox/summary
pub(super) async fn show_summary(State(world): State<Arc<World>>) -> Response {
    json(StatusCode::OK, &world.summary())
}

/// GET /_sandbox/mails
pub(super) async fn list_mails(State(world): State<Arc<World>>) -> Response {
    json(StatusCode::OK, &json!({ "mails": world.mails.all() }))
}

/// The body of POST /_sandbox/orders/{id}.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: Stage,
    /// A number, null for none, or not there at all.
    #[serde(default, deserialize_with = "site")]
    site_id: DrivenSite,
}

fn site<'de, D: Deserializer<'de>>(from: D) -> Result<DrivenSite, D::Error> {
    Option::deserialize(from).map(|id| id.map_or(DrivenSite::None, DrivenSite::This))
}

/// POST /_sandbox/orders/{id}
pub(super) async fn drive_order(
    State(world): State<Arc<World>>,
    Path(id): Path<i64>,
    request: Request,
) -> Response {
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(unread) => return unreadable(&unread),
    };
    let wish: Wish = match serde_json::from_slice(&body) {
        Ok(wish) => wish,
        Err(error) => return refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    };
    if wish.site_id != DrivenSite::Usual && wish.state != Stage::Completed {
        let message = "site_id: only with the state `completed`";
        return refused(StatusCode::UNPROCESSABLE_ENTITY, message);
    }
    let to = Drive { stage: wish.state, site: wish.site_id };
    let driven = world.book().drive(UpstreamOrderId(id), to, Instant::now());
    match driven {
        Ok(order) => json(StatusCode::OK, &order),
        Err(error @ BookError::NoSuchOrder(_)) => {
            refused(StatusCode::NOT_FOUND, &error.to_string())
        }
        Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

fn unreadable(unread: &Unread) -> Response {
    match unread {
        Unread::TooLarge => refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        Unread::Broken => refused(StatusCode::BAD_REQUEST, "the body could not be read"),
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "message": message }))
}

fn json(status: StatusCode, payload: &impl Serialize) -> Response {
    match serde_json::to_vec(payload) {
        Ok(body) => {
            (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

//! The sandbox over HTTP: the simulated API, and the controls under /_sandbox.

mod connection;
mod control;
mod fault;
mod front;

#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use http_body_util::BodyExt;
use tokio::net::TcpListener;

use self::connection::{Doorman, Line};
use super::{provider::Provider, state::World};

/// The most that a request's body may have.
const BODY_MAX: usize = 1024 * 1024;
/// A body that is too big is still read up to here, so that its sender gets to see the 413 and not a reset.
const BODY_DRAINED_MAX: usize = 16 * 1024 * 1024;
const CONNECTIONS_MAX: usize = 1_024;
/// Longer than any answer can be held back by a fault.
const IDLE_MAX: Duration = Duration::from_mins(15);

/// Serves one of the upstreams until the world is stopping.
pub(super) async fn serve(
    listener: TcpListener,
    world: Arc<World>,
    provider: Provider,
) -> io::Result<()> {
    let doorman = Doorman::new(listener, CONNECTIONS_MAX, IDLE_MAX);
    serve_from(doorman, world, provider).await
}

async fn serve_from(doorman: Doorman, world: Arc<World>, provider: Provider) -> io::Result<()> {
    let stopping = world.stopping.clone();
    let routes = match provider {
        Provider::Ljpc => routes(world),
        Provider::Leanstack => Router::new().fallback(front::answer_leanstack).with_state(world),
    };
    axum::serve(doorman, routes.into_make_service_with_connect_info::<Line>())
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await
}

/// Of LJPc, and the controls of all. The simulated endpoints have tables of their own (`ljpc/endpoint.rs`,
/// `leanstack/endpoint.rs`), since faults are named by them too.
fn routes(world: Arc<World>) -> Router {
    let faults = get(control::list_faults).post(control::add_fault).delete(control::clear_faults);
    Router::new()
        .route("/_sandbox/faults", faults)
        .route("/_sandbox/journal", get(control::show_journal))
        .route("/_sandbox/orders", get(control::list_orders))
        .route("/_sandbox/orders/{id}", post(control::drive_order))
        .route("/_sandbox/sites", get(control::list_sites).post(control::put_site))
        .route("/_sandbox/domains", get(control::list_domains).post(control::put_domain))
        .route("/_sandbox/contacts", get(control::list_contacts))
        .route("/_sandbox/customers", get(control::list_customers))
        .route("/_sandbox/summary", get(control::show_summary))
        .route("/_sandbox/mails", get(control::list_mails))
        .fallback(front::answer_ljpc)
        .with_state(world)
}

/// Why a request's body could not be had.
#[derive(Debug, Eq, PartialEq)]
enum Unread {
    TooLarge,
    /// The sender broke off, or sent what is no HTTP.
    Broken,
}

/// Reads a body of at most [`BODY_MAX`] bytes.
async fn read_body(mut body: axum::body::Body) -> Result<Vec<u8>, Unread> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > BODY_DRAINED_MAX {
            return Err(Unread::TooLarge);
        }
        if seen <= BODY_MAX {
            kept.extend_from_slice(&data);
        }
    }
    if seen > BODY_MAX { Err(Unread::TooLarge) } else { Ok(kept) }
}

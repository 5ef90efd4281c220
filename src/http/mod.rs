//! The endpoints of an operator: /livez, /readyz, /metrics.
//!
//! Architecture invariants: /livez never asks the database, or an outage of it would have every replica killed just when
//! their work waits for it. No request here reaches further than to a reading of figures.

mod heartbeat;
mod readiness;
mod scrape;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use heartbeat::Heartbeat;
pub use readiness::{Readiness, ReadinessReceiver, ReadinessSender};
pub use scrape::{GaugeError, GaugeSource, Scraper};
pub use serve::serve;

/// What the three endpoints tell of.
#[derive(Clone, Debug)]
pub struct HealthState {
    /// For /livez.
    pub heartbeat: Heartbeat,
    /// For /readyz.
    pub readiness: ReadinessReceiver,
    /// For /metrics.
    pub scraper: Arc<Scraper>,
}

/// The three endpoints, by GET and HEAD; any other path is 404.
pub fn router(state: HealthState) -> Router {
    Router::new()
        .route("/livez", get(get_livez))
        .route("/readyz", get(get_readyz))
        .route("/metrics", get(get_metrics))
        .with_state(state)
}

async fn get_livez(State(state): State<HealthState>) -> Response {
    let age = state.heartbeat.age();
    if state.heartbeat.is_alive() {
        return (StatusCode::OK, "alive\n").into_response();
    }
    let reason = format!("the process last turned over {} s ago\n", age.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

async fn get_readyz(State(state): State<HealthState>) -> Response {
    match state.readiness.why_not() {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn get_metrics(State(state): State<HealthState>) -> Response {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4";
    match state.scraper.scrape(state.readiness.why_not().is_none()).await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests;

//! Logs, metrics and traces.
//!
//! Architecture invariant: nothing here knows an order. Which kinds, lanes, endpoints and templates there are is passed in
//! by the wiring ([`KnownLabels`]), because those lists live on other floors.

mod labels;
pub mod logs;
mod metrics;
mod series;
mod traces;

pub use labels::KnownLabels;
pub use metrics::Metrics;
pub use traces::{TraceError, Traces};

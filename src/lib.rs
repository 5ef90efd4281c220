//! Provisor turns paid retail orders for hosting and domain names into delivered services,
//! exactly once.
//!
//! ARCHITECTURE.md says how the floors below stand on each other; `tests/tidy.rs` keeps it so.

#[macro_use]
pub mod failpoints;

pub mod app;
pub mod audit;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod host;
pub mod http;
pub mod jobs;
pub mod lifecycle;
pub mod mail;
pub mod order;
pub mod queue;
pub mod sandbox;
pub mod telemetry;
pub mod trace;
pub mod upstream;

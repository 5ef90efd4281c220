//! The upstreams: the only HTTP client.
//!
//! Two ways lead out, and there is no third. What is safe goes through [`Transport::get`], or [`Transport::ask`] where the
//! question has a body (reqwest, pooled). Whatever buys or changes something goes through [`Transport::connect`] and
//! [`Connected::send`] (hyper, one connection for one request), so that the ledger can commit its intent between the two.
//! Neither retries anything, follows a redirect, or waits without a deadline: what to do next is for the ledger to decide,
//! from the [`UpstreamError`] it gets.
//!
//! Each upstream is a folder: its endpoints, its calls, its wire types. None knows the other.

mod answer;
mod classify;
mod connection;
mod endpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod http;
mod irreversible;
pub mod leanstack;
pub mod ljpc;
mod observer;
mod origin;
mod retry_after;
mod secret;
mod text;
mod tls;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use classify::{Verdict, classify};
pub use endpoint::{Endpoint, UnfitSegment};
pub use error::{BuildError, Scope, UpstreamError};
pub use http::{Transport, TransportSettings};
pub use irreversible::{Connected, PreparedRequest};
pub use observer::{Observer, Unobserved};
pub use secret::Secret;
pub use tls::system as system_tls;

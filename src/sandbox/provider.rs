//! Which of the simulated upstreams.

use serde::Serialize;

/// A simulated upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The LJPc reseller API.
    Ljpc,
    /// The Leanstack API.
    Leanstack,
}

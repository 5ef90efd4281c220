//! Who is told about each request, so that it can be counted and timed.

use std::time::Duration;

/// Told once about each request whose outcome is known. A request that is dropped midway is not told about.
pub trait Observer: Send + Sync {
    /// `endpoint` is the method and the path as documented; `outcome` is `ok` or [`super::UpstreamError::outcome`]; `took`
    /// includes the connecting, but not what lay between connecting and sending.
    fn request(
        &self,
        provider: &'static str,
        endpoint: &'static str,
        outcome: &'static str,
        took: Duration,
    );
}

/// The observer that nobody listens to: for commands that end before anyone could look at a metric.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn request(&self, _: &'static str, _: &'static str, _: &'static str, _: Duration) {}
}

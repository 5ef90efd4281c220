//! The upstreams whose guest a process may be.

use async_trait::async_trait;

use crate::upstream::{
    UpstreamError,
    leanstack::{self, Leanstack},
    ljpc::{self, Ljpc},
};

/// An upstream whose guest a process is.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Its name in metrics and in the tables.
    const PROVIDER: &'static str;
    /// Its name for people.
    const NAME: &'static str;
    /// What it means that it can't be asked, for people.
    const SHUT: &'static str;

    /// One request that asks for nothing but whether the key is good.
    async fn ping(&self) -> Result<(), UpstreamError>;
}

#[async_trait]
impl Host for Ljpc {
    const PROVIDER: &'static str = ljpc::PROVIDER;
    const NAME: &'static str = "LJPc";
    const SHUT: &'static str = "orders wait, and none fails by this";

    async fn ping(&self) -> Result<(), UpstreamError> {
        Self::ping(self).await
    }
}

#[async_trait]
impl Host for Leanstack {
    const PROVIDER: &'static str = leanstack::PROVIDER;
    const NAME: &'static str = "Leanstack";
    const SHUT: &'static str =
        "no alternatives are offered, and no customer is made known, until it does";

    async fn ping(&self) -> Result<(), UpstreamError> {
        // It has no request that asks for less.
        self.availability("example", "com").await.map(drop)
    }
}

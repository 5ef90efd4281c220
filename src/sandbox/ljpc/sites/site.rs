//! One hosting site.

use serde::Serialize;

use crate::order::{SiteId, UpstreamOrderId};

const BYTES_PER_GIB: u64 = 1024 * 1024 * 1024;

/// One hosting site.
#[derive(Debug)]
pub(in crate::sandbox::ljpc) struct Site {
    pub(in crate::sandbox::ljpc) id: SiteId,
    /// The order that made it; one put there by hand has none.
    pub(in crate::sandbox::ljpc) order: Option<UpstreamOrderId>,
    pub(in crate::sandbox::ljpc) domain: String,
    pub(in crate::sandbox::ljpc) status: String,
    pub(in crate::sandbox::ljpc) disk_space_gb: u32,
    /// Whatever `disk_space_gb` says.
    pub(in crate::sandbox::ljpc) unlimited: bool,
    /// None when no usage row exists yet.
    pub(in crate::sandbox::ljpc) disk_used_bytes: Option<u64>,
    pub(in crate::sandbox::ljpc) email_used_bytes: Option<u64>,
    /// Forwarding and DNS have no control panel to log in to.
    pub(in crate::sandbox::ljpc) has_panel: bool,
}

impl Site {
    /// As one is that has just been delivered.
    pub(in crate::sandbox::ljpc) fn delivered(
        id: SiteId,
        order: Option<UpstreamOrderId>,
        domain: String,
        disk_space_gb: u32,
        has_panel: bool,
    ) -> Self {
        let quota = u64::from(disk_space_gb).saturating_mul(BYTES_PER_GIB);
        // LJPc, GET /api/hosting/v1/sites/{id}: null when no usage row exists yet. One site in eight shows that.
        let measured = id.0 % 8 != 0;
        Self {
            id,
            order,
            domain,
            status: "active".to_owned(),
            disk_space_gb,
            unlimited: false,
            disk_used_bytes: measured.then_some(quota / 10 * 3),
            email_used_bytes: measured.then_some(quota / 10),
            has_panel,
        }
    }

    /// None when unlimited.
    pub(super) fn disk_quota_bytes(&self) -> Option<u64> {
        let quota = u64::from(self.disk_space_gb).saturating_mul(BYTES_PER_GIB);
        (!self.unlimited).then_some(quota)
    }

    pub(in crate::sandbox) fn seen(&self) -> SiteSeen {
        SiteSeen {
            id: self.id,
            order: self.order,
            domain: self.domain.clone(),
            status: self.status.clone(),
            disk_space_gb: self.disk_space_gb,
            disk_used_bytes: self.disk_used_bytes,
            email_used_bytes: self.email_used_bytes,
            disk_quota_bytes: self.disk_quota_bytes(),
        }
    }
}

/// A site as the sandbox tells a test about it.
#[derive(Clone, Debug, Serialize)]
pub struct SiteSeen {
    /// Its id in the API.
    pub id: SiteId,
    /// The order that made it; none if it was put there by hand.
    pub order: Option<UpstreamOrderId>,
    /// Its domain, as it was ordered.
    pub domain: String,
    /// Its status, as the API shows it.
    pub status: String,
    /// What was ordered.
    pub disk_space_gb: u32,
    /// None when no usage is known yet.
    pub disk_used_bytes: Option<u64>,
    /// None when no usage is known yet.
    pub email_used_bytes: Option<u64>,
    /// None when unlimited.
    pub disk_quota_bytes: Option<u64>,
}

//! One site: what its readings mean.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Assessment, FindingKind as Kind, Missing, Severity};
use crate::order::SiteId;

/// From this share of its quota on a site is nearly full: nine tenths.
const NEAR: (i64, i64) = (9, 10);

/// A site as it is known here.
#[derive(Clone, Debug)]
pub struct SiteAsset {
    /// LJPc's id of it.
    pub id: SiteId,
    /// Somebody is known to have bought it.
    pub is_owned: bool,
    /// Hosting of its name is being delivered: it may be that one's.
    pub is_awaited: bool,
    /// What earlier runs missed.
    pub missing: Missing,
}

/// Its row in the listing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListedSite {
    /// Its name.
    pub domain: Option<String>,
    /// As upstream says it.
    pub status: Option<String>,
}

/// What a direct look has shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteReading {
    /// This.
    Seen {
        /// As upstream says it.
        status: Option<String>,
        /// What it uses, files and emails, in bytes; none while nothing was measured.
        used_bytes: Option<i64>,
        /// What it may use, in bytes; none: without a limit.
        quota_bytes: Option<i64>,
    },
    /// 404: it is not this account's.
    NotOurs,
    /// Nothing that can be used.
    Unanswered,
}

/// What this run has read of it.
#[derive(Clone, Debug, Default)]
pub struct SiteView {
    /// Its row, if the listing has one.
    pub listed: Option<ListedSite>,
    /// The listing was read to its end.
    pub is_complete: bool,
    /// The direct look, if there was one.
    pub detail: Option<SiteReading>,
}

impl SiteView {
    /// Whether anything shows it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.listed.is_some() || matches!(self.detail, Some(SiteReading::Seen { .. }))
    }

    /// As if a direct look had confirmed that a site is gone which the listing does not show, where none has said anything.
    #[must_use]
    pub fn as_if_confirmed(&self) -> Self {
        let is_told = matches!(self.detail, Some(SiteReading::Seen { .. } | SiteReading::NotOurs));
        if is_told || self.listed.is_some() {
            return self.clone();
        }
        Self { detail: Some(SiteReading::NotOurs), ..self.clone() }
    }

    /// Its status, as seen last.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        let listed = self.listed.as_ref().and_then(|row| row.status.as_deref());
        match &self.detail {
            Some(SiteReading::Seen { status, .. }) => status.as_deref().or(listed),
            Some(SiteReading::NotOurs | SiteReading::Unanswered) | None => listed,
        }
    }

    /// What it uses, in bytes.
    #[must_use]
    pub const fn used_bytes(&self) -> Option<i64> {
        match &self.detail {
            Some(SiteReading::Seen { used_bytes, .. }) => *used_bytes,
            Some(SiteReading::NotOurs | SiteReading::Unanswered) | None => None,
        }
    }

    /// What it may use, in bytes.
    #[must_use]
    pub const fn quota_bytes(&self) -> Option<i64> {
        match &self.detail {
            Some(SiteReading::Seen { quota_bytes, .. }) => *quota_bytes,
            Some(SiteReading::NotOurs | SiteReading::Unanswered) | None => None,
        }
    }
}

/// What this run's readings of a site mean.
#[must_use]
pub fn assess_site(asset: &SiteAsset, view: &SiteView, now: DateTime<Utc>) -> Assessment {
    let mut found = Assessment::default();
    let subject = asset.id.to_string();
    if !asset.is_owned {
        if asset.is_awaited {
            found.unjudged.push(Kind::SiteUnknown);
        } else if let Some(row) = &view.listed {
            let name = row.domain.as_deref().unwrap_or("no name");
            let what = format!(
                "the account has this site of {name}, and no customer of it is known: who pays?"
            );
            found.find(Kind::SiteUnknown, Severity::Warning, &subject, what);
        } else if !view.is_complete {
            found.unjudged.push(Kind::SiteUnknown);
        }
        return found;
    }
    if !view.is_there() {
        if !view.is_complete || view.detail != Some(SiteReading::NotOurs) {
            return Assessment::withheld();
        }
        found.is_missing = true;
        let what = "neither the listing nor a direct look shows this site (404)";
        found.find(Kind::SiteMissing, asset.missing.severity(now), &subject, what);
        return found;
    }
    match view.status().map(str::trim) {
        Some(status) if !status.eq_ignore_ascii_case("active") => {
            let what = format!("its status is {status}");
            found.find(Kind::SiteInactive, Severity::Warning, &subject, what);
        }
        Some(_) => {}
        None => found.unjudged.push(Kind::SiteInactive),
    }
    quota(&mut found, &subject, view);
    found
}

fn quota(found: &mut Assessment, subject: &str, view: &SiteView) {
    let Some(SiteReading::Seen { used_bytes, quota_bytes, .. }) = &view.detail else {
        found.unjudged.push(Kind::QuotaNear);
        return;
    };
    // Without a measurement there is nothing to tell, and without a limit it is never near.
    let (Some(used), Some(quota)) = (used_bytes, quota_bytes) else { return };
    if *quota > 0 && used.saturating_mul(NEAR.1) >= quota.saturating_mul(NEAR.0) {
        let severity = if used >= quota { Severity::Critical } else { Severity::Warning };
        let share = used.saturating_mul(100) / quota;
        found.find(Kind::QuotaNear, severity, subject, format!("it uses {share} % of its space"));
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn asset() -> SiteAsset {
        SiteAsset {
            id: SiteId(2019),
            is_owned: true,
            is_awaited: false,
            missing: Missing::default(),
        }
    }

    fn view(status: &str, used_bytes: Option<i64>, quota_bytes: Option<i64>) -> SiteView {
        let status = Some(status.to_owned());
        SiteView {
            listed: Some(ListedSite {
                domain: Some("example.nl".to_owned()),
                status: status.clone(),
            }),
            is_complete: true,
            detail: Some(SiteReading::Seen { status, used_bytes, quota_bytes }),
        }
    }

    fn kinds(asset: &SiteAsset, view: &SiteView) -> Vec<(Kind, Severity)> {
        let found = assess_site(asset, view, DateTime::UNIX_EPOCH);
        found.findings.iter().map(|finding| (finding.kind, finding.severity)).collect()
    }

    #[test]
    fn a_site_is_near_its_quota_from_nine_tenths_on() {
        for (used, quota, expected) in [
            (Some(0), Some(100), None),
            (Some(89), Some(100), None),
            (Some(90), Some(100), Some(Severity::Warning)),
            (Some(100), Some(100), Some(Severity::Critical)),
            (Some(i64::MAX), Some(i64::MAX), Some(Severity::Critical)),
            (Some(5), Some(0), None),
            (None, Some(100), None),
            (Some(100), None, None),
        ] {
            let found = kinds(&asset(), &view("active", used, quota));
            let expected: Vec<_> = expected.map(|it| (Kind::QuotaNear, it)).into_iter().collect();
            assert_eq!(found, expected, "{used:?} of {quota:?}");
        }
        let unseen = SiteView { detail: None, ..view("active", None, None) };
        let found = assess_site(&asset(), &unseen, DateTime::UNIX_EPOCH);
        assert_eq!(found.unjudged, [Kind::QuotaNear]);
    }

    #[test]
    fn a_site_is_active_unknown_or_missing() {
        assert_eq!(kinds(&asset(), &view(" Active ", None, None)), []);
        let suspended = view("suspended", None, None);
        assert_eq!(kinds(&asset(), &suspended), [(Kind::SiteInactive, Severity::Warning)]);
        let nobodys = SiteAsset { is_owned: false, ..asset() };
        assert_eq!(kinds(&nobodys, &suspended), [(Kind::SiteUnknown, Severity::Warning)]);
        let gone = |is_complete, detail| SiteView { listed: None, is_complete, detail };
        assert_eq!(kinds(&nobodys, &gone(true, None)), []);
        let missing = gone(true, Some(SiteReading::NotOurs));
        assert_eq!(kinds(&asset(), &missing), [(Kind::SiteMissing, Severity::Warning)]);
        let since = DateTime::UNIX_EPOCH - TimeDelta::hours(48);
        let long = SiteAsset { missing: Missing { runs: 2, since: Some(since) }, ..asset() };
        assert_eq!(kinds(&long, &missing), [(Kind::SiteMissing, Severity::Critical)]);
        for view in
            [gone(false, Some(SiteReading::NotOurs)), gone(true, Some(SiteReading::Unanswered))]
        {
            let found = assess_site(&asset(), &view, DateTime::UNIX_EPOCH);
            assert!(found.findings.is_empty() && found.unjudged == Kind::ALL, "{view:?}");
        }
    }
}

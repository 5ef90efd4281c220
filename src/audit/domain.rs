//! One domain: what is known of it here, what a run reads of it, and what is remembered.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Assessment, FindingKind as Kind, Severity};
use crate::order::{ContactHandle, domain::DomainSeen};

/// A missing name is critical after so many runs that missed it, over so long.
const MISSING_RUNS: u32 = 3;
const MISSING_FOR: TimeDelta = TimeDelta::hours(48);

/// What all domains are judged by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `audit.timezone`, in which days are counted.
    pub zone: Tz,
    /// Days before the expiry (negative: after), the most first.
    pub reminder_days: Vec<i32>,
    /// Whether wishes for the renewal may be carried out.
    pub apply_auto_renew: bool,
}

/// A domain as it is known here: whose it is, and what is wished.
#[derive(Clone, Debug, Default)]
pub struct DomainAsset {
    /// The name, in A-labels.
    pub domain: String,
    /// Somebody is known to have bought it.
    pub is_owned: bool,
    /// What brings it is done with it: only then do its wishes have to be true.
    pub is_settled: bool,
    /// It was there once: only then can it be missing.
    pub was_there: bool,
    /// Whether it shall renew by itself; none: nobody has said.
    pub auto_renew: Option<bool>,
    /// When LJPc last refused to set that; none since it was last wished.
    pub refused_at: Option<DateTime<Utc>>,
    /// Whether it shall be locked.
    pub transfer_lock: Option<bool>,
    /// Its WHOIS contact as it was chosen.
    pub contact_handle: Option<ContactHandle>,
    /// Its name servers as they were chosen.
    pub nameservers: Option<Vec<String>>,
    /// The expiry that was last taken for true.
    pub expires_before: Option<DateTime<Utc>>,
    /// Since when the expiry is another, oddly.
    pub moved_since: Option<DateTime<Utc>>,
    /// What earlier runs missed.
    pub missing: Missing,
    /// When its detail was last read.
    pub looked_at: Option<DateTime<Utc>>,
    /// When anything last showed it.
    pub seen_at: Option<DateTime<Utc>>,
}

impl DomainAsset {
    /// It was not to be renewed, and its time is over: that it goes is what was wished.
    #[must_use]
    pub fn is_let_go(&self, now: DateTime<Utc>) -> bool {
        self.auto_renew == Some(false) && self.expires_before.is_some_and(|expired| expired < now)
    }
}

/// The runs before this one that missed it, one after the other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Missing {
    /// How many.
    pub runs: u32,
    /// When the first of them was.
    pub since: Option<DateTime<Utc>>,
}

/// Its row in the listing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listed {
    /// As upstream says it.
    pub status: Option<String>,
    /// Until when it is registered.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it renews by itself.
    pub auto_renew: Option<bool>,
    /// Whether it is locked.
    pub transfer_lock: Option<bool>,
}

/// What a direct look has shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailReading {
    /// This.
    Seen(Box<DomainSeen>),
    /// 404: it is not this account's.
    NotOurs,
    /// Nothing that can be used.
    Unanswered,
}

/// What this run has read of it.
#[derive(Clone, Debug, Default)]
pub struct DomainView {
    /// Its row, if the listing has one.
    pub listed: Option<Listed>,
    /// The listing was read to its end.
    pub is_complete: bool,
    /// The direct look, if there was one.
    pub detail: Option<DetailReading>,
}

impl DomainView {
    /// What the direct look has shown.
    #[must_use]
    pub fn seen(&self) -> Option<&DomainSeen> {
        match &self.detail {
            Some(DetailReading::Seen(seen)) => Some(seen),
            Some(DetailReading::NotOurs | DetailReading::Unanswered) | None => None,
        }
    }

    /// What both readings agree on; `None`: one of them is missing, silent, or says something else.
    pub(super) fn agreed<T: PartialEq + Copy>(
        &self,
        listed: impl Fn(&Listed) -> Option<T>,
        seen: impl Fn(&DomainSeen) -> Option<T>,
    ) -> Option<T> {
        let first = self.listed.as_ref().and_then(listed)?;
        let second = self.seen().and_then(seen)?;
        (first == second).then_some(first)
    }

    /// The expiry that is believed: the listing's, unless a direct look says another.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        let listed = self.listed.as_ref().and_then(|row| row.expires_at);
        self.seen().and_then(|seen| seen.expires_at).or(listed)
    }

    /// Whether it renews by itself, as seen last.
    #[must_use]
    pub fn auto_renew(&self) -> Option<bool> {
        let listed = self.listed.as_ref().and_then(|row| row.auto_renew);
        self.seen().and_then(|seen| seen.auto_renew).or(listed)
    }

    pub(super) fn status(&self) -> Option<&str> {
        let listed = self.listed.as_ref().and_then(|row| row.status.as_deref());
        self.seen().and_then(|seen| seen.status.as_deref()).or(listed)
    }

    pub(super) fn is_there(&self) -> bool {
        self.listed.is_some() || self.seen().is_some()
    }

    /// As if a direct look had confirmed what the listing says, where none has said anything. The brake weighs by it, for a
    /// run can't look at everything that a broken listing leaves a question of.
    #[must_use]
    pub fn as_if_confirmed(&self) -> Self {
        let detail = match (&self.detail, &self.listed) {
            (None | Some(DetailReading::Unanswered), Some(row)) => {
                Some(DetailReading::Seen(Box::new(DomainSeen {
                    status: row.status.clone(),
                    expires_at: row.expires_at,
                    nameservers: Vec::new(),
                    auto_renew: row.auto_renew,
                    transfer_lock: row.transfer_lock,
                    contact_handle: None,
                })))
            }
            (None | Some(DetailReading::Unanswered), None) => Some(DetailReading::NotOurs),
            (Some(detail), _) => Some(detail.clone()),
        };
        Self { detail, ..self.clone() }
    }
}

/// Whether a direct look is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// The listing has shown all there is to know.
    No,
    /// Now and then: what the listing does not show may have changed.
    Sometime,
    /// In this run: the listing leaves a question.
    Now,
}

/// Whether the listing alone leaves a question that a direct look answers.
#[must_use]
pub fn wants_look(
    asset: &DomainAsset,
    listed: Option<&Listed>,
    is_complete: bool,
    zone: Tz,
    now: DateTime<Utc>,
) -> Look {
    if !asset.is_owned {
        return Look::No;
    }
    let Some(row) = listed else {
        return if is_complete && asset.was_there { of_missing(asset, now) } else { Look::No };
    };
    let differs = |wished: Option<bool>, shown: Option<bool>| wished.is_some() && wished != shown;
    // Not to the second: the listing may show another time of the day than the detail.
    let on = |at: Option<DateTime<Utc>>| at.map(|at| day(at, zone));
    let has_moved =
        asset.expires_before.is_some() && on(asset.expires_before) != on(row.expires_at);
    if !asset.is_settled {
        Look::No
    } else if differs(asset.auto_renew, row.auto_renew)
        || differs(asset.transfer_lock, row.transfer_lock)
        || has_moved
    {
        Look::Now
    } else if asset.contact_handle.is_some() || asset.nameservers.is_some() {
        Look::Sometime
    } else {
        Look::No
    }
}

/// A name that a complete listing does not show. Once all is known that a look can tell, it takes no other's turn.
fn of_missing(asset: &DomainAsset, now: DateTime<Utc>) -> Look {
    let looked_since = |at: Option<DateTime<Utc>>| asset.looked_at > at;
    // A look that shows it is no later than the sighting.
    let is_gone = looked_since(asset.expires_before) && looked_since(asset.seen_at);
    if asset.is_let_go(now) && is_gone {
        Look::No
    } else if asset.missing.runs > MISSING_RUNS {
        Look::Sometime
    } else {
        Look::Now
    }
}

/// What the next audit compares a domain with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DomainMemory {
    /// The expiry that is taken for true.
    pub expires_before: Option<DateTime<Utc>>,
    /// Since when another one is shown that does not follow from it.
    pub moved_since: Option<DateTime<Utc>>,
    /// The runs in a row that missed it.
    pub missing: Missing,
}

/// The day of a moment, where the audit counts days.
#[must_use]
pub fn day(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// What is remembered of a domain after this run.
#[must_use]
pub fn remember(
    asset: &DomainAsset,
    view: &DomainView,
    found: &Assessment,
    settings: &Settings,
    now: DateTime<Utc>,
) -> DomainMemory {
    let (expires_before, moved_since) = (asset.expires_before, asset.moved_since);
    let missing = asset.missing.after(view.is_there(), found.is_missing, now);
    let Some(expires_at) = view.expires_at() else {
        return DomainMemory { expires_before, moved_since, missing };
    };
    let has_moved = found.findings.iter().any(|finding| finding.kind == Kind::ExpiryMoved);
    let is_same = expires_before
        .is_some_and(|before| day(before, settings.zone) == day(expires_at, settings.zone));
    if has_moved && !is_same {
        return DomainMemory { expires_before, moved_since: moved_since.or(Some(now)), missing };
    }
    DomainMemory { expires_before: Some(expires_at), moved_since: None, missing }
}

impl Missing {
    /// After one more run, which has seen it, or says that it is missing, or could not tell.
    #[must_use]
    pub fn after(self, is_there: bool, is_missing: bool, now: DateTime<Utc>) -> Self {
        match (is_there, is_missing) {
            (true, _) => Self::default(),
            (false, true) => {
                Self { runs: self.runs.saturating_add(1), since: self.since.or(Some(now)) }
            }
            (false, false) => self,
        }
    }

    /// How grave it is to be missing once more.
    #[must_use]
    pub(super) fn severity(self, now: DateTime<Utc>) -> Severity {
        let lasts = self.since.is_some_and(|since| now - since >= MISSING_FOR);
        if lasts && self.runs.saturating_add(1) >= MISSING_RUNS {
            Severity::Critical
        } else {
            Severity::Warning
        }
    }
}

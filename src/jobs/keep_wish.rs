//! Carries out a customer's wish for the renewal of a name that is there: read, compare, change, read back.
//!
//! A reconciler: it takes no input but the wish, and repeating it is harmless. Turning a renewal on or off buys nothing, so
//! it needs no place in the ledger; the timeline tells each change before it is sent.
//!
//! LJPc may answer out of a stored row, so the wish is believed to be kept when two readings say so that are
//! `ljpc.evidence_interval` apart.
//!
//! What a customer asks for is changed whenever it can be. What the audit has changed again, because it is no longer so, is
//! changed before the last safe moment of the name's ending alone; past it, it is a person's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    carry_out_line::to_seen,
    guest::{Guest, NotNow},
};
use crate::{
    audit::is_in_time,
    clock::Deadline,
    db::{Database, DbError, domains::WishedName, wakes::Lane},
    order::{LineStatus, Milestone, domain::DomainSeen, name::DomainName},
    queue::{Claim, Handler, Ran, Schedule},
    upstream::{
        UpstreamError,
        ljpc::{UpdateDomain, endpoints},
    },
};

/// After so many tries that change nothing the operator is told, once; it goes on at the schedule's pace.
const TOLD_AFTER: i32 = 8;

/// While a failover or a restore is not confirmed.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How a run ends.
enum End {
    /// There is nothing to do before the wish changes.
    Rest,
    /// It is looked at again after this time.
    Later(Duration),
    /// By the schedule of retries.
    Retry,
}

impl From<NotNow> for End {
    fn from(not_now: NotNow) -> Self {
        Self::Later(not_now.after)
    }
}

impl From<DbError> for End {
    fn from(error: DbError) -> Self {
        tracing::warn!(error = %crate::causes::causes(&error), "a wish waits for the database");
        Self::Retry
    }
}

/// The handler.
pub struct KeepWish {
    db: Database,
    guest: Arc<Guest>,
    retries: Schedule,
    believed_after: Duration,
    timeout: Duration,
}

impl KeepWish {
    /// Makes the handler, which believes that a wish is kept when it has been shown for `believed_after`.
    #[must_use]
    pub const fn new(
        db: Database,
        guest: Arc<Guest>,
        retries: Schedule,
        believed_after: Duration,
        timeout: Duration,
    ) -> Self {
        Self { db, guest, retries, believed_after, timeout }
    }

    async fn keep(&self, claim: Claim, id: i64) -> Result<End, End> {
        let Some(name) = self.db.wished_name(id).await? else { return Ok(End::Rest) };
        failpoint!("wish.loaded");
        let Some(wished) = name.auto_renew_wished else { return Ok(End::Rest) };
        match is_there(&name) {
            Some(true) => {}
            // The line that brings it carries out the latest wish.
            Some(false) => return Ok(End::Retry),
            None => return Ok(End::Rest),
        }
        // What the database has forgotten may be a younger wish.
        if !self.db.timeline().await?.is_confirmed() {
            self.guest.tell_of_failover(name.read_at).await;
            return Ok(End::Later(LOOKED_AGAIN_AFTER));
        }
        let seen = match self.look(&name.domain).await? {
            Ok(seen) => seen,
            Err(UpstreamError::Rejected { status: 404, .. }) => {
                self.db.wish_not_kept(id).await?;
                // It may be missing for a moment, just after it came.
                if claim.wake.tries == 0 {
                    return Ok(End::Retry);
                }
                self.db.note_of_name(id, "auto_renew_unknown", json!({ "status": 404 })).await?;
                return Ok(End::Rest);
            }
            Err(error) => return Err(end_of(&error)),
        };
        let kept = self.db.note_seen(&name.domain, &seen).await?;
        failpoint!("wish.seen");
        if seen.auto_renew == Some(wished) {
            let left = self.believed_after.saturating_sub(kept.unwrap_or_default());
            if !left.is_zero() {
                return Ok(End::Later(left));
            }
            self.db.note_of_name(id, "auto_renew_seen", json!({ "auto_renew": wished })).await?;
            return Ok(End::Rest);
        }
        if name.is_repair {
            // An expiry that is not known is nobody's to count on.
            let expires_at = seen.expires_at.or(name.expires_at);
            let Some(expires_at) = expires_at else { return Ok(End::Retry) };
            // By the time of this run's beginning, less than a lease ago: a run that lasts longer sends nothing (`change`).
            if !is_in_time(name.domain.as_str(), expires_at, name.read_at) {
                return self.too_late(id, &name.domain, wished, expires_at).await;
            }
        }
        Box::pin(self.change(claim, id, &name.domain, wished)).await
    }

    async fn too_late(
        &self,
        id: i64,
        domain: &DomainName,
        wished: bool,
        expires_at: DateTime<Utc>,
    ) -> Result<End, End> {
        self.db.note_of_name(id, "auto_renew_late", json!({ "auto_renew": wished })).await?;
        let told = format!(
            "The renewal of {domain} is not as its customer wishes ({}), and it is too late to change it safely: \
             look at it with LJPc",
            if wished { "it shall renew" } else { "it shall not renew" },
        );
        let episode = format!("{id}:{wished}:{}", expires_at.date_naive());
        self.guest.tell_operator("auto_renew_late", &episode, &told).await;
        Ok(End::Rest)
    }

    async fn look(&self, domain: &DomainName) -> Result<Result<DomainSeen, UpstreamError>, NotNow> {
        let endpoint = endpoints::GET_DOMAIN.name;
        let permit = self.guest.permit(endpoint, &mut false).await?;
        let answer = self.guest.ljpc().domain(domain).await;
        self.guest.learn(endpoint, &answer).await;
        drop(permit);
        Ok(answer.map(to_seen))
    }

    async fn change(
        &self,
        claim: Claim,
        id: i64,
        domain: &DomainName,
        wished: bool,
    ) -> Result<End, End> {
        let prepared = UpdateDomain {
            domain: domain.clone(),
            nameservers: None,
            auto_renew: Some(wished),
            transfer_lock: None,
            whois_contact_handle: None,
        }
        .prepare();
        let endpoint = prepared.endpoint();
        let permit = self.guest.permit(endpoint.name, &mut false).await?;
        let deadline = Deadline::after(self.timeout);
        let connected = match self.guest.ljpc().connect(endpoint, deadline).await {
            Ok(connected) => connected,
            Err(error) => {
                let end = end_of(&error);
                self.guest.learn(endpoint.name, &Err::<(), _>(error)).await;
                return Err(end);
            }
        };
        failpoint!("wish.connected");
        // A run that has slept past its lease would set an older wish over a newer one.
        if claim.lease.left() <= self.timeout {
            return Err(End::Retry);
        }
        if claim.wake.tries == TOLD_AFTER {
            let told =
                format!("LJPc accepts that the renewal of {domain} changes, and does not show it");
            self.guest.tell_operator("auto_renew_unseen", &id.to_string(), &told).await;
        }
        self.db.wish_not_kept(id).await?;
        self.db.note_of_name(id, "changing_auto_renew", json!({ "auto_renew": wished })).await?;
        failpoint!("wish.noted");
        let answer = self.guest.ljpc().update_domain(connected, &prepared, domain, deadline).await;
        failpoint!("wish.changed");
        self.guest.learn(endpoint.name, &answer).await;
        drop(permit);
        match answer {
            // It is read back, and again by the schedule, since LJPc may answer out of a stored row for a while.
            Ok(_) => Ok(End::Retry),
            Err(error) if error.is_no_change() => Ok(End::Retry),
            Err(UpstreamError::Rejected { status, message, .. }) => {
                let detail = json!({ "auto_renew": wished, "status": status, "reason": message });
                let told = format!("LJPc refused to change the renewal of {domain}: {message}");
                // Once for each name and wish: each audit may try again.
                let episode = format!("{id}:{wished}");
                self.guest.tell_operator("auto_renew_refused", &episode, &told).await;
                self.db.note_of_name(id, "auto_renew_refused", detail).await?;
                // At the end, for it is what ends the tries: whoever dies before it tells again.
                self.db.refuse_wish(id, wished).await?;
                Ok(End::Rest)
            }
            Err(error) => Err(end_of(&error)),
        }
    }
}

/// Whether a name is there, so that its renewal can be changed; `None`: it will not come.
fn is_there(name: &WishedName) -> Option<bool> {
    match name.line {
        None | Some((LineStatus::Completed, _)) => Some(true),
        Some((LineStatus::Failed | LineStatus::Cancelled, _)) => None,
        Some((_, milestone)) => Some(milestone == Some(Milestone::Arranged)),
    }
}

fn end_of(error: &UpstreamError) -> End {
    match error {
        UpstreamError::RateLimited { after } => End::Later(*after),
        UpstreamError::Unauthorized { .. } => End::Later(Duration::from_secs(1)),
        UpstreamError::NotSent { .. }
        | UpstreamError::Rejected { .. }
        | UpstreamError::InDoubt { .. }
        | UpstreamError::Unavailable { .. } => {
            tracing::warn!(error = error.logged(), "a wish for a name waits");
            End::Retry
        }
    }
}

#[async_trait]
impl Handler for KeepWish {
    fn name(&self) -> &'static str {
        "keep_wish"
    }

    async fn run(&self, claim: Claim) -> Ran {
        let tries = claim.wake.tries;
        let again = |after, tries| Ran::Later { lane: Lane::Audit, after, tries };
        match self.keep(claim, claim.wake.fence.wake.subject()).await {
            Ok(End::Rest) | Err(End::Rest) => Ran::Rest,
            Ok(End::Later(after)) | Err(End::Later(after)) => again(after, tries),
            Ok(End::Retry) | Err(End::Retry) => {
                again(self.retries.interval(tries), tries.saturating_add(1))
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Audit, self.retries.interval(claim.wake.tries))
    }
}

//! The brake, and what the readings mean.

use chrono::{DateTime, Utc};

use super::{Auditor, Run, Stepped, count, past, writing};
use crate::{
    audit::{
        Assessment, Brake, FindingKind, RunKind, Weight, assess_domain, assess_site, is_too_much,
        remember,
    },
    db::{
        DbError,
        audit::{AuditedDomain, AuditedSite, DomainNote, OWN_KINDS, SiteNote, Writing},
    },
    order::SiteId,
};

/// Assets that are judged in one step.
const BATCH: i64 = 500;

impl Auditor {
    /// Counts what would change or be missing, batch by batch: first the names, then (`#`) the sites.
    pub(super) async fn weigh(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        let now = self.now().await?;
        let (weights, next): (Vec<Weight>, _) = if let Some(after) =
            run.row.position.strip_prefix('#')
        {
            let batch = self.sites_of(&run, SiteId(after.parse().unwrap_or(0))).await?;
            let owned = batch.iter().filter(|it| it.asset.is_owned);
            let weights = owned.map(|it| weigh_site(it, now)).collect();
            (weights, batch.last().map(|it| format!("#{}", it.asset.id)))
        } else {
            let batch = self.domains_of(&run, &run.row.position).await?;
            let owned = batch.iter().filter(|it| it.asset.is_owned);
            let weights = owned.map(|it| self.weigh_domain(it, now)).collect();
            let next = batch.last().map_or_else(|| "#0".to_owned(), |it| it.asset.domain.clone());
            (weights, Some(next))
        };
        let count = |is: fn(&Weight) -> bool| {
            u64::try_from(weights.iter().filter(|it| is(it)).count()).unwrap_or(u64::MAX)
        };
        run.figures.assets += count(|_| true);
        run.figures.changed += count(|it| it.is_changed);
        run.figures.missing += count(|it| it.is_missing);
        match next {
            Some(position) => {
                run.row.position = position;
                self.go_on(run).await
            }
            None => self.brake(run).await,
        }
    }

    fn weigh_domain(&self, it: &AuditedDomain, now: DateTime<Utc>) -> Weight {
        let view = it.view.as_if_confirmed();
        let found = assess_domain(&it.asset, &view, &self.settings.domains, now);
        Weight::new(&found, it.asset.refused_at.is_some(), it.asset.missing)
    }

    async fn brake(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        let weight = Brake {
            assets: run.figures.assets,
            changed: run.figures.changed,
            missing: run.figures.missing,
        };
        if is_too_much(weight) && !run.row.past_brake {
            let told = format!(
                "of {} assets {} would be changed and {} declared missing at once: nothing of them is written",
                weight.assets, weight.changed, weight.missing
            );
            tracing::error!(
                assets = weight.assets,
                changed = weight.changed,
                missing = weight.missing,
                "the audit brakes"
            );
            run.figures.braked = true;
            run.figures.note(told.clone());
            if run.row.kind != RunKind::Dry {
                self.guest.tell_operator("audit_braked", &run.row.id.to_string(), &told).await;
            }
        }
        self.go_on(past(run)).await
    }

    pub(super) async fn judge_domains(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        let batch = self.domains_of(&run, &run.row.position).await?;
        let Some(last) = batch.last() else { return self.go_on(past(run)).await };
        let now = self.now().await?;
        run.row.position.clone_from(&last.asset.domain);
        let judge = |it: AuditedDomain| {
            // What has made the run brake is left; the rest is as good as ever.
            if run.figures.braked && self.weigh_domain(&it, now).is_touched() {
                return (it.asset.domain, None, Assessment::withheld());
            }
            let (domain, mut note, found) = self.judge_domain(it, now);
            if let Some(note) = &mut note {
                note.repair &= !run.figures.braked;
            }
            (domain, note, found)
        };
        let judged: Vec<(String, Option<DomainNote>, Assessment)> =
            batch.into_iter().map(judge).collect();
        let settled = self.db.judge_domains(&self.place(&run), &judged, now, writing(&run)).await?;
        failpoint!("audit.judged");
        let Some(settled) = settled else { return Ok(Stepped::Lost) };
        count(&mut run.figures, &settled);
        Ok(Stepped::On(run, settled))
    }

    fn judge_domain(
        &self,
        it: AuditedDomain,
        now: DateTime<Utc>,
    ) -> (String, Option<DomainNote>, Assessment) {
        let settings = &self.settings.domains;
        let found = assess_domain(&it.asset, &it.view, settings, now);
        // The line that still brings it keeps the row itself.
        let note = (it.asset.is_owned && it.asset.is_settled).then(|| DomainNote {
            domain: it.asset.domain.clone(),
            listed: it.view.listed.clone(),
            seen: it.view.seen().cloned(),
            read_at: it.read_at,
            memory: remember(&it.asset, &it.view, &found, settings, now),
            repair: found.may_repair,
        });
        (it.asset.domain, note, found)
    }

    pub(super) async fn judge_sites(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        let after = SiteId(run.row.position.parse().unwrap_or(0));
        let batch = self.sites_of(&run, after).await?;
        let Some(last) = batch.last() else { return self.go_on(past(run)).await };
        let now = self.now().await?;
        run.row.position = last.asset.id.to_string();
        let is_braked = run.figures.braked;
        let judge = |it: AuditedSite| {
            if is_braked && it.asset.is_owned && weigh_site(&it, now).is_touched() {
                return (it.asset.id.to_string(), None, Assessment::withheld());
            }
            let found = assess_site(&it.asset, &it.view, now);
            let missing = it.asset.missing.after(it.view.is_there(), found.is_missing, now);
            let note = it.asset.is_owned.then(|| SiteNote {
                id: it.asset.id,
                view: it.view.is_there().then(|| it.view.clone()),
                read_at: it.read_at,
                missing,
            });
            (it.asset.id.to_string(), note, found)
        };
        let judged: Vec<_> = batch.into_iter().map(judge).collect();
        let settled = self.db.judge_sites(&self.place(&run), &judged, now, writing(&run)).await?;
        let Some(settled) = settled else { return Ok(Stepped::Lost) };
        count(&mut run.figures, &settled);
        Ok(Stepped::On(run, settled))
    }

    /// Judges lines and emails by what the tables say.
    pub(super) async fn judge_own(&self, run: Box<Run>) -> Result<Stepped, DbError> {
        let now = self.now().await?;
        let (judged, is_all) = self.db.own_findings(self.settings.waits, now).await?;
        // Whatever is beyond what is told stays as it is.
        let none = Vec::new();
        let subjects = if is_all { None } else { Some(none.as_slice()) };
        let mut run = past(run);
        let scope = (subjects, OWN_KINDS);
        let settled = self.db.judge(&self.place(&run), scope, &judged, now, writing(&run)).await?;
        let Some(settled) = settled else { return Ok(Stepped::Lost) };
        count(&mut run.figures, &settled);
        Ok(Stepped::On(run, settled))
    }

    /// Closes what no batch came by, tells the operator, and ends.
    pub(super) async fn finish(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        let now = self.now().await?;
        // Whoever stands no longer before an expiry was in no batch.
        let mut kinds = Vec::new();
        // A stage that was given up has told nothing again that lasts.
        let is_judged = !run.figures.given_up;
        if is_judged {
            kinds.push(FindingKind::ReminderMissing);
        }
        if run.figures.domains_complete && !run.figures.braked && is_judged {
            kinds.push(FindingKind::DomainUnknown);
        }
        if run.figures.sites_complete && !run.figures.braked && is_judged {
            kinds.push(FindingKind::SiteUnknown);
        }
        run.figures.complete = run.figures.domains_complete
            && run.figures.sites_complete
            && !run.figures.given_up
            && !run.figures.braked;
        if run.row.position.is_empty() {
            "closed".clone_into(&mut run.row.position);
            let place = self.place(&run);
            let since = run.row.started_at;
            let writing = writing(&run);
            // A dry run has not told again what lasts, and so knows of none that is gone.
            if writing == Writing::Kept {
                let settled = self.db.close_unlisted(&place, &kinds, since, now, writing).await?;
                let Some(settled) = settled else { return Ok(Stepped::Lost) };
                count(&mut run.figures, &settled);
                return Ok(Stepped::On(run, settled));
            }
        }
        let digest = run.row.kind == RunKind::Scheduled && self.settings.has_operator;
        if !self.db.end_audit(&self.place(&run), digest, now).await? {
            return Ok(Stepped::Lost);
        }
        failpoint!("audit.ended");
        tracing::info!(
            opened = run.figures.opened,
            worse = run.figures.worse,
            closed = run.figures.closed,
            reminded = run.figures.reminded,
            complete = run.figures.complete,
            "an audit has ended"
        );
        run.row.ended_at = Some(now);
        Ok(Stepped::Ended(run))
    }

    async fn domains_of(&self, run: &Run, after: &str) -> Result<Vec<AuditedDomain>, DbError> {
        let mut batch = self.db.audited_domains(after, run.figures.domains_pass, BATCH).await?;
        for it in &mut batch {
            it.view.is_complete = run.figures.domains_complete;
        }
        Ok(batch)
    }

    async fn sites_of(&self, run: &Run, after: SiteId) -> Result<Vec<AuditedSite>, DbError> {
        let mut batch = self.db.audited_sites(after, run.figures.sites_pass, BATCH).await?;
        for it in &mut batch {
            it.view.is_complete = run.figures.sites_complete;
        }
        Ok(batch)
    }
}

fn weigh_site(it: &AuditedSite, now: DateTime<Utc>) -> Weight {
    Weight::new(&assess_site(&it.asset, &it.view.as_if_confirmed(), now), false, it.asset.missing)
}

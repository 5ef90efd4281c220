//! Looks directly at what the listing leaves a question of, and at the rest now and then: what only the detail shows, name
//! servers, contacts and the use of disks, changes too.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Auditor, Run, Stepped, Unread, past, storable::storable_json, writing};
use crate::{
    audit::{DetailReading, Look, RunKind, SiteReading, wants_look},
    clock::Deadline,
    db::{
        DbError,
        audit::{AssetKind, Settled},
    },
    jobs::carry_out_line::to_seen,
    order::{SiteId, name::DomainName},
    upstream::{
        UpstreamError,
        ljpc::{SiteDetail, endpoints},
    },
};

/// Assets that are thought about in one step.
const BATCH: i64 = 100;

/// Looks of one step.
const LOOKS_OF_STEP: usize = 10;

/// The most looks of one run at domains, and as many at sites.
#[derive(Clone, Copy, Debug)]
pub struct LooksMax {
    /// Those that a question makes necessary. What is beyond is not judged in this run: the next one goes on there.
    pub needed: u32,
    /// Those that none does: of more assets than these, each has its turn on another day.
    pub routine: u32,
}

impl Default for LooksMax {
    fn default() -> Self {
        Self { needed: 5_000, routine: 1_000 }
    }
}

/// An asset whose turn it may be.
struct Candidate {
    key: String,
    look: Look,
    looked_at: Option<DateTime<Utc>>,
}

impl Auditor {
    pub(super) async fn look_at_domains(
        &self,
        mut run: Box<Run>,
        deadline: Deadline,
    ) -> Result<Stepped, DbError> {
        if run.row.position.is_empty() {
            run.row.position = self.last_figures().await?.domains_looked_to;
        }
        let (after, pass) = (run.row.position.clone(), run.figures.domains_pass);
        let (complete, zone) = (run.figures.domains_complete, self.settings.domains.zone);
        let now = self.now().await?;
        let batch = self.db.audited_domains(&after, pass, BATCH).await?;
        let candidates = batch.into_iter().map(|it| Candidate {
            look: wants_look(&it.asset, it.view.listed.as_ref(), complete, zone, now),
            looked_at: it.asset.looked_at,
            key: it.asset.domain,
        });
        self.look(run, AssetKind::Domain, candidates.collect(), deadline).await
    }

    pub(super) async fn look_at_sites(
        &self,
        mut run: Box<Run>,
        deadline: Deadline,
    ) -> Result<Stepped, DbError> {
        if run.row.position.is_empty() {
            run.row.position = self.last_figures().await?.sites_looked_to;
        }
        let (after, pass) = (SiteId(run.row.position.parse().unwrap_or(0)), run.figures.sites_pass);
        let complete = run.figures.sites_complete;
        let batch = self.db.audited_sites(after, pass, BATCH).await?;
        let candidates = batch.into_iter().map(|it| Candidate {
            look: match (it.asset.is_owned, it.view.listed.is_some()) {
                (true, true) => Look::Sometime,
                (true, false) if complete => Look::Now,
                (true | false, _) => Look::No,
            },
            key: format!("{:020}", it.asset.id.0),
            looked_at: it.looked_at,
        });
        self.look(run, AssetKind::Site, candidates.collect(), deadline).await
    }

    /// Looks at some of the candidates, in their order, and keeps what was seen.
    async fn look(
        &self,
        mut run: Box<Run>,
        kind: AssetKind,
        candidates: Vec<Candidate>,
        deadline: Deadline,
    ) -> Result<Stepped, DbError> {
        if candidates.is_empty() {
            return self.go_on(past(run)).await;
        }
        let now = self.now().await?;
        let due_before = now - self.turn(&mut run, kind).await?;
        let max = self.settings.looks;
        let (mut details, mut failed) = (Vec::new(), None);
        for candidate in candidates {
            if candidate.look == Look::Now && run.figures.needed_looks >= max.needed {
                if !details.is_empty() {
                    break;
                }
                return self.go_on(run.looked_enough(kind)).await;
            }
            if !run.figures.takes(&candidate, due_before, max.routine) {
                run.row.position = candidate.key;
                continue;
            }
            let ends = deadline.left() <= self.settings.timeout && !details.is_empty();
            if details.len() >= LOOKS_OF_STEP || ends || self.is_stopped() {
                break;
            }
            match self.look_once(kind, &candidate.key).await {
                Ok(seen) => {
                    run.figures.answered();
                    run.figures.count(candidate.look);
                    run.row.position.clone_from(&candidate.key);
                    details.push((candidate.key, seen));
                }
                Err(why) if run.passes_over(&why) => {
                    run.row.position.clone_from(&candidate.key);
                    details.push((candidate.key, unanswered(kind)));
                }
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        self.keep_looks(run, kind, details, failed, now).await
    }

    async fn keep_looks(
        &self,
        run: Box<Run>,
        kind: AssetKind,
        details: Vec<(String, Value)>,
        failed: Option<Unread>,
        now: DateTime<Utc>,
    ) -> Result<Stepped, DbError> {
        if !details.is_empty() {
            let place = self.place(&run);
            let kept = self.db.keep_details(&place, kind, &details, now, writing(&run)).await?;
            if kept.is_none() {
                return Ok(Stepped::Lost);
            }
            failpoint!("audit.looked");
        }
        match failed {
            Some(why) => {
                let given_up = match kind {
                    AssetKind::Domain => "not all domains could be looked at",
                    AssetKind::Site => "not all sites could be looked at",
                };
                self.failed(run, why, given_up).await
            }
            None if details.is_empty() => self.go_on(run).await,
            None => Ok(Stepped::On(run, Settled::new())),
        }
    }

    /// How long ago a look must have been for another one without need: as long as it takes to give each asset its turn.
    /// Who asks for an audit wants to know now.
    async fn turn(&self, run: &mut Run, kind: AssetKind) -> Result<TimeDelta, DbError> {
        let assets = match run.figures.stage_assets {
            Some(assets) => assets,
            None => self.db.count_assets(kind).await?,
        };
        run.figures.stage_assets = Some(assets);
        let days = assets.div_ceil(u64::from(self.settings.looks.routine.max(1)));
        if days <= 1 && run.row.kind != RunKind::Scheduled {
            return Ok(TimeDelta::zero());
        }
        // A schedule is not kept to the minute.
        let days = i64::try_from(days.max(1)).unwrap_or(i64::MAX);
        Ok(TimeDelta::try_hours(days.saturating_mul(24)).unwrap_or(TimeDelta::MAX)
            - TimeDelta::hours(4))
    }

    async fn look_once(&self, kind: AssetKind, key: &str) -> Result<Value, Unread> {
        match kind {
            AssetKind::Domain => {
                let domain = DomainName::from_stored(key.to_owned());
                let endpoint = endpoints::GET_DOMAIN.name;
                let answer = self.ask(endpoint, self.guest.ljpc().domain(&domain)).await;
                let reading = match is_shown(answer)? {
                    Shown::Yes(detail) => DetailReading::Seen(Box::new(to_seen(detail))),
                    Shown::No => DetailReading::NotOurs,
                    Shown::Unanswered => DetailReading::Unanswered,
                };
                Ok(storable_json(serde_json::to_value(reading).unwrap_or_default()))
            }
            AssetKind::Site => {
                let id = SiteId(key.parse().unwrap_or(0));
                let answer = self.ask(endpoints::GET_SITE.name, self.guest.ljpc().site(id)).await;
                let reading = match is_shown(answer)? {
                    Shown::Yes(detail) => to_reading(detail),
                    Shown::No => SiteReading::NotOurs,
                    Shown::Unanswered => SiteReading::Unanswered,
                };
                Ok(storable_json(serde_json::to_value(reading).unwrap_or_default()))
            }
        }
    }
}

impl super::Figures {
    /// Whether an asset has its turn in this run.
    fn takes(&self, candidate: &Candidate, due_before: DateTime<Utc>, routine_max: u32) -> bool {
        match candidate.look {
            Look::No => false,
            Look::Now => true,
            Look::Sometime => {
                self.routine_looks < routine_max
                    && candidate.looked_at.is_none_or(|at| at <= due_before)
            }
        }
    }

    const fn count(&mut self, look: Look) {
        self.looks = self.looks.saturating_add(1);
        let of_its_kind = if matches!(look, Look::Sometime) {
            &mut self.routine_looks
        } else {
            &mut self.needed_looks
        };
        *of_its_kind = of_its_kind.saturating_add(1);
    }
}

impl Run {
    /// The run past its looks: no more are made that are needed.
    fn looked_enough(mut self: Box<Self>, kind: AssetKind) -> Box<Self> {
        let (of, looked_to) = match kind {
            AssetKind::Domain => ("domains", &mut self.figures.domains_looked_to),
            AssetKind::Site => ("sites", &mut self.figures.sites_looked_to),
        };
        looked_to.clone_from(&self.row.position);
        let needed = self.figures.needed_looks;
        self.figures.note(format!(
            "more than {needed} {of} want a direct look: the next audit goes on with the rest"
        ));
        past(self)
    }
}

fn unanswered(kind: AssetKind) -> Value {
    let unanswered = match kind {
        AssetKind::Domain => serde_json::to_value(DetailReading::Unanswered),
        AssetKind::Site => serde_json::to_value(SiteReading::Unanswered),
    };
    unanswered.unwrap_or_default()
}

/// What a direct look has shown.
enum Shown<T> {
    Yes(T),
    /// 404: it is unknown, or somebody else's.
    No,
    /// An answer that says neither.
    Unanswered,
}

/// What concerns this asset alone is no answer about it; what concerns the upstream is tried again.
fn is_shown<T>(answer: Result<T, Unread>) -> Result<Shown<T>, Unread> {
    match answer {
        Ok(detail) => Ok(Shown::Yes(detail)),
        Err(Unread::Upstream(UpstreamError::Rejected { status: 404, .. })) => Ok(Shown::No),
        Err(Unread::Upstream(
            UpstreamError::Rejected { .. } | UpstreamError::Unavailable { status: Some(_), .. },
        )) => Ok(Shown::Unanswered),
        Err(why) => Err(why),
    }
}

fn to_reading(detail: SiteDetail) -> SiteReading {
    let used = match (detail.disk_used_bytes, detail.email_used_bytes) {
        (None, None) => None,
        (disk, email) => Some(disk.unwrap_or(0).saturating_add(email.unwrap_or(0))),
    };
    SiteReading::Seen {
        status: detail.status,
        used_bytes: used,
        quota_bytes: detail.disk_quota_bytes,
    }
}

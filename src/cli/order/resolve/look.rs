//! What LJPc shows of what a person has named, or says to be absent. It is asked once, by safe GETs.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::{
    cli::{Failed, cure::LJPC, order::explain, output},
    db::Database,
    order::{
        LineKind, SiteId, Tag, UpstreamOrderId,
        effect::EffectStep,
        facts::{Facts, Placement},
        name::DomainName,
        resolution::{Resolution, doubted},
    },
    upstream::{
        UpstreamError,
        ljpc::{Ljpc, OrderDetail, tag_of},
    },
};

/// By how much LJPc's clock may differ from the database's.
const CLOCKS_DIFFER_MAX: TimeDelta = TimeDelta::minutes(5);

/// So many placements of a line, one after the other, may be forgotten; each would have been a doubt.
const FORGOTTEN_MAX: i32 = 20;

/// Asks LJPc about a line.
pub(super) struct Look<'a> {
    pub(super) db: &'a Database,
    pub(super) ljpc: &'a Ljpc,
    pub(super) facts: &'a Facts,
}

impl Look<'_> {
    /// What of the resolution LJPc does not bear out. The resolution learns from it which placement an order came of.
    pub(super) async fn at(&self, what: &mut Resolution) -> Result<Vec<String>, Failed> {
        match what {
            Resolution::UpstreamOrder { id, n, cost } => {
                let (order, differences) = self.at_order(*id).await?;
                *n = order.as_ref().and_then(|order| self.placement_of(order));
                *cost = order.and_then(|order| order.total_price);
                Ok(differences)
            }
            Resolution::Site(id) => self.at_site(*id).await,
            Resolution::Absent { .. } => self.at_absence().await,
            Resolution::Retry { .. } | Resolution::Abandon { .. } => Ok(Vec::new()),
        }
    }

    async fn at_order(
        &self,
        id: UpstreamOrderId,
    ) -> Result<(Option<OrderDetail>, Vec<String>), Failed> {
        let order = match self.ljpc.order(id).await {
            Ok(order) => order,
            Err(error) => {
                let hidden = hidden(error).map_err(|error| Failed::Done(LJPC.explain(error)))?;
                return Ok((None, vec![format!("order {id}: {hidden}")]));
            }
        };
        let summary = output::cell(order.summary.as_ref());
        output::note(&format!(
            "LJPc order {id}: {summary}, placed {}",
            output::time(order.created_at)
        ));
        let mut differences = Vec::new();
        let tags = tags(&order);
        if tags.is_empty() {
            differences.push(format!("order {id} bears no tag of Provisor's"));
        } else if self.placement_of(&order).is_none() {
            let tags: Vec<String> = tags.iter().map(|tag| output::cell(Some(tag))).collect();
            differences.push(format!("order {id} bears another line's tag: {}", tags.join(", ")));
        }
        let names = names(&order);
        if !names.is_empty() && !names.iter().any(|name| self.is_its_name(name)) {
            differences.push(format!("order {id} is for {}", names.join(", ")));
        }
        if self.is_older(order.created_at, CLOCKS_DIFFER_MAX) {
            differences
                .push(format!("order {id} was placed before anything was sent for the line"));
        }
        Ok((Some(order), differences))
    }

    async fn at_site(&self, id: SiteId) -> Result<Vec<String>, Failed> {
        let site = match self.ljpc.site(id).await {
            Ok(site) => site,
            Err(error) => {
                let hidden = hidden(error).map_err(|error| Failed::Done(LJPC.explain(error)))?;
                return Ok(vec![format!("site {id}: {hidden}")]);
            }
        };
        let (name, status) = (output::cell(site.domain.as_ref()), output::cell(site.status));
        output::note(&format!("LJPc site {id}: {name}, {status}"));
        let mut differences = Vec::new();
        if !site.domain.is_some_and(|name| self.is_its_name(&name)) {
            differences.push(format!("site {id} is of {name}"));
        }
        let first_listed_at =
            self.db.site_first_listed_at(id).await.map_err(|error| explain(&error))?;
        if self.is_older(first_listed_at, TimeDelta::zero()) {
            differences.push(format!("site {id} was there before anything was sent for the line"));
        }
        Ok(differences)
    }

    /// What is at LJPc for the line's name that no other line accounts for. That nothing is proves nothing; names that are
    /// bought by their own endpoint are looked for by the line's next run.
    async fn at_absence(&self) -> Result<Vec<String>, Failed> {
        let step = doubted(self.facts).map(|placement| placement.step);
        if step != Some(EffectStep::PlaceOrder) {
            return Ok(Vec::new());
        }
        let similar = doubted(self.facts).and_then(|it| it.probe.as_ref()?.differs());
        let mut differences: Vec<String> = similar
            .map(|id| format!("LJPc order {id} may be the one: it is like it, but not in all"))
            .into_iter()
            .collect();
        if matches!(self.facts.kind, LineKind::DomainRegister | LineKind::DomainTransfer) {
            differences.extend(self.at_name().await?);
            return Ok(differences);
        }
        let sites = self.ljpc.all_sites().await.map_err(|error| LJPC.explain(error))?;
        let of_name =
            |name: &Option<String>| name.as_ref().is_some_and(|name| self.is_its_name(name));
        let ids: Vec<SiteId> =
            sites.iter().filter(|site| of_name(&site.domain)).map(|site| site.id).collect();
        let held = self.db.lines_of_sites(&ids).await.map_err(|error| explain(&error))?;
        let unheld = ids.iter().filter(|id| held.iter().all(|(site, _)| site != *id));
        differences.extend(unheld.map(|id| {
            format!("site {id} is of this name, and no line of ours is known to have brought it")
        }));
        Ok(differences)
    }

    async fn at_name(&self) -> Result<Vec<String>, Failed> {
        let Some(name) = self.facts.progress.domain.clone() else { return Ok(Vec::new()) };
        match self.ljpc.domain(&DomainName::from_stored(name.clone())).await {
            Ok(_) => Ok(vec![format!("{name} is in this account")]),
            Err(error) => {
                let hidden = hidden(error).map_err(|error| Failed::Done(LJPC.explain(error)))?;
                output::note(&format!("{name}: {hidden}"));
                Ok(Vec::new())
            }
        }
    }

    /// Which placement of the line bears one of the order's tags: one that is known, or one that may be forgotten.
    fn placement_of(&self, order: &OrderDetail) -> Option<i32> {
        let tags = tags(order);
        let Facts { reference, line, .. } = self.facts;
        let of_step = |it: &&Placement| it.step == EffectStep::PlaceOrder;
        let known = self.facts.placements.iter().filter(of_step).map(|it| it.n).max().unwrap_or(0);
        (1..=known.saturating_add(FORGOTTEN_MAX)).find(|&n| {
            let tag = Tag::of_step(reference, *line, EffectStep::PlaceOrder, n);
            tags.contains(&tag.as_str())
        })
    }

    fn is_its_name(&self, name: &str) -> bool {
        let known = self.facts.progress.domain.as_deref().unwrap_or_default();
        let same = |known: DomainName| DomainName::parse(name).is_ok_and(|name| name == known);
        DomainName::parse(known).is_ok_and(same)
    }

    /// Nothing of the line's can be older than its first intent.
    fn is_older(&self, created_at: Option<DateTime<Utc>>, clocks_differ: TimeDelta) -> bool {
        let of_step = |it: &&Placement| it.step == EffectStep::PlaceOrder;
        let first = self.facts.placements.iter().filter(of_step).map(|it| it.intended_at).min();
        // Where no intent is known, the order itself.
        let first = first.unwrap_or(self.facts.submitted_at);
        created_at.is_some_and(|created| created < first - clocks_differ)
    }
}

/// The tags of an order, in the two places where LJPc echoes them.
fn tags(order: &OrderDetail) -> Vec<&str> {
    let descriptions = order.order_lines.iter().filter_map(|line| line.description.as_deref());
    order.summary.as_deref().into_iter().chain(descriptions).filter_map(tag_of).collect()
}

/// The names that an order is for, as its cart items and what it delivers have them.
fn names(order: &OrderDetail) -> Vec<String> {
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let ordered = order.order_lines.iter().filter_map(|line| {
        let item = &line.cart_item;
        let whole = || Some(format!("{}.{}", text(item, "sld")?, text(item, "tld")?));
        text(item, "domain").or_else(whole)
    });
    let delivered = order.lines.iter().filter_map(|line| line.domain.clone());
    let mut names: Vec<String> =
        ordered.chain(delivered).map(|name| output::cell(Some(name))).collect();
    names.dedup();
    names
}

/// What it means that LJPc does not show something; any other error says nothing of it.
fn hidden(error: UpstreamError) -> Result<String, UpstreamError> {
    match error {
        UpstreamError::Rejected { status: status @ (403 | 404), message, .. } => {
            Ok(format!("LJPc does not show it to this account (HTTP {status}): {message}"))
        }
        other @ (UpstreamError::NotSent { .. }
        | UpstreamError::Rejected { .. }
        | UpstreamError::RateLimited { .. }
        | UpstreamError::Unauthorized { .. }
        | UpstreamError::InDoubt { .. }
        | UpstreamError::Unavailable { .. }) => Err(other),
    }
}

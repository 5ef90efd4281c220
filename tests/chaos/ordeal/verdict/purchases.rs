//! At most one effect for each line and name, and the one that its status promises.

use std::collections::{BTreeMap, BTreeSet};

use provisor::sandbox::{DomainSeen, OrderSeen, Stage};

use super::{Evidence, Verdict, rows::Line};

/// What was really bought.
struct Bought {
    /// By the line that it is for: the tag without the number of its placement.
    orders: BTreeMap<String, Vec<OrderSeen>>,
    names: BTreeMap<String, DomainSeen>,
}

impl Bought {
    fn look(evidence: &Evidence<'_>) -> Self {
        let sandbox = evidence.house.sandbox.state();
        let mut orders: BTreeMap<String, Vec<OrderSeen>> = BTreeMap::new();
        for order in sandbox.orders() {
            let tag = order.tag.clone().unwrap_or_default();
            orders.entry(line_of(&tag).to_owned()).or_default().push(order);
        }
        let names = sandbox.domains().into_iter().map(|name| (name.domain.clone(), name));
        Self { orders, names: names.collect() }
    }

    /// The name, if this line has brought it.
    fn name_of(&self, line: &Line) -> Option<&DomainSeen> {
        let seen = self.names.get(&line.name()?)?;
        let reference = seen.reference.as_deref()?;
        (line_of(reference) == line.tag()).then_some(seen)
    }
}

/// `SHOP-1/0#2` is for the line `SHOP-1/0`.
fn line_of(tag: &str) -> &str {
    tag.split('#').next().unwrap_or_default()
}

impl Verdict {
    pub(super) fn judge_purchases(&mut self, evidence: &Evidence<'_>) {
        let bought = Bought::look(evidence);
        let summary = evidence.house.sandbox.state().summary();
        for (tag, count) in summary.tags.iter().filter(|(_, count)| **count > 1) {
            self.doubled.push(format!("{tag}: {count} LJPc orders bear this tag"));
        }
        for (name, count) in &summary.bought_twice {
            self.doubled.push(format!("{name}: was bought {count} times"));
        }
        if summary.untagged > 0 {
            self.wrongs.push(format!("{} LJPc orders without a tag", summary.untagged));
        }
        let tags: BTreeSet<String> = evidence.rows.lines.iter().map(Line::tag).collect();
        for (tag, orders) in &bought.orders {
            if !tags.contains(tag) {
                self.lost.push(format!("{tag}: {} LJPc orders that nobody wanted", orders.len()));
            }
            let alive = orders.iter().filter(|order| order.state != Stage::Failed).count();
            if alive > 1 {
                self.doubled.push(format!("{tag}: {alive} LJPc orders for one line"));
            }
        }
        let mut sites: BTreeMap<i64, String> = BTreeMap::new();
        for line in &evidence.rows.lines {
            self.judge_line(line, &bought);
            if let Some(site) = line.site_id
                && let Some(other) = sites.insert(site, line.tag())
            {
                self.doubled.push(format!("site {site} is both {other}'s and {}'s", line.tag()));
            }
        }
    }

    fn judge_line(&mut self, line: &Line, bought: &Bought) {
        let none = Vec::new();
        let orders = bought.orders.get(&line.tag()).unwrap_or(&none);
        let name = bought.name_of(line).filter(|_| line.brings_name());
        let came = name.filter(|name| !name.status.starts_with("transfer_"));
        let alive = orders.iter().find(|order| order.state != Stage::Failed);
        let told = || {
            let orders: Vec<_> = orders.iter().map(|order| (order.id.0, order.state)).collect();
            format!(
                "{} ({} of {}) is {}: {}; LJPc has the orders {orders:?} and the name as {:?}",
                line.tag(),
                line.kind,
                line.domain.as_deref().unwrap_or("no name"),
                line.status,
                line.reason.as_deref().unwrap_or("no reason"),
                name.map(|name| name.status.as_str()),
            )
        };
        match line.status.as_str() {
            "completed" if line.is_order() => {
                let delivered = alive.filter(|order| order.state == Stage::Completed);
                let Some(order) = delivered else { return self.lost.push(told()) };
                if line.upstream_order_id.is_some_and(|id| id != order.id.0) {
                    self.wrongs.push(format!("another LJPc order is in its row: {}", told()));
                }
                let site = order.deliveries.iter().find_map(|delivery| delivery.site_id);
                if line.site_id.is_some() && line.site_id != site.map(|site| site.0) {
                    self.wrongs.push(format!("another site is in its row: {}", told()));
                }
            }
            "completed" if line.brings_name() && came.is_none() => self.lost.push(told()),
            "failed" | "held" | "cancelled" if alive.is_some() || came.is_some() => {
                self.lost.push(told());
            }
            _ => {}
        }
    }
}

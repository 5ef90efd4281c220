//! Lines end, wait with a reason, or are in doubt; orders follow from their lines; and none is missing.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Evidence, Verdict,
    rows::{Line, Order},
};

/// Why a line may be held in this run: the words that its reason has one of.
const REASONS_TO_HOLD: [&str; 4] = ["max_cost", "premium", "product", "price"];

impl Verdict {
    pub(super) fn judge_statuses(&mut self, evidence: &Evidence<'_>) {
        let by_order = evidence.rows.by_order();
        let orders: BTreeMap<&str, &Order> =
            evidence.rows.orders.iter().map(|order| (order.reference.as_str(), order)).collect();
        for (reference, lines) in evidence.shop.submitted.lock().expect("no panic").iter() {
            let stored = by_order.get(reference.as_str()).map_or(0, Vec::len);
            if !orders.contains_key(reference.as_str()) || stored != *lines {
                self.lost.push(format!("{reference}: {stored} of {lines} lines are there"));
            }
        }
        // Another order's line may be what one waits for.
        let unsettled: BTreeSet<String> = evidence
            .rows
            .lines
            .iter()
            .filter(|line| matches!(line.status.as_str(), "in_doubt" | "held"))
            .filter_map(Line::name)
            .collect();
        for (reference, lines) in &by_order {
            let Some(order) = orders.get(reference) else { continue };
            for line in lines {
                self.judge_status(line, &unsettled);
            }
            self.judge_order(order, lines);
        }
        for reference in evidence.shop.withdrawn.lock().expect("no panic").iter() {
            let status = orders.get(reference.as_str()).map(|order| order.status.as_str());
            if status != Some("cancelled") {
                self.wrongs.push(format!("{reference} was cancelled and is {status:?}"));
            }
        }
    }

    fn judge_status(&mut self, line: &Line, unsettled: &BTreeSet<String>) {
        let reason = line.reason.as_deref().unwrap_or_default();
        let is_right = match line.status.as_str() {
            "completed" | "cancelled" => true,
            "failed" | "in_doubt" => !reason.is_empty(),
            "held" => REASONS_TO_HOLD.iter().any(|words| reason.contains(words)),
            // It waits for another line of its name: for a step before it, its hosting, or another order's purchase.
            "pending" | "provisioning" => line.name().is_some_and(|name| unsettled.contains(&name)),
            _ => false,
        };
        if !is_right {
            self.wrongs.push(format!(
                "{} ({}) is {} in the end: {reason}",
                line.tag(),
                line.kind,
                line.status
            ));
        }
    }

    fn judge_order(&mut self, order: &Order, lines: &[&Line]) {
        let any = |status: &str| lines.iter().any(|line| line.status == status);
        let status = order.status.as_str();
        let is_right = if lines.iter().all(|line| line.is_ended()) {
            status
                == match (any("cancelled"), any("completed"), any("failed")) {
                    (true, ..) => "cancelled",
                    (false, true, false) => "completed",
                    (false, true, true) => "partial",
                    (false, false, _) => "failed",
                }
        } else if any("in_doubt") || any("held") {
            status == "attention"
                // A line of it waits for another order's.
                || (status == "in_progress" && any("pending"))
        } else {
            matches!(status, "accepted" | "in_progress") && any("pending")
        };
        if !is_right {
            let statuses: Vec<&str> = lines.iter().map(|line| line.status.as_str()).collect();
            self.wrongs.push(format!(
                "{} is {status} ({:?}), its lines {statuses:?}",
                order.reference, order.reason
            ));
        }
    }
}

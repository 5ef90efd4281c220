//! Each email that is owed, once. A second copy has the same Message-ID, and a fault after the final dot that explains it.

use std::collections::{BTreeMap, BTreeSet};

use provisor::sandbox::Mail;

use super::{
    Evidence, Verdict,
    rows::{Order, Owed},
};
use crate::ordeal::weather::{NO_MAILBOX, OPERATOR};

/// What tells a customer how their order has ended.
const LAST_WORDS: [&str; 3] = ["order_completed", "order_partial", "order_failed"];

impl Verdict {
    pub(super) fn judge_mails(&mut self, evidence: &Evidence<'_>) {
        let rows = evidence.rows;
        let keys: BTreeSet<&str> = rows.outbox.iter().map(|row| row.dedupe_key.as_str()).collect();
        if keys.len() != rows.outbox.len() {
            self.wrongs.push("a dedupe_key is in the outbox twice".to_owned());
        }
        let mut last_words: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for row in rows.outbox.iter().filter(|row| LAST_WORDS.contains(&row.template.as_str())) {
            if let Some(order) = row.order_id {
                last_words.entry(order).or_default().push(&row.dedupe_key);
            }
        }
        let none = Vec::new();
        for order in &rows.orders {
            self.judge_last_word(order, last_words.get(&order.id).unwrap_or(&none));
        }
        for line in &rows.lines {
            let held = format!("ops_held:{}:", line.id);
            if line.status == "held" && !keys.iter().any(|key| key.starts_with(&held)) {
                self.lost.push(format!("{}: nobody was told that it is held", line.tag()));
            }
            let doubt = line.doubt_key.as_deref().unwrap_or_default();
            if line.status == "in_doubt" && !keys.contains(doubt) {
                self.lost.push(format!("{}: nobody was told that it is in doubt", line.tag()));
            }
        }
        self.judge_arrivals(evidence);
    }

    /// One for each time that the order has ended; mostly there is one.
    fn judge_last_word(&mut self, order: &Order, keys: &[&str]) {
        let is_ended = matches!(order.status.as_str(), "completed" | "partial" | "failed");
        let last = format!("order_{}:{}:{}", order.status, order.id, order.episode);
        if is_ended && !keys.contains(&last.as_str()) {
            self.lost.push(format!("{}: {last} is owed, and there is {keys:?}", order.reference));
        }
        let episodes = usize::try_from(order.episode).unwrap_or(0);
        if keys.len() > episodes.max(usize::from(is_ended)) {
            self.wrongs.push(format!("{} ended {episodes} times: {keys:?}", order.reference));
        }
    }

    fn judge_arrivals(&mut self, evidence: &Evidence<'_>) {
        let mails = evidence.house.sandbox.state().mails();
        let mut arrived: BTreeMap<&str, Vec<&Mail>> = BTreeMap::new();
        for mail in &mails {
            let id = mail.message_id.as_deref().unwrap_or_default();
            let id = id.trim_start_matches('<').split('@').next().unwrap_or_default();
            arrived.entry(id).or_default().push(mail);
        }
        let customers: BTreeMap<i64, &str> = evidence
            .rows
            .orders
            .iter()
            .map(|order| (order.id, order.customer.trim_start_matches("C-")))
            .collect();
        for row in &evidence.rows.outbox {
            let copies = arrived.remove(row.message_id.as_str()).unwrap_or_default();
            let customer = row.order_id.and_then(|id| customers.get(&id).copied());
            match row.status.as_str() {
                "sent" if copies.is_empty() => {
                    self.lost.push(format!("{} has not arrived", row.dedupe_key));
                }
                "sent" | "disabled" => {}
                // Only a mailbox that was refused for good.
                "failed"
                    if row.last_error.as_deref().is_some_and(|told| told.contains(NO_MAILBOX)) => {}
                status => self.wrongs.push(format!(
                    "{} is {status} in the end: {:?}",
                    row.dedupe_key, row.last_error
                )),
            }
            self.judge_copies(evidence, row, &copies, customer);
        }
        for (id, copies) in arrived {
            self.wrongs.push(format!("{} mails {id:?}, which nobody owed", copies.len()));
        }
    }

    fn judge_copies(
        &mut self,
        evidence: &Evidence<'_>,
        row: &Owed,
        copies: &[&Mail],
        customer: Option<&str>,
    ) {
        for copy in copies {
            let to = copy.recipients.join(", ");
            let is_right = if row.to_customer {
                let customer = customer.and_then(|n| n.parse().ok()).unwrap_or(u64::MAX);
                evidence.shop.knows(customer, &to)
            } else {
                to == OPERATOR
            };
            if !is_right {
                self.wrongs.push(format!("{} went to {to}", row.dedupe_key));
            }
        }
        for pair in copies.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let is_unlucky = first.recipients.iter().any(|to| evidence.mails.unlucky.contains(to));
            let is_struck = evidence
                .havoc
                .fallen
                .iter()
                .any(|fallen| fallen.from <= second.at && fallen.until >= first.at);
            if is_unlucky || is_struck {
                self.copies += 1;
            } else {
                self.doubled.push(format!(
                    "{} came at {} and at {}, and nothing struck between",
                    row.dedupe_key, first.at, second.at
                ));
            }
        }
    }
}

//! What must hold when all is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use chrono::{DateTime, Utc};
use provisor::sandbox::{Mail, OrderSeen, SandboxOptions, Stage};

use crate::house::{CUSTOMER_DOMAIN, CUSTOMER_NAME, House};

/// A quarter of `queue.concurrency` sends emails, and only what is being sent may be sent again after a kill.
const EMAILS_AT_A_TIME: usize = 16;

/// What a run came to.
pub(crate) struct Verdict {
    pub(crate) orders: usize,
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) in_doubt: usize,
    pub(crate) stops: usize,
    pub(crate) duplicate_mails: usize,
    took: Duration,
    wrongs: Vec<String>,
}

/// An order with its one line.
#[derive(sqlx::FromRow)]
struct Line {
    reference: String,
    order_status: String,
    status: String,
    upstream_order_id: Option<i64>,
    mailbox: String,
    /// How often it was in doubt.
    doubts: i64,
}

/// A row of the outbox.
#[derive(sqlx::FromRow)]
struct Owed {
    reference: String,
    template: String,
    dedupe_key: String,
    message_id: String,
    status: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(
            f,
            "{} orders, {} completed, {} failed, {} in doubt, {} daemons stopped, {} duplicate mails, \
             {seconds:.1} s",
            self.orders,
            self.completed,
            self.failed,
            self.in_doubt,
            self.stops,
            self.duplicate_mails,
        )
    }
}

impl Verdict {
    /// Compares what the database says, what the sandbox was asked for, and which mails it caught.
    pub(crate) async fn reach(house: &House, stops: Vec<DateTime<Utc>>, took: Duration) -> Self {
        let lines: Vec<Line> = sqlx::query_as(
            "SELECT o.reference, o.status AS order_status, l.status, l.upstream_order_id,
                    c.email AS mailbox,
                    (SELECT count(*) FROM provisor.events e
                     WHERE e.order_id = o.id AND e.event = 'in_doubt') AS doubts
             FROM provisor.orders o
             JOIN provisor.order_lines l ON l.order_id = o.id
             JOIN provisor.customers c ON c.id = o.customer_id",
        )
        .fetch_all(&house.pool)
        .await
        .expect("lines can be read");
        let outbox: Vec<Owed> = sqlx::query_as(
            "SELECT o.reference, m.template, m.dedupe_key, m.message_id, m.status
             FROM provisor.email_outbox m JOIN provisor.orders o ON o.id = m.order_id",
        )
        .fetch_all(&house.pool)
        .await
        .expect("the outbox can be read");
        let mails = house.sandbox.state().mails();
        let in_state = |status: &str| lines.iter().filter(|line| line.status == status).count();
        let mut verdict = Self {
            orders: lines.len(),
            completed: in_state("completed"),
            failed: in_state("failed"),
            in_doubt: in_state("in_doubt"),
            stops: stops.len(),
            duplicate_mails: 0,
            took,
            wrongs: Vec::new(),
        };
        verdict.judge_purchases(&lines, &house.sandbox.state().orders());
        verdict.judge_outbox(&lines, &outbox);
        verdict.judge_mails(&lines, &outbox, &mails, &stops);
        verdict.judge_wakes(house).await;
        verdict.judge_logs(&house.logged());
        verdict
    }

    /// Fails with all that is wrong.
    pub(crate) fn assert_exactly_once(&self) {
        let shown: Vec<&str> = self.wrongs.iter().take(20).map(String::as_str).collect();
        assert!(self.wrongs.is_empty(), "{} wrongs:\n{}", self.wrongs.len(), shown.join("\n"));
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.wrongs.push(what.into());
    }

    /// At most one order for each line, exactly one for each that has ended, and none for anybody else.
    fn judge_purchases(&mut self, lines: &[Line], bought: &[OrderSeen]) {
        let mut by_tag: BTreeMap<String, Vec<&OrderSeen>> = BTreeMap::new();
        for order in bought {
            by_tag.entry(order.tag.clone().unwrap_or_default()).or_default().push(order);
        }
        for line in lines {
            let tag = format!("{}/0", line.reference);
            let found = by_tag.remove(&tag).unwrap_or_default();
            let seen = (line.order_status.as_str(), line.status.as_str(), found.as_slice());
            let right = match seen {
                ("completed", "completed", [order]) => order.state == Stage::Completed,
                ("failed", "failed", [order]) => order.state == Stage::Failed,
                // It was sent, or was about to be, when its daemon was stopped: a person is asked.
                ("attention", "in_doubt", [] | [_]) => true,
                _ => false,
            };
            let is_ours =
                line.upstream_order_id.is_none_or(|id| found[..].iter().any(|o| o.id.0 == id));
            if !right || !is_ours {
                let states: Vec<_> = found.iter().map(|order| (order.id.0, order.state)).collect();
                self.wrong(format!(
                    "{tag}: order {}, line {}, upstream order {:?}; bought {states:?}",
                    line.order_status, line.status, line.upstream_order_id
                ));
            }
        }
        for (tag, orders) in by_tag {
            self.wrong(format!("{} orders for {tag:?}, which nobody wanted", orders.len()));
        }
    }

    /// One last email for each order that has ended, one to the operator for each doubt that lasted, and no other.
    fn judge_outbox(&mut self, lines: &[Line], outbox: &[Owed]) {
        let mut owed: BTreeSet<(&str, &str)> = BTreeSet::new();
        // Of those that evidence has ended since, some had lasted and were told, and some had not.
        let mut ended_doubts: BTreeMap<&str, i64> = BTreeMap::new();
        for line in lines {
            owed.insert((&line.reference, final_template(&line.status)));
            let lasting = i64::from(line.status == "in_doubt");
            ended_doubts.insert(&line.reference, line.doubts - lasting);
        }
        let keys: BTreeSet<&str> = outbox.iter().map(|row| row.dedupe_key.as_str()).collect();
        if keys.len() != outbox.len() {
            self.wrong("a dedupe_key is there twice");
        }
        for row in outbox.iter().filter(|row| row.status != "disabled") {
            if row.status != "sent" {
                self.wrong(format!("{}: {} is {}", row.reference, row.template, row.status));
            }
            if !owed.remove(&(row.reference.as_str(), row.template.as_str())) {
                let ended = ended_doubts.entry(&row.reference).or_default();
                *ended -= i64::from(row.template == "ops_attention");
                if row.template != "ops_attention" || *ended < 0 {
                    self.wrong(format!("{}: {} was not owed", row.reference, row.template));
                }
            }
        }
        for (reference, template) in owed {
            self.wrong(format!("{reference}: {template} is owed, and not in the outbox"));
        }
    }

    /// Each email has arrived, where it belongs, and once: a second copy only where a daemon may have been stopped between
    /// the final dot and its note of it.
    fn judge_mails(
        &mut self,
        lines: &[Line],
        outbox: &[Owed],
        mails: &[Mail],
        stops: &[DateTime<Utc>],
    ) {
        let mut arrived: BTreeMap<&str, Vec<&Mail>> = BTreeMap::new();
        for mail in mails {
            let id = mail.message_id.as_deref().unwrap_or_default();
            let id = id.trim_start_matches('<').split('@').next().unwrap_or_default();
            arrived.entry(id).or_default().push(mail);
        }
        let mailboxes: BTreeMap<&str, &str> =
            lines.iter().map(|line| (line.reference.as_str(), line.mailbox.as_str())).collect();
        for row in outbox.iter().filter(|row| row.status == "sent") {
            let copies = arrived.remove(row.message_id.as_str()).unwrap_or_default();
            let to_operator = row.template == "ops_attention";
            let to =
                if to_operator { "ops@example.com" } else { mailboxes[row.reference.as_str()] };
            if copies.is_empty() {
                self.wrong(format!("{}: {} has not arrived", row.reference, row.template));
            }
            for copy in &copies {
                if copy.recipients != [to] {
                    self.wrong(format!("{}: went to {:?}", row.template, copy.recipients));
                }
            }
            self.duplicate_mails += copies.len().saturating_sub(1);
            for pair in copies.windows(2) {
                if !stops.iter().any(|stop| pair[0].at <= *stop && *stop <= pair[1].at) {
                    self.wrong(format!(
                        "{}: {} came twice, at {} and {}, though no daemon was stopped between",
                        row.reference, row.template, pair[0].at, pair[1].at
                    ));
                }
            }
        }
        if self.duplicate_mails > self.stops * EMAILS_AT_A_TIME {
            self.wrong(format!("{} mails came twice", self.duplicate_mails));
        }
        for (id, copies) in arrived {
            self.wrong(format!("{} mails {id:?}, which were not in the outbox", copies.len()));
        }
    }

    /// Nothing is held, and nothing is due that nobody looks at.
    async fn judge_wakes(&mut self, house: &House) {
        // A daemon that was killed may have left some to whoever comes next; one that took its leave is forgotten, and has
        // let go of all.
        let held: i64 = house
            .value(
                "SELECT count(*) FROM provisor.wakes w
                 WHERE lease_until > now()
                   AND NOT EXISTS (SELECT FROM provisor.processes p WHERE p.owner = w.owner)",
            )
            .await;
        if held > 0 {
            self.wrong(format!("{held} wakes are still held, though their daemons have drained"));
        }
        // Kinds 1 to 3: lines, emails, orders. Whatever has ended rests until it is poked; what is in doubt is looked for.
        let restless: i64 = house
            .value(
                "SELECT count(*) FROM provisor.wakes w
                 WHERE id % 16 IN (1, 2, 3) AND due_at < 'infinity'
                   AND NOT EXISTS (SELECT FROM provisor.order_lines l
                                   WHERE w.id = l.id * 16 + 1 AND l.status = 'in_doubt')",
            )
            .await;
        if restless > 0 {
            self.wrong(format!("{restless} wakes of what has ended would still be looked at"));
        }
    }

    /// No panic, no secret, nobody's data.
    fn judge_logs(&mut self, logs: &str) {
        let key = SandboxOptions::default().api_key;
        for what in ["\"panicked\"", CUSTOMER_NAME, CUSTOMER_DOMAIN, key.as_str()] {
            if let Some(line) = logs.lines().find(|line| line.contains(what)) {
                self.wrong(format!("logged {what}: {line}"));
            }
        }
    }
}

/// The one email that an order's line leads to.
fn final_template(status: &str) -> &'static str {
    match status {
        "completed" => "order_completed",
        "failed" => "order_failed",
        _ => "ops_attention",
    }
}

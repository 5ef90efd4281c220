//! What came of an order, as one text for a snapshot: the requests in their order, and all that the shop can see.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use provisor::{clock, sandbox::Entry};
use serde_json::Value;
use sqlx::Row as _;

use crate::house::House;

impl House {
    /// The number of the latest request: a story begins behind it.
    pub(super) fn now_in_journal(&self) -> u64 {
        self.sandbox.state().journal(0).last().map_or(0, |entry| entry.seq)
    }

    /// The requests since then, polls that repeat themselves once, and what the views say of the order and its names.
    pub(super) async fn story(&self, reference: &str, after: u64) -> String {
        let mut story = String::new();
        let mut journal = self.sandbox.state().journal(after);
        // Now and then the account's sites are listed, for no order.
        journal.retain(|entry| entry.path != "/api/hosting/v1/sites");
        for request in requests(&journal) {
            writeln!(story, "{request}").unwrap();
        }
        story.push('\n');
        story + &self.outcome(reference).await
    }

    /// What the views say of an order and its names, its timeline, and the emails that it owes.
    pub(super) async fn outcome(&self, reference: &str) -> String {
        let mut story = String::new();
        let (status, reason) = self.order(reference).await;
        writeln!(story, "order {status}{}", because(reason.as_deref())).unwrap();
        for line in self.told_of_lines(reference).await {
            writeln!(story, "line {line}").unwrap();
        }
        for name in self.told_of_domains(reference).await {
            writeln!(story, "name {name}").unwrap();
        }
        story.push('\n');
        for event in self.told_of_events(reference).await {
            writeln!(story, "event {event}").unwrap();
        }
        for (template, about, _) in self.emails(reference).await {
            let about = about.map(|about| format!(" ({about})")).unwrap_or_default();
            writeln!(story, "email {template}{about}").unwrap();
        }
        story
    }

    async fn told_of_lines(&self, reference: &str) -> Vec<String> {
        let rows = sqlx::query(
            "SELECT line, kind, domain, status, reason, cost::text, contact_handle, expires_at,
                    upstream_order_id, site_id
             FROM provisor.line_status WHERE reference = $1 ORDER BY line",
        )
        .bind(reference)
        .fetch_all(&self.world.pool)
        .await
        .expect("lines can be read");
        rows.iter()
            .map(|row| {
                let mut told = format!("{} {}", row.get::<i32, _>(0), row.get::<String, _>(1));
                for (word, column) in [("", 2), ("is", 3), ("costs", 5), ("of", 6)] {
                    if let Some(text) = row.get::<Option<String>, _>(column) {
                        let space = if word.is_empty() { "" } else { " " };
                        write!(told, " {word}{space}{text}").unwrap();
                    }
                }
                told.push_str(&until(row.get(7)));
                for (word, column) in [("order", 8), ("site", 9)] {
                    if let Some(id) = row.get::<Option<i64>, _>(column) {
                        write!(told, " {word} {id}").unwrap();
                    }
                }
                told + &because(row.get(4))
            })
            .collect()
    }

    async fn told_of_domains(&self, reference: &str) -> Vec<String> {
        let rows = sqlx::query(
            "SELECT d.domain, d.customer_reference, d.status, d.expires_at, d.auto_renew_wished, d.auto_renew_seen
             FROM provisor.domain_status d
             WHERE d.domain IN (SELECT l.domain FROM provisor.line_status l WHERE l.reference = $1)
             ORDER BY d.domain",
        )
        .bind(reference)
        .fetch_all(&self.world.pool)
        .await
        .expect("names can be read");
        rows.iter()
            .map(|row| {
                let word = |n: usize| {
                    row.get::<Option<String>, _>(n).unwrap_or_else(|| "nobody knows".to_owned())
                };
                let flag = |n: usize| match row.get::<Option<bool>, _>(n) {
                    None => "unsaid",
                    Some(true) => "yes",
                    Some(false) => "no",
                };
                format!(
                    "{} of {} is {}{}, renewal wished: {}, seen: {}",
                    word(0),
                    word(1),
                    word(2),
                    until(row.get(3)),
                    flag(4),
                    flag(5)
                )
            })
            .collect()
    }

    async fn told_of_events(&self, reference: &str) -> Vec<String> {
        let rows = sqlx::query(
            // Each line in its own order: between two of them it differs. Whether one had to
            // wait for another differs too, and emails go their own way.
            "SELECT line, event FROM provisor.order_events
             WHERE reference = $1 AND event NOT LIKE 'email%' AND event <> 'pending' ORDER BY line NULLS FIRST, id",
        )
        .bind(reference)
        .fetch_all(&self.world.pool)
        .await
        .expect("events can be read");
        rows.iter()
            .map(|row| {
                let line = row.get::<Option<i32>, _>(0);
                let line = line.map(|line| format!("{line} ")).unwrap_or_default();
                format!("{line}{}", row.get::<String, _>(1))
            })
            .collect()
    }
}

/// Each request in a line, with what was answered; one that is repeated in the next lines stands there once.
pub(super) fn requests(journal: &[Entry]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for entry in journal {
        let mut line = format!("{} {}", entry.method, entry.path);
        if !entry.query.is_empty() {
            write!(line, "?{}", entry.query).unwrap();
        }
        if !entry.body.as_str().is_empty() {
            write!(line, " {}", masked(entry.body.as_str())).unwrap();
        }
        match &entry.answer {
            Some(answer) => write!(line, " -> {}", answer.status).unwrap(),
            None => line.push_str(" -> nothing"),
        }
        if told.last() != Some(&line) {
            told.push(line);
        }
    }
    told
}

/// A body with its auth codes hidden.
fn masked(body: &str) -> String {
    fn mask(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    if key == "auth_code" {
                        *member = Value::from("[auth code]");
                    } else {
                        mask(member);
                    }
                }
            }
            Value::Array(members) => members.iter_mut().for_each(mask),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value: Value = serde_json::from_str(body).expect("a JSON body");
    mask(&mut value);
    value.to_string()
}

/// Until when, in years from now: the day itself differs from run to run.
fn until(expires_at: Option<DateTime<Utc>>) -> String {
    let Some(expires_at) = expires_at else { return String::new() };
    let days = (expires_at - clock::now()).num_days() + 1;
    format!(" for {} years", (days + 5) / 365)
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

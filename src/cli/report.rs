//! `provisor order show`, as a person reads it at three at night: what happened, what comes next and when, what to type.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::db::reports::{EmailReport, EventReport, LineReport, OrderReport};

/// Renders an order.
pub(super) fn render_order(order: &OrderReport) -> String {
    let mut text = String::new();
    let reason = order.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    push(&mut text, &format!("Order {}  {}{reason}", order.reference, order.status.to_uppercase()));
    let customer = order.customer_reference.as_deref().unwrap_or("known by this order alone");
    let ended = order
        .finished_at
        .map(|at| format!(", ended {} ({} later)", time(at), duration(order.submitted_at, at)))
        .unwrap_or_default();
    push(&mut text, &format!("customer {customer}; submitted {}{ended}", time(order.submitted_at)));
    for line in &order.lines {
        push_line(&mut text, line, order);
    }
    push(&mut text, "\nWhat happened");
    for event in &order.events {
        push(&mut text, &format!("  {}", render_event(event)));
    }
    if !order.emails.is_empty() {
        push(&mut text, "\nEmails");
        for email in &order.emails {
            push(&mut text, &format!("  {}", render_email(email, order.read_at)));
        }
    }
    let commands = what_to_type(order);
    if !commands.is_empty() {
        push(&mut text, "\nWhat to do");
        for command in commands {
            push(&mut text, &format!("  {command}"));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn push(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", line.trim_end());
}

fn push_line(text: &mut String, line: &LineReport, order: &OrderReport) {
    let domain = line.domain.as_deref().unwrap_or("-");
    let status = line.status.to_uppercase().replace('_', " ");
    push(text, &format!("\nLine {}  {}  {domain}  {status}", line.line, line.kind));
    if let Some(reason) = &line.reason {
        push(text, &format!("  why       {reason}"));
    }
    let mut facts = Vec::new();
    facts.extend(line.upstream_order_id.map(|id| format!("LJPc order {id}")));
    facts.extend(line.site_id.map(|id| format!("site {id}")));
    facts.extend(line.cost.map(|cost| format!("{cost} EUR without VAT")));
    if !facts.is_empty() {
        push(text, &format!("  bought    {}", facts.join(", ")));
    }
    for placement in &line.placements {
        push(text, &format!("  ledger    {}  {}", placement.tag, placement.state));
        for attempt in &placement.attempts {
            let mut words = vec![
                time(attempt.started_at),
                attempt.outcome.clone().unwrap_or_else(|| "no answer known".to_owned()),
            ];
            words.extend(attempt.http_status.map(|status| format!("HTTP {status}")));
            words.extend(attempt.jti.as_ref().map(|jti| format!("jti {jti}")));
            words.extend(attempt.detail.clone());
            push(text, &format!("            sent {}", words.join("  ")));
        }
    }
    push(text, &format!("  next      {}", next(line, order)));
}

/// What comes next for a line, and when.
fn next(line: &LineReport, order: &OrderReport) -> String {
    let when = |what: &str| match line.next_at {
        _ if line.running => format!("{what} right now"),
        Some(at) if at <= order.read_at => format!("{what} as soon as a worker is free"),
        Some(at) => format!("{what} in {} ({})", duration(order.read_at, at), time(at)),
        None => format!("{what} when what it waits for is done"),
    };
    match line.status.as_str() {
        "pending" => when("placed"),
        "placing" => when("its placement is finished or taken over"),
        "provisioning" => when("polled"),
        "in_doubt" => {
            "nothing is sent again; it waits for an answer that comes late, or for a person"
                .to_owned()
        }
        "held" => "nothing; it waits for a person".to_owned(),
        "completed" => "nothing; it is delivered".to_owned(),
        "failed" => "nothing; it bought nothing and will not".to_owned(),
        "cancelled" => "nothing; it was withdrawn".to_owned(),
        other => format!("unknown status {other}: is a newer version running?"),
    }
}

fn render_event(event: &EventReport) -> String {
    let line = event.line.map_or_else(String::new, |line| format!("line {line}"));
    let detail = match &event.detail {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| {
                format!(
                    "{key}: {}",
                    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            other.to_string()
        }
    };
    format!("{}  {line:<8}{:<18}{detail}", time(event.at), event.event)
}

fn render_email(email: &EmailReport, now: DateTime<Utc>) -> String {
    let state = match (email.status.as_str(), email.settled_at, email.next_at) {
        ("sent", Some(at), _) => format!("sent {}", time(at)),
        ("queued", _, Some(at)) if at > now => format!("tried again in {}", duration(now, at)),
        ("queued", ..) => "about to be sent".to_owned(),
        (status, ..) => status.to_owned(),
    };
    let error = email.last_error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
    format!("{:<18}to the {:<10}{state}{error}", email.template, email.to)
}

/// What a person can do about the lines that wait for one.
fn what_to_type(order: &OrderReport) -> Vec<String> {
    let mut commands = Vec::new();
    for line in &order.lines {
        match line.status.as_str() {
            "in_doubt" => {
                let tag = line.placements.last().map_or("?", |placement| placement.tag.as_str());
                commands.push(format!(
                    "line {}: look in LJPc's panel for an order whose summary begins with \"{tag}:\"; \
                     their support finds it by the jti or the time above",
                    line.line
                ));
            }
            "held" if !line.sent => commands.push(format!(
                "line {}: nothing was sent for it; correct the order and submit it under a new reference",
                line.line
            )),
            _ => {}
        }
    }
    let cancellable = order.finished_at.is_none()
        && order
            .lines
            .iter()
            .all(|line| !line.sent && matches!(line.status.as_str(), "pending" | "held"));
    if cancellable {
        commands.push(format!("provisor order cancel {}", order.reference));
    }
    commands
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
fn duration(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let seconds = (to - from).num_seconds().max(0);
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{big} {unit}")
        } else {
            format!("{big} {unit} {small} {small_unit}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        let start = DateTime::UNIX_EPOCH;
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (185, "3 min 5 s"),
            (7800, "2 h 10 min"),
            (356_400, "4 d 3 h"),
            (-5, "0 s"),
        ] {
            assert_eq!(duration(start, start + chrono::TimeDelta::seconds(seconds)), shown);
        }
    }
}

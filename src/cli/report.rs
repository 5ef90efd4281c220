//! `provisor order show`, as a person reads it at three at night: what happened, what comes next and when, what to type.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    db::reports::{AttemptReport, EmailReport, EventReport, LineReport, LookReport, OrderReport},
    order::{
        Reference, UpstreamOrderId, decide::PANICS_MAX, effect::EffectStep, resolution::Stuck,
    },
};

/// Renders an order.
pub(super) fn render_order(order: &OrderReport) -> String {
    let mut text = String::new();
    push(&mut text, &format!("Order {}  {}", order.reference, order.status.to_uppercase()));
    // The reason of an order is the one of a line: where there is one line, it stands there.
    if let (Some(reason), 2..) = (&order.reason, order.lines.len()) {
        push(&mut text, reason);
    }
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
    // What became of emails stands below, once.
    for event in order.events.iter().filter(|event| !event.event.starts_with("email_")) {
        push(&mut text, &format!("  {}", render_event(event)));
    }
    if !order.emails.is_empty() {
        push(&mut text, "\nEmails");
        for email in &order.emails {
            push(&mut text, &format!("  {}", render_email(email, order.read_at)));
        }
    }
    let commands = what_to_do(order);
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
    let status = spaced(&line.status).to_uppercase();
    push(text, &format!("\nLine {}  {}  {domain}  {status}", line.line, line.kind));
    if let Some(reason) = &line.reason {
        push(text, &format!("  why       {reason}"));
    }
    if let Some(since) = line.in_doubt_at {
        push(text, &format!("  since     {} ({})", time(since), duration(since, order.read_at)));
    }
    let mut facts = Vec::new();
    facts.extend(line.upstream_order_id.map(|id| format!("order {id}")));
    facts.extend(line.site_id.map(|id| format!("site {id}")));
    facts.extend(line.contact_handle.as_ref().map(|handle| format!("contact {handle}")));
    facts.extend(line.expires_at.map(|at| format!("expires {}", at.format("%Y-%m-%d"))));
    facts.extend(line.cost.map(|cost| format!("{cost} EUR without VAT")));
    if line.status != "completed" {
        facts.extend(line.simple_status.as_ref().map(|word| format!("it says {word}")));
    }
    if !facts.is_empty() {
        push(text, &format!("  LJPc      {}", facts.join(", ")));
    }
    for placement in &line.placements {
        push(text, &format!("  ledger    {}  {}", placement.tag, spaced(&placement.state)));
        for attempt in &placement.attempts {
            push(text, &format!("            {}", render_attempt(attempt, line)));
        }
        for (what, look) in &placement.looks {
            push(text, &format!("            {}", render_look(what, look)));
        }
    }
    push(text, &format!("  next      {}", next(line, order)));
}

/// A try, which may or may not have got as far as to send something.
fn render_attempt(attempt: &AttemptReport, line: &LineReport) -> String {
    let outcome = attempt.outcome.as_deref().map_or("no answer known".to_owned(), spaced);
    let mut words = vec![format!("tried {}", time(attempt.started_at)), outcome];
    words.extend(attempt.http_status.map(|status| format!("HTTP {status}")));
    words.extend(attempt.jti.as_ref().map(|jti| format!("jti {jti}")));
    // What the line gives as its reason is not said twice.
    let reason = line.reason.as_deref().unwrap_or_default();
    let news = |detail: &&String| {
        let gist = detail.split_once(": ").map_or(detail.as_str(), |(_, gist)| gist);
        !reason.contains(detail.as_str()) && !reason.contains(gist)
    };
    words.extend(attempt.detail.as_ref().filter(news).cloned());
    words.join("  ")
}

/// What was looked at after a doubt.
fn render_look(what: &str, look: &LookReport) -> String {
    let often = if look.times == 1 { "once".to_owned() } else { format!("{} times", look.times) };
    format!("looked {}  at {what}, {often}: {}", time(look.at), look.seen)
}

/// A name of the database's as people read it.
fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// What comes next for a line, and when.
fn next(line: &LineReport, order: &OrderReport) -> String {
    let when = |what: &str| match line.next_at {
        _ if line.running => format!("{what} right now"),
        Some(_) if let Some(by) = &line.paused_by => {
            let paused: Vec<String> = line.paused.iter().map(|it| format!(" --{it}")).collect();
            format!("{what} after `provisor queue resume{}` ({by} has paused it)", paused.concat())
        }
        Some(at) if at <= order.read_at => format!("{what} as soon as a worker is free"),
        Some(at) => format!("{what} in {} ({})", duration(order.read_at, at), time(at)),
        None => format!("{what} when what it waits for is done"),
    };
    match line.status.as_str() {
        "pending" => when("placed"),
        "placing" => when("its placement is finished or taken over"),
        "provisioning" => when("polled"),
        "in_doubt" if line.running || line.next_at.is_some() => {
            format!("nothing is sent again; {}", when("evidence of it is looked for"))
        }
        "in_doubt" => {
            "nothing is sent again; it waits for an answer that comes late, or for a person"
                .to_owned()
        }
        "held" => "nothing; it waits for a person".to_owned(),
        "completed" => "nothing; it is delivered".to_owned(),
        "failed" if line.upstream_order_id.is_some() => {
            "nothing; it was ordered, and was not delivered".to_owned()
        }
        "failed" if may_have_bought(line) => {
            "nothing by itself; what was sent may have had its effect, and is followed if its answer comes"
                .to_owned()
        }
        "failed" => "nothing; it bought nothing and will not".to_owned(),
        "cancelled" => "nothing; it was withdrawn".to_owned(),
        other => format!("unknown status {other}: is a newer version running?"),
    }
}

/// Whether a purchase of the line was given up, or called absent, without an answer. A contact or a setting buys nothing.
fn may_have_bought(line: &LineReport) -> bool {
    line.placements.iter().any(|it| {
        it.step.parse().is_ok_and(EffectStep::buys)
            && ["abandoned", "absent", "in_doubt"].contains(&it.state.as_str())
    })
}

/// An entry of the timeline.
pub(super) fn render_event(event: &EventReport) -> String {
    let line = event.line.map_or_else(String::new, |line| format!("line {line}"));
    let detail = match &event.detail {
        Value::Object(fields) => render_fields(fields),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            other.to_string()
        }
    };
    format!("{}  {line:<8}{:<18}{detail}", time(event.at), spaced(&event.event))
}

/// The fields of an event that are told in words of their own, in this order: what stands before and behind the value.
const WORDED: [(&str, &str, &str); 11] = [
    ("tag", "", ""),
    ("contact_handle", "contact ", ""),
    ("domain", "", ""),
    ("status", "LJPc says ", ""),
    ("upstream_order_id", "LJPc order ", ""),
    ("site_id", "site ", ""),
    ("cost", "", " EUR without VAT"),
    ("price", "", " EUR without VAT"),
    ("simple_status", "LJPc says ", ""),
    ("reason", "", ""),
    ("outcome", "", ""),
];

fn render_fields(fields: &serde_json::Map<String, Value>) -> String {
    let worded = WORDED.iter().filter_map(|(key, before, behind)| {
        let value = fields.get(*key).filter(|value| !value.is_null())?;
        Some(format!("{before}{}{behind}", plain(value)))
    });
    let others = fields
        .iter()
        // The attempt's id is for the log; `--json` has it.
        .filter(|(key, value)| key.as_str() != "attempt" && !value.is_null())
        .filter(|(key, _)| WORDED.iter().all(|(known, ..)| known != key))
        .map(|(key, value)| format!("{}: {}", spaced(key), plain(value)));
    worded.chain(others).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn render_email(email: &EmailReport, now: DateTime<Utc>) -> String {
    let state = match (email.status.as_str(), email.settled_at, email.next_at) {
        ("sent", Some(at), _) => format!("sent {}", time(at)),
        ("queued", _, Some(at)) if at > now => format!("tried again in {}", duration(now, at)),
        ("queued", ..) => "about to be sent".to_owned(),
        ("disabled", ..) => "not sent: disabled".to_owned(),
        (status, ..) => status.to_owned(),
    };
    let tries =
        if email.attempts > 1 { format!(", {} tries", email.attempts) } else { String::new() };
    let error = email.last_error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
    format!("{:<18}to the {:<10}{state}{tries}{error}", email.template, email.to)
}

/// What a person can do about the lines that wait for one.
fn what_to_do(order: &OrderReport) -> Vec<String> {
    let mut commands: Vec<String> = order
        .lines
        .iter()
        .flat_map(|line| {
            let twice = bought_twice(line, order);
            let ended = bought_after_end(line, order);
            twice.into_iter().chain(ended).chain(what_to_do_about(line, &order.reference))
        })
        .collect();
    let cancellable = order.finished_at.is_none()
        && order
            .lines
            .iter()
            .all(|line| !line.sent && matches!(line.status.as_str(), "pending" | "held"));
    if cancellable {
        let operand = Reference(order.reference.clone()).operand();
        commands.push(format!("provisor order cancel {operand}"));
    }
    commands
}

/// Two orders upstream for one line: somebody must have one of them ended.
fn bought_twice(line: &LineReport, order: &OrderReport) -> Option<String> {
    let told =
        |event: &&EventReport| event.event == "bought_twice" && event.line == Some(line.line);
    let event = order.events.iter().find(told)?;
    let late = event.detail.get("upstream_order_id").map_or("?".to_owned(), plain);
    let kept = line.upstream_order_id.map_or("another".to_owned(), |id| id.to_string());
    let tags: Vec<&str> = line.placements.iter().map(|it| it.tag.as_str()).collect();
    Some(format!(
        "line {}: BOUGHT TWICE: an answer came late for LJPc order {late}, and this line bears {kept}; \
         look for all orders of {} in LJPc's panel, and have their support end those that are too many",
        line.line,
        tags.join(" and ")
    ))
}

/// Something upstream that no line follows: somebody must have it ended, or tell the customer.
fn bought_after_end(line: &LineReport, order: &OrderReport) -> Option<String> {
    let told =
        |event: &&EventReport| event.event == "bought_after_end" && event.line == Some(line.line);
    let event = order.events.iter().find(told)?;
    let bought = match event.detail.get("upstream_order_id") {
        Some(id) => format!("LJPc order {} was accepted", plain(id)),
        None => "LJPc has accepted it, or may have".to_owned(),
    };
    let tag = event.detail.get("tag").map_or("?".to_owned(), plain);
    Some(format!(
        "line {}: BOUGHT ALTHOUGH {}: {bought}, and nothing follows it; look for \"{tag}\" in LJPc's panel, and have \
         their support end it",
        line.line,
        spaced(&line.status).to_uppercase()
    ))
}

/// What a person can do about a line: what to look for, and what to type then.
fn what_to_do_about(line: &LineReport, reference: &str) -> Vec<String> {
    let advice = match (line.status.as_str(), line.upstream_order_id) {
        ("in_doubt", _) => Some(advice_in_doubt(line)),
        ("held", _) => {
            Some(format!("line {}: nothing was bought for it; a person decides", line.line))
        }
        ("failed", _) if line.alternatives.is_some() => Some(format!(
            "line {}: these can be had instead: {}",
            line.line,
            render_alternatives(line.alternatives.as_ref())
        )),
        ("failed", Some(id)) => Some(format!(
            "line {}: ask LJPc's support about order {id}, which they report as failed: whether it is charged",
            line.line
        )),
        _ => None,
    };
    let exits = to_stuck(line, reference).map(|stuck| stuck.exits()).unwrap_or_default();
    let exits = exits
        .into_iter()
        .flat_map(|exit| [format!("  if {}:", exit.when), format!("    {}", exit.command)]);
    advice.into_iter().chain(exits).collect()
}

fn advice_in_doubt(line: &LineReport) -> String {
    if line.upstream_order_id.is_some() {
        return format!("line {}: look into the daemon's log for what it failed by", line.line);
    }
    let latest = line.placements.last();
    let tag = latest.map_or("?", |placement| placement.tag.as_str());
    if let Some("register" | "transfer") = latest.map(|placement| placement.step.as_str()) {
        let name = line.domain.as_deref().unwrap_or("?");
        return format!(
            "line {}: look in LJPc's panel whether {name} is there; their support finds the request by \
             its external reference \"{tag}\" and the time above",
            line.line
        );
    }
    if latest.is_some_and(|placement| placement.step != "place_order") {
        return format!("line {}: what became of it is looked for by itself", line.line);
    }
    format!(
        "line {}: look in LJPc's panel for an order whose summary begins with \"{tag}:\"; \
         their support finds it by the jti or the time above",
        line.line
    )
}

/// The line as its ways out depend on it. A newer version's words are left to that version.
fn to_stuck<'a>(line: &'a LineReport, reference: &'a str) -> Option<Stuck<'a>> {
    let placements = line.placements.iter();
    Some(Stuck {
        reference,
        line: line.line,
        kind: line.kind.parse().ok()?,
        status: line.status.parse().ok()?,
        reason: line.reason.as_deref().unwrap_or_default(),
        upstream_order_id: line.upstream_order_id.map(UpstreamOrderId),
        is_given_up: line.panics >= PANICS_MAX,
        placements: placements
            .filter_map(|it| Some((it.step.parse().ok()?, it.n, it.state.parse().ok()?)))
            .collect(),
    })
}

/// Names that can be had instead of one that is taken, each with its price.
pub(super) fn render_alternatives(alternatives: Option<&Value>) -> String {
    let names = alternatives.and_then(Value::as_array).into_iter().flatten().map(|name| {
        let [domain, price] =
            ["domain", "price"].map(|key| name.get(key).map_or_else(String::new, plain));
        format!("{domain} ({price} EUR)")
    });
    names.collect::<Vec<_>>().join(", ")
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

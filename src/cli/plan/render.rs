//! A plan as a person reads it.

use std::fmt::Write as _;

use super::{Plan, PlannedLine, PlannedRequest};
use crate::{
    cli::output::cell,
    order::{
        domain::{Record, diff_records},
        effect::Request,
    },
};

/// Renders a plan.
pub(in crate::cli) fn render(plan: &Plan) -> String {
    let mut text = String::new();
    for line in &plan.lines {
        push_line(&mut text, line);
    }
    if plan.requests.is_empty() {
        push(&mut text, "\nNothing would be sent.");
    } else {
        push(&mut text, "\nWould be sent, in this order");
    }
    for (number, request) in (1..).zip(&plan.requests) {
        push_request(&mut text, number, request);
    }
    let count = plan.requests.len();
    let requests = if count == 1 { "request" } else { "requests" };
    let beside = if plan.is_total_incomplete { ", and what has no price" } else { "" };
    push(
        &mut text,
        &format!("\nIn all: {count} {requests}, {} EUR without VAT{beside}.", plan.total_cost),
    );
    if plan.is_submitted {
        let reference = &plan.reference;
        push(
            &mut text,
            &format!(
                "An order {reference} is there already: submitted again with the same content it does nothing, with \
                 other content it is refused."
            ),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

fn push(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", line.trim_end());
}

fn push_line(text: &mut String, line: &PlannedLine) {
    let domain = cell(line.domain.as_ref());
    push(text, &format!("Line {}  {}  {domain}", line.line, line.kind));
    let reason = line.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let outlook = match line.status {
        "completed" => "completed",
        "held" => "HELD",
        "failed" => "FAILED",
        _ => "WAITING",
    };
    push(text, &format!("  ends      {}", cell(Some(format!("{outlook}{reason}")))));
    for wait in line.waits.iter().filter(|wait| Some(*wait) != line.reason.as_ref()) {
        push(text, &format!("  first     {}", cell(Some(wait))));
    }
    if line.is_price_unknown {
        push(text, "  costs     what nobody knows before: LJPc names no price for it");
    }
    let Some(cost) = line.cost else { return };
    let limit = match (line.max_cost, line.margin) {
        (Some(max), Some(left)) => format!("; max_cost {max}, {left} left"),
        _ => String::new(),
    };
    push(text, &format!("  costs     {cost} EUR without VAT{limit}"));
}

fn push_request(text: &mut String, number: usize, request: &PlannedRequest) {
    let PlannedRequest { line, method, path, body, price, request } = request;
    let price = price.map(|price| format!("  ({price} EUR)")).unwrap_or_default();
    push(text, &format!("{number:>3}. line {line}  {method} {path}{price}"));
    match request {
        Request::ReplaceRecords { records, before } => {
            push(text, &indented(&render_diff(before, records)));
        }
        Request::Order { .. }
        | Request::Register { .. }
        | Request::Transfer { .. }
        | Request::CreateContact(_)
        | Request::UpdateContact { .. }
        | Request::UpdateDomain(_) => push(text, &format!("       {}", cell(Some(body)))),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("       {line}")).collect::<Vec<_>>().join("\n")
}

/// How a zone's records differ from wished ones: a line for each, `- ` what goes, `+ ` what comes.
pub(in crate::cli) fn render_diff(present: &[Record], wished: &[Record]) -> String {
    let diff = diff_records(present, wished);
    let lines: Vec<String> = diff.to_string().lines().map(|line| cell(Some(line))).collect();
    lines.join("\n")
}

//! How the orders of the demo have ended.

use std::{collections::BTreeMap, path::Path};

use super::examples::DOUBTFUL;
use crate::{
    cli::{output, report::render_alternatives},
    db::reports::{LineReport, OrderReport},
    sandbox::Summary,
};

/// Prints how everything has ended. Whether it ended as `expected`, by reference, and nothing was bought twice.
pub(super) fn summarise(
    reports: &[OrderReport],
    expected: &BTreeMap<String, &'static str>,
    bought: &Summary,
    mails: &Path,
) -> bool {
    print_lines(reports);
    print_mails(reports, mails);
    output::line(&format!(
        "LJPc's stand-in received {} orders and saw each tag at most {} time(s): also that of {DOUBTFUL}, \
         whose answer it lost on purpose. Such a line waits for a person, and is never sent again.",
        bought.orders, bought.most_per_tag
    ));
    output::line(&format!(
        "It registered {} names and transferred {}, on {} contacts of ours: {} of the names more than once.",
        bought.registrations,
        bought.transfers,
        bought.contacts,
        bought.bought_twice.len()
    ));
    let mut wrong: Vec<String> = reports
        .iter()
        .filter(|report| expected.get(&report.reference) != Some(&report.status.as_str()))
        .map(|report| format!("{} is {}", report.reference, report.status))
        .collect();
    if reports.len() != expected.len() {
        wrong.push(format!("{} orders of {}", reports.len(), expected.len()));
    }
    if bought.most_per_tag > 1 || !bought.bought_twice.is_empty() {
        wrong.push("something was bought twice".to_owned());
    }
    if bought.orders == 0 {
        // On a database of one's own these orders may have ended long ago.
        wrong.push("nothing was bought: were these orders in the database before?".to_owned());
    }
    if wrong.is_empty() {
        output::line("Everything ended as expected.");
    } else {
        output::error(&format!("not as expected: {}", wrong.join(", ")));
    }
    wrong.is_empty()
}

fn print_lines(reports: &[OrderReport]) {
    let mut table = output::table(&[
        "ORDER",
        "LINE",
        "KIND",
        "DOMAIN",
        "STATUS",
        "LJPC ORDER",
        "SITE",
        "HANDLE",
        "EXPIRES",
        "TOOK",
        "WHY",
    ]);
    for report in reports {
        let took = report.finished_at.map_or_else(String::new, |at| {
            let took = (at - report.submitted_at).to_std().unwrap_or_default();
            format!("{:.1} s", took.as_secs_f32())
        });
        for line in &report.lines {
            table.add_row(row(report, line, &took));
        }
    }
    output::line(&format!("{table}\n"));
    for line in reports.iter().flat_map(|report| &report.lines) {
        if let (Some(domain), Some(names)) = (&line.domain, &line.alternatives) {
            let names = render_alternatives(Some(names));
            output::line(&format!(
                "Offered instead of {domain}, and what it would cost the account: {names}"
            ));
        }
    }
}

fn row(report: &OrderReport, line: &LineReport, took: &str) -> [String; 11] {
    [
        report.reference.clone(),
        line.line.to_string(),
        line.kind.clone(),
        line.domain.clone().unwrap_or_default(),
        line.status.clone(),
        line.upstream_order_id.map_or_else(String::new, |id| id.to_string()),
        line.site_id.map_or_else(String::new, |id| id.to_string()),
        line.contact_handle.clone().unwrap_or_default(),
        line.expires_at.map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string()),
        took.to_owned(),
        line.reason.clone().unwrap_or_default(),
    ]
}

fn print_mails(reports: &[OrderReport], mails: &Path) {
    let mut sent = BTreeMap::new();
    for report in reports {
        for email in report.emails.iter().filter(|email| email.status == "sent") {
            *sent.entry(email.template.clone()).or_insert(0_u32) += 1;
        }
    }
    let sent: Vec<String> = sent.iter().map(|(template, n)| format!("{n} {template}")).collect();
    output::line(&format!("Emails sent: {}. Read them in {}", sent.join(", "), mails.display()));
}

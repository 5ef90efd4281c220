//! An example of every mail: for `email preview`, for the tests, and to try a replaced template at
//! start rather than on the first customer.

use chrono::{Days, NaiveDate};

use super::{
    Alternative, Audit, Context, Customer, CustomerReason, DomainNotice, Finding, Line, Ops, Order,
    TemplateName,
};

/// Examples of one mail; the first is the typical one, the others take the template's other ways.
#[must_use]
pub fn samples(name: TemplateName) -> Vec<Context> {
    match name {
        TemplateName::OrderReceived => vec![order(received()), order(every_kind())],
        TemplateName::OrderProgress => vec![order(progress())],
        TemplateName::OrderCompleted => vec![order(completed()), order(vec![wish_refused()])],
        TemplateName::OrderPartial => {
            let mut lines = every_reason();
            lines.push(wish_refused());
            vec![with_alternatives(order(partial())), order(lines)]
        }
        TemplateName::OrderFailed => {
            vec![with_alternatives(order(failed())), order(every_reason())]
        }
        TemplateName::OrderDelayed => vec![order(progress()), order(every_status())],
        TemplateName::DomainExpiring => {
            vec![domain(30, false), domain(30, true), domain(1, false)]
        }
        TemplateName::DomainExpired => vec![domain(-3, false), domain(-1, true)],
        TemplateName::OpsAttention => ops_cases().map(ops).into(),
        TemplateName::OpsAudit => audits().map(audit).into(),
    }
}

/// A day that all examples share.
fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 14).unwrap_or_default()
}

fn base() -> Context {
    Context { sender_name: "Example Shop".to_owned(), ..Context::default() }
}

fn to_customer() -> Context {
    Context {
        customer: Some(Customer {
            first_name: "Bob".to_owned(),
            last_name: "Brown".to_owned(),
            organization: None,
        }),
        ..base()
    }
}

fn order(lines: Vec<Line>) -> Context {
    Context {
        order: Some(Order { reference: "SHOP-1001".to_owned(), submitted_on: day() }),
        lines: lines.into_iter().zip(1..).map(|(line, number)| Line { number, ..line }).collect(),
        ..to_customer()
    }
}

fn with_alternatives(context: Context) -> Context {
    let alternatives = ["example-shop.nl", "example.eu", "myexample.nl"]
        .map(|domain| Alternative { domain: domain.to_owned() })
        .into();
    Context { alternatives, ..context }
}

fn line(kind: &str, status: &str) -> Line {
    Line {
        kind: kind.to_owned(),
        status: status.to_owned(),
        domain: Some("example.nl".to_owned()),
        ..Line::default()
    }
}

fn hosting(package: &str, billing_period: Option<&str>, status: &str) -> Line {
    Line {
        package: Some(package.to_owned()),
        billing_period: billing_period.map(str::to_owned),
        ..line("hosting", status)
    }
}

fn registered() -> Line {
    let expires_on = day().checked_add_days(Days::new(365));
    Line { expires_on, ..line("domain_register", "completed") }
}

fn because(line: Line, reason: CustomerReason) -> Line {
    Line { customer_reason: Some(reason), ..line }
}

fn wish_refused() -> Line {
    because(registered(), CustomerReason::WishRefused)
}

fn received() -> Vec<Line> {
    vec![line("domain_register", "pending"), hosting("hosting_5gb", Some("monthly"), "pending")]
}

fn progress() -> Vec<Line> {
    vec![registered(), hosting("hosting_5gb", Some("monthly"), "provisioning")]
}

fn completed() -> Vec<Line> {
    vec![registered(), hosting("hosting_5gb", Some("monthly"), "completed")]
}

fn partial() -> Vec<Line> {
    let other = Line {
        domain: Some("xn--bcher-kva.example".to_owned()),
        ..hosting("hosting_10gb", Some("yearly"), "completed")
    };
    vec![other, because(line("domain_register", "failed"), CustomerReason::NameTaken)]
}

fn failed() -> Vec<Line> {
    vec![
        because(line("domain_register", "failed"), CustomerReason::NameTaken),
        because(
            hosting("hosting_5gb", Some("monthly"), "failed"),
            CustomerReason::PrerequisiteFailed,
        ),
    ]
}

fn every_kind() -> Vec<Line> {
    let mut lines: Vec<Line> =
        ["hosting", "hosting_own", "domain_register", "domain_transfer", "domain_update", "dns"]
            .map(|kind| line(kind, "pending"))
            .into();
    lines.extend(
        ["contact_create", "contact_update"]
            .map(|kind| Line { domain: None, ..line(kind, "pending") }),
    );
    lines.push(hosting("hosting_forward", Some("yearly"), "pending"));
    lines.push(hosting("hosting_dns", None, "pending"));
    lines.push(Line { domain: None, ..line("something_new", "something_new") });
    lines
}

fn every_status() -> Vec<Line> {
    ["pending", "placing", "in_doubt", "provisioning", "completed", "failed", "held", "cancelled"]
        .map(|status| line("domain_transfer", status))
        .into()
}

fn every_reason() -> Vec<Line> {
    [
        CustomerReason::NameTaken,
        CustomerReason::NameUnavailable,
        CustomerReason::TransferRefused,
        CustomerReason::PrerequisiteFailed,
        CustomerReason::Refused,
    ]
    .map(|reason| because(line("domain_transfer", "failed"), reason))
    .into()
}

fn domain(days: i64, auto_renew: bool) -> Context {
    Context {
        domain: Some(DomainNotice {
            domain: "example.nl".to_owned(),
            expires_on: day(),
            days,
            auto_renew,
        }),
        ..to_customer()
    }
}

/// What the operator may be told: status and reason.
fn ops_cases() -> [(&'static str, &'static str); 11] {
    [
        ("in_doubt", "The answer to POST /api/v1/orders did not come within 30 s."),
        ("held", "hosting_5gb costs 6.50 a month, and max_cost is 5.50."),
        ("overdue", "LJPc order 4711 has been provisioning for 24 hours."),
        ("bought_twice", "LJPc order 4711 was answered late, after 4712 had replaced it."),
        (
            "bought_after_end",
            "LJPc has accepted SHOP-1001/1 as LJPc order 4711 (jti 9f2c), although its line is cancelled.",
        ),
        (
            "order_taken",
            "LJPc order 4711 (jti 9f2c) was named as this line's, and is line SHOP-1000/0's already: one of the two is \
             wrong.",
        ),
        ("circuit_open", "LJPc answers 401 to every request: the API key is not accepted."),
        ("failover", "The database's timeline was 00000001 and is 00000002."),
        ("audit_braked", "Of 100 assets 12 would be changed and 3 declared missing at once."),
        (
            "order_lost",
            "The order SHOP-1001/1 for example.nl was accepted as LJPc order 4711 (jti 9f2c), and the database has lost \
             it in a failover.",
        ),
        ("something_new", "Something that this version has no words for."),
    ]
}

fn ops((status, reason): (&str, &str)) -> Context {
    let of_a_line = !matches!(status, "circuit_open" | "failover" | "audit_braked" | "order_lost");
    let was_sent = of_a_line && status != "held";
    let commands: &[&str] = match status {
        "in_doubt" => &[
            "provisor order show SHOP-1001",
            "provisor order resolve SHOP-1001 --line 1 --upstream-order ID",
            "provisor order resolve SHOP-1001 --line 1 --absent --placement 1",
        ],
        "held" => &[
            "provisor order retry SHOP-1001 --line 1 --max-cost 6.50",
            "provisor order resolve SHOP-1001 --line 1 --abandon",
        ],
        "circuit_open" | "failover" => &["provisor check"],
        "audit_braked" => &["provisor audit run --dry-run", "provisor audit run --past-brake"],
        "order_lost" => &["provisor ljpc orders show ID"],
        "something_new" => &[],
        _ => &["provisor order show SHOP-1001"],
    };
    let attempt = "2026-11-14 09:12:03 UTC, no answer, jti unknown: in doubt";
    let ops = Ops {
        status: status.to_owned(),
        reason: reason.to_owned(),
        reference: of_a_line.then(|| "SHOP-1001".to_owned()),
        line: of_a_line.then_some(1),
        domain: of_a_line.then(|| "example.nl".to_owned()),
        tag: was_sent.then(|| "SHOP-1001/1".to_owned()),
        attempts: was_sent.then(|| attempt.to_owned()).into_iter().collect(),
        commands: commands.iter().map(|&command| command.to_owned()).collect(),
    };
    Context { ops: Some(ops), ..base() }
}

fn finding(severity: &str, kind: &str, subject: &str, detail: &str) -> Finding {
    Finding {
        kind: kind.to_owned(),
        severity: severity.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
        is_new: severity == "critical",
    }
}

fn findings() -> Vec<Finding> {
    vec![
        finding("critical", "domain_missing", "example.org", "No longer in the account."),
        finding("warning", "line_stuck", "SHOP-1001/1", "Provisioning for 26 hours."),
        finding("info", "price_changed", "nl", "4.99 was 4.49."),
    ]
}

fn many() -> Vec<Finding> {
    (0..100).map(|n| finding("info", "site_unknown", &n.to_string(), "Not ordered here.")).collect()
}

fn audits() -> [Audit; 4] {
    let some = Audit {
        findings: findings(),
        critical: 1,
        warning: 1,
        info: 1,
        closed: 1,
        ..Audit::default()
    };
    let problem = "the list of sites could not be read to its end: no usable answer".to_owned();
    let incomplete = Audit { problems: vec![problem], ..Audit::default() };
    let full = Audit { findings: many(), more: 150, info: 250, closed: 12, ..Audit::default() };
    [some, Audit::default(), full, incomplete]
}

fn audit(audit: Audit) -> Context {
    Context { audit: Some(audit), ..base() }
}

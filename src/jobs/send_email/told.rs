//! What an email tells: of an order, of a name that expires, of what the operator must know, of an audit.

use chrono_tz::Tz;

use crate::{
    db::{
        audit::Digest,
        emails::{EmailLine, OwedEmail},
    },
    mail::{
        Address, Alternative, Audit, Context, Customer, CustomerReason, DomainNotice, Finding,
        Line, Ops, Order, TemplateName,
    },
    order::{Cause, Reference, UpstreamOrderId, decide::PANICS_MAX, resolution::Stuck},
};

/// All that an email may tell. Days are counted in `zone`.
pub(super) fn context(name: TemplateName, email: &OwedEmail, from: &Address, zone: Tz) -> Context {
    let mut context = Context {
        sender_name: from.name().unwrap_or(from.domain()).to_owned(),
        ..Context::default()
    };
    if name == TemplateName::OpsAudit {
        context.audit = email.digest.as_ref().map(to_audit);
        return context;
    }
    if name.is_for_operator() {
        context.ops = Some(to_ops(email));
        return context;
    }
    context.customer = email.customer.as_ref().map(|customer| Customer {
        first_name: customer.first_name.clone(),
        last_name: customer.last_name.clone(),
        organization: customer.organization.clone(),
    });
    context.domain = email.notice.as_ref().map(|notice| DomainNotice {
        domain: notice.domain.clone(),
        expires_on: notice.expires_on,
        days: (notice.expires_on
            - (email.created_at + email.age).with_timezone(&zone).date_naive())
        .num_days(),
        auto_renew: notice.auto_renew,
    });
    let Some(order) = &email.order else { return context };
    context.order = Some(Order {
        reference: order.reference.clone(),
        submitted_on: order.submitted_at.with_timezone(&zone).date_naive(),
    });
    context.lines = order.lines.iter().map(|line| to_line(line, zone)).collect();
    context.alternatives = order
        .lines
        .iter()
        .flat_map(|line| &line.alternatives)
        .map(|domain| Alternative { domain: domain.clone() })
        .collect();
    context
}

fn to_audit(digest: &Digest) -> Audit {
    let findings = digest.findings.iter().map(|(finding, is_new)| Finding {
        kind: finding.kind.clone(),
        severity: finding.severity.clone(),
        subject: finding.subject.clone(),
        detail: finding.detail.clone(),
        is_new: *is_new,
    });
    let open = digest.critical.saturating_add(digest.warning).saturating_add(digest.info);
    Audit {
        findings: findings.collect(),
        more: open.saturating_sub(u64::try_from(digest.findings.len()).unwrap_or(0)),
        critical: digest.critical,
        warning: digest.warning,
        info: digest.info,
        closed: digest.closed,
        problems: digest.problems.clone(),
    }
}

/// A line as its customer may see it: never the reason itself, which may name suppliers and prices.
fn to_line(line: &EmailLine, zone: Tz) -> Line {
    let wish = |key: &str| line.wish.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    Line {
        number: u32::try_from(line.line).unwrap_or(0).saturating_add(1),
        kind: line.kind.clone(),
        domain: line.domain.clone(),
        package: wish("package"),
        billing_period: wish("billing_period"),
        status: line.status.clone(),
        customer_reason: customer_reason(line),
        expires_on: line.expires_at.map(|at| at.with_timezone(&zone).date_naive()),
    }
}

/// Why, in words for a customer: of a line that failed always, of one that is delivered where something was refused.
fn customer_reason(line: &EmailLine) -> Option<CustomerReason> {
    let cause = line.cause.as_deref().and_then(|cause| cause.parse::<Cause>().ok());
    match cause {
        Some(Cause::NameTaken) => Some(CustomerReason::NameTaken),
        Some(Cause::NameUnavailable) => Some(CustomerReason::NameUnavailable),
        Some(Cause::TransferRefused) => Some(CustomerReason::TransferRefused),
        Some(Cause::PrerequisiteFailed) => Some(CustomerReason::PrerequisiteFailed),
        Some(Cause::WishRefused) => Some(CustomerReason::WishRefused),
        None => (line.status == "failed").then_some(CustomerReason::Refused),
    }
}

fn to_ops(email: &OwedEmail) -> Ops {
    let Some(order) = &email.order else {
        let commands: &[&str] = match email.about.as_deref() {
            Some("audit_braked") => {
                &["provisor audit run --dry-run", "provisor audit run --past-brake"]
            }
            Some("order_lost") => &["provisor ljpc orders show ID", "provisor order list"],
            Some("failover") => &["provisor queue stats", "provisor queue resume"],
            _ => &["provisor check", "provisor queue resume --circuits"],
        };
        return Ops {
            status: email.about.clone().unwrap_or_default(),
            reason: email.reason.clone().unwrap_or_default(),
            commands: commands.iter().map(|&command| command.to_owned()).collect(),
            ..Ops::default()
        };
    };
    let line = order.lines.iter().find(|line| Some(line.line) == email.line);
    let status = line.map_or_else(String::new, |line| line.status.clone());
    Ops {
        reference: Some(order.reference.clone()),
        line: line.and_then(|line| u32::try_from(line.line).ok()),
        domain: line.and_then(|line| line.domain.clone()),
        status: email.about.clone().unwrap_or(status),
        reason: email.reason.clone().or_else(|| line?.reason.clone()).unwrap_or_else(|| {
            "LJPc has accepted the order, and has not delivered it yet".to_owned()
        }),
        tag: line.and_then(|line| line.tag.clone()),
        attempts: line.map(|line| line.attempts.clone()).unwrap_or_default(),
        commands: commands(&order.reference, line),
    }
}

/// What the operator may type: look, and say how it goes on.
fn commands(reference: &str, line: Option<&EmailLine>) -> Vec<String> {
    let operand = Reference(reference.to_owned()).operand();
    let mut commands = vec![format!("provisor order show {operand}")];
    let stuck = line.and_then(|line| to_stuck(reference, line));
    let exits = stuck.map(|stuck| stuck.exits()).unwrap_or_default();
    commands.extend(exits.into_iter().map(|exit| exit.command));
    commands
}

/// The line as its ways out depend on it. A newer version's words are left to that version.
fn to_stuck<'a>(reference: &'a str, line: &'a EmailLine) -> Option<Stuck<'a>> {
    let placement = |text: &String| {
        let mut words = text.split(' ');
        let (step, n, state) = (words.next()?, words.next()?, words.next()?);
        Some((step.parse().ok()?, n.parse().ok()?, state.parse().ok()?))
    };
    Some(Stuck {
        reference,
        line: line.line,
        kind: line.kind.parse().ok()?,
        status: line.status.parse().ok()?,
        reason: line.reason.as_deref().unwrap_or_default(),
        upstream_order_id: line.upstream_order_id.map(UpstreamOrderId),
        is_given_up: line.panics >= PANICS_MAX,
        placements: line.placements.iter().filter_map(placement).collect(),
    })
}

//! Sends an email that is owed: loads what it tells, renders it, hands it to the mail server, records what came of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::task::TaskTracker;

use crate::{
    db::{
        Database, DbError,
        emails::{EmailLine, OwedEmail},
        records::{EmailRecord, EmailResult},
        wakes::Lane,
    },
    mail::{
        Address, Alternative, Composed, Context, Customer, CustomerReason, Kind, Line, Locale,
        Mailer, Ops, Order, Rendered, TemplateName, Templates, compose,
    },
    order::{Cause, EmailId, Reference, UpstreamOrderId, decide::PANICS_MAX, resolution::Stuck},
    queue::{Batcher, Claim, Handler, Presence, Ran, Schedule, Unanswered},
};

/// The most emails of one group commit.
const GROUP_MAX: usize = 100;

/// How often, and how soon again, recording is tried.
const RECORD_TRIES_MAX: u32 = 20;
const RECORD_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// When an email is taken up again whose lease was too short.
const NEXT_RUN: Duration = Duration::from_secs(1);

/// Is told what became of emails.
pub trait Observer: Send + Sync {
    /// One run of an email has ended: `sent`, `failed`, `retried`, `disabled`.
    fn emailed(&self, template: &str, outcome: &'static str);
}

/// How emails are sent.
pub struct EmailSettings {
    /// `email.from`
    pub from: Address,
    /// `email.ops_to`
    pub ops_to: Vec<Address>,
    /// `email.disabled`
    pub disabled: Vec<String>,
    /// The schedule of retries.
    pub retries: Schedule,
    /// `email.give_up_after`
    pub give_up_after: Duration,
    /// The longest that one sending takes.
    pub send_max: Duration,
}

/// The handler.
pub struct SendEmail {
    settings: EmailSettings,
    templates: Templates,
    mailer: Arc<Mailer>,
    presence: Presence,
    loads: Batcher<EmailId, Result<Option<OwedEmail>, DbError>>,
    records: Batcher<EmailRecord, Result<bool, DbError>>,
    observer: Arc<dyn Observer>,
}

/// Why a run could not go on; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

#[async_trait]
impl Handler for SendEmail {
    fn name(&self) -> &'static str {
        "email"
    }

    async fn run(&self, claim: Claim) -> Ran {
        match self.send(claim).await {
            Ok(ran) => ran,
            Err(error) => {
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    "the email waits for the database"
                );
                self.panicked(claim).await
            }
        }
    }

    async fn panicked(&self, claim: Claim) -> Ran {
        claim.again(Lane::Email, self.settings.retries.interval(claim.wake.tries))
    }
}

impl SendEmail {
    /// Makes the handler; `tasks` gets its group commits.
    pub fn new(
        settings: EmailSettings,
        templates: Templates,
        mailer: Arc<Mailer>,
        presence: Presence,
        db: &Database,
        observer: Arc<dyn Observer>,
        tasks: &TaskTracker,
    ) -> Self {
        let (loading, recording) = (db.clone(), db.clone());
        let loads = Batcher::start(tasks, GROUP_MAX, move |ids: Vec<EmailId>| {
            let db = loading.clone();
            async move {
                match db.load_emails(&ids).await {
                    Ok(emails) => {
                        let mut found: HashMap<EmailId, OwedEmail> =
                            emails.into_iter().map(|email| (email.id, email)).collect();
                        ids.iter().map(|id| Ok(found.remove(id))).collect()
                    }
                    Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        let records = Batcher::start(tasks, GROUP_MAX, move |records: Vec<EmailRecord>| {
            let db = recording.clone();
            async move {
                match db.commit_emails(&records).await {
                    Ok(held) => held.into_iter().map(Ok).collect(),
                    Err(error) => records.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        Self { settings, templates, mailer, presence, loads, records, observer }
    }

    async fn send(&self, claim: Claim) -> Result<Ran, Failure> {
        let id = EmailId(claim.wake.fence.wake.subject());
        failpoint!("email.claimed");
        let Some(email) = self.loads.submit(id).await?? else {
            tracing::error!(email_id = id.0, "a wake without its email");
            return Ok(Ran::Later { lane: Lane::Email, after: Duration::from_hours(24), tries: 0 });
        };
        failpoint!("email.loaded");
        let mut delivered = email.delivered.clone();
        let result = if email.queued {
            self.try_once(&email, &mut delivered, claim).await
        } else {
            EmailResult::Disabled
        };
        let outcome = match &result {
            EmailResult::Sent => "sent",
            EmailResult::Disabled => "disabled",
            EmailResult::Failed(_) => "failed",
            EmailResult::Later(..) => "retried",
        };
        tracing::info!(
            email_id = id.0,
            template = email.template,
            reference = email.order.as_ref().map(|order| &order.reference),
            outcome,
            "email"
        );
        let tries = claim.wake.tries.saturating_add(1);
        let record = EmailRecord { fence: claim.wake.fence, email: id, result, delivered, tries };
        failpoint!("email.before_record");
        let held = self.record(record).await?;
        failpoint!("email.recorded");
        self.observer.emailed(&email.template, outcome);
        Ok(if held { Ran::Recorded } else { Ran::Stale })
    }

    /// Records what came of it, again and again for a while: an email that was sent must not be sent a second time because
    /// the database was away for a moment.
    async fn record(&self, record: EmailRecord) -> Result<bool, Failure> {
        for _ in 1..RECORD_TRIES_MAX {
            match self.records.submit(record.clone()).await {
                Ok(Ok(held)) => return Ok(held),
                Ok(Err(error)) => tracing::warn!(
                    email_id = record.email.0,
                    error = %crate::causes::causes(&error),
                    "what came of an email could not be recorded; it is tried again"
                ),
                Err(unanswered) => tracing::warn!(email_id = record.email.0, %unanswered, "again"),
            }
            tokio::time::sleep(RECORD_AGAIN_AFTER).await;
        }
        Ok(self.records.submit(record).await??)
    }

    /// Whether there is time enough to send, and the others know that this process lives: a second one must not send it too.
    fn may_send(&self, claim: Claim) -> bool {
        self.presence.is_known() && claim.lease.left() >= self.settings.send_max
    }

    async fn try_once(
        &self,
        email: &OwedEmail,
        delivered: &mut Vec<i32>,
        claim: Claim,
    ) -> EmailResult {
        if self.settings.disabled.contains(&email.template) {
            return EmailResult::Disabled;
        }
        let mails = match self.compose(email) {
            Ok(mails) => mails,
            Err(why) => return EmailResult::Failed(why),
        };
        failpoint!("email.composed");
        if mails.is_empty() {
            return EmailResult::Disabled;
        }
        let (mut refused, mut later) = (None, None);
        for (place, mail) in (0..).zip(&mails) {
            if delivered.contains(&place) {
                continue;
            }
            if !self.may_send(claim) {
                return EmailResult::Later(NEXT_RUN, "its lease would have ended first".to_owned());
            }
            let Err(error) = self.mailer.send(mail).await else {
                failpoint!("email.sent");
                delivered.push(place);
                continue;
            };
            tracing::warn!(
                email_id = email.id.0,
                error = %crate::causes::causes(&error),
                "not sent"
            );
            let given_up = email.age >= self.settings.give_up_after;
            let verdict =
                if error.kind == Kind::Permanent || given_up { &mut refused } else { &mut later };
            *verdict = Some(error.to_string());
        }
        match (later, refused) {
            (Some(why), _) => {
                EmailResult::Later(self.settings.retries.interval(claim.wake.tries), why)
            }
            // One of several operators can't be reached; the others know.
            (None, Some(why)) if delivered.is_empty() => EmailResult::Failed(why),
            (None, _) => EmailResult::Sent,
        }
    }

    /// The email, once for each recipient: one customer, or all operators. The error is final.
    fn compose(&self, email: &OwedEmail) -> Result<Vec<Composed>, String> {
        let name: TemplateName = email
            .template
            .parse()
            .map_err(|error| format!("template {:?}: {error}", email.template))?;
        let (recipients, locale) = match &email.customer {
            Some(customer) if !name.is_for_operator() => {
                let full_name = format!("{} {}", customer.first_name, customer.last_name);
                let address = Address::new(Some(&full_name), &customer.email)
                    .map_err(|error| error.to_string())?;
                (vec![address], customer.locale.parse().unwrap_or(Locale::En))
            }
            None if !name.is_for_operator() => return Err("it has no customer".to_owned()),
            _ => (self.settings.ops_to.clone(), Locale::En),
        };
        let context = self.context(name, email);
        let rendered: Rendered =
            self.templates.render(name, locale, &context).map_err(|error| error.to_string())?;
        recipients
            .iter()
            .zip(0..)
            .map(|(to, n): (_, u32)| {
                // Each recipient's copy is a message of its own.
                let left = if n == 0 {
                    email.message_id.clone()
                } else {
                    format!("{}.{n}", email.message_id)
                };
                compose(&self.settings.from, to, &rendered, &left, email.created_at)
                    .map_err(|error| error.to_string())
            })
            .collect()
    }

    fn context(&self, name: TemplateName, email: &OwedEmail) -> Context {
        let from = &self.settings.from;
        let mut context = Context {
            sender_name: from.name().unwrap_or(from.domain()).to_owned(),
            ..Context::default()
        };
        if name.is_for_operator() {
            context.ops = Some(to_ops(email));
            return context;
        }
        let Some(order) = &email.order else { return context };
        context.customer = email.customer.as_ref().map(|customer| Customer {
            first_name: customer.first_name.clone(),
            last_name: customer.last_name.clone(),
            organization: customer.organization.clone(),
        });
        context.order = Some(Order {
            reference: order.reference.clone(),
            submitted_on: order.submitted_at.date_naive(),
        });
        context.lines = order.lines.iter().map(to_line).collect();
        context.alternatives = order
            .lines
            .iter()
            .flat_map(|line| &line.alternatives)
            .map(|domain| Alternative { domain: domain.clone() })
            .collect();
        context
    }
}

/// A line as its customer may see it: never the reason itself, which may name suppliers and prices.
fn to_line(line: &EmailLine) -> Line {
    let wish = |key: &str| line.wish.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    Line {
        number: u32::try_from(line.line).unwrap_or(0).saturating_add(1),
        kind: line.kind.clone(),
        domain: line.domain.clone(),
        package: wish("package"),
        billing_period: wish("billing_period"),
        status: line.status.clone(),
        customer_reason: customer_reason(line),
        expires_on: line.expires_at.map(|at| at.date_naive()),
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
        let status = email.about.clone().unwrap_or_default();
        let commands: &[&str] = if status == "order_lost" {
            &["provisor ljpc orders show ID", "provisor order list"]
        } else {
            &["provisor check", "provisor queue resume"]
        };
        return Ops {
            status,
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

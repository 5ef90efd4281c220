//! Sends an email that is owed: loads what it tells, renders it, hands it to the mail server, records what came of it.

mod told;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono_tz::Tz;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::told::context;
use crate::{
    db::{
        Database, DbError,
        emails::{LoadedEmails, OwedEmail},
        records::{EmailRecord, EmailResult},
        wakes::{Fence, Lane},
    },
    mail::{Address, Composed, Kind, Locale, Mailer, Rendered, TemplateName, Templates, compose},
    order::EmailId,
    queue::{Batcher, Claim, Grouping, Handler, Presence, Ran, Schedule, Unanswered},
};

/// How loads and records of emails are grouped. These can wait, for fewer and larger transactions.
const GROUPING: Grouping = Grouping { gathering: Duration::from_millis(5), ..Grouping::of(100) };

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
    /// `audit.timezone`, in which days are counted.
    pub zone: Tz,
}

/// The handler.
pub struct SendEmail {
    settings: EmailSettings,
    templates: Templates,
    mailer: Arc<Mailer>,
    presence: Presence,
    loads: Batcher<Fence, Result<Loaded, DbError>>,
    records: Batcher<EmailRecord, Result<bool, DbError>>,
    observer: Arc<dyn Observer>,
}

/// What a run begins with.
#[derive(Debug)]
enum Loaded {
    Owed(Box<OwedEmail>),
    /// There is no such email.
    Missing,
    /// A crash of the database has lost the claim: somebody else may have claimed it anew.
    Lost,
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
        let loads = Batcher::start(tasks, GROUPING, move |fences: Vec<Fence>| {
            let db = loading.clone();
            async move {
                match db.load_emails(&fences).await {
                    Ok(LoadedEmails { held, emails }) => {
                        let mut found: HashMap<i64, OwedEmail> =
                            emails.into_iter().map(|email| (email.id.0, email)).collect();
                        let loaded = |fence: &Fence| match found.remove(&fence.wake.subject()) {
                            Some(email) => Loaded::Owed(Box::new(email)),
                            None if held.contains(&fence.wake) => Loaded::Missing,
                            None => Loaded::Lost,
                        };
                        fences.iter().map(loaded).map(Ok).collect()
                    }
                    Err(error) => fences.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        });
        let records = Batcher::start(tasks, GROUPING, move |records: Vec<EmailRecord>| {
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
        let email = match self.loads.submit(claim.wake.fence).await?? {
            Loaded::Owed(email) => email,
            Loaded::Lost => return Ok(Ran::Stale),
            Loaded::Missing => {
                tracing::error!(email_id = id.0, "a wake without its email");
                let after = Duration::from_hours(24);
                return Ok(Ran::Later { lane: Lane::Email, after, tries: 0 });
            }
        };
        failpoint!("email.loaded");
        let order = email.order.as_ref();
        let trace = order.and_then(|order| order.trace.as_ref());
        let span = tracing::info_span!(
            "email",
            email_id = id.0,
            reference = order.map(|order| &order.reference),
            trace_id = trace.map(|trace| tracing::field::display(trace.id()))
        );
        if let Some(trace) = trace {
            trace.go_on_in(&span);
        }
        self.send_loaded(claim, &email).instrument(span).await
    }

    async fn send_loaded(&self, claim: Claim, email: &OwedEmail) -> Result<Ran, Failure> {
        let id = email.id;
        let mut delivered = email.delivered.clone();
        let result = if email.queued {
            self.try_once(email, &mut delivered, claim).await
        } else {
            EmailResult::Disabled
        };
        let outcome = match &result {
            EmailResult::Sent => "sent",
            EmailResult::Disabled => "disabled",
            EmailResult::Failed(_) => "failed",
            EmailResult::Later(..) => "retried",
        };
        tracing::info!(template = email.template, outcome, "email");
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
                    error = %crate::causes::causes(&error),
                    "what came of an email could not be recorded; it is tried again"
                ),
                Err(unanswered) => tracing::warn!(%unanswered, "again"),
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
            tracing::warn!(error = %crate::causes::causes(&error), "not sent");
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
        let context = context(name, email, &self.settings.from, self.settings.zone);
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
}

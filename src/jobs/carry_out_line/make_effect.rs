//! The irreversible request: connect, commit the intent, look again, send, record the truth.
//!
//! Architecture invariant: no byte of the request leaves before its intent is committed.

use uuid::Uuid;

use super::{
    CarryOutLine, Delay, Stop,
    requests::{Answered, prepare, to_truth},
};
use crate::{
    clock::Deadline,
    db::{
        contacts,
        lines::LoadedLine,
        records::{Intent, Recorded, Truth},
    },
    jobs::guest::FAILED_OVER,
    order::{
        LineStatus,
        decide::{Change, Then},
        effect::{Acceptance, Effect, EffectStep, Request},
        outcome::{accepted, rejected, unknown},
    },
    queue::{Claim, Ran},
    upstream::{PreparedRequest, Secret, UpstreamError},
};

/// How long a placement waits for another one of its name before it looks by itself. Usually it is poked sooner.
const NAME_BUSY_FOR: std::time::Duration = std::time::Duration::from_secs(30);

/// Why an intent is not in the ledger, as far as is known.
#[derive(Clone, Copy, Debug)]
enum Uncommitted {
    /// Somebody else has the line.
    Stale,
    /// The line has moved, or another one is in the way.
    Conflict,
    /// The database refused it.
    RolledBack,
    /// It may be there all the same.
    Unknown,
}

impl CarryOutLine {
    pub(super) async fn make_effect(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        effect: &Effect,
        prepaid: &mut bool,
    ) -> Result<Ran, Stop> {
        let Some(prepared) = self.prepare(loaded, effect).await? else {
            let reason = "the transfer's auth code is no longer there".to_owned();
            return self.record_change(claim, loaded, Change::hold(&loaded.facts, reason)).await;
        };
        failpoint!("effect.prepared");
        let endpoint = prepared.endpoint();
        if !loaded.timeline_confirmed {
            return self.wait_for_confirmation(claim, loaded).await;
        }
        let permit = match self.guest.permit(endpoint.name, prepaid).await {
            Ok(permit) => permit,
            Err(not_now) => return self.wait(claim, loaded, not_now.into()).await,
        };
        failpoint!("effect.permitted");
        if !self.may_send(claim) {
            drop(permit);
            let reason = "what was asked before it took so long that the lease could end first; it is tried again";
            let then = Then::After(self.waiting.timeout);
            return self.wait(claim, loaded, Delay { reason: reason.to_owned(), then }).await;
        }
        let deadline = Deadline::after(self.waiting.timeout);
        // Connecting comes first: what fails here was provably never sent, and needs neither intent nor doubt.
        let connected = match self.guest.ljpc().connect(endpoint, deadline).await {
            Ok(connected) => connected,
            Err(error) => {
                let delay = Delay::by(&error);
                self.guest.learn(endpoint.name, &Err::<(), _>(error)).await;
                drop(permit);
                return self.wait(claim, loaded, delay).await;
            }
        };
        failpoint!("effect.connected");
        let intent = to_intent(loaded, effect, &prepared, Uuid::now_v7());
        let attempt = intent.attempt;
        let confirmed = match self.commit_intent(claim, loaded, effect, &intent).await {
            Ok(confirmed) => confirmed,
            Err(uncommitted) => {
                // What follows may take as long as the database does: others may use the connection meanwhile.
                drop((connected, permit));
                return self.go_without(claim, loaded, effect, &intent, uncommitted).await;
            }
        };
        failpoint!("effect.intended");
        let may_send = self.may_send(claim);
        let answer = if !confirmed {
            Err(UpstreamError::NotSent { detail: FAILED_OVER.to_owned() })
        } else if may_send {
            failpoint!("effect.may_send");
            tracing::info!(tag = %effect.tag, %attempt, "sending");
            // Connecting and the intent took their time: the request has all of its own.
            let deadline = Deadline::after(self.waiting.timeout);
            self.send(connected, &prepared, effect, deadline).await
        } else {
            Err(UpstreamError::NotSent {
                detail: "the lease would have ended before the request".to_owned(),
            })
        };
        failpoint!("effect.sent");
        tell(effect, attempt, &answer);
        failpoint!("effect.told");
        // What we kept back ourselves says nothing of LJPc.
        if confirmed && may_send {
            self.guest.learn(endpoint.name, &answer).await;
        }
        drop(permit);
        failpoint!("effect.learnt");
        let ran = self.record_answer(claim, loaded, effect, &intent, &answer).await?;
        failpoint!("effect.recorded");
        Ok(ran)
    }

    /// The request, with the auth code that it may need. `None`: it needs one, and there is none.
    async fn prepare(
        &self,
        loaded: &LoadedLine,
        effect: &Effect,
    ) -> Result<Option<PreparedRequest>, Stop> {
        let auth_code = if effect.request.needs_auth_code() {
            let code = self.ledger.db().auth_code(loaded.line_id).await.map_err(|error| {
                tracing::warn!(error = %crate::causes::causes(&error), "no auth code was read");
                Stop::Retry
            })?;
            code.map(Secret::new)
        } else {
            None
        };
        Ok(prepare(effect, auth_code))
    }

    /// The database was failed over or restored, which may have lost intents: the operator is told once, and nothing is sent
    /// meanwhile.
    async fn wait_for_confirmation(&self, claim: Claim, loaded: &LoadedLine) -> Result<Ran, Stop> {
        self.guest.tell_of_failover(loaded.facts.now).await;
        let delay = Delay { reason: FAILED_OVER.to_owned(), then: Then::After(NAME_BUSY_FOR) };
        self.wait(claim, loaded, delay).await
    }

    /// Whether there is time enough for the request, and the others know that this process lives.
    fn may_send(&self, claim: Claim) -> bool {
        self.presence.is_known() && claim.lease.left() > self.waiting.timeout
    }

    /// Commits the intent. `false`: it is committed, but on a WAL timeline that nobody has confirmed.
    async fn commit_intent(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        effect: &Effect,
        intent: &Intent,
    ) -> Result<bool, Uncommitted> {
        let attempt = intent.attempt;
        let detail =
            serde_json::json!({ "tag": effect.tag, "price": effect.price, "attempt": attempt });
        let placing = effect.during.clone().telling(begun(effect.step), detail);
        let mut record = self.record_of(claim, loaded, placing);
        record.park = None;
        record.intent = Some(intent.clone());
        if let Some(change) = &mut record.change {
            change.sent = Some(true);
        }
        match self.ledger.record(record).await {
            Ok(Recorded::Done { timeline }) => {
                Ok(timeline.is_some_and(|timeline| timeline.confirmed))
            }
            Ok(Recorded::Stale) => Err(Uncommitted::Stale),
            Ok(Recorded::Conflict) => Err(Uncommitted::Conflict),
            Err(error) => {
                let causes = crate::causes::causes(&error);
                tracing::warn!(error = %causes, %attempt, "the intent is not known to be committed; nothing is sent");
                Err(if error.was_rolled_back() {
                    Uncommitted::RolledBack
                } else {
                    Uncommitted::Unknown
                })
            }
        }
    }

    /// Nothing is sent: its intent is not in the ledger, or may not be.
    async fn go_without(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        effect: &Effect,
        intent: &Intent,
        why: Uncommitted,
    ) -> Result<Ran, Stop> {
        match why {
            Uncommitted::Stale => Err(Stop::Stale),
            Uncommitted::RolledBack => Err(Stop::Retry),
            // Cancelled meanwhile, or another line is at work for the name or the contact.
            Uncommitted::Conflict => {
                let reason =
                    format!("waits: the line was changed meanwhile, or {}", in_the_way(effect));
                let mut delay = Delay { reason, then: Then::After(NAME_BUSY_FOR) };
                if effect.step == EffectStep::CreateContact {
                    delay.then = Then::Retry;
                }
                // The other line pokes this one by the name when it has ended.
                let mut named = loaded.clone();
                if let Some(domain) = &effect.domain {
                    named.facts.progress.domain = Some(domain.as_str().to_owned());
                }
                self.wait(claim, &named, delay).await
            }
            // Whether it is committed is unknown, so it is never sent; and that is what is recorded, if it is.
            Uncommitted::Unknown => {
                let answer = Err(UpstreamError::NotSent {
                    detail: "the intent's commit was uncertain".to_owned(),
                });
                // Conflict, if it was not committed: the line is still pending, and is tried again all the same.
                let _ = self.record_answer(claim, loaded, effect, intent, &answer).await;
                Err(Stop::Retry)
            }
        }
    }

    async fn record_answer(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        effect: &Effect,
        intent: &Intent,
        answer: &Result<Answered, UpstreamError>,
    ) -> Result<Ran, Stop> {
        let mut placing = loaded.clone();
        placing.facts.progress = effect.during.progress.clone();
        let change = change_by(&placing, effect.step, answer);
        let mut record = self.record_of(claim, &placing, change);
        record.truth = Some(Truth {
            intent: Some(Box::new(intent.clone())),
            ..to_truth(intent.attempt, answer)
        });
        if let Some(change) = &mut record.change {
            // A request that provably was never written leaves the line as it was before: cancellable, if nothing was
            // sent earlier either.
            let never_sent = matches!(answer, Err(UpstreamError::NotSent { .. }));
            change.sent = never_sent.then_some(loaded.sent);
        }
        match self.ledger.record_truth(record).await? {
            Recorded::Done { .. } => Ok(Ran::Recorded),
            // The truth is in the ledger, and whoever holds the line now will follow it.
            Recorded::Stale | Recorded::Conflict => Err(Stop::Stale),
        }
    }
}

/// What keeps an intent out of the ledger, beside a change of the line.
const fn in_the_way(effect: &Effect) -> &'static str {
    match &effect.request {
        Request::Order { .. } if effect.request.brings_site() => {
            "hosting for its name is being placed by another line"
        }
        Request::Order { .. } | Request::Register { .. } | Request::Transfer { .. } => {
            "its name is being bought by another line"
        }
        Request::CreateContact(_) => "its WHOIS contact is being made by another line",
        Request::UpdateContact { .. }
        | Request::UpdateDomain(_)
        | Request::ReplaceRecords { .. } => "it is under way already",
    }
}

/// What became of a request is told before it is recorded, in case the database is away.
fn tell(effect: &Effect, attempt: Uuid, answer: &Result<Answered, UpstreamError>) {
    let tag = &effect.tag;
    match answer {
        Ok(answered) => {
            let jti = answered.jti.as_deref();
            let order = match &answered.acceptance {
                Acceptance::Order { id, .. } => Some(id.0),
                Acceptance::Name { .. } | Acceptance::Contact(_) | Acceptance::Changed { .. } => {
                    None
                }
            };
            tracing::info!(%tag, %attempt, upstream_order_id = order, jti, "accepted");
        }
        Err(error) => tracing::warn!(
            %tag, %attempt, jti = error.jti(), error = error.logged(), "not accepted"
        ),
    }
}

fn to_intent(
    loaded: &LoadedLine,
    effect: &Effect,
    prepared: &PreparedRequest,
    attempt: Uuid,
) -> Intent {
    let contact_key = match &effect.request {
        Request::CreateContact(registrant) => Some(contacts::key(loaded.customer_id, registrant)),
        Request::Order { .. }
        | Request::Register { .. }
        | Request::Transfer { .. }
        | Request::UpdateContact { .. }
        | Request::UpdateDomain(_)
        | Request::ReplaceRecords { .. } => None,
    };
    let before = match &effect.request {
        Request::ReplaceRecords { before, .. } => Some(before.clone()),
        Request::Order { .. }
        | Request::Register { .. }
        | Request::Transfer { .. }
        | Request::UpdateContact { .. }
        | Request::UpdateDomain(_)
        | Request::CreateContact(_) => None,
    };
    Intent {
        attempt,
        step: effect.step,
        n: effect.n,
        tag: effect.tag.clone(),
        domain: effect.domain.as_ref().map(|domain| domain.as_str().to_owned()),
        brings_site: effect.request.brings_site(),
        brings_name: effect.request.brings_name(),
        price: effect.price,
        contact_key,
        before,
        request_hash: prepared.hash(),
    }
}

/// The line after the answer.
fn change_by(
    placing: &LoadedLine,
    step: EffectStep,
    answer: &Result<Answered, UpstreamError>,
) -> Change {
    let facts = &placing.facts;
    let noun = step.noun();
    // A wish for a name that is ours leaves the line where it is.
    let status = match facts.progress.status {
        LineStatus::Provisioning => LineStatus::Provisioning,
        LineStatus::Pending
        | LineStatus::Placing
        | LineStatus::InDoubt
        | LineStatus::Completed
        | LineStatus::Failed
        | LineStatus::Held
        | LineStatus::Cancelled => LineStatus::Pending,
    };
    let again = |reason: String, then| Change::to(facts, status, Some(reason), then);
    match answer {
        Ok(answered) => accepted(facts, step, &answered.acceptance),
        Err(UpstreamError::Rejected { message, .. }) => rejected(facts, step, Some(message)),
        Err(UpstreamError::RateLimited { after }) => again(
            format!("LJPc asks for fewer requests; the {noun} is sent again"),
            Then::After(*after),
        ),
        Err(UpstreamError::Unauthorized { status, .. }) => again(
            format!(
                "LJPc answers HTTP {status} to the API key; the {noun} waits until the key is good"
            ),
            Then::After(std::time::Duration::from_secs(1)),
        ),
        Err(UpstreamError::NotSent { detail }) => {
            again(format!("the {noun} was not sent ({detail}); it is sent again"), Then::Retry)
        }
        Err(UpstreamError::InDoubt { detail, .. } | UpstreamError::Unavailable { detail, .. }) => {
            unknown(facts, step, detail)
        }
    }
}

/// What the timeline calls the moment before a request.
const fn begun(step: EffectStep) -> &'static str {
    match step {
        EffectStep::PlaceOrder | EffectStep::Register | EffectStep::Transfer => "placing",
        EffectStep::CreateContact => "creating_contact",
        EffectStep::UpdateContact => "changing_contact",
        EffectStep::UpdateDomain => "changing_domain",
        EffectStep::ReplaceRecords => "writing_dns",
    }
}

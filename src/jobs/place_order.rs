//! The irreversible request: connect, commit the intent, look again, send, record the truth.
//!
//! Architecture invariant: no byte of the request leaves before its intent is committed.

use uuid::Uuid;

use super::carry_out_line::{CarryOutLine, Delay, Stop};
use crate::{
    clock::Deadline,
    db::{
        lines::LoadedLine,
        records::{Intent, LineChange, Record, Recorded, Truth},
    },
    order::{
        LineStatus,
        decide::{Change, Event, Item, Order, Then, accepted, in_doubt, rejected},
        ledger::Outcome,
        wish::BillingPeriod,
    },
    queue::Claim,
    upstream::{
        PreparedRequest, UpstreamError,
        ljpc::{self, CartItem, PlaceOrder, PlacedOrder, endpoints},
    },
};

/// How long a placement waits for another one of its name before it looks by itself. Usually it is poked sooner.
const NAME_BUSY_FOR: std::time::Duration = std::time::Duration::from_secs(30);

/// Why nothing is sent after a failover.
const FAILED_OVER: &str =
    "the database was failed over: nothing is sent before `provisor queue resume`";

impl CarryOutLine {
    pub(super) async fn place_order(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        order: &Order,
        prepaid: &mut bool,
    ) -> Result<(), Stop> {
        let endpoint = &endpoints::PLACE_ORDER;
        let request = PlaceOrder {
            tag: order.tag.clone(),
            description: format!("{} for {}", order.title, order.domain),
            item: to_cart_item(order),
        };
        let prepared = request.prepare();
        if !loaded.timeline_confirmed {
            return self.wait_for_confirmation(claim, loaded).await;
        }
        let permit = match self.guest.permit(endpoint.name, prepaid).await {
            Ok(permit) => permit,
            Err(not_now) => return self.wait(claim, loaded, not_now.into()).await,
        };
        if !self.may_send(claim) {
            return Err(Stop::Later(self.waiting.timeout));
        }
        let deadline = Deadline::after(self.waiting.timeout);
        // Connecting comes first: what fails here was provably never sent, and needs neither intent nor doubt.
        let connected = match self.guest.ljpc().connect(endpoint, deadline).await {
            Ok(connected) => connected,
            Err(error) => return self.wait(claim, loaded, Delay::by(&error)).await,
        };
        let attempt = Uuid::now_v7();
        let confirmed = self.commit_intent(claim, loaded, order, &prepared, attempt).await?;
        let answer = if !confirmed {
            Err(UpstreamError::NotSent { detail: FAILED_OVER.to_owned() })
        } else if self.may_send(claim) {
            let tag = &order.tag;
            tracing::info!(%tag, %attempt, "sending");
            // Connecting and the intent took their time: the request has all of its own.
            let deadline = Deadline::after(self.waiting.timeout);
            self.guest.ljpc().place_order(connected, &prepared, tag, deadline).await
        } else {
            Err(UpstreamError::NotSent {
                detail: "the lease would have ended before the request".to_owned(),
            })
        };
        drop(permit);
        // Told before it is recorded, in case the database is away.
        match &answer {
            Ok(placed) => tracing::info!(
                tag = %order.tag, %attempt, upstream_order_id = placed.id.0, jti = placed.jti,
                "accepted"
            ),
            Err(error) => tracing::warn!(
                tag = %order.tag, %attempt, jti = error.jti(), error = %crate::causes::causes(error),
                "not accepted"
            ),
        }
        self.guest.learn(endpoint.name, &answer).await;
        self.record_answer(claim, loaded, order, attempt, &answer).await
    }

    /// The database was failed over, which may have lost intents: the operator is told once, and nothing is sent meanwhile.
    async fn wait_for_confirmation(&self, claim: Claim, loaded: &LoadedLine) -> Result<(), Stop> {
        let day = loaded.facts.now.date_naive().to_string();
        self.guest.tell_operator("failover", &day, FAILED_OVER).await;
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
        order: &Order,
        prepared: &PreparedRequest,
        attempt: Uuid,
    ) -> Result<bool, Stop> {
        let facts = &loaded.facts;
        let mut placing = Change::to(facts, LineStatus::Placing, None, Then::Rest);
        placing.progress.domain = Some(order.domain.as_str().to_owned());
        placing.events = vec![Event {
            name: "placing",
            detail: serde_json::json!({ "tag": order.tag, "price": order.price, "attempt": attempt }),
        }];
        let record = Record {
            fence: claim.wake.fence,
            order_id: loaded.order_id,
            line_id: loaded.line_id,
            intent: Some(Intent {
                attempt,
                n: order.n,
                tag: order.tag.clone(),
                domain: order.domain.as_str().to_owned(),
                request_hash: prepared.hash(),
            }),
            truth: None,
            change: Some(LineChange {
                expected: facts.progress.status,
                progress: placing.progress,
                sent: Some(true),
                events: placing.events,
                overdue: false,
            }),
            park: None,
        };
        match self.ledger.record(record).await {
            Ok(Recorded::Done { timeline }) => {
                Ok(timeline.is_some_and(|timeline| timeline.confirmed))
            }
            Ok(Recorded::Stale) => Err(Stop::Stale),
            // Cancelled meanwhile, or another line is placing hosting for the name.
            Ok(Recorded::Conflict) => {
                let reason = "waits: the line was changed meanwhile, or hosting for its name is being \
                              placed by another line";
                let mut change = Change::to(
                    facts,
                    LineStatus::Pending,
                    Some(reason.to_owned()),
                    Then::After(NAME_BUSY_FOR),
                );
                // The other line pokes this one by the name when it has ended.
                change.progress.domain = Some(order.domain.as_str().to_owned());
                self.record_change(claim, loaded, change).await?;
                Err(Stop::Stale)
            }
            // Whether it is committed is unknown, so it is never sent; and that is what is recorded, if it is.
            Err(error) => {
                tracing::warn!(
                    error = %crate::causes::causes(&error), %attempt,
                    "the intent's commit is uncertain; nothing is sent"
                );
                let answer = Err(UpstreamError::NotSent {
                    detail: "the intent's commit was uncertain".to_owned(),
                });
                // Conflict, if it was not committed: the line is still pending, and is tried again all the same.
                let _ = self.record_answer(claim, loaded, order, attempt, &answer).await;
                Err(Stop::Retry)
            }
        }
    }

    async fn record_answer(
        &self,
        claim: Claim,
        loaded: &LoadedLine,
        order: &Order,
        attempt: Uuid,
        answer: &Result<PlacedOrder, UpstreamError>,
    ) -> Result<(), Stop> {
        let mut placing = loaded.clone();
        placing.facts.progress.status = LineStatus::Placing;
        placing.facts.progress.reason = None;
        placing.facts.progress.domain = Some(order.domain.as_str().to_owned());
        let change = change_by(&placing, order, answer);
        let mut record = self.record_of(claim, &placing, change);
        record.truth = Some(to_truth(attempt, answer));
        if let Some(change) = &mut record.change {
            // A request that provably was never written leaves the line as it was before: cancellable, if nothing was
            // sent earlier either.
            let never_sent = matches!(answer, Err(UpstreamError::NotSent { .. }));
            change.sent = never_sent.then_some(loaded.sent);
        }
        match self.ledger.record_truth(record).await? {
            Recorded::Done { .. } => Ok(()),
            // The truth is in the ledger, and whoever holds the line now will follow it.
            Recorded::Stale | Recorded::Conflict => Err(Stop::Stale),
        }
    }
}

/// The line after the answer.
fn change_by(
    placing: &LoadedLine,
    order: &Order,
    answer: &Result<PlacedOrder, UpstreamError>,
) -> Change {
    let facts = &placing.facts;
    let again = |reason: String, then| Change::to(facts, LineStatus::Pending, Some(reason), then);
    match answer {
        Ok(placed) => {
            accepted(facts, placed.id, placed.price.or(placed.total_price).or(order.price))
        }
        Err(UpstreamError::Rejected { message, .. }) => rejected(facts, Some(message)),
        Err(UpstreamError::RateLimited { after }) => again(
            "LJPc asks for fewer requests; the order is sent again".to_owned(),
            Then::After(*after),
        ),
        Err(UpstreamError::Unauthorized { status, .. }) => again(
            format!(
                "LJPc answers HTTP {status} to the API key; the order waits until the key is good"
            ),
            Then::After(std::time::Duration::from_secs(1)),
        ),
        Err(UpstreamError::NotSent { detail }) => {
            again(format!("the order was not sent ({detail}); it is sent again"), Then::Retry)
        }
        Err(UpstreamError::InDoubt { detail, .. } | UpstreamError::Unavailable { detail, .. }) => {
            in_doubt(facts, format!("the order was sent, but its outcome is unknown: {detail}"))
        }
    }
}

fn to_truth(attempt: Uuid, answer: &Result<PlacedOrder, UpstreamError>) -> Truth {
    let outcome = match answer {
        Ok(_) => Outcome::Accepted,
        Err(UpstreamError::NotSent { .. }) => Outcome::NotSent,
        Err(UpstreamError::Rejected { .. }) => Outcome::Rejected,
        Err(UpstreamError::RateLimited { .. }) => Outcome::RateLimited,
        Err(UpstreamError::Unauthorized { .. }) => Outcome::Unauthorized,
        Err(UpstreamError::InDoubt { .. } | UpstreamError::Unavailable { .. }) => Outcome::InDoubt,
    };
    let detail = match answer {
        Ok(_) => None,
        Err(UpstreamError::Rejected { message, .. }) => Some(message.clone()),
        Err(error) => Some(error.to_string()),
    };
    match answer {
        Ok(placed) => Truth {
            attempt,
            outcome,
            upstream_order_id: Some(placed.id),
            http_status: Some(placed.status),
            jti: placed.jti.clone(),
            detail,
        },
        Err(error) => Truth {
            attempt,
            outcome,
            upstream_order_id: None,
            http_status: error.status(),
            jti: error.jti().map(str::to_owned),
            detail,
        },
    }
}

fn to_cart_item(order: &Order) -> CartItem {
    let domain = order.domain.as_str().to_owned();
    match &order.item {
        Item::Hosting { product_uuid, billing_period, target_url } => CartItem::Hosting {
            product_uuid: product_uuid.clone(),
            domain,
            billing_period: billing_period.map(|period| match period {
                BillingPeriod::Monthly => ljpc::BillingPeriod::Monthly,
                BillingPeriod::Yearly => ljpc::BillingPeriod::Yearly,
            }),
            target_url: target_url.clone(),
        },
        Item::HostingOwn { space_id } => CartItem::HostingOwn { space_id: *space_id, domain },
    }
}

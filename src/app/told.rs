//! What happens, told to the metrics.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    db::{Database, records::EndedOrder},
    http::{GaugeError, GaugeSource},
    jobs,
    order::{LineStatus, OrderStatus},
    queue,
    telemetry::{
        EmailOutcome, JobOutcome, Metrics, OpenLine, OrderEnd, QueueState, UpstreamOutcome,
    },
    upstream,
};

/// Tells the metrics what each floor observes.
pub(super) struct Told(pub(super) Arc<Metrics>);

impl queue::Observer for Told {
    fn picked_up(&self, after: Duration) {
        self.0.order_picked_up(after);
    }

    fn ran(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        let outcome = JobOutcome::ALL.iter().find(|known| known.as_str() == outcome);
        self.0.job_ended(kind, outcome.copied().unwrap_or(JobOutcome::Ok), took);
    }
}

impl upstream::Observer for Told {
    fn request(
        &self,
        provider: &'static str,
        endpoint: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let outcome = UpstreamOutcome::ALL.iter().find(|known| known.as_str() == outcome);
        let outcome = outcome.copied().unwrap_or(UpstreamOutcome::InDoubt);
        self.0.upstream_answered(provider, endpoint, outcome, took);
    }
}

impl jobs::ledger::Observer for Told {
    fn ended(&self, order: EndedOrder) {
        let end = match order.status {
            OrderStatus::Completed => OrderEnd::Completed,
            OrderStatus::Partial => OrderEnd::Partial,
            OrderStatus::Failed => OrderEnd::Failed,
            OrderStatus::Cancelled => OrderEnd::Cancelled,
            OrderStatus::Accepted | OrderStatus::InProgress | OrderStatus::Attention => return,
        };
        self.0.order_ended(end, order.took);
    }
}

impl jobs::send_email::Observer for Told {
    fn emailed(&self, template: &str, outcome: &'static str) {
        let outcome = EmailOutcome::ALL.iter().find(|known| known.as_str() == outcome);
        self.0.email_ended(template, outcome.copied().unwrap_or(EmailOutcome::Failed));
    }
}

impl jobs::guest::CircuitObserver for Told {
    fn circuit(&self, provider: &'static str, endpoint: &str, open: bool) {
        let endpoint = Some(endpoint).filter(|endpoint| !endpoint.is_empty());
        self.0.set_circuit_open(provider, endpoint, open);
    }
}

/// Reads the gauges from the database.
pub(super) struct Gauges {
    pub(super) db: Database,
    pub(super) metrics: Arc<Metrics>,
}

#[async_trait]
impl GaugeSource for Gauges {
    async fn refresh(&self) -> Result<(), GaugeError> {
        let work = self.db.open_work().await?;
        let depths = self.db.lane_depths().await?;
        let doubtful = work.lines.iter().find(|(status, _)| *status == LineStatus::InDoubt);
        self.metrics.set_in_doubt_lines(doubtful.map_or(0, |(_, count)| *count));
        self.metrics.replace_lines(work.lines.iter().filter_map(|(status, count)| {
            let open = OpenLine::ALL.iter().find(|open| open.as_str() == status.as_str())?;
            Some((*open, *count))
        }));
        self.metrics.set_outbox_oldest(work.oldest_email);
        self.metrics.replace_queue_depth(depths.iter().flat_map(|depth| {
            [
                (depth.lane.as_str(), QueueState::Due, depth.due),
                (depth.lane.as_str(), QueueState::Parked, depth.parked),
                (depth.lane.as_str(), QueueState::Leased, depth.leased),
            ]
        }));
        self.metrics.replace_queue_oldest_due(
            depths.iter().map(|depth| (depth.lane.as_str(), depth.oldest_due)),
        );
        Ok(())
    }
}

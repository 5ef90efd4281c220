//! What happens, told to the metrics.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    db::{Database, records::EndedOrder, wakes::Counting},
    http::{GaugeError, GaugeSource},
    jobs,
    order::LineStatus,
    queue,
    telemetry::Metrics,
    upstream,
};

/// Tells the metrics what each floor observes.
pub(super) struct Told(pub(super) Arc<Metrics>);

impl queue::Observer for Told {
    fn picked_up(&self, after: Duration) {
        self.0.order_picked_up(after);
    }

    fn ran(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.0.job_ended(kind, outcome, took);
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
        self.0.upstream_answered(provider, endpoint, outcome, took);
    }
}

impl jobs::ledger::Observer for Told {
    fn ended(&self, order: EndedOrder) {
        self.0.order_ended(order.status.as_str(), order.took);
    }
}

impl jobs::send_email::Observer for Told {
    fn emailed(&self, template: &str, outcome: &'static str) {
        self.0.email_ended(template, outcome);
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
        let depths = self.db.lane_depths(Counting::Bounded).await?;
        let doubtful = work.lines.iter().find(|(status, _)| *status == LineStatus::InDoubt);
        self.metrics.set_in_doubt_lines(doubtful.map_or(0, |(_, count)| *count));
        self.metrics
            .replace_lines(work.lines.iter().map(|(status, count)| (status.as_str(), *count)));
        self.metrics.set_outbox_oldest(work.oldest_email);
        self.metrics.set_purchases_held(!self.db.timeline().await?.is_confirmed());
        let findings = self.db.count_findings().await?;
        self.metrics.replace_audit_findings(
            findings.iter().map(|(kind, severity, n)| (kind.as_str(), severity.as_str(), *n)),
        );
        if let Some(at) = self.db.last_audit_end().await? {
            self.metrics.set_audit_last_success(at);
        }
        self.metrics.replace_queue_depth(depths.iter().flat_map(|depth| {
            [
                (depth.lane.as_str(), "due", depth.due),
                (depth.lane.as_str(), "parked", depth.parked),
                (depth.lane.as_str(), "leased", depth.leased),
            ]
        }));
        self.metrics.replace_queue_oldest_due(
            depths.iter().map(|depth| (depth.lane.as_str(), depth.oldest_due)),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::build::metrics,
        config::EMAIL_TEMPLATES,
        jobs::{guest::CircuitObserver as _, ledger::Observer as _, send_email::Observer as _},
        mail::TemplateName,
        order::OrderStatus,
        queue::Observer as _,
        upstream::{
            Observer as _, Scope, UpstreamError,
            ljpc::{PROVIDER, endpoints},
        },
    };

    #[test]
    fn nothing_that_is_told_is_a_stranger_to_the_metrics() {
        let told = Told(Arc::new(metrics().expect("the names are good")));
        let took = Duration::from_secs(1);
        let ended = OrderStatus::ALL.iter().filter(|status| status.is_ended());
        ended.for_each(|&status| told.ended(EndedOrder { status, took }));
        let open = LineStatus::ALL.iter().filter(|status| !status.is_ended());
        told.0.replace_lines(open.map(|status| (status.as_str(), 1)));
        let (status, message, detail, jti) = (400, String::new(), String::new(), None);
        let errors = [
            UpstreamError::NotSent { detail: detail.clone() },
            UpstreamError::Rejected { status, message: message.clone(), jti: jti.clone() },
            UpstreamError::RateLimited { after: took },
            UpstreamError::Unauthorized {
                scope: Scope::Upstream,
                status,
                message,
                jti: jti.clone(),
            },
            UpstreamError::InDoubt { detail, status: None, jti },
        ];
        let outcomes = errors.iter().map(UpstreamError::outcome).chain(["ok"]);
        outcomes.for_each(|how| told.request(PROVIDER, endpoints::GET_ORDER.name, how, took));
        told.circuit(PROVIDER, "", true);
        told.circuit(PROVIDER, endpoints::PLACE_ORDER.name, true);
        for name in jobs::NAMES {
            for how in ["ok", "retry", "stale", "panic"] {
                told.ran(name, how, took);
            }
        }
        for (template, how) in EMAIL_TEMPLATES.iter().zip(["sent", "failed", "retried", "disabled"])
        {
            told.emailed(template, how);
        }
        let text = told.0.encode().expect("it can be written");
        let strangers: Vec<&str> = text.lines().filter(|line| line.contains("\"other\"")).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
    }

    #[test]
    fn the_settings_know_the_templates_that_there_are() {
        let templates: Vec<&str> = TemplateName::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(templates, EMAIL_TEMPLATES);
    }
}

//! The metrics of the contract, section 5, and nothing else: names, types and labels are a promise.
//!
//! Counters and histograms count what this process did. Gauges that tell of the database are set on a scrape, from one
//! reading of it (the `replace_…` and `set_…` methods), so that any replica tells the same.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::core::{AtomicF64, AtomicI64, AtomicU64};
use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::labels::{
    EMAIL_OUTCOMES, JOB_OUTCOMES, KnownLabels, OPEN_LINES, ORDER_ENDS, QUEUE_STATES, SEVERITIES,
    UPSTREAM_OUTCOMES,
};
use super::series::{Counters, Gauges, Histograms, LabelSets, register};

/// From a second to ten days: a transfer takes five.
const ORDER_SECONDS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0,
    172_800.0, 432_000.0, 864_000.0,
];
/// From half a millisecond, by notification and an idle worker, to an hour, after an outage.
const PICKUP_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 900.0, 3_600.0,
];
/// From a job that only looks at the database to one that waits for the upstream's timeout.
const JOB_SECONDS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0,
];
/// Around the upstream's timeout, 30 s unless set otherwise.
const REQUEST_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];

/// All metrics of this process.
///
/// A label's value that is none of the contract's (`labels.rs`) is counted as `other`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    orders: Counters<AtomicU64>,
    lines: Gauges<AtomicI64>,
    order_duration: Histogram,
    pickup: Histogram,
    jobs: Counters<AtomicU64>,
    job_duration: Histograms,
    queue_depth: Gauges<AtomicI64>,
    queue_oldest_due: Gauges<AtomicF64>,
    upstream_requests: Counters<AtomicU64>,
    upstream_duration: Histograms,
    upstream_circuit_open: Gauges<AtomicI64>,
    emails: Counters<AtomicU64>,
    outbox_oldest: Gauge,
    in_doubt_lines: IntGauge,
    audit_findings: Gauges<AtomicI64>,
    audit_last_success: IntGauge,
    ready: IntGauge,
    purchases_held: IntGauge,
}

impl Metrics {
    /// All series whose labels are known, at 0, and `provisor_build_info` with this version, at 1.
    ///
    /// # Errors
    /// Only a name or a list of labels that Prometheus does not allow.
    pub fn new(known: &KnownLabels<'_>, version: &str) -> Result<Self, Error> {
        let r = &Registry::new();
        let kinds = LabelSets::product(&[known.job_kinds]);
        let endpoints = endpoint_sets(known);
        let circuits = endpoint_sets(known).union(provider_sets(known));
        let build = Opts::new("provisor_build_info", "What this process was built from.");
        let build = register(r, IntGaugeVec::new(build, &["version"])?)?;
        build.with_label_values(&[version]).set(1);
        Ok(Self {
            orders: Counters::new(r, ORDERS.opts(), &["status"], product(&[ORDER_ENDS]))?,
            lines: Gauges::new(r, LINES.opts(), &["status"], product(&[OPEN_LINES]))?,
            order_duration: register(
                r,
                Histogram::with_opts(ORDER_DURATION.buckets(ORDER_SECONDS))?,
            )?,
            pickup: register(r, Histogram::with_opts(PICKUP.buckets(PICKUP_SECONDS))?)?,
            jobs: Counters::new(r, JOBS.opts(), &["kind", "outcome"], kinds.and(JOB_OUTCOMES))?,
            job_duration: Histograms::new(r, JOB_DURATION.buckets(JOB_SECONDS), &["kind"], kinds)?,
            queue_depth: Gauges::new(
                r,
                QUEUE_DEPTH.opts(),
                &["lane", "state"],
                product(&[known.lanes, QUEUE_STATES]),
            )?,
            queue_oldest_due: Gauges::new(
                r,
                QUEUE_OLDEST.opts(),
                &["lane"],
                product(&[known.lanes]),
            )?,
            upstream_requests: Counters::new(
                r,
                REQUESTS.opts(),
                &["provider", "endpoint", "outcome"],
                endpoints.and(UPSTREAM_OUTCOMES),
            )?,
            upstream_duration: Histograms::new(
                r,
                REQUEST_DURATION.buckets(REQUEST_SECONDS),
                &["provider", "endpoint"],
                endpoints,
            )?,
            upstream_circuit_open: Gauges::new(
                r,
                CIRCUIT.opts(),
                &["provider", "endpoint"],
                circuits,
            )?,
            emails: Counters::new(
                r,
                EMAILS.opts(),
                &["template", "outcome"],
                product(&[known.templates, EMAIL_OUTCOMES]),
            )?,
            outbox_oldest: register(r, Gauge::with_opts(OUTBOX.opts())?)?,
            in_doubt_lines: register(r, IntGauge::with_opts(IN_DOUBT.opts())?)?,
            audit_findings: Gauges::new(
                r,
                FINDINGS.opts(),
                &["kind", "severity"],
                product(&[known.finding_kinds, SEVERITIES]),
            )?,
            audit_last_success: register(r, IntGauge::with_opts(AUDIT.opts())?)?,
            ready: register(r, IntGauge::with_opts(READY.opts())?)?,
            purchases_held: register(r, IntGauge::with_opts(HELD.opts())?)?,
            registry: r.clone(),
        })
    }

    /// An order has ended, so long after its submission.
    pub fn order_ended(&self, status: &str, after: Duration) {
        self.orders.inc(&[status]);
        self.order_duration.observe(after.as_secs_f64());
    }

    /// A new order was claimed for the first time, so long after its commit.
    pub fn order_picked_up(&self, after: Duration) {
        self.pickup.observe(after.as_secs_f64());
    }

    /// A run of a job has ended.
    pub fn job_ended(&self, kind: &str, outcome: &str, took: Duration) {
        self.jobs.inc(&[kind, outcome]);
        self.job_duration.observe(&[kind], took.as_secs_f64());
    }

    /// A request to an upstream has ended; `endpoint` as documented, never with the values in its path.
    pub fn upstream_answered(&self, provider: &str, endpoint: &str, outcome: &str, took: Duration) {
        self.upstream_requests.inc(&[provider, endpoint, outcome]);
        self.upstream_duration.observe(&[provider, endpoint], took.as_secs_f64());
    }

    /// The circuit of an endpoint, or with `None` that of the whole upstream, has opened or closed.
    pub fn set_circuit_open(&self, provider: &str, endpoint: Option<&str>, open: bool) {
        self.upstream_circuit_open.set(&[provider, endpoint.unwrap_or_default()], i64::from(open));
    }

    /// A try at sending an email has ended.
    pub fn email_ended(&self, template: &str, outcome: &str) {
        self.emails.inc(&[template, outcome]);
    }

    /// How many lines are open, by status; a status that is not given has none.
    pub fn replace_lines<'a>(&self, counts: impl IntoIterator<Item = (&'a str, i64)>) {
        self.lines.replace(counts.into_iter().map(|(status, count)| ([status], count)));
    }

    /// How many wakes there are, by lane and state; what is not given has none.
    pub fn replace_queue_depth<'a>(
        &self,
        counts: impl IntoIterator<Item = (&'a str, &'a str, i64)>,
    ) {
        let counts = counts.into_iter();
        self.queue_depth.replace(counts.map(|(lane, state, count)| ([lane, state], count)));
    }

    /// For how long each lane's oldest due wake has been due; a lane that is not given has none.
    pub fn replace_queue_oldest_due<'a>(
        &self,
        ages: impl IntoIterator<Item = (&'a str, Duration)>,
    ) {
        let ages = ages.into_iter();
        self.queue_oldest_due.replace(ages.map(|(lane, age)| ([lane], age.as_secs_f64())));
    }

    /// The age of the oldest email that is still owed; zero if none is.
    pub fn set_outbox_oldest(&self, age: Duration) {
        self.outbox_oldest.set(age.as_secs_f64());
    }

    /// How many lines are in doubt.
    pub fn set_in_doubt_lines(&self, count: i64) {
        self.in_doubt_lines.set(count);
    }

    /// How many findings are open, by kind and severity; what is not given has none.
    pub fn replace_audit_findings<'a>(
        &self,
        counts: impl IntoIterator<Item = (&'a str, &'a str, i64)>,
    ) {
        let counts = counts.into_iter();
        self.audit_findings
            .replace(counts.map(|(kind, severity, count)| ([kind, severity], count)));
    }

    /// When an audit last ran to its end.
    pub fn set_audit_last_success(&self, at: DateTime<Utc>) {
        self.audit_last_success.set(at.timestamp());
    }

    /// Whether this replica takes work on, as /readyz says it.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(ready.into());
    }

    /// Whether everything that buys waits for an operator, who is to confirm a failover or a restore.
    pub fn set_purchases_held(&self, held: bool) {
        self.purchases_held.set(held.into());
    }

    /// Everything, in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// None that is known of: the encoder reports metrics that the registry does not make.
    pub fn encode(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// A metric's name and what it tells.
struct Name(&'static str, &'static str);

const ORDERS: Name = Name("provisor_orders_total", "Orders that ended, by how.");
const LINES: Name = Name("provisor_lines", "Lines that have not ended, by status.");
const ORDER_DURATION: Name =
    Name("provisor_order_duration_seconds", "From an order's submission to its end.");
const PICKUP: Name =
    Name("provisor_pickup_seconds", "From a new order's commit to its first claim.");
const JOBS: Name = Name("provisor_jobs_total", "Runs of jobs, by kind and by how they ended.");
const JOB_DURATION: Name = Name("provisor_job_duration_seconds", "How long a run of a job took.");
const QUEUE_DEPTH: Name = Name(
    "provisor_queue_depth",
    "Wakes in the queue, by lane and state; beyond 10,000 of a lane, estimated.",
);
const QUEUE_OLDEST: Name =
    Name("provisor_queue_oldest_due_seconds", "For how long a lane's oldest due wake was due.");
const REQUESTS: Name =
    Name("provisor_upstream_requests_total", "Requests to upstreams, by how they ended.");
const REQUEST_DURATION: Name =
    Name("provisor_upstream_request_duration_seconds", "How long a request to an upstream took.");
const CIRCUIT: Name = Name(
    "provisor_upstream_circuit_open",
    "1 while nothing is sent to this endpoint, or with an empty endpoint to the whole upstream.",
);
const EMAILS: Name =
    Name("provisor_emails_total", "Tries at sending an email, by template and by how they ended.");
const OUTBOX: Name = Name("provisor_outbox_oldest_seconds", "Age of the oldest email still owed.");
const IN_DOUBT: Name =
    Name("provisor_in_doubt_lines", "Lines with a request whose outcome is not known.");
const FINDINGS: Name = Name("provisor_audit_findings", "Open findings of the audit.");
const AUDIT: Name = Name(
    "provisor_audit_last_success_timestamp_seconds",
    "When an audit last ran to its end, in Unix time; 0 if none has.",
);

const READY: Name = Name("provisor_ready", "1 while this replica takes work on, as /readyz says.");
const HELD: Name = Name(
    "provisor_purchases_held",
    "1 while nothing that buys is sent before an operator confirms a failover or a restore.",
);

impl Name {
    fn opts(&self) -> Opts {
        Opts::new(self.0, self.1)
    }

    fn buckets(&self, bounds: &[f64]) -> HistogramOpts {
        HistogramOpts::new(self.0, self.1).buckets(bounds.to_vec())
    }
}

fn product(labels: &[&[&str]]) -> LabelSets {
    LabelSets::product(labels)
}

fn endpoint_sets(known: &KnownLabels<'_>) -> LabelSets {
    let each =
        known.endpoints.iter().map(|(provider, endpoints)| product(&[&[provider], endpoints]));
    each.fold(LabelSets::none(), LabelSets::union)
}

fn provider_sets(known: &KnownLabels<'_>) -> LabelSets {
    let each = known.endpoints.iter().map(|(provider, _)| product(&[&[provider], &[""]]));
    each.fold(LabelSets::none(), LabelSets::union)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;

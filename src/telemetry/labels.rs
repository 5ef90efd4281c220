//! The values that labels can have, spelt as the contract spells them.

/// How an order ended.
pub(super) const ORDER_ENDS: &[&str] = &["completed", "partial", "failed", "cancelled"];

/// The status of a line that has not ended.
pub(super) const OPEN_LINES: &[&str] = &["pending", "placing", "in_doubt", "provisioning", "held"];

/// How one run of a job ended: it did its work, or found none; comes again after an error; waits for a person; panicked,
/// or missed its deadline, and comes again; had lost its lease before it could record.
pub(super) const JOB_OUTCOMES: &[&str] = &["ok", "retry", "hold", "panic", "timeout", "stale"];

/// Where a wake stands: it is due, and nobody's yet; it is due later; it is a worker's.
pub(super) const QUEUE_STATES: &[&str] = &["due", "parked", "leased"];

/// How a request to an upstream ended: the ledger's table.
pub(super) const UPSTREAM_OUTCOMES: &[&str] =
    &["ok", "rejected", "rate_limited", "unauthorized", "not_sent", "in_doubt"];

/// How one try at sending an email ended.
pub(super) const EMAIL_OUTCOMES: &[&str] = &["sent", "failed", "retried", "disabled"];

/// How grave a finding of the audit is: to be known, to be looked at, to be acted on.
pub(super) const SEVERITIES: &[&str] = &["info", "warning", "critical"];

/// The labels of which this floor can't know the values. Each gets its series from the start, at 0; a value that is not in
/// its list is counted as `other`, so that no slip and no stranger can make series without end.
#[derive(Clone, Copy, Debug)]
pub struct KnownLabels<'a> {
    /// Kinds of jobs: those of lines, and those of the house.
    pub job_kinds: &'a [&'a str],
    /// Lanes of the queue.
    pub lanes: &'a [&'a str],
    /// Each provider and its endpoints, as documented: `GET /api/v1/orders/{id}`.
    pub endpoints: &'a [(&'a str, &'a [&'a str])],
    /// Templates of emails.
    pub templates: &'a [&'a str],
    /// Kinds of findings.
    pub finding_kinds: &'a [&'a str],
}

//! What a mail tells: the data that templates are given. What is absent here can't be mailed.
//!
//! Dates are dates, not points in time: the caller knows the time zone (`audit.timezone`), and an
//! expiry at midnight must not show as the day before. None of these types shows a customer's data
//! by `Debug`.

use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;

/// Everything that one mail may use. Which of it a template needs, [`crate::mail::sample`] shows.
#[derive(Clone, Default, Serialize)]
pub struct Context {
    /// Who writes, as the recipient knows them: the shop's name.
    pub sender_name: String,
    /// To whom; absent in the operator's mails.
    pub customer: Option<Customer>,
    /// About which order.
    pub order: Option<Order>,
    /// The order's lines, in its order.
    pub lines: Vec<Line>,
    /// Names that are still free, when one was taken.
    pub alternatives: Vec<Alternative>,
    /// About which domain name: of `domain_expiring` and `domain_expired`.
    pub domain: Option<DomainNotice>,
    /// Of `ops_attention`.
    pub ops: Option<Ops>,
    /// Of `ops_audit`.
    pub audit: Option<Audit>,
}

/// The addressee of a customer's mail.
#[derive(Clone, Serialize)]
pub struct Customer {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Company, if it buys as one.
    pub organization: Option<String>,
}

/// The order that a mail is about.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The shop's reference.
    pub reference: String,
    /// The day of its submission.
    pub submitted_on: NaiveDate,
}

/// One line of the order, as a customer may see it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// From 1, as people count; the contract's `line` counts from 0.
    pub number: u32,
    /// The contract's kind (`hosting`, `domain_register`, …).
    pub kind: String,
    /// The name concerned; A-labels are shown as what they stand for.
    pub domain: Option<String>,
    /// `hosting_5gb`, `hosting_forward`, …; absent if it was ordered by its product's UUID.
    pub package: Option<String>,
    /// `monthly` or `yearly`.
    pub billing_period: Option<String>,
    /// The contract's line status. A customer reads it in kinder words.
    pub status: String,
    /// Why a line failed, or what of its wishes was refused, in words for a customer.
    pub customer_reason: Option<CustomerReason>,
    /// Until when a domain is registered.
    pub expires_on: Option<NaiveDate>,
}

/// Why something was not delivered, as far as it concerns a customer. Causes within the house
/// (prices, permissions, suppliers) are [`CustomerReason::Refused`]: the operator's mail has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerReason {
    /// Somebody else has the name.
    NameTaken,
    /// The name can't be had at all, or not under this ending.
    NameUnavailable,
    /// The current registrar or the registry refused the transfer: a wrong code, a lock.
    TransferRefused,
    /// What it builds on was not delivered.
    PrerequisiteFailed,
    /// Delivered, but a setting that was asked for was not accepted.
    WishRefused,
    /// Anything else.
    Refused,
}

/// A name that may be offered instead. Without a price: what a supplier asks is not what the shop
/// asks, and only the shop knows the latter.
#[derive(Clone, Debug, Serialize)]
pub struct Alternative {
    /// The name.
    pub domain: String,
}

/// A domain name that expires or has expired.
#[derive(Clone, Debug, Serialize)]
pub struct DomainNotice {
    /// The name.
    pub domain: String,
    /// The day on which it expires or expired.
    pub expires_on: NaiveDate,
    /// Days until then; negative: days since.
    pub days: i64,
    /// Whether it renews by itself, as last seen upstream; false when that is not known.
    pub auto_renew: bool,
}

/// What the operator must know, and may have to decide.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ops {
    /// The order's reference; absent when no single order is concerned.
    pub reference: Option<String>,
    /// The line's index, from 0, as commands want it.
    pub line: Option<u32>,
    /// The name concerned.
    pub domain: Option<String>,
    /// A line's status (`held`, `in_doubt`, …) or what else happened: `overdue`, `bought_twice`,
    /// `bought_after_end`, `order_taken`, `circuit_open`, `failover`, `order_lost`. The template says for
    /// each what will happen next.
    pub status: String,
    /// What happened, in one sentence.
    pub reason: String,
    /// The ledger's tag of the placement concerned.
    pub tag: Option<String>,
    /// Each attempt in one line: time, HTTP status, jti, outcome.
    pub attempts: Vec<String>,
    /// What to type, one command each.
    pub commands: Vec<String>,
}

/// What an audit has found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Audit {
    /// What is open: first what is new or graver than it was, then the rest, the gravest first; the first hundred of it.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
    /// How many of all are critical.
    pub critical: u64,
    /// How many are warnings.
    pub warning: u64,
    /// How many are to be known.
    pub info: u64,
    /// How many were closed since the last audit.
    pub closed: u64,
    /// What could not be done, a sentence each.
    pub problems: Vec<String>,
}

/// A finding of the audit (contract, "Commands").
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `domain_expiring`, `line_stuck`, …
    pub kind: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// The domain, the site's id, or `<reference>/<line>`.
    pub subject: String,
    /// One sentence.
    pub detail: String,
    /// It is new, or graver than it was.
    pub is_new: bool,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("order", &self.order.as_ref().map(|order| &order.reference))
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customer").finish_non_exhaustive()
    }
}

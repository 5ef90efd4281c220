//! The values that labels can have.

/// An enum whose variants are a label's values, spelt as the contract spells them.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value's text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            pub(super) fn texts() -> Vec<&'static str> {
                Self::ALL.iter().map(|value| value.as_str()).collect()
            }
        }
    };
}

label! {
    /// How an order ended.
    OrderEnd {
        /// Every line was delivered.
        Completed = "completed",
        /// Some lines were delivered, some failed.
        Partial = "partial",
        /// No line was delivered.
        Failed = "failed",
        /// Withdrawn before anything was sent.
        Cancelled = "cancelled",
    }
}

label! {
    /// The status of a line that has not ended.
    OpenLine {
        /// Nothing is under way upstream for it.
        Pending = "pending",
        /// The upstream effect is being made.
        Placing = "placing",
        /// Sent, outcome unknown.
        InDoubt = "in_doubt",
        /// Accepted upstream, being polled.
        Provisioning = "provisioning",
        /// A person must decide.
        Held = "held",
    }
}

label! {
    /// How one run of a job ended.
    JobOutcome {
        /// It did its work, or found none.
        Ok = "ok",
        /// It comes again after an error.
        Retry = "retry",
        /// It waits for a person.
        Hold = "hold",
        /// It panicked, and comes again.
        Panic = "panic",
        /// It missed its deadline, and comes again.
        Timeout = "timeout",
        /// Its lease had gone to another worker before it could record.
        Stale = "stale",
    }
}

label! {
    /// Where a wake stands.
    QueueState {
        /// Due, and nobody's yet.
        Due = "due",
        /// Due later.
        Parked = "parked",
        /// A worker's.
        Leased = "leased",
    }
}

label! {
    /// How a request to an upstream ended: the ledger's table.
    UpstreamOutcome {
        /// Answered as the document promises.
        Ok = "ok",
        /// Refused for good.
        Rejected = "rejected",
        /// To be repeated later, as the upstream told.
        RateLimited = "rate_limited",
        /// The key was refused.
        Unauthorized = "unauthorized",
        /// Not a byte had left.
        NotSent = "not_sent",
        /// Nobody knows.
        InDoubt = "in_doubt",
    }
}

label! {
    /// How one try at sending an email ended.
    EmailOutcome {
        /// The mail server took it.
        Sent = "sent",
        /// Refused for good, or given up.
        Failed = "failed",
        /// It is tried again.
        Retried = "retried",
        /// Its template is not sent.
        Disabled = "disabled",
    }
}

label! {
    /// How grave a finding of the audit is.
    Severity {
        /// To be known.
        Info = "info",
        /// To be looked at.
        Warning = "warning",
        /// To be acted on.
        Critical = "critical",
    }
}

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

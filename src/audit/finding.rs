//! What the audit has found.

use crate::order::text_enum;

text_enum! {
    /// What a finding is about (contract, section 4).
    FindingKind {
        /// Its expiry is near.
        DomainExpiring = "domain_expiring",
        /// Its expiry is past.
        DomainExpired = "domain_expired",
        /// Its status has a word that needs somebody.
        DomainStatus = "domain_status",
        /// Its expiry has moved backwards, or by an odd term.
        ExpiryMoved = "expiry_moved",
        /// It renews, or doesn't, unlike what was wished.
        AutoRenewMismatch = "auto_renew_mismatch",
        /// It is locked, or isn't, unlike what was wished.
        TransferLockMismatch = "transfer_lock_mismatch",
        /// Its name servers are others than were wished.
        NameserverMismatch = "nameserver_mismatch",
        /// Its WHOIS contact is another one than was wished.
        ContactMismatch = "contact_mismatch",
        /// The account has it, and nobody here knows whose it is: a cost leak.
        DomainUnknown = "domain_unknown",
        /// It was sold, and the account has it no more.
        DomainMissing = "domain_missing",
        /// The account has it, and nobody here knows whose it is.
        SiteUnknown = "site_unknown",
        /// It was sold, and the account has it no more.
        SiteMissing = "site_missing",
        /// It is there, and does not work.
        SiteInactive = "site_inactive",
        /// It is nearly full.
        QuotaNear = "quota_near",
        /// What the line would cost now is more than its `max_cost`.
        PriceAboveMaxCost = "price_above_max_cost",
        /// What the line would cost now is not what it was.
        PriceChanged = "price_changed",
        /// A line waits for a person, or for longer than `poll.overdue_after`.
        LineStuck = "line_stuck",
        /// A line is in doubt for longer than `ljpc.in_doubt_grace`.
        LineInDoubt = "line_in_doubt",
        /// An email could not be sent, or waits for long.
        EmailStuck = "email_stuck",
        /// Its owner should have been reminded of its expiry, and was not.
        ReminderMissing = "reminder_missing",
    }
}

text_enum! {
    /// How grave a finding is, from the least.
    Severity {
        /// To know.
        Info = "info",
        /// Somebody should look.
        Warning = "warning",
        /// Somebody must act: money or a customer's name is at stake.
        Critical = "critical",
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// How grave it is.
    pub severity: Severity,
    /// The domain, the site's id as text, or `<reference>/<line>`.
    pub subject: String,
    /// What else makes it another one than the last of its kind and subject, such as the expiry's date and the threshold.
    pub episode: String,
    /// One sentence for the operator: no personal data.
    pub detail: String,
}

impl Finding {
    /// By which it is known from run to run: no volatile value is in it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        if self.episode.is_empty() {
            format!("{}:{}", self.kind, self.subject)
        } else {
            format!("{}:{}:{}", self.kind, self.subject, self.episode)
        }
    }
}

/// What is concluded of one asset.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Assessment {
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What could not be judged, since something could not be read: open findings of these kinds stay as they are.
    pub unjudged: Vec<FindingKind>,
    /// The wish for its renewal may be carried out now.
    pub may_repair: bool,
    /// It is missing: neither the complete listing nor a direct look shows it.
    pub is_missing: bool,
}

impl Assessment {
    /// Nothing is concluded: whatever is open of it stays as it is.
    #[must_use]
    pub fn withheld() -> Self {
        Self { unjudged: FindingKind::ALL.to_vec(), ..Self::default() }
    }

    pub(super) fn find(
        &mut self,
        kind: FindingKind,
        severity: Severity,
        subject: &str,
        detail: impl Into<String>,
    ) {
        self.find_in(kind, severity, subject, String::new(), detail);
    }

    /// Adds a finding that is another one in each episode.
    pub fn find_in(
        &mut self,
        kind: FindingKind,
        severity: Severity,
        subject: &str,
        episode: String,
        detail: impl Into<String>,
    ) {
        let (subject, detail) = (subject.to_owned(), detail.into());
        self.findings.push(Finding { kind, severity, subject, episode, detail });
    }
}

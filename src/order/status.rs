//! An order's status, which follows from its lines and from nothing else.

use super::{LineKind, LineStatus, Milestone, name::DomainName, text_enum::text_enum};

text_enum! {
    /// Where an order stands (contract, section 2).
    OrderStatus {
        /// No line has started.
        Accepted = "accepted",
        /// Something is moving.
        InProgress = "in_progress",
        /// All lines are delivered.
        Completed = "completed",
        /// Ended; some lines are delivered, some failed.
        Partial = "partial",
        /// Ended; nothing is delivered.
        Failed = "failed",
        /// Withdrawn before anything was sent.
        Cancelled = "cancelled",
        /// A person is needed, and nothing else is moving.
        Attention = "attention",
    }
}

impl OrderStatus {
    /// Whether the order has ended: `finished_at` is set.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Partial | Self::Failed | Self::Cancelled)
    }
}

/// What an order's status is derived from, of each line.
#[derive(Clone, Debug)]
pub struct LineState {
    /// Index in the order, from 0.
    pub line: i32,
    /// What it is.
    pub kind: LineKind,
    /// Its name, where known.
    pub domain: Option<String>,
    /// Where it stands.
    pub status: LineStatus,
    /// How far its name has come.
    pub milestone: Option<Milestone>,
    /// It writes DNS records once its name is arranged.
    pub has_dns: bool,
    /// Why, if there is something to say.
    pub reason: Option<String>,
    /// In doubt for longer than `ljpc.in_doubt_grace`.
    pub past_grace: bool,
}

/// What one line means for another that is about to start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hindrance {
    /// Nothing, or nothing any more.
    None,
    /// It must come first.
    Waits,
    /// It was needed, and bought nothing.
    Fails,
}

/// What a line needs of another one of its name (contract, "What waits for what"). Steps depend on steps, not lines on
/// lines: a registration's own DNS waits for the hosting that waits for the registration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Need {
    Nothing,
    /// The name is there.
    Named,
    /// The name is there, and as it was wished.
    Arranged,
    /// The name is there, and the line has nothing more to do.
    Completed,
    /// However it ended.
    Ended,
}

impl LineState {
    /// What `other` means for the start of this line.
    #[must_use]
    pub fn hindered_by(&self, other: &Self) -> Hindrance {
        if self.line == other.line || !self.has_the_name_of(other) {
            return Hindrance::None;
        }
        other.hinders(self.needs_of(other))
    }

    fn needs_of(&self, other: &Self) -> Need {
        if self.kind == LineKind::Dns && other.kind == LineKind::Dns {
            // Two lines may write one zone: the later one has the last word.
            return if other.line < self.line { Need::Ended } else { Need::Nothing };
        }
        needs_of(self.kind, other.kind)
    }

    /// What `other` means for this line's own DNS records, which come last.
    #[must_use]
    pub fn dns_hindered_by(&self, other: &Self) -> Hindrance {
        let is_hosting = matches!(other.kind, LineKind::Hosting | LineKind::HostingOwn);
        if is_hosting && self.line != other.line && self.has_the_name_of(other) {
            other.hinders(Need::Ended)
        } else {
            Hindrance::None
        }
    }

    /// What of `other` this line awaits, in words.
    #[must_use]
    pub fn awaits_of(&self, other: &Self) -> &'static str {
        match self.needs_of(other) {
            Need::Nothing | Need::Completed => "to be completed",
            Need::Named => "to have its name",
            Need::Arranged => "to have its name arranged",
            Need::Ended => "to end",
        }
    }

    fn hinders(&self, need: Need) -> Hindrance {
        let reached = match need {
            Need::Nothing => true,
            Need::Named => self.milestone.is_some(),
            Need::Arranged => self.milestone == Some(Milestone::Arranged),
            Need::Completed => false,
            Need::Ended => self.status.is_ended(),
        };
        match self.status {
            _ if reached => Hindrance::None,
            LineStatus::Completed => Hindrance::None,
            LineStatus::Failed | LineStatus::Cancelled => Hindrance::Fails,
            LineStatus::Pending
            | LineStatus::Placing
            | LineStatus::InDoubt
            | LineStatus::Provisioning
            | LineStatus::Held => Hindrance::Waits,
        }
    }

    /// Whether both are about one name, in whatever spelling: a line's name is normalised when it is placed, so that one
    /// of two lines may bear the A-label while the other is still as the shop wrote it.
    fn has_the_name_of(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (&self.domain, &other.domain) else { return false };
        own == others
            || (!(own.is_ascii() && others.is_ascii())
                && DomainName::parse(own).is_ok_and(|own| DomainName::parse(others) == Ok(own)))
    }

    /// A person is needed for it.
    fn needs_a_person(&self) -> bool {
        match self.status {
            LineStatus::Held => true,
            LineStatus::InDoubt => self.past_grace,
            LineStatus::Pending
            | LineStatus::Placing
            | LineStatus::Provisioning
            | LineStatus::Completed
            | LineStatus::Failed
            | LineStatus::Cancelled => false,
        }
    }

    /// The lines that this one waits for now.
    fn waits_for<'a>(&'a self, lines: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        lines.iter().filter(move |other| match self.status {
            LineStatus::Pending => self.hindered_by(other) == Hindrance::Waits,
            LineStatus::Provisioning => {
                self.has_dns
                    && self.milestone == Some(Milestone::Arranged)
                    && self.dns_hindered_by(other) == Hindrance::Waits
            }
            LineStatus::Placing
            | LineStatus::InDoubt
            | LineStatus::Completed
            | LineStatus::Failed
            | LineStatus::Held
            | LineStatus::Cancelled => false,
        })
    }
}

/// Between lines of one name: hosting waits for the registration, not for the transfer; changes of the name wait for
/// both; everything DNS waits for the hosting too, however that ends.
const fn needs_of(kind: LineKind, other: LineKind) -> Need {
    use LineKind::{
        ContactCreate, ContactUpdate, Dns, DomainRegister, DomainTransfer, DomainUpdate, Hosting,
        HostingOwn,
    };
    match (kind, other) {
        (Hosting | HostingOwn, DomainRegister) => Need::Named,
        (DomainUpdate, DomainRegister | DomainTransfer) => Need::Arranged,
        // A registration may write the zone too.
        (Dns, DomainRegister | DomainTransfer) => Need::Completed,
        (Dns, Hosting | HostingOwn) => Need::Ended,
        (
            Hosting | HostingOwn | DomainUpdate | Dns | DomainRegister | DomainTransfer
            | ContactCreate | ContactUpdate,
            _,
        ) => Need::Nothing,
    }
}

/// The status that follows from the lines, with the sentence that explains it where one is due. `before` is the status
/// so far: an order that has started does not go back to `accepted`.
#[must_use]
pub fn derive(lines: &[LineState], before: OrderStatus) -> (OrderStatus, Option<String>) {
    if lines.iter().all(|line| line.status.is_ended()) {
        return derive_ended(lines);
    }
    let unmoved = |line: &LineState| line.status == LineStatus::Pending;
    let waiting = |line: &LineState| line.needs_a_person() || waits_for_a_person(line, lines);
    if let Some(culprit) = lines.iter().find(|line| line.needs_a_person())
        && lines.iter().all(|line| line.status.is_ended() || waiting(line))
    {
        return (OrderStatus::Attention, Some(explain(culprit)));
    }
    if lines.iter().all(unmoved) && before == OrderStatus::Accepted {
        return (OrderStatus::Accepted, None);
    }
    (OrderStatus::InProgress, None)
}

/// Whether a line waits, directly or through others, for one that needs a person.
fn waits_for_a_person(line: &LineState, lines: &[LineState]) -> bool {
    // A chain of waiting has no circle: DNS waits for hosting, hosting for the name, and the name for none of them.
    line.waits_for(lines).any(|other| other.needs_a_person() || waits_for_a_person(other, lines))
}

fn derive_ended(lines: &[LineState]) -> (OrderStatus, Option<String>) {
    let any = |status| lines.iter().any(|line| line.status == status);
    if any(LineStatus::Cancelled) {
        // Only a whole order is ever withdrawn; a line of it that had failed unsent changes nothing about that.
        return (OrderStatus::Cancelled, None);
    }
    let first_failed = lines.iter().find(|line| line.status == LineStatus::Failed).map(explain);
    match (any(LineStatus::Completed), any(LineStatus::Failed)) {
        (true, false) => (OrderStatus::Completed, None),
        (true, true) => (OrderStatus::Partial, first_failed),
        (false, true) => (OrderStatus::Failed, first_failed),
        (false, false) => (OrderStatus::Cancelled, None),
    }
}

fn explain(line: &LineState) -> String {
    let reason = line.reason.as_deref().unwrap_or("no reason was recorded");
    let status = line.status.as_str().replace('_', " ");
    format!("line {} ({}) is {status}: {reason}", line.line, line.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(index: i32, kind: LineKind, status: LineStatus) -> LineState {
        LineState {
            line: index,
            kind,
            domain: Some("example.nl".to_owned()),
            status,
            milestone: None,
            has_dns: false,
            reason: Some("because".to_owned()),
            past_grace: false,
        }
    }

    fn status_of(lines: &[(LineKind, LineStatus)]) -> OrderStatus {
        let lines: Vec<_> =
            (0..).zip(lines).map(|(index, &(kind, status))| line(index, kind, status)).collect();
        derive(&lines, OrderStatus::InProgress).0
    }

    #[test]
    fn ended_orders() {
        use LineKind::Hosting as H;
        use LineStatus::{Cancelled, Completed, Failed};
        assert_eq!(status_of(&[(H, Completed), (H, Completed)]), OrderStatus::Completed);
        assert_eq!(status_of(&[(H, Completed), (H, Failed)]), OrderStatus::Partial);
        assert_eq!(status_of(&[(H, Failed), (H, Failed)]), OrderStatus::Failed);
        assert_eq!(status_of(&[(H, Cancelled)]), OrderStatus::Cancelled);
    }

    #[test]
    fn attention_only_while_nothing_else_moves() {
        use LineKind::{Dns, DomainRegister, DomainTransfer, Hosting};
        use LineStatus::{Completed, Held, Pending, Provisioning};
        assert_eq!(status_of(&[(Hosting, Held), (Hosting, Provisioning)]), OrderStatus::InProgress);
        assert_eq!(status_of(&[(Hosting, Held), (Hosting, Completed)]), OrderStatus::Attention);
        // A line that waits for the held one is not moving, directly or through a third.
        assert_eq!(
            status_of(&[(DomainRegister, Held), (Hosting, Pending)]),
            OrderStatus::Attention
        );
        assert_eq!(
            status_of(&[(DomainRegister, Held), (Hosting, Pending), (Dns, Pending)]),
            OrderStatus::Attention
        );
        // Hosting does not wait for a transfer.
        assert_eq!(
            status_of(&[(DomainTransfer, Held), (Hosting, Pending)]),
            OrderStatus::InProgress
        );
    }

    #[test]
    fn a_name_is_one_name_in_whatever_spelling() {
        let named = |kind, name: Option<&str>| LineState {
            domain: name.map(str::to_owned),
            ..line(i32::from(kind == LineKind::Hosting), kind, LineStatus::Pending)
        };
        for (hosted, registered, waits) in [
            (Some("example.nl"), Some("example.nl"), true),
            (Some("example.nl"), Some("example.com"), false),
            (Some("b\u{fc}cher.example"), Some("xn--bcher-kva.example"), true),
            (Some("xn--bcher-kva.example"), Some("B\u{dc}CHER.example"), true),
            (Some("b\u{fc}cher.example"), Some("bucher.example"), false),
            (Some("-\u{fc}.example"), Some("-\u{f6}.example"), false),
            (None, None, false),
        ] {
            let hosting = named(LineKind::Hosting, hosted);
            let register = named(LineKind::DomainRegister, registered);
            let hindered = hosting.hindered_by(&register) == Hindrance::Waits;
            assert_eq!(hindered, waits, "{hosted:?} {registered:?}");
        }
    }

    #[test]
    fn doubt_calls_for_attention_only_past_its_grace() {
        let mut doubtful = line(0, LineKind::Hosting, LineStatus::InDoubt);
        let of = |line: &LineState| derive(std::slice::from_ref(line), OrderStatus::InProgress);
        assert_eq!(of(&doubtful).0, OrderStatus::InProgress);
        doubtful.past_grace = true;
        let (status, reason) = of(&doubtful);
        assert_eq!(status, OrderStatus::Attention);
        assert_eq!(reason.as_deref(), Some("line 0 (hosting) is in doubt: because"));
    }

    #[test]
    fn a_started_order_does_not_go_back() {
        let pending = [line(0, LineKind::Hosting, LineStatus::Pending)];
        assert_eq!(derive(&pending, OrderStatus::Accepted).0, OrderStatus::Accepted);
        assert_eq!(derive(&pending, OrderStatus::InProgress).0, OrderStatus::InProgress);
    }
}

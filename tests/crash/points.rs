//! Which line comes to which failpoint, and what it may leave behind there.

use std::fmt;

use provisor::failpoints::NAMES;

use crate::kinds::{Evidence, Kind};

/// What happens at a failpoint.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Action {
    /// SIGKILL, from the process itself.
    Kill,
    Panic,
    /// SIGTERM, from the process itself.
    Term,
}

impl Action {
    pub(crate) const ALL: [Self; 3] = [Self::Kill, Self::Panic, Self::Term];

    const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Panic => "panic",
            Self::Term => "term",
        }
    }
}

/// One crash: what happens where, for the how manieth time, to which kind of line.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Cell {
    pub(crate) point: &'static str,
    pub(crate) time: u32,
    pub(crate) action: Action,
    pub(crate) kind: Kind,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { point, time, action, kind } = self;
        write!(f, "{point}@{time} {action:?} {kind:?}")
    }
}

/// The failpoints that a daemon comes to with a line. Those of a command and of audits have tests of their own
/// (`resolving.rs`, `auditing.rs`).
pub(crate) fn of_daemons() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied().filter(|point| !is_of(point, &["resolve", "audit"]))
}

/// The first and, where a line comes there again with another purpose, the second time.
pub(crate) fn times(point: &str) -> &'static [u32] {
    if is_of(point, &["commit", "batch"]) { &[1, 2] } else { &[1] }
}

impl Cell {
    /// Whether a line of this kind comes to this failpoint.
    pub(crate) fn is_reached(self) -> bool {
        use Kind::{
            ContactCreate, ContactUpdate, Dns, Hosting, HostingOwn, RegisterForCustomer,
            RegisterTaken, Update,
        };
        let kind = self.kind;
        let has_effect = kind != RegisterTaken;
        let of_name = kind.brings_name() || kind == RegisterTaken;
        match self.point {
            "read.catalogue" => kind == Hosting,
            "read.tlds" | "read.offer" => of_name,
            "read.contacts" => matches!(kind, RegisterForCustomer | ContactCreate),
            "read.contact" => kind == ContactUpdate,
            "read.order" => kind.is_order(),
            "read.domain" => kind.brings_name() || kind == Update,
            "read.zone" => kind == Dns,
            "read.alternatives" => kind == RegisterTaken,
            // The doubt that is reviewed must last.
            _ if is_of(self.point, &["review", "evidence"]) => matches!(kind, Hosting | HostingOwn),
            _ if is_of(self.point, &["effect"]) => has_effect,
            _ if is_of(self.point, &["commit"]) => has_effect || self.time == 1,
            _ if is_of(self.point, &["wish"]) => kind.brings_name(),
            _ if is_of(self.point, &["customers", "email"]) => kind.is_shops(),
            _ => true,
        }
    }

    /// What the daemon is armed with: what leads to the failpoint, and what happens there.
    pub(crate) fn armed(self) -> String {
        let before = match self.point {
            "line.panicked" => "line.loaded=panic,",
            "presence.before_leaving" | "presence.left" => "line.recorded=term,",
            point if is_of(point, &["review", "evidence"]) => "effect.answer_read=panic,",
            _ => "",
        };
        format!("{before}{}={}@{}", self.point, self.action.word(), self.time)
    }

    /// The settings in which its daemons differ: Leanstack, whose requests take the same way as LJPc's, is used only where
    /// it is what matters.
    pub(crate) fn settings(self) -> &'static [(&'static str, &'static str)] {
        if self.kind == Kind::RegisterTaken || is_of(self.point, &["customers"]) {
            &[("LEANSTACK__ENABLED", "true")]
        } else {
            &[]
        }
    }

    /// Whether the operator may have to be asked about the line at the end; `sent`: LJPc has the request.
    pub(crate) fn may_be_in_doubt(self, sent: bool) -> bool {
        let left_open = match self.kind.evidence() {
            Evidence::OfOrder => true,
            Evidence::OfName => !sent,
            Evidence::Repeatable => false,
        };
        left_open && self.may_interrupt_request()
    }

    /// Whether the crash may come while a request's outcome is unknown.
    fn may_interrupt_request(self) -> bool {
        let under_way = self.point.strip_prefix("effect.").is_some_and(|place| {
            !matches!(place, "prepared" | "permitted" | "connected" | "recorded")
        });
        // What runs beside the line meets it anywhere.
        let is_beside = is_of(self.point, &["queue", "presence", "house", "customers", "sites"]);
        match self.action {
            _ if is_of(self.point, &["review", "evidence"]) => true,
            // A daemon that drains waits for its answers.
            Action::Term => false,
            Action::Kill => under_way || is_beside || is_of(self.point, &["commit", "batch"]),
            // Of these the process dies, being of no use without them.
            Action::Panic => under_way || is_of(self.point, &["queue", "presence"]),
        }
    }
}

/// Whether the failpoint belongs to one of these groups.
pub(crate) fn is_of(point: &str, groups: &[&str]) -> bool {
    point.split_once('.').is_some_and(|(group, _)| groups.contains(&group))
}

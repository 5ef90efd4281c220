//! What the audit concludes: pure functions of what is wished, what was seen upstream, and the time.
//!
//! The audit is a reconciler (docs: ARCHITECTURE.md, "The audit"). It takes no input; what is here says what one asset's
//! readings mean, and never concludes from what could not be read. Nothing here reads a clock or does anything.

mod assess_domain;
mod brake;
mod domain;
mod finding;
mod price;
mod reminder;
mod renewal;
mod run;
mod schedule;
mod site;
mod status;

pub use assess_domain::{assess_domain, is_usual};
pub use brake::{Brake, Weight, is_too_much};
pub use domain::{
    DetailReading, DomainAsset, DomainMemory, DomainView, Listed, Look, Missing, Settings, day,
    remember, wants_look,
};
pub use finding::{Assessment, Finding, FindingKind, Severity};
pub use price::{PricedLine, assess_price};
pub use reminder::{
    Due, Outcome, PastReminder, Reminding, assess_reminders, due_reminder, of_expiry,
};
pub use renewal::{LastSafe, is_in_time, last_safe};
pub use run::{RunKind, Stage};
pub use schedule::{Schedule, UnusableSchedule};
pub use site::{ListedSite, SiteAsset, SiteReading, SiteView, assess_site};

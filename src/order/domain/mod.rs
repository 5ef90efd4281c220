//! What is known of names: their endings, what they cost, who registers them, how they stand, and their DNS records.

mod contact_change;
mod offer;
mod records;
mod registrant;
mod seen;
mod tld;

pub use contact_change::ContactChange;
pub use offer::{Alternative, Availability, Offer, Price, Purpose, Verdict, judge};
pub use records::{Record, RecordDiff, RecordFault, check_records, diff_records};
pub use registrant::{Registrant, UpstreamContact};
pub use seen::{DomainChange, DomainSeen, Transfer, transfer_of};
pub use tld::{SplitName, Tld, split};

//! The pure core: what an order is, how its lines move, what the ledger allows, what
//! comes next. No I/O, no clock.

pub mod decide;
pub mod domain;
pub mod doubt;
pub mod effect;
pub mod facts;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
pub mod ids;
pub mod kinds;
pub mod ledger;
mod line;
mod money;
pub mod name;
pub mod outcome;
pub mod rehearsal;
pub mod resolution;
pub mod status;
mod text_enum;
pub mod wish;

pub use ids::{
    ContactHandle, CustomerId, EffectId, EmailId, LineId, OrderId, Reference, SiteId, Tag,
    UpstreamOrderId,
};
pub use line::{Cause, LineKind, LineStatus, Milestone};
pub use money::Money;
pub use status::OrderStatus;
pub use text_enum::UnknownName;
pub(crate) use text_enum::text_enum;

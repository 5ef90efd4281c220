//! The pure core: what an order is, how its lines move, what the ledger allows, what comes next. No I/O, no clock.

pub mod ids;
pub mod money;

pub use ids::{EffectId, EmailId, LineId, OrderId, Reference, SiteId, Tag, UpstreamOrderId};
pub use money::Money;

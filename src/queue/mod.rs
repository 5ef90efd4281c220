//! The queue engine: claim, watermark, lease, fence, group commit, schedule. It knows no order words.
//!
//! Architecture invariant: nothing that may be sent upstream is claimed before there is a slot to run it and, where the
//! lane goes to an upstream, a request left in the budget.

pub mod alarm;
pub mod backoff;
pub mod batch;
pub mod budget;
pub mod crowd;
pub mod engine;
mod fetcher;
pub mod listen;
pub mod presence;
mod share;
mod watermark;

pub use alarm::Alarm;
pub use backoff::Schedule;
pub use batch::{Batcher, Grouping, Unanswered};
pub use budget::Budget;
pub use crowd::Crowd;
pub use engine::{Claim, Engine, EngineSettings, Gate, Handler, Observer, Parts, Ran, Turned};
pub use presence::Presence;

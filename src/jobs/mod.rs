//! The handlers, one file each: load, act, record.
//!
//! Architecture invariant: no database transaction is open while a request to the outside is.
//!
//! | kind of wake | handler |
//! |---|---|
//! | 1, a line | [`carry_out_line`] |
//! | 2, an email | [`send_email`] |
//! | 3, an order | [`review_order`] |
//! | 5, a schedule | [`keep_house`] |
//!
//! Kind 4 is a domain's, for the audit to come.

pub mod carry_out_line;
pub mod guest;
pub mod keep_house;
pub mod ledger;
pub mod review_order;
pub mod send_email;

use crate::db::wakes::WakeId;

/// The kind of a line's wake.
pub const LINE: u8 = 1;
/// The kind of an email's wake.
pub const EMAIL: u8 = 2;
/// The kind of an order's wake.
pub const ORDER: u8 = 3;
/// The kind of a schedule's wake.
pub const SCHEDULE: u8 = 5;

/// The wake of [`keep_house`].
pub const HOUSE_WAKE: WakeId = WakeId::new(SCHEDULE, 1);

/// The names of all handlers, as the metrics have them.
pub const NAMES: &[&str] = &["line", "email", "order", "keep_house"];

//! The handlers, one file each: load, act, record.
//!
//! Architecture invariant: no database transaction is open while a request to the outside is.
//!
//! | kind of wake | handler |
//! |---|---|
//! | 1, a line | [`carry_out_line`] |
//! | 2, an email | [`send_email`] |
//! | 3, an order | [`review_order`] |
//! | 4, a name | [`keep_wish`] |
//! | 5, a schedule | [`keep_house`] |
//! | 6, a schedule | [`sync_customers`] |
//! | 7, a schedule | [`list_sites`] |
//! | 8, a schedule | [`run_audit`], by the steps of [`audit`] |

pub mod audit;
pub mod carry_out_line;
pub mod guest;
pub mod keep_house;
pub mod keep_wish;
pub mod ledger;
pub mod list_sites;
pub mod review_order;
pub mod run_audit;
pub mod send_email;
pub mod sync_customers;

use crate::db::wakes::WakeId;

/// The kind of a line's wake.
pub const LINE: u8 = 1;
/// The kind of an email's wake.
pub const EMAIL: u8 = 2;
/// The kind of an order's wake.
pub const ORDER: u8 = 3;
/// The kind of a name's wake.
pub const NAME: u8 = 4;
/// The kind of the house's wake.
pub const HOUSE: u8 = 5;
/// The kind of the wake that makes customers known.
pub const CUSTOMERS: u8 = 6;
/// The kind of the wake that lists the sites.
pub const SITES: u8 = 7;
/// The kind of the wake that runs the audit.
pub const AUDIT: u8 = 8;

/// The wake of [`keep_house`].
pub const HOUSE_WAKE: WakeId = WakeId::new(HOUSE, 1);
/// The wake of [`sync_customers`].
pub const CUSTOMERS_WAKE: WakeId = WakeId::new(CUSTOMERS, 1);
/// The wake of [`list_sites`].
pub const SITES_WAKE: WakeId = WakeId::new(SITES, 1);
/// The wake of [`run_audit`].
pub const AUDIT_WAKE: WakeId = WakeId::new(AUDIT, 1);

/// The names of all handlers, as the metrics have them.
pub const NAMES: &[&str] = &[
    "line",
    "email",
    "order",
    "keep_wish",
    "keep_house",
    "sync_customers",
    "list_sites",
    "run_audit",
];

//! The kinds of lines, a file each: what comes first, what comes next.

pub(super) mod arrival;
pub mod catalogue;
pub(super) mod contact;
pub(super) mod dns;
pub(super) mod hosting;
mod making;
pub mod poll;
pub(super) mod purchase;
mod setting;
pub(super) mod update;

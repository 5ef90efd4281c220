//! The settings: compiled-in defaults, files, the environment. Strict, and all errors at once.
//!
//! Data goes one way: [`Sources`] says what there is, `layers` lays it over one another as raw values that still know
//! their source, `reader` turns each raw value into its type, `sections` names every key and its bounds, `checks` holds
//! what concerns two keys at once. Nothing here reads the process's environment except [`Sources::from_process`].
//!
//! Architecture invariants: a value never stands in an error unless its type makes a secret impossible (a number, a
//! duration, a flag, a word out of a list), and a secret's value stands in no error, no Debug output and no explanation.

mod address;
mod checks;
mod duration;
mod error;
mod files;
mod keys;
mod layers;
mod reader;
mod reference;
mod secret;
mod sections;
mod settings;
mod sources;
mod urls;

pub use address::Mailbox;
pub use duration::{DurationError, parse_duration};
pub use error::{ConfigError, ConfigErrors, Origin};
pub use reference::reference;
pub use secret::Secret;
pub use settings::{
    Audit, Database, Email, Explained, Http, Leanstack, LeanstackContract, Ljpc, Log, LogFormat,
    Need, Poll, Queue, Settings, Trace, load, load_despite,
};
pub use sources::Sources;

/// The compiled-in defaults, as a file that can be printed and edited.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// The templates that `email.disabled` may name (contract, "Emails").
pub const EMAIL_TEMPLATES: &[&str] = &[
    "order_received",
    "order_progress",
    "order_completed",
    "order_partial",
    "order_failed",
    "order_delayed",
    "domain_expiring",
    "domain_expired",
    "ops_attention",
    "ops_audit",
];

#[cfg(test)]
mod tests;

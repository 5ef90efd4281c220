//! Emails: templates, messages, SMTP. The only lettre.
//!
//! A mail passes through this floor in one direction: what is to be told ([`Context`]) is rendered
//! ([`Templates`]) into text and HTML, composed ([`compose`]) into bytes that are the same at every
//! attempt, and sent ([`Mailer`]) with an error that says in which phase it failed.

mod built_in;
pub mod clean;
pub mod context;
pub mod message;
pub mod sample;
pub mod smtp;
pub mod template;

pub use clean::clean_header;
pub use context::{
    Alternative, Audit, Context, Customer, CustomerReason, DomainNotice, Finding, Line, Ops, Order,
};
pub use message::{Address, Composed, MessageError, compose};
pub use smtp::{
    Deadlines, Kind, Mailer, Phase, SendError, SentReceipt, SettingsError, SmtpPool, SmtpSettings,
};
pub use template::{Locale, Rendered, TemplateError, TemplateName, Templates};

//! Whose order it is: the customer of what an operator orders.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::input::read_json;
use crate::{
    cli::{Failed, output::cell},
    config::Settings,
};

/// Who is the customer.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Whose {
    /// The customer, JSON as in an order document; `-` for standard input. It gets the order's emails, and a name without
    /// --contact-handle gets its WHOIS contact. Else it is the operator: `email.ops_to`, or `email.from`.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) customer: Option<PathBuf>,
}

impl Whose {
    /// The customer for the order's document.
    pub(in crate::cli) fn customer(&self, settings: &Settings) -> Result<Value, Failed> {
        match &self.customer {
            Some(file) => Ok(read_json(file)?),
            None => operator(settings),
        }
    }
}

/// The operator as the customer of his own orders: their emails are his.
pub(in crate::cli) fn operator(settings: &Settings) -> Result<Value, Failed> {
    let mailbox = settings.email.ops_to.first().or(settings.email.from.as_ref());
    let mailbox = mailbox.ok_or_else(|| {
        Failed::Usage(
            "the order needs an address for its emails: set email.ops_to (PROVISOR_EMAIL__OPS_TO) or email.from"
                .to_owned(),
        )
    })?;
    Ok(json!({
        "reference": "operator", "first_name": "Provisor", "last_name": "Operator", "email": mailbox.address,
    }))
}

/// Whose order it is, for whoever agrees to it.
pub(super) fn told(customer: &Value) -> String {
    let text = |key: &str| customer.get(key).and_then(Value::as_str);
    let who = text("reference").map_or("a customer of this order alone".to_owned(), |reference| {
        format!("the customer {reference}")
    });
    format!("The order is of {who}; its emails go to {}.", cell(text("email")))
}

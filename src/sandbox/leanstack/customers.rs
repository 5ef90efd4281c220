//! `POST /v1/enterprise/add_customer`, or `…/customer` in the edition of 2022: `{}` is success.

use std::collections::HashSet;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Refused, required};
use crate::sandbox::{ljpc::answer::Answer, state::World};

const EXISTS: &str = "Customer already exists for organisation";
const COUNTRY_CHARS: usize = 2;

/// A customer as the sandbox tells a test about it.
#[derive(Clone, Debug, Serialize)]
pub struct CustomerSeen {
    /// As it was sent.
    pub first_name: String,
    /// As it was sent.
    pub last_name: String,
    /// As it was sent.
    pub email: String,
    /// Digits with the country code.
    pub phone: String,
    /// As it was sent.
    pub address: String,
    /// Two characters.
    pub country: String,
    /// As it was sent.
    pub city: String,
    /// `postcode`, or `post_code` in the edition of 2022.
    pub postcode: String,
}

/// All customers, in the order in which they came.
#[derive(Debug)]
pub(in crate::sandbox) struct Customers {
    rows: Vec<CustomerSeen>,
    emails: HashSet<String>,
    rows_max: usize,
}

impl Customers {
    pub(in crate::sandbox) fn new(rows_max: usize) -> Self {
        Self { rows: Vec::new(), emails: HashSet::new(), rows_max }
    }

    /// Enters a customer, known by its email.
    fn add(&mut self, customer: CustomerSeen) -> Result<(), Refused> {
        let email = customer.email.to_lowercase();
        if self.emails.contains(&email) {
            // The document shows the message beside `{}`, under no other status.
            return Err(Refused { status: StatusCode::OK, message: EXISTS.into() });
        }
        if self.rows.len() >= self.rows_max {
            let message =
                format!("the sandbox holds {} customers, which is its most", self.rows_max);
            return Err(Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: message.into(),
            });
        }
        self.emails.insert(email);
        self.rows.push(customer);
        Ok(())
    }

    pub(in crate::sandbox) fn all(&self) -> &[CustomerSeen] {
        &self.rows
    }
}

/// Adds a customer; its postal code is named as the edition has it.
pub(super) fn add(world: &World, body: &Value, postcode: &str) -> Result<Answer, Refused> {
    let part = |name: &'static str| {
        body.get(name).filter(|part| part.is_object()).ok_or(invalid(name, "missing"))
    };
    let (customer, contact) = (part("customer")?, part("contact")?);
    let read = CustomerSeen {
        first_name: required(customer, "first_name")?.to_owned(),
        last_name: required(customer, "last_name")?.to_owned(),
        email: required(customer, "email")?.to_owned(),
        phone: required(customer, "phone")?.to_owned(),
        address: required(contact, "address")?.to_owned(),
        country: required(contact, "country")?.to_owned(),
        city: required(contact, "city")?.to_owned(),
        postcode: required(contact, postcode)?.to_owned(),
    };
    if !read.email.contains('@') {
        return Err(invalid("email", "invalid"));
    }
    // The document's example is `2349018191818`: digits alone, the country code among them.
    if !read.phone.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("phone", "invalid"));
    }
    if read.country.chars().count() != COUNTRY_CHARS {
        return Err(invalid("country", "invalid"));
    }
    world.customers().add(read)?;
    Ok(Answer::raw(StatusCode::OK, &Map::new()))
}

fn invalid(field: &str, what: &str) -> Refused {
    let message = format!("{field} is {what}").into();
    Refused { status: StatusCode::UNPROCESSABLE_ENTITY, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(email: &str) -> CustomerSeen {
        CustomerSeen {
            first_name: "Bob".into(),
            last_name: "Brown".into(),
            email: email.into(),
            phone: "31612345678".into(),
            address: "Teststreet 1".into(),
            country: "NL".into(),
            city: "Testcity".into(),
            postcode: "1234AB".into(),
        }
    }

    #[test]
    fn an_email_is_one_customer_however_it_is_written() {
        let mut customers = Customers::new(5);
        customers.add(customer("bob@example.com")).unwrap();
        let again = customers.add(customer("BOB@example.com")).unwrap_err();
        assert_eq!((again.status, again.message.as_ref()), (StatusCode::OK, EXISTS));
        assert_eq!(customers.all().len(), 1);
    }

    #[test]
    fn the_number_of_customers_is_bounded() {
        let mut customers = Customers::new(1);
        customers.add(customer("bob@example.com")).unwrap();
        let refused = customers.add(customer("eve@example.com")).unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(customers.all().len(), 1);
    }
}

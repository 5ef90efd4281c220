//! Who registers a name: the WHOIS contact that a customer's order asks for, and whether one upstream is the same.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The customer as an order names him, as far as a WHOIS contact needs it. Personal data: its Debug shows nothing.
#[derive(Clone, Eq, PartialEq)]
pub struct Registrant {
    /// First and last name.
    pub name: String,
    /// If it is one.
    pub organization: Option<String>,
    /// Street and number.
    pub address: String,
    /// Postal code.
    pub postal_code: String,
    /// City.
    pub city: String,
    /// ISO 3166, two letters.
    pub country: String,
    /// Email address.
    pub email: String,
    /// E.164, with its plus.
    pub phone: String,
}

/// A contact as LJPc shows it (GET /api/hosting/v1/contacts). Personal data: its Debug shows the handle alone.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct UpstreamContact {
    /// By which it is named.
    pub handle: String,
    /// First and last name, or an organization's.
    pub name: Option<String>,
    /// The address, in lines.
    pub address: Vec<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// City.
    pub city: Option<String>,
    /// ISO 3166, two letters.
    pub country: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Phone: `+31.612345678`.
    pub voice: Option<String>,
    /// If it is one.
    pub organization: Option<String>,
}

/// A line that makes a WHOIS contact.
#[derive(Deserialize)]
struct ContactDocument {
    name: String,
    organization: Option<String>,
    address: String,
    postal_code: String,
    city: String,
    country: String,
    email: String,
    phone: String,
}

impl Registrant {
    /// Reads the customer of an order's document. `None` where it lacks what a WHOIS contact needs; the database has
    /// demanded that where a contact is needed.
    #[must_use]
    pub fn of_customer(customer: &Value) -> Option<Self> {
        let text = |key: &str| {
            customer.get(key).and_then(Value::as_str).map(str::to_owned).filter(|t| !t.is_empty())
        };
        Some(Self {
            name: format!("{} {}", text("first_name")?, text("last_name")?),
            organization: text("organization"),
            address: text("address")?,
            postal_code: text("postal_code")?,
            city: text("city")?,
            country: text("country")?,
            email: text("email")?,
            phone: text("phone")?,
        })
    }

    /// Reads a line that makes a WHOIS contact, which says all of it by itself.
    pub fn of_contact(line: &Value) -> Result<Self, serde_json::Error> {
        let ContactDocument {
            name,
            organization,
            address,
            postal_code,
            city,
            country,
            email,
            phone,
        } = ContactDocument::deserialize(line)?;
        let organization = organization.filter(|text| !text.is_empty());
        Ok(Self { name, organization, address, postal_code, city, country, email, phone })
    }

    /// A contact as LJPc shows it; empty where it shows nothing.
    pub(super) fn shown_by(contact: &UpstreamContact) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            name: text(&contact.name),
            organization: contact.organization.clone(),
            address: contact.address.join(" "),
            postal_code: text(&contact.postal_code),
            city: text(&contact.city),
            country: text(&contact.country),
            email: text(&contact.email),
            phone: text(&contact.voice),
        }
    }

    /// SHA-256 of all fields as they are compared: what makes two contacts of one customer the same.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for field in self.compared() {
            hash.update(field);
            // No field holds a zero octet, so none can run into the next.
            hash.update([0]);
        }
        hash.finalize().into()
    }

    /// Whether a contact upstream is this one, field by field. What it does not show is not equal.
    #[must_use]
    pub fn is(&self, contact: &UpstreamContact) -> bool {
        self.compared() == Self::shown_by(contact).compared()
    }

    /// The fields without what registries change on the way: spaces, case where it means nothing, dots in numbers.
    pub(super) fn compared(&self) -> [String; 8] {
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let packed = |text: &str| text.split_whitespace().collect::<String>().to_uppercase();
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        [
            spaced(&self.name),
            spaced(self.organization.as_deref().unwrap_or_default()),
            spaced(&self.address.replace(',', " ")),
            packed(&self.postal_code),
            spaced(&self.city),
            packed(&self.country),
            spaced(&self.email).to_lowercase(),
            digits(&self.phone),
        ]
    }
}

impl fmt::Debug for Registrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrant").finish_non_exhaustive()
    }
}

impl fmt::Debug for UpstreamContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamContact").field("handle", &self.handle).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bob() -> Registrant {
        Registrant::of_customer(&json!({
            "first_name": "Bob", "last_name": "Brown", "email": "bob@example.com",
            "phone": "+31612345678", "address": "Teststreet 1", "postal_code": "1234AB",
            "city": "Testcity", "country": "NL",
        }))
        .unwrap()
    }

    fn upstream() -> UpstreamContact {
        UpstreamContact {
            handle: "h-1".to_owned(),
            name: Some("Bob Brown".to_owned()),
            address: vec!["Teststreet 1".to_owned()],
            postal_code: Some("1234 ab".to_owned()),
            city: Some("Testcity".to_owned()),
            country: Some("nl".to_owned()),
            email: Some("Bob@Example.com".to_owned()),
            voice: Some("+31.612345678".to_owned()),
            organization: None,
        }
    }

    #[test]
    fn what_registries_change_makes_no_difference() {
        assert!(bob().is(&upstream()));
        let wordy = UpstreamContact {
            name: Some(" Bob  Brown ".to_owned()),
            organization: Some(String::new()),
            voice: Some("+31612345678".to_owned()),
            address: vec!["Teststreet".to_owned(), "1".to_owned()],
            ..upstream()
        };
        assert!(bob().is(&wordy));
    }

    #[test]
    fn any_other_field_is_another_contact() {
        let others: [fn(&mut UpstreamContact); 9] = [
            |c| c.name = Some("Rob Brown".to_owned()),
            |c| c.organization = Some("Brown Ltd".to_owned()),
            |c| c.address = vec!["Teststreet 11".to_owned()],
            |c| c.postal_code = None,
            |c| c.city = Some("Testville".to_owned()),
            |c| c.country = Some("BE".to_owned()),
            |c| c.email = Some("bob@example.net".to_owned()),
            |c| c.voice = Some("+31.612345679".to_owned()),
            |c| c.voice = None,
        ];
        for change in others {
            let mut other = upstream();
            change(&mut other);
            assert!(!bob().is(&other));
        }
    }

    #[test]
    fn the_fingerprint_is_of_what_is_compared() {
        let shouted = Registrant { email: "BOB@example.com".to_owned(), ..bob() };
        assert_eq!(bob().fingerprint(), shouted.fingerprint());
        let moved = Registrant { address: "Teststreet 2".to_owned(), ..bob() };
        assert_ne!(bob().fingerprint(), moved.fingerprint());
        // No field runs into its neighbour.
        let a = Registrant { name: "A B".to_owned(), organization: Some("C".to_owned()), ..bob() };
        let b = Registrant { name: "A".to_owned(), organization: Some("B C".to_owned()), ..bob() };
        assert_ne!(a.fingerprint(), b.fingerprint());
    }

    #[test]
    fn a_customer_without_an_address_is_no_registrant() {
        let customer =
            json!({ "first_name": "Bob", "last_name": "Brown", "email": "b@example.com" });
        assert_eq!(Registrant::of_customer(&customer), None);
    }

    #[test]
    fn nothing_personal_is_shown() {
        let shown = format!("{:?} {:?}", bob(), upstream());
        assert!(!shown.contains("Bob") && !shown.contains("example"), "{shown}");
    }
}

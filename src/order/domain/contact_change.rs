//! What is wished of a WHOIS contact, and what of it is not so yet.

use std::fmt;

use serde::Deserialize;

use super::{Registrant, UpstreamContact};

/// The fields of a WHOIS contact that are to be changed (LJPc, PATCH /api/hosting/v1/contacts/{handle}). What is `None`
/// stays as it is. Personal data: its Debug shows the names of the fields alone.
#[derive(Clone, Default, Deserialize, Eq, PartialEq)]
pub struct ContactChange {
    /// First and last name, or an organization's.
    pub name: Option<String>,
    /// Empty: none any more.
    pub organization: Option<String>,
    /// Street and number.
    pub address: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// City.
    pub city: Option<String>,
    /// ISO 3166, two letters.
    pub country: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// E.164, with its plus.
    pub phone: Option<String>,
}

impl ContactChange {
    /// Nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What of this is not so yet, by what registries leave as it is: case, spaces and dots make no difference.
    #[must_use]
    pub fn missing_in(&self, contact: &UpstreamContact) -> Self {
        let theirs = Registrant::shown_by(contact);
        let wished = self.over(theirs.clone()).compared();
        let mut differs =
            theirs.compared().into_iter().zip(wished).map(|(theirs, wished)| theirs != wished);
        // In the order of `compared`.
        let mut missing = |field: &Option<String>| {
            let is_missing = differs.next().unwrap_or(true);
            field.clone().filter(|_| is_missing)
        };
        Self {
            name: missing(&self.name),
            organization: missing(&self.organization),
            address: missing(&self.address),
            postal_code: missing(&self.postal_code),
            city: missing(&self.city),
            country: missing(&self.country),
            email: missing(&self.email),
            phone: missing(&self.phone),
        }
    }

    /// A contact after the change.
    fn over(&self, before: Registrant) -> Registrant {
        let or = |wished: &Option<String>, before: String| wished.clone().unwrap_or(before);
        Registrant {
            name: or(&self.name, before.name),
            organization: self.organization.clone().or(before.organization),
            address: or(&self.address, before.address),
            postal_code: or(&self.postal_code, before.postal_code),
            city: or(&self.city, before.city),
            country: or(&self.country, before.country),
            email: or(&self.email, before.email),
            phone: or(&self.phone, before.phone),
        }
    }

    /// The contact after the change, as LJPc would show it.
    #[must_use]
    pub fn applied_to(&self, contact: &UpstreamContact) -> UpstreamContact {
        let after = self.over(Registrant::shown_by(contact));
        UpstreamContact {
            handle: contact.handle.clone(),
            name: Some(after.name),
            address: vec![after.address],
            postal_code: Some(after.postal_code),
            city: Some(after.city),
            country: Some(after.country),
            email: Some(after.email),
            voice: Some(after.phone),
            organization: after.organization,
        }
    }

    /// The fields that it changes, as the API's document names them.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        [
            ("name", &self.name),
            ("organization", &self.organization),
            ("address", &self.address),
            ("postal_code", &self.postal_code),
            ("city", &self.city),
            ("country", &self.country),
            ("email", &self.email),
            ("voice", &self.phone),
        ]
        .into_iter()
        .filter_map(|(field, wished)| wished.is_some().then_some(field))
        .collect()
    }
}

impl fmt::Debug for ContactChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown() -> UpstreamContact {
        UpstreamContact {
            handle: "h-1".to_owned(),
            name: Some("Bob Brown".to_owned()),
            address: vec!["Teststreet 1".to_owned()],
            postal_code: Some("1234AB".to_owned()),
            city: Some("Testcity".to_owned()),
            country: Some("NL".to_owned()),
            email: Some("bob@example.com".to_owned()),
            voice: Some("+31.612345678".to_owned()),
            organization: None,
        }
    }

    fn change(fields: Value) -> ContactChange {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn only_what_differs_is_changed() {
        let wished = change(json!({
            "name": "Bob  Brown", "organization": "", "address": "Teststreet 2", "postal_code": "1234 ab",
            "city": "Testcity", "country": "nl", "email": "new@example.com", "phone": "+31612345678" }));
        let missing = wished.missing_in(&shown());
        assert_eq!(missing.fields(), ["address", "email"]);
        assert_eq!(missing.email.as_deref(), Some("new@example.com"));
        assert!(ContactChange::default().missing_in(&shown()).is_empty());
    }

    #[test]
    fn each_field_is_compared_with_its_own() {
        for field in ["name", "organization", "address", "postal_code", "city", "country", "email"]
        {
            let wished = change(json!({ field: "Xy" }));
            assert_eq!(wished.missing_in(&shown()).fields(), [field]);
            assert!(wished.missing_in(&wished.applied_to(&shown())).is_empty(), "{field}");
        }
        let wished = change(json!({ "phone": "+31612345679" }));
        assert_eq!(wished.missing_in(&shown()).fields(), ["voice"]);
    }

    #[test]
    fn nothing_personal_is_shown() {
        let change = change(json!({ "email": "bob@example.com" }));
        assert_eq!(format!("{change:?}"), "[\"email\"]");
    }
}

//! The contacts that there are.

use std::collections::HashMap;

use serde::Serialize;

use crate::sandbox::ljpc::input::Refused;

/// The contact of the account itself, on which orders register their names: their cart item has no handle.
const ACCOUNT_HANDLE: &str = "sandbox-account";

/// A contact as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactSeen {
    /// Always `default`.
    pub brand: &'static str,
    /// The person.
    pub name: String,
    /// The address, which is written as one text.
    pub address_line: Vec<String>,
    /// As it was written.
    pub postal_code: Option<String>,
    /// As it was written.
    pub city: Option<String>,
    /// Two characters.
    pub country: String,
    /// As it was written.
    pub email: Option<String>,
    /// With a dot behind the country code, however it was written: `+31.612345678`.
    pub voice: Option<String>,
    /// As it was written.
    pub organization: Option<String>,
    /// By which it is known.
    pub handle: String,
}

/// What a request writes; `None` was not given.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
    pub(super) country: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) postal_code: Option<String>,
    pub(super) city: Option<String>,
    pub(super) email: Option<String>,
    pub(super) voice: Option<String>,
}

impl ContactSeen {
    fn empty(handle: String) -> Self {
        Self {
            brand: "default",
            name: String::new(),
            address_line: Vec::new(),
            postal_code: None,
            city: None,
            country: String::new(),
            email: None,
            voice: None,
            organization: None,
            handle,
        }
    }

    pub(super) fn apply(&mut self, written: Written) {
        let Written { name, address, country, organization, postal_code, city, email, voice } =
            written;
        if let Some(name) = name {
            self.name = name;
        }
        if let Some(address) = address {
            self.address_line = vec![address];
        }
        if let Some(country) = country {
            self.country = country;
        }
        for (held, given) in [
            (&mut self.organization, organization),
            (&mut self.postal_code, postal_code),
            (&mut self.city, city),
            (&mut self.email, email),
            (&mut self.voice, voice),
        ] {
            if given.is_some() {
                *held = given;
            }
        }
    }
}

/// All contacts, in the order in which they came.
#[derive(Debug)]
pub(in crate::sandbox) struct Contacts {
    rows: Vec<ContactSeen>,
    places: HashMap<String, usize>,
    rows_max: usize,
    /// How many were asked for.
    pub(in crate::sandbox) created: usize,
}

impl Contacts {
    pub(in crate::sandbox::ljpc) fn new(rows_max: usize) -> Self {
        Self { rows: Vec::new(), places: HashMap::new(), rows_max, created: 0 }
    }

    /// Makes a contact, and names it.
    pub(super) fn create(&mut self, written: Written) -> Result<String, Refused> {
        if self.created >= self.rows_max {
            return Err(Refused::full("contacts", self.rows_max));
        }
        self.created = self.created.saturating_add(1);
        let mut contact = ContactSeen::empty(format!("sandbox-{:04}", self.created));
        contact.apply(written);
        Ok(self.add(contact))
    }

    /// The account's own contact, made when it is first needed.
    pub(in crate::sandbox) fn account(&mut self) -> String {
        if !self.owns(ACCOUNT_HANDLE) {
            let mut contact = ContactSeen::empty(ACCOUNT_HANDLE.to_owned());
            contact.apply(Written {
                name: Some("Example Reseller".to_owned()),
                address: Some("Teststreet 1".to_owned()),
                country: Some("NL".to_owned()),
                email: Some("reseller@example.com".to_owned()),
                ..Written::default()
            });
            self.add(contact);
        }
        ACCOUNT_HANDLE.to_owned()
    }

    fn add(&mut self, contact: ContactSeen) -> String {
        let handle = contact.handle.clone();
        self.places.insert(handle.clone(), self.rows.len());
        self.rows.push(contact);
        handle
    }

    /// Whether the handle is one of ours.
    pub(in crate::sandbox::ljpc) fn owns(&self, handle: &str) -> bool {
        self.places.contains_key(handle)
    }

    pub(super) fn get(&self, handle: &str) -> Option<&ContactSeen> {
        self.rows.get(*self.places.get(handle)?)
    }

    pub(super) fn get_mut(&mut self, handle: &str) -> Option<&mut ContactSeen> {
        self.rows.get_mut(*self.places.get(handle)?)
    }

    pub(in crate::sandbox) fn all(&self) -> impl Iterator<Item = &ContactSeen> {
        self.rows.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_contacts_is_bounded() {
        let mut contacts = Contacts::new(2);
        for _ in 0..2 {
            contacts.create(Written::default()).unwrap();
        }
        let refused = contacts.create(Written::default()).unwrap_err();
        assert_eq!(refused.status, http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((contacts.all().count(), contacts.created), (2, 2));
    }

    #[test]
    fn the_account_has_one_contact_however_often_it_is_asked_for() {
        let mut contacts = Contacts::new(0);
        assert_eq!(contacts.account(), contacts.account());
        assert_eq!((contacts.all().count(), contacts.created), (1, 0));
        assert!(contacts.owns(ACCOUNT_HANDLE) && !contacts.owns("sandbox-0001"));
    }
}

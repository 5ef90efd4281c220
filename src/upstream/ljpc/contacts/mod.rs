//! /api/hosting/v1/contacts: WHOIS contacts. They are read with `addressLine`, an array, and written with `address`, one
//! text. None can be deleted, and none is recognised as the same as another.

mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use write::{CreateContact, CreatedContact, UpdateContact};

#[cfg(any(test, fuzzing))]
pub(super) use self::write::{read_created, read_updated};
use super::{
    Ljpc, endpoints,
    envelope::payload,
    pages::{PER_PAGE, Page, all_pages},
    wire::{lenient, lenient_or_default},
};
use crate::upstream::{
    Answer, UpstreamError,
    answer::{BODY_BYTES_MAX, LISTING_BYTES_MAX},
};

/// A WHOIS contact as upstream keeps it: personal data, all but its handle.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub struct Contact {
    /// What a domain names.
    pub handle: String,
    /// `default`.
    #[serde(default, deserialize_with = "lenient")]
    pub brand: Option<String>,
    /// Of a person.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Of a company.
    #[serde(default, deserialize_with = "lenient")]
    pub organization: Option<String>,
    /// Street and number.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub address_line: Vec<String>,
    /// As upstream writes it.
    #[serde(default, deserialize_with = "lenient")]
    pub postal_code: Option<String>,
    /// As upstream writes it.
    #[serde(default, deserialize_with = "lenient")]
    pub city: Option<String>,
    /// Two letters.
    #[serde(default, deserialize_with = "lenient")]
    pub country: Option<String>,
    /// As upstream writes it.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// A telephone number, a dot behind its country code: `+31.612345678`.
    #[serde(default, deserialize_with = "lenient")]
    pub voice: Option<String>,
}

impl fmt::Debug for Contact {
    /// The handle alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").field("handle", &self.handle).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Listing {
    contacts: Vec<Contact>,
    total: u64,
}

impl Ljpc {
    /// One page of up to 100 contacts, from 1.
    pub async fn contacts(&self, page: u32) -> Result<Vec<Contact>, UpstreamError> {
        self.contacts_page(page).await.map(|page| page.items)
    }

    /// All contacts by their handles, or an error; never a part.
    pub async fn all_contacts(&self) -> Result<Vec<Contact>, UpstreamError> {
        let key = |contact: &Contact| contact.handle.clone();
        all_pages(&endpoints::LIST_CONTACTS, |page| self.contacts_page(page), key).await
    }

    /// One contact. One that is unknown or somebody else's is `Rejected` with 404.
    ///
    /// # Errors
    /// `NotSent` also for a handle that no path can hold, `""`, `.` and `..`: no contact has one.
    pub async fn contact(&self, handle: &str) -> Result<Contact, UpstreamError> {
        let endpoint = &endpoints::GET_CONTACT;
        let path = endpoint.path_of(handle).map_err(UpstreamError::not_sent)?;
        self.get(endpoint, &path, BODY_BYTES_MAX, |answer| read(handle, answer)).await
    }

    async fn contacts_page(&self, page: u32) -> Result<Page<Contact>, UpstreamError> {
        let endpoint = &endpoints::LIST_CONTACTS;
        let path = format!("{}?page={page}&per_page={PER_PAGE}", endpoint.template());
        self.get(endpoint, &path, LISTING_BYTES_MAX, read_page).await
    }
}

pub(super) fn read_page(answer: &Answer) -> Result<Page<Contact>, UpstreamError> {
    let Listing { contacts, total } = payload(&endpoints::LIST_CONTACTS, answer)?.parse()?;
    Ok(Page { items: contacts, total, unread: 0 })
}

pub(super) fn read(handle: &str, answer: &Answer) -> Result<Contact, UpstreamError> {
    let payload = payload(&endpoints::GET_CONTACT, answer)?;
    let contact: Contact = payload.parse()?;
    if contact.handle == handle {
        Ok(contact)
    } else {
        Err(payload.broken("the answer is about another contact"))
    }
}

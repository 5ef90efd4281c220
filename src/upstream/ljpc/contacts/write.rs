//! Contacts that are created and changed. A change reaches every domain that bears the handle.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Deadline,
    upstream::{
        Answer, Connected, PreparedRequest, UnfitSegment, UpstreamError,
        ljpc::{Ljpc, Updated, endpoints, envelope::payload},
        secret::personal,
    },
};

/// The most characters of a handle; those of registries have about 16.
const HANDLE_CHARS_MAX: usize = 255;

/// One contact to be created. All that is known should be given: registries want more than LJPc does.
#[derive(Clone, Serialize)]
pub struct CreateContact {
    /// Of a person.
    pub name: String,
    /// Of a company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Street and number, on one line.
    pub address: String,
    /// As it is written in its country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// As it is written in its country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// ISO 3166, two letters.
    pub country: String,
    /// One address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A telephone number, E.164: `+31612345678`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
}

/// One change of a contact. What is `None` stays as it is.
#[derive(Clone, Serialize)]
pub struct UpdateContact {
    /// Which contact.
    #[serde(skip)]
    pub handle: String,
    /// Of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Street and number, on one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// As it is written in its country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// As it is written in its country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// ISO 3166, two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// One address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A telephone number, E.164: `+31612345678`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
}

impl fmt::Debug for CreateContact {
    /// Nothing of it: it is personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateContact").finish_non_exhaustive()
    }
}

impl fmt::Debug for UpdateContact {
    /// The handle alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateContact").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl CreateContact {
    /// The request, fixed byte by byte.
    #[must_use]
    pub fn prepare(&self) -> PreparedRequest {
        let endpoint = &endpoints::CREATE_CONTACT;
        let personal =
            personal([&self.name, &self.address].into_iter().chain(&self.organization).chain(
                [&self.postal_code, &self.city, &self.email, &self.voice].into_iter().flatten(),
            ));
        PreparedRequest::json(endpoint, endpoint.template().to_owned(), self, personal)
    }
}

impl UpdateContact {
    /// The request, fixed byte by byte.
    ///
    /// # Errors
    /// For a handle that no path can hold: no contact has one.
    pub fn prepare(&self) -> Result<PreparedRequest, UnfitSegment> {
        let endpoint = &endpoints::UPDATE_CONTACT;
        let personal = personal(
            [
                &self.name,
                &self.organization,
                &self.address,
                &self.postal_code,
                &self.city,
                &self.email,
                &self.voice,
            ]
            .into_iter()
            .flatten(),
        );
        let path = endpoint.path_of(&self.handle)?;
        Ok(PreparedRequest::json(endpoint, path, self, personal))
    }
}

/// A contact that was created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreatedContact {
    /// By which it is known from now on.
    pub handle: String,
    /// The HTTP status, 201 as documented.
    pub http_status: u16,
    /// The answer's id.
    pub jti: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    handle: String,
}

#[derive(Deserialize)]
struct Done {
    success: bool,
}

impl Ljpc {
    /// Creates a contact over a connection that [`Ljpc::connect`] opened to [`endpoints::CREATE_CONTACT`]. To be called once
    /// the intent is committed, and once for each intent.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx without a handle.
    pub async fn create_contact(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<CreatedContact, UpstreamError> {
        self.send(connected, prepared, deadline, read_created).await
    }

    /// Changes a contact over a connection that [`Ljpc::connect`] opened to [`endpoints::UPDATE_CONTACT`]. To be called once
    /// the intent is committed, and once for each intent.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `InDoubt` also for a 2xx that does not say that it was done.
    pub async fn update_contact(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<Updated, UpstreamError> {
        self.send(connected, prepared, deadline, read_updated).await
    }
}

pub(in crate::upstream::ljpc) fn read_created(
    answer: &Answer,
) -> Result<CreatedContact, UpstreamError> {
    let payload = payload(&endpoints::CREATE_CONTACT, answer)?;
    let Created { handle } = payload.parse()?;
    let fit = !handle.trim().is_empty()
        && handle.chars().count() <= HANDLE_CHARS_MAX
        && !handle.chars().any(char::is_control);
    if fit {
        Ok(CreatedContact { handle, http_status: payload.status, jti: payload.jti })
    } else {
        Err(payload.broken("the contact's handle is none"))
    }
}

pub(in crate::upstream::ljpc) fn read_updated(answer: &Answer) -> Result<Updated, UpstreamError> {
    let payload = payload(&endpoints::UPDATE_CONTACT, answer)?;
    match payload.parse()? {
        Done { success: true } => {
            Ok(Updated { http_status: payload.status, jti: payload.jti, message: None })
        }
        Done { success: false } => Err(payload.broken("the answer does not say that it was done")),
    }
}

//! Adding a customer to the organisation. No id comes back, and adding one again is harmless: it "already exists".

use std::fmt;

use serde::Serialize;

use super::{
    Contract, DEBUG_ID, Leanstack, Phone,
    answer::{Reading, Said},
    endpoints,
};
use crate::{
    clock::Deadline,
    upstream::{Answer, Connected, PreparedRequest, UpstreamError, secret::personal},
};

/// The message of a customer that was added before, which for us is success.
const EXISTS: &str = "Customer already exists for organisation";

/// One customer, with all that Leanstack requires.
#[derive(Clone)]
pub struct AddCustomer {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// One address.
    pub email: String,
    /// Telephone.
    pub phone: Phone,
    /// Street and number.
    pub address: String,
    /// ISO 3166, two letters.
    pub country: String,
    /// As it is written in its country.
    pub city: String,
    /// As it is written in its country.
    pub postal_code: String,
}

impl fmt::Debug for AddCustomer {
    /// Nothing of it: it is personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddCustomer").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    customer: Customer<'a>,
    contact: Contact<'a>,
}

#[derive(Serialize)]
struct Customer<'a> {
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    phone: &'a str,
}

#[derive(Serialize)]
struct Contact<'a> {
    address: &'a str,
    country: &'a str,
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    postcode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_code: Option<&'a str>,
}

impl AddCustomer {
    /// The request, fixed byte by byte but for its fresh id, which [`PreparedRequest::id`] tells.
    #[must_use]
    pub fn prepare(&self, contract: Contract) -> PreparedRequest {
        let code = Some(self.postal_code.as_str());
        let (endpoint, first_edition, edition_2022) = match contract {
            Contract::Seed => (&endpoints::ADD_CUSTOMER, code, None),
            Contract::Edition2022 => (&endpoints::ADD_CUSTOMER_2022, None, code),
        };
        let body = Body {
            customer: Customer {
                first_name: &self.first_name,
                last_name: &self.last_name,
                email: &self.email,
                phone: self.phone.expose(),
            },
            contact: Contact {
                address: &self.address,
                country: &self.country,
                city: &self.city,
                postcode: first_edition,
                post_code: edition_2022,
            },
        };
        let personal = personal([
            &self.first_name,
            &self.last_name,
            &self.email,
            self.phone.digits(),
            &self.address,
            &self.city,
            &self.postal_code,
        ]);
        PreparedRequest::json(endpoint, endpoint.template().to_owned(), &body, personal)
            .identified(DEBUG_ID)
    }
}

/// What became of a customer: in either case Leanstack has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CustomerOutcome {
    /// Added now.
    Added,
    /// Added before.
    AlreadyExists,
}

/// A customer that Leanstack has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddedCustomer {
    /// Since now or since before.
    pub outcome: CustomerOutcome,
    /// The HTTP status.
    pub http_status: u16,
}

impl Leanstack {
    /// Adds a customer over a connection that [`Leanstack::connect`] opened to the endpoint of `prepared`. To be called once
    /// the intent is committed, and once for each intent.
    ///
    /// # Errors
    /// `NotSent` only if provably no byte was written; `Rejected` for any message but that of a customer who exists, even
    /// beside a 2xx; `InDoubt` also for a 2xx that is not the empty object.
    pub async fn add_customer(
        &self,
        connected: Connected,
        prepared: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<AddedCustomer, UpstreamError> {
        let before = connected.took();
        let request = async { read(prepared, &connected.send(prepared, deadline).await?) };
        self.transport.observed(prepared.endpoint(), before, request).await
    }
}

pub(super) fn read(
    request: &PreparedRequest,
    answer: &Answer,
) -> Result<AddedCustomer, UpstreamError> {
    let reading = Reading::new(request, answer);
    let outcome = match reading.said()? {
        Said::Done if reading.is_empty_object() => CustomerOutcome::Added,
        Said::Done => return Err(reading.unusable()),
        Said::Refused(message) if message.trim() == EXISTS => CustomerOutcome::AlreadyExists,
        Said::Refused(message) => return Err(reading.rejected(&message)),
    };
    Ok(AddedCustomer { outcome, http_status: answer.status })
}

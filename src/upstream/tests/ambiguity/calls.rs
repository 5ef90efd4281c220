//! The calls that have an effect, each with the samples of LJPc's document.

use super::super::*;
use crate::{
    order::domain::Record,
    upstream::{
        Endpoint,
        ljpc::{
            CreateContact, RegisterDomain, ReplaceRecords, TransferDomain, UpdateContact,
            UpdateDomain,
            endpoints::{
                CREATE_CONTACT, REGISTER_DOMAIN, REPLACE_RECORDS, TRANSFER_DOMAIN, UPDATE_CONTACT,
                UPDATE_DOMAIN,
            },
        },
    },
};

/// One call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    Order,
    Register,
    Transfer,
    CreateContact,
    UpdateContact,
    UpdateDomain,
    ReplaceRecords,
}

impl Call {
    pub(super) const ALL: &[Self] = &[
        Self::Order,
        Self::Register,
        Self::Transfer,
        Self::CreateContact,
        Self::UpdateContact,
        Self::UpdateDomain,
        Self::ReplaceRecords,
    ];

    /// What it is called in the document.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Register => "registration",
            Self::Transfer => "transfer",
            Self::CreateContact => "new contact",
            Self::UpdateContact => "contact's change",
            Self::UpdateDomain => "name's change",
            Self::ReplaceRecords => "DNS records",
        }
    }

    pub(super) fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::Order => &PLACE_ORDER,
            Self::Register => &REGISTER_DOMAIN,
            Self::Transfer => &TRANSFER_DOMAIN,
            Self::CreateContact => &CREATE_CONTACT,
            Self::UpdateContact => &UPDATE_CONTACT,
            Self::UpdateDomain => &UPDATE_DOMAIN,
            Self::ReplaceRecords => &REPLACE_RECORDS,
        }
    }

    /// The status and the body that the document promises.
    pub(super) fn good(self) -> (&'static str, String) {
        match self {
            Self::Order => ("201 Created", CREATED.to_owned()),
            Self::Register => ("201 Created", fixture("post_domain_names_201")),
            Self::Transfer => ("202 Accepted", fixture("post_domain_names_domain_transfer_202")),
            Self::CreateContact => ("201 Created", fixture("post_contacts_201")),
            Self::UpdateContact => ("200 OK", fixture("patch_contacts_handle_200")),
            Self::UpdateDomain => ("200 OK", fixture("patch_domain_names_domain_200")),
            Self::ReplaceRecords => ("200 OK", fixture("put_dns_zones_domain_records_200")),
        }
    }

    /// The message that the document shows beside a 403 of this call.
    pub(super) fn shown_403(self) -> Option<&'static str> {
        match self {
            Self::Order => Some("You can only create orders for yourself"),
            Self::Register | Self::Transfer | Self::UpdateDomain => {
                Some("Contact handle does not belong to you")
            }
            Self::CreateContact | Self::UpdateContact | Self::ReplaceRecords => None,
        }
    }

    /// Sends the request, as the ledger would once the intent is committed.
    pub(super) async fn send(
        self,
        ljpc: &Ljpc,
        connected: Connected,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        let (prepared, domain) = (self.prepared(), name("example.nl"));
        let request = &prepared;
        match self {
            Self::Order => ljpc.place_order(connected, request, &tag(), deadline).await.map(drop),
            Self::Register => {
                ljpc.register_domain(connected, request, &domain, deadline).await.map(drop)
            }
            Self::Transfer => {
                ljpc.transfer_domain(connected, request, &domain, deadline).await.map(drop)
            }
            Self::CreateContact => {
                ljpc.create_contact(connected, request, deadline).await.map(drop)
            }
            Self::UpdateContact => {
                ljpc.update_contact(connected, request, deadline).await.map(drop)
            }
            Self::UpdateDomain => {
                ljpc.update_domain(connected, request, &domain, deadline).await.map(drop)
            }
            Self::ReplaceRecords => {
                ljpc.replace_records(connected, request, &domain, deadline).await.map(drop)
            }
        }
    }

    fn prepared(self) -> PreparedRequest {
        let domain = name("example.nl");
        let contact_handle = "apitest-owned-0001".to_owned();
        match self {
            Self::Order => hosting().prepare(),
            Self::Register => RegisterDomain {
                domain,
                contact_handle,
                years: Some(1),
                nameservers: vec![],
                external_reference: tag(),
            }
            .prepare(),
            Self::Transfer => TransferDomain {
                domain,
                auth_code: Secret::new("x7!Kq-04\"a".to_owned()),
                contact_handle,
                nameservers: vec![],
                external_reference: tag(),
            }
            .prepare(),
            Self::CreateContact => new_contact().prepare(),
            Self::UpdateContact => changed_contact(contact_handle).prepare().unwrap(),
            Self::UpdateDomain => UpdateDomain {
                domain,
                nameservers: None,
                auto_renew: Some(false),
                transfer_lock: None,
                whois_contact_handle: None,
            }
            .prepare(),
            Self::ReplaceRecords => ReplaceRecords { domain, records: vec![record()] }.prepare(),
        }
    }
}

fn new_contact() -> CreateContact {
    CreateContact {
        name: "Owned Contact".to_owned(),
        organization: None,
        address: "Teststreet 1".to_owned(),
        postal_code: Some("1234AB".to_owned()),
        city: Some("Testcity".to_owned()),
        country: "NL".to_owned(),
        email: Some("owned@example.com".to_owned()),
        voice: Some("+31612345678".to_owned()),
    }
}

fn changed_contact(handle: String) -> UpdateContact {
    UpdateContact {
        handle,
        name: None,
        organization: None,
        address: None,
        postal_code: None,
        city: None,
        country: None,
        email: Some("new@example.com".to_owned()),
        voice: None,
    }
}

fn record() -> Record {
    Record {
        kind: "A".to_owned(),
        name: "@".to_owned(),
        content: "192.0.2.10".to_owned(),
        ttl: 3600,
        prio: None,
    }
}

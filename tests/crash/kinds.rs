//! One order for each kind of line, and what it must come to.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use provisor::sandbox::SandboxOptions;

use crate::house::Room;

/// What a line asks for, and by which way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Hosting,
    HostingOwn,
    Register,
    /// With a WHOIS contact that is made for it.
    RegisterForCustomer,
    RegisterByOrder,
    /// Of a name that somebody has: it fails, with alternatives.
    RegisterTaken,
    Transfer,
    TransferByOrder,
    Update,
    Dns,
    ContactCreate,
    ContactUpdate,
}

/// What becomes of a doubt about the line's effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Evidence {
    /// A person may have to look for an LJPc order.
    OfOrder,
    /// A name that was bought is found; of one that was not, nothing shows that it will not come.
    OfName,
    /// It is read back, and made again if it is not there.
    Repeatable,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Hosting,
        Self::HostingOwn,
        Self::Register,
        Self::RegisterForCustomer,
        Self::RegisterByOrder,
        Self::RegisterTaken,
        Self::Transfer,
        Self::TransferByOrder,
        Self::Update,
        Self::Dns,
        Self::ContactCreate,
        Self::ContactUpdate,
    ];

    /// Whether a shop may order it.
    pub(crate) const fn is_shops(self) -> bool {
        !matches!(self, Self::ContactCreate | Self::ContactUpdate)
    }

    /// Whether it buys by an LJPc order.
    pub(crate) const fn is_order(self) -> bool {
        matches!(
            self,
            Self::Hosting | Self::HostingOwn | Self::RegisterByOrder | Self::TransferByOrder
        )
    }

    /// Whether it brings a name.
    pub(crate) const fn brings_name(self) -> bool {
        matches!(
            self,
            Self::Register
                | Self::RegisterForCustomer
                | Self::RegisterByOrder
                | Self::Transfer
                | Self::TransferByOrder
        )
    }

    pub(crate) const fn evidence(self) -> Evidence {
        match self {
            Self::Hosting | Self::HostingOwn | Self::RegisterByOrder | Self::TransferByOrder => {
                Evidence::OfOrder
            }
            Self::Register | Self::RegisterForCustomer | Self::Transfer => Evidence::OfName,
            Self::RegisterTaken
            | Self::Update
            | Self::Dns
            | Self::ContactCreate
            | Self::ContactUpdate => Evidence::Repeatable,
        }
    }

    /// How the line ends where no doubt is left.
    pub(crate) const fn end(self) -> &'static str {
        if matches!(self, Self::RegisterTaken) { "failed" } else { "completed" }
    }

    /// What LJPc must have been asked for by then, once: the line's own effect.
    pub(crate) fn request(self, label: &str) -> Option<String> {
        match self {
            Self::RegisterTaken => None,
            Self::Hosting | Self::HostingOwn | Self::RegisterByOrder | Self::TransferByOrder => {
                Some("POST /api/v1/orders".to_owned())
            }
            Self::Register | Self::RegisterForCustomer => {
                Some("POST /api/hosting/v1/domain-names".to_owned())
            }
            Self::Transfer => {
                Some(format!("POST /api/hosting/v1/domain-names/{label}.nl/transfer"))
            }
            Self::Update => Some(format!("PATCH /api/hosting/v1/domain-names/{label}.nl")),
            Self::Dns => Some(format!("PUT /api/hosting/v1/dns/zones/{label}.nl/records")),
            Self::ContactCreate => Some("POST /api/hosting/v1/contacts".to_owned()),
            // Its path has the handle, which the sandbox chose.
            Self::ContactUpdate => Some("PATCH /api/hosting/v1/contacts/".to_owned()),
        }
    }

    /// Puts upstream what must be there before, and submits the order.
    pub(crate) async fn submit(self, room: &Room<'_>, label: &str) -> u64 {
        let domain = format!("{label}.nl");
        let line = match self {
            Self::Hosting => json!({ "kind": "hosting", "package": "hosting_5gb", "domain": domain,
                                     "billing_period": "monthly" }),
            Self::HostingOwn => json!({ "kind": "hosting_own", "space_id": 7, "domain": domain }),
            Self::Register => json!({ "kind": "domain_register", "domain": domain,
                                      "contact_handle": "sandbox-account" }),
            Self::RegisterForCustomer => json!({ "kind": "domain_register", "domain": domain }),
            Self::RegisterByOrder => json!({ "kind": "domain_register", "domain": domain,
                                             "contact_handle": "sandbox-account", "route": "order" }),
            Self::RegisterTaken => json!({ "kind": "domain_register",
                                           "domain": format!("taken-{domain}"),
                                           "contact_handle": "sandbox-account" }),
            Self::Transfer => json!({ "kind": "domain_transfer", "domain": domain,
                                      "auth_code": "s3cret", "contact_handle": "sandbox-account" }),
            Self::TransferByOrder => json!({ "kind": "domain_transfer", "domain": domain,
                                             "auth_code": "s3cret", "route": "order",
                                             "contact_handle": "sandbox-account" }),
            Self::Update => {
                put_name(room, &domain);
                json!({ "kind": "domain_update", "domain": domain, "auto_renew": false })
            }
            Self::Dns => {
                put_name(room, &domain);
                json!({ "kind": "dns", "domain": domain, "records": [
                    { "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600 }] })
            }
            Self::ContactCreate => with_kind(contact(label), "contact_create"),
            Self::ContactUpdate => {
                let handle = put_contact(room, label).await;
                json!({ "kind": "contact_update", "contact_handle": handle,
                        "email": format!("new-{}", mailbox(label)) })
            }
        };
        let after = room.house.now_in_journal();
        let function = if self.is_shops() { "submit_order" } else { "submit_operator_order" };
        room.submit(function, &order(label, &line)).await;
        after
    }
}

/// Where the customer gets mail.
pub(crate) fn mailbox(label: &str) -> String {
    format!("{label}@customers.example.com")
}

/// An order of one line, for a customer of its own.
pub(crate) fn order(label: &str, line: &Value) -> Value {
    json!({
        "reference": label,
        "customer": { "reference": label, "first_name": "Bob", "last_name": "Brown",
                      "email": mailbox(label), "phone": "+31612345678", "address": "Teststreet 1",
                      "postal_code": "1234AB", "city": "Testcity", "country": "NL" },
        "lines": [line],
    })
}

fn contact(label: &str) -> Value {
    json!({ "name": "Bob Brown", "address": "Teststreet 1", "postal_code": "1234AB",
            "city": "Testcity", "country": "NL", "email": mailbox(label), "phone": "+31612345678" })
}

fn with_kind(mut line: Value, kind: &str) -> Value {
    line["kind"] = kind.into();
    line
}

fn put_name(room: &Room<'_>, domain: &str) {
    let wish = json!({ "domain": domain, "status": "active", "auto_renew": true });
    room.house.sandbox.state().put_domain(&wish).expect("a domain");
}

/// Makes a WHOIS contact as somebody else would, and answers its handle.
async fn put_contact(room: &Room<'_>, label: &str) -> String {
    let (address, body) = (room.house.sandbox.ljpc_addr(), contact(label).to_string());
    let key = SandboxOptions::default().api_key;
    let mut stream = TcpStream::connect(address).await.expect("the sandbox listens");
    let request = format!(
        "POST /api/hosting/v1/contacts HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the sandbox reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the sandbox answers");
    let contacts = room.house.sandbox.state().contacts();
    let made = contacts.iter().find(|contact| contact.email.as_deref() == Some(&mailbox(label)));
    made.unwrap_or_else(|| panic!("no contact was made: {answer}")).handle.clone()
}

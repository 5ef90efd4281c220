//! What a line makes upstream: the requests that the ledger keeps, each a step of its line.

use super::{
    ContactHandle, Money, Tag, UpstreamOrderId,
    decide::Change,
    domain::{ContactChange, DomainChange, Record, Registrant},
    name::DomainName,
    text_enum::text_enum,
    wish::BillingPeriod,
};

text_enum! {
    /// A step of a line that has an effect upstream.
    EffectStep {
        /// POST /api/v1/orders.
        PlaceOrder = "place_order",
        /// POST /api/hosting/v1/domain-names.
        Register = "register",
        /// POST /api/hosting/v1/domain-names/{domain}/transfer.
        Transfer = "transfer",
        /// POST /api/hosting/v1/contacts.
        CreateContact = "create_contact",
        /// PATCH /api/hosting/v1/contacts/{handle}.
        UpdateContact = "update_contact",
        /// PATCH /api/hosting/v1/domain-names/{domain}.
        UpdateDomain = "update_domain",
        /// PUT /api/hosting/v1/dns/zones/{domain}/records.
        ReplaceRecords = "replace_records",
    }
}

impl EffectStep {
    /// Whether it costs money: a line has one such step.
    #[must_use]
    pub const fn buys(self) -> bool {
        matches!(self, Self::PlaceOrder | Self::Register | Self::Transfer)
    }

    /// Whether it sets something to a wished value, so that a second time changes nothing.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::UpdateContact | Self::UpdateDomain | Self::ReplaceRecords)
    }

    /// What stands in a tag behind the line: nothing for what buys, which the contract names so.
    pub(super) const fn tag_end(self) -> &'static str {
        match self {
            Self::PlaceOrder | Self::Register | Self::Transfer => "",
            Self::CreateContact => "/contact",
            Self::UpdateContact => "/contact-update",
            Self::UpdateDomain => "/update",
            Self::ReplaceRecords => "/dns",
        }
    }

    /// What it is called where a person reads of it: "LJPc refused the order".
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::PlaceOrder => "order",
            Self::Register => "registration",
            Self::Transfer => "transfer",
            Self::CreateContact => "WHOIS contact",
            Self::UpdateContact => "change of the WHOIS contact",
            Self::UpdateDomain => "change of the name",
            Self::ReplaceRecords => "DNS records",
        }
    }
}

/// A request that has an effect, and what the line looks like while it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Which step of the line.
    pub step: EffectStep,
    /// Which placement of the step.
    pub n: i32,
    /// By which it is recognised.
    pub tag: Tag,
    /// The name that it is for; none for a contact.
    pub domain: Option<DomainName>,
    /// What is asked for.
    pub request: Request,
    /// What the account will be charged, where that is known.
    pub price: Option<Money>,
    /// The line as it stands while the request is under way, and what else is recorded with its intent.
    pub during: Change,
}

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// An LJPc order with one line.
    Order {
        /// For people: "5GB hosting".
        title: String,
        /// What is bought.
        item: Item,
    },
    /// A registration.
    Register {
        /// Whose it shall be.
        contact_handle: ContactHandle,
        /// For how long, 1 to 10.
        years: u8,
        /// None: LJPc's own.
        nameservers: Vec<String>,
    },
    /// A transfer. Its auth code is no fact: it is read when the request is made.
    Transfer {
        /// Whose it shall be.
        contact_handle: ContactHandle,
        /// None: as they are.
        nameservers: Vec<String>,
    },
    /// A WHOIS contact.
    CreateContact(Registrant),
    /// Changed fields of a WHOIS contact.
    UpdateContact {
        /// Which one.
        contact_handle: ContactHandle,
        /// What is changed.
        change: ContactChange,
    },
    /// Changed fields of a name.
    UpdateDomain(DomainChange),
    /// All of a zone's records of the managed types.
    ReplaceRecords {
        /// The wished set.
        records: Vec<Record>,
        /// The set that it replaces: what a rollback brings back.
        before: Vec<Record>,
    },
}

/// What an LJPc order line buys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// The `hosting` cart item.
    Hosting {
        /// Of the catalogue.
        product_uuid: String,
        /// Named where the product wants it.
        billing_period: Option<BillingPeriod>,
        /// Of `hosting_forward`.
        target_url: Option<String>,
    },
    /// The `hosting_own` cart item.
    HostingOwn {
        /// The space's id at LJPc.
        space_id: i64,
    },
    /// The `domain` cart item.
    Domain {
        /// A transfer, whose auth code is read when the request is made; else a registration.
        is_transfer: bool,
        /// The name before its ending.
        sld: String,
        /// The ending.
        tld: String,
    },
}

impl Item {
    /// Whether it brings a hosting site.
    #[must_use]
    pub const fn brings_site(&self) -> bool {
        matches!(self, Self::Hosting { .. } | Self::HostingOwn { .. })
    }
}

impl Request {
    /// Whether an auth code goes with it.
    #[must_use]
    pub const fn needs_auth_code(&self) -> bool {
        match self {
            Self::Order { item: Item::Domain { is_transfer, .. }, .. } => *is_transfer,
            Self::Transfer { .. } => true,
            Self::Order { .. }
            | Self::Register { .. }
            | Self::CreateContact(_)
            | Self::UpdateContact { .. }
            | Self::UpdateDomain(_)
            | Self::ReplaceRecords { .. } => false,
        }
    }

    /// Whether it brings a hosting site for its name.
    #[must_use]
    pub const fn brings_site(&self) -> bool {
        matches!(self, Self::Order { item, .. } if item.brings_site())
    }

    /// Whether it brings the name itself.
    #[must_use]
    pub const fn brings_name(&self) -> bool {
        match self {
            Self::Order { item, .. } => !item.brings_site(),
            Self::Register { .. } | Self::Transfer { .. } => true,
            Self::CreateContact(_)
            | Self::UpdateContact { .. }
            | Self::UpdateDomain(_)
            | Self::ReplaceRecords { .. } => false,
        }
    }
}

/// What the upstream has promised, as far as the line goes on by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acceptance {
    /// An order.
    Order {
        /// Its id.
        id: UpstreamOrderId,
        /// What the account is charged.
        cost: Option<Money>,
    },
    /// The name is registered, or its transfer has begun.
    Name {
        /// What the account is charged.
        cost: Option<Money>,
        /// The upstream's word for it.
        status: String,
    },
    /// A WHOIS contact.
    Contact(ContactHandle),
    /// A change, as asked for.
    Changed {
        /// Of DNS records: whether they have reached LJPc's servers.
        synced: Option<bool>,
    },
}

//! What a line is and which states it passes through.

use super::text_enum::text_enum;

text_enum! {
    /// What a line asks for (contract, "The order document").
    LineKind {
        /// A hosting package for a domain.
        Hosting = "hosting",
        /// A domain on a space that the reseller already has.
        HostingOwn = "hosting_own",
        /// Registers a name.
        DomainRegister = "domain_register",
        /// Transfers a name in.
        DomainTransfer = "domain_transfer",
        /// Changes a name that is already there.
        DomainUpdate = "domain_update",
        /// Replaces a zone's records.
        Dns = "dns",
        /// Makes a WHOIS contact. An operator's alone: a shop can't submit it.
        ContactCreate = "contact_create",
        /// Changes a WHOIS contact, and so every domain that bears it. An operator's alone: a shop can't submit it.
        ContactUpdate = "contact_update",
    }
}

text_enum! {
    /// Where a line stands (contract, section 2).
    LineStatus {
        /// Nothing is under way upstream for it.
        Pending = "pending",
        /// The upstream effect is being made.
        Placing = "placing",
        /// Sent, outcome unknown; never sent again blindly.
        InDoubt = "in_doubt",
        /// Accepted upstream, being polled.
        Provisioning = "provisioning",
        /// Delivered.
        Completed = "completed",
        /// Bought nothing and will not.
        Failed = "failed",
        /// Nothing bought; a person must decide.
        Held = "held",
        /// Withdrawn before anything was sent.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// How far a line that brings a name has come. Other lines may wait for one of these and not for its end.
    Milestone {
        /// The name is ours.
        Named = "named",
        /// What was wished of it is so, or was refused. Its DNS may be left.
        Arranged = "arranged",
    }
}

text_enum! {
    /// Why a line failed, or what of it was refused, as far as its customer may read of it.
    Cause {
        /// Somebody else has the name.
        NameTaken = "name_taken",
        /// The name can't be had, or not under this ending.
        NameUnavailable = "name_unavailable",
        /// The registry or the other registrar refused the transfer.
        TransferRefused = "transfer_refused",
        /// What it builds on was not delivered.
        PrerequisiteFailed = "prerequisite_failed",
        /// Delivered, but a setting was refused.
        WishRefused = "wish_refused",
    }
}

impl LineStatus {
    /// Nothing more will happen by itself, and nobody is asked.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether a line may go from `self` to `to`. An accepted effect may be learnt of late, hence the ways back from
    /// `failed`, `held` and `pending` to `provisioning`, and what it has brought may be found (`outcome::delivered`), hence
    /// those to `completed`; `completed` and `cancelled` are final.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            // Completed: what it asks for was so already.
            Self::Pending => true,
            Self::Placing => !matches!(to, Self::Completed | Self::Cancelled | Self::Held),
            // Completed: what it brings was found.
            Self::InDoubt => !matches!(to, Self::Placing | Self::Held | Self::Cancelled),
            // In doubt: a line that lost the id of its order, which only a person can name again.
            Self::Provisioning => {
                matches!(to, Self::Provisioning | Self::Completed | Self::Failed | Self::InDoubt)
            }
            Self::Held => !matches!(to, Self::InDoubt | Self::Placing),
            Self::Failed => matches!(to, Self::Failed | Self::Provisioning | Self::Completed),
            Self::Completed => matches!(to, Self::Completed),
            Self::Cancelled => matches!(to, Self::Cancelled),
        }
    }
}

//! The calls, each told in words.

use provisor::{
    clock::Deadline,
    order::{Reference, SiteId, Tag, UpstreamOrderId, domain::Record, name::DomainName},
    upstream::{
        Secret,
        leanstack::{AddCustomer, Contract, Leanstack, Phone},
        ljpc::{
            CartItem, CreateContact, PlaceOrder, RegisterDomain, ReplaceRecords, TransferDomain,
            UpdateContact, UpdateDomain,
        },
    },
};

use super::{Told, Upstreams};

/// A domain name.
pub(super) fn name(text: &str) -> DomainName {
    DomainName::parse(text).expect("a domain name")
}

/// The tag of an order.
fn tag(of: &str) -> Tag {
    Tag::new(&Reference(of.to_owned()), 0, 1)
}

/// An A record.
pub(super) fn record(content: &str) -> Record {
    Record {
        kind: "A".to_owned(),
        name: "@".to_owned(),
        content: content.to_owned(),
        ttl: 3600,
        prio: None,
    }
}

/// A contact of this email, with all that a registry wants.
pub(super) fn contact(email: &str) -> CreateContact {
    CreateContact {
        name: "Bob Brown".to_owned(),
        organization: None,
        address: "Teststreet 1".to_owned(),
        postal_code: Some("1234AB".to_owned()),
        city: Some("Testcity".to_owned()),
        country: "NL".to_owned(),
        email: Some(email.to_owned()),
        voice: Some("+31612345678".to_owned()),
    }
}

/// A customer of this email, with all that Leanstack wants.
pub(super) fn leanstack_customer(email: &str) -> AddCustomer {
    AddCustomer {
        first_name: "Bob".to_owned(),
        last_name: "Brown".to_owned(),
        email: email.to_owned(),
        phone: Phone::parse("+31612345678").expect("a phone"),
        address: "Teststreet 1".to_owned(),
        country: "NL".to_owned(),
        city: "Testcity".to_owned(),
        postal_code: "1234AB".to_owned(),
    }
}

impl Upstreams {
    pub(super) async fn tlds(&self) -> Told {
        let tlds = self.ljpc.tlds().await?;
        let told = |tld: &provisor::upstream::ljpc::Tld| {
            let price = tld.price.map_or("no price".to_owned(), |price| price.to_string());
            format!(
                "{} {price} {}",
                tld.tld,
                if tld.transfer_supported { "" } else { "no transfer" }
            )
            .trim_end()
            .to_owned()
        };
        Ok(tlds.iter().map(told).collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn check(&self, names: &[&str]) -> Told {
        let names: Vec<DomainName> = names.iter().map(|text| name(text)).collect();
        let checks = self.ljpc.check(&names.iter().collect::<Vec<_>>()).await?;
        let told = names.iter().map(|name| format!("{name} {}", checks.of(name).unwrap_or("?")));
        Ok(told.collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn price(&self, names: &[&str]) -> Told {
        let names: Vec<DomainName> = names.iter().map(|text| name(text)).collect();
        let prices = self.ljpc.prices(&names.iter().collect::<Vec<_>>()).await?;
        let told = names.iter().map(|name| match prices.of(name) {
            None => format!("{name} has none"),
            Some(price) => {
                let eur = price.price_eur.map_or("?".to_owned(), |eur| eur.to_string());
                let premium = if price.premium { " premium" } else { "" };
                let asked = price.price.as_ref();
                let asked =
                    asked.map_or("?".to_owned(), |it| format!("{} {}", it.amount, it.currency));
                format!("{name} {eur}{premium} ({asked})")
            }
        });
        Ok(told.collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn domains(&self) -> Told {
        let domains = self.ljpc.all_domains().await?;
        let told = domains.iter().map(|it| {
            format!("{} {:?} {:?} {:?}", it.domain, it.status, it.auto_renew, it.transfer_lock)
        });
        Ok(told.collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn domain(&self, domain: &str) -> Told {
        let it = self.ljpc.domain(&name(domain)).await?;
        Ok(format!(
            "{} {} {} {:?} {:?} {:?}, {}",
            it.domain,
            it.status,
            it.nameservers.join(" "),
            it.auto_renew,
            it.transfer_lock,
            it.contact_handle,
            if it.expires_at.is_some() { "expires" } else { "nobody knows when it expires" }
        ))
    }

    pub(super) async fn register(&self, domain: &str, handle: &str, years: u8) -> Told {
        let domain = name(domain);
        let prepared = RegisterDomain {
            domain: domain.clone(),
            contact_handle: handle.to_owned(),
            years: Some(years),
            nameservers: Vec::new(),
            external_reference: tag(domain.as_str()),
        }
        .prepare();
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        let it = self.ljpc.register_domain(connected, &prepared, &domain, deadline).await?;
        Ok(format!("HTTP {} {} {} {:?}", it.http_status, it.domain, it.upstream_status, it.message))
    }

    pub(super) async fn transfer(&self, domain: &str, handle: &str) -> Told {
        let domain = name(domain);
        let prepared = TransferDomain {
            domain: domain.clone(),
            auth_code: Secret::new("x7!Kq-04\"a".to_owned()),
            contact_handle: handle.to_owned(),
            nameservers: Vec::new(),
            external_reference: tag(domain.as_str()),
        }
        .prepare();
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        let it = self.ljpc.transfer_domain(connected, &prepared, &domain, deadline).await?;
        Ok(format!("HTTP {} {} {} {:?}", it.http_status, it.domain, it.upstream_status, it.message))
    }

    pub(super) async fn update(
        &self,
        domain: &str,
        lock: Option<bool>,
        handle: Option<&str>,
    ) -> Told {
        let domain = name(domain);
        let prepared = UpdateDomain {
            domain: domain.clone(),
            nameservers: None,
            auto_renew: None,
            transfer_lock: lock,
            whois_contact_handle: handle.map(str::to_owned),
        }
        .prepare();
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        match self.ljpc.update_domain(connected, &prepared, &domain, deadline).await {
            Ok(it) => Ok(format!("HTTP {} {:?}", it.http_status, it.message)),
            Err(error) if error.is_no_change() => Ok(format!("as it was: {error}")),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn auth_code(&self, domain: &str) -> Told {
        let code = self.ljpc.auth_code(&name(domain)).await?;
        Ok(format!("{code:?} of {} characters", code.expose().chars().count()))
    }

    pub(super) async fn contacts(&self) -> Told {
        let contacts = self.ljpc.all_contacts().await?;
        Ok(contacts.iter().map(|it| it.handle.clone()).collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn contact(&self, handle: &str) -> Told {
        let it = self.ljpc.contact(handle).await?;
        Ok(format!("{} {:?} {:?} {:?}", it.handle, it.email, it.voice, it.address_line))
    }

    pub(super) async fn create_contact(&self, contact: &CreateContact) -> Told {
        let prepared = contact.prepare();
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        let it = self.ljpc.create_contact(connected, &prepared, deadline).await?;
        Ok(format!("HTTP {} {}", it.http_status, it.handle))
    }

    pub(super) async fn update_contact(&self, handle: &str, email: &str) -> Told {
        let change = UpdateContact {
            handle: handle.to_owned(),
            name: None,
            organization: None,
            address: None,
            postal_code: None,
            city: None,
            country: None,
            email: Some(email.to_owned()),
            voice: None,
        };
        let prepared = change.prepare().expect("a handle");
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        let it = self.ljpc.update_contact(connected, &prepared, deadline).await?;
        Ok(format!("HTTP {} {:?}", it.http_status, it.message))
    }

    pub(super) async fn zone(&self, domain: &str) -> Told {
        let zone = self.ljpc.zone(&name(domain)).await?;
        Ok(zone.map_or("none yet".to_owned(), |zone| {
            let records: Vec<String> = zone.records.iter().map(ToString::to_string).collect();
            format!("{:?} {}", zone.source, records.join(", "))
        }))
    }

    pub(super) async fn replace(&self, domain: &str, records: Vec<Record>) -> Told {
        let domain = name(domain);
        let prepared = ReplaceRecords { domain: domain.clone(), records }.prepare();
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        let it = self.ljpc.replace_records(connected, &prepared, &domain, deadline).await?;
        let echoed = it.records.map_or("?".to_owned(), |records| records.len().to_string());
        Ok(format!(
            "HTTP {} {:?} {echoed} records, synced {:?}",
            it.http_status, it.source, it.synced
        ))
    }

    pub(super) async fn sites(&self) -> Told {
        let sites = self.ljpc.all_sites().await?;
        let told = sites
            .iter()
            .map(|it| format!("{} {:?} {:?} {:?}", it.id, it.domain, it.status, it.disk_space_gb));
        Ok(told.collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn site(&self, id: i64) -> Told {
        let it = self.ljpc.site(SiteId(id)).await?;
        Ok(format!(
            "{} {:?} {:?}, quota {:?}, usage {}",
            it.id,
            it.domain,
            it.status,
            it.disk_quota_bytes,
            if it.disk_used_bytes.is_some() { "known" } else { "not known" }
        ))
    }

    pub(super) async fn login(&self, id: i64) -> Told {
        let url = self.ljpc.login(SiteId(id)).await?;
        Ok(url.map_or("no URL".to_owned(), |url| format!("a URL: {url:?}")))
    }

    pub(super) async fn products(&self) -> Told {
        let products = self.ljpc.products().await?;
        let told = products.iter().take(3).map(|it| {
            let price = it.monthly_price.map_or("-".to_owned(), |price| price.to_string());
            format!("{:?} {price}", it.category_identifier)
        });
        Ok(format!("{} …", told.collect::<Vec<_>>().join(", ")))
    }

    pub(super) async fn place(&self, reference: &str, item: CartItem) -> Told {
        let tag = tag(reference);
        let order = PlaceOrder { tag: tag.clone(), description: "a test".to_owned(), item };
        let prepared = order.prepare();
        let deadline = Deadline::after(self.timeout);
        let connected = self.ljpc.connect(prepared.endpoint(), deadline).await?;
        let it = self.ljpc.place_order(connected, &prepared, &tag, deadline).await?;
        let price = it.price.map_or("?".to_owned(), |price| price.to_string());
        Ok(format!("HTTP {} order {} {price}", it.status, it.id))
    }

    pub(super) async fn order(&self, id: i64) -> Told {
        let it = self.ljpc.order(UpstreamOrderId(id)).await?;
        let sites: Vec<_> = it.lines.iter().map(|line| (&line.state, line.site_id)).collect();
        Ok(format!("{} {:?} {sites:?} {:?}", it.id, it.simple_status, it.summary))
    }

    pub(super) async fn availability(&self, sld: &str, tld: &str) -> Told {
        self.seed.availability(sld, tld).await.map(|it| format!("{it:?}"))
    }

    pub(super) async fn suggestions(&self, sld: &str) -> Told {
        let all = self.seed.suggestions(sld).await?;
        let told = all.iter().map(|it| format!("{} {:?}", it.name, it.dollar_price));
        Ok(told.collect::<Vec<_>>().join(", "))
    }

    pub(super) async fn add_customer(&self, contract: Contract, customer: &AddCustomer) -> Told {
        let client: &Leanstack = match contract {
            Contract::Seed => &self.seed,
            Contract::Edition2022 => &self.edition_2022,
        };
        let prepared = customer.prepare(contract);
        let deadline = Deadline::after(self.timeout);
        let connected = client.connect(prepared.endpoint(), deadline).await?;
        let it = client.add_customer(connected, &prepared, deadline).await?;
        Ok(format!("HTTP {} {:?}", it.http_status, it.outcome))
    }
}

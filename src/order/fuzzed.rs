//! What `fuzz/` and the property tests below throw anything at: the readers of what shops and upstreams write.
//!
//! Each takes whatever bytes there are, and panics if something that must always hold does not.

#![expect(
    clippy::missing_panics_doc,
    reason = "to panic where something does not hold is what they are for"
)]

use serde_json::Value;

use super::{
    LineKind, Money,
    domain::{
        Availability, Record, Registrant, Tld, Transfer, UpstreamContact, check_records,
        diff_records, split, transfer_of,
    },
    name::DomainName,
    wish::Wish,
};

/// A line's document, read as each kind would, and as a customer.
pub fn wish(input: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return };
    for kind in LineKind::ALL {
        let Ok(wish) = Wish::parse(*kind, &document) else { continue };
        match wish {
            Wish::Register(name) | Wish::Transfer(name) => {
                let _: Option<Result<(), _>> = name.dns.as_deref().map(check_records);
                let _ = name.afterwards(Some(true)).fields();
            }
            Wish::Dns(records) => records_hold(&records),
            Wish::Update(change) => assert!(change.missing_in(&shown(&change)).is_empty()),
            Wish::UpdateContact { change, .. } => {
                let after = change.applied_to(&UpstreamContact::default());
                assert!(change.missing_in(&after).is_empty(), "{change:?}");
            }
            Wish::Hosting(_) | Wish::HostingOwn { .. } | Wish::CreateContact(_) => {}
        }
    }
    registrant(&document);
}

/// A name as somebody writes it, and each of its endings.
pub fn name(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(name) = DomainName::parse(text) else { return };
    let ascii = name.as_str();
    assert_eq!(DomainName::parse(ascii).as_ref(), Ok(&name), "it is its own normal form");
    assert!(
        ascii.is_ascii() && ascii.len() <= 253 && !ascii.contains(char::is_uppercase),
        "{ascii}"
    );
    assert!(ascii.split('.').all(|label| (1..=63).contains(&label.len())), "{ascii}");
    let mut endings = Vec::new();
    let mut rest = ascii;
    while let Some((_, ending)) = rest.split_once('.') {
        endings.extend(Tld::new(ending, true));
        rest = ending;
    }
    // The longest ending leaves one label, and with all of them in the catalogue it is the one that counts.
    if let Some(parts) = split(&name, &endings) {
        assert_eq!(format!("{}.{}", parts.sld, parts.tld), ascii);
        assert!(!parts.sld.contains('.'), "{}", parts.sld);
    }
}

/// An ending as a catalogue writes it.
pub fn ending(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some(tld) = Tld::new(&text, false) else { return };
    assert!(tld.name.is_ascii() && !tld.name.is_empty(), "{}", tld.name);
    assert_eq!(Tld::new(&tld.name, false), Some(tld), "it is its own normal form");
}

/// The records of a zone, as JSON.
pub fn records(input: &[u8]) {
    if let Ok(records) = serde_json::from_slice::<Vec<Record>>(input) {
        records_hold(&records);
    }
}

fn records_hold(records: &[Record]) {
    let _ = check_records(records);
    assert!(diff_records(records, records).is_empty(), "a zone is as it is");
    let (made, cleared) = (diff_records(&[], records), diff_records(records, &[]));
    assert_eq!((made.added.len(), made.removed.len()), (records.len(), 0));
    assert_eq!((cleared.added.len(), cleared.removed.len()), (0, records.len()));
}

/// An amount of money, as text and as JSON.
pub fn money(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for amount in [text.parse::<Money>().ok(), serde_json::from_str::<Money>(text).ok()] {
        let Some(amount) = amount else { continue };
        let shown = amount.to_string();
        assert_eq!(shown.parse::<Money>().as_ref().ok(), Some(&amount), "{shown}");
    }
}

/// A status that upstream writes, of one word or of several.
pub fn status_words(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let read = transfer_of(&text);
    assert_ne!(transfer_of(&format!("{text},pending_x")), Transfer::Done);
    assert_eq!(transfer_of(&format!("{text},transfer_rejected")), Transfer::Failed);
    if read == Transfer::Done {
        assert!(text.to_lowercase().contains("active"), "{text}");
    }
    assert_eq!(Availability::read(&text) == Availability::Available, text == "available");
}

/// A customer and the contact that is made of it are the same, in whatever spelling.
fn registrant(document: &Value) {
    let Some(registrant) = Registrant::of_customer(document) else { return };
    let contact = UpstreamContact {
        handle: "BB0001-EX".to_owned(),
        name: Some(registrant.name.clone()),
        address: vec![registrant.address.clone()],
        postal_code: Some(registrant.postal_code.to_lowercase()),
        city: Some(format!(" {}", registrant.city)),
        country: Some(registrant.country.clone()),
        email: Some(registrant.email.clone()),
        voice: Some(registrant.phone.clone()),
        organization: registrant.organization.clone(),
    };
    // Some letters have no lower case that leads back, and a postal code is of no such.
    assert!(registrant.is(&contact) || !registrant.postal_code.is_ascii());
}

/// A name that is just as a change wishes it.
fn shown(change: &super::domain::DomainChange) -> super::domain::DomainSeen {
    super::domain::DomainSeen {
        nameservers: change.nameservers.clone().unwrap_or_default(),
        auto_renew: change.auto_renew,
        transfer_lock: change.transfer_lock,
        contact_handle: change.contact_handle.clone(),
        ..super::domain::DomainSeen::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What a key of a line may hold, rightly or not.
    fn value() -> impl Strategy<Value = Value> {
        let record =
            json!({ "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 60, "prio": null });
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
            prop::sample::select(vec![
                "direct",
                "order",
                "monthly",
                "yearly",
                "hosting_5gb",
                "1.00"
            ])
            .prop_map(Into::into),
            prop::collection::vec(".{0,12}", 0..4).prop_map(Into::into),
            prop::collection::vec(Just(record), 0..3).prop_map(Into::into),
        ]
    }

    fn document() -> impl Strategy<Value = Value> {
        let keys = vec![
            "domain",
            "package",
            "product_uuid",
            "billing_period",
            "target_url",
            "space_id",
            "years",
            "nameservers",
            "contact_handle",
            "auto_renew",
            "transfer_lock",
            "dns",
            "records",
            "route",
            "first_name",
            "last_name",
            "organization",
            "email",
            "phone",
            "address",
            "postal_code",
            "city",
            "country",
        ];
        prop::collection::hash_map(prop::sample::select(keys), value(), 0..12)
            .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    fn record() -> impl Strategy<Value = Value> {
        let kind =
            prop::sample::select(vec!["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA", "a", "?"]);
        let content = prop_oneof![
            ".{0,20}",
            "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
            "[0-9a-f:]{2,30}",
            "\"[^\"]{0,10}\"",
            "[a-z.]{1,20}",
        ];
        (kind, "[@a-zA-Z._*-]{0,8}", content, any::<u32>(), any::<Option<u16>>()).prop_map(
            |(kind, name, content, ttl, prio)| {
                json!({ "type": kind, "name": name, "content": content, "ttl": ttl, "prio": prio })
            },
        )
    }

    proptest! {
        #[test]
        fn a_shop_may_wish_anything(document in document(), bytes: Vec<u8>) {
            wish(document.to_string().as_bytes());
            wish(&bytes);
        }

        #[test]
        fn a_name_may_be_anything(
            text in prop_oneof![
                ".{0,80}",
                "[a-zA-Zà-üß0-9-]{1,20}(\\.[a-zA-Zа-я0-9-]{1,12}){1,4}\\.?",
                "(xn--[a-z0-9-]{1,20}\\.){1,3}(nl|co\\.uk|2000\\.hu)",
            ],
        ) {
            name(text.as_bytes());
            ending(text.as_bytes());
            ending(format!(".{text}").as_bytes());
        }

        #[test]
        fn a_zone_may_hold_anything(zone in prop::collection::vec(record(), 0..8), bytes: Vec<u8>) {
            records(Value::from(zone).to_string().as_bytes());
            records(&bytes);
        }

        #[test]
        fn an_amount_may_be_anything(
            text in prop_oneof![".{0,40}", "\"?-?[0-9]{0,32}(\\.[0-9]{0,32})?([eE][+-]?[0-9]{1,4})?\"?"],
        ) {
            money(text.as_bytes());
        }

        #[test]
        fn a_status_may_be_anything(
            text in prop_oneof![
                ".{0,40}",
                "((active|ACTIVE|pending|transfer|_|failed|rejected|ok)[, ]{0,2}){0,6}",
            ],
        ) {
            status_words(text.as_bytes());
        }
    }
}

//! What is ordered: the nth order of a seed is always the same, whatever happens meanwhile.

use serde_json::{Value, json};

use crate::{
    chance::Chance,
    house::{CUSTOMER_DOMAIN, CUSTOMER_NAME},
};

/// The stream of chance that orders are drawn from.
const GOODS: u64 = 1;

const PACKAGES: [&str; 6] =
    ["hosting_1gb", "hosting_5gb", "hosting_10gb", "hosting_25gb", "hosting_50gb", "hosting_100gb"];
const ENDINGS: [&str; 6] = ["nl", "com", "eu", "be", "de", "org"];
/// Part of each auth code: whoever shows it shows a secret.
pub(crate) const AUTH_CODE: &str = "s3cret";

/// The handle of the account itself, in the sandbox.
const ACCOUNT: &str = "sandbox-account";
/// Every so many orders share a name that two of them may want.
const ORDERS_PER_SHARED_NAME: u64 = 25;

/// An order, and what its customer does besides.
pub(crate) struct Goods {
    pub(crate) n: u64,
    pub(crate) reference: String,
    pub(crate) customer: u64,
    pub(crate) document: Value,
    /// Names that the account has already.
    pub(crate) held_names: Vec<String>,
    pub(crate) deeds: Vec<Deed>,
}

/// What comes after the submission.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Deed {
    /// The shop did not hear of its success.
    SubmitAgain,
    Cancel,
    /// The customer has a new mailbox.
    Move,
    AutoRenew {
        domain: String,
        wished: bool,
    },
    /// A moment passes.
    Wait {
        ms: u64,
    },
}

/// Which lines come together.
#[derive(Clone, Copy, Debug)]
enum Bundle {
    Hosting,
    HostingForward,
    HostingDns,
    HostingOwn,
    SharedHosting,
    Register,
    RegisterByOrder,
    RegisterAndHosting,
    RegisterShared,
    RegisterTaken,
    RegisterPremium,
    Transfer,
    TransferByOrder,
    TransferAndMore,
    Update,
    Dns,
    TooDear,
    Unknown,
}

const BUNDLES: [(u64, Bundle); 18] = [
    (22, Bundle::Hosting),
    (4, Bundle::HostingForward),
    (3, Bundle::HostingDns),
    (5, Bundle::HostingOwn),
    (2, Bundle::SharedHosting),
    (12, Bundle::Register),
    (7, Bundle::RegisterByOrder),
    (10, Bundle::RegisterAndHosting),
    (3, Bundle::RegisterShared),
    (3, Bundle::RegisterTaken),
    (1, Bundle::RegisterPremium),
    (7, Bundle::Transfer),
    (5, Bundle::TransferByOrder),
    (4, Bundle::TransferAndMore),
    (5, Bundle::Update),
    (5, Bundle::Dns),
    (1, Bundle::TooDear),
    (1, Bundle::Unknown),
];

impl Goods {
    /// The nth order.
    pub(crate) fn draw(seed: u64, n: u64) -> Self {
        let mut chance = Chance::stream(seed, GOODS, n);
        // Now and then the same customer comes again.
        let customer = if n > 0 && chance.happens(200) { chance.below(n) } else { n };
        let mut basket =
            Basket { n, names: 0, chance, lines: vec![], held: vec![], wishes: vec![] };
        for _ in 0..basket.chance.weigh(&[(6, 1), (3, 2), (1, 3)]) {
            let bundle = basket.chance.weigh(&BUNDLES);
            basket.add(bundle);
        }
        let deeds = basket.deeds();
        let reference = format!("CHAOS-{n}");
        let document = json!({
            "reference": reference,
            "customer": customer_document(customer, &mailbox(customer)),
            "lines": basket.lines,
        });
        Self { n, reference, customer, document, held_names: basket.held, deeds }
    }

    pub(crate) fn lines(&self) -> &[Value] {
        self.document["lines"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Where a customer gets mail until they move.
pub(crate) fn mailbox(customer: u64) -> String {
    format!("number-{customer}@{CUSTOMER_DOMAIN}")
}

/// Where a customer gets mail from then on.
pub(crate) fn new_mailbox(customer: u64) -> String {
    format!("moved-{customer}@{CUSTOMER_DOMAIN}")
}

fn customer_document(customer: u64, mailbox: &str) -> Value {
    json!({
        "reference": format!("C-{customer}"), "first_name": CUSTOMER_NAME,
        "last_name": format!("Number {customer}"), "email": mailbox, "phone": "+31612345678",
        "address": format!("Teststreet {customer}"), "postal_code": "1234AB", "city": "Testcity",
        "country": "NL", "locale": if customer.is_multiple_of(2) { "nl" } else { "en" },
    })
}

struct Basket {
    n: u64,
    names: u64,
    chance: Chance,
    lines: Vec<Value>,
    held: Vec<String>,
    /// Names whose renewal the customer may have an opinion on.
    wishes: Vec<String>,
}

impl Basket {
    fn add(&mut self, bundle: Bundle) {
        match bundle {
            Bundle::Hosting => {
                let name = self.name();
                self.add_hosting(&name);
            }
            Bundle::HostingForward => self.add_package(
                "hosting_forward",
                json!({ "target_url": "https://example.com/", "billing_period": "yearly" }),
            ),
            Bundle::HostingDns => {
                self.add_package("hosting_dns", json!({ "billing_period": "yearly" }));
            }
            Bundle::HostingOwn => {
                let space = self.chance.between(1, 20);
                let line =
                    json!({ "kind": "hosting_own", "space_id": space, "domain": self.name() });
                self.lines.push(line);
            }
            Bundle::SharedHosting => {
                let name = self.shared_name("shared");
                self.add_hosting(&name);
            }
            Bundle::Register => {
                let name = self.name();
                self.add_register(&name);
                self.wishes.push(name);
            }
            Bundle::RegisterByOrder => {
                let line = json!({ "kind": "domain_register", "domain": self.name(),
                                   "contact_handle": ACCOUNT, "route": "order" });
                self.lines.push(line);
            }
            Bundle::RegisterAndHosting => {
                let name = self.name();
                self.add_register(&name);
                self.add_hosting(&name);
            }
            Bundle::RegisterShared => {
                let line = json!({ "kind": "domain_register", "contact_handle": ACCOUNT,
                                   "domain": self.shared_name("wanted") });
                self.lines.push(line);
            }
            Bundle::RegisterTaken => self.add_special("taken-", json!({})),
            Bundle::RegisterPremium => {
                let allowed = self.chance.happens(500);
                self.add_special("premium-", json!({ "allow_premium": allowed }));
            }
            Bundle::TooDear => self.add_special("dear-", json!({ "max_cost": "0.01" })),
            Bundle::Unknown => {
                self.add_package("hosting_7gb", json!({ "billing_period": "monthly" }));
            }
            Bundle::Transfer => {
                let name = self.name();
                self.add_transfer(&name, json!({}));
            }
            Bundle::TransferByOrder => {
                let name = self.name();
                self.add_transfer(&name, json!({ "route": "order", "contact_handle": ACCOUNT }));
            }
            Bundle::TransferAndMore => {
                let name = self.name();
                self.add_transfer(&name, json!({ "auto_renew": false }));
                self.add_dns(&name);
                if self.chance.happens(500) {
                    self.add_hosting(&name);
                }
            }
            Bundle::Update => {
                let name = self.held_name();
                let line = json!({ "kind": "domain_update", "domain": name,
                                   "auto_renew": false, "transfer_lock": self.chance.happens(500) });
                self.lines.push(line);
            }
            Bundle::Dns => {
                let name = self.held_name();
                self.add_dns(&name);
            }
        }
    }

    /// A name that no other order bears. Its number is a single figure, so that none is part of another.
    fn name(&mut self) -> String {
        let (n, k) = (self.n, self.names);
        self.names += 1;
        let ending = self.chance.pick(&ENDINGS);
        let accent = if self.chance.happens(50) { "-\u{e9}" } else { "" };
        // Not every registry takes an accent; the sandbox's .nl does.
        if accent.is_empty() {
            format!("chaos-{n}-{k}.{ending}")
        } else {
            format!("chaos-{n}-{k}{accent}.nl")
        }
    }

    fn shared_name(&mut self, what: &str) -> String {
        let m = self.n / ORDERS_PER_SHARED_NAME;
        format!("{what}-{m}.nl")
    }

    fn held_name(&mut self) -> String {
        let name = format!("chaos-{}-{}.nl", self.n, self.names);
        self.names += 1;
        self.held.push(name.clone());
        name
    }

    fn add_hosting(&mut self, name: &str) {
        let mut line = json!({ "kind": "hosting", "package": self.chance.pick(&PACKAGES),
                               "domain": name, "billing_period": self.chance.pick(&["monthly", "yearly"]) });
        if self.chance.happens(300) {
            line["max_cost"] = json!("500.00");
        }
        self.lines.push(line);
    }

    fn add_package(&mut self, package: &str, with: Value) {
        let line = json!({ "kind": "hosting", "package": package, "domain": self.name() });
        self.lines.push(joined(line, with));
    }

    fn add_register(&mut self, name: &str) {
        let mut line = json!({ "kind": "domain_register", "domain": name,
                               "years": self.chance.between(1, 4) });
        if self.chance.happens(400) {
            line["contact_handle"] = json!(ACCOUNT);
        }
        if self.chance.happens(300) {
            line["auto_renew"] = json!(self.chance.happens(500));
        }
        if self.chance.happens(200) {
            line["transfer_lock"] = json!(false);
        }
        if self.chance.happens(200) {
            line["dns"] = records();
        }
        self.lines.push(line);
    }

    fn add_special(&mut self, prefix: &str, with: Value) {
        let domain = format!("{prefix}{}", self.name());
        let line =
            json!({ "kind": "domain_register", "domain": domain, "contact_handle": ACCOUNT });
        self.lines.push(joined(line, with));
    }

    fn add_transfer(&mut self, name: &str, with: Value) {
        let code = if self.chance.happens(120) {
            "wrong".to_owned()
        } else {
            format!("{AUTH_CODE}'{}\"&", self.n)
        };
        let line = json!({ "kind": "domain_transfer", "domain": name, "auth_code": code });
        self.lines.push(joined(line, with));
    }

    fn add_dns(&mut self, name: &str) {
        self.lines.push(json!({ "kind": "dns", "domain": name, "records": records() }));
    }

    fn deeds(&mut self) -> Vec<Deed> {
        let mut deeds = Vec::new();
        if self.chance.happens(50) {
            deeds.push(Deed::SubmitAgain);
        }
        if self.chance.happens(400) {
            let of_order = self.wishes.iter().map(|domain| domain.to_lowercase());
            let chance = &mut self.chance;
            deeds.extend(
                of_order.map(|domain| Deed::AutoRenew { domain, wished: chance.happens(500) }),
            );
        }
        if self.chance.happens(30) {
            deeds.push(Deed::Move);
        }
        if self.chance.happens(40) {
            deeds.push(Deed::Wait { ms: self.chance.below(400) });
            deeds.push(Deed::Cancel);
        }
        deeds
    }
}

/// The records that each line with records asks for.
pub(crate) fn records() -> Value {
    json!([
        { "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600 },
        { "type": "MX", "name": "@", "content": "mail.example.com", "ttl": 3600, "prio": 10 },
    ])
}

fn joined(mut line: Value, with: Value) -> Value {
    if let (Some(line), Value::Object(with)) = (line.as_object_mut(), with) {
        line.extend(with);
    }
    line
}

#[test]
fn an_order_is_the_same_each_time_and_all_kinds_are_among_them() {
    use std::collections::BTreeSet;

    let drawn = || (0..300).map(|n| Goods::draw(7, n).document).collect::<Vec<_>>();
    assert_eq!(drawn(), drawn());
    let lines = drawn().into_iter().filter_map(|document| document["lines"].as_array().cloned());
    let kinds: BTreeSet<String> = lines.flatten().map(|line| line["kind"].to_string()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    let deeds: Vec<Deed> = (0..300).flat_map(|n| Goods::draw(7, n).deeds).collect();
    assert!(deeds.contains(&Deed::Cancel) && deeds.contains(&Deed::Move));
}

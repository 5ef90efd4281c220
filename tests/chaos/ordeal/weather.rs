//! What goes wrong at LJPc and at the mail server, by the sandbox's own faults.
//!
//! Some faults are an order's own, drawn with it, for the request that buys what its line asks for, or for its emails; the
//! others come and go by the clock, and strike whoever is there.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use provisor::sandbox::{FaultError, Handle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::goods::{Goods, mailbox};
use crate::chance::Chance;

/// The streams of chance.
const OWN: u64 = 2;
const PASSING: u64 = 3;

/// Of a thousand orders so many have a fault of their own upstream, and so many one of their emails.
const STRUCK: u64 = 250;
const STRUCK_MAIL: u64 = 50;

/// The mean time between two faults that pass by.
const PASSING_MS: u64 = 800;

/// More faults than these need not wait for somebody to strike: what is seldom asked for would never answer.
const WAITING_MAX: usize = 200;

/// Nor more strikes than these at one endpoint: while it is left alone but for trials, its troubles pass by like all others,
/// rather than queue up for the trials.
const WAITING_AT_ONE_MAX: u32 = 10;

/// The operator's mailbox, as the daemons are told.
pub(super) const OPERATOR: &str = "ops@example.com";

/// What the mail server says of a mailbox that it refuses for good.
pub(super) const NO_MAILBOX: &str = "chaos has no such mailbox";

/// Longer than `ljpc.timeout`.
const TOO_SLOW_MS: u64 = 4_000;

/// The faults that were set, over a sandbox.
pub(crate) struct Weather {
    sandbox: Handle,
    seed: u64,
    mails: Mutex<MailFaults>,
}

/// What was set at the mail server: the journal tells of HTTP alone.
#[derive(Default)]
struct MailFaults {
    /// By the fault's id: what it is called, and how often it may strike.
    set: BTreeMap<u64, (String, u32)>,
    /// Mailboxes whose mails may come twice, or never.
    unlucky: Vec<String>,
}

/// How often which fault struck at the mail server, and which mailboxes it was set for.
pub(crate) struct MailDamage {
    pub(crate) struck: BTreeMap<String, u64>,
    pub(crate) unlucky: Vec<String>,
}

impl Weather {
    pub(crate) fn new(sandbox: Handle, seed: u64) -> Self {
        Self { sandbox, seed, mails: Mutex::default() }
    }

    /// Sets the faults that are this order's own.
    pub(crate) fn befall(&self, goods: &Goods) {
        let mut chance = Chance::stream(self.seed, OWN, goods.n);
        if chance.happens(STRUCK) {
            let at = chance.place(goods.lines().len());
            let (endpoint, matching) = target(goods, at);
            let mut spec = upstream_fault(&mut chance, endpoint);
            spec["endpoint"] = json!(endpoint);
            spec["match"] = matching;
            self.set(&spec);
        }
        if chance.happens(STRUCK_MAIL) {
            self.befall_mail(&mut chance, &mailbox(goods.customer));
        }
        if chance.happens(STRUCK_MAIL / 5) {
            self.befall_mail(&mut chance, OPERATOR);
        }
    }

    fn befall_mail(&self, chance: &mut Chance, recipient: &str) {
        let mut spec = chance.weigh(&[
            (6, &[("endpoint", "SMTP final"), ("fault", "process_then_drop")][..]),
            (2, &[("endpoint", "SMTP final"), ("fault", "drop")]),
            (2, &[("endpoint", "SMTP final"), ("fault", "status")]),
            (1, &[("endpoint", "SMTP RCPT"), ("fault", "status")]),
        ]);
        if recipient == OPERATOR && spec[0].1 == "SMTP RCPT" {
            // The operator's mailbox stays.
            spec = &[("endpoint", "SMTP final"), ("fault", "drop")];
        }
        let mut spec: Value = spec.iter().map(|(key, value)| (*key, json!(value))).collect();
        if spec["endpoint"] == "SMTP RCPT" {
            spec["status"] = json!(550);
            spec["message"] = json!(NO_MAILBOX);
        }
        spec["match"] = json!({ "recipient": recipient });
        if self.set_mail(&spec) {
            self.mails.lock().expect("no panic").unlucky.push(recipient.to_owned());
        }
    }

    /// Lets faults pass by until there is calm.
    pub(crate) async fn blow(&self, calm: CancellationToken) {
        let mut chance = Chance::stream(self.seed, PASSING, 0);
        let mut passing: BTreeMap<u64, String> = BTreeMap::new();
        loop {
            let pause = chance.between(PASSING_MS / 2, PASSING_MS * 3 / 2);
            tokio::select! {
                // First: after the end no fault may be set any more.
                biased;
                () = calm.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
            let waiting: BTreeMap<u64, u32> =
                self.sandbox.faults().into_iter().map(|fault| (fault.id, fault.left)).collect();
            passing.retain(|id, _| waiting.contains_key(id));
            if waiting.len() >= WAITING_MAX {
                continue;
            }
            if chance.happens(150) {
                self.set_mail(&passing_mail_fault(&mut chance));
                continue;
            }
            let spec = passing_fault(&mut chance);
            let endpoint = spec["endpoint"].as_str().unwrap_or_default();
            let here = passing.iter().filter(|(_, at)| *at == endpoint);
            let strikes: u32 = here.filter_map(|(id, _)| waiting.get(id)).sum();
            if strikes < WAITING_AT_ONE_MAX
                && let Some(id) = self.set(&spec)
            {
                passing.insert(id, endpoint.to_owned());
            }
        }
    }

    /// Ends all faults, and says what struck at the mail server.
    pub(crate) fn clear(&self) -> MailDamage {
        let left: BTreeMap<u64, u32> =
            self.sandbox.faults().into_iter().map(|fault| (fault.id, fault.left)).collect();
        let _ = self.sandbox.clear_faults();
        let mails = std::mem::take(&mut *self.mails.lock().expect("no panic"));
        let mut struck: BTreeMap<String, u64> = BTreeMap::new();
        for (id, (name, times)) in mails.set {
            let strikes = times - left.get(&id).copied().unwrap_or(0);
            *struck.entry(name).or_default() += u64::from(strikes);
        }
        struck.retain(|_, strikes| *strikes > 0);
        MailDamage { struck, unlucky: mails.unlucky }
    }

    /// Sets a fault, unless the sandbox has enough of them.
    fn set(&self, spec: &Value) -> Option<u64> {
        match self.sandbox.add_fault(spec) {
            Ok(listed) => Some(listed.id),
            Err(FaultError::TooMany { .. }) => None,
            Err(error) => panic!("{spec}: {error}"),
        }
    }

    fn set_mail(&self, spec: &Value) -> bool {
        let Some(id) = self.set(spec) else { return false };
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {}", text("endpoint"), text("fault"));
        let times = spec["times"].as_u64().unwrap_or(1);
        let times = u32::try_from(times).expect("few");
        self.mails.lock().expect("no panic").set.insert(id, (name, times));
        true
    }
}

/// The endpoint that a line's request goes to, and by what the request is known.
fn target(goods: &Goods, at: usize) -> (&'static str, Value) {
    let line = &goods.lines()[at];
    let by_tag = json!({ "reference": format!("{}/{at}", goods.reference) });
    // Of a name, the part that is the same in every spelling.
    let domain = line["domain"].as_str().unwrap_or_default();
    let part = domain.split(['.', '\u{e9}']).next().unwrap_or_default().trim_end_matches('-');
    let by_name = json!({ "domain": part });
    match (line["kind"].as_str().unwrap_or_default(), line["route"].as_str()) {
        ("domain_register", None) => ("POST /api/hosting/v1/domain-names", by_name),
        ("domain_transfer", None) => {
            ("POST /api/hosting/v1/domain-names/{domain}/transfer", by_name)
        }
        ("domain_update", _) => ("PATCH /api/hosting/v1/domain-names/{domain}", by_name),
        ("dns", _) => ("PUT /api/hosting/v1/dns/zones/{domain}/records", by_name),
        _ => ("POST /api/v1/orders", by_tag),
    }
}

/// What may happen to a request with an effect. Nobody lies: what is refused has not been done.
fn upstream_fault(chance: &mut Chance, endpoint: &str) -> Value {
    let done = chance.happens(500);
    let status = chance.pick(&[500, 502, 503, 504]);
    let refusal = chance.pick(&[400, 409, 422]);
    let mut faults = vec![
        (8, json!({ "fault": "process_then_drop" })),
        (5, json!({ "fault": "drop" })),
        (6, json!({ "fault": "status", "status": status, "process": done })),
        (3, json!({ "fault": "status", "status": status, "enveloped": false, "process": done })),
        (3, json!({ "fault": "garbage" })),
        (3, json!({ "fault": "truncate" })),
        (4, json!({ "fault": "slow", "delay_ms": TOO_SLOW_MS })),
        (3, json!({ "fault": "slow", "delay_ms": 700 })),
        (3, json!({ "fault": "html", "process": done })),
        (1, json!({ "fault": "big_body" })),
        (1, json!({ "fault": "redirect", "process": done })),
        (2, json!({ "fault": "rate_limit", "retry_after": "1", "times": 2 })),
        (1, json!({ "fault": "rate_limit" })),
        (1, json!({ "fault": "unauthorized", "times": 2 })),
        (1, json!({ "fault": "foreign_403" })),
        (1, json!({ "fault": "status", "status": 403, "message": "Missing permission" })),
        (2, json!({ "fault": "status", "status": refusal, "message": "Refused by chaos" })),
        (1, json!({ "fault": "status", "status": 418, "enveloped": false, "process": done })),
        (1, json!({ "fault": "status", "status": 200, "enveloped": false, "process": done })),
    ];
    if endpoint == "POST /api/v1/orders" {
        faults.push((4, json!({ "fault": "late_site_id", "delay_ms": 1_000 })));
        faults.push((2, json!({ "fault": "no_site_id" })));
        faults.push((3, json!({ "fault": "fail" })));
    }
    let by_reference: Vec<(u64, &Value)> =
        faults.iter().map(|(weight, fault)| (*weight, fault)).collect();
    chance.weigh(&by_reference).clone()
}

/// What strikes whoever comes next.
fn passing_fault(chance: &mut Chance) -> Value {
    let endpoint = chance.pick(&[
        "LJPc *",
        "GET /api/v1/orders/{id}",
        "GET /api/hosting/v1/domain-names/{domain}",
        "GET /api/hosting/v1/domain-names/check",
        "GET /api/hosting/v1/domain-names/price",
        "GET /api/hosting/v1/sites",
        "GET /api/hosting/v1/contacts",
        "GET /api/hosting/v1/dns/zones/{domain}/records",
        "GET /api/v1/products",
        "GET /api/hosting/v1/tlds",
        "POST /api/hosting/v1/contacts",
    ]);
    // Five in a row, and the circuit opens.
    let times = chance.weigh(&[(20, 1), (6, 2), (2, 4), (1, 8)]);
    let status = chance.pick(&[500, 502, 503, 504]);
    let slow = chance.between(100, 1_500);
    let faults = [
        (8, json!({ "fault": "status", "status": status, "times": times })),
        (6, json!({ "fault": "drop", "times": times })),
        (6, json!({ "fault": "slow", "delay_ms": slow, "times": times })),
        (4, json!({ "fault": "html", "times": times })),
        (4, json!({ "fault": "garbage" })),
        (4, json!({ "fault": "truncate" })),
        (2, json!({ "fault": "big_body" })),
        (2, json!({ "fault": "redirect" })),
        (2, json!({ "fault": "rate_limit", "retry_after": "1", "times": times })),
        // These two make everybody wait for some seconds.
        (1, json!({ "fault": "rate_limit" })),
        (1, json!({ "fault": "unauthorized", "times": times + 1 })),
    ];
    let by_reference: Vec<(u64, &Value)> =
        faults.iter().map(|(weight, fault)| (*weight, fault)).collect();
    let mut spec = chance.weigh(&by_reference).clone();
    spec["endpoint"] = json!(endpoint);
    if endpoint == "GET /api/v1/orders/{id}" && chance.happens(200) {
        // Just after the creation an order may not be known yet.
        spec = json!({ "endpoint": endpoint, "fault": "status", "status": 404, "message": "Order not found" });
    }
    spec
}

fn passing_mail_fault(chance: &mut Chance) -> Value {
    let endpoint =
        chance.pick(&["SMTP connect", "SMTP EHLO", "SMTP MAIL", "SMTP RCPT", "SMTP DATA"]);
    let times = chance.between(1, 4);
    let fault = chance.pick(&["drop", "status", "slow"]);
    let mut spec = json!({ "endpoint": endpoint, "fault": fault, "times": times });
    match fault {
        "status" => spec["status"] = json!(chance.pick(&[421, 450, 451])),
        "slow" => spec["delay_ms"] = json!(chance.between(100, 1_000)),
        _ => {}
    }
    spec
}

#[test]
fn every_fault_that_may_be_drawn_can_be_set() {
    use provisor::sandbox::SandboxOptions;

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = std::env::temp_dir().join(format!("chaos-{}", uuid::Uuid::new_v4().simple()));
        let sandbox = provisor::sandbox::start(SandboxOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            leanstack_listen: ([127, 0, 0, 1], 0).into(),
            smtp_listen: ([127, 0, 0, 1], 0).into(),
            mail_dir: folder.clone(),
            ..SandboxOptions::default()
        });
        let sandbox = sandbox.await.expect("the sandbox starts");
        let weather = Weather::new(sandbox.state(), 3);
        let mut chance = Chance::new(3);
        for n in 0..2_000 {
            weather.befall(&Goods::draw(3, n));
            weather.set(&passing_fault(&mut chance));
            assert!(weather.set_mail(&passing_mail_fault(&mut chance)));
            if n % 200 == 0 {
                weather.clear();
            }
        }
        sandbox.stop().await;
        let _ = std::fs::remove_dir_all(folder);
    });
}

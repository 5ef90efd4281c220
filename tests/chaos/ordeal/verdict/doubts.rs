//! Each doubt has a fault that explains it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Evidence, Verdict,
    rows::{Attempt, Line},
};
use crate::ordeal::{
    blows::{Blow, Fallen},
    goods::mailbox,
    house::{LEASE, UPSTREAM_TIMEOUT},
    watch::Sent,
};

/// Faults that leave no doubt: the request was refused, or answered in full and in time.
const HARMLESS: [&str; 10] = [
    "rate_limit",
    "unauthorized",
    "foreign_403",
    "late_site_id",
    "no_site_id",
    "fail",
    "status 400",
    "status 403",
    "status 409",
    "status 422",
];

/// What a machine that can't keep up adds to a request's deadline, or to the times of two clocks.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// The requests with an effect, by what they are known by.
#[derive(Default)]
struct Requests<'a> {
    tags: HashMap<&'a str, Vec<&'a Sent>>,
    /// Changes of a name or of its zone bear no tag.
    paths: HashMap<&'a str, Vec<&'a Sent>>,
    /// Nor do WHOIS contacts.
    emails: HashMap<&'a str, Vec<&'a Sent>>,
}

impl<'a> Requests<'a> {
    fn of(evidence: &Evidence<'a>) -> Self {
        let mut requests = Self::default();
        for sent in &evidence.watched.sent {
            requests.paths.entry(&sent.path).or_default().push(sent);
            if let Some(tag) = &sent.tag {
                requests.tags.entry(tag).or_default().push(sent);
            }
            if let Some(email) = &sent.email {
                requests.emails.entry(email).or_default().push(sent);
            }
        }
        requests
    }

    /// What was sent by an attempt, while it was under way.
    fn by(&self, attempt: &Attempt, line: &Line) -> Vec<&'a Sent> {
        let name = line.name().unwrap_or_default();
        let sent = match attempt.step.as_str() {
            "create_contact" => {
                let customer = line.customer.trim_start_matches("C-");
                let customer = customer.parse().expect("customers are numbered");
                self.emails.get(mailbox(customer).as_str())
            }
            "update_domain" => {
                self.paths.get(format!("/api/hosting/v1/domain-names/{name}").as_str())
            }
            "replace_records" => {
                self.paths.get(format!("/api/hosting/v1/dns/zones/{name}/records").as_str())
            }
            _ => self.tags.get(attempt.tag.as_str()),
        };
        let (from, until) = under_way(attempt, line);
        let sent = sent.into_iter().flatten().copied();
        sent.filter(|sent| (from..=until).contains(&sent.at)).collect()
    }
}

impl Verdict {
    pub(super) fn judge_doubts(&mut self, evidence: &Evidence<'_>) {
        let owners = owners(evidence);
        let requests = Requests::of(evidence);
        let mut attempts: HashMap<i64, Vec<&Attempt>> = HashMap::new();
        for attempt in &evidence.rows.attempts {
            if matches!(attempt.state.as_str(), "sending" | "in_doubt") {
                attempts.entry(attempt.line_id).or_default().push(attempt);
            }
        }
        let none = Vec::new();
        for line in evidence.rows.lines.iter().filter(|line| line.status == "in_doubt") {
            let open = attempts.get(&line.id).unwrap_or(&none);
            let by_fault = open.iter().rev().find_map(|attempt| {
                let sent = requests.by(attempt, line);
                let mut faults = sent.iter().filter_map(|sent| sent.fault.clone());
                // What is merely slow is a fault from the deadline on.
                faults.rfind(|fault| {
                    !HARMLESS.contains(&fault.as_str()) && (fault != "slow" || lasted(attempt))
                })
            });
            let by_blow =
                || open.iter().find_map(|attempt| by_blow(attempt, line, evidence, &owners));
            match by_fault.or_else(by_blow) {
                Some(fault) => *self.doubted.entry(fault).or_default() += 1,
                None => self.wrongs.push(format!(
                    "{} ({}) is in doubt, and no fault explains it: {}; attempts {open:?}, requests {}",
                    line.tag(),
                    line.kind,
                    line.reason.as_deref().unwrap_or_default(),
                    open.iter()
                        .flat_map(|attempt| requests.by(attempt, line))
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", "),
                )),
            }
        }
    }
}

/// From when until when an attempt was under way, as far as is known.
fn under_way(attempt: &Attempt, line: &Line) -> (DateTime<Utc>, DateTime<Utc>) {
    let lease = TimeDelta::from_std(LEASE).expect("short");
    let until = attempt.ended_at.or(line.in_doubt_at).unwrap_or(attempt.started_at + lease);
    (attempt.started_at - SLACK, until + SLACK)
}

/// What befell the worker that made an attempt, or the database while it was made.
fn by_blow(
    attempt: &Attempt,
    line: &Line,
    evidence: &Evidence<'_>,
    owners: &BTreeMap<Uuid, u32>,
) -> Option<String> {
    let (from, until) = under_way(attempt, line);
    let struck = owners.get(&attempt.owner).copied();
    let strikes = |fallen: &&Fallen| {
        let meets = fallen.from <= until && fallen.until >= from;
        meets
            && match fallen.blow {
                Blow::Kill | Blow::Drain | Blow::Stop => fallen.life == struck,
                Blow::Terminate | Blow::Crash | Blow::Cut | Blow::Away => true,
            }
    };
    let mut fallen: Vec<&Fallen> = evidence.havoc.fallen.iter().filter(strikes).collect();
    // What befell the worker itself says more than what befell everybody.
    fallen.sort_by_key(|fallen| fallen.life.is_none());
    if let Some(fallen) = fallen.first() {
        return Some(fallen.blow.name().to_owned());
    }
    lasted(attempt).then(|| "a machine that can't keep up".to_owned())
}

/// Whether the attempt came to its deadline.
fn lasted(attempt: &Attempt) -> bool {
    let timeout = TimeDelta::from_std(UPSTREAM_TIMEOUT).expect("short");
    attempt.ended_at.is_some_and(|ended| ended - attempt.started_at + SLACK >= timeout)
}

/// Which life each owner of attempts was, as the workers' logs tell.
fn owners(evidence: &Evidence<'_>) -> BTreeMap<Uuid, u32> {
    let mut owners = BTreeMap::new();
    for life in 1..=evidence.havoc.lives {
        let log = evidence.house.logs().join(format!("{life}.log"));
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let owner = log.split_once("\"owner\":\"").and_then(|(_, rest)| rest.get(..36));
        if let Some(owner) = owner.and_then(|owner| Uuid::try_parse(owner).ok()) {
            owners.insert(owner, life);
        }
    }
    owners
}

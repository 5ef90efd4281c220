//! Each doubt has a fault that explains it.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    Evidence, Verdict,
    rows::{Attempt, Line},
};
use crate::ordeal::{
    blows::{Blow, Fallen},
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

impl Verdict {
    pub(super) fn judge_doubts(&mut self, evidence: &Evidence<'_>) {
        let owners = owners(evidence);
        let mut by_tag: HashMap<&str, Vec<&Sent>> = HashMap::new();
        let mut by_path: HashMap<&str, Vec<&Sent>> = HashMap::new();
        let mut by_email: HashMap<&str, Vec<&Sent>> = HashMap::new();
        for sent in &evidence.watched.sent {
            by_path.entry(&sent.path).or_default().push(sent);
            if let Some(tag) = &sent.tag {
                by_tag.entry(tag).or_default().push(sent);
            }
            if let Some(email) = &sent.email {
                by_email.entry(email).or_default().push(sent);
            }
        }
        let mut attempts: HashMap<i64, Vec<&Attempt>> = HashMap::new();
        for attempt in &evidence.rows.attempts {
            attempts.entry(attempt.line_id).or_default().push(attempt);
        }
        let none = Vec::new();
        for line in evidence.rows.lines.iter().filter(|line| line.status == "in_doubt") {
            let open: Vec<&Attempt> = attempts
                .get(&line.id)
                .unwrap_or(&none)
                .iter()
                .copied()
                .filter(|attempt| matches!(attempt.state.as_str(), "sending" | "in_doubt"))
                .collect();
            let sent = open.iter().flat_map(|attempt| by_tag.get(attempt.tag.as_str()).into_iter());
            let mut sent: Vec<&Sent> = sent.flatten().copied().collect();
            for path in paths(line) {
                sent.extend(by_path.get(path.as_str()).into_iter().flatten());
            }
            let customer = line.customer.trim_start_matches("C-");
            let email = format!("number-{customer}@{}", crate::house::CUSTOMER_DOMAIN);
            sent.extend(by_email.get(email.as_str()).into_iter().flatten());
            let mut by_fault = sent.iter().filter_map(|sent| sent.fault.as_deref());
            // What is merely slow is a fault from the deadline on.
            let in_time = !open.iter().any(|attempt| lasted(attempt));
            let by_fault =
                by_fault.rfind(|fault| !(HARMLESS.contains(fault) || in_time && *fault == "slow"));
            let found = by_fault.map(str::to_owned).or_else(|| {
                open.iter().find_map(|attempt| by_blow(attempt, line, evidence, &owners))
            });
            match found {
                Some(fault) => *self.doubted.entry(fault).or_default() += 1,
                None => self.wrongs.push(format!(
                    "{} ({}) is in doubt, and no fault explains it: {}; attempts {open:?}, requests {}",
                    line.tag(),
                    line.kind,
                    line.reason.as_deref().unwrap_or_default(),
                    sent.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                )),
            }
        }
    }
}

/// The paths of the requests that bear no tag, of this line's name.
fn paths(line: &Line) -> Vec<String> {
    let Some(name) = line.name() else { return Vec::new() };
    vec![
        format!("/api/hosting/v1/domain-names/{name}"),
        format!("/api/hosting/v1/dns/zones/{name}/records"),
    ]
}

/// What befell the worker that made an attempt, or the database while it was made.
fn by_blow(
    attempt: &Attempt,
    line: &Line,
    evidence: &Evidence<'_>,
    owners: &BTreeMap<Uuid, u32>,
) -> Option<String> {
    let from = attempt.started_at - SLACK;
    let lease = TimeDelta::from_std(LEASE).expect("short");
    let until = attempt.ended_at.or(line.in_doubt_at).unwrap_or(attempt.started_at + lease) + SLACK;
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

//! What the database believes of sites and names is so, and what customers wish for has come to be.

use std::collections::{BTreeMap, BTreeSet};

use provisor::{
    order::name::DomainName,
    sandbox::{DnsRecord, DomainSeen},
};

use super::{Evidence, Verdict};
use crate::ordeal::goods::records;

/// A name, as the database knows it.
#[derive(sqlx::FromRow)]
struct Name {
    domain: String,
    auto_renew_wished: Option<bool>,
    /// What the line that brought it could not have.
    refused: Option<String>,
}

impl Verdict {
    pub(super) async fn judge_mirrors(&mut self, evidence: &Evidence<'_>) {
        self.judge_sites(evidence).await;
        self.judge_names(evidence).await;
        self.judge_zones(evidence).await;
    }

    async fn judge_sites(&mut self, evidence: &Evidence<'_>) {
        let sites = evidence.house.sandbox.state().sites();
        let real: BTreeMap<i64, String> =
            sites.iter().map(|site| (site.id.0, spelt(&site.domain))).collect();
        let believed: Vec<(i64, String)> = evidence
            .house
            .rows(
                "SELECT site_id, domain FROM provisor.sites
                 UNION SELECT site_id, domain FROM provisor.listed_sites",
            )
            .await;
        for (id, domain) in &believed {
            if real.get(id) != Some(&spelt(domain)) {
                let real = real.get(id);
                self.wrongs
                    .push(format!("site {id} is believed to be {domain}'s, and is {real:?}'s"));
            }
        }
        let unknown: Vec<(String,)> = evidence
            .house
            .rows(
                "SELECT o.reference || '/' || l.line FROM provisor.order_lines l
                 JOIN provisor.orders o ON o.id = l.order_id
                 WHERE l.status = 'completed' AND l.site_id IS NOT NULL AND NOT EXISTS (
                     SELECT FROM provisor.sites s WHERE s.site_id = l.site_id AND s.line_id = l.id)",
            )
            .await;
        for (tag,) in unknown {
            self.wrongs.push(format!("{tag}: its site is not among the sites"));
        }
    }

    /// The latest wish for the renewal of a name that is there has come to be.
    async fn judge_names(&mut self, evidence: &Evidence<'_>) {
        let domains = evidence.house.sandbox.state().domains();
        let real: BTreeMap<&str, &DomainSeen> =
            domains.iter().map(|seen| (seen.domain.as_str(), seen)).collect();
        let last_words: BTreeMap<String, bool> = evidence.shop.wishes();
        let names: Vec<Name> = evidence
            .house
            .rows(
                "SELECT d.domain, d.auto_renew_wished, l.refused FROM provisor.domains d
                 JOIN provisor.order_lines l ON l.id = d.line_id WHERE l.status = 'completed'",
            )
            .await;
        for name in &names {
            let (domain, kept) = (&name.domain, name.auto_renew_wished);
            let told = last_words.get(domain).copied();
            if told.is_some() && told != kept {
                self.lost
                    .push(format!("{domain}: the wish for its renewal is {kept:?}, not {told:?}"));
            }
            let seen = real.get(domain.as_str()).map(|seen| seen.auto_renew);
            if kept.is_some() && seen != kept && name.refused.is_none() {
                self.lost
                    .push(format!("{domain}: its renewal is {seen:?}, and {kept:?} is wished"));
            }
        }
    }

    /// The records of a zone are those that were asked for.
    async fn judge_zones(&mut self, evidence: &Evidence<'_>) {
        let zones: Vec<(String, String)> = evidence
            .house
            .rows(
                "SELECT o.reference || '/' || l.line, l.domain FROM provisor.order_lines l
                 JOIN provisor.orders o ON o.id = l.order_id
                 WHERE l.status = 'completed' AND l.reason IS NULL AND (l.kind = 'dns' OR l.wish ? 'dns')",
            )
            .await;
        let wanted: BTreeSet<String> = records()
            .as_array()
            .into_iter()
            .flatten()
            .map(|wished| wished["content"].to_string())
            .collect();
        for (tag, domain) in zones {
            let zone: Vec<DnsRecord> =
                evidence.house.sandbox.state().zone(&domain).unwrap_or_default();
            let found: BTreeSet<String> =
                zone.iter().map(|record| format!("{:?}", record.content)).collect();
            if found != wanted || zone.len() != wanted.len() {
                self.lost.push(format!("{tag}: the zone of {domain} has {found:?}"));
            }
        }
    }
}

/// The one spelling of a name; another text as it is.
fn spelt(domain: &str) -> String {
    DomainName::parse(domain).map_or_else(|_| domain.to_owned(), |name| name.as_str().to_owned())
}

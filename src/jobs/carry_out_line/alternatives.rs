//! Names that may be had instead of one that is taken: Leanstack's suggestions, of which only those are offered that LJPc
//! says can be registered, and at which price.

use std::time::Duration;

use super::CarryOutLine;
use crate::{
    order::{
        domain::{Alternative, SplitName, split},
        name::DomainName,
    },
    upstream::{UpstreamError, leanstack, ljpc},
};

/// For how long an order's failure waits for them.
const WITHIN: Duration = Duration::from_secs(15);

/// So many suggestions are looked at, and so many of them are offered.
const LOOKED_AT_MAX: usize = 20;
const OFFERED_MAX: usize = 5;

impl CarryOutLine {
    /// Names that may be had instead. An upstream that fails or is slow costs the suggestions, and nothing else.
    pub(super) async fn alternatives(
        &self,
        parts: &SplitName,
        prepaid: &mut bool,
    ) -> Vec<Alternative> {
        match tokio::time::timeout(WITHIN, self.find_alternatives(parts, prepaid)).await {
            Ok(Some(names)) => names,
            Ok(None) => Vec::new(),
            Err(_) => {
                tracing::warn!("no alternatives were found in time");
                Vec::new()
            }
        }
    }

    async fn find_alternatives(
        &self,
        parts: &SplitName,
        prepaid: &mut bool,
    ) -> Option<Vec<Alternative>> {
        let suggested = self.suggestions(&parts.sld).await?;
        let tlds = self.tlds(prepaid).await.ok()?;
        let sold: Vec<DomainName> = suggested
            .into_iter()
            .filter(|name| split(name, &tlds).is_some())
            .take(LOOKED_AT_MAX)
            .collect();
        let names: Vec<&DomainName> = sold.iter().collect();
        if names.is_empty() {
            return None;
        }
        let request = self.guest.ljpc().check(&names);
        let checks = self.ask(&ljpc::endpoints::CHECK_DOMAIN, prepaid, request).await.ok()?.ok()?;
        let free: Vec<&DomainName> =
            names.into_iter().filter(|name| checks.of(name) == Some("available")).collect();
        if free.is_empty() {
            return None;
        }
        let request = self.guest.ljpc().prices(&free);
        let prices = self.ask(&ljpc::endpoints::PRICE_DOMAIN, prepaid, request).await.ok()?.ok()?;
        let offered = free.into_iter().filter_map(|name| {
            let price = prices.of(name).filter(|price| !price.premium)?.price_eur?;
            Some(Alternative { domain: name.as_str().to_owned(), price })
        });
        Some(offered.take(OFFERED_MAX).collect())
    }

    /// What Leanstack suggests; none where it is not asked.
    async fn suggestions(&self, sld: &str) -> Option<Vec<DomainName>> {
        let guest = self.leanstack.as_ref()?;
        let endpoint = leanstack::endpoints::SUGGEST_NAMES.name;
        let permit = guest.permit(endpoint, &mut false).await.ok()?;
        let answer = guest.host().suggestions(sld).await;
        guest.learn(endpoint, &answer).await;
        drop(permit);
        note(&answer);
        Some(answer.ok()?.into_iter().map(|suggestion| suggestion.name).collect())
    }
}

fn note<T>(answer: &Result<T, UpstreamError>) {
    if let Err(error) = answer {
        tracing::warn!(error = error.logged(), "Leanstack suggests nothing");
    }
}

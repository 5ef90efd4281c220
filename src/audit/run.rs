//! A run, and the stages that it goes through.

use crate::order::text_enum;

text_enum! {
    /// Why there is a run.
    RunKind {
        /// The schedule named its time.
        Scheduled = "scheduled",
        /// Somebody has asked for it.
        Asked = "asked",
        /// Somebody wants to know what it would find: nothing is written or sent.
        Dry = "dry",
    }
}

text_enum! {
    /// The stages of a run, in their order.
    Stage {
        /// Lists the account's domains.
        Domains = "domains",
        /// Lists its sites.
        Sites = "sites",
        /// Looks directly at domains that the listing leaves a question of.
        DomainLooks = "domain_looks",
        /// The same for sites.
        SiteLooks = "site_looks",
        /// Counts what would change or be missing, for the brake.
        Weigh = "weigh",
        /// Judges the domains.
        JudgeDomains = "judge_domains",
        /// Judges the sites.
        JudgeSites = "judge_sites",
        /// Asks what delivered lines would cost now, and judges that.
        JudgePrices = "judge_prices",
        /// Judges lines and emails.
        JudgeOwn = "judge_own",
        /// Reminds customers of expiries.
        Remind = "remind",
        /// Tells the operator, and ends.
        Finish = "finish",
    }
}

impl Stage {
    /// The stage that follows; the last one is its own.
    #[must_use]
    pub fn next(self) -> Self {
        let mut rest = Self::ALL.iter().skip_while(|stage| **stage != self);
        rest.nth(1).copied().unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_followed_by_the_next_and_the_last_by_itself() {
        let mut stage = Stage::Domains;
        for expected in Stage::ALL {
            assert_eq!(stage, *expected);
            stage = stage.next();
        }
        assert_eq!(stage, Stage::Finish);
    }
}

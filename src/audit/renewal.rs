//! Until when a renewal can be turned on or off, by the name's ending.
//!
//! LJPc's document says no such time. The registries', and what registrars make of them, are below; a day is added where the
//! source speaks of the day itself, for registrars work ahead. Past that moment a change may come too late, or half: it is a
//! person's then.

use chrono::{DateTime, TimeDelta, Utc};

/// An ending's margin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastSafe {
    /// The ending, without a dot before it; empty: any other.
    pub tld: &'static str,
    /// So many days before the expiry a change is still safe.
    pub days: i64,
    /// Where that comes from.
    pub source: &'static str,
}

const TABLE: [LastSafe; 6] = [
    LastSafe {
        tld: "nl",
        days: 3,
        // SIDN carries out a cancellation at once; resellers of RRPproxy must ask two days before.
        source: "https://www.sidn.nl/en/nl-domain-name/cancelling-your-domain-name",
    },
    LastSafe {
        tld: "com",
        days: 2,
        // Verisign renews at the expiry; registrars attempt it about a day before.
        source: "https://www.icann.org/resources/pages/gtld-lifecycle-2012-02-25-en",
    },
    LastSafe {
        tld: "eu",
        days: 2,
        // No grace: a name that is not renewed goes into quarantine at its expiry.
        source: "https://eurid.eu/en/register-a-eu-domain/domain-name-lifecycle/",
    },
    LastSafe {
        tld: "be",
        days: 2,
        // The date is an indication: it is billed at the month's end, and registrars may be earlier.
        source: "https://www.dnsbelgium.be/en/manage-your-domain-name/renew",
    },
    LastSafe {
        tld: "de",
        days: 3,
        // No grace either: what no member of DENIC administers goes into transit, at its holder's cost.
        source: "https://www.denic.de/en/faqs/faqs-for-domain-holders/",
    },
    LastSafe { tld: "", days: 3, source: "the longest of the above" },
];

/// The margin of a name's ending.
#[must_use]
pub fn last_safe(domain: &str) -> LastSafe {
    let ending = domain.rsplit_once('.').map_or("", |(_, ending)| ending);
    let [.., any] = TABLE;
    TABLE.into_iter().find(|row| row.tld == ending).unwrap_or(any)
}

/// Whether its renewal can still be changed safely.
#[must_use]
pub fn is_in_time(domain: &str, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let margin = TimeDelta::days(last_safe(domain).days);
    now.checked_add_signed(margin).is_some_and(|latest| latest <= expires_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_its_margin_and_its_source() {
        for (domain, days) in [
            ("example.nl", 3),
            ("example.com", 2),
            ("a.b.eu", 2),
            ("x.be", 2),
            ("x.de", 3),
            ("x.org", 3),
            ("nl", 3),
        ] {
            assert_eq!(last_safe(domain).days, days, "{domain}");
        }
        assert!(TABLE.iter().all(|row| !row.source.is_empty()));
    }

    #[test]
    fn the_last_moment_itself_is_in_time() {
        let expiry = DateTime::UNIX_EPOCH + TimeDelta::days(400);
        let before = |seconds| expiry - TimeDelta::days(3) + TimeDelta::seconds(seconds);
        assert!(is_in_time("example.nl", expiry, before(0)));
        assert!(!is_in_time("example.nl", expiry, before(1)));
        assert!(is_in_time("example.com", expiry, before(1)));
        assert!(!is_in_time("example.com", expiry, DateTime::<Utc>::MAX_UTC));
    }
}

//! The words of a domain's status. LJPc says that it is opaque and may be several words, joined by commas; some are known.

use super::Severity;

/// Parts of words that need somebody, without what stands between those parts, the gravest first. ICANN's EPP status
/// codes (<https://www.icann.org/epp>) and SIDN's quarantine, in whatever case and with whatever joints.
const WORDS: [(&str, Severity); 7] = [
    ("redemption", Severity::Critical),
    ("pendingdelete", Severity::Critical),
    ("quarantine", Severity::Critical),
    ("hold", Severity::Critical),
    ("suspended", Severity::Critical),
    ("expired", Severity::Critical),
    ("pending", Severity::Warning),
];

/// The gravest word of a status that needs somebody, as upstream wrote it.
pub(super) fn worst(status: &str) -> Option<(&str, Severity)> {
    let judged = status.split(',').map(str::trim).filter_map(|word| {
        let plain: String =
            word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let known = WORDS.iter().find(|(known, _)| plain.contains(known));
        known.map(|(_, severity)| (word, *severity))
    });
    judged.max_by_key(|(_, severity)| *severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_need_somebody_are_known_however_they_are_written() {
        for (status, expected) in [
            ("active", None),
            ("", None),
            (",,", None),
            ("ok, clientTransferProhibited", None),
            ("pending_transfer", Some(("pending_transfer", Severity::Warning))),
            ("active,redemptionPeriod", Some(("redemptionPeriod", Severity::Critical))),
            ("Redemption Period", Some(("Redemption Period", Severity::Critical))),
            ("pending_create, pending-delete", Some(("pending-delete", Severity::Critical))),
            ("clientHold", Some(("clientHold", Severity::Critical))),
            ("server_hold", Some(("server_hold", Severity::Critical))),
            ("in quarantine", Some(("in quarantine", Severity::Critical))),
            ("registryHold, transfer pending", Some(("registryHold", Severity::Critical))),
            ("transfer pending", Some(("transfer pending", Severity::Warning))),
            ("transferProhibited", None),
            ("quarantine", Some(("quarantine", Severity::Critical))),
            ("EXPIRED", Some(("EXPIRED", Severity::Critical))),
        ] {
            assert_eq!(worst(status), expected, "{status:?}");
        }
    }
}

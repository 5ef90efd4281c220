//! Every key there is (contract, "Configuration").

/// A key, and what must be known of it before its value is read.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Key {
    /// Dotted, as in `ljpc.api_key`.
    pub(super) name: &'static str,
    /// Its value is never shown.
    pub(super) secret: bool,
    /// default.toml gives it a value. Without one, an empty text means that the key is not set.
    pub(super) has_default: bool,
}

impl Key {
    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("PROVISOR_{}", self.name.replace('.', "__").to_ascii_uppercase())
    }
}

const fn key(name: &'static str) -> Key {
    Key { name, secret: false, has_default: true }
}

const fn open(name: &'static str) -> Key {
    Key { name, secret: false, has_default: false }
}

const fn secret(name: &'static str) -> Key {
    Key { name, secret: true, has_default: false }
}

/// In the order in which they are explained.
pub(super) const KEYS: &[Key] = &[
    secret("database.url"),
    key("ljpc.base_url"),
    secret("ljpc.api_key"),
    key("ljpc.allow_http"),
    key("ljpc.timeout"),
    key("ljpc.requests_per_second"),
    key("ljpc.max_in_flight"),
    key("ljpc.in_doubt_grace"),
    key("ljpc.evidence_interval"),
    key("ljpc.order_id_probe"),
    key("ljpc.circuit_probe_interval"),
    key("leanstack.enabled"),
    key("leanstack.base_url"),
    secret("leanstack.access_token"),
    key("leanstack.allow_http"),
    key("leanstack.contract"),
    secret("email.smtp_url"),
    open("email.from"),
    key("email.ops_to"),
    key("email.disabled"),
    key("email.retry_initial"),
    key("email.retry_max"),
    key("email.give_up_after"),
    key("email.templates_dir"),
    key("poll.initial_interval"),
    key("poll.multiplier"),
    key("poll.max_interval"),
    key("poll.transfer_max_interval"),
    key("poll.failed_recheck"),
    key("poll.site_id_wait"),
    key("poll.progress_after"),
    key("poll.overdue_after"),
    key("queue.concurrency"),
    key("queue.lease"),
    key("queue.poll_interval"),
    key("queue.listen"),
    key("queue.shutdown_grace"),
    key("audit.cron"),
    key("audit.timezone"),
    key("audit.reminder_days"),
    key("audit.apply_auto_renew"),
    key("http.listen"),
    key("log.format"),
    key("log.filter"),
    open("trace.otlp_endpoint"),
];

/// The key of this dotted name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Is this the first level of some key: `ljpc`, `poll`?
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.split_once('.').is_some_and(|(section, _)| section == name))
}

/// The known key that an unknown name was most likely meant to be, if any comes near.
pub(super) fn nearest(unknown: &str) -> Option<&'static Key> {
    const DISTANCE_MAX: usize = 3;
    let by_distance = KEYS.iter().map(|key| (distance(unknown, key.name), key));
    let (distance, key) = by_distance.min_by_key(|(distance, _)| *distance)?;
    if distance <= DISTANCE_MAX {
        return Some(key);
    }
    let last_word = unknown.rsplit('.').next();
    // The right word under the wrong section, as `api_key` alone.
    KEYS.iter()
        .find(|key| key.name.split_once('.').is_some_and(|(_, word)| Some(word) == last_word))
}

/// Levenshtein's distance: the least number of letters put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            before = changed.min(*cell + 1).min(before + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases =
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "abd", 1), ("kitten", "sitting", 3)];
        for (a, b, expected) in cases {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_finds_its_key_and_nonsense_finds_none() {
        let cases = [
            ("ljpc.apikey", Some("ljpc.api_key")),
            ("ljcp.api_key", Some("ljpc.api_key")),
            ("api_key", Some("ljpc.api_key")),
            ("poll.shutdown_grace", Some("queue.shutdown_grace")),
            ("something.else.entirely", None),
        ];
        for (unknown, expected) in cases {
            assert_eq!(nearest(unknown).map(|key| key.name), expected, "{unknown}");
        }
    }

    #[test]
    fn no_key_can_be_mistaken_for_the_file_of_another() {
        assert!(KEYS.iter().all(|key| !key.name.ends_with("_file")));
    }

    #[test]
    fn variables_are_named_after_their_keys() {
        assert_eq!(find("ljpc.api_key").unwrap().variable(), "PROVISOR_LJPC__API_KEY");
    }
}

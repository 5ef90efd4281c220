//! The Retry-After header, in both of its forms (RFC 9110, section 10.2.3).

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The least and the most that is waited, whatever the header says.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_hours(1);

/// What is waited when there is no header, or none that can be read.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// The three forms of an HTTP date (RFC 9110, section 5.6.7), the first of which everybody should send.
const DATE_FORMS: [&str; 3] =
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// How long a 429 asks to wait. A date is counted from the answer's own Date, because the two clocks that matter are then
/// one; without it, from `now`.
pub(super) fn retry_after(
    header: Option<&str>,
    date: Option<&str>,
    now: DateTime<Utc>,
) -> Duration {
    let Some(header) = header.map(str::trim) else { return WAIT_DEFAULT };
    let asked = if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are more than an hour.
        Some(header.parse().map_or(WAIT_MAX, Duration::from_secs))
    } else {
        let since = date.and_then(http_date).unwrap_or(now);
        http_date(header).map(|until| (until - since).to_std().unwrap_or(WAIT_MIN))
    };
    asked.map_or(WAIT_DEFAULT, |wait| wait.clamp(WAIT_MIN, WAIT_MAX))
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    DATE_FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok())
        .map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: &str = "Sun, 22 Nov 2026 12:00:00 GMT";

    fn secs(header: Option<&str>, date: Option<&str>) -> u64 {
        let now = http_date("Sun, 22 Nov 2026 11:59:00 GMT").unwrap();
        retry_after(header, date, now).as_secs()
    }

    #[test]
    fn table() {
        for (header, date, waited) in [
            (None, None, 5),
            (Some(""), None, 5),
            (Some("soon"), None, 5),
            (Some("-3"), None, 5),
            (Some("1.5"), None, 5),
            (Some("0"), None, 1),
            (Some(" 30 "), None, 30),
            (Some("3600"), None, 3600),
            (Some("3601"), None, 3600),
            (Some("99999999999999999999999999"), None, 3600),
            (Some("Sun, 22 Nov 2026 12:00:20 GMT"), Some(NOON), 20),
            // The answer's clock is another than ours; its own counts.
            (Some("Sun, 22 Nov 2026 12:00:20 GMT"), None, 80),
            (Some("Sun, 22 Nov 2026 12:00:20 GMT"), Some("garbage"), 80),
            (Some("Sunday, 22-Nov-26 12:00:20 GMT"), Some(NOON), 20),
            (Some("Sun Nov 22 12:00:20 2026"), Some(NOON), 20),
            (Some("Sun, 22 Nov 2026 11:00:00 GMT"), Some(NOON), 1),
            (Some("Tue, 22 Nov 2033 11:00:00 GMT"), Some(NOON), 3600),
        ] {
            assert_eq!(secs(header, date), waited, "{header:?} {date:?}");
        }
    }

    proptest! {
        #[test]
        fn always_within_the_bounds(header in any::<String>(), date in any::<String>()) {
            let wait = secs(Some(&header), Some(&date));
            prop_assert!((1..=3600).contains(&wait));
        }
    }
}

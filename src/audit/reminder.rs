//! Which reminder of an expiry is due: once for each expiry and threshold, and of those that are passed only the latest.
//!
//! By default (60, 30, 7 and -3 days) the windows of ICANN's Expired Registration Recovery Policy are met, 2.1: about a
//! month before the expiry (26 to 35 days), about a week before (4 to 10), and within five days after
//! (<https://www.icann.org/resources/pages/errp-2013-02-28-en>).

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Deserialize;

use super::{Assessment, FindingKind as Kind, Severity};

/// After so many days past the last threshold nobody is reminded any more: the name is long gone, or was brought in late.
const LATE_MAX_DAYS: i64 = 30;

/// Two reminders of one name are at least so many days apart, unless the later one tells of the expiry itself.
const GAP_DAYS: i64 = 2;

/// A name and what was sent about its expiry.
#[derive(Clone, Debug)]
pub struct Reminding<'a> {
    /// The day on which it expires, in the audit's time zone.
    pub expires_on: NaiveDate,
    /// Thresholds that are settled for this expiry: sent, or skipped.
    pub settled: &'a [i32],
    /// When its owner was last reminded, for whatever expiry.
    pub last_sent_on: Option<NaiveDate>,
}

/// What was decided about a reminder.
#[derive(Clone, Debug, Deserialize)]
pub struct PastReminder {
    /// The day of the expiry that it was about.
    pub expires_on: NaiveDate,
    /// Days before the expiry; negative: after.
    pub threshold: i32,
    /// Whether it was owed, or skipped for a later one.
    pub outcome: Outcome,
    /// When that was decided.
    pub decided_at: DateTime<Utc>,
    /// How its email stands: `queued`, `sent`, `failed`, `disabled`.
    pub email: Option<String>,
}

/// What became of a threshold.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An email was owed.
    Owed,
    /// A later threshold had passed, too.
    Skipped,
}

/// An expiry that moves by so few days is the same: some registries count to the day, others to the hour.
const SAME_EXPIRY_DAYS: i64 = 3;

/// How long a reminder may wait to be sent before somebody should look.
const WAITS: TimeDelta = TimeDelta::hours(24);

/// The reminders of this expiry among those that were decided.
pub fn of_expiry(
    past: &[PastReminder],
    expires_on: NaiveDate,
) -> impl Iterator<Item = &PastReminder> {
    past.iter().filter(move |it| (it.expires_on - expires_on).num_days().abs() <= SAME_EXPIRY_DAYS)
}

/// Whether the reminder of the latest threshold that is passed reached nobody. `due` is what is decided now; `withheld` says
/// why a reminder that is due is not sent.
#[must_use]
pub fn assess_reminders(
    domain: &str,
    expires_on: NaiveDate,
    (past, withheld): (&[PastReminder], Option<&str>),
    due: &Due,
    now: DateTime<Utc>,
) -> Assessment {
    let mut found = Assessment::default();
    if due.send.is_some() {
        return found;
    }
    if let Some(why) = withheld {
        let what = format!("no reminder after its expiry on {expires_on} is sent: {why}");
        let episode = format!("{expires_on}:withheld");
        found.find_in(Kind::ReminderMissing, Severity::Warning, domain, episode, what);
        return found;
    }
    let latest = of_expiry(past, expires_on).min_by_key(|it| it.threshold);
    let Some(latest) = latest.filter(|it| it.outcome == Outcome::Owed) else { return found };
    let waits = now - latest.decided_at > WAITS;
    let (severity, what) = match latest.email.as_deref() {
        Some("failed") => (Severity::Warning, "could not be sent"),
        Some("queued") if waits => {
            (Severity::Warning, "waits for the mail server for more than a day")
        }
        Some("disabled") => (Severity::Info, "is not sent: email.disabled has it switched off"),
        _ => return found,
    };
    let episode = format!("{expires_on}:{}", latest.threshold);
    let what = format!("the reminder of its expiry on {expires_on} {what}");
    found.find_in(Kind::ReminderMissing, severity, domain, episode, what);
    found
}

/// What is due.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Due {
    /// The threshold whose reminder is sent now.
    pub send: Option<i32>,
    /// Thresholds that were passed unnoticed, and are not made up for.
    pub skip: Vec<i32>,
}

/// Which reminder is due on a day. `reminder_days`: days before the expiry, negative: after.
#[must_use]
pub fn due_reminder(name: &Reminding<'_>, reminder_days: &[i32], today: NaiveDate) -> Due {
    let left = (name.expires_on - today).num_days();
    let mut open: Vec<i32> = reminder_days
        .iter()
        .copied()
        .filter(|day| i64::from(*day) >= left && !name.settled.contains(day))
        .collect();
    open.sort_unstable();
    let Some((&latest, earlier)) = open.split_first() else { return Due::default() };
    let is_newest = name.settled.iter().all(|settled| latest < *settled);
    let lowest = reminder_days.iter().copied().min().unwrap_or(0);
    let is_late = left < i64::from(lowest.min(0)) - LATE_MAX_DAYS;
    if !is_newest || is_late {
        return Due { send: None, skip: open };
    }
    let is_soon = name.last_sent_on.is_some_and(|last| {
        (today - last).num_days() < GAP_DAYS && !(last <= name.expires_on && left < 0)
    });
    if is_soon {
        // It is due on one of the next days.
        return Due { send: None, skip: earlier.to_vec() };
    }
    Due { send: Some(latest), skip: earlier.to_vec() }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const DAYS: [i32; 4] = [60, 30, 7, -3];

    fn day(n: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 6, 1).unwrap() + TimeDelta::days(n)
    }

    /// What is sent on which day, and what is skipped, if it is looked at on these days; the expiry is on day 100.
    fn over(
        days: impl IntoIterator<Item = i64>,
        reminder_days: &[i32],
    ) -> (Vec<(i64, i32)>, Vec<i32>) {
        let (mut settled, mut sent, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        let mut last_sent_on = None;
        for today in days {
            let name = Reminding { expires_on: day(100), settled: &settled, last_sent_on };
            let due = due_reminder(&name, reminder_days, day(today));
            if let Some(threshold) = due.send {
                sent.push((today, threshold));
                settled.push(threshold);
                last_sent_on = Some(day(today));
            }
            skipped.extend(due.skip.iter().copied());
            settled.extend(due.skip);
        }
        (sent, skipped)
    }

    #[test]
    fn each_threshold_is_sent_on_its_day() {
        let (sent, skipped) = over(0..200, &DAYS);
        assert_eq!(sent, [(40, 60), (70, 30), (93, 7), (103, -3)]);
        assert!(skipped.is_empty());
    }

    #[test]
    fn who_was_away_sends_the_latest_alone() {
        assert_eq!(over([95], &DAYS), (vec![(95, 7)], vec![30, 60]));
        // Past the expiry the owner is told of the expiry, once, and by the later threshold not again at once.
        assert_eq!(over(99..120, &DAYS).0, [(99, 7), (103, -3)]);
        assert_eq!(over([110], &DAYS), (vec![(110, -3)], vec![7, 30, 60]));
        assert_eq!(over([134], &DAYS), (vec![], vec![-3, 7, 30, 60]), "long gone");
    }

    #[test]
    fn two_reminders_are_apart_but_the_expiry_is_always_told() {
        assert_eq!(over(0..200, &[8, 7]).0, [(92, 8), (94, 7)]);
        assert_eq!(over(0..200, &[0, -1]).0, [(100, 0), (101, -1)]);
    }

    #[test]
    fn the_windows_of_icann_are_met_even_if_a_run_is_missed() {
        for every in 1..=3 {
            for first in 0..every {
                let looks = (first..200).step_by(usize::try_from(every).unwrap());
                let (sent, _) = over(looks, &DAYS);
                let within = |from: i64, to: i64| {
                    sent.iter().any(|(on, _)| (from..=to).contains(&(100 - on)))
                };
                assert!(
                    within(26, 35) && within(4, 10) && within(-5, 0),
                    "every {every} days: {sent:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_sent_twice_and_each_threshold_is_settled(
            reminder_days in proptest::collection::btree_set(-30..90_i32, 1..8),
            mut looks in proptest::collection::btree_set(0..260_i64, 0..60),
        ) {
            let reminder_days: Vec<i32> = reminder_days.into_iter().collect();
            looks.insert(259);
            let (sent, skipped) = over(looks, &reminder_days);
            let mut all: Vec<i32> = sent.iter().map(|(_, threshold)| *threshold).chain(skipped).collect();
            all.sort_unstable();
            prop_assert_eq!(all, reminder_days);
            prop_assert!(sent.windows(2).all(|pair| pair[0].1 > pair[1].1), "{:?}", sent);
        }
    }
}

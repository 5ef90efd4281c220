//! One domain: what its readings mean.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{
    Assessment, DetailReading, DomainAsset, DomainView, FindingKind as Kind, Listed, Settings,
    Severity, day, renewal::is_in_time, status::worst,
};

/// By how much an expiry may differ from whole years: offsets, leap days, registries that count to the month's end.
const TERM_SLACK_DAYS: i64 = 3;

/// For so long an odd move of the expiry is told; then the new date is taken for true.
const MOVED_FOR: TimeDelta = TimeDelta::days(30);

/// What this run's readings of a domain mean.
#[must_use]
pub fn assess_domain(
    asset: &DomainAsset,
    view: &DomainView,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Assessment {
    let mut found = Assessment::default();
    if !asset.is_owned {
        if view.listed.is_some() {
            let what = "the account has this domain, and no customer of it is known: who pays?";
            found.find(Kind::DomainUnknown, Severity::Warning, &asset.domain, what);
        } else if !view.is_complete {
            found.unjudged.push(Kind::DomainUnknown);
        }
        return found;
    }
    if !view.is_there() {
        missing(&mut found, asset, view, now);
        return found;
    }
    status(&mut found, asset, view);
    expiry(&mut found, asset, view, settings, now);
    if asset.is_settled {
        wishes(&mut found, asset, view, settings, now);
    }
    found
}

fn missing(found: &mut Assessment, asset: &DomainAsset, view: &DomainView, now: DateTime<Utc>) {
    if !asset.was_there {
        return;
    }
    if !view.is_complete || view.detail != Some(DetailReading::NotOurs) {
        // Whatever was open of it stays open: nothing was read that says otherwise.
        *found = Assessment::withheld();
        return;
    }
    if asset.is_let_go(now) {
        return;
    }
    found.is_missing = true;
    let what = "neither the listing nor a direct look shows it (404): gone, or transferred away";
    found.find(Kind::DomainMissing, asset.missing.severity(now), &asset.domain, what);
}

fn status(found: &mut Assessment, asset: &DomainAsset, view: &DomainView) {
    let Some(status) = view.status() else {
        found.unjudged.push(Kind::DomainStatus);
        return;
    };
    let Some((word, severity)) = worst(status) else { return };
    // What is still being brought is pending by its nature.
    if asset.is_settled || severity > Severity::Warning {
        let what = format!("its status says {word}");
        found.find(Kind::DomainStatus, severity, &asset.domain, what);
    }
}

fn expiry(
    found: &mut Assessment,
    asset: &DomainAsset,
    view: &DomainView,
    settings: &Settings,
    now: DateTime<Utc>,
) {
    let Some(expires_at) = view.expires_at() else {
        found.unjudged.extend([Kind::DomainExpiring, Kind::DomainExpired, Kind::ExpiryMoved]);
        return;
    };
    let on = day(expires_at, settings.zone);
    let days = (on - day(now, settings.zone)).num_days();
    let renews = view.auto_renew() == Some(true);
    if expires_at <= now {
        let severity =
            if asset.auto_renew == Some(false) { Severity::Warning } else { Severity::Critical };
        let what = format!("it expired on {on}, and {}", renewal_words(view.auto_renew()));
        found.find_in(Kind::DomainExpired, severity, &asset.domain, on.to_string(), what);
    } else if let Some(threshold) = passed(&settings.reminder_days, days) {
        let last = settings.reminder_days.iter().copied().filter(|day| *day >= 0).min();
        let is_wished = asset.auto_renew == Some(renews) || renews;
        let severity = match (is_wished, last == Some(threshold)) {
            (true, _) => Severity::Info,
            (false, false) => Severity::Warning,
            (false, true) => Severity::Critical,
        };
        let what = format!("it expires on {on}, and {}", renewal_words(view.auto_renew()));
        let episode = format!("{on}:{threshold}");
        found.find_in(Kind::DomainExpiring, severity, &asset.domain, episode, what);
    }
    moved(found, asset, (expires_at, settings.zone), now);
}

fn renewal_words(auto_renew: Option<bool>) -> &'static str {
    match auto_renew {
        Some(true) => "renews by itself",
        Some(false) => "does not renew by itself",
        None => "whether it renews by itself is not shown",
    }
}

/// The latest threshold before the expiry that is passed.
fn passed(reminder_days: &[i32], days: i64) -> Option<i32> {
    reminder_days.iter().copied().filter(|day| *day >= 0 && i64::from(*day) >= days).min()
}

/// Whether an expiry may follow another: by whole years, or not at all.
#[must_use]
pub fn is_usual(before: NaiveDate, after: NaiveDate) -> bool {
    let moved = (after - before).num_days();
    // 365.25 days, doubled so that no fraction is needed.
    let years = (moved * 4 + 730) / 1461;
    (0..=10).contains(&years) && (moved * 4 - years * 1461).abs() <= TERM_SLACK_DAYS * 4
}

fn moved(
    found: &mut Assessment,
    asset: &DomainAsset,
    (expires_at, zone): (DateTime<Utc>, Tz),
    now: DateTime<Utc>,
) {
    let Some(before) = asset.expires_before else { return };
    let is_old = asset.moved_since.is_some_and(|since| now - since > MOVED_FOR);
    let (was, is) = (day(before, zone), day(expires_at, zone));
    if is_old || is_usual(was, is) || !asset.is_settled {
        return;
    }
    let (severity, how) = if is < was {
        (Severity::Critical, "backwards")
    } else {
        (Severity::Warning, "by an odd term")
    };
    let what = format!("its expiry has moved {how}, from {was} to {is}");
    found.find_in(Kind::ExpiryMoved, severity, &asset.domain, format!("{was}:{is}"), what);
}

fn wishes(
    found: &mut Assessment,
    asset: &DomainAsset,
    view: &DomainView,
    settings: &Settings,
    now: DateTime<Utc>,
) {
    auto_renew(found, asset, view, settings, now);
    if let Some(wished) = asset.transfer_lock {
        let agreed = view.agreed(|row| row.transfer_lock, |seen| seen.transfer_lock);
        match agreed.or_else(|| same(view, wished, |row| row.transfer_lock)) {
            Some(shown) if shown != wished => {
                let what = if wished {
                    "it shall be locked, and is not"
                } else {
                    "it shall not be locked, and is"
                };
                found.find(Kind::TransferLockMismatch, Severity::Warning, &asset.domain, what);
            }
            Some(_) => {}
            None => found.unjudged.push(Kind::TransferLockMismatch),
        }
    }
    let Some(seen) = view.seen() else {
        found.unjudged.extend([Kind::ContactMismatch, Kind::NameserverMismatch]);
        return;
    };
    match (&asset.contact_handle, &seen.contact_handle) {
        (Some(wished), Some(shown)) if wished != shown => {
            let what = format!("its WHOIS contact shall be {wished}, and is {shown}");
            found.find(Kind::ContactMismatch, Severity::Warning, &asset.domain, what);
        }
        (Some(_), None) => found.unjudged.push(Kind::ContactMismatch),
        (Some(_), Some(_)) | (None, _) => {}
    }
    match &asset.nameservers {
        Some(_) if seen.nameservers.is_empty() => found.unjudged.push(Kind::NameserverMismatch),
        Some(wished) if spelt(wished) != spelt(&seen.nameservers) => {
            let what = format!(
                "its name servers shall be {}, and are {}",
                spelt(wished).join(", "),
                spelt(&seen.nameservers).join(", ")
            );
            found.find(Kind::NameserverMismatch, Severity::Warning, &asset.domain, what);
        }
        Some(_) | None => {}
    }
}

/// A listing that shows what is wished needs no second reading.
fn same(view: &DomainView, wished: bool, listed: impl Fn(&Listed) -> Option<bool>) -> Option<bool> {
    view.listed.as_ref().and_then(listed).filter(|shown| *shown == wished)
}

fn auto_renew(
    found: &mut Assessment,
    asset: &DomainAsset,
    view: &DomainView,
    settings: &Settings,
    now: DateTime<Utc>,
) {
    let Some(wished) = asset.auto_renew else { return };
    let agreed = view.agreed(|row| row.auto_renew, |seen| seen.auto_renew);
    match agreed.or_else(|| same(view, wished, |row| row.auto_renew)) {
        Some(shown) if shown != wished => {
            let expires_at = view.expires_at();
            // An expiry that is not known is nobody's to count on.
            let in_time = expires_at.map(|at| is_in_time(&asset.domain, at, now));
            found.may_repair = settings.apply_auto_renew && in_time == Some(true);
            let what = match (wished, found.may_repair) {
                (true, true) => "it shall renew by itself, and does not: it is set",
                (true, false) => "it shall renew by itself, and does not",
                (false, true) => "it shall not renew by itself, and does: it is set",
                (false, false) => "it shall not renew by itself, and does",
            };
            let is_late = in_time == Some(false);
            let severity = if is_late { Severity::Critical } else { Severity::Warning };
            found.find(Kind::AutoRenewMismatch, severity, &asset.domain, what);
        }
        Some(_) => {}
        None => found.unjudged.push(Kind::AutoRenewMismatch),
    }
}

/// Name servers in one spelling and order.
fn spelt(nameservers: &[String]) -> Vec<String> {
    let mut spelt: Vec<String> = nameservers
        .iter()
        .map(|server| server.trim().trim_end_matches('.').to_lowercase())
        .collect();
    spelt.sort();
    spelt.dedup();
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Missing, remember},
        order::domain::DomainSeen,
    };

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}:00Z").parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        at("2026-06-01T04:00")
    }

    fn settings() -> Settings {
        let zone = chrono_tz::Europe::Amsterdam;
        Settings { zone, reminder_days: vec![60, 30, 7, -3], apply_auto_renew: true }
    }

    /// A name of a customer's that renews, and is known to be there until next year.
    fn asset() -> DomainAsset {
        DomainAsset {
            domain: "example.nl".to_owned(),
            is_owned: true,
            is_settled: true,
            was_there: true,
            auto_renew: Some(true),
            transfer_lock: Some(true),
            expires_before: Some(at("2027-03-01T10:00")),
            ..DomainAsset::default()
        }
    }

    fn row() -> Listed {
        Listed {
            status: Some("active".to_owned()),
            expires_at: Some(at("2027-03-01T10:00")),
            auto_renew: Some(true),
            transfer_lock: Some(true),
        }
    }

    fn listed(change: impl FnOnce(&mut Listed)) -> DomainView {
        let mut row = row();
        change(&mut row);
        DomainView { listed: Some(row), is_complete: true, detail: None }
    }

    /// The same row, and a direct look that shows the same.
    fn looked(change: impl FnOnce(&mut Listed)) -> DomainView {
        let mut view = listed(change);
        let row = view.listed.clone().unwrap();
        view.detail = Some(DetailReading::Seen(Box::new(DomainSeen {
            status: row.status,
            expires_at: row.expires_at,
            auto_renew: row.auto_renew,
            transfer_lock: row.transfer_lock,
            ..DomainSeen::default()
        })));
        view
    }

    fn kinds(asset: &DomainAsset, view: &DomainView) -> Vec<(Kind, Severity)> {
        let found = assess_domain(asset, view, &settings(), now());
        found.findings.iter().map(|finding| (finding.kind, finding.severity)).collect()
    }

    #[test]
    fn what_is_wished_and_shown_is_no_finding() {
        let found = assess_domain(&asset(), &looked(|_| {}), &settings(), now());
        assert_eq!(found, Assessment::default());
    }

    #[test]
    fn a_wish_is_repaired_after_two_equal_readings_and_in_time_alone() {
        let off = |row: &mut Listed| row.auto_renew = Some(false);
        let of = |asset: &DomainAsset, view: &DomainView, settings: &Settings| {
            let found = assess_domain(asset, view, settings, now());
            let unjudged = found.unjudged.contains(&Kind::AutoRenewMismatch);
            (found.findings.first().map(|finding| finding.severity), found.may_repair, unjudged)
        };
        let (asset, settings) = (asset(), settings());
        assert_eq!(of(&asset, &listed(off), &settings), (None, false, true), "one reading");
        assert_eq!(of(&asset, &looked(off), &settings), (Some(Severity::Warning), true, false));
        let mut unlike = looked(off);
        unlike.listed = Some(row());
        assert_eq!(of(&asset, &unlike, &settings), (None, false, false), "the listing says so");
        let reports = Settings { apply_auto_renew: false, ..settings.clone() };
        assert_eq!(of(&asset, &looked(off), &reports), (Some(Severity::Warning), false, false));
        let late = looked(|row| {
            off(row);
            row.expires_at = Some(now() + TimeDelta::days(2));
        });
        let mut soon = asset.clone();
        soon.expires_before = Some(now() + TimeDelta::days(2));
        let found = assess_domain(&soon, &late, &settings, now());
        assert!(!found.may_repair);
        let mismatch = found.findings.iter().find(|it| it.kind == Kind::AutoRenewMismatch);
        assert_eq!(mismatch.unwrap().severity, Severity::Critical);
        // Nobody has said what is wished.
        let free = DomainAsset { auto_renew: None, ..asset };
        assert_eq!(of(&free, &looked(off), &settings), (None, false, false));
    }

    #[test]
    fn what_is_on_its_way_is_judged_by_little() {
        let coming = DomainAsset { is_settled: false, ..asset() };
        let pending = looked(|row| {
            row.status = Some("pending_transfer".to_owned());
            row.auto_renew = Some(false);
        });
        assert_eq!(kinds(&coming, &pending), []);
        let held = looked(|row| row.status = Some("serverHold".to_owned()));
        assert_eq!(kinds(&coming, &held), [(Kind::DomainStatus, Severity::Critical)]);
        let gone = DomainView { is_complete: true, ..DomainView::default() };
        assert_eq!(kinds(&DomainAsset { was_there: false, ..coming }, &gone), []);
    }

    #[test]
    fn what_is_missing_is_so_by_two_readings_and_what_was_let_go_is_none() {
        let gone = |is_complete, detail| DomainView { listed: None, is_complete, detail };
        let not_ours = || Some(DetailReading::NotOurs);
        let missing = [(Kind::DomainMissing, Severity::Warning)];
        assert_eq!(kinds(&asset(), &gone(true, not_ours())), missing);
        for view in
            [gone(false, not_ours()), gone(true, None), gone(true, Some(DetailReading::Unanswered))]
        {
            let found = assess_domain(&asset(), &view, &settings(), now());
            assert!(found.findings.is_empty() && found.unjudged == Kind::ALL, "{view:?}");
        }
        let let_go = DomainAsset {
            auto_renew: Some(false),
            expires_before: Some(at("2026-05-01T10:00")),
            ..asset()
        };
        assert_eq!(kinds(&let_go, &gone(true, not_ours())), []);
        let long = Missing { runs: 2, since: Some(now() - TimeDelta::hours(48)) };
        let lasting = DomainAsset { missing: long, ..asset() };
        assert_eq!(
            kinds(&lasting, &gone(true, not_ours())),
            [(Kind::DomainMissing, Severity::Critical)]
        );
        let known = remember(
            &lasting,
            &gone(true, not_ours()),
            &assess_domain(&lasting, &gone(true, not_ours()), &settings(), now()),
            &settings(),
            now(),
        );
        assert_eq!(known.missing, Missing { runs: 3, ..long });
    }

    #[test]
    fn an_expiry_may_move_by_whole_years_and_an_odd_move_is_told_for_a_while() {
        for (to, expected) in [
            ("2027-03-01T10:00", None),
            ("2027-03-03T10:00", None),
            ("2028-03-01T10:00", None),
            ("2037-03-01T10:00", None),
            ("2027-02-20T10:00", Some(Severity::Critical)),
            ("2027-09-01T10:00", Some(Severity::Warning)),
            ("2038-03-01T10:00", Some(Severity::Warning)),
        ] {
            let view = looked(|row| row.expires_at = Some(at(to)));
            let found = assess_domain(&asset(), &view, &settings(), now());
            let moved = found.findings.iter().find(|it| it.kind == Kind::ExpiryMoved);
            assert_eq!(moved.map(|finding| finding.severity), expected, "{to}");
            let known = remember(&asset(), &view, &found, &settings(), now());
            let believed = if expected.is_some() { "2027-03-01T10:00" } else { to };
            assert_eq!(known.expires_before, Some(at(believed)), "{to}");
            assert_eq!(known.moved_since.is_some(), expected.is_some(), "{to}");
        }
        // After a month it is believed.
        let old = DomainAsset { moved_since: Some(now() - TimeDelta::days(31)), ..asset() };
        let view = looked(|row| row.expires_at = Some(at("2027-09-01T10:00")));
        let found = assess_domain(&old, &view, &settings(), now());
        assert_eq!(found.findings, []);
        let known = remember(&old, &view, &found, &settings(), now());
        assert_eq!(known.expires_before, Some(at("2027-09-01T10:00")));
    }

    #[test]
    fn an_expiry_is_of_another_severity_the_nearer_it_is_and_the_less_it_is_wished() {
        let on = |days: i64, auto_renew: bool| {
            let view = looked(|row| {
                row.expires_at = Some(now() + TimeDelta::days(days));
                row.auto_renew = Some(auto_renew);
            });
            let asset = DomainAsset {
                auto_renew: Some(auto_renew),
                expires_before: view.expires_at(),
                ..asset()
            };
            kinds(&asset, &view)
        };
        assert_eq!(on(61, true), []);
        assert_eq!(on(60, true), [(Kind::DomainExpiring, Severity::Info)]);
        assert_eq!(on(5, false), [(Kind::DomainExpiring, Severity::Info)], "as wished");
        assert_eq!(on(-1, false), [(Kind::DomainExpired, Severity::Warning)]);
        assert_eq!(on(-1, true), [(Kind::DomainExpired, Severity::Critical)]);
        // Nobody has said that it shall lapse.
        let unknown = DomainAsset {
            auto_renew: None,
            expires_before: Some(now() + TimeDelta::days(5)),
            ..asset()
        };
        let lapses = looked(|row| {
            row.expires_at = Some(now() + TimeDelta::days(5));
            row.auto_renew = Some(false);
        });
        assert_eq!(kinds(&unknown, &lapses), [(Kind::DomainExpiring, Severity::Critical)]);
    }
}

//! Reminds customers of expiries: once for each name, expiry and threshold, whatever is restarted or run twice.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Auditor, Run, Stepped, count, past, writing};
use crate::{
    audit::{
        Assessment, Due, Outcome, PastReminder, Reminding, assess_reminders, day, due_reminder,
        is_in_time, is_usual, of_expiry,
    },
    db::{
        DbError,
        audit::{Decided, ExpiringName, Writing},
    },
};

/// Names of which one step looks for those that expire.
const BATCH: i64 = 500;

/// How long after its last reminder a name is still thought about.
const AFTER: TimeDelta = TimeDelta::days(40);

/// A wish for the renewal that was not carried out for so long may never be: then customers are told what is, not what
/// shall be.
const STUCK_AFTER: TimeDelta = TimeDelta::days(3);

/// What is decided about a name.
struct Thought {
    decided: Vec<Decided>,
    found: Assessment,
}

impl Auditor {
    pub(super) async fn remind(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        let now = self.now().await?;
        let days = &self.settings.domains.reminder_days;
        let (first, last) = (days.iter().max().copied(), days.iter().min().copied());
        // A day more on both sides, for time zones.
        let until = now + TimeDelta::days(i64::from(first.unwrap_or(0).max(0)) + 1);
        let from = now - TimeDelta::days(i64::from(-last.unwrap_or(0).min(0)) + 1) - AFTER;
        let read = (run.figures.domains_pass, run.figures.domains_complete);
        let stuck = now - STUCK_AFTER;
        let Some(last) = self.db.last_of_names(&run.row.position, BATCH).await? else {
            return self.go_on(past(run)).await;
        };
        let batch = (&*run.row.position, &*last);
        let names = self.db.expiring_names(batch, read, (from, until), stuck).await?;
        run.row.position = last;
        if names.is_empty() {
            return self.go_on(run).await;
        }
        let (mut decided, mut judged) = (Vec::new(), Vec::new());
        for name in names {
            let thought = self.think_of(&name, now);
            decided.extend(thought.decided);
            judged.push((name.domain, thought.found));
        }
        let owed = decided.iter().filter(|it| it.email.is_some()).count();
        run.figures.reminded += u64::try_from(owed).unwrap_or(0);
        let place = self.place(&run);
        let settled = self.db.remind(&place, &decided, &judged, now, writing(&run)).await?;
        failpoint!("audit.reminded");
        let Some(settled) = settled else { return Ok(Stepped::Lost) };
        count(&mut run.figures, &settled);
        if writing(&run) == Writing::Kept && owed > 0 {
            self.guest.ring();
        }
        Ok(Stepped::On(run, settled))
    }

    fn think_of(&self, name: &ExpiringName, now: DateTime<Utc>) -> Thought {
        let settings = &self.settings.domains;
        let (believed, has_moved) = self.believed_expiry(name, now);
        let expires_on = day(believed, settings.zone);
        let settled: Vec<i32> = of_expiry(&name.past, expires_on).map(|it| it.threshold).collect();
        let owed = |it: &&PastReminder| it.outcome == Outcome::Owed;
        let last = name.past.iter().filter(owed).map(|it| it.decided_at).max();
        let reminding = Reminding {
            expires_on,
            settled: &settled,
            last_sent_on: last.map(|at| day(at, settings.zone)),
        };
        let today = day(now, settings.zone);
        let mut due = due_reminder(&reminding, &settings.reminder_days, today);
        // Nobody is told that his name has expired by what was known before an outage, or by a date that moved oddly: he may
        // have renewed since.
        let is_sure = today <= expires_on || name.is_fresh && !has_moved;
        let withheld = (!is_sure && due.send.is_some()).then_some("this audit has not seen it");
        if !is_sure {
            due = Due::default();
        }
        let auto_renew = will_renew(name, now);
        let found = assess_reminders(&name.domain, expires_on, (&name.past, withheld), &due, now);
        let template = if today > expires_on { "domain_expired" } else { "domain_expiring" };
        let decide = |threshold: i32, email: Option<&'static str>| Decided {
            domain: name.domain.clone(),
            customer: name.customer,
            expires_on,
            threshold,
            email,
            auto_renew,
        };
        let decided = due
            .send
            .map(|threshold| decide(threshold, Some(template)))
            .into_iter()
            .chain(due.skip.iter().map(|threshold| decide(*threshold, None)));
        Thought { decided: decided.collect(), found }
    }

    /// The expiry to remind of: the one that is seen. If it has moved oddly, and is not yet taken for true, the sooner of
    /// the two that is not past: rather a reminder too many than a name that lapses. And whether it has moved so.
    fn believed_expiry(&self, name: &ExpiringName, now: DateTime<Utc>) -> (DateTime<Utc>, bool) {
        let zone = self.settings.domains.zone;
        let odd =
            |before: &DateTime<Utc>| !is_usual(day(*before, zone), day(name.expires_at, zone));
        match name.believed.filter(odd) {
            Some(before) if name.expires_at <= now => (before, true),
            Some(before) if before <= now => (name.expires_at, true),
            Some(before) => (before.min(name.expires_at), true),
            None => (name.expires_at, false),
        }
    }
}

/// Whether a name will renew by itself: as is wished, where that was carried out or is about to be; as is seen, else.
fn will_renew(name: &ExpiringName, now: DateTime<Utc>) -> bool {
    let is_about_to = name.is_under_way && is_in_time(&name.domain, name.expires_at, now);
    let is_set = name.is_kept || is_about_to;
    name.wished.filter(|_| is_set).or(name.auto_renew) == Some(true)
}

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

/// Names that are thought about in one step.
const BATCH: i64 = 200;

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
        let pass = (!run.figures.braked).then_some(run.figures.domains_pass);
        let stuck = now - STUCK_AFTER;
        let after = &run.row.position;
        let names = self.db.expiring_names(after, pass, (from, until), stuck, BATCH).await?;
        let Some(last) = names.last() else { return self.go_on(past(run)).await };
        run.row.position.clone_from(&last.domain);
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
        let believed = self.believed_expiry(name);
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
        if today > expires_on && !(name.is_fresh && believed == name.expires_at) {
            due = Due::default();
        }
        let auto_renew = self.will_renew(name, now);
        let found = assess_reminders(&name.domain, expires_on, &name.past, &due, now);
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

    /// The expiry to remind of: the one that is seen, unless it moved oddly and is not yet taken for true.
    fn believed_expiry(&self, name: &ExpiringName) -> DateTime<Utc> {
        let zone = self.settings.domains.zone;
        let odd =
            |before: &DateTime<Utc>| !is_usual(day(*before, zone), day(name.expires_at, zone));
        name.believed.filter(odd).unwrap_or(name.expires_at)
    }

    /// Whether a name will renew by itself: as is wished, while that is about to be carried out; as is seen, else.
    fn will_renew(&self, name: &ExpiringName, now: DateTime<Utc>) -> bool {
        let is_set = self.settings.domains.apply_auto_renew
            && !name.is_stuck
            && is_in_time(&name.domain, name.expires_at, now);
        name.wished.filter(|_| is_set).or(name.auto_renew) == Some(true)
    }
}

//! One cell of the matrix: a daemon that crashes, another that takes over, and what is left.

use std::{
    collections::BTreeMap,
    process::ExitStatus,
    time::{Duration, Instant},
};

use crate::{
    daemon::Daemon,
    house::{House, LOOK, Room},
    kinds::{Kind, mailbox},
    points::{Action, Cell, is_of},
};

/// How long it may take until the failpoint is reached, in looks ([`crate::house::eventually`] says why).
const REACH_LOOKS_MAX: u32 = 600;

/// How long after the crash every line has ended or is visibly in doubt, and every email is sent: 30 s, in looks.
const SETTLE_LOOKS_MAX: u32 = 300;

/// What a cell came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) cell: Cell,
    /// The line's status at the end.
    pub(crate) status: String,
    /// From the crash until all was settled.
    pub(crate) took: Duration,
    /// Emails that came twice.
    pub(crate) duplicate_mails: usize,
    pub(crate) wrongs: Vec<String>,
}

/// A cell under way.
struct Trial<'a> {
    cell: Cell,
    label: String,
    room: Room<'a>,
    /// The sandbox' journal from here on is ours to look at.
    after: u64,
    wrongs: Vec<String>,
}

/// A row of the outbox.
#[derive(sqlx::FromRow)]
struct Owed {
    template: String,
    message_id: String,
    status: String,
}

/// Plays a cell. `label` is no part of any other cell's.
pub(crate) async fn play(house: &House, cell: Cell, label: String) -> Outcome {
    let room = house.room(&label).await;
    let after = cell.kind.submit(&room, &label).await;
    let mut trial = Trial { cell, label, room, after, wrongs: Vec::new() };
    let mut outcome = Outcome {
        cell,
        status: "not reached".to_owned(),
        took: Duration::ZERO,
        duplicate_mails: 0,
        wrongs: Vec::new(),
    };
    let mut daemon = trial.room.daemon(&cell.armed(), cell.settings());
    if trial.crash(&mut daemon).await {
        outcome.took = trial.settle(daemon).await;
        outcome.status = trial.room.line().await;
        trial.judge(&outcome.status);
        outcome.duplicate_mails = trial.judge_mails().await;
    } else {
        trial.wrong(format!("{} was not reached", cell.point));
    }
    outcome.wrongs = trial.wrongs;
    outcome
}

impl Trial<'_> {
    fn wrong(&mut self, what: impl Into<String>) {
        let (cell, label, what) = (self.cell, &self.label, what.into());
        self.wrongs.push(format!("{cell} ({label}): {what}"));
    }

    /// Waits until the daemon has come to the failpoint.
    async fn crash(&mut self, daemon: &mut Daemon) -> bool {
        let mut wished = !is_of(self.cell.point, &["wish"]);
        for _ in 0..REACH_LOOKS_MAX {
            if daemon.has_reached(self.cell.point) {
                return true;
            }
            if daemon.ended().is_some() {
                return daemon.has_reached(self.cell.point);
            }
            if !wished && self.room.line().await == "completed" {
                wished = true;
                let domain = format!("{}.nl", self.label);
                self.room.run(&format!("SELECT provisor.set_auto_renew('{domain}', false)")).await;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Starts another daemon whenever one has ended, as its supervisor would, until nothing is left to be done. Answers how
    /// long that took.
    async fn settle(&mut self, mut daemon: Daemon) -> Duration {
        let began = Instant::now();
        let mut ends = 0;
        for _ in 0..SETTLE_LOOKS_MAX {
            if let Some(status) = daemon.ended() {
                ends += 1;
                self.judge_end(status, ends);
                daemon = self.room.daemon("", self.cell.settings());
            }
            // A drain that has begun goes on to its end, and who is killed dies.
            let is_to_end = self.cell.action != Action::Panic && ends == 0;
            if !is_to_end && self.is_settled().await {
                let took = began.elapsed();
                daemon.signal("TERM").await;
                daemon.until_ended().await;
                // Evidence may have settled the doubt just now, and what follows from that is yet to be done.
                if self.is_settled().await {
                    return took;
                }
                daemon = self.room.daemon("", self.cell.settings());
            }
            tokio::time::sleep(LOOK).await;
        }
        let left: String = self
            .room
            .value(
                "SELECT concat_ws('; ', (SELECT string_agg(l.status || ' ' || coalesce(l.reason, ''), ', ')
                                         FROM provisor.order_lines l),
                                  (SELECT string_agg(o.status, ', ') FROM provisor.orders o),
                                  (SELECT string_agg(m.template || ' ' || m.status, ', ')
                                   FROM provisor.email_outbox m),
                                  (SELECT string_agg(w::text, ', ') FROM provisor.wakes w))",
            )
            .await;
        self.wrong(format!("not settled within {SETTLE_LOOKS_MAX} looks: {left}"));
        began.elapsed()
    }

    fn judge_end(&mut self, status: ExitStatus, ends: u32) {
        use std::os::unix::process::ExitStatusExt as _;
        let as_told = match self.cell.action {
            _ if ends > 1 => false,
            Action::Kill => status.signal() == Some(9),
            // A part that it can't do without; or it was draining, and that came to its end.
            Action::Panic => status.code().is_some(),
            // Of these it was draining already, and a second signal ends it at once.
            Action::Term if is_of(self.cell.point, &["presence"]) => status.code().is_some(),
            Action::Term => status.success(),
        };
        if !as_told {
            self.wrong(format!("daemon {ends} ended with {status}"));
        }
    }

    /// Whether each line has ended or is visibly in doubt, and no email is left to be sent.
    async fn is_settled(&self) -> bool {
        let ended: bool = self
            .room
            .value(
                "SELECT (SELECT bool_and(finished_at IS NOT NULL) FROM provisor.orders)
                    AND NOT EXISTS (SELECT FROM provisor.email_outbox WHERE status = 'queued')",
            )
            .await;
        if ended {
            return self.is_followed_up();
        }
        let doubted: bool = self
            .room
            .value(
                "SELECT (SELECT bool_and(o.status = 'attention' AND l.status = 'in_doubt')
                         FROM provisor.orders o JOIN provisor.order_lines l ON l.order_id = o.id)
                    AND EXISTS (SELECT FROM provisor.email_outbox WHERE template = 'ops_attention')
                    AND NOT EXISTS (SELECT FROM provisor.email_outbox WHERE status = 'queued')",
            )
            .await;
        doubted && self.cell.may_be_in_doubt(self.sent() > 0)
    }

    /// Whether what runs beside the line has been done too.
    fn is_followed_up(&self) -> bool {
        let state = self.room.house.sandbox.state();
        if is_of(self.cell.point, &["wish"]) {
            let domain = format!("{}.nl", self.label);
            return state.domains().iter().any(|seen| seen.domain == domain && !seen.auto_renew);
        }
        let email = mailbox(&self.label);
        !is_of(self.cell.point, &["customers"])
            || state.customers().iter().any(|customer| customer.email == email)
    }

    /// The requests with an effect, by how often they were made.
    fn effects(&self) -> BTreeMap<String, usize> {
        let mut effects = BTreeMap::new();
        for request in self.room.house.effects_of(&self.label, self.after) {
            *effects.entry(request).or_default() += 1;
        }
        effects
    }

    /// How often the line's own effect was asked for.
    fn sent(&self) -> usize {
        let Some(wanted) = self.cell.kind.request(&self.label) else { return 0 };
        let effects = self.effects();
        let begins = self.cell.kind == Kind::ContactUpdate;
        let ours = effects
            .iter()
            .filter(|(request, _)| **request == wanted || begins && request.starts_with(&wanted));
        ours.map(|(_, times)| times).sum()
    }

    /// Nothing was made twice, and the line has come to its end, or to a doubt that nothing can settle.
    fn judge(&mut self, status: &str) {
        let (effects, sent, kind) = (self.effects(), self.sent(), self.cell.kind);
        for (request, times) in effects.iter().filter(|(_, times)| **times > 1) {
            self.wrong(format!("{times} times {request}"));
        }
        if status == kind.end() {
            let wanted = usize::from(kind.request(&self.label).is_some());
            if sent != wanted {
                self.wrong(format!("{status}, and LJPc was asked {sent} times: {effects:?}"));
            }
        } else if status != "in_doubt" || !self.cell.may_be_in_doubt(sent > 0) {
            self.wrong(format!("{status} at the end, with {effects:?}"));
        }
    }

    /// Each email that is owed has arrived; a second copy bears the same Message-ID. Answers how many came twice.
    async fn judge_mails(&mut self) -> usize {
        let outbox: Vec<Owed> =
            sqlx::query_as("SELECT template, message_id, status FROM provisor.email_outbox")
                .fetch_all(&self.room.pool)
                .await
                .expect("the outbox can be read");
        let mails = self.room.house.sandbox.state().mails();
        let mut twice = 0;
        for row in outbox.iter().filter(|row| row.status != "disabled") {
            let id = format!("<{}@", row.message_id);
            let copies = mails
                .iter()
                .filter(|mail| mail.message_id.as_deref().is_some_and(|its| its.starts_with(&id)))
                .count();
            if row.status != "sent" || copies == 0 || copies > 2 {
                self.wrong(format!("{} is {}, and came {copies} times", row.template, row.status));
            }
            twice += copies.saturating_sub(1);
        }
        let mailbox = mailbox(&self.label);
        let to_customer = mails.iter().filter(|mail| mail.recipients == [mailbox.as_str()]).count();
        let owed =
            outbox.iter().filter(|row| row.status == "sent" && !row.template.starts_with("ops_"));
        if to_customer > owed.count() + twice {
            self.wrong(format!("{to_customer} mails to the customer, more than are owed"));
        }
        twice
    }
}

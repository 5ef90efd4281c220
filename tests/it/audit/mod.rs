//! The audit, beside the sandbox: what it finds, repairs and sends, whoever runs it and however often it is cut off.

mod brake;
mod digest;
mod findings;
mod import;
mod listed;
mod reading;
mod reminders;
mod repair;
mod runs;

use chrono::{DateTime, TimeDelta, Utc};
use provisor::{
    app,
    audit::RunKind,
    clock::{self, Deadline},
    db::Database,
    jobs::audit::{Auditor, Begun, Run, Stepped},
    lifecycle::Lifecycle,
};
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use crate::{
    binary::{Ended, provisor},
    house::House,
};

/// Somebody who has names and sites.
fn owner(n: usize) -> Value {
    json!({ "reference": format!("C-{n}"), "first_name": "Bob", "last_name": "Brown",
            "email": format!("bob{n}@example.com"), "locale": if n.is_multiple_of(2) { "en" } else { "nl" } })
}

/// The time in so many days, as LJPc writes it.
fn in_days(days: i64) -> Value {
    json!((clock::now() + TimeDelta::days(days)).to_rfc3339())
}

impl House {
    /// A name of the account, which is a customer's.
    async fn domain(&self, name: &str, expires_in_days: i64, auto_renew: bool) {
        self.seems(&json!({ "domain": name, "status": "active", "auto_renew": auto_renew,
                                 "transfer_lock": true, "expires_at": in_days(expires_in_days) }));
        let seen = json!({ "status": "active", "expires_at": in_days(expires_in_days),
                           "auto_renew": auto_renew, "transfer_lock": true });
        self.own("domain", name, owner(1), seen).await;
    }

    /// Puts a name into the account, as is given.
    fn seems(&self, wish: &Value) {
        self.sandbox.state().put_domain(wish).expect("a domain");
    }

    /// A site of the account, which is a customer's.
    async fn site(&self, id: i64, domain: &str) {
        self.hosts(&json!({ "id": id, "domain": domain }));
        let key = format!("{id:020}");
        self.own("site", &key, owner(1), json!({ "domain": domain, "status": "active" })).await;
    }

    fn hosts(&self, wish: &Value) {
        self.sandbox.state().put_site(wish).expect("a site");
    }

    async fn own(&self, asset: &str, key: &str, owner: Value, seen: Value) {
        let answer: String =
            sqlx::query_scalar("SELECT provisor.import_asset($1, $2, $3, $4, NULL)")
                .bind(asset)
                .bind(key)
                .bind(owner)
                .bind(seen)
                .fetch_one(&self.world.pool)
                .await
                .expect("it can be imported");
        assert_eq!(answer, "imported");
    }

    /// `provisor audit …`
    async fn audit(&self, args: &[&str]) -> Ended {
        let args: Vec<&str> = ["audit"].iter().chain(args).copied().collect();
        provisor(&args, &self.environment(&[])).await
    }

    /// `provisor audit run --json`, which must be complete.
    async fn audited(&self) -> Value {
        let ended = self.audit(&["run", "--json"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.json()
    }

    /// The findings that are open: kind, severity, subject.
    async fn open(&self) -> Vec<(String, String, String)> {
        sqlx::query_as(
            "SELECT kind, severity, subject FROM provisor.findings WHERE closed_at IS NULL ORDER BY kind, subject",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("findings can be read")
    }

    /// An auditor of a process of its own, its clock so far ahead.
    fn auditor(&self, db: &Database, ahead: TimeDelta) -> (Auditor, DropGuard) {
        self.auditor_with(&[], db, ahead)
    }

    /// The same with these changes of its settings.
    fn auditor_with(
        &self,
        changes: &[(&str, &str)],
        db: &Database,
        ahead: TimeDelta,
    ) -> (Auditor, DropGuard) {
        let lifecycle = Lifecycle::default();
        let auditor = app::connect_auditor(&self.settings(changes), &lifecycle, db);
        let auditor = auditor.expect("the settings are good").ahead(ahead);
        // Its budget ends with the test's interest in it.
        (auditor, lifecycle.stopped.drop_guard())
    }
}

/// Begins a run, or goes on with what is open; `None`: another process is at it.
async fn begin(auditor: &Auditor, kind: RunKind, due_at: DateTime<Utc>) -> Option<Box<Run>> {
    match auditor.begin(kind, due_at, None).await.expect("a run can be begun") {
        Begun::Run(run) => Some(run),
        Begun::Busy(_) | Begun::None => None,
    }
}

/// Takes at most so many steps; `None`: the run is another's. The run, and whether it has ended.
async fn steps(auditor: &Auditor, mut run: Box<Run>, max: usize) -> Option<(Box<Run>, bool)> {
    for _ in 0..max {
        let deadline = Deadline::after(std::time::Duration::from_mins(1));
        match auditor.step(run, deadline).await.expect("the database is there") {
            Stepped::On(next, _) => run = next,
            Stepped::Later(next, after) => {
                tokio::time::sleep(after).await;
                run = next;
            }
            Stepped::Ended(run) => return Some((run, true)),
            Stepped::Lost => return None,
        }
    }
    Some((run, false))
}

/// A whole run.
async fn run(auditor: &Auditor, kind: RunKind) -> Run {
    let now = auditor.now().await.expect("the database is there");
    let begun = begin(auditor, kind, now).await.expect("nobody else is at it");
    let (run, ended) = steps(auditor, begun, 10_000).await.expect("nobody takes it over");
    assert!(ended);
    *run
}

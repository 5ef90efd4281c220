//! What must hold when all is over, whatever broke meanwhile.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::house::{House, hosting};

/// How long orders may take to end once nothing breaks any more, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much longer than usual: `script/long-tests` sets `PROVISOR_LONG`.
pub(crate) fn times() -> usize {
    if std::env::var_os("PROVISOR_LONG").is_some() { 6 } else { 1 }
}

impl House {
    /// Submits so many orders of one hosting line each: `SHOP-0`, `SHOP-1`, …
    pub(crate) async fn submit_some(&self, numbers: std::ops::Range<usize>) {
        for n in numbers {
            self.submit(&format!("SHOP-{n}"), json!([hosting(&format!("{n}.example"))])).await;
        }
    }

    /// Waits until every order has ended, or asks a person; else tells what is open, and why.
    pub(crate) async fn until_all_ended(&self) {
        let open = "SELECT coalesce(string_agg(concat_ws(' ', o.reference, l.line, l.status, l.reason,
                           'due', w.due_at, 'leased until', w.lease_until, 'tries', w.tries), E'\n'), '')
                    FROM provisor.orders o JOIN provisor.order_lines l ON l.order_id = o.id
                    JOIN provisor.wakes w ON w.id = l.id * 16 + 1
                    WHERE o.status NOT IN ('completed', 'failed', 'partial', 'cancelled', 'attention')";
        let began = Instant::now();
        loop {
            let open: String = self.world.value(open).await;
            if open.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?} has ended:\n{open}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many lines have this status.
    pub(crate) async fn lines(&self, status: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM provisor.order_lines WHERE status = '{status}'");
        self.world.value(&sql).await
    }

    /// At most one order upstream for each tag, and exactly one for each line that is completed; every line has ended or is
    /// in doubt; and every email that was owed has come, under one Message-ID each.
    pub(crate) async fn assert_exactly_once(&self) {
        self.until_all_ended().await;
        self.until_emailed().await;
        let summary = self.sandbox.state().summary();
        assert!(summary.bought_twice.is_empty(), "{:?}", summary.bought_twice);
        let bought: BTreeMap<String, u32> = summary.tags.into_iter().collect();
        for (tag, count) in &bought {
            assert_eq!(*count, 1, "{tag} was bought {count} times");
        }
        // A name that was registered is there once, and under the tag of the line that brought it.
        let names = self.sandbox.state().domains();
        let names: Vec<&str> = names.iter().filter_map(|name| name.reference.as_deref()).collect();
        let lines: Vec<(String, String, bool, Option<String>)> = sqlx::query_as(
            "SELECT o.reference || '/' || l.line, l.status, l.kind = 'domain_register', l.reason
             FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("lines can be read");
        for (tag, status, is_name, reason) in lines {
            let there =
                if is_name { names.contains(&tag.as_str()) } else { bought.contains_key(&tag) };
            match status.as_str() {
                "completed" => assert!(there, "{tag} is completed, and was not bought"),
                "in_doubt" | "held" => {}
                // Behind what is in doubt.
                "pending" => assert!(!there, "{tag} is pending, and was bought"),
                "provisioning" if reason.as_ref().is_some_and(|why| why.contains("waits for")) => {
                    assert!(there, "{tag} is bought, and is not there");
                }
                "cancelled" => assert!(!there, "{tag} is cancelled, and was bought"),
                other => panic!("{tag} is {other}: {reason:?}"),
            }
        }
        self.assert_emails_came().await;
    }

    /// Every email that is sent has come, and nothing has come that was not owed.
    async fn assert_emails_came(&self) {
        let sent: Vec<String> = sqlx::query_scalar(
            "SELECT message_id FROM provisor.email_outbox WHERE status = 'sent'",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("the outbox can be read");
        let came: Vec<String> = self
            .sandbox
            .state()
            .mails()
            .into_iter()
            .map(|mail| {
                let id = mail.message_id.unwrap_or_default();
                id.trim_start_matches('<').split('@').next().unwrap_or_default().to_owned()
            })
            .collect();
        for id in &sent {
            assert!(came.contains(id), "{id} is sent, and has not come");
        }
        for id in &came {
            assert!(sent.contains(id), "{id} has come, and is not sent");
        }
    }

    /// How many copies came more than were owed.
    pub(crate) async fn copies_too_many(&self) -> usize {
        let sent: i64 = self
            .world
            .value("SELECT count(*) FROM provisor.email_outbox WHERE status = 'sent'")
            .await;
        let sent = usize::try_from(sent).expect("a count");
        self.sandbox.state().mails().len() - sent
    }
}

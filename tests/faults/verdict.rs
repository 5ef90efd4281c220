//! What must hold when all is over, whatever broke meanwhile.

use std::collections::BTreeMap;

use serde_json::json;

use crate::house::{House, eventually, hosting};

impl House {
    /// Submits so many orders of one hosting line each: `SHOP-0`, `SHOP-1`, …
    pub(crate) async fn submit_some(&self, numbers: std::ops::Range<usize>) {
        for n in numbers {
            self.submit(&format!("SHOP-{n}"), json!([hosting(&format!("{n}.example"))])).await;
        }
    }

    /// Waits until every order has ended, or asks a person.
    pub(crate) async fn until_all_ended(&self) {
        eventually("every order has ended, or asks a person", async || {
            let open: i64 = self
                .world
                .value(
                    "SELECT count(*) FROM provisor.orders
                     WHERE status NOT IN ('completed', 'failed', 'partial', 'cancelled', 'attention')",
                )
                .await;
            open == 0
        })
        .await;
    }

    /// How many lines have this status.
    pub(crate) async fn lines(&self, status: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM provisor.order_lines WHERE status = '{status}'");
        self.world.value(&sql).await
    }

    /// At most one order upstream for each tag, and exactly one for each line that is completed; every line has ended or is in
    /// doubt; and every email that was owed has come, under one Message-ID each.
    pub(crate) async fn assert_exactly_once(&self) {
        self.until_all_ended().await;
        self.until_emailed().await;
        let bought: BTreeMap<String, u32> =
            self.sandbox.state().summary().tags.into_iter().collect();
        for (tag, count) in &bought {
            assert_eq!(*count, 1, "{tag} was bought {count} times");
        }
        let lines: Vec<(String, String)> = sqlx::query_as(
            "SELECT o.reference || '/' || l.line, l.status
             FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id",
        )
        .fetch_all(&self.world.pool)
        .await
        .expect("lines can be read");
        for (tag, status) in lines {
            match status.as_str() {
                "completed" => {
                    assert!(bought.contains_key(&tag), "{tag} is completed, and was not bought")
                }
                "in_doubt" | "held" => {}
                "cancelled" => {
                    assert!(!bought.contains_key(&tag), "{tag} is cancelled, and was bought")
                }
                other => panic!("{tag} is {other}"),
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

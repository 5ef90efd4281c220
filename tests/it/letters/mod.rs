//! A mail server that fails: at each step of the conversation, in each manner, and for days.

mod postman;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::postman::{Act, Postman, Step};
use crate::{
    binary::{Process, get},
    house::{House, eventually, hosting},
};

/// What a failure means for an email.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    /// Nothing: the answer only came late.
    None,
    /// It was not sent, and is tried again.
    Temporary,
    /// It was not sent, and never will be.
    Final,
    /// It may have been sent, and is sent again under the same Message-ID.
    Ambiguous,
}

/// By step: the phase that is told, and what 451, 554, a lost connection and the like mean there.
const TABLE: &[(Step, &str, Class, Class, Class)] = {
    use Class::{Ambiguous, Final, Temporary};
    &[
        (Step::Greeting, "hello", Temporary, Temporary, Temporary),
        (Step::Ehlo, "hello", Temporary, Temporary, Temporary),
        (Step::Auth, "auth", Temporary, Temporary, Temporary),
        (Step::Mail, "envelope", Temporary, Temporary, Temporary),
        (Step::Rcpt, "envelope", Temporary, Final, Temporary),
        (Step::Data, "data", Temporary, Final, Temporary),
        // A short body is on its way, with its dot, before the first answer can be read.
        (Step::Body, "after the final dot", Temporary, Final, Ambiguous),
        (Step::Dot, "after the final dot", Temporary, Final, Ambiguous),
    ]
};

/// An order that is completed, whose email is owed once more for each row of the table, and a daemon.
struct Office {
    house: House,
    postman: Postman,
    daemon: Process,
}

impl Office {
    async fn open(url: &str, changes: &[(&str, &str)]) -> Self {
        let house = House::new().await;
        let postman = Postman::new().await;
        let url = url.replace("ADDRESS", &postman.address.to_string());
        let mut all = vec![
            ("EMAIL__SMTP_URL", url.as_str()),
            ("EMAIL__RETRY_INITIAL", "50ms"),
            ("EMAIL__RETRY_MAX", "100ms"),
        ];
        all.extend(changes);
        let daemon = Process::start(&["run"], &house.environment(&all));
        daemon.until_ready().await;
        house.submit("SHOP-1", json!([hosting("example.nl")])).await;
        house.until_order("SHOP-1", "completed").await;
        let office = Self { house, postman, daemon };
        // What the tests are about comes after it.
        office.forget().await;
        office
    }

    /// Lets go of what is owed, and waits until nobody is at it any more, who would meet the next failure.
    async fn forget(&self) {
        let forget = "UPDATE provisor.email_outbox SET status = 'disabled' WHERE status = 'queued'";
        self.house.world.run(forget).await;
        let at_it = "SELECT count(*) FROM provisor.wakes WHERE lane = 3 AND lease_until > clock_timestamp()";
        eventually("all emails are let go", async || {
            self.house.world.value::<i64>(at_it).await == 0
        })
        .await;
    }

    /// Owes the customer one more email, and answers its id and its Message-ID.
    async fn owe(&self) -> (i64, String) {
        sqlx::query_as(
            "WITH owed AS (
                 INSERT INTO provisor.email_outbox (dedupe_key, template, order_id, customer_id)
                 SELECT 'again:' || gen_random_uuid(), template, order_id, customer_id
                 FROM provisor.email_outbox WHERE template = 'order_completed' LIMIT 1
                 RETURNING id, message_id),
             woken AS (
                 INSERT INTO provisor.wakes (id, lane, due_at) SELECT id * 16 + 2, 3, clock_timestamp() FROM owed)
             SELECT id, message_id FROM owed",
        )
        .fetch_one(&self.house.world.pool)
        .await
        .expect("it is owed")
    }

    /// How an email stands, and how often it was tried.
    async fn stands(&self, id: i64) -> (String, i32) {
        sqlx::query_as("SELECT status, attempts FROM provisor.email_outbox WHERE id = $1")
            .bind(id)
            .fetch_one(&self.house.world.pool)
            .await
            .expect("it is owed")
    }

    /// What was logged of an email that was not sent.
    fn failures(&self, id: i64) -> Vec<String> {
        let logged = self.daemon.printed();
        let entries = logged.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries
            .filter(|entry| entry["message"] == "not sent" && entry["spans"][0]["email_id"] == id)
            .map(|entry| entry["error"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// One row: the server fails once, and what comes of it is as the table says.
    async fn check(&self, step: Step, act: Act, phase: &str, class: Class) {
        let what = format!("{act:?} at {step:?}");
        self.postman.fail(step, act, 1);
        let (id, message_id) = self.owe().await;
        self.house.until_emailed().await;
        assert!(self.postman.has_failed(), "{what}");
        let (status, attempts) = self.stands(id).await;
        assert_eq!(status, if class == Class::Final { "failed" } else { "sent" }, "{what}");
        let letters = self.postman.letters();
        let copies: Vec<_> = letters
            .iter()
            .filter(|letter| letter.message_id.trim_start_matches('<').starts_with(&message_id))
            .collect();
        let expected = match class {
            Class::Final => 0,
            Class::Ambiguous if step == Step::Dot => 2,
            Class::None | Class::Temporary | Class::Ambiguous => 1,
        };
        assert_eq!(copies.len(), expected, "{what}");
        assert!(copies.iter().all(|copy| copy.recipient == "bob@example.com"), "{copies:?}");
        let ids: BTreeSet<_> = copies.iter().map(|copy| &copy.message_id).collect();
        assert!(ids.len() <= 1, "{what}: {ids:?}");
        let failures = self.failures(id);
        assert_eq!(failures.len(), usize::from(class != Class::None), "{what}: {failures:?}");
        for failure in failures {
            assert!(failure.starts_with(&format!("SMTP, {phase}: ")), "{what}: {failure}");
            assert!(!failure.contains("bob") && !failure.contains("s3cret"), "{failure}");
        }
        let tried = if matches!(class, Class::None | Class::Final) { 1 } else { 2 };
        assert_eq!(attempts, tried, "{what}");
    }

    async fn close(mut self) {
        self.daemon.signal("TERM").await;
        assert!(self.daemon.ended().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_each_step_a_refusal_a_lost_connection_and_garbage_are_what_the_table_says() {
    let office = Office::open("smtp://shop:s3cret@ADDRESS", &[]).await;
    for (step, phase, temporary, refused, lost) in TABLE.iter().copied() {
        office.check(step, Act::Temporary, phase, temporary).await;
        office.check(step, Act::Final, phase, refused).await;
        office.check(step, Act::Drop, phase, lost).await;
        office.check(step, Act::Garbage, phase, lost).await;
        office.check(step, Act::Late, phase, Class::None).await;
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_each_step_silence_has_an_end_and_is_what_the_table_says() {
    // A quarter of the lease is what a server may think about a command.
    let office = Office::open("smtp://shop:s3cret@ADDRESS", &[("QUEUE__LEASE", "6s")]).await;
    for (step, phase, _, _, lost) in TABLE.iter().copied() {
        office.check(step, Act::Silence, phase, lost).await;
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_that_is_required_nothing_is_sent_and_nothing_is_given_up() {
    let office = Office::open("smtp://shop:s3cret@ADDRESS?tls=required", &[]).await;
    for act in [Act::Temporary, Act::Final, Act::Drop, Act::Garbage, Act::Silence] {
        // It fails on its own afterwards: it has no certificate.
        office.postman.fail(Step::StartTls, act, 1);
        let (id, _) = office.owe().await;
        eventually(&format!("{act:?}"), async || {
            office.postman.has_failed() && office.stands(id).await.1 >= 2
        })
        .await;
        assert_eq!(office.stands(id).await.0, "queued", "{act:?}");
        let failures = office.failures(id);
        assert!(failures.iter().all(|failure| failure.starts_with("SMTP, tls: ")), "{failures:?}");
        office.forget().await;
    }
    assert!(office.postman.letters().is_empty());
    office.close().await;
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is there")).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_days_gives_nothing_up_before_its_time_and_is_seen() {
    const AGE: &str = "UPDATE provisor.email_outbox SET created_at = clock_timestamp() - interval ";
    let mut office = Office::open("smtp://ADDRESS", &[]).await;
    let address = office.postman.address;
    let health = office.daemon.until_ready().await;
    // Nobody is there any more. What is owed is of all ages up to the one at which it is given up.
    office.postman = Postman::new().await;
    let mut owed = Vec::new();
    for age in ["1 day", "4 days", "4 days 23 hours"] {
        let (id, message_id) = office.owe().await;
        office.house.world.run(&format!("{AGE}'{age}' WHERE id = {id}")).await;
        owed.push((id, message_id));
    }
    for (id, _) in &owed {
        eventually("it is tried many times", async || office.stands(*id).await.1 > 10).await;
        assert_eq!(office.stands(*id).await.0, "queued");
        let failures = office.failures(*id);
        assert!(failures.iter().all(|it| it.starts_with("SMTP, connect: ")), "{failures:?}");
    }
    let (_, metrics) = get(health, "/metrics").await;
    assert!(value(&metrics, "provisor_outbox_oldest_seconds") > 4.9 * 86_400.0);
    let told = |outcome| {
        format!("provisor_emails_total{{outcome=\"{outcome}\",template=\"order_completed\"}}")
    };
    assert!(value(&metrics, &told("retried")) > 30.0);
    assert!(value(&metrics, &told("failed")) == 0.0);
    let (late, _) = office.owe().await;
    office.house.world.run(&format!("{AGE}'5 days 1 hour' WHERE id = {late}")).await;
    eventually("that one is given up", async || office.stands(late).await.0 == "failed").await;
    // The server is back: all that was not given up goes out, once.
    office.postman = Postman::at(address).await;
    office.house.until_emailed().await;
    let letters = office.postman.letters();
    assert_eq!(letters.len(), owed.len(), "{letters:?}");
    for (id, message_id) in &owed {
        assert_eq!(office.stands(*id).await.0, "sent");
        assert_eq!(letters.iter().filter(|it| it.message_id.contains(message_id)).count(), 1);
    }
    eventually("the figures are at rest again", async || {
        let (_, metrics) = get(health, "/metrics").await;
        assert!((value(&metrics, &told("failed")) - 1.0).abs() < 0.1);
        value(&metrics, "provisor_outbox_oldest_seconds") == 0.0
    })
    .await;
    office.close().await;
}

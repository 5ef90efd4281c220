//! What operators are told: about no order in particular, each by a mail of their own, once.

use provisor::{
    clock,
    queue::Alarm,
    upstream::{Scope, UpstreamError},
};
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    binary::Process,
    doubt::{database, guest},
    emails_owed::{held, mails_to, outbox},
    house::{House, eventually, hosting},
};

/// The keys of the emails about this that are about no order, in the order of being owed.
async fn told(house: &House, about: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT dedupe_key FROM provisor.email_outbox
         WHERE order_id IS NULL AND template = 'ops_attention' AND context ->> 'about' = $1 ORDER BY id",
    )
    .bind(about)
    .fetch_all(&house.world.pool)
    .await
    .expect("the outbox can be read")
}

async fn until_told(house: &House, about: &str, times: usize) {
    eventually(&format!("{about} is told {times} times"), async || {
        told(house, about).await.len() == times
    })
    .await;
}

/// The texts of the mails that the operator has got.
fn texts(house: &House) -> Vec<String> {
    let mails = mails_to(house, "ops@example.com");
    mails
        .iter()
        .map(|mail| std::fs::read_to_string(&mail.path).expect("the mail is kept"))
        .collect()
}

/// Orders of these references, each for a name of its own.
async fn submit_each(house: &House, references: &[&str]) {
    for reference in references {
        let domain = format!("{}.example", reference.to_lowercase());
        house.submit(reference, json!([hosting(&domain)])).await;
    }
}

async fn until_completed(house: &House, references: &[&str]) {
    for reference in references {
        house.until_order(reference, "completed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_that_opens_is_told_once_for_each_opening() {
    let house = House::new().await;
    let refused = json!({ "endpoint": "*", "fault": "unauthorized", "times": 10_000 });
    house.fault(&refused);
    let daemon = house.daemon(&[]);
    let first = ["ONE-1", "ONE-2", "ONE-3"];
    submit_each(&house, &first).await;
    until_told(&house, "circuit_open", 1).await;
    let tried = house.requests("GET", "/").len();
    eventually("the key is tried again and again", async || {
        house.requests("GET", "/").len() >= tried + 2
    })
    .await;
    assert_eq!(told(&house, "circuit_open").await.len(), 1);
    house.no_more_faults();
    until_completed(&house, &first).await;

    house.fault(&refused);
    submit_each(&house, &["TWO-1"]).await;
    until_told(&house, "circuit_open", 2).await;
    house.no_more_faults();
    until_completed(&house, &["TWO-1"]).await;

    // One endpoint's own circuit is told as well, by the endpoint's name.
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "html", "status": 403, "times": 10_000 }));
    submit_each(&house, &["END-1"]).await;
    until_told(&house, "circuit_open", 3).await;
    house.no_more_faults();
    until_completed(&house, &["END-1"]).await;
    house.until_emailed().await;
    let texts = texts(&house);
    assert_eq!(texts.len(), 3);
    for (text, part) in texts.iter().zip(["LJPc answers HTTP 401", "HTTP 401", "HTTP 403"]) {
        assert!(text.contains(part) && text.contains("provisor check"), "{text}");
    }
    assert!(texts[2].contains("POST /api/v1/orders"), "{}", texts[2]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_circuit_that_several_requests_find_shut_is_told_once() {
    let house = House::new().await;
    let (db, tasks, stop) = (database(&house), TaskTracker::new(), CancellationToken::new());
    let processes = [0, 1].map(|_| guest(&house, &db, &tasks, &stop, &Alarm::default()));
    for opening in 1..=2 {
        for process in &processes {
            for _ in 0..2 {
                let answer: Result<(), _> = Err(UpstreamError::Unauthorized {
                    scope: Scope::Upstream,
                    status: 401,
                    message: "Unauthorized".to_owned(),
                    jti: None,
                });
                process.learn("GET /api/v1/products", &answer).await;
            }
        }
        assert_eq!(told(&house, "circuit_open").await.len(), opening);
        house.world.run("DELETE FROM provisor.circuits").await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_told_once_a_day_however_many_lines_wait_for_it() {
    let house = House::new().await;
    house.world.run("UPDATE provisor.timeline SET confirmed = 'FFFFFFFF'").await;
    let began = clock::now().date_naive();
    let daemon = house.daemon(&[]);
    let references = ["SHOP-1", "SHOP-2", "SHOP-3"];
    submit_each(&house, &references).await;
    for reference in references {
        house.until_reason(reference, 0, "nothing is sent before `provisor queue resume`").await;
    }
    let line = house.line("SHOP-1", 0).await;
    house.look_again(line.id, 3).await;
    let keys = told(&house, "failover").await;
    // Usually one; two if midnight has passed meanwhile.
    let days = (clock::now().date_naive() - began).num_days() + 1;
    assert!((1..=days).contains(&i64::try_from(keys.len()).expect("a few")), "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("ops_failover:20")), "{keys:?}");

    // As if that had been on another day.
    house
        .world
        .run("UPDATE provisor.email_outbox SET dedupe_key = dedupe_key || '-earlier' WHERE order_id IS NULL")
        .await;
    house.look_again(line.id, 2).await;
    assert!(told(&house, "failover").await.len() > keys.len());
    house.until_emailed().await;
    let texts = texts(&house);
    assert_eq!(texts.len(), told(&house, "failover").await.len());
    assert!(texts.iter().all(|text| text.contains("provisor queue resume")), "{texts:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_can_not_be_reached_keeps_it_from_nobody_and_nobody_gets_it_twice() {
    let house = House::new().await;
    let refusal = |status: u16, times: u32, recipient: &str| -> Value {
        json!({ "endpoint": "SMTP RCPT", "fault": "status", "status": status, "times": times,
                "match": { "recipient": recipient } })
    };
    house.fault(&refusal(550, 100, "gone@"));
    house.fault(&refusal(451, 2, "night@"));
    let daemon = house.daemon(&[
        ("EMAIL__OPS_TO", "gone@example.com,ops@example.com,night@example.com,day@example.com"),
        ("EMAIL__RETRY_INITIAL", "50ms"),
    ]);
    house.submit("SHOP-1", held()).await;
    house.until_line("SHOP-1", 0, "held").await;
    house.until_emailed().await;
    let (status, attempts, _) = outbox(&house, "SHOP-1", "ops_attention").await;
    assert_eq!((status.as_str(), attempts), ("sent", 3), "again for the one who was not reached");
    for (operator, mails) in [("gone", 0), ("ops", 1), ("night", 1), ("day", 1)] {
        let got = mails_to(&house, &format!("{operator}@example.com")).len();
        assert_eq!(got, mails, "{operator}");
    }
    assert_eq!(house.count_events("SHOP-1", "email_sent").await, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_it_is_known_to_the_process_that_goes_on() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "SMTP RCPT", "fault": "status", "status": 451, "times": 1000,
                         "match": { "recipient": "night@" } }));
    let both =
        [("EMAIL__OPS_TO", "ops@example.com,night@example.com"), ("EMAIL__RETRY_INITIAL", "50ms")];
    let daemon = house.daemon(&both);
    house.submit("SHOP-1", held()).await;
    house.until_line("SHOP-1", 0, "held").await;
    eventually("it was tried again", async || {
        outbox(&house, "SHOP-1", "ops_attention").await.1 > 1
    })
    .await;
    daemon.stop().await;
    house.no_more_faults();
    let daemon = house.daemon(&both);
    house.until_emailed().await;
    for operator in ["ops@example.com", "night@example.com"] {
        assert_eq!(mails_to(&house, operator).len(), 1, "{operator}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_email_is_not_sent_twice_because_the_database_was_away_when_it_was_to_be_recorded() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "SMTP final", "fault": "slow", "delay_ms": 3000 }));
    let changes = [("EMAIL__RETRY_INITIAL", "50ms"), ("QUEUE__LEASE", "60s")];
    let mut daemon = Process::start(&["run"], &house.environment(&changes));
    daemon.until_ready().await;
    house.submit("SHOP-1", held()).await;
    eventually("the mail server has it", async || house.sandbox.state().mails().len() == 1).await;
    house.world.allow_connections(false).await;
    let message = "what came of an email could not be recorded; it is tried again";
    let logged = daemon.until_logged(message).await;
    house.world.allow_connections(true).await;
    house.until_emailed().await;
    assert_eq!(logged["level"], "WARN", "{logged}");
    assert_eq!(mails_to(&house, "ops@example.com").len(), 1);
    let (status, attempts, error) = outbox(&house, "SHOP-1", "ops_attention").await;
    assert_eq!((status.as_str(), attempts, error), ("sent", 1, None));
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    assert!(house.sandbox.state().mails().len() == 1, "nor at the end");
}

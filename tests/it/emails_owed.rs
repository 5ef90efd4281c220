//! Emails: owed once, with what changed; sent over real SMTP, or not.

use std::time::Duration;

use provisor::{
    db::{
        Database, Purpose,
        wakes::{Fence, Lane, LaneDemand},
    },
    jobs,
    sandbox::{Mail, Stage},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    doubt::database,
    house::{House, eventually, hosting, order},
};

/// Mails that went to this address.
pub(crate) fn mails_to(house: &House, address: &str) -> Vec<Mail> {
    let mails = house.sandbox.state().mails();
    mails.into_iter().filter(|mail| mail.recipients == [address]).collect()
}

/// Subjects of mails, decoded only as far as plain ASCII goes.
fn subjects(mails: &[Mail]) -> Vec<&str> {
    mails.iter().map(|mail| mail.subject.as_deref().unwrap_or_default()).collect()
}

/// The status, the attempts and the last error of an order's email.
pub(crate) async fn outbox(
    house: &House,
    reference: &str,
    template: &str,
) -> (String, i32, Option<String>) {
    sqlx::query_as(
        "SELECT m.status, m.attempts, m.last_error
         FROM provisor.email_outbox m JOIN provisor.orders o ON o.id = m.order_id
         WHERE o.reference = $1 AND m.template = $2",
    )
    .bind(reference)
    .bind(template)
    .fetch_one(&house.world.pool)
    .await
    .expect("it is owed once")
}

async fn update_customer(house: &House, changes: Value) {
    sqlx::query("SELECT provisor.update_customer($1)")
        .bind(changes)
        .execute(&house.world.pool)
        .await
        .expect("the customer is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_email_of_an_order_is_owed_once_and_a_disabled_one_is_not_sent() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let lines = json!([hosting("example.nl")]);
    let id = house.submit("SHOP-1", lines.clone()).await;
    assert_eq!(house.submit("SHOP-1", lines.clone()).await, id);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.submit("SHOP-1", lines).await, id);
    house.until_emailed().await;
    let owed = |template: &str, status: &str| (template.to_owned(), None, status.to_owned());
    let expected = [owed("order_received", "disabled"), owed("order_completed", "sent")];
    assert_eq!(house.emails("SHOP-1").await, expected);
    assert_eq!(outbox(&house, "SHOP-1", "order_received").await, ("disabled".to_owned(), 0, None));
    assert_eq!(outbox(&house, "SHOP-1", "order_completed").await, ("sent".to_owned(), 1, None));
    let mails = house.sandbox.state().mails();
    assert_eq!(subjects(&mails), ["Your order SHOP-1 is ready"]);
    assert_eq!(
        (mails[0].from.as_str(), &mails[0].recipients[..]),
        ("shop@example.com", &["bob@example.com".to_owned()][..])
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_not_disabled_is_sent() {
    let house = House::new().await;
    let daemon = house.daemon(&[("EMAIL__DISABLED", "order_completed")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    assert_eq!(outbox(&house, "SHOP-1", "order_received").await.0, "sent");
    assert_eq!(outbox(&house, "SHOP-1", "order_completed").await.0, "disabled");
    assert_eq!(house.sandbox.state().mails().len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_customers_newest_address_and_language_are_used() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let daemon = house.daemon(&[]);
    for (reference, domain) in [("SHOP-1", "one.example"), ("SHOP-2", "two.example")] {
        house.submit(reference, json!([hosting(domain)])).await;
        house.until_line(reference, 0, "provisioning").await;
    }
    update_customer(&house, json!({ "reference": "C-77", "email": "new@example.com" })).await;
    house.drive("SHOP-1/0", Stage::Completed);
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    assert_eq!(subjects(&mails_to(&house, "new@example.com")), ["Your order SHOP-1 is ready"]);

    // A newer order of the customer tells more of them, for the older one too.
    let mut newer = order("SHOP-3", json!([hosting("three.example")]));
    newer["customer"]["email"] = json!("newest@example.com");
    newer["customer"]["locale"] = json!("nl");
    house.world.submit(&newer).await.expect("the order is well formed");
    house.drive("SHOP-2/0", Stage::Completed);
    house.until_order("SHOP-2", "completed").await;
    house.until_emailed().await;
    let mails = mails_to(&house, "newest@example.com");
    assert_eq!(subjects(&mails), ["Uw bestelling SHOP-2 is gereed"]);
    assert!(mails_to(&house, "bob@example.com").is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_fails_the_email_and_no_other() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "SMTP RCPT", "fault": "status", "status": 550, "times": 100,
                         "message": "no such user", "match": { "recipient": "bob@" } }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("one.example")])).await;
    let mut other = order("SHOP-2", json!([hosting("two.example")]));
    other["customer"]["reference"] = json!("C-78");
    other["customer"]["email"] = json!("eve@example.com");
    house.world.submit(&other).await.expect("the order is well formed");
    for reference in ["SHOP-1", "SHOP-2"] {
        house.until_order(reference, "completed").await;
    }
    house.until_emailed().await;
    let (status, attempts, error) = outbox(&house, "SHOP-1", "order_completed").await;
    assert_eq!((status.as_str(), attempts), ("failed", 1));
    let error = error.expect("a refusal has its words");
    assert!(error.contains("550") && error.contains("no such user"), "{error}");
    assert!(!error.contains("bob@example.com"), "no personal data in {error}");
    assert_eq!(house.count_events("SHOP-1", "email_failed").await, 1);
    assert_eq!(outbox(&house, "SHOP-2", "order_completed").await.0, "sent");
    assert_eq!(house.sandbox.state().mails().len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_until_it_is_sent_once() {
    let house = House::new().await;
    let daemon = house.daemon(&[("EMAIL__RETRY_INITIAL", "50ms"), ("EMAIL__RETRY_MAX", "200ms")]);
    for (n, fault) in [
        json!({ "endpoint": "SMTP RCPT", "fault": "status", "status": 451, "times": 2 }),
        json!({ "endpoint": "SMTP final", "fault": "status", "status": 452 }),
        json!({ "endpoint": "SMTP DATA", "fault": "drop" }),
        json!({ "endpoint": "SMTP final", "fault": "drop" }),
        json!({ "endpoint": "SMTP MAIL", "fault": "status", "status": 450 }),
    ]
    .iter()
    .enumerate()
    {
        let reference = format!("SHOP-{n}");
        house.fault(fault);
        house.submit(&reference, json!([hosting(&format!("{n}.example"))])).await;
        house.until_order(&reference, "completed").await;
        house.until_emailed().await;
        let times = i32::try_from(fault["times"].as_u64().unwrap_or(1)).expect("a few");
        let (status, attempts, _) = outbox(&house, &reference, "order_completed").await;
        assert_eq!((status.as_str(), attempts), ("sent", times + 1), "{fault}");
        let sent = mails_to(&house, "bob@example.com");
        let about =
            |mail: &&Mail| mail.subject.as_ref().is_some_and(|text| text.contains(&reference));
        assert_eq!(sent.iter().filter(about).count(), 1, "{fault}");
        assert_eq!(house.count_events(&reference, "email_sent").await, 1, "{fault}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_after_the_final_dot_is_sent_again_under_the_same_message_id() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "SMTP final", "fault": "process_then_drop" }));
    let daemon = house.daemon(&[("EMAIL__RETRY_INITIAL", "50ms")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    let mails = house.sandbox.state().mails();
    assert_eq!(mails.len(), 2, "the server had it, but nobody can know");
    assert!(mails[0].message_id.is_some());
    assert_eq!(mails[0].message_id, mails[1].message_id);
    let read = |mail: &Mail| std::fs::read(&mail.path).expect("the mail is kept");
    let headers_aside = |mail: &Mail| {
        let text = String::from_utf8(read(mail)).expect("ASCII");
        text.split_once("Message-ID").map(|(_, rest)| rest.to_owned())
    };
    assert_eq!(headers_aside(&mails[0]), headers_aside(&mails[1]), "the very same message");
    assert_eq!(outbox(&house, "SHOP-1", "order_completed").await.1, 2);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_that_never_passes_is_given_up_after_its_time() {
    let house = House::new().await;
    house.fault(
        &json!({ "endpoint": "SMTP RCPT", "fault": "status", "status": 451, "times": 1000 }),
    );
    let daemon = house.daemon(&[
        ("EMAIL__RETRY_INITIAL", "100ms"),
        ("EMAIL__RETRY_MAX", "100ms"),
        ("EMAIL__GIVE_UP_AFTER", "1s"),
    ]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    let (status, attempts, _) = outbox(&house, "SHOP-1", "order_completed").await;
    assert_eq!(status, "failed");
    assert!((2..=30).contains(&attempts), "{attempts}");
    assert!(house.sandbox.state().mails().is_empty());
    daemon.stop().await;
}

/// A line that a person must decide.
pub(crate) fn held() -> Value {
    json!([{ "kind": "hosting", "package": "hosting_7gb", "domain": "example.nl", "billing_period": "monthly" }])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_are_told_each_by_a_mail_of_their_own() {
    let house = House::new().await;
    let daemon = house.daemon(&[("EMAIL__OPS_TO", "ops@example.com,night@example.com")]);
    house.submit("SHOP-1", held()).await;
    house.until_line("SHOP-1", 0, "held").await;
    house.until_emailed().await;
    let mut ids = Vec::new();
    for operator in ["ops@example.com", "night@example.com"] {
        let mails = mails_to(&house, operator);
        assert_eq!(mails.len(), 1, "{operator}");
        assert!(subjects(&mails)[0].starts_with("Provisor: "), "{:?}", subjects(&mails));
        let text = std::fs::read_to_string(&mails[0].path).expect("the mail is kept");
        assert!(text.contains("provisor order show SHOP-1"), "{text}");
        ids.push(mails[0].message_id.clone());
    }
    assert_ne!(ids[0], ids[1]);
    assert!(mails_to(&house, "bob@example.com").is_empty(), "the customer waits");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operators_address_nothing_is_sent_and_nothing_piles_up() {
    let house = House::new().await;
    let daemon = house.daemon(&[("EMAIL__OPS_TO", "")]);
    house.submit("SHOP-1", held()).await;
    house.until_line("SHOP-1", 0, "held").await;
    house.until_emailed().await;
    assert_eq!(outbox(&house, "SHOP-1", "ops_attention").await, ("disabled".to_owned(), 0, None));
    assert!(house.sandbox.state().mails().is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_not_shown_what_the_upstream_says() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "status", "status": 422,
                         "message": "the reseller owes us money" }));
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "failed").await;
    house.until_emailed().await;
    let mails = mails_to(&house, "bob@example.com");
    assert_eq!(mails.len(), 1);
    let text = std::fs::read_to_string(&mails[0].path).expect("the mail is kept");
    assert!(text.contains("SHOP-1") && text.contains("example.nl"), "{text}");
    assert!(!text.contains("owes") && !text.contains("LJPc"), "{text}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_outlives_the_process_that_was_sending_it() {
    let house = House::new().await;
    house.fault(
        &json!({ "endpoint": "SMTP final", "fault": "status", "status": 451, "times": 1000 }),
    );
    let daemon = house.daemon(&[("EMAIL__RETRY_INITIAL", "50ms")]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("it was tried", async || {
        let tried: i64 = house
            .world
            .value("SELECT count(*) FROM provisor.email_outbox WHERE attempts > 0 AND status = 'queued'")
            .await;
        tried == 1
    })
    .await;
    daemon.stop().await;
    house.no_more_faults();
    let daemon = house.daemon(&[]);
    house.until_emailed().await;
    assert_eq!(mails_to(&house, "bob@example.com").len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_nothing_by_a_claim_that_a_crash_of_the_server_may_lose() {
    let house = House::new().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let hasty = Database::new(&house.world.url(), 1, Purpose::Queue).expect("a URL");
    let demand = [LaneDemand { lane: Lane::Email, max: 1, watermark: None }];
    let claim = hasty.claim_wakes(&demand, 1, Duration::from_mins(1), Uuid::new_v4());
    let fence = claim.await.expect("a claim").0.first().expect("an email is due").fence;
    assert_eq!(fence.wake.kind(), jobs::EMAIL);
    let written = "SELECT pg_current_wal_insert_lsn()::text";
    let written: String = house.world.value(written).await;

    let db = database(&house);
    let loaded = db.load_emails(&[fence]).await.expect("it can be loaded");
    assert_eq!((loaded.held.len(), loaded.emails.len()), (1, 1));
    let on_disk = format!("SELECT pg_current_wal_flush_lsn() >= '{written}'::pg_lsn");
    assert!(house.world.value::<bool>(&on_disk).await, "the claim is on the disk by then");
    // It was lost, and somebody else has claimed the email anew.
    let others = Fence { owner: Uuid::new_v4(), ..fence };
    for lost in [others, Fence { run_token: fence.run_token + 1, ..fence }] {
        let loaded = db.load_emails(&[lost]).await.expect("it can be asked");
        assert!(loaded.held.is_empty() && loaded.emails.is_empty(), "{loaded:?}");
    }
}

//! Leanstack: alternatives to names that are taken, customers made known; and nothing is harmed by its failures.

use serde_json::{Value, json};

use super::{customer, register, with};
use crate::{
    emails_owed::mails_to,
    house::{Daemon, House, eventually, hosting},
};

/// What makes a customer known, in the first edition.
const ADD: &str = "POST /v1/enterprise/add_customer";

impl House {
    /// A daemon that uses Leanstack, with these changes besides.
    fn advised_daemon(&self, changes: &[(&str, &str)]) -> Daemon {
        let url = format!("http://{}", self.sandbox.leanstack_addr());
        let mut all = vec![
            ("LEANSTACK__ENABLED", "true"),
            ("LEANSTACK__BASE_URL", url.as_str()),
            ("LEANSTACK__ACCESS_TOKEN", "sandbox-token"),
            ("LJPC__EVIDENCE_INTERVAL", "200ms"),
        ];
        all.extend_from_slice(changes);
        self.daemon(&all)
    }

    /// How often a path of Leanstack's was asked for.
    fn asked(&self, path: &str) -> usize {
        self.requests("POST", path).len()
    }

    async fn known_to_leanstack(&self, reference: &str) -> bool {
        self.world
            .value(&format!(
                "SELECT leanstack_at IS NOT NULL FROM provisor.customers WHERE reference = '{reference}'"
            ))
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_told_with_names_that_can_be_had() {
    let house = House::new().await;
    let daemon = house.advised_daemon(&[]);
    house.order_names("SHOP-1", json!([register("taken.nl", json!({}))])).await;
    house.until_order("SHOP-1", "failed").await;
    let told: Value = house
        .world
        .value("SELECT alternatives FROM provisor.order_lines WHERE alternatives IS NOT NULL")
        .await;
    let offered = told.as_array().expect("a list");
    assert!(!offered.is_empty() && offered.len() <= 5, "{told}");
    for name in offered {
        let domain = name["domain"].as_str().expect("a name");
        assert!(name["price"].is_string(), "{told}");
        assert_ne!(domain, "taken.nl", "what is taken is not offered");
    }
    // Each of them was asked of LJPc, which alone decides.
    assert_eq!(house.requests("GET", "/api/hosting/v1/domain-names/check").len(), 2);
    house.until_emailed().await;
    let mails = mails_to(&house, "bob@example.com");
    let [mail] = mails.as_slice() else { panic!("one mail: {mails:?}") };
    let mail = std::fs::read_to_string(&mail.path).expect("the mail is kept");
    let first = offered[0]["domain"].as_str().expect("a name");
    assert!(mail.contains(first), "{mail}");
    assert!(!mail.contains(offered[0]["price"].as_str().expect("a price")), "{mail}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_customer_is_made_known_once() {
    let house = House::new().await;
    let daemon = house.advised_daemon(&[]);
    for order in 0..2 {
        house
            .order_names(&format!("SHOP-{order}"), json!([hosting(&format!("{order}.example"))]))
            .await;
    }
    // Whose details don't suffice is left out.
    let bare = json!({ "reference": "C-9", "first_name": "Bob", "last_name": "Brown", "email": "bob@example.com" });
    house.order_of("SHOP-9", &bare, json!([hosting("other.example")])).await;
    eventually("C-77 is known", async || house.known_to_leanstack("C-77").await).await;
    let known = house.sandbox.state().customers();
    assert_eq!(known.len(), 1);
    house.world.run("SELECT provisor.poke(1 * 16 + 6)").await;
    for order in ["SHOP-0", "SHOP-1", "SHOP-9"] {
        house.until_order(order, "completed").await;
    }
    assert_eq!(house.asked("/v1/enterprise/add_customer"), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_again_and_is_already_so() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": ADD, "fault": "process_then_drop" }));
    let daemon = house.advised_daemon(&[]);
    house.order_names("SHOP-1", json!([hosting("example.nl")])).await;
    // The next look comes by its schedule; it is not waited for.
    eventually("it was asked", async || house.asked("/v1/enterprise/add_customer") == 1).await;
    eventually("C-77 is known", async || {
        house.world.run("SELECT provisor.poke(1 * 16 + 6)").await;
        house.known_to_leanstack("C-77").await
    })
    .await;
    assert_eq!(house.sandbox.state().customers().len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_not_sent_again_before_his_details_change() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": ADD, "fault": "status", "status": 422,
                         "message": "city is invalid" }));
    let daemon = house.advised_daemon(&[]);
    house.order_names("SHOP-1", json!([hosting("example.nl")])).await;
    let refused = async || {
        house
            .world
            .value::<bool>("SELECT bool_or(leanstack_refused IS NOT NULL) FROM provisor.customers")
            .await
    };
    eventually("he is refused", refused).await;
    house.until_order("SHOP-1", "completed").await;
    assert_eq!(house.asked("/v1/enterprise/add_customer"), 1);
    house
        .world
        .run(r#"SELECT provisor.update_customer('{"reference": "C-77", "city": "Testville"}')"#)
        .await;
    house.world.run("SELECT provisor.poke(1 * 16 + 6)").await;
    eventually("C-77 is known", async || house.known_to_leanstack("C-77").await).await;
    assert_eq!(house.asked("/v1/enterprise/add_customer"), 2);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_edition_is_spoken_too() {
    let house = House::new().await;
    let daemon = house.advised_daemon(&[("LEANSTACK__CONTRACT", "2022")]);
    house.order_names("SHOP-1", json!([hosting("example.nl")])).await;
    eventually("C-77 is known", async || house.known_to_leanstack("C-77").await).await;
    assert_eq!(house.asked("/v1/enterprise/customer"), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_failure_harms_nothing_else() {
    let house = House::new().await;
    for fault in [
        json!({ "endpoint": "Leanstack *", "fault": "status", "status": 500, "times": 3 }),
        json!({ "endpoint": "Leanstack *", "fault": "unauthorized", "times": 100 }),
    ] {
        house.fault(&fault);
    }
    let daemon = house.advised_daemon(&[("LJPC__CIRCUIT_PROBE_INTERVAL", "1h")]);
    let lines = json!([register("taken.nl", json!({})), hosting("example.nl")]);
    house.order_of("SHOP-1", &with(customer("C-1"), json!({})), lines).await;
    house.until_order("SHOP-1", "partial").await;
    let told: Option<Value> =
        house.world.value("SELECT alternatives FROM provisor.order_lines WHERE line = 0").await;
    assert_eq!(told, None, "nobody names alternatives");
    house.order_of("SHOP-2", &customer("C-2"), json!([hosting("example.com")])).await;
    house.until_order("SHOP-2", "completed").await;
    assert!(!house.known_to_leanstack("C-1").await, "he waits, and nobody for him");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_by_default() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_names("SHOP-1", json!([register("taken.nl", json!({}))])).await;
    house.until_order("SHOP-1", "failed").await;
    assert!(house.requests("POST", "/v1/").is_empty());
    daemon.stop().await;
}

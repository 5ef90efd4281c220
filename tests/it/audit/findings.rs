//! Each finding appears, stays one, and vanishes with its cause.

use serde_json::{Value, json};

use super::in_days;
use crate::house::{House, hosting};

/// What makes a finding, and what ends it.
enum Cause {
    Domain(Value, Value),
    Site(Value, Value),
    Sql(&'static str, &'static str),
}

/// A finding that is to come and to go.
struct Case {
    kind: &'static str,
    severity: &'static str,
    subject: &'static str,
    cause: Cause,
}

fn domain(with: Value, without: Value) -> Cause {
    let named = |mut wish: Value| {
        wish["domain"] = json!("example.nl");
        wish
    };
    Cause::Domain(named(with), named(without))
}

fn case(kind: &'static str, severity: &'static str, subject: &'static str, cause: Cause) -> Case {
    Case { kind, severity, subject, cause }
}

fn domains() -> Vec<Case> {
    let far = || json!({ "expires_at": in_days(300) });
    let name = "example.nl";
    vec![
        case("domain_expiring", "info", name, domain(json!({ "expires_at": in_days(20) }), far())),
        case(
            "domain_expired",
            "critical",
            name,
            domain(json!({ "expires_at": in_days(-2) }), far()),
        ),
        case(
            "domain_status",
            "critical",
            name,
            domain(json!({ "status": "active, clientHold" }), json!({ "status": "active" })),
        ),
        case(
            "expiry_moved",
            "critical",
            name,
            domain(json!({ "expires_at": in_days(200) }), far()),
        ),
        case(
            "auto_renew_mismatch",
            "warning",
            name,
            Cause::Sql(
                "UPDATE provisor.domains SET auto_renew_wished = false",
                "UPDATE provisor.domains SET auto_renew_wished = true",
            ),
        ),
        case(
            "transfer_lock_mismatch",
            "warning",
            name,
            Cause::Sql(
                "UPDATE provisor.domains SET transfer_lock_wished = false",
                "UPDATE provisor.domains SET transfer_lock_wished = true",
            ),
        ),
        case(
            "domain_missing",
            "warning",
            name,
            domain(json!({ "foreign": true }), json!({ "foreign": false })),
        ),
        case(
            "domain_unknown",
            "warning",
            "unknown.nl",
            Cause::Domain(
                json!({ "domain": "unknown.nl", "status": "active" }),
                json!({ "domain": "unknown.nl", "foreign": true }),
            ),
        ),
    ]
}

fn sites() -> Vec<Case> {
    vec![
        case(
            "site_unknown",
            "warning",
            "4000",
            Cause::Site(
                json!({ "id": 4000, "domain": "a.nl" }),
                json!({ "id": 4000, "gone": true }),
            ),
        ),
        case(
            "site_missing",
            "warning",
            "3000",
            Cause::Site(
                json!({ "id": 3000, "gone": true }),
                json!({ "id": 3000, "domain": "example.nl" }),
            ),
        ),
        case(
            "site_inactive",
            "warning",
            "3000",
            Cause::Site(
                json!({ "id": 3000, "status": "suspended" }),
                json!({ "id": 3000, "status": "active" }),
            ),
        ),
        case(
            "quota_near",
            "warning",
            "3000",
            Cause::Site(
                json!({ "id": 3000, "disk_space_gb": 1, "disk_used_bytes": 900_000_000, "email_used_bytes": 100_000_000 }),
                json!({ "id": 3000, "disk_used_bytes": 1 }),
            ),
        ),
    ]
}

fn own() -> Vec<Case> {
    vec![
        case(
            "line_stuck",
            "warning",
            "SHOP-1/0",
            Cause::Sql(
                "UPDATE provisor.order_lines SET status = 'held', reason = 'dear'",
                "UPDATE provisor.order_lines SET status = 'completed', reason = NULL",
            ),
        ),
        case(
            "line_in_doubt",
            "critical",
            "SHOP-1/0",
            Cause::Sql(
                "UPDATE provisor.order_lines SET status = 'in_doubt', in_doubt_at = now() - interval '1 hour'",
                "UPDATE provisor.order_lines SET status = 'completed', in_doubt_at = NULL",
            ),
        ),
        case(
            "email_stuck",
            "warning",
            "SHOP-1/0",
            Cause::Sql(
                "UPDATE provisor.email_outbox SET status = 'failed', settled_at = now()
                 WHERE template = 'order_completed'",
                "UPDATE provisor.email_outbox SET status = 'sent' WHERE template = 'order_completed'",
            ),
        ),
        case(
            "price_above_max_cost",
            "warning",
            "SHOP-1/0",
            Cause::Sql(
                "UPDATE provisor.order_lines SET cost_limit = 1",
                "UPDATE provisor.order_lines SET cost_limit = NULL",
            ),
        ),
        case(
            "price_changed",
            "info",
            "SHOP-1/0",
            Cause::Sql(
                "UPDATE provisor.line_prices SET price = 0.01",
                "UPDATE provisor.line_prices SET changed_at = now() - interval '8 days'",
            ),
        ),
    ]
}

impl House {
    async fn cause(&self, cause: &Cause, begins: bool) {
        match cause {
            Cause::Domain(with, without) => self.seems(if begins { with } else { without }),
            Cause::Site(with, without) => self.hosts(if begins { with } else { without }),
            Cause::Sql(with, without) => self.world.run(if begins { with } else { without }).await,
        }
    }

    /// How often findings of a kind were opened, and how many of them are closed.
    async fn history(&self, kind: &str) -> (i64, i64) {
        sqlx::query_as("SELECT count(*), count(closed_at) FROM provisor.findings WHERE kind = $1")
            .bind(kind)
            .fetch_one(&self.world.pool)
            .await
            .expect("findings can be read")
    }

    /// Each case comes, is seen again, and goes; beside it nothing else is found.
    async fn plays(&self, cases: Vec<Case>) {
        self.audited().await;
        assert_eq!(self.open().await, [], "all is well at first");
        for Case { kind, severity, subject, cause } in cases {
            self.cause(&cause, true).await;
            let found = (kind.to_owned(), severity.to_owned(), subject.to_owned());
            for _ in 0..2 {
                self.audited().await;
                let open = self.open().await;
                assert!(open.contains(&found), "{kind}: {open:?}");
            }
            assert_eq!(self.history(kind).await, (1, 0), "{kind}: seen again, it is the same");
            self.cause(&cause, false).await;
            self.audited().await;
            assert_eq!(self.history(kind).await, (1, 1), "{kind}: {:?}", self.open().await);
            self.world.run("DELETE FROM provisor.findings").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_of_domains_comes_and_goes() {
    let house = House::new().await;
    house.domain("example.nl", 300, true).await;
    house
        .world
        .run("UPDATE provisor.domains SET auto_renew_wished = true, transfer_lock_wished = true")
        .await;
    house.plays(domains()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_of_sites_comes_and_goes() {
    let house = House::new().await;
    house.site(3000, "example.nl").await;
    house.plays(sites()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_of_lines_and_emails_comes_and_goes() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    daemon.stop().await;
    house.plays(own()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_takes_too_long_is_found_until_it_ends() {
    let house = House::new().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.submit("SHOP-2", json!([hosting("example.com")])).await;
    house
        .world
        .run("UPDATE provisor.orders SET submitted_at = now() - interval '25 hours' WHERE reference = 'SHOP-1'")
        .await;
    let overdue = ("line_stuck".to_owned(), "warning".to_owned(), "SHOP-1/0".to_owned());
    for _ in 0..2 {
        house.audited().await;
        assert_eq!(house.open().await, std::slice::from_ref(&overdue), "and the young one is none");
    }
    assert_eq!(house.history("line_stuck").await, (1, 0));
    house.world.run("UPDATE provisor.order_lines SET status = 'completed'").await;
    house.audited().await;
    assert_eq!(house.history("line_stuck").await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_and_contacts_are_compared_with_what_was_ordered() {
    let house = House::new().await;
    // The account's own contact comes with its first name.
    house.seems(&json!({ "domain": "another.nl", "foreign": true }));
    let daemon = house.daemon(&[]);
    let line = json!({ "kind": "domain_register", "domain": "example.nl", "contact_handle": "sandbox-account",
                       "nameservers": ["ns1.example.com", "ns2.example.com"] });
    house.submit("SHOP-1", json!([line])).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
    house
        .plays(vec![
            case(
                "nameserver_mismatch",
                "warning",
                "example.nl",
                domain(
                    json!({ "nameservers": ["ns1.example.org", "ns2.example.com"] }),
                    json!({ "nameservers": ["NS2.example.com", "ns1.example.com"] }),
                ),
            ),
            case(
                "contact_mismatch",
                "warning",
                "example.nl",
                domain(
                    json!({ "contact_handle": "another" }),
                    json!({ "contact_handle": "sandbox-account" }),
                ),
            ),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_listing_concludes_nothing_about_what_is_missing() {
    let house = House::new().await;
    for n in 0..3 {
        house.domain(&format!("example-{n}.nl"), 300, true).await;
    }
    house.seems(&json!({ "domain": "example-1.nl", "foreign": true }));
    house.fault(&json!({ "endpoint": "GET /api/hosting/v1/domain-names", "fault": "status", "status": 503, "times": 100 }));
    let ended = house.audit(&["run", "--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the list of domains could not be read to its end"), "{ended:?}");
    assert_eq!(ended.json()["complete"], json!(false));
    assert_eq!(house.open().await, []);
    house.no_more_faults();
    house.audited().await;
    let open: Vec<String> = house.open().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(open, ["domain_missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_only_the_listing_lacks_is_not_called_missing_and_one_that_lasts_is_critical() {
    let house = House::new().await;
    house.domain("example.nl", 300, true).await;
    house.seems(&json!({ "domain": "example.nl", "foreign": true }));
    // A direct look that says nothing.
    let detail = "GET /api/hosting/v1/domain-names/{domain}";
    house.fault(&json!({ "endpoint": detail, "fault": "status", "status": 500, "times": 1 }));
    house.audited().await;
    assert_eq!(house.open().await, []);
    for severity in ["warning", "warning"] {
        house.audited().await;
        assert_eq!(house.open().await[0].1, severity);
    }
    // The third one in a row; but only after two days it is critical.
    house.audited().await;
    assert_eq!(house.open().await[0].1, "warning");
    house
        .world
        .run("UPDATE provisor.domains SET missing_since = missing_since - interval '48 hours'")
        .await;
    house.audited().await;
    assert_eq!(
        house.open().await,
        [("domain_missing".to_owned(), "critical".to_owned(), "example.nl".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_are_listed_and_a_dry_run_writes_nothing() {
    let house = House::new().await;
    house.domain("example.nl", 20, true).await;
    let everything = async || {
        let counts = "SELECT concat_ws(' ', (SELECT count(*) FROM provisor.findings),
                          (SELECT count(*) FROM provisor.reminders), (SELECT count(*) FROM provisor.email_outbox),
                          (SELECT count(*) FROM provisor.audit_readings), (SELECT count(*) FROM provisor.audit_runs),
                          (SELECT count(*) FROM provisor.wakes),
                          (SELECT max(seen_at) FROM provisor.domains), (SELECT max(looked_at) FROM provisor.domains))";
        house.world.value::<String>(counts).await
    };
    let before = everything().await;
    let ended = house.audit(&["run", "--dry-run"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("domain_expiring") && ended.stdout.contains("would be"),
        "{ended:?}"
    );
    assert_eq!(everything().await, before);
    let dry = house.audit(&["run", "--dry-run", "--json"]).await.json();
    assert_eq!(
        (&dry["opened"], &dry["reminded"], &dry["dry_run"]),
        (&json!(1), &json!(1), &json!(true))
    );
    assert_eq!(everything().await, before);

    let run = house.audited().await;
    assert_eq!(run["changes"][0]["change"], json!("opened"));
    assert_eq!(run["changes"][0]["kind"], json!("domain_expiring"));
    let listed = house.audit(&["findings", "--open", "--json"]).await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let keys: Vec<&String> = listed[0].as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        ["closed_at", "detail", "first_seen", "kind", "last_seen", "severity", "subject"]
    );
    house.seems(&json!({ "domain": "example.nl", "expires_at": in_days(385) }));
    house.audited().await;
    assert_eq!(house.audit(&["findings", "--open", "--json"]).await.json(), json!([]));
    let closed = house.audit(&["findings", "--json"]).await.json();
    assert!(closed[0]["closed_at"].is_string(), "{closed}");
}
